"""Lazy column scaling: the design that standardisation fits on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._arrays import Array
from ._base import Design

if TYPE_CHECKING:
    from .resident import Residuals


class ScaledDesign(Design):
    """`X diag(1 / scale)` without touching X.

    Parameters
    ----------
    base : Design
    scale : ndarray of shape (p,)
        Positive divisors, one a column.
    """

    def __init__(self, base: Design, scale: np.ndarray) -> None:
        self.base, self.scale = base, scale
        self.shape, self.dtype, self.prefers_gram = base.shape, base.dtype, base.prefers_gram

    @property
    def row_size(self) -> float:
        return self.base.row_size

    def on_host(self) -> Design:
        return ScaledDesign(self.base.on_host(), self.scale)

    def residuals(
        self, Y: Array, root: Array | None, basis: Array, scale: Array | None = None
    ) -> Residuals | None:
        return self.base.residuals(Y, root, basis, self.scale if scale is None else self.scale * scale)

    def predict(self, W: Array, rows: Array | None = None) -> Array:
        scale = self.scale if rows is None else self.scale[rows]
        return self.base.predict(W / scale[:, None], rows)

    def correlate(self, R: Array) -> Array:
        return self.base.correlate(R) / self.scale[:, None]

    def take(self, cols: Array) -> Array:
        return self.base.take(cols) / self.scale[cols][:, None]

    def gram(self, cols: Array, other: Array | None = None, weight: Array | None = None) -> Array:
        right = self.scale[cols if other is None else other]
        return self.base.gram(cols, other, weight) / np.outer(self.scale[cols], right)

    def part(self, cols: Array) -> Design:
        return ScaledDesign(self.base.part(cols), self.scale[cols])

    def sq_norms(self, weight: Array | None = None) -> Array:
        return self.base.sq_norms(weight) / self.scale**2

    def check_finite(self, name: str = "X") -> None:
        self.base.check_finite(name)
