"""Accelerated proximal gradient with adaptive restart on the compact problem: large launches, no read-back inside.

From the extrapolated point Y, with D the block curvatures and L at least the largest eigenvalue of `D^-1/2 G D^-1/2`:

    W+ = prox(Y + (linear - c G Y) / (L D)),    Y+ = W+ + beta (W+ - W)

where the momentum starts anew whenever `<Y - W+, W+ - W> > 0` in the metric L D (O'Donoghue and Candes 2015, "Adaptive
restart for accelerated gradient schemes", section 3.2). The momentum, the restart and the stopping flag live on the device;
the host reads the gap only after a run of steps whose length it takes from the decay that it has seen.
"""

from __future__ import annotations

import math

import numpy as np

from .._interface import Array, BlockShrink, Descent, Quadratic
from ._cupy import cupy
from ._modules import THREADS, launch
from ._shrink import WARPS, check_gap

CHECK_EVERY = 16
"""Steps between two gaps on the device; the gap costs one product, as a step does."""

FIRST_RUN = 64
LONGEST_RUN = 1024
"""Steps between two read-backs."""

SQUARINGS = 3
"""Squarings of the Gram matrix for the bound of its largest eigenvalue: at most s^(1/16) above it, for three products."""


def descend(quadratic: Quadratic, shrink: BlockShrink, tol: float, max_epochs: int) -> Descent:
    """Descend in place until the duality gap is at most `tol`; one epoch is one proximal step."""
    gram, scale = cupy.ascontiguousarray(quadratic.gram), cupy.asarray(quadratic.scale, dtype=np.float64)
    linear, coef = cupy.ascontiguousarray(quadratic.linear), cupy.ascontiguousarray(quadratic.coef)
    step = step_lengths(gram, scale, shrink)
    Y, following = coef.copy(), cupy.empty_like(coef)
    advance, state, theta = cupy.zeros(len(shrink.l2)), cupy.zeros(2), cupy.ones(2)
    epoch, run, last = 0, FIRST_RUN, math.inf
    gap = math.inf
    while epoch < max_epochs:
        stop = min(max_epochs, epoch + run)
        while epoch < stop:
            before, after = theta[epoch % 2 :][:1], theta[(epoch + 1) % 2 :][:1]
            _step(linear, times(gram, Y), scale, Y, coef, following, step, advance, state, shrink)
            args = (Y, coef, following, advance, before, after, state, len(advance), coef.size)
            launch("extrapolate", coef.dtype, -(-coef.size // THREADS), args)
            epoch += 1
            if epoch % CHECK_EVERY == 0 or epoch == stop:
                quadratic.gradient[...] = linear - scale * times(gram, coef)
                check_gap(linear, quadratic.gradient, coef, quadratic.constant, shrink, tol, state)
        last, gap, done = gap, *state.get().tolist()
        if done:
            break
        run = _next_run(last, gap, tol, run)
    if coef.data.ptr != quadratic.coef.data.ptr:
        quadratic.coef[...] = coef
    return Descent(float(gap), epoch)


def times(gram: Array, W: Array) -> Array:
    """`G W` with one Gram matrix, or `G_t w_t` column by column with one for each task, as a contiguous (s, t) array."""
    if gram.shape[0] == 1:
        return cupy.ascontiguousarray(gram[0] @ W)
    return cupy.ascontiguousarray(cupy.matmul(gram, cupy.ascontiguousarray(W.T)[:, :, None])[:, :, 0].T)


def step_lengths(gram: Array, scale: Array, shrink: BlockShrink) -> Array:
    """Step length of every penalty block (B,): `1 / (L d_b)` with `L D` at least every `c_t G_t`; no read-back."""
    from ._sweep import curvature_bounds

    bound = (curvature_bounds(gram, shrink.ptr) * _per_matrix(scale, gram)[:, None]).max(axis=0)
    bound = cupy.where(bound > 0, bound, 1.0)
    rows = cupy.searchsorted(shrink.ptr, cupy.arange(gram.shape[1]), side="right") - 1
    root = cupy.sqrt(bound)[rows]
    scaled = gram * (_per_matrix(scale, gram)[:, None, None] / (root[:, None] * root)).astype(gram.dtype)
    return cupy.ascontiguousarray(1.0 / (bound * _largest_eigenvalue(scaled)))


def _per_matrix(scale: Array, gram: Array) -> Array:
    """The factor that multiplies each Gram matrix: its own, or the largest when one matrix serves all tasks."""
    return scale.max(keepdims=True) if gram.shape[0] == 1 else scale


def _largest_eigenvalue(A: Array) -> Array:
    """Upper bound of the largest eigenvalue of the stack A: `|A^(2^q)|_F^(1/2^q)`, 0-d on the device."""
    exponent = cupy.zeros(A.shape[0])
    for power in range(SQUARINGS + 1):
        norm = cupy.sqrt((A.astype(np.float64) ** 2).sum(axis=(1, 2)))
        norm = cupy.where(norm > 0, norm, 1.0)
        exponent += cupy.log(norm) / 2.0**power
        if power < SQUARINGS:
            A = A / norm[:, None, None].astype(A.dtype)
            A = cupy.matmul(A, A)
    # Rounding of the products, s eps relative, stays below this margin.
    return cupy.exp(exponent).max() * (1.0 + 8.0 * A.shape[1] * float(np.finfo(A.dtype).eps))


def _step(
    linear: Array, product: Array, scale: Array, Y: Array, coef: Array, following: Array, step: Array, advance: Array,
    state: Array, shrink: BlockShrink,
) -> None:  # fmt: skip
    blocks = len(shrink.l2)
    args = (linear, product, scale, Y, coef, following, step, advance, state)
    args += (shrink.ptr, shrink.l1, shrink.l2, shrink.ridge, blocks, coef.shape[1], shrink.positive)
    launch("proximal_step", coef.dtype, -(-blocks // WARPS), args)


def _next_run(last: float, gap: float, tol: float, run: int) -> int:
    """Steps until the gap should be reached if it goes on to decay as it did, in whole checks, at most `LONGEST_RUN`."""
    if not (0 < tol < gap < last < math.inf):
        return min(2 * run, LONGEST_RUN)
    needed = run * math.log(gap / tol) / math.log(last / gap)
    return max(CHECK_EVERY, min(LONGEST_RUN, 4 * run, CHECK_EVERY * math.ceil(1.2 * needed / CHECK_EVERY)))
