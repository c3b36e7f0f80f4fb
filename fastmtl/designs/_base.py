"""What the solvers ask of a design matrix."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from .._arrays import Array, panels
from ._cross_products import accumulate

if TYPE_CHECKING:
    from .resident import Residuals


class Design(ABC):
    """X (n, p) as algorithms need it; knows neither losses nor penalties, and never copies the whole of X.

    Attributes
    ----------
    shape : tuple of int
        (n, p).
    dtype : numpy.dtype
        float32 or float64: the dtype of coefficients returned for this design.
    prefers_gram : bool
        Whether gathering columns as dense rows would waste memory, so that restricted problems use Gram matrices.
    """

    shape: tuple[int, int]
    dtype: np.dtype
    prefers_gram: bool = False

    @property
    def n(self) -> int:
        """Number of samples."""
        return self.shape[0]

    @property
    def p(self) -> int:
        """Number of features."""
        return self.shape[1]

    @property
    def row_size(self) -> float:
        """Mean number of entries of a sample that products have to read."""
        return float(self.p)

    @abstractmethod
    def predict(self, W: Array, rows: Array | None = None) -> Array:
        """`X W` (n, t) in float64; W is (p, t), or (len(rows), t) holding the given features only."""

    @abstractmethod
    def correlate(self, R: Array) -> Array:
        """`X' R` (p, t) in float64 for R (n, t)."""

    @abstractmethod
    def take(self, cols: Array) -> Array:
        """The columns `cols` as contiguous float64 rows (len(cols), n), gathered."""

    def gram(self, cols: Array, other: Array | None = None, weight: Array | None = None) -> Array:
        """`X_cols' diag(weight) X_other` in float64 (other defaults to cols)."""
        left = self.take(cols)
        right = left if other is None else self.take(other)
        return (left if weight is None else left * weight) @ right.T

    @abstractmethod
    def part(self, cols: Array) -> Design:
        """The columns `cols` as a design of their own, a float64 copy."""

    def on_host(self) -> Design:
        """The same design in host memory; itself where it is there already."""
        return self

    def residuals(
        self, Y: Array, root: Array | None, basis: Array, scale: Array | None = None
    ) -> Residuals | None:
        """Residuals of targets kept where X lives, see `Residuals`; None where X is in host memory."""
        return None

    def weighted_gram(self, weight: Array, *, single: bool = False) -> Array:
        """`X' diag(weight) X` (p, p) in float64 for non-negative weights; `single` allows the digits of float32."""
        return self.gram(np.arange(self.p), None, weight)

    def sq_norms(self, weight: Array | None = None) -> Array:
        """Squared column norms `sum_i weight_i x_ij^2` (p,) in float64."""
        out = np.empty(self.p)
        for part in panels(self.p, 8 * self.n):
            block = self.take(np.arange(part.start, part.stop))
            out[part] = np.einsum("ij,ij->i", block, block if weight is None else block * weight)
        return out

    def second_moments(self, weight: Array, centre: Array | None = None, *, single: bool = False) -> Array:
        """`sum_i weight_i (x_i - centre)(x_i - centre)'` (p, p), Fortran order, lower triangle only.

        Parameters
        ----------
        weight : ndarray of shape (n,)
            Non-negative.
        centre : ndarray of shape (p,), optional
            The weighted column means.
        single : bool
            Accumulate and return float32.
        """
        moments = np.empty((self.p, self.p), dtype=np.float32 if single else np.float64, order="F")
        for part in panels(self.p, 8 * self.n):
            block = self.take(np.arange(part.start, part.stop)) * weight
            if centre is not None:
                block -= centre[part][:, None] * weight
            moments[part.start :, part] = self.correlate(block.T)[part.start :]
            if centre is not None:
                moments[part.start :, part] -= np.outer(centre[part.start :], block.sum(axis=1))
        return moments

    def inner_products(self, weight: Array, centre: Array | None = None, *, single: bool = False) -> Array:
        """`sqrt(weight_i weight_k) (x_i - centre)'(x_k - centre)` (n, n), Fortran order, lower triangle only.

        Parameters as in `second_moments`.
        """
        root = np.sqrt(weight)

        def blocks(subtract: Array | None) -> Iterator[Array]:
            for part in panels(self.p, 8 * self.n):
                block = self.take(np.arange(part.start, part.stop))
                yield ((block if subtract is None else block - subtract[part][:, None]) * root).T

        return accumulate(
            blocks, centre, lambda K, mean: None, self.n, np.float32 if single else np.float64, early=True
        )

    @abstractmethod
    def check_finite(self, name: str = "X") -> None:
        """Raise a ValueError naming the first entry of X that is not finite."""
