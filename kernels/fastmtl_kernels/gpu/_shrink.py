"""Block shrinkage: prox, penalty value, scores and the duality gap, one warp a penalty block."""

from __future__ import annotations

import math

import numpy as np

from .._interface import Array, BlockShrink
from ._cupy import cupy
from ._modules import THREADS, launch

WARPS = THREADS // 32


def on_device(shrink: BlockShrink) -> BlockShrink:
    """The penalty with its arrays on the device; arrays that are there already stay where they are."""
    float64 = cupy.float64
    return BlockShrink(
        cupy.ascontiguousarray(cupy.asarray(shrink.ptr, dtype=cupy.int64)),
        cupy.ascontiguousarray(cupy.asarray(shrink.l1, dtype=float64)),
        cupy.ascontiguousarray(cupy.asarray(shrink.l2, dtype=float64)),
        cupy.ascontiguousarray(cupy.asarray(shrink.ridge, dtype=float64)),
        bool(shrink.positive),
    )


def floating(A: Array) -> Array:
    """A as a C-contiguous array on the device, float32 or float64."""
    A = cupy.asarray(A)
    return cupy.ascontiguousarray(A, dtype=A.dtype if A.dtype == np.float32 else np.float64)


def prox(V: Array, step: float, shrink: BlockShrink) -> Array:
    """`argmin_W 1/2 |W - V|^2 + step * penalty(W)` as a new (s, t) array of the dtype of V."""
    V, shrink = floating(V), on_device(shrink)
    W = cupy.empty_like(V)
    if V.size:
        blocks = len(shrink.l2)
        args = (
            V,
            W,
            shrink.ptr,
            shrink.l1,
            shrink.l2,
            shrink.ridge,
            float(step),
            blocks,
            V.shape[1],
            shrink.positive,
        )
        launch("prox_blocks", V.dtype, -(-blocks // WARPS), args)
    return W


def block_scores(V: Array, shrink: BlockShrink) -> Array:
    """`|S(V_b, l1)|_F / l2_b` (B,) in float64, the largest `|v| / l1` where l2 = 0: above 1 the block must leave zero."""
    V, shrink = floating(V), on_device(shrink)
    blocks = len(shrink.l2)
    scores = cupy.zeros(blocks)
    if V.size:
        args = (V, scores, shrink.ptr, shrink.l1, shrink.l2, blocks, V.shape[1], shrink.positive)
        launch("block_scores", V.dtype, -(-blocks // WARPS), args)
    return scores


def block_gauges(V: Array, shrink: BlockShrink) -> Array:
    """`1 / a` (B,) in float64 for the largest a with `|S(a V_b, l1)|_F <= l2_b`; ridges are not looked at."""
    V, shrink = floating(V), on_device(shrink)
    blocks = len(shrink.l2)
    gauges, ridge = cupy.zeros(blocks), cupy.zeros(blocks)
    if V.size:
        args = (V, gauges, shrink.ptr, shrink.l1, shrink.l2, ridge, blocks, V.shape[1], shrink.positive)
        launch("block_gauges", V.dtype, -(-blocks // WARPS), args)
    return gauges


def duality_gap(linear: Array, gradient: Array, W: Array, constant: float, shrink: BlockShrink) -> float:
    """Duality gap of the compact problem, see `Quadratic`, with the scaled residual as dual point; one read-back."""
    state = cupy.zeros(2)
    check_gap(linear, gradient, W, constant, on_device(shrink), -math.inf, state)
    return float(state[0])


def check_gap(
    linear: Array, gradient: Array, W: Array, constant: float, shrink: BlockShrink, tol: float, state: Array
) -> None:
    """The duality gap into `state[0]` on the device; `state[1]` becomes 1 once it is at most `tol`, or NaN."""
    W = floating(W)
    if W.size == 0:
        state[0] = max(float(constant), 0.0)
        return
    linear, gradient = (
        floating(linear).astype(W.dtype, copy=False),
        floating(gradient).astype(W.dtype, copy=False),
    )
    args = (
        linear,
        gradient,
        W,
        float(constant),
        shrink.ptr,
        shrink.l1,
        shrink.l2,
        shrink.ridge,
        float(tol),
        state,
    )
    launch("check_gap", W.dtype, 1, (*args, W.shape[0], W.shape[1], len(shrink.l2), shrink.positive))


def penalty_value(W: Array, shrink: BlockShrink) -> float:
    """The penalty at W, without the sign constraint; reads one number back."""
    W, shrink = floating(W), on_device(shrink)
    if not W.size:
        return 0.0
    blocks = len(shrink.l2)
    values = cupy.empty(blocks)
    args = (W, values, shrink.ptr, shrink.l1, shrink.l2, shrink.ridge, blocks, W.shape[1])
    launch("block_values", W.dtype, -(-blocks // WARPS), args)
    return float(total(values))


def total(values: Array) -> Array:
    """Sum of a float64 array as a 0-d array on the device, in an order that depends on its length alone."""
    count = values.size
    if count == 0:
        return cupy.zeros(())
    stretches = min(256, -(-count // 4096))
    out = cupy.empty(1)
    if stretches > 1:
        partial = cupy.empty(stretches)
        launch("sum", np.float64, stretches, (values, partial, count))
        values, count = partial, stretches
    launch("sum", np.float64, 1, (values, out, count))
    return out[0]
