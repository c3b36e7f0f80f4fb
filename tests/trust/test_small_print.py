"""Edges that random problems seldom meet: where a conjugate ends, which dual scale wins, what a certificate is relative to."""

from __future__ import annotations

import numpy as np
import pytest
from cases import LOSSES
from engine_cases import PENALTIES, regression

import fastmtl
from fastmtl._door import open_problem
from fastmtl.certificate import evaluate, evaluate_factored
from fastmtl.losses import Huber, Logistic, Loss, Multinomial, Poisson, Squared, monotone_root
from fastmtl.losses._base import xlogx
from fastmtl.losses.multinomial import _newton_from, softmax
from fastmtl.penalties import L1, L21, Group, SparseGroup, Trace

X, Y = regression()
EPS = float(np.finfo(float).eps)


@pytest.mark.parametrize("delta", [0.3, 1.35, 40.0])
def test_the_end_of_hubers_conjugate(delta):
    loss, y = Huber(delta), np.array([0.7])
    for side in (-delta, delta):
        inside = loss.conjugate(y, np.array([side]))
        np.testing.assert_allclose(inside, side**2 / 2 + side * 0.7, rtol=1e-13)
        assert np.isinf(loss.conjugate(y, np.array([side * (1 + 1e-9)]))).all()


@pytest.mark.parametrize("loss", [Logistic(), Poisson()])
def test_the_end_of_a_conjugate(loss):
    y = np.array([0.0, 1.0])
    assert np.isfinite(loss.conjugate(y, -y)).all()
    assert np.isinf(loss.conjugate(y, -y - 1e-9)).all()


def test_the_end_of_the_multinomial_conjugate():
    loss, y = Multinomial(), np.eye(4)[[0, 2]]
    u = np.full((2, 4), 0.25) - y
    np.testing.assert_allclose(loss.conjugate(y, u), -np.log(4.0), rtol=1e-13)
    assert np.isfinite(loss.conjugate(y, 0 * y)).all()
    over = u.copy()
    over[:, 1] += 1e-9
    assert np.isinf(loss.conjugate(y, over)).all()
    below = 0 * y
    below[:, 1], below[:, 3] = -1e-9, 1e-9
    assert np.isinf(loss.conjugate(y, below)).all()


def test_a_class_seen_once():
    y = np.eye(3)[[0, 0, 1, 2, 2, 2]]
    loss = Multinomial()
    b = loss.intercept(y, np.ones(6), np.zeros((6, 3)))
    np.testing.assert_allclose(np.exp(b) / np.exp(b).sum(), [2 / 6, 1 / 6, 3 / 6], rtol=1e-9)
    assert abs(b.sum()) < 1e-12


@pytest.mark.parametrize("case", LOSSES, ids=lambda c: c.loss.name)
def test_intercepts_are_stationary(case):
    """The best intercept beside offsets of any size."""
    loss, y = case.loss, case.loss.encode(case.targets, "y")
    rng = np.random.default_rng(1)
    for size in (0.0, 1.0, 5.0, 50.0, 200.0, 5000.0):
        if size > 100.0 and isinstance(loss, Poisson):
            continue  # the mean of e^offset is no float64
        weights, offset = rng.uniform(0.1, 2.0, 40), size * rng.standard_normal(y.shape)
        b = loss.intercept(y, weights, offset)
        slope = np.reshape(weights, (-1, *[1] * (y.ndim - 1))) * loss.gradient(y, offset + b)
        assert np.abs(slope.sum(axis=0)).max() <= 1e-9 * np.abs(slope).sum()


