"""The compiled kernels against the plain ones, and both against what they promise, over random compact problems."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastmtl_kernels import cpu, reference
from fastmtl_kernels._interface import BlockShrink, Columns, Quadratic

EPS = float(np.finfo(np.float64).eps)
EXAMPLES = int(os.environ.get("FASTMTL_KERNEL_EXAMPLES", "30"))
ANY: Any = list(HealthCheck)


class Compact(NamedTuple):
    """Data X (k, n, s), targets (n, t), factors (t,) and a penalty: what a compact problem comes from."""

    X: np.ndarray
    Y: np.ndarray
    scale: np.ndarray
    shrink: BlockShrink

    def quadratic(self, coef: np.ndarray | None = None) -> Quadratic:
        """The compact problem at some coefficients."""
        X, Y, c = self.X, self.Y, self.scale
        s, t = X.shape[2], Y.shape[1]
        gram = np.ascontiguousarray(X.transpose(0, 2, 1) @ X)
        linear = np.stack([c[j] * X[j % len(X)].T @ Y[:, j] for j in range(t)], axis=1)
        W = np.zeros((s, t)) if coef is None else coef.copy()
        pull = np.stack([c[j] * gram[j % len(X)] @ W[:, j] for j in range(t)], axis=1)
        return Quadratic(gram, c, linear, linear - pull, W, 0.5 * float((c * Y**2).sum()))

    def objective(self, W: np.ndarray) -> float:
        """Its value, from the data, with the penalty spelled out."""
        X, Y, c = self.X, self.Y, self.scale
        loss = sum(
            0.5 * c[j] * float(((Y[:, j] - X[j % len(X)] @ W[:, j]) ** 2).sum()) for j in range(Y.shape[1])
        )
        ptr, l1, l2, ridge, positive = self.shrink
        assert not (positive and (W < 0).any())
        total = float((l1[:, None] * np.abs(W)).sum())
        for b in range(len(l2)):
            norm = float(np.sqrt((W[ptr[b] : ptr[b + 1]] ** 2).sum()))
            total += l2[b] * norm + 0.5 * ridge[b] * norm**2
        return loss + total


@st.composite
def compacts(draw: Any, own: bool = True, free: bool = True) -> Compact:
    """Random compact problems: zero columns, equal columns, blocks of any size, strengths that may be zero.

    Solvers take blocks without any penalty out before they descend: only without those is the gap a bound.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    s, t, n = draw(st.integers(1, 14)), draw(st.sampled_from([1, 2, 5, 8, 11])), draw(st.integers(1, 20))
    k = t if own and draw(st.booleans()) else 1
    X = rng.standard_normal((k, n, s))
    if draw(st.booleans()):
        X[:, :, rng.integers(0, s)] = 0.0
    if s > 1 and draw(st.booleans()):
        X[:, :, 0] = X[:, :, -1]
    sizes = []
    while sum(sizes) < s:
        sizes.append(min(s - sum(sizes), draw(st.sampled_from([1, 1, 2, 5]))))
    ptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    B = len(sizes)
    l1 = draw(st.sampled_from([0.0, 0.5])) * np.repeat(rng.choice([0.5, 2.0], B), sizes)
    l2 = draw(st.sampled_from([0.0, 1.0])) * rng.choice([0.3, 1.0, 4.0], B)
    ridge = draw(st.sampled_from([0.0, 0.0, 0.4])) * rng.choice([1.0, 3.0], B)
    bare = (l2 == 0) & (l1[ptr[:-1]] == 0) & (ridge == 0)
    l2[bare] = 0.0 if free else 0.5
    if free and draw(st.booleans()):
        one = int(rng.integers(0, B))
        l1[ptr[one] : ptr[one + 1]], l2[one], ridge[one] = 0.0, 0.0, 0.0
    scale = rng.uniform(0.5, 2.0, t) if own and draw(st.booleans()) else np.ones(t)
    return Compact(
        X, rng.standard_normal((n, t)) * 2.0, scale, BlockShrink(ptr, l1, l2, ridge, draw(st.booleans()))
    )


