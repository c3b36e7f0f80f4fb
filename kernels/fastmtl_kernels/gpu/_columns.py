"""Cyclic block descent in residual form on dense or CSC columns: three launches a penalty block, no read-back inside."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .._interface import Array, BlockShrink, Columns
from ._cupy import cupy
from ._modules import MAX_BLOCKS, THREADS, launch
from ._shrink import floating, on_device
from ._sweep import curvature_bounds

SAMPLES = 2048
"""Samples (or stored entries) a chunk of the partial products; chunks run on different processors."""

MOST_CHUNKS = 512


class _Lazy(NamedTuple):
    """What stands for the centring of sparse columns, see `column_step.cu`; float64 on the device."""

    center: Array  # (s,)
    mass: Array  # (s, t) sum_i weight_it x_ij, without centring
    load: Array  # (t,) sum_i weight_it
    shift: Array  # (t,) modified
    total: Array  # (t,) modified


def prepare_columns(data: Array, shrink: BlockShrink, t: int) -> Columns:
    """Columns of a dense gathered design (s, n); the sweeps read them as they are and reuse nothing."""
    none = cupy.empty(0, dtype=np.int64)
    data = floating(data)
    return Columns(data, none, none, cupy.zeros(len(data)))


def sweep_columns(
    columns: Columns, residual: Array, coef: Array, weight: Array, shrink: BlockShrink, epochs: int
) -> float:
    """`epochs` cyclic passes of block steps in residual form, `residual` and `coef` in place.

    Steps on single rows are exact; those on blocks of several rows use a bound of their largest eigenvalue, with the
    weights' maximum over the tasks. Reads the block pointers and the result back.
    """
    if coef.size == 0 or epochs < 1:
        return 0.0
    shrink = on_device(shrink)
    weight = cupy.ascontiguousarray(weight, dtype=np.float64)
    sparse = columns.indptr.size > 0
    ptr = shrink.ptr.get().tolist()
    lazy, squares = _sums(columns, residual, weight, sparse)
    bend = cupy.ascontiguousarray(_curvatures(columns, lazy, squares, weight, ptr, sparse))
    widest = max(high - low for low, high in pairwise(ptr))
    t, dtype = coef.shape[1], coef.dtype
    even = weight.shape[1] == 1
    # The partial products walk no grid strides: chunks times tiles of tasks must fit into one grid.
    chunks = max(1, min(MOST_CHUNKS, MAX_BLOCKS // -(-t // _tile(t)), -(-residual.shape[0] // SAMPLES)))
    partial = cupy.empty(chunks * widest * t)
    z, move = cupy.empty((widest, t), dtype=dtype), cupy.empty((widest, t), dtype=dtype)
    moved = cupy.zeros(2)
    for _ in range(epochs):
        moved[0] = 0.0
        for b, (low, high) in enumerate(pairwise(ptr)):
            _dots(columns, residual, weight, partial, low, high - low, chunks, sparse)
            args = (partial, chunks, lazy.center, lazy.mass, lazy.load, lazy.shift, lazy.total, bend)
            args += (shrink.l1, shrink.l2, shrink.ridge, z, coef, move, moved, low, high - low, b, t)
            launch("column_step", dtype, 1, (*args, shrink.positive, even))
            _update(columns, move, moved, residual, low, high - low, sparse)
    if sparse:
        residual += lazy.shift.astype(dtype)
    return float(moved[0])


def _sums(columns: Columns, residual: Array, weight: Array, sparse: bool) -> tuple[_Lazy, Array]:
    """The lazy centring and `sum_i weight_it x_ij^2` (s, t or 1), without centring."""
    s, t = _rows(columns, sparse), residual.shape[1]
    zeros = cupy.zeros
    if not sparse:
        data = columns.data.astype(np.float64)
        return _Lazy(zeros(s), zeros((s, t)), zeros(t), zeros(t), zeros(t)), (data * data) @ weight
    mass = _column_sums(columns, columns.data.astype(np.float64), weight)
    squares = _column_sums(columns, columns.data.astype(np.float64) ** 2, weight)
    load = cupy.ascontiguousarray(cupy.broadcast_to(weight.sum(axis=0), (t,)))
    total = cupy.ascontiguousarray((weight * residual).sum(axis=0), dtype=np.float64)
    center = cupy.ascontiguousarray(columns.center, dtype=np.float64)
    return _Lazy(
        center, cupy.ascontiguousarray(cupy.broadcast_to(mass, (s, t))), load, zeros(t), total
    ), squares


def _column_sums(columns: Columns, data: Array, weight: Array) -> Array:
    """`sum_i weight_it data_ij` over the stored entries of every CSC column (s, t or 1): dots with a residual of ones."""
    n, wide = weight.shape
    s, width = _rows(columns, True), _tile(wide)
    out = cupy.empty((s, wide))
    args = (
        data,
        columns.indices,
        columns.indptr,
        cupy.ones((n, wide)),
        weight,
        out,
        wide,
        wide,
        0,
        s,
        1,
        width,
    )
    launch("csc_dots", np.float64, -(-wide // width), args, shared=8 * THREADS)
    return out


def _curvatures(
    columns: Columns, lazy: _Lazy, squares: Array, weight: Array, ptr: list[int], sparse: bool
) -> Array:
    """Curvature of every penalty block for every task (B, t)."""
    t = len(lazy.load)
    center = lazy.center[:, None]
    exact = (
        squares
        - 2.0 * center * lazy.mass[:, : squares.shape[1]]
        + center * center * lazy.load[: squares.shape[1]]
    )
    exact = cupy.maximum(cupy.broadcast_to(exact, (len(exact), t)), 0.0)
    out = cupy.empty((len(ptr) - 1, t))
    single = np.flatnonzero(np.diff(ptr) == 1)
    if len(single):
        out[cupy.asarray(single)] = exact[cupy.asarray(np.asarray(ptr)[single])]
    top = weight.max(axis=1)
    for b in np.flatnonzero(np.diff(ptr) != 1).tolist():
        block = _dense_rows(columns, ptr[b], ptr[b + 1], len(top), sparse)
        gram = (block * top) @ block.T
        edges = cupy.asarray(np.array([0, len(block)]))
        out[b] = curvature_bounds(cupy.ascontiguousarray(gram)[None], edges)[0, 0]
    return out


def _dense_rows(columns: Columns, low: int, high: int, n: int, sparse: bool) -> Array:
    """Columns low..high as dense, centred float64 rows."""
    if not sparse:
        return columns.data[low:high].astype(np.float64)
    out = cupy.zeros((high - low, n))
    bounds = columns.indptr[low : high + 1].get().tolist()
    for row, (begin, end) in enumerate(pairwise(bounds)):
        out[row, columns.indices[begin:end]] = columns.data[begin:end]
    return out - cupy.asarray(columns.center)[low:high, None]


def _rows(columns: Columns, sparse: bool) -> int:
    return columns.indptr.size - 1 if sparse else columns.data.shape[0]


def _tile(tasks: int) -> int:
    """Tasks side by side in a thread block: the power of two that holds them all, at most all threads."""
    return min(THREADS, 1 << max(0, tasks - 1).bit_length())


def _dots(
    columns: Columns,
    residual: Array,
    weight: Array,
    partial: Array,
    first: int,
    height: int,
    chunks: int,
    sparse: bool,
) -> None:
    n, t = residual.shape
    width = _tile(t)
    common = (t, weight.shape[1], first, height, chunks, width)
    blocks = chunks * -(-t // width)
    if sparse:
        args = (columns.data, columns.indices, columns.indptr, residual, weight, partial, *common)
        launch("csc_dots", residual.dtype, blocks, args, shared=8 * THREADS)
    else:
        launch(
            "column_dots",
            residual.dtype,
            blocks,
            (columns.data, residual, weight, partial, n, *common),
            shared=8 * THREADS,
        )


def _update(
    columns: Columns, move: Array, moved: Array, residual: Array, first: int, height: int, sparse: bool
) -> None:
    n, t = residual.shape
    blocks = -(-n * t // THREADS)
    if not sparse:
        launch(
            "column_update",
            residual.dtype,
            blocks,
            (columns.data, move, moved, residual, n, t, first, height),
        )
        return
    for row in range(height):
        args = (columns.data, columns.indices, columns.indptr, move, moved, residual, t, first + row, row)
        launch("csc_update", residual.dtype, blocks, args)
