"""skglm's estimator with our solver plugged in, against skglm's own solvers and its own objective."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fastmtl
from fastmtl.adapters.skglm import PENALTIES, Solver

skglm = pytest.importorskip("skglm", reason="skglm is not installed")
from skglm import GeneralizedLinearEstimator, datafits, penalties, solvers  # noqa: E402  (after the skip)

N, P, T = 60, 30, 3
PTR, INDICES = (
    np.arange(0, P + 1, 5, dtype=np.int32),
    np.random.default_rng(9).permutation(P).astype(np.int32),
)
WEIGHTS = np.linspace(0.5, 2.0, P)


def data(kind, seed=0):
    rng = np.random.default_rng(seed)
    X = np.asfortranarray(rng.standard_normal((N, P)))
    Z = X[:, :4] @ rng.standard_normal((4, T)) + 0.5 * rng.standard_normal((N, T)) + 0.3
    y = {"many": Z, "one": Z[:, 0], "binary": np.sign(Z[:, 0]), "counts": np.floor(np.exp(0.3 * Z[:, 0]))}[
        kind
    ]
    return X, np.asfortranarray(y)


def problems():
    """(datafit, penalty, kind of y) that skglm can state and we can solve."""
    weights = np.linspace(0.5, 1.5, N)
    groups = penalties.WeightedGroupL2(0.05, np.sqrt(np.full(6, 5.0)), PTR, INDICES)
    sparse = penalties.WeightedL1GroupL2(0.05, np.ones(6), WEIGHTS, PTR, INDICES)
    return [
        (datafits.QuadraticMultiTask(), penalties.L2_1(0.2), "many"),
        (datafits.Quadratic(), penalties.L1(0.1), "one"),
        (datafits.Quadratic(), penalties.L1(0.1, positive=True), "one"),
        (datafits.Quadratic(), penalties.L1_plus_L2(0.1, 0.5), "one"),
        (datafits.Quadratic(), penalties.WeightedL1(0.1, WEIGHTS), "one"),
        (datafits.WeightedQuadratic(weights), penalties.L1(0.1), "one"),
        (datafits.QuadraticGroup(PTR, INDICES), groups, "one"),
        (datafits.QuadraticGroup(PTR, INDICES), sparse, "one"),
        (datafits.Logistic(), penalties.L1(0.02), "binary"),
        (datafits.Huber(1.0), penalties.L1(0.1), "one"),
        (datafits.Poisson(), penalties.L1(0.05), "counts"),
    ]


PROBLEMS = problems()


def name(problem):
    return f"{type(problem[0]).__name__}-{type(problem[1]).__name__}-{getattr(problem[1], 'positive', '')}"


def objective(datafit, penalty, X, y, coef, intercept):
    Z = X @ coef + intercept
    return float(datafit.value(y, coef, Z) + penalty.value(coef))


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("problem", PROBLEMS, ids=name)
def test_the_estimator_reaches_a_stationary_point_of_its_own_objective(problem, fit_intercept):
    datafit, penalty, kind = problem
    X, y = data(kind)
    model = GeneralizedLinearEstimator(datafit, penalty, Solver(tol=1e-10, fit_intercept=fit_intercept)).fit(
        X, y
    )
    coef = model.coef_[0] if kind == "binary" else model.coef_
    assert model.stop_crit_ <= 1e-10 and (np.all(model.intercept_ == 0) != fit_intercept)
    least = objective(datafit, penalty, X, y, coef, model.intercept_)
    # A convex function that decreases nowhere around a point has its minimum there, up to the gap.
    rng = np.random.default_rng(1)
    slack = 1e-9 * max(1.0, abs(least))
    for size in (1e-1, 1e-3):
        for _ in range(20):
            off, up = (
                size * rng.standard_normal(coef.shape),
                size * rng.standard_normal(np.shape(model.intercept_)),
            )
            moved = np.maximum(coef + off, 0.0) if getattr(penalty, "positive", False) else coef + off
            assert (
                objective(datafit, penalty, X, y, moved, model.intercept_ + fit_intercept * up)
                >= least - slack
            )


@pytest.mark.slow  # skglm compiles its own solvers anew in every process
@pytest.mark.parametrize("problem", PROBLEMS[:1] + PROBLEMS[6:7], ids=name)
def test_skglm_s_own_solvers_find_the_same_objective(problem):
    datafit, penalty, kind = problem
    X, y = data(kind)
    theirs = (solvers.MultiTaskBCD if kind == "many" else solvers.GroupBCD)(tol=1e-9, fit_intercept=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = GeneralizedLinearEstimator(datafit, penalty, theirs).fit(X, y)
    ours = GeneralizedLinearEstimator(datafit, penalty, Solver(tol=1e-10)).fit(X, y)
    values = [objective(datafit, penalty, X, y, model.coef_, model.intercept_) for model in (ours, peer)]
    assert abs(values[0] - values[1]) <= 1e-8 * values[0]


@pytest.mark.parametrize("kind", ["many", "binary", "tiny", "huge"])
def test_objectives_are_those_of_every_outer_iteration(kind):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, 20 * P)) + rng.standard_normal((N, 1))
    size = {"tiny": 1e-80, "huge": 1e80}.get(kind, 1.0)  # where fits scale their targets
    Y = size * (X[:, :T] + rng.standard_normal((N, T)))
    if kind == "binary":
        datafit, penalty, Y = datafits.Logistic(), penalties.L1(0.01), np.sign(Y[:, 0])
    else:
        datafit, penalty = datafits.QuadraticMultiTask(), penalties.L2_1(0.02 * size)

    def solved(max_iter):
        coefs, found, _ = Solver(tol=1e-12, max_iter=max_iter).solve(X, Y, datafit, penalty)
        assert found[-1] == pytest.approx(objective(datafit, penalty, X, Y, coefs[:-1], coefs[-1]), rel=1e-12)
        return found

    whole = solved(1000)
    assert len(whole) > 2
    for k in (1, len(whole) - 1):
        with pytest.warns(fastmtl.ConvergenceWarning):
            np.testing.assert_array_equal(solved(k), whole[:k])


def test_a_fit_starts_from_the_last():
    X, y = data("many")
    model = GeneralizedLinearEstimator(
        datafits.QuadraticMultiTask(), penalties.L2_1(0.1), Solver(fit_intercept=False, warm_start=True)
    ).fit(X, y)
    first = model.coef_.copy()
    assert model.fit(X, y).n_iter_ == 1 and np.allclose(first, model.coef_, atol=1e-3 * np.abs(first).max())


def test_what_is_not_convex_is_refused_by_name():
    X, y = data("many")
    with pytest.raises(TypeError, match="BlockMCPenalty"):
        GeneralizedLinearEstimator(
            datafits.QuadraticMultiTask(), penalties.BlockMCPenalty(0.1, 3.0), Solver()
        ).fit(X, y)
    with pytest.raises(TypeError, match="Gamma"):
        GeneralizedLinearEstimator(datafits.Gamma(), penalties.L1(0.1), Solver()).fit(
            X, 1.0 + np.abs(y[:, 0])
        )
    assert {"L2_1", "WeightedGroupL2"} <= set(PENALTIES)