def law(strategy: Any) -> Any:
    """Settings of all laws of this file."""

    def decorate(test: Any) -> Any:
        quick = settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=ANY,
        )
        return quick(given(strategy)(test))

    return decorate


def matrices(one: Compact) -> list[np.ndarray]:
    """Arrays (s, t) of several sizes, in both orders."""
    rng = np.random.default_rng(len(one.Y))
    V = rng.standard_normal((one.X.shape[2], one.Y.shape[1]))
    return [V, np.asfortranarray(3.0 * V), 0.05 * V, 0.0 * V]


@law(compacts())
def test_prox_minimises(one):
    shrink = one.shrink
    for V in matrices(one):
        for step in (0.3, 1.7):
            out = cpu.prox(V, step, shrink)
            np.testing.assert_allclose(out, reference.prox(V, step, shrink), rtol=1e-13, atol=1e-15)
            value = _prox_value(out, V, step, shrink)
            for seed in range(3):
                other = out + 1e-3 * np.random.default_rng(seed).standard_normal(out.shape)
                other = np.maximum(other, 0.0) if shrink.positive else other
                assert value <= _prox_value(other, V, step, shrink)
            assert value <= _prox_value(0.999 * out, V, step, shrink)
            assert value <= _prox_value(1.001 * out, V, step, shrink)


def _prox_value(W: np.ndarray, V: np.ndarray, step: float, shrink: BlockShrink) -> float:
    assert not shrink.positive or (W >= 0).all()
    value = 0.5 * float(((W - V) ** 2).sum()) + step * reference.penalty_value(W, shrink)
    return value * (1.0 - 1e-14)


@law(compacts())
def test_value_and_scores(one):
    ptr, l1, l2, ridge, _ = one.shrink
    for V in matrices(one):
        expected = reference.penalty_value(V, one.shrink)
        assert cpu.penalty_value(V, one.shrink) == pytest.approx(expected, rel=1e-13)
        by_hand = float((l1[:, None] * np.abs(V)).sum())
        for b in range(len(l2)):
            part = V[ptr[b] : ptr[b + 1]]
            by_hand += l2[b] * np.linalg.norm(part) + 0.5 * ridge[b] * (part**2).sum()
        assert expected == pytest.approx(by_hand, rel=1e-13)
        scores = cpu.block_scores(V, one.shrink)
        np.testing.assert_allclose(scores, reference.block_scores(V, one.shrink), rtol=1e-13)
        # A block may stay at zero exactly when its score is at most one: then the prox of V leaves it there.
        zero = reference.prox(V, 1.0, one.shrink)
        for b in range(len(l2)):
            stays = not zero[ptr[b] : ptr[b + 1]].any()
            if abs(scores[b] - 1.0) > 1e-12:
                assert stays == (scores[b] < 1.0) or not V[ptr[b] : ptr[b + 1]].any()


@law(compacts(free=False))
def test_gap_bounds_what_is_left(one):
    """The gap of any point is at least its distance from the best point known, and the two modules agree on it."""
    start = one.quadratic()
    reference.sweep(start, one.shrink, 0.0, 300)
    best = one.objective(start.coef)
    for coef in (None, 0.5 * start.coef, 1.1 * start.coef):
        q = one.quadratic(coef)
        arguments = (q.linear, q.gradient, q.coef, q.constant, one.shrink)
        gap = cpu.duality_gap(*arguments)
        rest = 1e-10 * q.constant
        assert gap == pytest.approx(reference.duality_gap(*arguments), rel=1e-8, abs=rest)
        assert gap >= one.objective(q.coef) - best - rest


@law(compacts(free=False))
def test_sweeps_reach_the_minimum(one):
    tol = 1e-7 * one.quadratic().constant
    here, there = one.quadratic(), one.quadratic()
    done = cpu.sweep(here, one.shrink, tol, 5000)
    plain = reference.sweep(there, one.shrink, tol, 500)
    fresh = one.quadratic(here.coef)
    np.testing.assert_allclose(here.gradient, fresh.gradient, atol=1e-9 * (1.0 + np.abs(here.linear).max()))
    value, other = one.objective(here.coef), one.objective(there.coef)
    assert done.gap <= tol and 1 <= done.epochs <= 5000
    assert value <= other + tol + 1e-12 * value
    assert other <= value + plain.gap + 1e-12 * value
    again = cpu.sweep(here, one.shrink, 4.0 * tol, 5000)
    assert again.epochs <= 2, "a solved problem needs no further descent"


