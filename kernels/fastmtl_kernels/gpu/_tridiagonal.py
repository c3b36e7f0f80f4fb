"""Many shifted systems `(scales_j T + shift I) x = b_j` with one symmetric tridiagonal T, one thread a system."""

from __future__ import annotations

from .._interface import Array
from ._cupy import cupy
from ._modules import THREADS, launch
from ._shrink import floating

SYSTEM_THREADS = 64
"""Threads a block of the two recurrences: few, so that a few hundred systems still spread over many processors."""


def tridiagonal_factor(diagonal: Array, off: Array, scales: Array, shift: float) -> tuple[Array, Array]:
    """LDL' of `scales_j T + shift I` for every j: inverse pivots (q, k) and multipliers (q, k), row 0 zero."""
    diagonal, off, scales = floating(diagonal), floating(off), floating(scales)
    dtype = diagonal.dtype
    q, k = diagonal.size, scales.size
    pivots, multipliers = cupy.empty((q, k), dtype=dtype), cupy.empty((q, k), dtype=dtype)
    if q and k:
        args = (diagonal, off, scales, dtype.type(shift), pivots, multipliers, q, k)
        launch("tridiagonal_factor", dtype, -(-k // SYSTEM_THREADS), args, threads=SYSTEM_THREADS)
    return pivots, multipliers


def tridiagonal_solve(pivots: Array, multipliers: Array, B: Array) -> Array:
    """Solve the factored systems for the columns of B (q, k), as a new array."""
    B = cupy.ascontiguousarray(B, dtype=pivots.dtype)
    out = cupy.empty_like(B)
    if B.size:
        q, k = B.shape
        args = (pivots, multipliers, B, out, q, k)
        launch("tridiagonal_solve", B.dtype, -(-k // SYSTEM_THREADS), args, threads=SYSTEM_THREADS)
    return out


def tridiagonal_multiply(diagonal: Array, off: Array, B: Array) -> Array:
    """`T B` (q, k) as a new array."""
    B = floating(B)
    diagonal = cupy.ascontiguousarray(diagonal, dtype=B.dtype)
    off = cupy.ascontiguousarray(off, dtype=B.dtype)
    out = cupy.empty_like(B)
    if B.size:
        q, k = B.shape
        launch("tridiagonal_multiply", B.dtype, -(-B.size // THREADS), (diagonal, off, B, out, q, k))
    return out
