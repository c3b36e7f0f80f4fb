"""What the solvers ask of a design matrix."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from .._arrays import Array


class Design(ABC):
    """X (n, p) as algorithms need it; knows neither losses nor penalties, and never copies the whole of X.

    Attributes
    ----------
    shape : tuple of int
        (n, p).
    dtype : numpy.dtype
        float32 or float64: the dtype of coefficients returned for this design.
    """

    shape: tuple[int, int]
    dtype: np.dtype

    @property
    def n(self) -> int:
        """Number of samples."""
        return self.shape[0]

    @property
    def p(self) -> int:
        """Number of features."""
        return self.shape[1]

    @abstractmethod
    def predict(self, W: Array, rows: Array | None = None) -> Array:
        """`X W` (n, t) in float64; W is (p, t), or (len(rows), t) holding the given features only."""

    @abstractmethod
    def correlate(self, R: Array) -> Array:
        """`X' R` (p, t) in float64 for R (n, t)."""

    @abstractmethod
    def take(self, cols: Array) -> Array:
        """The columns `cols` as contiguous float64 rows (len(cols), n), gathered."""

    @abstractmethod
    def gram(self, cols: Array, other: Array | None = None, weight: Array | None = None) -> Array:
        """`X_cols' diag(weight) X_other` in float64 (other defaults to cols)."""

    @abstractmethod
    def sq_norms(self, weight: Array | None = None) -> Array:
        """Squared column norms `sum_i weight_i x_ij^2` (p,) in float64."""

    @abstractmethod
    def check_finite(self, name: str = "X") -> None:
        """Raise a ValueError naming the first entry of X that is not finite."""