@pytest.mark.parametrize("name", ["l21", "l21_ridge", "group_sizes", "sparse_group"])
def test_the_best_of_the_dual_scales(name):
    """No multiple of the residual bounds the optimum better, among the smallest feasible one, one, and the vertex."""
    for alpha in (0.05, 0.5, 2.0):
        problem = open_problem(X, Y, PENALTIES[name], alpha=alpha).problem
        rng = np.random.default_rng(3)
        for W in (np.zeros((12, 3)), 0.1 * rng.standard_normal((12, 3)), rng.standard_normal((12, 3))):
            check = evaluate(problem, W, Y.mean(axis=0))
            R = Y - X @ W
            R = R - R.mean(axis=0)
            V, cross, square = X.T @ R / 40, (R * Y).sum() / 40, (R * R).sum() / 40
            best = 0.0
            limit = problem.penalty.dual_scale(V)
            for a in (1.0, cross / square):
                a = min(a, limit)
                if a > 0:
                    best = max(best, a * cross - a * a * square / 2 - problem.penalty.conjugate(a * V))
            assert check.certificate.dual >= best * (1 - 1e-12)
            assert check.certificate.gap == pytest.approx(
                check.certificate.primal - check.certificate.dual, rel=1e-9
            )


@pytest.mark.parametrize("loss", ["squared", Huber(0.5)], ids=["squared", "huber"])
def test_the_scale_is_the_sum_of_the_terms(loss):
    """`(|P| + 2 |D| + data) / P(0)`, the data term the loss of the best constant prediction."""
    W = 0.1 * np.ones((12, 3))
    found = fastmtl.certify(X, Y, W, Y.mean(axis=0), alpha=0.01, loss=loss)
    null = found.gap / found.relative_gap
    assert found.scale * null >= abs(found.primal) + abs(found.dual)
    assert found.scale * null <= 2 * (abs(found.primal) + 2 * abs(found.dual) + null)


def test_unpenalised_features_that_must_not_be_negative():
    """The dual point of a used one is orthogonal to it, whatever its size."""
    penalty = L21(feature_weights=[0.0] * 2 + [1.0] * 10, positive=True)
    for factor in (1e-3, 1.0, 1e3):
        A = X * np.where(np.arange(12) < 2, factor, 1.0)
        result = fastmtl.fit(A, Y, penalty, alpha=0.3)
        again = fastmtl.certify(A, Y, result.coef, result.intercept, penalty.with_alpha(0.3))
        assert result.status == "optimal" and again.relative_gap <= 1e-6


