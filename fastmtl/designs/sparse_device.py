"""A sparse design on a CUDA device."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arrays import Array, compute_dtype, is_sparse
from ._base import Design
from .device import DeviceDesign
from .sparse import SparseDesign


class SparseDeviceDesign(DeviceDesign):
    """X on the device in CSC form and float64; products with columns that need be dense go panel by panel.

    Parameters
    ----------
    X : scipy.sparse or cupyx.scipy.sparse matrix or array of shape (n, p)
        Duplicate entries count as their sum. Copied where it has another form, and never written to.
    gpu : module
        `fastmtl_kernels.gpu`.
    """

    def __init__(self, X: Any, gpu: Any) -> None:
        # Numbers first: cuSPARSE turns rows into columns of floats alone.
        columns = (X if X.dtype == np.float64 else X.astype(np.float64)).tocsc()
        if not columns.has_canonical_format:
            columns = columns.copy()
            columns.sum_duplicates()
        super().__init__(gpu.sparse().csc_matrix(columns), gpu)
        self.dtype = compute_dtype(X.dtype)

    @property
    def row_size(self) -> float:
        return self.X.nnz / max(1, self.n)

    def on_host(self) -> Design:
        return SparseDesign(self.X.get().astype(self.dtype))

    check_finite = SparseDesign.check_finite  # pyright: ignore[reportAssignmentType] of the entries, which both call X.data

    def _block(self, rows: slice, cols: Any, dtype: Any = np.float64) -> Any:
        cols = cols if isinstance(cols, slice) else self._xp.asarray(cols)
        return self.X[rows, cols].toarray(order="F").astype(dtype, copy=False)

    def predict_there(self, W: Any, rows: Array | None = None) -> Any:
        return (self.X if rows is None else self.X[:, self._xp.asarray(rows)]) @ W

    def gram(self, cols: Array, other: Array | None = None, weight: Array | None = None) -> Array:
        left, right = self.X[:, self._xp.asarray(cols)].T, cols if other is None else other
        out = self._xp.empty((len(cols), len(right)))
        weight = None if weight is None else self.up(weight)[:, None]
        for part in self._parts(len(right), self.n):
            block = self._block(slice(None), right[part])
            out[:, part] = left @ (block if weight is None else block * weight)
        return out.get()

    def gathered(self, cols: Array) -> DeviceDesign:
        return SparseDeviceDesign(self.X[:, self._xp.asarray(cols)], self.gpu)

    def part(self, cols: Array) -> Design:
        return SparseDesign(self.X[:, self._xp.asarray(cols)].get()).part(np.arange(len(cols)))

    def sq_norms(self, weight: Array | None = None) -> Array:
        squares = self.gpu.sparse().csc_matrix(
            (self.X.data**2, self.X.indices, self.X.indptr), shape=self.shape
        )
        return (squares.T @ self.up(np.ones(self.n) if weight is None else weight)).get()


def on_the_device(design: Design, gpu: Any, is_streamed: bool) -> Design:
    """A design with its X on the device, or to be streamed through it; itself where it is there already."""
    if isinstance(design, DeviceDesign):
        return design
    X: Any = getattr(design, "X", None)
    if is_sparse(X):
        return SparseDeviceDesign(X, gpu)
    return DeviceDesign(X if is_streamed else gpu.xp.asarray(X), gpu)
