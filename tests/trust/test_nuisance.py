"""Intercepts and unpenalised features: fitted to the last digit, kept out of dual points, whatever the loss and its domain."""

from __future__ import annotations

import numpy as np
import pytest
from engine_cases import P, regression

from fastmtl._door import open_problem
from fastmtl.losses import Huber
from fastmtl.nuisance import Nuisance, nuisance, null_gradient, solve
from fastmtl.penalties import L21
from fastmtl.task_certificate import evaluate_task, task_bound

X, Y = regression()
N, T = Y.shape
EPS = float(np.finfo(float).eps)
RNG = np.random.default_rng(3)
TARGETS = {
    "squared": ("squared", np.where(RNG.random(Y.shape) < 0.1, np.nan, Y)),
    "huber": (Huber(0.05), Y),
    "logistic": ("logistic", (Y.mean(axis=0) < Y).astype(float)),
    "poisson": ("poisson", np.round(np.exp(np.clip(0.8 * Y, -2, 4)))),
    "multinomial": ("multinomial", RNG.integers(0, 3, (N, 1)).astype(float)),
    "mixed": (
        ["poisson", "logistic", "squared"],
        np.stack([np.round(np.exp(0.3 * Y[:, 0])), (Y[:, 1] > 2) * 1.0, Y[:, 2]], 1),
    ),
}
LOSSES = pytest.mark.parametrize("name", TARGETS)
FREE = {"free": [0.0] * 3 + [1.0] * 9, "none": None}


def problem_of(name: str, free: str = "free", fit_intercept: bool = True, own: bool = False):
    """A problem under a loss, with three unpenalised features or none, on one design or on one a task."""
    loss, targets = TARGETS[name]
    data, weights = X, RNG.uniform(0.3, 2.0, N)
    if own and name not in ("multinomial", "squared"):
        data = [X[c:] + 0.1 * c for c in range(T)]
        targets, weights = [targets[c:, c] for c in range(T)], [weights[c:] for c in range(T)]
    penalty = L21(0.05, feature_weights=FREE[free])
    return open_problem(
        data, targets, penalty, loss=loss, sample_weight=weights, fit_intercept=fit_intercept
    ).problem


def columns(problem) -> np.ndarray:
    """A (N, f t): what every parameter adds to the flat predictions."""
    own = nuisance(problem)
    f = own.ones + len(own.free)
    out = []
    for k in range(f * problem.n_tasks):
        one = np.zeros(f * problem.n_tasks)
        one[k] = 1.0
        out.append(own.predict(one.reshape(f, problem.n_tasks)))
    return np.stack(out, axis=1) if out else np.empty((problem.design.shape[0], 0))


@LOSSES
@pytest.mark.parametrize("free", FREE)
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("own", [False, True])
def test_the_products_are_those_of_one_matrix(name, free, fit_intercept, own):
    problem = problem_of(name, free, fit_intercept, own)
    made, A = nuisance(problem), columns(problem)
    assert nuisance(problem) is made
    f, t = made.ones + len(made.free), problem.n_tasks
    rng = np.random.default_rng(0)
    a, weight = rng.standard_normal(problem.design.shape[0]), rng.uniform(0.1, 1.0, problem.design.shape[0])
    np.testing.assert_allclose(made.correlate(a).ravel(), A.T @ a, atol=1e-11)
    full = (A.T @ (weight[:, None] * A)).reshape(f, t, f, t)
    for c in range(t):
        np.testing.assert_allclose(made.grams(weight)[c], full[:, c, :, c], atol=1e-11)
    coef = rng.standard_normal((f, t))
    np.testing.assert_allclose(made.predict(coef), A @ coef.ravel(), atol=1e-12)
    assert made.violation(a) == pytest.approx(np.abs(A.T @ (problem.omega * a)).max(initial=0.0), rel=1e-9)
    shared = X[:, :3] if not own and free == "free" else None
    if shared is not None and not fit_intercept and name != "squared":
        np.testing.assert_allclose(made.predict(coef), (shared @ coef).ravel(order="F"), atol=1e-12)