def test_certificates_are_free_of_units():
    one = fastmtl.fit(X, Y, alpha=0.1).certificate
    other = fastmtl.fit(X, 1e3 * Y, alpha=100.0).certificate
    assert other.scale == pytest.approx(one.scale, rel=1e-6) and other.scale < 10
    assert other.primal == pytest.approx(1e6 * one.primal, rel=1e-5)
    null = 0.5 * ((Y - Y.mean(axis=0)) ** 2).sum() / 40
    assert one.relative_gap == pytest.approx(one.gap / null, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("ridge", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_factored_coefficients_are_certified_alike(ridge, weighted):
    """`W = U V'` has the primal, and from the same dual point the dual, of W."""
    s = np.linspace(0.5, 2.0, 40) if weighted else None
    problem = open_problem(X, Y, Trace(ridge=ridge), alpha=0.3, sample_weight=s).problem
    rng = np.random.default_rng(2)
    b = Y.mean(axis=0)
    residuals = []

    def propose(residual):
        residuals.append(residual.copy())
        return 0.9 * residual

    for factors in (
        (rng.standard_normal((12, 2)), rng.standard_normal((3, 2))),
        (np.zeros((12, 1)), np.ones((3, 1))),
    ):
        W = factors[0] @ factors[1].T
        plain = evaluate(problem, W, b)
        for enough in (0.0, np.inf):
            found = evaluate_factored(problem, factors, b, propose, enough)
            np.testing.assert_allclose(residuals[-1], Y - X @ W - b, atol=1e-12)
            assert found.certificate.primal == pytest.approx(plain.certificate.primal, rel=1e-12)
            assert found.loss == pytest.approx(plain.loss, rel=1e-12)
            assert found.certificate.dual <= plain.certificate.primal
            assert (found.residual is None) == (enough == np.inf)
            omega = np.full(40, 1 / 40) if s is None else s / s.sum()
            direction = found.direction / (np.sqrt(omega)[:, None] if weighted else 1.0)
            np.testing.assert_allclose(found.scores, X.T @ (omega[:, None] * direction), atol=1e-12)
        assert evaluate_factored(problem, factors, b, propose).certificate.dual >= plain.certificate.dual * (
            1 - 1e-12
        )


def test_a_gap_of_zero_needs_zero_coefficients():
    """Where P(0) is rounding, only W = 0 has a relative gap of zero."""
    flat = np.full_like(Y, 3.0)
    assert fastmtl.certify(X, flat, np.zeros((12, 3)), flat[0], alpha=0.1).relative_gap == 0.0
    assert np.isinf(fastmtl.certify(X, flat, np.ones((12, 3)), flat[0], alpha=0.1).relative_gap)
    problem = open_problem(X, flat, "trace", alpha=0.1).problem
    for U, V in ((np.zeros((12, 1)), np.ones((3, 1))), (np.ones((12, 1)), np.zeros((3, 1)))):
        assert evaluate_factored(problem, (U, V), flat[0], lambda R: R).certificate.relative_gap == 0.0
    assert L21(0.1).value(np.zeros((12, 3))) == 0.0


def test_second_derivatives_that_a_loss_leaves_to_us():
    """The bound of the curvature, or differences of the gradient where there is none."""
    z = np.linspace(-4.0, 4.0, 9)
    np.testing.assert_array_equal(Loss.hessian(Logistic(), np.ones(9), z), 0.25)
    found = Loss.hessian(Poisson(), np.full(9, 2.0), z)
    np.testing.assert_allclose(found, np.exp(z), rtol=1e-8)


def test_the_multinomial_curvature_majorises():
    """`diag(h) - (diag(q) - q q')` has no negative eigenvalue, whichever class leads."""
    rng = np.random.default_rng(0)
    for size in (0.1, 1.0, 8.0):
        for z in size * rng.standard_normal((50, 4)):
            q = np.exp(z - z.max())
            q /= q.sum()
            rows = np.stack([z, -z, 0 * z])
            h = Multinomial().hessian(np.eye(4)[[0, 0, 0]], rows)[0]
            least = np.linalg.eigvalsh(np.diag(h) - np.diag(q) + np.outer(q, q))[0]
            assert least >= -1e-14


def test_absent_classes_have_the_share_eps():
    rng = np.random.default_rng(1)
    y, offset, weights = (
        np.eye(4)[rng.integers(0, 3, 30)],
        rng.standard_normal((30, 4)),
        rng.uniform(0.5, 2.0, 30),
    )
    b = Multinomial().intercept(y, weights, offset)
    z = offset + b
    q = np.exp(z - z.max(axis=1, keepdims=True))
    q /= q.sum(axis=1, keepdims=True)
    assert weights @ q[:, 3] / weights.sum() == pytest.approx(EPS, rel=1e-6, abs=0.0)
    np.testing.assert_allclose(weights @ (q - y)[:, :3], 0.0, atol=1e-9)


def test_signs_break_the_symmetry_of_tasks():
    for penalty in (L21, lambda **k: Group(groups=[6, 6], **k)):
        assert penalty().is_rotation_invariant and not penalty(positive=True).is_rotation_invariant
    assert Trace().is_rotation_invariant
    assert not L1().is_rotation_invariant and not SparseGroup().is_rotation_invariant


@pytest.mark.parametrize("shape", [(12, 3), (3, 12), (1, 1), (40, 30)])
def test_scaled_dual_points_are_feasible(shape):
    for seed in range(20):
        V = np.random.default_rng(seed).standard_normal(shape)
        for penalty in (Trace(0.3), L21(0.3), L1(0.3), SparseGroup(0.3)):
            assert penalty.conjugate(penalty.dual_scale(V) * V) == 0.0


def test_roots_that_newton_hits():
    """Lines and near-lines take an evaluation a step and none to settle: rounding of a root is no reason for a search."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        slopes, roots = rng.uniform(0.1, 10.0, 4), 10.0 ** rng.uniform(-8, 8) * rng.standard_normal(4)
        for bend in (0.0, 1e-3):
            calls = []

            def slope(b, slopes=slopes, roots=roots, bend=bend, calls=calls):
                calls.append(1)
                d = b - roots
                return slopes * (d + bend * np.arctan(d)), slopes * (1 + bend / (1 + d * d))

            found = monotone_root(slope, np.zeros(4))
            np.testing.assert_allclose(found, roots, rtol=4 * EPS, atol=0.0)
            # An open side is searched by steps of eight times the last.
            assert len(calls) <= (6 if bend == 0.0 else 8) + np.log(1 + np.abs(roots).max()) / np.log(8)


@pytest.mark.parametrize("size", [0.0, 1.0, 30.0])
@pytest.mark.parametrize("far", [0.0, 1.0, 40.0, 300.0])
def test_newton_on_classes_from_anywhere(far, size):
    """Where every part of a Newton step overshoots, iterative scaling still descends."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        y = np.eye(3)[np.r_[0, 1, 2, rng.integers(0, 3, 17)]]
        weights = rng.uniform(0.1, 2.0, 20)
        weights /= weights.sum()
        offset = size * rng.standard_normal((20, 3))
        b = _newton_from(far * rng.standard_normal(3), y, weights, offset)
        np.testing.assert_allclose(weights @ softmax(offset + b), weights @ y, rtol=1e-12)


@pytest.mark.parametrize("shift", [-100.0, -31.0, -10.0, 10.0, 31.0])
@pytest.mark.parametrize("rare", [1e-3, 1e-6, 1e-9, 1e-12])
def test_intercepts_of_rare_classes(rare, shift):
    """Each class gets its own share: that of a rare one, far from its offsets, was lost in the rounding of the others."""
    rng, loss = np.random.default_rng(0), Multinomial()
    y, offset = np.eye(3)[rng.integers(0, 3, 60)], rng.standard_normal((60, 3))
    weights = np.where(y[:, 1] > 0, rare, 1.0)
    offset[:, 1] += shift
    b = loss.intercept(y, weights, offset)
    np.testing.assert_allclose(weights @ softmax(offset + b), weights @ y, rtol=1e-12)


def test_labels_between_those_of_two_classes():
    for labels in ([0.5, 1.0], [-1.0, 0.0, 1.0], [-0.5, 1.0], [-1.0, 0.0], [0.0, 2.0]):
        with pytest.raises(ValueError, match="the logistic loss expects"):
            Logistic().encode(np.array(labels), "y")
    for labels, expected in (
        ([-1.0, -1.0], [0, 0]),
        ([1.0, 1.0], [1, 1]),
        ([0.0, 0.0], [0, 0]),
        ([-1, 1], [0, 1]),
    ):
        np.testing.assert_array_equal(Logistic().encode(np.array(labels), "y"), expected)


@pytest.mark.parametrize("case", LOSSES, ids=lambda c: c.loss.name)
def test_no_weights_no_intercept(case):
    """Nothing to fit, and nothing is divided by it."""
    y = case.loss.encode(case.targets, "y")
    for offset in (0.0 * y, 0.0 * y + 3.0):
        assert not np.any(case.loss.intercept(y, np.zeros(len(y)), offset))
    assert case.loss.attained(y, np.zeros(len(y)))


def test_entropy_at_its_ends():
    x = np.array([0.0, 1e-300, 0.25, 1.0, 3.0])
    np.testing.assert_allclose(
        xlogx(x), [0.0, -300 * np.log(10) * 1e-300, -0.25 * np.log(4), 0.0, 3 * np.log(3)], rtol=1e-15
    )
    for loss, y in ((Poisson(), np.array([0.0, 2.0])), (Logistic(), np.array([0.0, 1.0]))):
        assert np.isfinite(loss.conjugate(y, -y)).all() and loss.conjugate(y, -y)[0] == 0.0
    assert Squared().conjugate(2.0, -2.0) == -2.0
