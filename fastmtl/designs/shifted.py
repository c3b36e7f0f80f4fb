"""Lazy centring: the design that columns far from zero are fitted on, beside intercepts."""

from __future__ import annotations

import numpy as np

from .._arrays import Array
from ._base import Design
from ._cross_products import CONSTANT

FAR = 100.0
"""Mean of a column over its deviation from which it is far from zero."""


class ShiftedDesign(Design):
    """`X - 1 centre'` without touching X: what is linear is corrected, Gram matrices are made of differences.

    Parameters
    ----------
    base : Design
    centre : ndarray of shape (p,)
    """

    def __init__(self, base: Design, centre: Array) -> None:
        self.base, self.centre = base, centre
        self.shape, self.dtype, self.prefers_gram = base.shape, base.dtype, base.prefers_gram

    @property
    def row_size(self) -> float:
        return self.base.row_size

    def on_host(self) -> Design:
        return ShiftedDesign(self.base.on_host(), self.centre)

    def predict(self, W: Array, rows: Array | None = None) -> Array:
        return self.base.predict(W, rows) - (self.centre if rows is None else self.centre[rows]) @ W

    def correlate(self, R: Array) -> Array:
        return self.base.correlate(R) - np.outer(self.centre, R.sum(axis=0))

    def take(self, cols: Array) -> Array:
        return self.base.take(cols) - self.centre[cols][:, None]

    def weighted_gram(self, weight: Array, *, single: bool = False) -> Array:
        total = float(weight.sum())
        mean = self.base.correlate(weight[:, None])[:, 0] / total if total else self.centre
        moments = self.base.second_moments(weight, mean)
        gram = np.tril(moments) + np.tril(moments, -1).T
        return gram + total * np.outer(mean - self.centre, mean - self.centre)

    def part(self, cols: Array) -> Design:
        return ShiftedDesign(self.base.part(cols), self.centre[cols])

    def check_finite(self, name: str = "X") -> None:
        self.base.check_finite(name)


def far_means(base: Design) -> Array | None:
    """Means (p,) of the columns, 0 of constant ones; None where no column is far from zero.

    Of constant columns nothing but rounding would be left.
    """
    mean = base.correlate(np.full((base.n, 1), 1.0 / max(1, base.n)))[:, 0]
    squares = mean**2
    around = base.sq_norms() / max(1, base.n) - squares
    varies = around > CONSTANT * squares
    return np.where(varies, mean, 0.0) if (varies & (squares > FAR**2 * around)).any() else None
