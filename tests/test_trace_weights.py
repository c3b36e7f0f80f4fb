"""The trace norm where tasks weigh differently."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from low_rank_problems import draw

import fastmtl

EPS = np.finfo(float).eps

WEIGHTED = {
    "n > p": ((90, 30, 12), {}),
    "n < p": ((25, 60, 12), {}),
    "no intercept": ((90, 30, 12), {"fit_intercept": False}),
    "offset": ((90, 30, 12), {"offset": np.linspace(-1, 1, 90)}),
    "sample weights": ((90, 30, 12), {"sample_weight": np.r_[np.zeros(5), np.linspace(0.5, 2, 85)]}),
    "standardize": ((90, 30, 12), {"standardize": True}),
    "sum": ((90, 30, 12), {"scale": "sum"}),
    "more tasks than features": ((60, 6, 15), {}),
}


def chosen(problem: Any) -> str:
    """Name of the solver that would be used."""
    from fastmtl.solvers import Settings, choose
    from fastmtl_kernels import cpu

    return type(choose(problem, Settings(cpu))).__name__


def weighted_problem(X: Any, Y: Any, alpha: float, **options: Any) -> Any:
    from fastmtl._door import open_problem

    return open_problem(X, Y, "trace", alpha=alpha, **options).problem


@pytest.mark.parametrize("fraction", [0.4, 0.05])
@pytest.mark.parametrize("name", WEIGHTED)
def test_task_weights_are_solved_by_the_same_reduction(name, fraction):
    """Certified again from its dual point, and where the general solver for tasks ends."""
    from fastmtl.solvers import Settings
    from fastmtl.solvers.task_working_set import TaskWorkingSet
    from fastmtl_kernels import cpu

    shape, options = WEIGHTED[name]
    X, Y = draw(*shape)
    options = {**options, "task_weight": np.linspace(0.3, 3, shape[2])}
    alpha = fraction * fastmtl.alpha_max(X, Y, penalty="trace", **options)
    problem = weighted_problem(X, Y, alpha, **options)
    assert chosen(problem) == "WeightedSpectral"
    res = fastmtl.fit(X, Y, penalty="trace", alpha=alpha, tol=1e-9, **options)
    assert res.status is fastmtl.Status.OPTIMAL
    again = fastmtl.certify(
        X, Y, res.coef, res.intercept, penalty="trace", alpha=alpha, dual=res.dual, **options
    )
    assert again.relative_gap <= 1e-9 + 1e-12
    general = TaskWorkingSet(Settings(cpu, tol=1e-7)).run(problem)
    gaps = general.certificate.gap + res.certificate.gap
    assert abs(general.certificate.primal - res.certificate.primal) <= gaps * (1 + 1e-9)


def test_equal_task_weights_change_nothing():
    X, Y = draw(80, 30, 10)
    alpha = 0.2 * fastmtl.alpha_max(X, Y, penalty="trace")
    plain = fastmtl.fit(X, Y, penalty="trace", alpha=alpha, tol=1e-11)
    equal = fastmtl.fit(X, Y, penalty="trace", alpha=alpha, tol=1e-11, task_weight=np.ones(10))
    bound = plain.certificate.gap + equal.certificate.gap + 64 * EPS * plain.certificate.primal
    assert abs(plain.certificate.primal - equal.certificate.primal) <= bound


def test_a_weighted_path_is_its_single_fits():
    X, Y = draw(80, 30, 10)
    weights = np.linspace(0.5, 2, 10)
    path = fastmtl.fit_path(X, Y, penalty="trace", n_alphas=6, eps=0.05, task_weight=weights, tol=1e-9)
    for alpha, step in zip(path.alphas, path, strict=True):
        one = fastmtl.fit(X, Y, penalty="trace", alpha=float(alpha), task_weight=weights, tol=1e-9)
        bound = one.certificate.gap + step.certificate.gap + 1e-12
        assert step.certificate.relative_gap <= 1e-9
        assert abs(step.certificate.primal - one.certificate.primal) <= bound


def test_what_is_no_product_of_weights_goes_elsewhere():
    X, Y = draw(60, 20, 6)
    rng, c = np.random.default_rng(0), np.linspace(0.5, 2, 6)
    gaps = Y.copy()
    gaps[3, 2] = np.nan
    for data, options in (
        (gaps, {"task_weight": c}),
        (Y, {"sample_weight": rng.uniform(0.5, 1, Y.shape)}),
        ((Y > 0).astype(float), {"loss": "logistic"}),
    ):
        assert chosen(weighted_problem(X, data, 0.1, **options)) != "WeightedSpectral"
    without = np.r_[0.0, c[1:]]
    res = fastmtl.fit(X, Y, penalty="trace", alpha=0.05, task_weight=without, tol=1e-8)
    assert res.certificate.relative_gap <= 1e-8 and not res.coef[:, 0].any()


def test_a_weighted_fit_in_float32_with_a_callback_and_an_interrupt():
    X, Y = draw(80, 30, 10)
    options: dict[str, Any] = {"penalty": "trace", "task_weight": np.linspace(0.5, 2, 10)}
    alpha = 0.05 * fastmtl.alpha_max(X, Y, **options)
    single = fastmtl.fit(X.astype(np.float32), Y, alpha=alpha, tol=1e-5, **options)
    assert single.coef.dtype == np.float32 and single.certificate.relative_gap <= 1e-5
    uneven = X * np.logspace(-4, 4, 30)
    small = 1e-3 * fastmtl.alpha_max(uneven, Y, **options)
    with pytest.warns(fastmtl.ConvergenceWarning, match="callback"):
        fastmtl.fit(uneven, Y, alpha=small, tol=1e-9, callback=lambda report: True, **options)

    def interrupt(report: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(fastmtl.FitInterrupted) as caught:
        fastmtl.fit(uneven, Y, alpha=small, tol=1e-9, callback=interrupt, **options)
    assert caught.value.result.status is fastmtl.Status.INTERRUPTED
    X[3, 4] = np.nan
    with pytest.raises(ValueError, match=r"X.*\[3, 4\]"):
        fastmtl.fit(X, Y, alpha=alpha, **options)
