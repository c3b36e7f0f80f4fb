"""The logistic loss of two classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ._base import EPS, Array, Loss, as_real, log_mean_exp, xlogx


@dataclass(frozen=True)
class Logistic(Loss):
    """The negative log-likelihood of a Bernoulli target with logit z; labels {0, 1}, {-1, 1} or bool.

    Notes
    -----
    Definition `loss(y, z) = log(1 + e^z) - y z` with y in {0, 1}. With the sign `s = 2y - 1` and the margin
    `m = s z` it is `log(1 + e^-m)`; gradient `-s / (1 + e^m)`, second derivative `1 / ((1 + e^m)(1 + e^-m))`
    (at most 1/4), conjugate `v log v + (1 - v) log(1 - v)` for `v = -s u` in [0, 1]. Working with s keeps full
    relative accuracy for well-fitted samples, where `sigmoid(z) - y` would round to zero.

    References
    ----------
    Koh, Kim and Boyd, An interior-point method for large-scale l1-regularized logistic regression,
    JMLR 8, 2007, section 2.
    """

    name: ClassVar[str] = "logistic"
    curvature: ClassVar[float] = 0.25

    def encode(self, y: Array, what: str) -> Array:
        """y as float64 in {0, 1}."""
        array = as_real(y, what)
        if ((array == 0.0) | (array == 1.0)).all():
            return array
        if (np.abs(array) == 1.0).all():
            return 0.5 * (array + 1.0)
        labels = np.unique(array)
        shown = ", ".join(f"{v:g}" for v in labels[:5]) + (", ..." if labels.size > 5 else "")
        raise ValueError(
            f"{what} has the labels {shown}; the logistic loss expects {{0, 1}}, {{-1, 1}} or bool: "
            "recode them, or use loss='multinomial' for more than two classes."
        )

    def value(self, y: Array, z: Array) -> Array:
        margin = (2.0 * y - 1.0) * z
        return np.log1p(np.exp(-np.abs(margin))) - np.minimum(margin, 0.0)

    def gradient(self, y: Array, z: Array) -> Array:
        sign = 2.0 * y - 1.0
        return -sign * sigmoid(-sign * z)

    def hessian(self, y: Array, z: Array) -> Array:
        e = np.exp(-np.abs(z))
        return e / np.square(1.0 + e)

    def conjugate(self, y: Array, u: Array) -> Array:
        v = (1.0 - 2.0 * y) * u
        inside = (v >= -4 * EPS) & (v <= 1.0 + 4 * EPS)
        v = np.clip(v, 0.0, 1.0)
        entropy = xlogx(v) + (1.0 - v) * np.log1p(-np.where(v < 1.0, v, 0.0))
        return np.where(inside, entropy, np.inf)

    def project_dual(self, y: Array, u: Array) -> Array:
        return np.clip(u, -y, 1.0 - y)

    def attained(self, y: Array, weights: Array) -> bool:
        present = y[np.broadcast_to(weights, np.shape(y)) > 0]
        return present.size == 0 or bool(present.min() < present.max())

    def intercept(self, y: Array, weights: Array, offset: Array) -> Any:
        weights = np.broadcast_to(weights, np.shape(y))
        ones, total = np.sum(weights * y), np.sum(weights)
        if total == 0.0:
            return 0.0
        if not self.attained(y, weights):
            # One class only: the mean loss is at most mean(e^-margin), which is eps at this b.
            sign = 1.0 if ones > 0 else -1.0
            return float(sign * (log_mean_exp(-sign * offset, weights) - np.log(EPS)))
        if not np.any(offset):
            return float(np.log(ones / np.sum(weights * (1.0 - y))))
        return super().intercept(y, weights, offset)

    def inverse_link(self, z: Array) -> Array:
        """The probability of label 1."""
        return sigmoid(z)


def sigmoid(z: Array) -> Array:
    """`1 / (1 + e^-z)` without overflow."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, e) / (1.0 + e)
