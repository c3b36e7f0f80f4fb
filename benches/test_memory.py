"""Array allocations of a fit beyond its inputs, against the bound that the project promises."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

import fastmtl

MIB = 2**20


def allocated(call: Callable[[], Any]) -> tuple[Any, int]:
    """Return the value of the call and the peak of what it allocated."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        value = call()
        return value, tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def allowance(n: int, p: int, t: int, working: int) -> float:
    """64 MiB + the compact set + cached columns, at most a quarter of X and 1 GiB + 10·(n + p)·t numbers."""
    cached = min(p * working, n * p / 4, 2**30 / 8)
    return 64 * MIB + 8 * ((n + working) * working + cached + 10 * (n + p) * t)


@pytest.mark.parametrize(
    ("name", "fraction"), [("iid", 0.1), ("ar9", 0.02), ("many_tasks", 0.1), ("tall", 0.02)]
)
def test_fit(benchmark, problem, name, fraction):
    X, targets = (drawn := problem(name)).X, drawn.targets

    def fit() -> fastmtl.FitResult:
        return fastmtl.fit(X, targets, alpha=fraction * drawn.alpha_max, fit_intercept=False, n_threads=1)

    fit()  # compiled code and thread pools are not the fit's own
    result, peak = benchmark.pedantic(lambda: allocated(fit), rounds=1)
    n, p, t = drawn.case.shape
    working = min(p, 2 * result.n_active + 100)
    bound = allowance(n, p, t, working)
    benchmark.extra_info.update(
        peak_mib=round(peak / MIB, 1),
        bound_mib=round(bound / MIB, 1),
        inputs_mib=round((X.nbytes + targets.nbytes) / MIB, 1),
    )
    assert peak <= bound
