"""A dense design on a CUDA device, or streamed through one from host memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .._arrays import Array, compute_dtype
from ._base import Design
from .dense import DenseDesign
from .resident import Residuals

PANEL_BYTES = 1 << 28
"""Work memory of one converted or gathered panel on the device."""


class DeviceDesign(Design):
    """X on the device; what comes in and goes out, small beside X, is in host memory.

    Parameters
    ----------
    X : array of shape (n, p)
        Any real dtype and layout. On the device it is read in place; in host memory it stays there, and every product
        streams it through the device in panels.
    gpu : module
        `fastmtl_kernels.gpu`.
    """

    prefers_gram = True

    def __init__(self, X: Any, gpu: Any) -> None:
        self.X, self.gpu, self._xp = X, gpu, gpu.xp
        self.shape = (X.shape[0], X.shape[1])
        self.dtype = compute_dtype(X.dtype)
        self.is_streamed = isinstance(X, np.ndarray)

    def host(self) -> np.ndarray:
        """X in host memory; a copy when it lives on the device."""
        return self.X if self.is_streamed else self.X.get()

    def on_host(self) -> Design:
        return DenseDesign(self.host())

    def up(self, A: Array) -> Any:
        """A copy of a small array on the device, in float64."""
        return self._xp.asarray(np.ascontiguousarray(A, dtype=np.float64))

    def _block(self, rows: slice, cols: Any, dtype: Any = np.float64) -> Any:
        """Part of X on the device in a floating dtype; `cols` is a slice or host indices."""
        if self.is_streamed:
            return self._xp.asarray(np.asarray(self.X[rows, cols], dtype=dtype))
        block = self.X[rows, cols] if isinstance(cols, slice) else self.X[rows][:, self._xp.asarray(cols)]
        return block.astype(dtype, copy=False)

    def _parts(self, length: int, width: int) -> Iterator[slice]:
        step = max(1, PANEL_BYTES // (8 * max(1, width)))
        return (slice(low, min(length, low + step)) for low in range(0, length, step))

    @property
    def _is_direct(self) -> bool:
        return self.is_streamed or self.X.dtype == np.float64

    def correlate(self, R: Array) -> Array:
        return self.correlate_there(self.up(R)).get()

    def correlate_there(self, R: Any) -> Any:
        """`X' R` (p, t) of and as float64 arrays on the device."""
        if self._is_direct:
            return self.gpu.correlate(self.X, R)
        out = self._xp.empty((self.p, R.shape[1]))
        for part in self._parts(self.p, self.n):
            out[part] = self.gpu.correlate(self._block(slice(None), part), R)
        return out

    def predict(self, W: Array, rows: Array | None = None) -> Array:
        return self.predict_there(self.up(W), rows).get()

    def predict_there(self, W: Any, rows: Array | None = None) -> Any:
        """`X W` (n, t) of and as float64 arrays on the device; `rows` as in `predict`."""
        if rows is None and self._is_direct:
            return self.gpu.predict(self.X, W)
        out = self._xp.zeros((self.n, W.shape[1]))
        for part in self._parts(self.p if rows is None else len(rows), self.n):
            out += self.gpu.predict(self._block(slice(None), part if rows is None else rows[part]), W[part])
        return out

    def residuals(
        self, Y: Array, root: Array | None, basis: Array, scale: Array | None = None
    ) -> Residuals | None:
        return Residuals(self, Y, root, basis, scale)

    def take(self, cols: Array) -> Array:
        out = np.empty((len(cols), self.n))
        for part in self._parts(len(cols), self.n):
            out[part] = self._block(slice(None), cols[part]).T.get()
        return out

    def gram(self, cols: Array, other: Array | None = None, weight: Array | None = None) -> Array:
        right = cols if other is None else other
        out = self._xp.zeros((len(cols), len(right)))
        weight = None if weight is None else self.up(weight)[:, None]
        for part in self._parts(self.n, len(cols) + len(right)):
            B = A = self._block(part, cols)
            if other is not None:
                B = self._block(part, other)
            out += (A if weight is None else A * weight[part]).T @ B
        return out.get()

    def gathered(self, cols: Array) -> DeviceDesign:
        """Some columns as a design of their own on the device, in float64."""
        return DeviceDesign(self._block(slice(None), cols), self.gpu)

    def shifted_there(self, centre: Array) -> DeviceDesign:
        """`X - 1 centre'` as a dense design of its own on the device, in float64."""
        return DeviceDesign(self._block(slice(None), slice(None)) - self.up(centre), self.gpu)

    def grams_there(self, weights: Any) -> Any:
        """`X' diag(weights_c) X` (t, p, p) of and as float64 arrays on the device, for weights (t, n)."""
        out = self._xp.zeros((len(weights), self.p, self.p))
        for part in self._parts(self.n, 2 * self.p):
            block = self._block(part, slice(None))
            for c in range(len(weights)):
                out[c] += (block * weights[c, part][:, None]).T @ block
        return out

    def part(self, cols: Array) -> Design:
        return DenseDesign(self.take(cols).T)

    def sq_norms(self, weight: Array | None = None) -> Array:
        out = np.empty(self.p)
        weight = None if weight is None else self.up(weight)[:, None]
        for part in self._parts(self.p, self.n):
            squares = self._block(slice(None), part) ** 2
            out[part] = (squares if weight is None else squares * weight).sum(axis=0).get()
        return out

    def second_moments(self, weight: Array, centre: Array | None = None, *, single: bool = False) -> Array:
        dtype = np.float32 if single else np.float64
        root = self.up(np.sqrt(weight))[:, None].astype(dtype)
        centre = None if centre is None else self.up(centre)
        out = self._xp.zeros((self.p, self.p), dtype=dtype)
        for part in self._parts(self.n, self.p):
            block = self._block(part, slice(None))
            # Centred in float64 before any rounding: nothing is left to cancel.
            block = (block if centre is None else block - centre).astype(dtype, copy=False) * root[part]
            out += block.T @ block
        return np.asfortranarray(out.get())

    def inner_products(self, weight: Array, centre: Array | None = None, *, single: bool = False) -> Array:
        dtype = np.float32 if single else np.float64
        root = self.up(np.sqrt(weight))[:, None].astype(dtype)
        centre = None if centre is None else self.up(centre)
        out = self._xp.zeros((self.n, self.n), dtype=dtype)
        for part in self._parts(self.p, self.n):
            block = self._block(slice(None), part)
            block = (block if centre is None else block - centre[part]).astype(dtype, copy=False) * root
            out += block @ block.T
        return np.asfortranarray(out.get())

    def check_finite(self, name: str = "X") -> None:
        for part in self._parts(self.n, self.p):
            block = self._block(part, slice(None))
            bad = ~self._xp.isfinite(block)
            if bool(bad.any()):
                i, j = (int(k[0]) for k in bad.nonzero())
                value = float(block[i, j])
                raise ValueError(
                    f"{name} holds {value} at [{part.start + i}, {j}]; every entry must be finite: drop or impute it"
                )
