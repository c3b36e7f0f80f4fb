"""A sparse design, CSC or CSR, read in place."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from .._arrays import Array, compute_dtype, panels
from ._base import Design
from .dense import DenseDesign

DENSE_SHARE = 0.2
"""Share of stored entries above which a part of X is handled as dense."""


SMALL_COPY = 1 << 25
"""Bytes that a copy of X in another format may take."""


class SparseDesign(Design):
    """X as a scipy.sparse matrix in CSC or CSR form, 32- or 64-bit indices, unsorted or duplicate entries included.

    Parameters
    ----------
    X : scipy.sparse matrix or array of shape (n, p)
        CSC or CSR; other formats are converted to CSC by the door. Duplicate entries count as their sum.
    """

    prefers_gram = True

    def __init__(self, X: Any) -> None:
        self.X = X
        self.shape = (int(X.shape[0]), int(X.shape[1]))
        self.dtype = compute_dtype(X.dtype)
        self._plain = X.dtype == np.float64 or X.dtype == np.float32

    @property
    def row_size(self) -> float:
        return self.X.nnz / max(1, self.n)

    def correlate(self, R: Array) -> Array:
        if self._plain:
            return np.asarray(self.X.T @ np.ascontiguousarray(R, dtype=np.float64))
        out = np.empty((self.p, R.shape[1]))
        for part in panels(self.p, 8 * (1 + self.X.nnz // max(1, self.p))):
            out[part] = self._columns(part).T @ R
        return out

    def predict(self, W: Array, rows: Array | None = None) -> Array:
        W = np.ascontiguousarray(W, dtype=np.float64)
        if rows is None:
            if self._plain:
                return np.asarray(self.X @ W)
            rows = np.arange(self.p)
        if len(rows) == 0:
            return np.zeros((self.n, W.shape[1]))
        return np.asarray(self.columns(rows) @ W)

    def _columns(self, cols: Any) -> Any:
        return self._by_columns[:, cols].astype(np.float64)

    @cached_property
    def _by_columns(self) -> Any:
        """X where columns are cheap to take: a small CSR matrix is copied to CSC once."""
        is_small = 12 * self.X.nnz <= SMALL_COPY
        return self.X.tocsc() if self.X.format == "csr" and is_small else self.X

    def columns(self, cols: Array) -> Any:
        """The columns `cols` as a canonical float64 CSC matrix (a copy of those columns only)."""
        part = self._columns(cols).tocsc()
        part.sum_duplicates()
        return part

    def take(self, cols: Array) -> Array:
        return np.ascontiguousarray(self.columns(cols).T.toarray())

    def gram(self, cols: Array, other: Array | None = None, weight: Array | None = None) -> Array:
        left = self.columns(cols)
        right = left if other is None else self.columns(other)
        if weight is not None:
            right = right.multiply(np.asarray(weight)[:, None]).tocsc()
        return np.asarray((left.T @ right).toarray())

    def part(self, cols: Array) -> Design:
        columns = self.columns(cols)
        if columns.nnz > DENSE_SHARE * self.n * len(cols):
            return DenseDesign(np.asfortranarray(columns.toarray()))
        return SparseDesign(columns)

    def sq_norms(self, weight: Array | None = None) -> Array:
        out = np.empty(self.p)
        for part in panels(self.p, 24 * (1 + self.X.nnz // max(1, self.p))):
            block = self.columns(np.arange(part.start, part.stop))
            squared = block.multiply(block)
            out[part] = np.asarray(squared.sum(axis=0) if weight is None else squared.T @ weight).ravel()
        return out

    def check_finite(self, name: str = "X") -> None:
        bad = ~np.isfinite(self.X.data)
        if bad.any():
            raise ValueError(
                f"{name} holds {float(self.X.data[bad][0])} among its stored entries; every entry must be finite"
            )
