"""The compiled sweeps step by step: every move is the exact block step that a plain loop takes, chunk after chunk."""

from __future__ import annotations

import numpy as np
import pytest
from engine_cases import PENALTIES, P

from fastmtl_kernels import cpu, reference
from fastmtl_kernels._interface import BlockShrink, Quadratic
from fastmtl_kernels.cpu import _sweep

T = 9
NAMES = [
    "l21",
    "l21_ridge",
    "l21_positive",
    "l1",
    "l1_ridge",
    "group_sizes",
    "group_positive",
    "sparse_group",
]
EPS = float(np.finfo(float).eps)


def lowered(name: str, alpha: float) -> BlockShrink:
    form = PENALTIES[name].with_alpha(alpha).lower(P)
    return BlockShrink(form.ptr, form.l1, form.l2, form.ridge, form.positive)


def gram_of(rng: np.random.Generator, s: int = P, n: int = 20) -> np.ndarray:
    """A Gram matrix with two equal columns and one of zeros."""
    X = rng.standard_normal((n, s))
    X[:, 7], X[:, 9] = X[:, 6], 0.0
    return X.T @ X


def plain_chunk(G, Z, W, shrink, curvature, passes, tol):
    """What `sweep_chunk` does, with no shortcut: W and the largest move of the last pass."""
    W, start, moved = W.copy(), W.copy(), 0.0
    for _ in range(passes):
        moved = 0.0
        for b, (low, high) in enumerate(zip(shrink.ptr[:-1], shrink.ptr[1:], strict=True)):
            L, rows = curvature[b], slice(low, high)
            part = BlockShrink(
                np.array([0, high - low]),
                shrink.l1[rows],
                shrink.l2[b : b + 1],
                shrink.ridge[b : b + 1],
                shrink.positive,
            )
            for _inner in range((1 if high - low == 1 else _sweep.GROUP_STEPS) if L > 0 else 0):
                gradient = Z[rows] - G[rows] @ (W - start)
                new = reference.prox(W[rows] + gradient / L, 1 / L, part)
                change = L * float(((new - W[rows]) ** 2).sum())
                W[rows], moved = new, max(moved, change)
                if change <= tol:
                    break
        if moved <= tol:
            break
    return W, moved


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("alpha", [0.3, 4.0, 1000.0])
@pytest.mark.parametrize(("passes", "tol"), [(1, 0.0), (3, 0.0), (40, 1e-3)])
def test_a_chunk_takes_exact_block_steps(name, alpha, passes, tol):
    rng, shrink = np.random.default_rng(0), lowered(name, alpha)
    G, Z = gram_of(rng), 4.0 * rng.standard_normal((P, T))
    curvature = cpu.block_curvature(G, shrink.ptr)
    for W in (np.zeros((P, T)), np.abs(rng.standard_normal((P, T))) * (np.arange(P) % 2)[:, None]):
        new, rest = W.copy(), Z.copy()
        D, touched, widest = (
            np.full((P, T), np.nan),
            np.empty(P, dtype=np.int64),
            int(np.diff(shrink.ptr).max()),
        )
        count, moved = _sweep.sweep_chunk(
            G, rest, new, *shrink[:4], curvature, shrink.positive, passes, tol,
            D, touched, np.empty(P), np.empty(P), np.empty((widest, T)),
        )  # fmt: skip
        expected, largest = plain_chunk(G, Z, W, shrink, curvature, passes, tol)
        np.testing.assert_allclose(new, expected, atol=1e-11)
        assert moved == pytest.approx(largest, rel=1e-6, abs=1e-12)
        np.testing.assert_allclose(D, new - W, atol=1e-13)
        assert len(set(touched[:count])) == count and set(np.flatnonzero((new != W).any(axis=1))) <= set(
            touched[:count]
        )
        np.testing.assert_array_equal(rest, Z)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("t", [1, 3])
def test_one_epoch_by_task_takes_exact_block_steps(name, own, t):
    """With curvatures that differ by task the block step solves its own little problem: its optimality is checked."""
    rng, shrink = np.random.default_rng(1), lowered(name, 2.0)
    gram = np.stack([gram_of(rng) for _ in range(t if own else 1)])
    scale = rng.uniform(0.5, 2.0, t) if own else np.ones(t)
    linear = 6.0 * rng.standard_normal((P, t))
    W = np.zeros((P, t))
    q = Quadratic(gram, scale, linear, linear.copy(), W, 100.0)
    cpu.sweep(q, shrink, -np.inf, 1)
    full = [scale[c] * gram[c if own else 0] for c in range(t)]
    np.testing.assert_allclose(
        q.gradient, linear - np.stack([full[c] @ W[:, c] for c in range(t)], axis=1), atol=1e-11
    )
    before = np.zeros((P, t))
    for b, (low, high) in enumerate(zip(shrink.ptr[:-1], shrink.ptr[1:], strict=True)):
        if high - low > 1:
            return  # several inner steps: the law of descent covers them
        gradient = linear[low] - np.array([full[c][low] @ before[:, c] for c in range(t)])
        bend = np.array([full[c][low, low] for c in range(t)])
        w = W[low]
        if not bend.any():
            assert not w.any()
            continue
        rest = gradient - bend * w - shrink.ridge[b] * w
        allowed = np.where(
            w != 0, shrink.l1[low] * np.sign(w), np.clip(rest, -shrink.l1[low], shrink.l1[low])
        )
        if shrink.positive:
            allowed = np.where(w > 0, allowed, np.minimum(rest, 0.0))
            assert (w >= 0).all()
        left, norm = rest - allowed, np.linalg.norm(w)
        if norm:
            np.testing.assert_allclose(left, shrink.l2[b] * w / norm, atol=1e-9)
        else:
            assert np.linalg.norm(left) <= shrink.l2[b] * (1 + 1e-12)
        before[low] = w


