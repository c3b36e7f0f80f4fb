"""Many shifted systems `(scales_j T + shift I) x = b_j` with one symmetric tridiagonal T.

Arrays are (q, k) in C order: row i holds entry i of all k systems, so that the inner loops run over
independent systems and vectorise, although each recurrence itself is sequential in i.
"""

from __future__ import annotations

import numpy as np

from .._interface import Array
from ._jit import jit


@jit
def _factor(
    diagonal: Array, off: Array, scales: Array, shift: float, pivots: Array, multipliers: Array
) -> None:
    """Write inverse pivots and multipliers of LDL' in place; row 0 of `multipliers` is unused and zero."""
    q, k = pivots.shape
    for j in range(k):
        pivots[0, j] = 1.0 / (diagonal[0] * scales[j] + shift)
        multipliers[0, j] = 0.0
    for i in range(1, q):
        d, b = diagonal[i], off[i - 1]
        for j in range(k):
            coupling = b * scales[j]
            ratio = coupling * pivots[i - 1, j]
            multipliers[i, j] = ratio
            pivots[i, j] = 1.0 / (d * scales[j] + shift - ratio * coupling)


@jit
def _solve(pivots: Array, multipliers: Array, B: Array, out: Array) -> None:
    """Forward and backward substitution into `out`, which may be B itself: row i is read before it is written."""
    q, k = B.shape
    for j in range(k):
        out[0, j] = B[0, j]
    for i in range(1, q):
        for j in range(k):
            out[i, j] = B[i, j] - multipliers[i, j] * out[i - 1, j]
    for j in range(k):
        out[q - 1, j] *= pivots[q - 1, j]
    for i in range(q - 2, -1, -1):
        for j in range(k):
            out[i, j] = out[i, j] * pivots[i, j] - multipliers[i + 1, j] * out[i + 1, j]


@jit
def _multiply(diagonal: Array, off: Array, B: Array, out: Array) -> None:
    """`T B` into `out`, which must not overlap B: row i reads its neighbours."""
    q, k = B.shape
    for i in range(q):
        d = diagonal[i]
        for j in range(k):
            out[i, j] = d * B[i, j]
        if i > 0:
            b = off[i - 1]
            for j in range(k):
                out[i, j] += b * B[i - 1, j]
        if i < q - 1:
            b = off[i]
            for j in range(k):
                out[i, j] += b * B[i + 1, j]


def tridiagonal_factor(diagonal: Array, off: Array, scales: Array, shift: float) -> tuple[Array, Array]:
    """LDL' of `scales_j T + shift I` for every j.

    Parameters
    ----------
    diagonal : ndarray of shape (q,), float64
    off : ndarray of shape (q - 1,), float64
        T, symmetric and positive semi-definite up to rounding.
    scales : ndarray of shape (k,), float64
        Non-negative.
    shift : float
        Positive, so that no pivoting is needed.

    Returns
    -------
    pivots, multipliers : ndarray of shape (q, k)
        Inverse pivots of D and the sub-diagonal of L (row 0 zero).
    """
    shape = (diagonal.size, scales.size)
    pivots, multipliers = np.empty(shape), np.empty(shape)
    _factor(diagonal, off, scales, float(shift), pivots, multipliers)
    return pivots, multipliers


def tridiagonal_solve(pivots: Array, multipliers: Array, B: Array) -> Array:
    """Solve the factored systems for the columns of B (q, k), as a new array."""
    B = np.ascontiguousarray(B)
    out = np.empty_like(B)
    _solve(pivots, multipliers, B, out)
    return out


def tridiagonal_multiply(diagonal: Array, off: Array, B: Array) -> Array:
    """`T B` (q, k) as a new array."""
    B = np.ascontiguousarray(B)
    out = np.empty_like(B)
    _multiply(diagonal, off, B, out)
    return out
