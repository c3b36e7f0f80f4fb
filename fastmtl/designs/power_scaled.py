"""A design whose columns are divided by powers of two: for columns too large or too small to be squared."""

from __future__ import annotations

import numpy as np

from .._arrays import Array, panels
from ._base import Design
from .scaled import ScaledDesign


class PowerScaledDesign(ScaledDesign):
    """`X diag(2^-exponents)` without touching X: scaled columns are gathered a panel at a time, the others read in place.

    Parameters
    ----------
    base : Design
    exponents : ndarray of int (p,)
        Those of a float64, subnormal numbers included: from -1074 to 1024.
    """

    def __init__(self, base: Design, exponents: Array) -> None:
        super().__init__(base, np.ones(base.p))
        self.exponents = exponents
        self._moved = np.flatnonzero(exponents)

    def on_host(self) -> Design:
        return PowerScaledDesign(self.base.on_host(), self.exponents)

    def residuals(self, Y: Array, root: Array | None, basis: Array, scale: Array | None = None) -> None:
        return None  # columns beyond the range of squares are moved a panel at a time, in host memory

    def predict(self, W: Array, rows: Array | None = None) -> Array:
        rows = np.asarray(np.arange(self.p) if rows is None else rows)
        moved = self.exponents[rows] != 0
        out = np.zeros((self.n, W.shape[1])) if moved.all() else self.base.predict(W[~moved], rows[~moved])
        for part in panels(int(moved.sum()), 8 * self.n):
            out += self.take(rows[moved][part]).T @ W[moved][part]
        return out

    def correlate(self, R: Array) -> Array:
        out = np.empty((self.p, R.shape[1])) if len(self._moved) == self.p else self.base.correlate(R)
        for part in panels(len(self._moved), 8 * self.n):
            out[self._moved[part]] = self.take(self._moved[part]) @ R
        return out

    def take(self, cols: Array) -> Array:
        return np.ldexp(self.base.take(cols), -self.exponents[cols][:, None])

    gram, sq_norms = Design.gram, Design.sq_norms  # of columns once they are moved

    def part(self, cols: Array) -> Design:
        return PowerScaledDesign(self.base.part(cols), self.exponents[cols])
