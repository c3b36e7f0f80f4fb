"""Bounds that are as good as they can be: scales at the edge of what is feasible, the best multiple of a dual point."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest
from engine_cases import P, regression

from fastmtl._door import open_problem
from fastmtl.certificate import assemble, dual_bound, evaluate, rounding, scaled_bound
from fastmtl.losses import Huber
from fastmtl.nuisance import nuisance
from fastmtl.penalties import L1, L21, Lowered, Penalty, Restricted, Trace
from fastmtl.penalties._base import round_up
from fastmtl.task_certificate import evaluate_task, task_bound

X, Y = regression()
N, T = Y.shape
EPS = float(np.finfo(float).eps)
FREE = [0.0] * 2 + [1.0] * 10


def random_form(rng: np.random.Generator, *, with_ridge: bool = False) -> Lowered:
    """Blocks of one to five rows; thresholds, norms and ridges of any size, zero and (the first two) inf among them."""
    sizes = rng.integers(1, 6, rng.integers(1, 7))
    ptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    l1 = rng.choice([0.0, 0.3, 1.0, math.inf], ptr[-1], p=[0.2, 0.3, 0.4, 0.1]) * rng.uniform(0.5, 2.0)
    l1 = l1 if rng.random() < 0.7 else np.zeros(ptr[-1])
    l2 = rng.choice([0.0, 0.5, 2.0, math.inf], len(sizes), p=[0.3, 0.3, 0.3, 0.1])
    ridge = rng.choice([0.0, 0.7], len(sizes)) if with_ridge else np.zeros(len(sizes))
    return Lowered(None, ptr, np.where(np.isnan(l1), 0.0, l1), l2, ridge, bool(rng.random() < 0.3))


def edge(form: Lowered, V: np.ndarray, hard: np.ndarray) -> np.longdouble:
    """Largest a with `|S(a V_b, l1)| <= l2_b` in the blocks of a mask, in 64 bits of mantissa; inf when none binds."""
    top, best = np.maximum(V, 0.0) if form.positive else np.abs(V), np.longdouble(np.inf)
    for b in np.flatnonzero(hard & np.isfinite(form.l2)):
        rows = np.arange(form.ptr[b], form.ptr[b + 1])
        rows = rows[np.isfinite(form.l1[rows])]
        part, l1 = top[rows].astype(np.longdouble), form.l1[rows, None].astype(np.longdouble)
        if not part.any():
            continue

        def inside(a: np.longdouble, part=part, l1=l1, b=b) -> bool:
            return bool((np.maximum(a * part - l1, 0) ** 2).sum() <= np.longdouble(form.l2[b]) ** 2)

        low, high = np.longdouble(0.0), np.longdouble(1.0)
        while inside(high):
            low, high = high, 2 * high
        for _ in range(1200):
            middle = (low + high) / 2
            if high - low <= 2.0**-62 * high:
                break
            low, high = (middle, high) if inside(middle) else (low, middle)
        best = min(best, low)
    return best


@pytest.mark.parametrize("seed", range(60))
def test_scales_of_any_blocks(seed):
    """From below, and no further from the edge than a norm of so many squares rounds: where the domain of the conjugate
    ends, and where the conjugate is zero."""
    rng = np.random.default_rng(seed)
    form = random_form(rng, with_ridge=seed % 3 == 0)
    penalty = Restricted(1.0, form=form)
    V = rng.standard_normal((form.ptr[-1], int(rng.integers(1, 5))))
    V[rng.random(len(V)) < 0.2] = 0.0
    for size in (1.0, 1e-9, 1e9):
        for found, hard in (
            (penalty.dual_scale(size * V), form.ridge == 0),
            (penalty.free_scale(size * V), form.ridge >= 0),
        ):
            exact = edge(form, size * V, hard)
            terms = int(np.diff(form.ptr).max()) * V.shape[1]
            if math.isinf(exact):
                assert math.isinf(found)
            else:
                assert exact * (1.0 - (16.0 + 8.0 * math.sqrt(terms)) * EPS) <= found <= exact
    assert penalty.free_scale(0.0 * V) == math.inf


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (9, 3), (2, 16)])
def test_scale_of_the_trace_norm(shape):
    """A matrix of known norm: permuted powers of two."""
    V = np.zeros(shape)
    for i in range(min(shape)):
        V[i, -1 - i] = -(2.0**-i)
    for size in (1.0, 2.0**-400, 2.0**400):
        a = Trace(0.7).dual_scale(size * V) * size
        assert 0.7 * (1.0 - 2.0 * (8.0 + min(shape)) * EPS) <= a < 0.7
        top = Trace().alpha_max(size * V) / size
        assert 1.0 < top <= 1.0 + 2.0 * (8.0 + min(shape)) * EPS
    assert Trace(0.7).dual_scale(0.0 * V) == math.inf


def test_rounded_up_by_a_few_units():
    assert all(x < round_up(x) <= x * (1.0 + 16.0 * EPS) for x in (1.0, 1.5, 1.9999, 1e-200, 3e200))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scales_of_products_that_failed(value):
    """Nothing is known to be feasible but zero."""

    class Own(Penalty):
        def value(self, W):
            return L1(self.alpha).value(W)

        def prox(self, W, step):
            return L1(self.alpha).prox(W, step)

        def conjugate(self, V):
            return L1(self.alpha).conjugate(V)

    V = np.where(np.arange(P)[:, None] == 3, value, np.ones((P, T)))
    with np.errstate(invalid="ignore"):
        assert Own(1.0).dual_scale(V) == 0.0
    for size in (1e-60, 1.0, 1e60):
        assert Own(1.0).dual_scale(np.full((P, T), size)) == pytest.approx(1.0 / size, rel=8 * EPS)


@pytest.mark.parametrize("alpha", [0.01, 0.3, 2.0, 30.0])
@pytest.mark.parametrize("penalty", [L21(), L1(), Trace(), L21(feature_weights=FREE)], ids=str)
def test_no_multiple_of_the_residual_is_better(penalty, alpha):
    """Without a ridge the dual along a line is a parabola up to the edge: the scale is that of its top, or the edge."""
    problem = open_problem(X, Y, penalty, alpha=alpha).problem
    rng = np.random.default_rng(2)
    for scale in (0.0, 0.1, 1.0):
        check = evaluate(problem, scale * rng.standard_normal((P, T)), Y.mean(axis=0))
        bound, V = check.bound, check.scores.copy()
        V[problem.free] = 0.0
        limit = problem.penalty.dual_scale(V)
        expected = min(limit, bound.cross / bound.square)
        if bound.cross <= 0.0:
            assert bound.value == 0.0 == bound.scale
            continue
        assert bound.scale == pytest.approx(expected, rel=8 * EPS)
        for a in np.linspace(0.0, min(limit, 3.0 * expected), 300):
            assert a * bound.cross - a * a * bound.square / 2 <= bound.value * (1 + 8 * EPS)


def test_a_tiny_ridge_is_no_worse_than_none():
    """The conjugate of a ridge near zero punishes rounding: the scale at which it is not felt is tried as well."""
    for ratio in (1 - 1e-9, 1 - 1e-12):
        problem = open_problem(X, Y, L21(0.3, l1_ratio=ratio)).problem
        plain = open_problem(X, Y, L21(0.3 * ratio)).problem
        check = evaluate(plain, np.zeros((P, T)), Y.mean(axis=0))
        found = scaled_bound(problem, check.scores, check.bound.cross, check.bound.square)
        assert found.value >= check.bound.value * (1 - 1e-12)


def test_a_bound_of_zero_is_that_of_the_point_zero():
    """Coefficients that point the wrong way have no bound but zero, at the scale zero, which breaks no constraint."""
    W = 3.0 * np.linalg.lstsq(X - X.mean(axis=0), Y - Y.mean(axis=0), rcond=None)[0]
    b = Y.mean(axis=0) - X.mean(axis=0) @ W
    for penalty in (L21(0.1), L21(0.1, feature_weights=FREE), Trace(0.1)):
        check = evaluate(open_problem(X, Y, penalty).problem, W, b)
        assert (
            check.bound.value
            == check.bound.scale
            == check.bound.infeasibility
            == check.certificate.dual
            == 0.0
        )
        assert check.certificate.gap == check.certificate.primal > 0.0
    targets = Y.copy()
    targets[0, 0] = np.nan
    problem = open_problem(X, targets, L21(0.1)).problem
    own = nuisance(problem)
    theta = own.dual_point(problem.loss_gradient(own.null_fit()))
    assert task_bound(problem, theta, problem.correlate(theta)) == (0.0, 0.0)
    assert task_bound(problem, 0.0 * theta, 0.0 * problem.correlate(theta), own.null_fit()) == (0.0, 0.0)
    assert task_bound(problem, theta, np.full((P, T), np.nan)) == (0.0, 0.0)


def test_a_direction_that_breaks_the_constraints_proves_nothing():
    """It is judged by its size: what is rounding of a large direction is all of a small one."""
    problem = open_problem(X, Y, L21(0.1, feature_weights=FREE)).problem
    check = evaluate(problem, np.zeros((P, T)), Y.mean(axis=0))
    good, bad = check.residual, np.outer(X[:, 0], np.ones(T))
    ones = np.ones((N, T))
    assert good is not None
    for size in (1e-20, 1.0, 1e20):
        assert astuple(dual_bound(problem, size * bad)) == (0.0, 0.0, 0.0, 0.0, 0.0)
        assert astuple(dual_bound(problem, size * ones)) == (0.0, 0.0, 0.0, 0.0, 0.0)
        assert dual_bound(problem, size * good).value > 0.0
        for wrong in (bad, ones):
            nearly = good + wrong * 1e-9 * np.linalg.norm(good) / np.linalg.norm(wrong)
            assert dual_bound(problem, size * nearly).value == 0.0
        for wrong in (bad, ones):
            nearly = good + wrong * 4 * EPS * np.linalg.norm(good) / np.linalg.norm(wrong)
            assert dual_bound(problem, size * nearly).value > 0.0


def test_what_counts_as_rounding():
    """It grows with the samples and with the root of the number of constraints, intercept included."""
    for data, targets in ((X, Y), (X[:20], Y[:20])):
        for k in (0, 1, 3):
            weights = [0.0] * k + [1.0] * (P - k)
            for positive in (False, True):
                for fit_intercept in (False, True):
                    penalty = L21(0.1, feature_weights=weights, positive=positive)
                    problem = open_problem(data, targets, penalty, fit_intercept=fit_intercept).problem
                    expected = 16.0 * EPS * len(data) * math.sqrt(k + fit_intercept)
                    assert rounding(problem) == pytest.approx(expected, rel=1e-12, abs=0.0)
    wide = open_problem(X[:4], Y[:4], L21(0.1, feature_weights=[0.0] * 9 + [1.0] * 3)).problem
    assert rounding(wide) == pytest.approx(16.0 * EPS * 10 * math.sqrt(10), rel=1e-12, abs=0.0)


def test_an_allowance_is_added_to_the_gap():
    problem = open_problem(X, Y, L21(0.1)).problem
    check = evaluate(problem, np.zeros((P, T)), Y.mean(axis=0))
    for allowance in (0.0, 0.25):
        found = assemble(problem, 1.5, check.bound, is_zero=True, allowance=allowance)
        assert found.gap == pytest.approx(abs(1.5 - check.bound.value) + allowance, rel=4 * EPS)
    assert assemble(problem, 1.5, check.bound, is_zero=True).gap == abs(1.5 - check.bound.value)


def test_free_features_that_stay_at_zero_under_signs():
    """Of a feature that is not in use no more is asked than a sign: the certificate of such an optimum closes its gap."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((40, P))
    targets = A[:, 1:2] - 2.0 * A[:, :1] + A[:, 3:4] + 0.3 * rng.standard_normal((40, T))
    penalty = L21(0.05, feature_weights=FREE, positive=True)
    problem = open_problem(A, targets, penalty).problem
    from scipy.optimize import minimize

    centred, goal = A - A.mean(axis=0), targets - targets.mean(axis=0)

    def objective(w: np.ndarray) -> tuple[float, np.ndarray]:
        W = w.reshape(P, T)
        R, norms = goal - centred @ W, np.sqrt((W[2:] ** 2).sum(axis=1) + 1e-20)
        slope = -centred.T @ R / 40
        slope[2:] += 0.05 * W[2:] / norms[:, None]
        return float(0.5 * (R * R).sum() / 40 + 0.05 * norms.sum()), slope.ravel()

    found = minimize(
        objective, np.full(P * T, 0.1), jac=True, method="L-BFGS-B", bounds=[(0, None)] * (P * T),
        options={"maxiter": 20000, "maxfun": 40000, "ftol": 1e-16, "gtol": 1e-12},
    )  # fmt: skip
    W = found.x.reshape(P, T)
    assert not W[0].any() and W[1].all()
    check = evaluate(problem, W, targets.mean(axis=0) - A.mean(axis=0) @ W)
    assert check.certificate.relative_gap <= 1e-4
    assert check.certificate.infeasibility <= 1e-12


