"""Certificates spelled out: every number of a check recomputed from the data, for any coefficients and any candidate."""

from __future__ import annotations

import math

import numpy as np
import pytest
from engine_cases import PENALTIES, P, regression

import fastmtl
from fastmtl._door import open_problem
from fastmtl.certificate import evaluate, evaluate_factored, recheck
from fastmtl.losses import Huber, Logistic
from fastmtl.penalties import L21, Trace
from fastmtl.task_certificate import check_point, evaluate_task

X, Y = regression()
N, T = Y.shape
EPS = float(np.finfo(float).eps)
RNG = np.random.default_rng(5)
WEIGHTS = RNG.uniform(0.2, 2.0, N)
COUNTS = np.round(np.exp(np.clip(0.4 * Y, -2, 3)))
CLASSES = (Y.mean(axis=0) < Y).astype(float)
OFFSET = 0.3 * RNG.standard_normal((N, T))
CASES = [pytest.param(penalty, id=name) for name, penalty in PENALTIES.items()]
CASES += [
    pytest.param(Trace(), id="trace"),
    pytest.param(Trace(ridge=0.3), id="trace_ridge"),
    pytest.param(L21(feature_weights=[0.0] * 2 + [1.0] * 10, positive=True), id="positive_free"),
    pytest.param(L21(l1_ratio=1 - 1e-9, feature_weights=[0.0] * 3 + [1.0] * 9), id="tiny_ridge_free"),
]
LOSSES = {
    "logistic": ("logistic", CLASSES),
    "huber": (Huber(0.4), Y),
    "poisson": ("poisson", COUNTS),
    "squared": ("squared", np.where(RNG.random(Y.shape) < 0.1, np.nan, Y)),
    "mixed": (["squared", "logistic", Huber(0.5)], np.stack([Y[:, 0], CLASSES[:, 1], Y[:, 2]], axis=1)),
    "multinomial": ("multinomial", RNG.integers(0, 3, (N, 1)).astype(float)),
}
ROWS = {
    "free": L21(feature_weights=[0.0] * 2 + [1.0] * 10),
    "l1": fastmtl.penalties.L1(),
    "ridge": L21(l1_ratio=0.5),
    "trace": Trace(),
}


def coefficients(penalty, scale: float, t: int = T) -> np.ndarray:
    """W (P, t) in the domain of the penalty, rows of zeros among them."""
    W = scale * np.random.default_rng(9).standard_normal((P, t))
    W[penalty.excluded(P)] = W[4:7] = 0.0
    return np.abs(W) if getattr(penalty, "positive", False) else W


def relevant(penalty, V: np.ndarray) -> np.ndarray:
    """V without what equality and sign constraints leave of the unpenalised features' part."""
    V, free = V.copy(), penalty.free(P)
    V[free] = np.minimum(V[free], 0.0) if getattr(penalty, "positive", False) else 0.0
    return V


