"""Small products run with one BLAS thread, and whatever happens the counts come back."""

import threading

import numpy as np
import pytest

import fastmtl
from fastmtl import _threads
from fastmtl._threads import LARGE, blas_threads, threads_for


class Library:
    """A BLAS library as threadpoolctl shows it."""

    def __init__(self, num_threads):
        self.num_threads = num_threads

    def set_num_threads(self, count):
        self.num_threads = count


@pytest.fixture
def libraries(monkeypatch):
    both = (Library(8), Library(3))
    monkeypatch.setattr(_threads, "_libraries", lambda: both)
    return both


def counts(libraries):
    return [library.num_threads for library in libraries]


def test_only_small_products_are_kept_to_one_thread(libraries):
    with threads_for(0.5 * LARGE):
        assert counts(libraries) == [1, 1] and blas_threads() == 1
        with threads_for(0.5 * LARGE):
            assert counts(libraries) == [1, 1]
        assert counts(libraries) == [1, 1]
    assert counts(libraries) == [8, 3] and blas_threads() == 8
    with threads_for(2.0 * LARGE):
        assert counts(libraries) == [8, 3]


def test_the_last_of_overlapping_runs_restores_the_counts(libraries):
    inside, leave = threading.Event(), threading.Event()

    def run():
        with threads_for(0.0):
            inside.set()
            leave.wait()

    with threads_for(0.0):
        other = threading.Thread(target=run)
        other.start()
        inside.wait()
    assert counts(libraries) == [1, 1]  # the other run is still at work
    leave.set()
    other.join()
    assert counts(libraries) == [8, 3]


@pytest.mark.parametrize("loss", ["squared", "huber"])
def test_a_fit_that_ends_in_an_error_leaves_the_counts_as_they_were(libraries, loss):
    def fails(report):
        raise RuntimeError("stop")

    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((20, 8)), rng.standard_normal((20, 3))
    with pytest.raises(RuntimeError, match="stop"):
        fastmtl.fit(X, Y, alpha=0.01, loss=loss, callback=fails)
    fastmtl.fit(X, Y, alpha=0.01, loss=loss)
    assert counts(libraries) == [8, 3]


def test_the_blas_of_numpy_and_that_of_scipy_are_seen():
    from scipy.linalg import blas  # noqa: F401
    from threadpoolctl import threadpool_info

    pools = {pool["filepath"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    wheels = {path for path in pools if "numpy.libs" in path or "scipy.libs" in path}
    seen = {library.filepath for library in _threads._libraries()}
    assert seen and wheels <= seen <= pools
