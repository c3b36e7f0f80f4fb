"""Where a fit runs: the one place that decides on a kernel module."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
from collections.abc import Iterator
from typing import Any

BACKENDS = ("auto", "cpu", "gpu")


def choose_backend(backend: str) -> tuple[Any, str, str]:
    """The kernel module for a request, its name, and why it was chosen.

    Raises
    ------
    ValueError
        An unknown name.
    RuntimeError
        An explicit request that cannot be met.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend is {backend!r}; expected one of {', '.join(BACKENDS)}")
    if backend == "gpu":
        if importlib.util.find_spec("cupy") is None:
            raise RuntimeError("backend='gpu' needs CuPy, which is not installed; install fastmtl[gpu], or use backend='auto'")
        raise RuntimeError("backend='gpu' is not available in this version of fastmtl; use backend='auto' or 'cpu'")
    from fastmtl_kernels import cpu

    return cpu, "cpu", "requested" if backend == "cpu" else "the arrays are in host memory"


@functools.cache
def _thread_controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextlib.contextmanager
def limit_threads(n_threads: int | None) -> Iterator[None]:
    """Run the body with at most `n_threads` BLAS threads; None leaves them as they are."""
    if n_threads is None:
        yield
        return
    with _thread_controller().limit(limits=n_threads):
        yield