LOSSES = {
    "gaps": ("squared", np.where(np.arange(N * T).reshape(N, T) % 7 == 0, np.nan, Y)),
    "huber": (Huber(0.4), Y),
    "poisson": ("poisson", np.round(np.exp(np.clip(0.5 * Y, -2, 3)))),
    "logistic": ("logistic", (Y.mean(axis=0) < Y).astype(float)),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    "offset", [None, 0.2 * np.random.default_rng(0).standard_normal((N, T))], ids=["", "offset"]
)
def test_the_top_of_the_dual_along_a_gradient(name, offset):
    """Newton's step for the dual value as a function of the multiple, from one, by differences; at the edge, the edge."""
    loss, targets = LOSSES[name]
    rng = np.random.default_rng(1)
    for alpha in (0.02, 5.0):
        problem = open_problem(X, targets, L21(alpha), loss=loss, offset=offset).problem
        own = nuisance(problem)
        for size in (0.02, 0.1):
            Z = own.null_fit() + problem.design.predict(size * rng.standard_normal((P, T)))
            Z = Z + problem.design.spread(problem.best_intercepts(Z))
            theta = own.dual_point(-problem.loss_gradient(Z))
            V = problem.correlate(theta)
            pull = 0.0 if offset is None else float((problem.omega * theta) @ problem.offset)

            def dual(a: float, theta=theta, pull=pull, problem=problem) -> float:
                return -problem.loss_conjugate(-a * theta) - a * pull

            h = 1e-4
            slope = (dual(1.0 + h) - dual(1.0 - h)) / (2 * h)
            if not math.isfinite(slope):
                slope = (dual(1.0) - dual(1.0 - h)) / h
                bend = (dual(1.0) - 2 * dual(1.0 - h) + dual(1.0 - 2 * h)) / h**2
            else:
                bend = (dual(1.0 + h) - 2 * dual(1.0) + dual(1.0 - h)) / h**2
            limit = problem.penalty.dual_scale(V)
            value, scale = task_bound(problem, theta, V, Z)
            tried = {min(1.0, limit): dual(min(1.0, limit))}
            newton = min(1.0 - slope / bend, limit)
            assert bend < 0.0
            if name != "huber":  # samples in the tails bend the dual without showing it to Newton's method
                tried[newton] = dual(newton)
            best = max(tried, key=lambda a: tried[a] if math.isfinite(tried[a]) else -math.inf)
            assert value >= max(0.0, tried[best]) - 1e-5 * abs(value)
            assert name == "huber" or scale == pytest.approx(best, rel=1e-3)
            assert value == pytest.approx(dual(scale), rel=1e-12, abs=1e-300) and 0.0 < scale <= limit


@pytest.mark.parametrize("name", LOSSES)
def test_the_better_of_two_points_is_taken(name):
    """A candidate replaces the gradient where it bounds more, and never where it bounds less."""
    loss, targets = LOSSES[name]
    problem = open_problem(X, targets, L21(0.05), loss=loss).problem
    own, b = nuisance(problem), problem.null_intercepts
    W = 0.05 * np.random.default_rng(3).standard_normal((P, T))
    plain = evaluate_task(problem, W, b)
    null = evaluate_task(problem, np.zeros((P, T)), b)
    best = -problem.loss_gradient(own.null_fit())
    for candidate in (best, -best, 0.0 * best):
        found = evaluate_task(problem, W, b, candidate)
        assert found.certificate.dual >= plain.certificate.dual
        assert found.certificate.primal == plain.certificate.primal
    assert evaluate_task(problem, W, b, 0.0 * best).certificate.dual == plain.certificate.dual
    helped = evaluate_task(problem, W, b, best).certificate.dual
    alone = task_bound(problem, own.dual_point(best), problem.correlate(own.dual_point(best)))[0]
    assert helped == pytest.approx(max(plain.certificate.dual, alone), rel=1e-12)
    assert null.certificate.dual >= alone * (1 - 1e-12)
