"""Singular-value and tridiagonal kernels in plain NumPy: obvious, slow, the oracle of the others."""

from __future__ import annotations

import numpy as np

from ._interface import Array
from ._svd import svd


def tridiagonal_factor(diagonal: Array, off: Array, scales: Array, shift: float) -> tuple[Array, Array]:
    """LDL' of `scales_j T + shift I` for every j: inverse pivots (q, k) and multipliers (q, k), row 0 zero."""
    pivots = np.empty((diagonal.size, scales.size))
    multipliers = np.zeros_like(pivots)
    pivots[0] = 1.0 / (scales * diagonal[0] + shift)
    for i in range(1, diagonal.size):
        multipliers[i] = scales * off[i - 1] * pivots[i - 1]
        pivots[i] = 1.0 / (scales * diagonal[i] + shift - multipliers[i] * scales * off[i - 1])
    return pivots, multipliers


def tridiagonal_solve(pivots: Array, multipliers: Array, B: Array) -> Array:
    """Solve the factored shifted systems column by column for B (q, k)."""
    out = np.array(B, dtype=np.float64)
    for i in range(1, len(out)):
        out[i] -= multipliers[i] * out[i - 1]
    out *= pivots
    for i in range(len(out) - 2, -1, -1):
        out[i] -= multipliers[i + 1] * out[i + 1]
    return out


def tridiagonal_multiply(diagonal: Array, off: Array, B: Array) -> Array:
    """`T B` for the symmetric tridiagonal T and B (q, k)."""
    out = diagonal[:, None] * B
    out[1:] += off[:, None] * B[:-1]
    out[:-1] += off[:, None] * B[1:]
    return out


def singular_shrink(W: Array, threshold: float) -> tuple[Array, Array, Array]:
    """Singular value soft-thresholding: factors U (p, r), s (r,), Vt (r, t) of the result, s > 0."""
    U, s, Vt = svd(np.asarray(W, dtype=np.float64))
    keep = s > threshold
    return U[:, keep], s[keep] - threshold, Vt[keep]