@law(compacts(free=False))
def test_sweeps_stop_at_the_limit(one):
    # With free blocks the gap says nothing before they are at their minimum: no dual point is feasible.
    q = one.quadratic()
    for epochs in (1, 3):
        done = cpu.sweep(q, one.shrink, 0.0, epochs)
        assert 1 <= done.epochs <= epochs
        fresh = one.quadratic(q.coef)
        expected = reference.duality_gap(fresh.linear, fresh.gradient, q.coef, q.constant, one.shrink)
        assert done.gap == pytest.approx(expected, rel=1e-6, abs=1e-9 * q.constant)


@law(compacts())
def test_descent_never_rises(one):
    q = one.quadratic()
    before = one.objective(q.coef)
    for _ in range(4):
        cpu.sweep(q, one.shrink, 0.0, 1)
        now = one.objective(q.coef)
        assert now <= before * (1.0 + 1e-12)
        before = now


@law(compacts(own=False, free=False))
def test_columns_reach_the_minimum(one):
    data = np.ascontiguousarray(one.X[0].T)
    for order in ("C", "F"):
        residual, coef = np.array(one.Y, order=order), np.zeros((len(data), one.Y.shape[1]))
        columns = cpu.prepare_columns(data, one.shrink, one.Y.shape[1])
        before = one.objective(coef)
        for _ in range(60):
            moved = cpu.sweep_columns(columns, residual, coef, np.ones((1, 1)), one.shrink, 20)
            now = one.objective(coef)
            assert now <= before * (1.0 + 1e-12)
            before = now
            q = one.quadratic(coef)
            gap = reference.duality_gap(q.linear, q.gradient, q.coef, q.constant, one.shrink)
            if gap <= 1e-8 * q.constant:
                break
        np.testing.assert_allclose(residual, one.Y - one.X[0] @ coef, atol=1e-10)
        assert gap <= 1e-5 * q.constant and moved <= 1e-5 * q.constant


@law(compacts(own=False))
def test_one_epoch_through_columns(one):
    """One pass of the compiled sweep moves as exact block steps do, and reports the largest."""
    data, t = np.ascontiguousarray(one.X[0].T), one.Y.shape[1]
    if t >= cpu.FEW_TASKS:
        return  # many tasks take several passes within a chunk
    residual, coef = one.Y.copy(), np.zeros((len(data), t))
    moved = cpu.sweep_columns(
        cpu.prepare_columns(data, one.shrink, t), residual, coef, np.ones((1, 1)), one.shrink, 1
    )
    expected, W = one.Y.copy(), np.zeros_like(coef)
    none = np.empty(0, dtype=np.int64)
    plain = reference.sweep_columns(
        Columns(data, none, none, np.zeros(len(data))), expected, W, np.ones((1, 1)), one.shrink, 1
    )
    np.testing.assert_allclose(coef, W, atol=1e-11)
    np.testing.assert_allclose(residual, expected, atol=1e-10)
    assert moved == pytest.approx(plain, rel=1e-9, abs=1e-18)


@law(compacts(own=False))
def test_sparse_columns_are_dense_columns(one):
    """The plain kernels read CSC columns with a lazy centre as the dense columns that they stand for."""
    data = np.where(np.abs(one.X[0].T) < 0.5, 0.0, one.X[0].T)
    rows, places = np.nonzero(data)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(data)))]).astype(np.int64)
    center = 0.1 * np.arange(len(data))
    sparse = Columns(data[rows, places], places.astype(np.int64), indptr, center)
    none = np.empty(0, dtype=np.int64)
    dense = Columns(data - center[:, None], none, none, np.zeros(len(data)))
    weight = np.random.default_rng(0).uniform(0.5, 2.0, one.Y.shape)
    results = []
    for columns in (sparse, dense):
        residual, coef = one.Y.copy(), np.zeros((len(data), one.Y.shape[1]))
        moved = reference.sweep_columns(columns, residual, coef, weight, one.shrink, 3)
        results.append((residual, coef, moved))
    np.testing.assert_allclose(results[0][1], results[1][1], atol=1e-12)
    np.testing.assert_allclose(results[0][0], results[1][0], atol=1e-12)
    np.testing.assert_allclose(results[0][0], one.Y - dense.data.T @ results[0][1], atol=1e-12)
    assert results[0][2] == pytest.approx(results[1][2], rel=1e-9, abs=1e-18)


