"""How many threads matrix products use: all of them for large products, one for small ones.

A product of a few hundred microseconds gains little from a second thread and loses much where the other cores have work of
their own: each of thousands of calls then waits for a thread that is not running.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from typing import Any

LARGE = 2e7
"""Flops of a matrix product from which further threads pay."""


@functools.cache
def _controller() -> Any:
    # NumPy and SciPy may bring a BLAS each; only those that are loaded are found.
    import scipy.linalg.blas  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@functools.cache
def _libraries() -> tuple[Any, ...]:
    """The BLAS libraries of this process."""
    return tuple(_controller().select(user_api="blas").lib_controllers)


def blas_threads() -> int:
    """Threads that matrix products use now."""
    if _ONE_THREAD.is_on:
        return 1
    return max((int(library.num_threads or 1) for library in _libraries()), default=1)


@contextlib.contextmanager
def limit_threads(n_threads: int | None) -> Iterator[None]:
    """Run the body with at most `n_threads` BLAS threads; None leaves them as they are."""
    if n_threads is None:
        yield
        return
    with _controller().limit(limits=int(n_threads)):
        yield


class _OneThread:
    """BLAS works with one thread while anyone is inside: the first in stores the counts, the last out restores them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before: list[tuple[Any, int]] = []

    @property
    def is_on(self) -> bool:
        """Whether anyone is inside."""
        return self._inside > 0

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                counts = [(library, int(library.num_threads or 1)) for library in _libraries()]
                self._before = [(library, count) for library, count in counts if count > 1]
                for library, _ in self._before:
                    library.set_num_threads(1)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                for library, count in self._before:
                    library.set_num_threads(count)


_ONE_THREAD = _OneThread()
_AS_THEY_ARE = contextlib.nullcontext()


def threads_for(flops: float) -> contextlib.AbstractContextManager[None]:
    """A context for a run of products of about `flops` each: one thread where they are small."""
    return _ONE_THREAD if flops < LARGE else _AS_THEY_ARE
