"""The problem with a loss other than the squared one, on a shared design."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ._arrays import Array
from .losses import Loss, Squared
from .problem import Problem


@dataclass(frozen=True, eq=False)
class LossProblem(Problem):
    """`sum_it omega_i loss(y_it, o_it + x_i w_t + b_t) + penalty(W)`.

    Attributes
    ----------
    Y : ndarray of shape (n, t)
        Targets as the loss encodes them; the one-hot classes of a joint loss.
    loss : Loss
    offset : ndarray of shape (n, t) or None
    """

    loss: Loss = field(default_factory=Squared)
    offset: Array | None = None

    @cached_property
    def sample_weights(self) -> Array:
        """Weights omega (n,)."""
        return np.broadcast_to(np.asarray(self.omega, dtype=np.float64), (self.design.n,))

    def shifted(self, Z: Array) -> Array:
        """Z plus the offsets."""
        return Z if self.offset is None else Z + self.offset

    def loss_value(self, Z: Array) -> float:
        """`sum omega loss(y, o + Z)` for Z (n, t)."""
        values = self.loss.value(self.Y, self.shifted(Z))
        return float(self.sample_weights @ values.reshape(len(values), -1).sum(axis=1))

    def loss_gradient(self, Z: Array) -> Array:
        """Derivative (n, t) of the loss of every entry in Z, before weighting."""
        return self.loss.gradient(self.Y, self.shifted(Z))

    def best_intercepts(self, Z: Array) -> Array:
        """Intercepts (t,) that minimise the loss beside Z; finite even where no minimum is attained."""
        if not self.fit_intercept:
            return np.zeros(self.n_tasks)
        Z, w = self.shifted(Z), self.sample_weights
        if self.loss.joint:
            return np.asarray(self.loss.intercept(self.Y, w, Z))
        return np.array([self.loss.intercept(y, w, z) for y, z in zip(self.Y.T, Z.T, strict=True)])

    @cached_property
    def unbounded(self) -> Array:
        """Mask (t,) of columns whose intercept has no finite optimum (one class only, counts all zero)."""
        if not self.fit_intercept or self.loss.joint:
            return np.zeros(self.n_tasks, dtype=bool)
        return np.array([not self.loss.attained(y, self.sample_weights) for y in self.Y.T])

    @cached_property
    def null_intercepts(self) -> Array:
        """Intercepts of the null fit."""
        return self.best_intercepts(np.zeros(self.Y.shape))

    @cached_property
    def null_value(self) -> float:
        """P(0): the least loss over intercepts at W = 0."""
        return self.loss_value(np.zeros(self.Y.shape) + self.null_intercepts)

    def dual_direction(self, Z: Array) -> Array:
        """`-loss'` (n, t) at the best intercepts beside Z, its weighted sum over every column taken out."""
        theta = -self.loss_gradient(Z + self.best_intercepts(Z))
        return self.feasible(theta)

    def feasible(self, theta: Array) -> Array:
        """theta moved by rounding only, or little more: its columns sum to zero and the conjugate is finite."""
        theta = np.where(self.unbounded, 0.0, theta)
        if self.fit_intercept:
            w = self.sample_weights
            theta = theta - (w @ theta) / w.sum()
        return -self.loss.project_dual(self.Y, -theta)

    def null_gradient(self) -> Array:
        """Negative gradient (p, t) at the null fit."""
        return self.correlate(self.dual_direction(np.zeros(self.Y.shape)))

    def correlate(self, theta: Array) -> Array:
        """`V = X' (omega theta)` (p, t)."""
        return self.design.correlate(self.sample_weights[:, None] * theta)
