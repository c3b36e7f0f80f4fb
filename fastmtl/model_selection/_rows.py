"""Some samples of a design as a design of their own, without a copy."""

from __future__ import annotations

import numpy as np

from .._arrays import Array
from ..designs import DenseDesign, Design


class RowsDesign(Design):
    """`X[rows]` through the products of X: residuals are spread over all rows, predictions picked from them.

    Nothing of X is copied but the columns that are asked for; a product costs as much as with the whole of X.

    Parameters
    ----------
    base : Design
        X (n, p).
    rows : ndarray of int (m,)
        Increasing.
    """

    def __init__(self, base: Design, rows: np.ndarray) -> None:
        self.base, self.rows = base, rows
        self.shape, self.dtype, self.prefers_gram = (len(rows), base.p), base.dtype, base.prefers_gram

    def _spread(self, A: Array) -> Array:
        """A (m, ...) with rows of zeros in between, (n, ...)."""
        out = np.zeros((self.base.n, *A.shape[1:]))
        out[self.rows] = A
        return out

    def _weights(self, weight: Array | None) -> Array:
        return self._spread(np.ones(self.n) if weight is None else weight)

    def predict(self, W: Array, rows: Array | None = None) -> Array:
        return self.base.predict(W, rows)[self.rows]

    def correlate(self, R: Array) -> Array:
        return self.base.correlate(self._spread(R))

    def take(self, cols: Array) -> Array:
        return np.ascontiguousarray(self.base.take(cols)[:, self.rows])

    def gram(self, cols: Array, other: Array | None = None, weight: Array | None = None) -> Array:
        return self.base.gram(cols, other, self._weights(weight))

    def part(self, cols: Array) -> Design:
        return DenseDesign(self.take(cols).T)

    def sq_norms(self, weight: Array | None = None) -> Array:
        return self.base.sq_norms(self._weights(weight))

    def second_moments(self, weight: Array, centre: Array | None = None, *, single: bool = False) -> Array:
        return self.base.second_moments(self._spread(weight), centre, single=single)

    def inner_products(self, weight: Array, centre: Array | None = None) -> Array:
        full = self.base.inner_products(self._spread(weight), centre)
        return np.asfortranarray(full[np.ix_(self.rows, self.rows)])

    def check_finite(self, name: str = "X") -> None:
        self.base.check_finite(name)
