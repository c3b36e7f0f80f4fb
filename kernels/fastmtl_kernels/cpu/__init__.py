"""The CPU backend: Numba for what loops, BLAS for what multiplies."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from .._interface import BlockShrink, Columns, Descent, Panel, Quadratic
from . import _shrink, _sweep
from ._jit import cache_folder as cache_folder
from ._spectral import singular_shrink as singular_shrink
from ._tridiagonal import tridiagonal_factor as tridiagonal_factor
from ._tridiagonal import tridiagonal_multiply as tridiagonal_multiply
from ._tridiagonal import tridiagonal_solve as tridiagonal_solve

xp: Any = np

PANEL_ROWS = 64
"""Rows of a chunk: its Gram matrix (32 KiB) and the moves of 50 tasks stay in the L1/L2 caches."""
LEAST_ROWS = 32
SMALL_PRODUCT = 1 << 20
"""Size m n k up to which OpenBLAS multiplies matrices as they lie, a third faster than through packed copies."""
FEW_TASKS = 8
"""Below this many tasks a matrix product has too few columns to pay for leaving compiled code."""
PASSES = 3
"""In-chunk passes a visit: one gives cyclic descent, about three cut the number of epochs further."""


def correlate(X: Any, R: Any) -> Any:
    return (R.T @ X).T if X.flags.f_contiguous else X.T @ R


def predict(X: Any, W: Any) -> Any:
    return X @ W


def prox(V: Any, step: float, shrink: BlockShrink) -> Any:
    out = np.empty(V.shape, dtype=V.dtype)
    _shrink.prox(V, float(step), *shrink, out)
    return out


def penalty_value(W: Any, shrink: BlockShrink) -> float:
    return _shrink.penalty_value(W, *shrink[:4])


def block_scores(V: Any, shrink: BlockShrink) -> Any:
    out = np.empty(len(shrink.l2))
    _shrink.block_scores(V, shrink.ptr, shrink.l1, shrink.l2, shrink.positive, out)
    return out


def duality_gap(linear: Any, gradient: Any, W: Any, constant: float, shrink: BlockShrink) -> float:
    return _shrink.duality_gap(linear, gradient, W, constant, *shrink)


def block_curvature(gram: Any, ptr: Any) -> Any:
    """Largest eigenvalue of each diagonal block of `gram`."""
    if len(ptr) == len(gram) + 1:
        # A copy: the diagonal of a 1 x 1 matrix is a read-only view, another type to compile for.
        return gram.diagonal().copy()
    return np.array(
        [np.linalg.eigvalsh(gram[a:b, a:b])[-1] if b - a > 1 else gram[a, a] for a, b in pairwise(ptr)]
    )


def _panel_rows(n: int, t: int) -> int:
    """Rows of a chunk, a multiple of 16, whose products with the (n, t) residual are small if that leaves enough of them."""
    rows = SMALL_PRODUCT // (n * t) // 16 * 16
    return rows if LEAST_ROWS <= rows < PANEL_ROWS else PANEL_ROWS


def _chunks(ptr: Any, rows: int) -> list[tuple[int, int]]:
    """Runs of whole blocks of about `rows` rows, as block ranges."""
    out, first = [], 0
    while first < len(ptr) - 1:
        last = int(np.searchsorted(ptr, ptr[first] + rows, side="right")) - 1
        last = max(last, first + 1)
        out.append((first, last))
        first = last
    return out


def _panels(ptr: Any, gram_of: Any, rows: int = PANEL_ROWS) -> tuple[Panel, ...]:
    panels = []
    for first, last in _chunks(ptr, rows):
        low, high = int(ptr[first]), int(ptr[last])
        gram = gram_of(low, high)
        panels.append(Panel(low, high, first, last, gram, block_curvature(gram, ptr[first : last + 1] - low)))
    return tuple(panels)


def prepare_columns(data: Any, shrink: BlockShrink, t: int) -> Columns:
    none = np.empty(0, dtype=np.int64)
    if t < FEW_TASKS and len(shrink.ptr) == len(data) + 1:
        # These sweeps go row by row and need no Gram matrices.
        squares = np.einsum("ij,ij->i", data, data)
        panels = (Panel(0, len(data), 0, len(data), np.empty((0, 0)), squares),)
    else:
        rows = _panel_rows(data.shape[1], t)
        panels = _panels(shrink.ptr, lambda low, high: data[low:high] @ data[low:high].T, rows)
    return Columns(data, none, none, np.zeros(len(data)), panels)


class _ChunkWork:
    """Work arrays of `sweep_chunk`, made once for all chunks of a problem."""

    def __init__(self, panels: tuple[Panel, ...], shrink: BlockShrink, t: int) -> None:
        rows = max(panel.high - panel.low for panel in panels)
        widest = int(np.diff(shrink.ptr).max())
        self.moves = np.empty((rows, t))
        self.touched = np.empty(rows, dtype=np.int64)
        self.size, self.base = np.empty(rows), np.empty(rows)
        self.work = np.empty((widest, t))

    def sweep(self, panel: Panel, Z: Any, W: Any, shrink: BlockShrink, passes: int) -> tuple[Any, float]:
        """Sweep one chunk; returns the moved rows (relative to the chunk) and the largest squared move."""
        rows, blocks = slice(panel.low, panel.high), slice(panel.first, panel.last)
        ptr = shrink.ptr[panel.first : panel.last + 1] - panel.low
        count, moved = _sweep.sweep_chunk(
            panel.gram, Z, W[rows], ptr, shrink.l1[rows], shrink.l2[blocks], shrink.ridge[blocks], panel.curvature,
            shrink.positive, passes, 0.0, self.moves, self.touched, self.size, self.base, self.work,
        )  # fmt: skip
        return self.touched[:count], moved


def sweep(quadratic: Quadratic, shrink: BlockShrink, tol: float, max_epochs: int) -> Descent:
    if len(quadratic.coef) == 0:
        return Descent(0.0, 0)
    t = quadratic.coef.shape[1]
    if t < FEW_TASKS or quadratic.gram.shape[0] > 1 or (quadratic.scale != 1.0).any():
        return _sweep_by_task(quadratic, shrink, tol, max_epochs)
    return _sweep_by_chunk(quadratic, shrink, tol, max_epochs)


def _sweep_by_task(quadratic: Quadratic, shrink: BlockShrink, tol: float, max_epochs: int) -> Descent:
    gram, scale, linear, gradient, coef, constant = quadratic
    t = coef.shape[1]
    widest = 1 if len(shrink.ptr) == len(coef) + 1 else int(np.diff(shrink.ptr).max())
    curvature = block_curvature(gram[0], shrink.ptr)[None]
    if len(gram) > 1:
        curvature = np.stack([block_curvature(G, shrink.ptr) for G in gram])
    W, Z = np.asfortranarray(coef), np.asfortranarray(gradient)
    work = np.empty((3, widest, t))
    gap, epochs = _sweep.sweep_tasks(
        gram, scale, np.asfortranarray(linear), Z, W, float(constant), *shrink[:4], curvature, shrink.positive,
        float(tol), int(max_epochs), work[0], work[1], work[2],
    )  # fmt: skip
    if W is not coef:
        coef[...], gradient[...] = W, Z
    return Descent(gap, epochs)


def _sweep_by_chunk(quadratic: Quadratic, shrink: BlockShrink, tol: float, max_epochs: int) -> Descent:
    gram, _, linear, gradient, coef, constant = quadratic
    G = gram[0]
    panels = _panels(shrink.ptr, lambda low, high: np.ascontiguousarray(G[low:high, low:high]))
    work = _ChunkWork(panels, shrink, coef.shape[1])
    gap, epoch = np.inf, 0
    while epoch < max_epochs:
        epoch += 1
        moved = 0.0
        for panel in panels:
            touched, move = work.sweep(panel, gradient[panel.low : panel.high], coef, shrink, PASSES)
            moved = max(moved, move)
            if len(touched):
                # G is symmetric: its rows are gathered instead of its columns.
                gradient -= G[panel.low + touched].T @ work.moves[touched]
        if epoch % 2 == 0 or epoch == max_epochs or moved <= 0.0:
            gap = duality_gap(linear, gradient, coef, constant, shrink)
            if gap <= tol or moved <= 0.0:
                break
    return Descent(gap, epoch)


def sweep_batch(
    quadratics: list[Quadratic], shrinks: list[BlockShrink], tols: Any, max_epochs: int
) -> list[Descent]:
    return [sweep(q, s, float(tol), max_epochs) for q, s, tol in zip(quadratics, shrinks, tols, strict=True)]


def _sweep_few(columns: Columns, residual: Any, coef: Any, shrink: BlockShrink, epochs: int) -> float:
    held = np.asfortranarray(residual)
    curvature = np.concatenate([panel.curvature for panel in columns.panels])
    work = np.empty((int(np.diff(shrink.ptr).max()), coef.shape[1]))
    moved = _sweep.sweep_few(
        columns.data, held.T, coef, *shrink[:4], curvature, shrink.positive, int(epochs), work
    )  # fmt: skip
    if held is not residual:
        residual[...] = held
    return moved


def sweep_columns(
    columns: Columns, residual: Any, coef: Any, weight: Any, shrink: BlockShrink, epochs: int
) -> float:
    from scipy.linalg.blas import dgemm  # pyright: ignore[reportAttributeAccessIssue] (made at import)

    data, t = columns.data, coef.shape[1]
    if t < FEW_TASKS:
        return _sweep_few(columns, residual, coef, shrink, epochs)
    work = _ChunkWork(columns.panels, shrink, t)
    held = np.ascontiguousarray(residual)
    moved = 0.0
    for _ in range(epochs):
        moved = 0.0
        for panel in columns.panels:
            block = data[panel.low : panel.high]
            touched, move = work.sweep(panel, block @ held, coef, shrink, PASSES)
            moved = max(moved, move)
            if not len(touched):
                continue
            if 4 * len(touched) > len(block):
                moves = work.moves[: len(block)]  # rows that did not move are zero
            else:
                block, moves = block[touched], work.moves[touched]
            # Transposed it is in the order of BLAS, which updates it in place.
            held = dgemm(-1.0, moves.T, block.T, 1.0, held.T, trans_b=1, overwrite_c=1).T
        if moved <= 0.0:
            break
    if held is not residual:
        residual[...] = held
    return moved
