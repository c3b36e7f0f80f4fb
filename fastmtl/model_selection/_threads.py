"""Independent jobs side by side in threads, their results in order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from .._door import Opened
from .._settings import check_number

T = TypeVar("T")


def in_threads(
    run: Callable[..., T], jobs: Iterable[tuple[Any, ...]], opened: Opened, n_jobs: int | None
) -> list[T]:
    """`[run(*job) for job in jobs]`, `n_jobs` at a time; compiled code and BLAS release the interpreter lock.

    One after the other on a device, whose memory they would share.

    joblib starts the threads where it is installed, and so heeds `joblib.parallel_config`.

    Parameters
    ----------
    n_jobs : int or None
        As many as there are cores when None; -1 likewise.
    """
    jobs = list(jobs)
    if opened.backend.gpu is not None:
        n_jobs = 1
    n_workers = min(len(jobs), (os.cpu_count() or 1) if n_jobs in (None, -1) else int(n_jobs))
    if n_workers <= 1:
        return [run(*job) for job in jobs]
    try:
        from joblib import Parallel, delayed
    except ImportError:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(n_workers) as pool:
            try:
                return list(pool.map(lambda job: run(*job), jobs))
            except BaseException:
                pool.shutdown(cancel_futures=True)  # Ctrl-C waits for what runs, not for what is left
                raise
    parallel: Any = Parallel(n_jobs=n_workers, backend="threading")
    return list(parallel(delayed(run)(*job) for job in jobs))


def check_n_jobs(n_jobs: Any) -> None:
    """Raise on a number of jobs that makes no sense."""
    if n_jobs is not None:
        expected = "a whole number >= 1, -1 or None"
        check_number(n_jobs, "n_jobs", expected, lambda jobs: (jobs >= 1 and jobs.is_integer()) or jobs == -1)
