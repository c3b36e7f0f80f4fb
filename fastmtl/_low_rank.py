"""Coefficients as a product of two thin factors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastmtl_kernels._svd import svd


class LowRank(NamedTuple):
    """`coef = left right'`, left (p, k), right (t, k)."""

    left: np.ndarray
    right: np.ndarray

    @property
    def size(self) -> int:
        """Numbers stored."""
        return self.left.size + self.right.size

    @property
    def shape(self) -> tuple[int, int]:
        """(p, t) of the product."""
        return self.left.shape[0], self.right.shape[0]

    def dense(self) -> np.ndarray:
        """The product (p, t)."""
        return self.left @ self.right.T


def decompose(coef: np.ndarray | LowRank) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Singular value decomposition U (p, r), s (r,), V (t, r), descending, values that are rounding left out.

    Only the rows of a dense `coef` that are not zero are decomposed; factors are decomposed through their QR forms.
    """
    if isinstance(coef, LowRank):
        left, R = np.linalg.qr(np.asarray(coef.left, dtype=np.float64))
        right, S = np.linalg.qr(np.asarray(coef.right, dtype=np.float64))
        U, s, Vt = svd(R @ S.T)
        U, V = left @ U, right @ Vt.T
    else:
        rows = np.flatnonzero(coef.any(axis=1))
        inner, s, Vt = svd(np.asarray(coef[rows], dtype=np.float64))
        U, V = np.zeros((coef.shape[0], len(s))), Vt.T
        U[rows] = inner
    eps = float(np.finfo(coef[0].dtype if isinstance(coef, LowRank) else coef.dtype).eps)
    rank = int(np.count_nonzero(s > max(len(U), len(V)) * eps * s.max(initial=0.0)))
    return U[:, :rank], s[:rank], V[:, :rank]