@pytest.mark.parametrize("penalty", CASES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_every_number_of_a_check(penalty, weighted, fit_intercept):
    """Primal and dual from the coefficients and the dual point, by the formulas of the module."""
    omega = WEIGHTS / WEIGHTS.sum() if weighted else np.full(N, 1 / N)
    b = Y.mean(axis=0) if fit_intercept else np.zeros(T)
    for alpha in (0.02, 0.4):
        keywords = dict(sample_weight=WEIGHTS if weighted else None, fit_intercept=fit_intercept)
        problem = open_problem(X, Y, penalty, alpha=alpha, **keywords).problem
        base = penalty.with_alpha(alpha)
        fine = fastmtl.fit(X, Y, penalty, alpha=alpha, tol=1e-10, **keywords)
        for W in (0 * X[:P, :T], coefficients(base, 0.05), coefficients(base, 1.0), fine.coef):
            check = evaluate(problem, W, b)
            found, R = check.certificate, Y - X @ W - b
            loss = 0.5 * float((omega[:, None] * R * R).sum())
            assert check.loss == pytest.approx(loss, rel=1e-12)
            assert found.primal == pytest.approx(loss + base.value(W), rel=1e-12)
            root = np.sqrt(omega)[:, None]
            theta = check.bound.scale * check.direction / (root if weighted else 1.0)
            pull = omega[:, None] * theta
            V = X.T @ pull
            size = np.abs(X).T @ np.abs(pull)
            inside = relevant(base, V) * (1 - 64 * EPS)
            if base.lower(P) is not None:
                # Products of N terms, taken here in another order: rounding is relative to their sizes, not to what is left.
                inside = np.sign(inside) * np.maximum(np.abs(inside) - N * EPS * size, 0.0)
            dual = (pull * Y).sum() - 0.5 * (pull * theta).sum() - base.conjugate(inside)
            slack = 1e-11 * found.scale * problem.null_value
            # The conjugate of a tiny ridge turns rounding of V into a large number: there the bound is one from above.
            assert found.dual == pytest.approx(dual, abs=slack) or penalty.l1_ratio == 1 - 1e-9
            assert found.dual <= fine.certificate.primal + slack
            assert found.gap == pytest.approx(abs(found.primal - found.dual), abs=1e-300)
            assert found.relative_gap == pytest.approx(found.gap / problem.null_value)
            if fit_intercept:
                assert np.abs(pull.sum(axis=0)).max() <= 64 * EPS * np.abs(pull).sum()
            free = base.free(P)
            over = np.maximum(V[free], 0.0) if getattr(base, "positive", False) else np.abs(V[free])
            assert (over <= 1e-12 * (1.0 + size[free])).all() and 0.0 <= found.infeasibility <= 1e-12 * (
                1 + size.max()
            )
            np.testing.assert_allclose(
                check.scores,
                X.T @ (omega[:, None] * check.residual / (root if weighted else 1.0)),
                atol=1e-12,
            )
            assert (check.norms is None) == (base.block_norms(check.scores) is None)


@pytest.mark.parametrize("penalty", CASES)
def test_rows_and_strengths_and_candidates(penalty):
    base, b = penalty.with_alpha(0.3), Y.mean(axis=0)
    problem = open_problem(X, Y, base).problem
    W = coefficients(base, 0.3)
    rows = np.flatnonzero(W.any(axis=1))
    check = evaluate(problem, W, b)
    for some in (rows, np.arange(P), np.arange(P)[::-1]):
        other = evaluate(problem, W[some], b, some)
        assert other.certificate.primal == pytest.approx(check.certificate.primal, rel=1e-13)
        assert other.certificate.dual == pytest.approx(check.certificate.dual, rel=1e-9)
    for alpha in (0.1, 0.3, 0.8):
        at = open_problem(X, Y, base.with_alpha(alpha)).problem
        again, fresh = recheck(at, check, W[rows], rows), evaluate(at, W, b)
        assert again.certificate.primal == pytest.approx(fresh.certificate.primal, rel=1e-13)
        assert again.certificate.dual == pytest.approx(fresh.certificate.dual, rel=1e-9)
        assert again.loss == check.loss and again.bound.scale == pytest.approx(fresh.bound.scale, rel=1e-9)
    best = fastmtl.fit(X, Y, base, tol=1e-10)
    exact = Y - X @ best.coef - best.intercept
    helped = evaluate(problem, W, b, candidate=exact)
    assert helped.certificate.dual == pytest.approx(best.certificate.dual, rel=1e-8)
    assert evaluate(problem, W[rows], b, rows, exact).certificate == helped.certificate
    for worse in (-exact, 0 * exact):
        kept = evaluate(problem, W, b, candidate=worse)
        assert kept.certificate.dual == check.certificate.dual
        np.testing.assert_array_equal(kept.direction, check.direction)
    # What is left of a candidate in the span of the intercept is rounding, which a large scale makes a point like any other.
    noise = evaluate(problem, W, b, candidate=3.0 * np.ones_like(exact)).certificate
    assert noise.dual <= best.certificate.primal and noise.infeasibility <= 1e-12


@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_factored_checks_take_the_better_point(ridge):
    problem = open_problem(X, Y, Trace(ridge=ridge), alpha=0.3).problem
    rng, b = np.random.default_rng(1), Y.mean(axis=0)
    U, V = 0.1 * rng.standard_normal((P, 2)), rng.standard_normal((T, 2))
    plain = evaluate(problem, U @ V.T, b)
    for worse in (lambda R: -R, lambda R: 0 * R, lambda R: rng.standard_normal(R.shape)):
        found = evaluate_factored(problem, (U, V), b, worse)
        assert found.certificate.dual == pytest.approx(plain.certificate.dual, rel=1e-12)
        np.testing.assert_allclose(found.direction, plain.direction, atol=1e-14)
        np.testing.assert_allclose(found.scores, plain.scores, atol=1e-14)
        assert evaluate_factored(problem, (U, V), b, worse, np.inf).certificate.dual <= plain.certificate.dual
    best = fastmtl.fit(X, Y, Trace(ridge=ridge), alpha=0.3, tol=1e-10)
    exact = Y - X @ best.coef - best.intercept
    found = evaluate_factored(problem, (U, V), b, lambda R: exact)
    assert found.certificate.dual == pytest.approx(best.certificate.dual, rel=1e-8)
    np.testing.assert_allclose(found.scores, X.T @ exact / N, atol=1e-12)
    gap = found.certificate.gap
    assert evaluate_factored(problem, (U, V), b, lambda R: exact, 1.01 * gap).residual is None
    assert evaluate_factored(problem, (U, V), b, lambda R: exact, 0.99 * gap).residual is not None


def test_arithmetic_that_failed_is_no_proof():
    problem = open_problem(X, Y, alpha=0.1).problem
    W = np.zeros((P, T))
    W[0] = np.nan
    with np.errstate(all="ignore"):
        found = evaluate(problem, W, np.zeros(T)).certificate
    assert not found.gap < math.inf and not found.relative_gap < math.inf and found.dual == 0.0
    W[0] = 1e200
    with np.errstate(all="ignore"):
        found = evaluate(problem, W, np.zeros(T)).certificate
    assert not found.gap < math.inf and found.dual == 0.0


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("offset", [None, OFFSET], ids=["plain", "offset"])
def test_every_number_of_a_check_of_any_losses(name, rows, offset):
    """The same for losses: `D = -sum omega [loss*(-theta) + theta o] - penalty*(V)` at the dual point that is handed out."""
    loss, targets = LOSSES[name]
    if name == "multinomial" and offset is not None:
        offset = offset[:, :1]
    penalty = ROWS[rows].with_alpha(0.05)
    problem = open_problem(X, targets, penalty, loss=loss, offset=offset, sample_weight=WEIGHTS).problem
    if type(problem) is fastmtl.problem.Problem:
        return
    t = problem.n_tasks
    fine = fastmtl.fit(X, targets, penalty, loss=loss, offset=offset, sample_weight=WEIGHTS, tol=1e-8)
    b = problem.best_intercepts(np.zeros(problem.design.shape[0]))
    points = [
        (np.zeros((P, t)), b),
        (coefficients(penalty, 0.05, t), b),
        (coefficients(penalty, 0.5, t), b + 1.0),
    ]
    points.append((np.asarray(fine.coef).reshape(P, -1), np.asarray(fine.intercept).ravel()))
    for W, intercept in points:
        for candidate in (None, np.random.default_rng(0).standard_normal(problem.design.shape[0])):
            check = evaluate_task(problem, W, intercept, candidate)
            found, theta = check.certificate, check.direction
            Z = problem.design.predict(W) + problem.design.spread(intercept)
            value = problem.loss_value(Z)
            assert check.loss == pytest.approx(value, rel=1e-12)
            assert found.primal == pytest.approx(value + penalty.value(W), rel=1e-12)
            pull = problem.omega * theta
            V = problem.design.correlate(pull)
            shift = 0.0 if problem.offset is None else float(pull @ problem.offset)
            inside = relevant(penalty, V) * (1 - 1e-13)
            dual = -problem.loss_conjugate(-theta) - shift - penalty.conjugate(inside)
            assert found.dual == pytest.approx(dual, abs=1e-10 * (1.0 + found.scale * problem.null_value))
            assert found.dual <= fine.certificate.primal * (1 + 1e-12)
            assert found.gap == pytest.approx(abs(found.primal - found.dual), rel=1e-12)
            assert check.gaps.sum() == pytest.approx(found.gap, rel=1e-9, abs=1e-14) and len(
                check.gaps
            ) == len(problem.components)
            assert found.scale * problem.null_value >= abs(found.primal) + 2.0 * abs(found.dual) - 1e-12
            assert np.abs(problem.design.sums(pull)).max() <= 1e-13 and found.infeasibility <= 1e-12
            assert np.abs(V[penalty.free(P)]).max(initial=0.0) <= 1e-12
    assert check_point(problem, fine.coef[:3], points[-1][1], np.arange(3)).certificate.primal > 0.0


@pytest.mark.parametrize("name", LOSSES)
def test_the_dual_point_of_an_optimum_proves_it(name):
    """From coefficients a little off the gap is of second order in the distance: the point used is the right one."""
    loss, targets = LOSSES[name]
    fine = fastmtl.fit(X, targets, "l21", alpha=0.05, loss=loss, tol=1e-10)
    W = np.asarray(fine.coef).reshape(P, -1)
    gaps = []
    for size in (1e-2, 1e-3):
        off = W + size * np.where(W != 0, 1.0, 0.0)
        gaps.append(fastmtl.certify(X, targets, off, fine.intercept, alpha=0.05, loss=loss).relative_gap)
    assert gaps[1] <= 0.15 * gaps[0] and gaps[1] <= 0.1


def test_intercepts_that_miss_are_refitted_for_the_dual_point():
    """A bound does not suffer from intercepts that are far off, unless no finite one is best."""
    problem = open_problem(X, CLASSES, alpha=0.05, loss="logistic").problem
    W = coefficients(L21(), 0.05)
    b = problem.best_intercepts(problem.design.predict(W))
    right = evaluate_task(problem, W, b).certificate
    for miss in (1e-3, 1.0, 5.0):
        off = evaluate_task(problem, W, b + miss).certificate
        assert off.dual == pytest.approx(right.dual, rel=1e-6) and off.primal > right.primal
    one_class = np.column_stack([CLASSES[:, 0], np.ones(N)])
    problem = open_problem(X, one_class, alpha=0.05, loss=Logistic()).problem
    found = evaluate_task(problem, np.zeros((P, 2)), np.array([0.0, 40.0])).certificate
    assert math.isfinite(found.gap) and found.dual > 0.1