@pytest.mark.parametrize("ridge", [0.0, 0.7])
@pytest.mark.parametrize("l2", [1e-8, 0.5, 2.9])
def test_the_norm_of_a_block_under_unequal_curvatures(ridge, l2):
    """`sum u^2 / ((curvature + ridge) r + l2)^2 = 1` at the root, rows beyond the block aside."""
    rng = np.random.default_rng(2)
    for t in (1, 2, 5):
        U, curvature = rng.standard_normal((4, t)), 10.0 ** rng.uniform(-3, 3, t)
        U *= 3.0 / np.linalg.norm(U[:2])
        r = _sweep.norm_root(U, 2, curvature, l2, ridge)
        total = ((U[:2] / ((curvature + ridge) * r + l2)) ** 2).sum()
        assert r > 0 and total == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("sizes", [[1] * 150, [5] * 30, [80, 1, 1, 68], [30, 30, 30, 60], [64, 64, 22], [1]])
def test_chunks_are_runs_of_whole_blocks(sizes):
    ptr = np.concatenate([[0], np.cumsum(sizes)])
    chunks = cpu._chunks(ptr, 64)
    assert chunks[0][0] == 0 and chunks[-1][1] == len(sizes)
    assert all(a[1] == b[0] for a, b in zip(chunks[:-1], chunks[1:], strict=True))
    for first, last in chunks:
        assert last == first + 1 or ptr[last] - ptr[first] <= 64
        assert last == len(sizes) or ptr[last + 1] - ptr[first] > 64


@pytest.mark.parametrize("sizes", [[1] * 70, [3] * 24])
def test_many_chunks_descend_to_the_same_minimum(sizes):
    """Gram form and residual form over several chunks, in few epochs; residual and gradient belong to the coefficients."""
    rng = np.random.default_rng(3)
    ptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    s, B = int(ptr[-1]), len(sizes)
    X, Y = rng.standard_normal((100, s)), rng.standard_normal((100, T))
    Y += X[:, ::9] @ rng.standard_normal((len(range(0, s, 9)), T))
    shrink = BlockShrink(ptr, np.zeros(s), np.full(B, 25.0), np.full(B, 0.5), False)
    gram, linear, half = (X.T @ X)[None], X.T @ Y, 0.5 * float((Y * Y).sum())
    q = Quadratic(gram, np.ones(T), linear, linear.copy(), np.zeros((s, T)), half)
    done = cpu.sweep(q, shrink, 1e-7 * half, 60)
    assert done.gap <= 1e-7 * half and done.epochs <= 20
    np.testing.assert_allclose(q.gradient, linear - gram[0] @ q.coef, atol=1e-9)
    data, residual, coef = np.ascontiguousarray(X.T), Y.copy(), np.zeros((s, T))
    columns = cpu.prepare_columns(data, shrink, T)
    moves = [cpu.sweep_columns(columns, residual, coef, np.ones((1, 1)), shrink, 1) for _ in range(12)]
    np.testing.assert_allclose(residual, Y - X @ coef, atol=1e-10)
    assert moves[-1] <= 1e-3 * moves[0] and (np.diff(moves) < 0).sum() >= 9
    gap = cpu.duality_gap(linear, X.T @ residual, coef, half, shrink)
    assert gap <= 1e-5 * half
    assert reference.duality_gap(linear, X.T @ residual, coef, half, shrink) == pytest.approx(
        gap, rel=1e-6, abs=1e-10 * half
    )
    values = [
        0.5 * float(((Y - X @ W) ** 2).sum()) + reference.penalty_value(W, shrink) for W in (q.coef, coef)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_curvatures_of_blocks():
    G = gram_of(np.random.default_rng(4))
    for ptr in (np.arange(P + 1), np.array([0, 1, 5, P]), np.array([0, *range(2, P + 1)])):
        found = cpu.block_curvature(G, ptr)
        expected = [np.linalg.norm(G[a:b, a:b], 2) for a, b in zip(ptr[:-1], ptr[1:], strict=True)]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        assert found.flags.writeable


def test_plain_columns_hold_the_data_alone():
    data = np.random.default_rng(5).standard_normal((P, 20))
    columns = reference.prepare_columns(data, lowered("l21", 1.0), 3)
    assert columns.data is data and not len(columns.indices) and not len(columns.indptr)
    residual, coef = np.ones((20, 3)), np.zeros((P, 3))
    reference.sweep_columns(columns, residual, coef, np.ones((1, 1)), lowered("l21", 0.1), 2)
    np.testing.assert_allclose(residual, 1.0 - data.T @ coef, atol=1e-12)