@LOSSES
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("own", [False, True])
def test_the_null_fit_is_stationary(name, fit_intercept, own):
    """From the usual start and from far away: the gradient of every column is rounding of its terms."""
    problem = problem_of(name, "free", fit_intercept, own)
    made, A = nuisance(problem), np.abs(columns(problem))
    least = problem.loss_value(made.null_fit())
    assert np.array_equal(made.null_fit(), made.predict(made.null_coef))
    f = made.ones + 3
    for start in (made.null_coef, 2.0 * np.random.default_rng(1).standard_normal((f, problem.n_tasks))):
        coef = made.fit(start)
        pull = problem.omega * problem.loss_gradient(made.predict(coef))
        # The Hessian of classes is a bound: their last steps are no longer quadratic.
        share = 1e-10 if name == "multinomial" else 1e-13
        assert np.abs(made.correlate(pull)).max() <= share * (A.T @ np.abs(pull)).max()
        assert problem.loss_value(made.predict(coef)) == pytest.approx(least, rel=1e-10)


@LOSSES
@pytest.mark.parametrize("free", FREE)
@pytest.mark.parametrize("own", [False, True])
def test_dual_points_are_feasible(name, free, own):
    """From anywhere: orthogonal to what is not penalised, in the domain of the conjugates; what is feasible is left alone."""
    problem = problem_of(name, free, True, own)
    made, A = nuisance(problem), np.abs(columns(problem))
    rng = np.random.default_rng(2)
    size = problem.design.shape[0]
    starts = [
        -problem.loss_gradient(rng.standard_normal(size)),
        -problem.loss_gradient(5.0 * rng.standard_normal(size)),
    ]
    starts += [0.1 * rng.standard_normal(size), 30.0 * rng.standard_normal(size), np.zeros(size)]
    for theta in starts:
        point = made.dual_point(theta)
        allowed = 1e-13 * (1.0 + (A.T @ np.abs(problem.omega * point)).max())
        assert made.violation(point) <= allowed
        assert np.isfinite(problem.loss_conjugate(-point))
        again = made.dual_point(point)
        np.testing.assert_allclose(again, point, atol=1e-10 * (1.0 + np.abs(point).max()))
    null = -problem.loss_gradient(made.null_fit())
    np.testing.assert_allclose(made.dual_point(null), null, atol=1e-9 * (1.0 + np.abs(null).max()))
    # A point little outside is mixed with little of the inner one.
    near = made.dual_point(1.02 * null)
    np.testing.assert_allclose(near, null, atol=0.1 * np.abs(null).max())


@LOSSES
@pytest.mark.parametrize("free", FREE)
def test_the_null_gradient_ends_the_path(name, free):
    """At its alpha_max the null fit is optimal, which its certificate proves."""
    problem = problem_of(name, free)
    V = null_gradient(problem)
    made = nuisance(problem)
    np.testing.assert_array_equal(V[problem.free], 0.0)
    expected = problem.correlate(-problem.loss_gradient(made.null_fit()))
    expected[problem.free] = 0.0
    np.testing.assert_allclose(V, expected, atol=1e-10)
    top = problem.penalty.alpha_max(V)
    at = problem.restricted(np.arange(P), problem.penalty.with_alpha(1.0001 * top), 0, problem.n_tasks)
    W = np.zeros((P, problem.n_tasks))
    W[problem.free] = made.null_coef[made.ones :]
    check = evaluate_task(at, W, made.null_coef[0])
    assert check.certificate.relative_gap <= 1e-9


@LOSSES
def test_the_best_scale_along_a_dual_point(name):
    """No multiple on a grid does better than the scale found, when the loss is the squared one; else none up to one."""
    problem = problem_of(name, "none")
    rng = np.random.default_rng(4)
    for scale in (0.02, 0.3, 2.0):
        Z = problem.design.predict(scale * rng.standard_normal((P, problem.n_tasks)))
        Z = Z + problem.design.spread(problem.best_intercepts(Z))
        theta = nuisance(problem).dual_point(-problem.loss_gradient(Z))
        V = problem.correlate(theta)
        value, found = task_bound(problem, theta, V, Z)
        limit, conjugate = problem.penalty.conjugate_along(V)
        assert 0.0 <= found <= limit
        if found > 0.0:
            assert value == pytest.approx(
                -problem.loss_conjugate(-found * theta) - conjugate(found), rel=1e-12
            )
        tried = np.linspace(0.0, min(limit, 3.0), 200)[1:] if problem.is_quadratic else [min(1.0, limit)]
        for a in tried:
            assert -problem.loss_conjugate(-a * theta) - conjugate(min(a, limit)) <= value * (1 + 1e-12)
        assert task_bound(problem, theta, V)[0] <= value
        assert task_bound(problem, -theta, -V, Z)[0] >= 0.0


