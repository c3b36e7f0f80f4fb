"""Compiled block kernels against the plain NumPy reference."""

from __future__ import annotations

import numpy as np
import pytest
from engine_cases import PENALTIES, P

from fastmtl_kernels import cpu, reference
from fastmtl_kernels._interface import BlockShrink, Quadratic

CASES = [pytest.param(penalty, id=name) for name, penalty in PENALTIES.items()]
TASKS = [1, 3, 9]


def lowered(penalty, alpha=0.3) -> BlockShrink:
    form = penalty.with_alpha(alpha).lower(P)
    finite = [np.where(np.isinf(a), 1e3, a) for a in (form.l1, form.l2)]  # kernels never see excluded blocks
    return BlockShrink(form.ptr, *finite, form.ridge, form.positive)


def compact(t: int, k: int = 1, seed: int = 0) -> Quadratic:
    """A compact problem with rank-deficient Gram matrices and a zero column."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((k, 30, P))
    X[:, :, 7] = X[:, :, 6]
    X[:, :, 9] = 0.0
    Y = rng.standard_normal((30, t)) + X[0][:, :4] @ rng.standard_normal((4, t))
    scale = np.ones(t) if k == 1 else rng.uniform(0.5, 2.0, t)
    gram = X.transpose(0, 2, 1) @ X
    linear = np.stack([scale[c] * X[c if k > 1 else 0].T @ Y[:, c] for c in range(t)], axis=1)
    constant = 0.5 * float((scale * Y**2).sum())
    return Quadratic(gram, scale, linear, linear.copy(), np.zeros((P, t)), constant)


@pytest.mark.parametrize("penalty", CASES)
@pytest.mark.parametrize("t", TASKS)
def test_elementwise_operations(penalty, t):
    shrink, rng = lowered(penalty), np.random.default_rng(3)
    V = rng.standard_normal((P, t))
    for W in (V, np.asfortranarray(V)):
        np.testing.assert_allclose(cpu.prox(W, 0.7, shrink), reference.prox(W, 0.7, shrink), atol=1e-14)
        np.testing.assert_allclose(cpu.block_scores(W, shrink), reference.block_scores(W, shrink), rtol=1e-13)
        assert cpu.penalty_value(W, shrink) == pytest.approx(reference.penalty_value(W, shrink), rel=1e-13)


@pytest.mark.parametrize("penalty", CASES)
@pytest.mark.parametrize("t", TASKS)
def test_gap(penalty, t):
    shrink, q = lowered(penalty, 2.0), compact(t)
    reference.sweep(q, shrink, 0.0, 20)
    arguments = (q.linear, q.gradient, q.coef, q.constant, shrink)
    expected = reference.duality_gap(*arguments)
    assert cpu.duality_gap(*arguments) == pytest.approx(expected, rel=1e-8, abs=1e-11 * q.constant)


@pytest.mark.parametrize("penalty", CASES)
@pytest.mark.parametrize("t", TASKS)
@pytest.mark.parametrize("k", ["shared", "own"])
def test_sweep_reaches_the_minimum(penalty, t, k):
    """Both end within the sum of their gaps, and the gradient still belongs to the coefficients."""
    shrink = lowered(penalty, 3.0)
    mine, plain = (compact(t, t if k == "own" else 1) for _ in range(2))
    free = (shrink.l1 == 0) & np.repeat((shrink.l2 == 0) & (shrink.ridge == 0), np.diff(shrink.ptr))
    # The compact gap says nothing about unpenalised rows: with those, both run to the end.
    tol = -np.inf if free.any() else 1e-6 * mine.constant
    done = cpu.sweep(mine, shrink, tol, 5000)
    other = reference.sweep(plain, shrink, tol, 1000)
    if not free.any():
        assert done.gap <= tol
        assert other.gap <= tol
    hessian = np.stack(
        [mine.scale[c] * mine.gram[c if k == "own" else 0] @ mine.coef[:, c] for c in range(t)], axis=1
    )
    np.testing.assert_allclose(mine.gradient, mine.linear - hessian, atol=1e-10 * np.abs(mine.linear).max())

    def value(q: Quadratic) -> float:
        square = 2 * q.constant - float((q.linear * q.coef).sum() + (q.gradient * q.coef).sum())
        return 0.5 * square + reference.penalty_value(q.coef, shrink)

    assert value(mine) == pytest.approx(value(plain), abs=1e-5 * mine.constant)


@pytest.mark.parametrize("penalty", CASES)
@pytest.mark.parametrize("t", TASKS)
def test_residual_form_agrees_with_gram_form(penalty, t):
    shrink, rng = lowered(penalty, 3.0), np.random.default_rng(5)
    data, Y = rng.standard_normal((P, 30)), rng.standard_normal((30, t))
    values = []
    for kernels in (cpu, reference):
        columns, residual, coef = kernels.prepare_columns(data, shrink, t), Y.copy(), np.zeros((P, t))
        kernels.sweep_columns(columns, residual, coef, np.ones((1, 1)), shrink, 200)
        np.testing.assert_allclose(residual, Y - data.T @ coef, atol=1e-11)
        values.append(0.5 * (residual**2).sum() + reference.penalty_value(coef, shrink))
    assert values[0] == pytest.approx(values[1], rel=1e-6)


def test_batch_is_one_by_one():
    shrink = lowered(PENALTIES["l21"], 3.0)
    batch, single = [compact(3, seed=s) for s in range(3)], [compact(3, seed=s) for s in range(3)]
    cpu.sweep_batch(batch, [shrink] * 3, np.full(3, 1e-9), 1000)
    for a, b in zip(batch, single, strict=True):
        cpu.sweep(b, shrink, 1e-9, 1000)
        np.testing.assert_array_equal(a.coef, b.coef)


def test_empty_problem():
    none = np.empty((0, 2))
    shrink = BlockShrink(np.zeros(1, dtype=np.int64), np.empty(0), np.empty(0), np.empty(0), False)
    q = Quadratic(np.empty((1, 0, 0)), np.ones(2), none, none.copy(), none.copy(), 1.0)
    assert cpu.sweep(q, shrink, 1e-9, 10).epochs == 0


@pytest.mark.parametrize("kernels", [reference, cpu], ids=["reference", "cpu"])
def test_a_norm_hardly_above_its_bound_turns_no_sign(kernels):
    """Where curvatures differ by task the norm of a row is a root, of a few ulps here, and may come out below zero."""
    rng, t = np.random.default_rng(0), 5
    for _ in range(300):
        u = rng.uniform(0.0, 1.0, (1, t))
        bound = np.linalg.norm(u) * (1.0 - rng.integers(0, 9) * 2.0**-53)
        one = BlockShrink(np.arange(2), np.zeros(1), np.array([bound]), np.zeros(1), True)
        q = Quadratic(rng.uniform(1.0, 1e4, (t, 1, 1)), np.ones(t), u, u.copy(), np.zeros((1, t)), 1.0)
        kernels.sweep(q, one, 0.0, 1)
        assert (q.coef >= 0.0).all() and np.abs(q.coef).max() <= 1e-14
