"""Tridiagonal form of a symmetric matrix, its reflectors, and the top of its spectrum (LAPACK)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._arrays import Array

SUBSET = 8
"""Multiple-relatively-robust eigenvectors cost about 3x the divide-and-conquer ones each (measured at T = 100 to
1000), but only those wanted are paid for: worth it below one in `SUBSET`."""


BLOCK = 64
"""Householder vectors applied together: two matrix products and a small triangle for each block."""


@dataclass(frozen=True)
class Reflectors:
    """The orthogonal Q of `S = Q T Q'`, kept as Householder vectors inside the work matrix that held S.

    Q is a product of blocks `I - V K^{-1} V'`, V the vectors of one block and K the upper triangle of V'V with its
    diagonal halved (Puglisi 1992; Joffrain et al. 2006, "Accumulating Householder transformations, revisited"). That
    makes every block orthogonal to float64 precision whatever the precision in which the vectors were found; LAPACK's
    `ormqr` trusts the scalars tau instead, and rebuilds its triangles at every call, which costs more than applying
    them to a few columns.

    Attributes
    ----------
    vectors : ndarray of shape (q, q), Fortran order, float64
        Column i holds v_i, zero down to the diagonal; a zero column stands for no reflection.
    triangles : tuple of ndarray
        K^{-1} of each block.
    """

    vectors: Array
    triangles: tuple[Array, ...]

    @classmethod
    def of(cls, vectors: Array, tau: Array) -> Reflectors:
        """From LAPACK's output, (q, q) in Fortran order, which is overwritten."""
        q = len(vectors)
        for i in range(q):
            vectors[: i + 1, i] = 0.0
            if i < q - 1:
                vectors[i + 1, i] = 1.0
        vectors[:, np.flatnonzero(tau == 0.0)] = 0.0
        triangles = []
        for low in range(0, q - 1, BLOCK):
            V = vectors[low + 1 :, low : min(low + BLOCK, q - 1)]
            K = np.triu(V.T @ V)
            halves = 0.5 * np.diag(K)
            np.fill_diagonal(K, np.where(halves > 0.0, halves, 1.0))
            triangles.append(np.linalg.inv(K))
        return cls(vectors, tuple(triangles))

    def rotate(self, C: Array) -> Array:
        """`Q' C` (q, k), C-ordered."""
        out = np.array(C, dtype=np.float64, order="C")
        for block, triangle in enumerate(self.triangles):
            self._reflect(block, triangle.T, out)
        return out

    def unrotate(self, A: Array) -> Array:
        """`Q A` (q, k), C-ordered."""
        out = np.array(A, dtype=np.float64, order="C")
        for block in reversed(range(len(self.triangles))):
            self._reflect(block, self.triangles[block], out)
        return out

    def _reflect(self, block: int, triangle: Array, out: Array) -> None:
        """`out -= V triangle V' out` in place."""
        low = block * BLOCK
        V = self.vectors[low + 1 :, low : low + len(triangle)]
        part = out[low + 1 :]
        part -= V @ (triangle @ (V.T @ part))


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
    """
    if len(S) == 1:
        return np.array([float(S[0, 0])]), np.empty(0), Reflectors(np.zeros((1, 1), order="F"), ())
    vectors, diagonal, off, tau = _sytrd(S)
    reflectors = Reflectors.of(np.asfortranarray(vectors, dtype=np.float64), tau)
    return diagonal.astype(np.float64), off.astype(np.float64), reflectors


def _sytrd(S: Array) -> tuple[Array, Array, Array, Array]:
    """LAPACK's vectors (in place of S), diagonal, off-diagonal and tau."""
    reduce = _lapack().ssytrd if S.dtype == np.float32 else _lapack().dsytrd
    vectors, diagonal, off, tau, info = reduce(S, lower=1, lwork=BLOCK * len(S), overwrite_a=1)
    if info:
        raise RuntimeError(f"LAPACK sytrd refused argument {-info}")
    return vectors, diagonal, off, tau


def _unrotate_once(vectors: Array, tau: Array, Z: Array) -> Array:
    """`Q Z` for LAPACK's vectors and float64 tau: cheaper than `Reflectors` for a single use."""
    q, k = Z.shape
    # LAPACK wants the vectors from the sub-diagonal down. Read one entry late, the square array is that matrix with
    # leading dimension q; its last row is never touched because `lower` has q - 1 rows.
    shifted = vectors.ravel(order="K")[1 : 1 + q * (q - 1)].reshape((q, q - 1), order="F")
    lower, _, info = _lapack().dormqr(
        "L", "N", shifted, tau, np.asfortranarray(Z[1:]), lwork=BLOCK * k, overwrite_c=1
    )
    if info:
        raise RuntimeError(f"LAPACK dormqr refused argument {-info}")
    return np.concatenate((Z[:1], lower))


def is_below(S: Array, limit: float) -> bool:
    """Whether every eigenvalue of the symmetric S (t, t) is below `limit`, by a Cholesky factorisation of the rest."""
    rest = np.negative(S, order="F")
    rest[np.diag_indices_from(rest)] += limit
    return _lapack().dpotrf(rest, lower=1, clean=0, overwrite_a=1)[1] == 0


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


def top_eigenpairs(S: Array, floor: float, expected: int = 0) -> tuple[Array, Array]:
    """Eigenvalues of the symmetric S (q, q) above `floor`, ascending, with eigenvectors (q, m).

    `expected` is how many are sure to be above: when they are many, all are computed without counting first.
    """
    q = S.shape[0]
    if q >= 4 * SUBSET and expected <= q // SUBSET:
        from scipy.linalg import LinAlgError, eigh_tridiagonal

        work, diagonal, off, tau = _sytrd(np.array(S, order="F"))
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
                return values, _unrotate_once(work, tau, vectors)
            except LinAlgError:
                pass
    values, vectors = np.linalg.eigh(S)
    keep = values > floor
    return values[keep], np.ascontiguousarray(vectors[:, keep])
