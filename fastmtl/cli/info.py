"""`info`: what a bug report or a benchmark must say about the machine."""

from __future__ import annotations

import importlib.util
import os
import platform
from importlib import metadata

from .._version import __version__

PACKAGES = ("numpy", "numba", "scipy", "threadpoolctl", "scikit-learn", "pandas", "polars", "tqdm")


def report() -> str:
    """Versions, threads, GPU and the folder of compiled code, a line each."""
    entries = [
        ("fastmtl", __version__),
        ("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
    ]
    entries += [(package, _version(package)) for package in PACKAGES]
    entries += [
        ("processors", str(_processors())),
        *_blas(),
        ("gpu", _gpu()),
        ("speeds", _speeds()),
        ("cache folder", _cache_folder()),
    ]
    width = max(len(name) for name, _ in entries)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in entries)


def calibrate() -> str:
    """Measure and store the speeds by which `backend="auto"` decides; a sentence saying what was measured and where."""
    from .. import _cost
    from ..backend import calibrate as measure

    constants, gpu = measure()
    return f"measured: {constants}\nGPU: {gpu}\nstored in {_cost.store(constants)}\n"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _blas() -> list[tuple[str, str]]:
    """Every BLAS library in the process with its threads."""
    import numpy.linalg  # noqa: F401  (loads NumPy's)
    import scipy.linalg  # noqa: F401  (loads SciPy's, often another copy)
    from threadpoolctl import threadpool_info

    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    lines = [f"{pool['internal_api']} {pool['version']}, {pool['num_threads']} threads" for pool in pools]
    return [("blas", line) for line in dict.fromkeys(lines)] or [
        ("blas", "none found; its threads cannot be limited")
    ]


def _gpu() -> str:
    if importlib.util.find_spec("cupy") is None:
        return "none: CuPy is not installed; pip install 'fastmtl[gpu]' (CUDA 13) or 'fastmtl[gpu-cuda12]'"
    try:
        from fastmtl_kernels import gpu
    except ImportError as error:
        return f"none: {error}"
    return gpu.probe().reason


def _speeds() -> str:
    """Where the constants of the cost model come from."""
    from .. import _cost

    place = _cost.folder() / "speeds.json"
    return (
        f"{place}"
        if place.exists()
        else "defaults; python -m fastmtl info --calibrate measures this machine's"
    )


def _cache_folder() -> str:
    """Where compiled kernels are kept between processes."""
    from fastmtl_kernels.cpu import cache_folder

    folder = cache_folder()
    return folder or "none: no folder can be written; every process compiles anew (set NUMBA_CACHE_DIR)"
