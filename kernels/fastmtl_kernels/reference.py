"""The kernels in plain NumPy: obvious, slow, the oracle of the other modules."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from ._interface import BlockShrink, Columns, Descent, Quadratic
from ._reference_spectral import singular_shrink, tridiagonal_factor, tridiagonal_multiply, tridiagonal_solve

__all__ = [
    "block_scores",
    "correlate",
    "duality_gap",
    "penalty_value",
    "predict",
    "prepare_columns",
    "prox",
    "singular_shrink",
    "sweep",
    "sweep_batch",
    "sweep_columns",
    "tridiagonal_factor",
    "tridiagonal_multiply",
    "tridiagonal_solve",
    "xp",
]

xp: Any = np


def correlate(X: Any, R: Any) -> Any:
    return X.T @ R


def predict(X: Any, W: Any) -> Any:
    return X @ W


def _blocks(shrink: BlockShrink) -> list[slice]:
    return [slice(a, b) for a, b in pairwise(shrink.ptr)]


def _soft(V: Any, l1: Any, positive: bool) -> Any:
    return np.maximum(V - l1, 0.0) if positive else np.sign(V) * np.maximum(np.abs(V) - l1, 0.0)


def prox(V: Any, step: float, shrink: BlockShrink) -> Any:
    out = np.zeros_like(V)
    for b, rows in enumerate(_blocks(shrink)):
        U = _soft(V[rows], step * shrink.l1[rows, None], shrink.positive)
        norm = np.linalg.norm(U)
        if norm > step * shrink.l2[b]:
            out[rows] = (1 - step * shrink.l2[b] / norm) / (1 + step * shrink.ridge[b]) * U
    return out


def penalty_value(W: Any, shrink: BlockShrink) -> float:
    value = 0.0
    for b, rows in enumerate(_blocks(shrink)):
        norm = np.linalg.norm(W[rows])
        value += (
            (shrink.l1[rows, None] * np.abs(W[rows])).sum()
            + shrink.l2[b] * norm
            + 0.5 * shrink.ridge[b] * norm**2
        )
    return float(value)


def block_scores(V: Any, shrink: BlockShrink) -> Any:
    out = np.zeros(len(shrink.l2))
    for b, rows in enumerate(_blocks(shrink)):
        if shrink.l2[b] > 0:
            out[b] = np.linalg.norm(_soft(V[rows], shrink.l1[rows, None], shrink.positive)) / shrink.l2[b]
            continue
        for j in range(rows.start, rows.stop):
            top = max(V[j].max(), 0.0) if shrink.positive else np.abs(V[j]).max()
            if shrink.l1[j] > 0:
                out[b] = max(out[b], top / shrink.l1[j])
            elif not shrink.positive or top > 0:
                out[b] = np.inf
    return out


def duality_gap(linear: Any, gradient: Any, W: Any, constant: float, shrink: BlockShrink) -> float:
    cross = 2 * constant - (linear * W).sum()
    square = max(cross - (gradient * W).sum(), 0.0)
    primal = 0.5 * square + penalty_value(W, shrink)
    if cross <= 0:
        return primal
    start = cross / square if square > 1e-300 * cross else 1e300
    edge = min(
        [
            start,
            *(_block_edge(gradient[rows], shrink, b, rows, start) for b, rows in enumerate(_blocks(shrink))),
        ]
    )
    values = [_dual(a, cross, square, gradient, shrink) for a in ({edge, 1.0} if edge > 1 else {edge})]
    return float(primal - max(0.0, *values))


def _block_edge(V: Any, shrink: BlockShrink, b: int, rows: slice, start: float) -> float:
    """Largest a <= start with `|S(aV, l1)| <= l2`, by bisection."""
    if shrink.ridge[b] > 0 or (shrink.l2[b] == 0 and shrink.l1[rows.start] == 0):
        return start

    def inside(a: float) -> bool:
        return bool(np.linalg.norm(_soft(a * V, shrink.l1[rows, None], shrink.positive)) <= shrink.l2[b])

    if inside(start):
        return start
    low, high = 0.0, start
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if inside(middle) else (low, middle)
        if high - low <= 1e-16 * high:
            break
    return low


def _dual(a: float, cross: float, square: float, V: Any, shrink: BlockShrink) -> float:
    value = a * cross - 0.5 * a * a * square
    for b, rows in enumerate(_blocks(shrink)):
        if shrink.ridge[b] > 0:
            excess = np.linalg.norm(_soft(a * V[rows], shrink.l1[rows, None], shrink.positive)) - shrink.l2[b]
            value -= max(excess, 0.0) ** 2 / (2 * shrink.ridge[b])
    return float(value)


def _hessian_times(quadratic: Quadratic, D: Any) -> Any:
    gram, scale = quadratic.gram, quadratic.scale
    if gram.shape[0] == 1:
        return (gram[0] @ D) * scale
    return np.stack([c * (G @ d) for c, G, d in zip(scale, gram, D.T, strict=True)], axis=1)


def sweep(quadratic: Quadratic, shrink: BlockShrink, tol: float, max_epochs: int) -> Descent:
    """Proximal gradient with the exact Lipschitz constant: slow, but nothing can go wrong in it."""
    if len(quadratic.coef) == 0:
        return Descent(0.0, 0)
    lipschitz = max(c * np.linalg.eigvalsh(G)[-1] for c, G in zip(quadratic.scale, np.broadcast_to(
        quadratic.gram, (len(quadratic.scale), *quadratic.gram.shape[1:])), strict=True))  # fmt: skip
    gap, epoch = np.inf, 0
    while epoch < max_epochs:
        epoch += 1
        if lipschitz > 0:
            W = prox(quadratic.coef + quadratic.gradient / lipschitz, 1 / lipschitz, shrink)
            quadratic.coef[...] = W
            quadratic.gradient[...] = quadratic.linear - _hessian_times(quadratic, W)
        if epoch % 20 == 0 or epoch == max_epochs:
            gap = duality_gap(
                quadratic.linear, quadratic.gradient, quadratic.coef, quadratic.constant, shrink
            )
            if gap <= tol:
                break
    return Descent(gap, epoch)


def sweep_batch(
    quadratics: list[Quadratic], shrinks: list[BlockShrink], tols: Any, max_epochs: int
) -> list[Descent]:
    return [sweep(q, s, float(tol), max_epochs) for q, s, tol in zip(quadratics, shrinks, tols, strict=True)]


def prepare_columns(data: Any, shrink: BlockShrink, t: int) -> Columns:
    none = np.empty(0, dtype=np.int64)
    return Columns(data, none, none, np.zeros(len(data)))


def _dense(columns: Columns, n: int) -> Any:
    if not len(columns.indptr):
        return columns.data
    X = np.zeros((len(columns.indptr) - 1, n))
    for j, (a, b) in enumerate(pairwise(columns.indptr)):
        np.add.at(X[j], columns.indices[a:b], columns.data[a:b])
    return X - columns.center[:, None]


def sweep_columns(
    columns: Columns, residual: Any, coef: Any, weight: Any, shrink: BlockShrink, epochs: int
) -> float:
    X = _dense(columns, len(residual))
    weight = np.broadcast_to(weight, residual.shape)
    blocks = [
        (b, rows, X[rows], max(np.linalg.eigvalsh((X[rows] * w) @ X[rows].T)[-1] for w in weight.T))
        for b, rows in enumerate(_blocks(shrink))
    ]
    moved = 0.0
    for _ in range(epochs):
        moved = 0.0
        for b, rows, block, curvature in blocks:
            if curvature <= 0:
                continue
            part = BlockShrink(
                np.array([0, len(block)]),
                shrink.l1[rows],
                shrink.l2[b : b + 1],
                shrink.ridge[b : b + 1],
                shrink.positive,
            )
            new = prox(coef[rows] + block @ (weight * residual) / curvature, 1 / curvature, part)
            move = new - coef[rows]
            residual -= block.T @ move
            coef[rows] = new
            moved = max(moved, curvature * float((move**2).sum()))
    return moved