def test_the_scale_of_a_check_of_squares():
    """`(|P| + 2 |D| + sum omega |theta y|) / P(0)`: the terms that rounding is relative to."""
    problem = problem_of("squared", "none")
    W = 0.1 * np.ones((P, T))
    b = problem.best_intercepts(problem.design.predict(W))
    check = evaluate_task(problem, W, b)
    Z = problem.design.predict(W) + problem.design.spread(b)
    theta = nuisance(problem).dual_point(-problem.loss_gradient(Z))
    terms = (
        abs(check.certificate.primal)
        + 2 * abs(check.certificate.dual)
        + problem.omega @ np.abs(theta * problem.y)
    )
    assert check.certificate.scale == pytest.approx(terms / problem.null_value, rel=1e-9)


def test_symmetric_systems_with_what_they_do_not_reach():
    """The least solution of every column; rows of zeros, dependent rows and sizes far apart among them."""
    rng = np.random.default_rng(0)
    for f in (1, 2, 4):
        A = rng.standard_normal((5, 9, f))
        A[1] = 0.0
        A[2, :, -1] = 0.0
        if f > 1:
            A[3, :, 1] = A[3, :, 0]
        grams, right = A.transpose(0, 2, 1) @ A, rng.standard_normal((f, 5))
        for size in (np.ones(f), 10.0 ** np.arange(0, 6 * f, 6)[:f]):
            scaled = grams * size[:, None] * size[None, :]
            reached = np.stack(
                [G @ np.linalg.pinv(G, hermitian=True) @ r for G, r in zip(grams, right.T, strict=True)], 1
            )
            x = solve(scaled, size[:, None] * reached)
            back = np.stack([G @ (size * c) for G, c in zip(grams, x.T, strict=True)], axis=1)
            np.testing.assert_allclose(back, reached, atol=1e-9)
            assert not x[:, 1].any() and not x[-1, 2].any()
            if f > 1:
                np.testing.assert_allclose(size[0] * x[0, 3], size[1] * x[1, 3], rtol=1e-6)


def test_nothing_to_fit():
    """Without intercepts and free features all of it is empty, and every point is its own projection."""
    problem = problem_of("logistic", "none", fit_intercept=False)
    made = Nuisance(problem)
    theta = -0.5 * problem.loss_gradient(np.random.default_rng(0).standard_normal(problem.design.shape[0]))
    assert made.null_coef.shape == (0, T) and not made.null_fit().any() and made.violation(theta) == 0.0
    np.testing.assert_array_equal(made.dual_point(theta), problem.project_dual(theta))


@LOSSES
def test_steps_that_are_kept_halve_the_gradient(name):
    """Polishing moves a column only by what halves its gradient; the others stay where they were, to the bit."""
    problem = problem_of(name)
    made, A = nuisance(problem), np.abs(columns(problem))
    for seed in range(4):
        coef = made.null_coef + 0.3 * seed * np.random.default_rng(seed).standard_normal(made.null_coef.shape)
        Z = made.predict(coef)
        after = made._polished(coef, Z)
        before, left = (np.abs(made._pull(made.predict(c))).max(axis=0) for c in (coef, after))
        moved = (after != coef).any(axis=0)
        rounding = 64 * EPS * (A.T @ np.abs(problem.omega * problem.loss_gradient(Z))).max()
        assert (left[moved] <= 0.5 * before[moved] + rounding).all()
        assert problem.loss_value(made.predict(after)) <= problem.loss_value(Z) * (1 + 1e-11)


@pytest.mark.parametrize("own", [False, True])
def test_newton_on_squares_needs_one_step(own, monkeypatch):
    """From anywhere: one step, one that finds nothing to do, and what polishes."""
    data = [X[c:] + 0.1 * c for c in range(T)] if own else X
    targets = [Y[c:, c] for c in range(T)] if own else TARGETS["squared"][1]
    problem = open_problem(data, targets, L21(0.05, feature_weights=FREE["free"])).problem
    made, calls, evaluated = Nuisance(problem), [], Nuisance._pull
    monkeypatch.setattr(Nuisance, "_pull", lambda self, Z: calls.append(1) or evaluated(self, Z))
    for start in (made.null_coef, 1e3 * np.random.default_rng(0).standard_normal((4, T))):
        calls.clear()
        np.testing.assert_allclose(made.fit(start), made.null_coef, atol=1e-9)
        assert len(calls) <= 5


