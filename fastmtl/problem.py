"""The problem: data, penalty and weights, frozen; what can be asked of it without solving it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from fastmtl_kernels._svd import svd

from ._arrays import Array
from .designs import Design
from .penalties import Penalty


@dataclass(frozen=True, eq=False)
class Problem:
    """`sum_it omega_i (y_it - o_it - x_i w_t - b_t)^2 / 2 + penalty(W)` over W (p, t) and, if asked, b (t,).

    Attributes
    ----------
    design : Design
        X (n, p).
    Y : ndarray of shape (n, t)
        Targets less offsets, float64, finite.
    penalty : Penalty
        With its alpha set.
    omega : float or ndarray of shape (n,)
        Weight of each sample in the loss; a float when they are all equal.
    fit_intercept : bool
    """

    design: Design
    Y: np.ndarray
    penalty: Penalty
    omega: Any
    fit_intercept: bool = True

    DATA_ONLY: ClassVar[tuple[str, ...]] = ("root", "unit", "intercept_basis", "target", "null_value")
    """What is computed from the data, whatever the penalty."""

    @property
    def n_tasks(self) -> int:
        """Number of columns of W."""
        return self.Y.shape[1]

    @cached_property
    def root(self) -> Array | None:
        """Square roots (n, 1) of the sample weights; None when they are all equal."""
        return None if np.ndim(self.omega) == 0 else np.sqrt(self.omega)[:, None]

    @cached_property
    def unit(self) -> float:
        """The common weight when `root` is None, else 1: the loss is `unit / 2 |root (Y - XW - b)|^2`."""
        return float(self.omega) if np.ndim(self.omega) == 0 else 1.0

    def weighted(self, A: Array) -> Array:
        """`root * A` for A (n, t): the space in which the loss is a plain sum of squares."""
        return A if self.root is None else self.root * A

    @cached_property
    def free(self) -> Array:
        """Indices of features that neither a term of the penalty nor a sign constraint touches."""
        return (
            np.empty(0, dtype=np.int64)
            if self._positive
            else np.flatnonzero(self.penalty.free(self.design.p))
        )

    @cached_property
    def sign_free(self) -> Array:
        """Indices of features that only a sign constraint touches."""
        return (
            np.flatnonzero(self.penalty.free(self.design.p))
            if self._positive
            else np.empty(0, dtype=np.int64)
        )

    @cached_property
    def untouched_sizes(self) -> Array:
        """Norms of the weighted columns of the free features, then of the `sign_free` ones."""
        features = np.concatenate([self.free, self.sign_free])
        return np.linalg.norm(self.weighted(self.design.take(features).T), axis=0)

    @property
    def _positive(self) -> bool:
        return bool(getattr(self.penalty, "positive", False))

    @cached_property
    def intercept_basis(self) -> Array:
        """Orthonormal basis (n, 0 or 1) of the weighted column of ones."""
        if not self.fit_intercept:
            return np.empty((self.design.n, 0))
        ones = self.weighted(np.ones((self.design.n, 1)))
        return ones / np.linalg.norm(ones)

    @cached_property
    def unpenalised(self) -> Array:
        """Weighted columns (n, f): ones, if there is an intercept, then the free features."""
        parts = [self.weighted(np.ones((self.design.n, 1)))] if self.fit_intercept else []
        if len(self.free):
            parts.append(self.weighted(self.design.take(self.free).T))
        return np.hstack(parts) if parts else np.empty((self.design.n, 0))

    @cached_property
    def basis(self) -> Array:
        """Orthonormal basis (n, f) of `unpenalised`: what every dual point must be orthogonal to."""
        if not len(self.free):
            return self.intercept_basis
        return orthonormal(self.unpenalised)

    @cached_property
    def target(self) -> Array:
        """Weighted targets with their part in the span of the intercept taken out, (n, t)."""
        return project_off(self.weighted(self.Y), self.intercept_basis)

    @cached_property
    def null_value(self) -> float:
        """P(0): the least loss over intercepts at W = 0, zero when it is rounding of Y alone."""
        value = 0.5 * self.unit * float(np.vdot(self.target, self.target))
        scale = 0.5 * self.unit * float(np.vdot(self.weighted(self.Y), self.weighted(self.Y)))
        noise = (8.0 * np.finfo(np.float64).eps) ** 2 * self.design.n
        return 0.0 if value <= noise * scale else value

    def null_gradient(self) -> Array:
        """Negative gradient (p, t) at the null fit: intercepts and free features fitted, all else zero."""
        residual = project_off(self.target, self.basis) if len(self.free) else self.target
        if len(self.sign_free):
            residual = self._non_negative_residual(residual)
        V = self.unit * self.design.correlate(self.weighted(residual))
        V[self.free] = 0.0
        V[self.sign_free] = np.minimum(V[self.sign_free], 0.0)
        return V

    def _non_negative_residual(self, residual: Array) -> Array:
        """What the unpenalised features leave of the targets when their coefficients must not be negative."""
        from scipy.optimize import nnls

        columns = project_off(self.weighted(self.design.take(self.sign_free).T), self.intercept_basis)
        return np.stack([r - columns @ nnls(columns, r)[0] for r in residual.T], axis=1)

    def alpha_max(self) -> float:
        """Smallest alpha at which all penalised coefficients are zero."""
        return self.penalty.alpha_max(self.null_gradient())


def project_off(A: Array, basis: Array) -> Array:
    """A less its projection on the orthonormal columns of `basis`; A itself when there are none."""
    if basis.shape[1] == 0:
        return A
    along = basis.T @ A
    if basis.shape[1] == 1 and np.ptp(basis) == 0.0:
        # The plain intercept: one row is subtracted from all, without an array of A's size in between.
        return A - basis[0, 0] * along
    return A - basis @ along


def orthonormal(columns: Array) -> Array:
    """Orthonormal basis of the span of `columns`, dependent columns dropped."""
    size = np.linalg.norm(columns, axis=0)
    columns = columns[:, size > 0] / size[size > 0]
    U, s, _ = svd(columns)
    return U[:, s > max(columns.shape) * np.finfo(np.float64).eps * s.max(initial=0.0)]
