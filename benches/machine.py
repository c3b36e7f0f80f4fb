"""What a recorded figure must say about where it was measured: machine shape, versions, threads."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, MutableMapping
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def core_count() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_threads(environment: MutableMapping[str, str], n_threads: int) -> None:
    """Set the variables that thread pools read when they are loaded; call before NumPy is imported."""
    environment.update(dict.fromkeys(THREAD_VARIABLES, str(n_threads)))


def processor() -> str:
    """Return the model name of the processor."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def describe(packages: Iterable[str]) -> dict[str, Any]:
    """Return cores, processor, Python, BLAS and package versions; no host name and no path."""
    import numpy.linalg  # noqa: F401 - the BLAS is described once it is loaded
    from threadpoolctl import threadpool_info

    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    blas = sorted(
        {
            f"{pool['internal_api']} {pool['version']} {pool.get('architecture', '')}".strip()
            for pool in threadpool_info()
            if pool["user_api"] == "blas"
        }
    )
    return {
        "cores": core_count(),
        "processor": processor(),
        "system": platform.system(),
        "python": platform.python_version(),
        "blas": blas,
        "versions": versions,
    }


def project_version() -> str:
    """Return the version of fastmtl in this checkout, installed or not."""
    text = (ROOT / "fastmtl" / "_version.py").read_text()
    return text.rpartition("__version__ =")[2].strip().strip('"')


def cache_folder(kernels: Path) -> Path:
    """Return a folder for compiled code named by the text of the kernels.

    Numba does not notice that a callee in another file has changed, so a changed text must mean another folder.
    """
    import hashlib
    import tempfile

    digest = hashlib.sha256()
    for source in sorted(kernels.rglob("*.py")):
        digest.update(source.relative_to(kernels).as_posix().encode() + b"\0" + source.read_bytes() + b"\0")
    return Path(tempfile.gettempdir()) / f"fastmtl-numba-{digest.hexdigest()[:16]}"