@law(compacts())
def test_products(one):
    X, R = one.X[0], one.Y
    for A in (X, np.asfortranarray(X)):
        for kernels in (cpu, reference):
            np.testing.assert_allclose(kernels.correlate(A, R), X.T @ R, atol=1e-13)
            np.testing.assert_allclose(kernels.predict(A, X.T @ R), X @ (X.T @ R), atol=1e-11)


@law(compacts())
def test_batches_are_single_sweeps(one):
    tol = 1e-8 * one.quadratic().constant
    for kernels in (cpu, reference):
        alone = [one.quadratic(), one.quadratic(0.1 * np.ones_like(one.quadratic().coef))]
        batch = [one.quadratic(), one.quadratic(0.1 * np.ones_like(one.quadratic().coef))]
        done = kernels.sweep_batch(batch, [one.shrink] * 2, np.array([tol, 10 * tol]), 50)
        for q, other, found, limit in zip(alone, batch, done, (tol, 10 * tol), strict=True):
            assert kernels.sweep(q, one.shrink, limit, 50) == found
            assert np.array_equal(q.coef, other.coef)


@law(
    st.tuples(
        st.integers(0, 2**32 - 1),
        st.integers(1, 12),
        st.integers(1, 12),
        st.sampled_from([0.0, 1e-7, 0.5, 2.0, 50.0]),
    )
)
def test_singular_shrink(drawn):
    seed, p, t, threshold = drawn
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((p, t)) @ np.diag(10.0 ** rng.uniform(-3, 1, t))
    expected = np.maximum(np.linalg.svd(W, compute_uv=False) - threshold, 0.0)
    for kernels in (cpu, reference):
        U, s, Vt = kernels.singular_shrink(W, threshold)
        assert (s > 0).all() and (np.diff(s) <= 0).all() and U.shape[1] == len(s) == len(Vt)
        np.testing.assert_allclose(s, expected[: len(s)], atol=1e-9 * (1.0 + expected[0]))
        assert (expected[len(s) :] <= 1e-9).all()
        np.testing.assert_allclose(U.T @ U, np.eye(len(s)), atol=1e-8)
        np.testing.assert_allclose(Vt @ Vt.T, np.eye(len(s)), atol=1e-8)
        # The optimality condition: W less the result has singular values at most the threshold.
        rest = W - (U * s) @ Vt
        assert np.linalg.norm(rest, 2) <= threshold + 1e-9 * (1.0 + expected[0] + threshold)


@law(st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 6)))
def test_tridiagonal(drawn):
    seed, q, k = drawn
    rng = np.random.default_rng(seed)
    L = np.diag(rng.uniform(0.5, 2.0, q)) + np.diag(rng.standard_normal(q - 1), -1)
    T = L @ L.T
    diagonal, off = T.diagonal().copy(), T.diagonal(-1).copy()
    scales, B, shift = rng.uniform(0.0, 3.0, k), rng.standard_normal((q, k)), 0.7
    for kernels in (cpu, reference):
        pivots, multipliers = kernels.tridiagonal_factor(diagonal, off, scales, shift)
        assert not multipliers[0].any()
        for order in ("C", "F"):
            right = np.array(B, order=order)
            out = kernels.tridiagonal_solve(pivots, multipliers, right)
            for j in range(k):
                expected = np.linalg.solve(scales[j] * T + shift * np.eye(q), B[:, j])
                np.testing.assert_allclose(out[:, j], expected, rtol=1e-9, atol=1e-11)
            assert np.array_equal(right, B)
            np.testing.assert_allclose(kernels.tridiagonal_multiply(diagonal, off, right), T @ B, atol=1e-12)