@pytest.mark.parametrize("name", ["huber", "logistic", "poisson", "multinomial"])
def test_newton_on_other_losses_needs_few_steps(name, monkeypatch):
    problem = problem_of(name)
    made, calls, evaluated = Nuisance(problem), [], Nuisance._pull
    monkeypatch.setattr(Nuisance, "_pull", lambda self, Z: calls.append(1) or evaluated(self, Z))
    start = np.zeros((4, problem.n_tasks))
    start[0] = problem.null_intercepts
    made.fit(start)
    # The Hessian of classes is a bound, with which the descent is linear; in the tails of Huber's loss there is none.
    assert len(calls) <= {"multinomial": 100, "huber": 50}.get(name, 20)


@pytest.mark.parametrize("kind", ["gaps", "own"])
def test_targets_that_are_constant_are_fitted_by_intercepts_alone(kind):
    levels = np.array([3.0, -2.0, 1e6])
    if kind == "own":
        problem = open_problem(
            [X] * 3, [np.full(N, level) for level in levels], L21(0.1, feature_weights=FREE["free"])
        ).problem
    else:
        targets = np.where(np.eye(N, 3, dtype=bool), np.nan, levels)
        problem = open_problem(X, targets, L21(0.1, feature_weights=FREE["free"])).problem
    made = nuisance(problem)
    np.testing.assert_allclose(made.null_fit(), problem.design.spread(levels), rtol=1e-13)
    assert np.abs(made.null_coef[1:] / levels).max() <= 1e-13 and problem.null_value == 0.0


@pytest.mark.parametrize("name", ["logistic", "poisson", "huber", "multinomial"])
def test_points_outside_are_mixed_with_no_more_than_they_need(name):
    """What is far outside the domain keeps a part of itself; a little less of the inner point would not do."""
    problem = problem_of(name)
    made = nuisance(problem)
    inner = made._inner
    assert not made._outside(inner).any() and made.violation(inner) <= 1e-13
    np.testing.assert_allclose(
        inner, -0.5 * problem.loss_gradient(made.null_fit()), atol=1e-9 * (1 + np.abs(inner).max())
    )
    every = np.ones(problem.n_tasks, dtype=bool)
    for seed, size in enumerate((2.0, 30.0)):
        theta = made._projected(size * np.random.default_rng(seed).standard_normal(problem.design.shape[0]))
        outside = made._outside(theta)
        point = made.dual_point(theta)
        assert outside.any() and (problem.design.sums(problem.omega * point**2) > 0.0).all()
        # The share of the inner point in every column, by least squares along the segment.
        way = inner - theta
        share = problem.design.sums(way * (point - theta)) / problem.design.sums(way * way)
        np.testing.assert_allclose(point, theta + problem.design.spread(share) * way, atol=1e-8 * size)
        np.testing.assert_array_equal(share > 1e-12, outside)
        less = made._outside(made._mixed(theta, np.log(np.maximum(share, 1e-15)) - 0.009, every))
        assert less[outside].any() if problem.parts[0].loss.joint else less[outside].all()


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_constraints_are_judged_free_of_units(size):
    """Whether unpenalised columns are kept does not depend on their sizes: where they interpolate, nothing is left but zero."""
    scaled = np.where(np.arange(P) < 3, size, 1.0) * X
    few = [scaled[:4], scaled]
    problem = open_problem(few, [Y[:4, 0], Y[:, 1]], L21(0.1, feature_weights=FREE["free"])).problem
    made = nuisance(problem)
    point = made.dual_point(np.random.default_rng(0).standard_normal(4 + N))
    assert not point[:4].any() and point[4:].any() and not made._broken(point).any()
    ruined = point + np.r_[np.zeros(4), 1e-9 * scaled[:, 1] / size]
    np.testing.assert_array_equal(made._broken(ruined), [False, True])
    rough = point * (1.0 + 2e-16 * np.random.default_rng(1).standard_normal(4 + N))
    assert not made._broken(rough).any()
    again = made._projected_exactly(ruined, np.array([False, True]))
    assert not made._broken(again).any() and np.array_equal(again[:4], ruined[:4])
    np.testing.assert_allclose(again, point, atol=1e-12)
