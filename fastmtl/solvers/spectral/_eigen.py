"""Tridiagonal form of a symmetric matrix, its reflectors, and the top of its spectrum (LAPACK)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._arrays import Array

SUBSET = 8
"""Multiple-relatively-robust eigenvectors cost about 3x the divide-and-conquer ones each (measured at T = 100 to
1000), but only those wanted are paid for: worth it below one in `SUBSET`."""


@dataclass(frozen=True)
class Reflectors:
    """The orthogonal Q of `S = Q T Q'`, kept as Householder vectors inside the work matrix that held S.

    Attributes
    ----------
    vectors : ndarray of shape (q, q), Fortran order, float64
        Column i holds v_i below the first sub-diagonal, where v_i is one.
    tau : ndarray of shape (q - 1,)
        `H_i = I - tau_i v_i v_i'`, Q = H_1 ... H_{q-1}.
    """

    vectors: Array
    tau: Array

    def rotate(self, C: Array) -> Array:
        """`Q' C` (q, k), C-ordered."""
        return self._apply(C, "T")

    def unrotate(self, A: Array) -> Array:
        """`Q A` (q, k), C-ordered."""
        return self._apply(A, "N")

    def _apply(self, C: Array, transpose: str) -> Array:
        dormqr = _lapack().dormqr
        out = np.array(C, dtype=np.float64, order="C")
        q, k = out.shape
        if q < 2 or k == 0:
            return out
        # LAPACK wants the vectors from the sub-diagonal down. Read one entry late, the square array is that
        # matrix with leading dimension q; its last row is never touched because `lower` has q - 1 rows.
        shifted = self.vectors.ravel(order="K")[1 : 1 + q * (q - 1)].reshape((q, q - 1), order="F")
        lower = np.asfortranarray(out[1:])
        lower, _, info = dormqr("L", transpose, shifted, self.tau, lower, lwork=64 * k, overwrite_c=1)
        if info:
            raise RuntimeError(f"LAPACK dormqr refused argument {-info}")
        out[1:] = lower
        return out


def _lapack() -> Any:
    """SciPy's LAPACK wrappers, which are made at build time and have no type stubs."""
    from scipy.linalg import lapack

    return lapack


def tridiagonalise(S: Array) -> tuple[Array, Array, Reflectors]:
    """Reduce S = Q T Q' to its diagonal (q,), off-diagonal (q - 1,) and Q.

    Parameters
    ----------
    S : ndarray of shape (q, q), Fortran order, float32 or float64
        Symmetric; only the lower triangle is read. A float64 S is overwritten with the reflectors.

    Notes
    -----
    Reflectors found in float32 make an orthogonal Q only to 1e-6. Recomputing tau_i = 2 / |v_i|^2 in float64
    makes each H_i, hence Q, orthogonal to float64 precision, whatever the precision of v_i.
    """
    q = S.shape[0]
    if q == 1:
        return np.array([float(S[0, 0])]), np.empty(0), Reflectors(np.ones((1, 1), order="F"), np.empty(0))
    reduce = _lapack().ssytrd if S.dtype == np.float32 else _lapack().dsytrd
    vectors, diagonal, off, tau, info = reduce(S, lower=1, lwork=64 * q, overwrite_a=1)
    if info:
        raise RuntimeError(f"LAPACK sytrd refused argument {-info}")
    if S.dtype == np.float32:
        vectors, tau = np.asfortranarray(vectors, dtype=np.float64), tau.astype(np.float64)
        for i in np.flatnonzero(tau):
            v = vectors[i + 2 :, i]
            tau[i] = 2.0 / (1.0 + v @ v)
    return diagonal.astype(np.float64), off.astype(np.float64), Reflectors(vectors, tau)


def count_above(diagonal: Array, off: Array, floor: float) -> int:
    """Number of eigenvalues of the tridiagonal matrix above `floor`, by Sylvester's law of inertia."""
    count, pivot = 0, 1.0
    tiny = np.finfo(float).tiny
    for d, b in zip(diagonal.tolist(), [0.0, *off.tolist()], strict=True):
        pivot = d - floor - b * b / pivot
        if abs(pivot) < tiny:
            pivot = -tiny
        count += int(pivot > 0.0)
    return count


def top_eigenpairs(S: Array, floor: float) -> tuple[Array, Array]:
    """Eigenvalues of the symmetric S (q, q) above `floor`, ascending, with eigenvectors (q, m)."""
    q = S.shape[0]
    if q >= 4 * SUBSET:
        from scipy.linalg import LinAlgError, eigh_tridiagonal

        diagonal, off, reflectors = tridiagonalise(np.array(S, order="F"))
        count = count_above(diagonal, off, floor)
        if count == 0:
            return np.empty(0), np.empty((q, 0))
        if count <= q // SUBSET:
            try:
                values, vectors = eigh_tridiagonal(
                    diagonal,
                    off,
                    select="i",
                    select_range=(q - count, q - 1),
                    lapack_driver="stemr",
                    check_finite=False,
                )
                return values, reflectors.unrotate(vectors)
            except LinAlgError:
                pass
    values, vectors = np.linalg.eigh(S)
    keep = values > floor
    return values[keep], np.ascontiguousarray(vectors[:, keep])
