"""A dense design in any layout and real dtype, memory-mapped files included."""

from __future__ import annotations

import numpy as np

from .._arrays import Array, check_finite, compute_dtype, is_native, panels
from ._base import Design

PANEL_FLOPS = 1.5e9
"""Work of one product panel: below 50 ms on a current core, so that an interrupt is never kept waiting."""


class DenseDesign(Design):
    """X as a NumPy array; products run panel by panel and read X in place.

    Parameters
    ----------
    X : ndarray of shape (n, p)
        Any real dtype and strides; never written to. Native float64 arrays in C or Fortran order go to BLAS
        as they are; anything else is converted one panel of at most 16 MiB at a time.
    """

    def __init__(self, X: np.ndarray) -> None:
        self.X = X
        self.shape = (X.shape[0], X.shape[1])
        self.dtype = compute_dtype(X.dtype)
        self._direct = is_native(X) and X.dtype == np.float64
        self._by_rows = X.flags.c_contiguous and not X.flags.f_contiguous

    def _panels(self, t: int):
        """Blocks of X as (slice, float64 array), along the axis in which X is stored: rows when C-ordered."""
        length, width = self.shape if self._by_rows else self.shape[::-1]
        flops = panels(length, 2 * width * max(1, t), int(PANEL_FLOPS))
        parts = flops if self._direct else panels(length, 8 * width)
        for part in parts:
            block = self.X[part] if self._by_rows else self.X[:, part]
            yield part, block if self._direct else np.asarray(block, dtype=np.float64, order="C" if self._by_rows else "F")

    def correlate(self, R: Array) -> Array:
        t = R.shape[1]
        if not self._by_rows:
            # R' X reads a Fortran-ordered X the way BLAS likes best; the transpose of the result is free.
            out = np.empty((t, self.p))
            R = np.asfortranarray(R, dtype=np.float64)
            for part, block in self._panels(t):
                np.matmul(R.T, block, out=out[:, part])
            return out.T
        out = np.zeros((self.p, t))
        for part, block in self._panels(t):
            out += block.T @ R[part]
        return out

    def predict(self, W: Array, rows: Array | None = None) -> Array:
        W = np.asarray(W, dtype=np.float64)
        if rows is not None and len(rows) < self.p:
            return self._predict_rows(W, rows)
        t = W.shape[1]
        if self._by_rows:
            out = np.empty((self.n, t))
            for part, block in self._panels(t):
                np.matmul(block, W, out=out[part])
            return out
        out = np.zeros((self.n, t))
        for part, block in self._panels(t):
            out += block @ W[part]
        return out

    def _predict_rows(self, W: Array, rows: Array) -> Array:
        out = np.zeros((self.n, W.shape[1]))
        for part in panels(len(rows), 8 * self.n):
            out += self.take(rows[part]).T @ W[part]
        return out

    def take(self, cols: Array) -> Array:
        if self._by_rows:
            return np.ascontiguousarray(self.X[:, cols].T, dtype=np.float64)
        return np.ascontiguousarray(self.X.T[cols], dtype=np.float64)

    def gram(self, cols: Array, other: Array | None = None, weight: Array | None = None) -> Array:
        left = self.take(cols)
        right = left if other is None else self.take(other)
        return (left if weight is None else left * weight) @ right.T

    def sq_norms(self, weight: Array | None = None) -> Array:
        out = np.zeros(self.p)
        for part, block in self._panels(1):
            target = slice(None) if self._by_rows else part
            if weight is None:
                out[target] += np.einsum("ij,ij->j", block, block)
            else:
                out[target] += np.einsum("i,ij,ij->j", weight[part] if self._by_rows else weight, block, block)
        return out

    def check_finite(self, name: str = "X") -> None:
        check_finite(self.X, name)
