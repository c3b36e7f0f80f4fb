"""Descent on compact problems: one thread block a problem while they are small, few large launches when they are not."""

from __future__ import annotations

import numpy as np

from .._interface import Array, BlockShrink, Descent, Quadratic
from . import _accelerated
from ._cupy import cupy
from ._modules import THREADS, launch
from ._shrink import WARPS, on_device

DESCEND_ROWS = 512
"""Rows up to which one thread block sweeps the whole problem. Beyond it, a cyclic pass by a single processor takes longer
than the tens of accelerated proximal steps by the whole device that it saves."""

SHARED_BYTES = 47 * 1024
"""Shared memory for a staged Gram matrix: what every device grants without asking, less what reductions use."""

LAYOUT = 16
"""Numbers a problem in the layout table of `descend.cu`."""


def sweep(quadratic: Quadratic, shrink: BlockShrink, tol: float, max_epochs: int) -> Descent:
    """Descend on `quadratic + penalty` in place until its duality gap is at most `tol` (absolute).

    Cyclic block descent inside one thread block for up to `DESCEND_ROWS` rows, with one read-back; accelerated proximal
    gradient beyond, with a read-back every few dozen steps.
    """
    if quadratic.coef.shape[0] <= DESCEND_ROWS or quadratic.coef.size == 0:
        return sweep_batch([quadratic], [shrink], [tol], max_epochs)[0]
    return _accelerated.descend(quadratic, on_device(shrink), tol, max_epochs)


def sweep_batch(
    quadratics: list[Quadratic], shrinks: list[BlockShrink], tols: Array, max_epochs: int
) -> list[Descent]:
    """`sweep` for many small problems in one launch and one read-back.

    The problems share one dtype. Arrays of a single problem are used in place; those of several are gathered into one
    array each and the coefficients and gradients copied back.
    """
    tols = np.asarray(tols.get() if isinstance(tols, cupy.ndarray) else tols, dtype=np.float64)
    out = [Descent(max(float(q.constant), 0.0), 0) for q in quadratics]
    kept = [i for i, q in enumerate(quadratics) if q.coef.size]
    if kept:
        chosen = [quadratics[i] for i in kept]
        report = launch_descend(chosen, [on_device(shrinks[i]) for i in kept], tols[kept], max_epochs)
        for i, (gap, epochs) in zip(kept, report.get(), strict=True):
            out[i] = as_descent(gap, epochs)
    return out


def as_descent(gap: float, epochs: float) -> Descent:
    """A line of a report; one that is not a number is passed on as a gap that is none."""
    return Descent(float(gap + 0.0 * epochs), int(np.nan_to_num(epochs)))


def launch_descend(
    quadratics: list[Quadratic], shrinks: list[BlockShrink], tols: np.ndarray, max_epochs: int
) -> Array:
    """Descend on problems that are not empty; the report (problems, 2) of gaps and epochs stays on the device."""
    dtype = quadratics[0].coef.dtype
    layout, sizes = _layout(quadratics, shrinks)
    pairs = zip(quadratics, shrinks, strict=True)
    curvature = _join([curvature_bounds(cupy.ascontiguousarray(q.gram), shrink.ptr) for q, shrink in pairs])
    gradient, coef = _join([q.gradient for q in quadratics]), _join([q.coef for q in quadratics])
    constants = cupy.asarray(np.array([q.constant for q in quadratics], dtype=np.float64))
    report = cupy.zeros((len(quadratics), 2))
    args = (
        _join([q.gram for q in quadratics]),
        _join([cupy.asarray(q.scale, dtype=np.float64) for q in quadratics]),
        _join([q.linear for q in quadratics]),
        gradient,
        coef,
        constants,
        _join([s.ptr for s in shrinks]),
        _join([s.l1 for s in shrinks]),
        _join([s.l2 for s in shrinks]),
        _join([s.ridge for s in shrinks]),
        curvature,
        cupy.asarray(tols),
        cupy.asarray(layout),
        cupy.empty(sizes["scratch"], dtype=dtype),
        cupy.empty(sizes["tasks"]),
        report,
        len(quadratics),
        int(max_epochs),
    )
    launch("descend", dtype, len(quadratics), args, threads=THREADS, shared=sizes["shared"])
    for quadratic, row in zip(quadratics, layout, strict=True):
        cells = slice(row[6], row[6] + row[0] * row[1])
        for whole, own in ((gradient, quadratic.gradient), (coef, quadratic.coef)):
            part = whole[cells].reshape(own.shape)
            if part.data.ptr != own.data.ptr:
                own[...] = part
    return report


def _layout(quadratics: list[Quadratic], shrinks: list[BlockShrink]) -> tuple[np.ndarray, dict[str, int]]:
    """The table that tells each thread block where the parts of its problem begin, and the sizes of work arrays."""
    table = np.zeros((len(quadratics), LAYOUT), dtype=np.int64)
    starts = dict.fromkeys(("gram", "rows", "cells", "ptr", "blocks", "tasks", "curvature", "scratch"), 0)
    shared = 0
    for row, q, shrink in zip(table, quadratics, shrinks, strict=True):
        (s, t), k, blocks = q.coef.shape, q.gram.shape[0], len(shrink.l2)
        staged = s * s * q.coef.dtype.itemsize if k == 1 else SHARED_BYTES + 1
        # Without the block pointers on the host, the largest block is all rows unless every row is its own block.
        widest = t if blocks == s else s * t
        row[:] = (
            s, t, k, blocks, starts["gram"], starts["rows"], starts["cells"], starts["ptr"], starts["blocks"],
            starts["tasks"], starts["curvature"], starts["scratch"], shrink.positive, k == 1 and _even(q.scale),
            staged <= SHARED_BYTES, widest,
        )  # fmt: skip
        shared = max(shared, staged if staged <= SHARED_BYTES else 0)
        steps = (k * s * s, s, s * t, blocks + 1, blocks, t, k * blocks, 3 * widest)
        starts = {name: start + step for (name, start), step in zip(starts.items(), steps, strict=True)}
    return table, {"scratch": starts["scratch"], "tasks": starts["tasks"], "shared": shared}


def _even(scale: Array) -> bool:
    """Tell, without a read-back, whether all factors are surely equal; the general step serves when they are not."""
    return scale.size == 1 or (not isinstance(scale, cupy.ndarray) and bool((scale == scale[0]).all()))


def curvature_bounds(gram: Array, ptr: Array) -> Array:
    """Upper bounds (k, B) of the largest eigenvalue of each diagonal block of gram (k, s, s); exact for single rows."""
    matrices, rows, _ = gram.shape
    blocks = len(ptr) - 1
    out = cupy.empty((matrices, blocks))
    warps = matrices * blocks
    launch("block_curvature", gram.dtype, -(-warps // WARPS), (gram, out, ptr, matrices, rows, blocks))
    return out


def _join(arrays: list[Array]) -> Array:
    """The arrays one behind another; a single contiguous one as it is."""
    if len(arrays) == 1:
        return cupy.ascontiguousarray(arrays[0]).reshape(-1)
    return cupy.concatenate([a.reshape(-1) for a in arrays])
