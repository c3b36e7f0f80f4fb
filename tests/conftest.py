"""Threads and compiled code for the tests; both must be settled before NumPy and Numba are loaded."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

KERNELS = Path(__file__).resolve().parent.parent / "kernels"


def _cache_folder() -> Path:
    """A folder for compiled code named by the text of the kernels.

    Numba does not notice that a callee in another file has changed, so a changed text must mean another folder. A base
    given by the environment is kept: the folder is then inside it.
    """
    digest = hashlib.sha256()
    for source in sorted(KERNELS.rglob("*.py")):
        digest.update(source.relative_to(KERNELS).as_posix().encode() + b"\0" + source.read_bytes() + b"\0")
    base = Path(os.environ.get("NUMBA_CACHE_DIR") or tempfile.gettempdir())
    return base / f"fastmtl-numba-{digest.hexdigest()[:16]}"


os.environ["NUMBA_CACHE_DIR"] = str(_cache_folder())
# Two or more threads on the tiny problems of the tests cost time and, on a shared machine, a lot of it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
