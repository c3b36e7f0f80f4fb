"""Single fits and paths of fastmtl, each with its GEMM units and its measured gap in `extra_info`."""

from __future__ import annotations

import pytest
from measure import TARGET, product_seconds, relative_gap, worst_gap
from problems import FRACTIONS, PATH_ENDS, PATHS, SINGLE_FITS

import fastmtl

ROUNDS = {"rounds": 3, "warmup_rounds": 1}
OPTIONS = {"penalty": "l21", "fit_intercept": False, "tol": TARGET}


@pytest.mark.parametrize("fraction", FRACTIONS)
@pytest.mark.parametrize("name", [case.name for case in SINGLE_FITS])
def test_single_fit(benchmark, problem, threads, name, fraction):
    X, Y, targets = (drawn := problem(name)).X, drawn.Y, drawn.targets
    alpha = fraction * drawn.alpha_max
    result = benchmark.pedantic(
        fastmtl.fit, (X, targets), OPTIONS | {"alpha": alpha, "n_threads": threads}, **ROUNDS
    )
    gap, active = relative_gap(X, Y, result.coef, alpha)
    units = benchmark.stats.stats.median / product_seconds(X, Y).wall
    benchmark.extra_info.update(gap=gap, active=active, gemm_units=round(units, 2))
    assert gap <= TARGET


@pytest.mark.parametrize("end", PATH_ENDS)
@pytest.mark.parametrize("name", [case.name for case in PATHS])
def test_path(benchmark, problem, threads, name, end):
    X, Y = (drawn := problem(name)).X, drawn.Y
    alphas = drawn.alphas(end)
    path = benchmark.pedantic(
        fastmtl.fit_path,
        (X, Y),
        OPTIONS | {"alphas": alphas, "n_threads": threads},
        **(ROUNDS | {"rounds": 2}),
    )
    gap, active = worst_gap(X, Y, (path[i].coef for i in range(len(alphas))), alphas)
    units = benchmark.stats.stats.median / product_seconds(X, Y).wall
    benchmark.extra_info.update(gap=gap, active=active, gemm_units=round(units, 2))
    assert gap <= TARGET


@pytest.mark.parametrize("fraction", FRACTIONS)
def test_small_fit(benchmark, problem, fraction):
    """The target is under 1 ms warm: what is left is overhead."""
    X, Y = (drawn := problem("small")).X, drawn.Y
    alpha = fraction * drawn.alpha_max
    result = benchmark(fastmtl.fit, X, Y, alpha=alpha, **OPTIONS)
    assert relative_gap(X, Y, result.coef, alpha)[0] <= TARGET
