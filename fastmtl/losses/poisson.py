"""Counts with a log link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ._base import EPS, Array, Loss, as_real, log_mean_exp, xlogx


@dataclass(frozen=True)
class Poisson(Loss):
    """Half the Poisson deviance with log link, for counts (any non-negative target).

    Notes
    -----
    Definition `loss(y, z) = e^z - y z + y log y - y`; gradient `e^z - y`; second derivative `e^z`, which has no
    bound; conjugate `a log a - a - y log y + y` with `a = y + u >= 0`. For y > 0 both are evaluated through
    `d = z - log y` and `u / y`, which keeps their digits when the fit is close to a large count.

    References
    ----------
    McCullagh and Nelder, Generalized Linear Models, 2nd ed., 1989, chapter 6.
    """

    name: ClassVar[str] = "poisson"
    curvature: ClassVar[float] = np.inf

    def encode(self, y: Array, what: str) -> Array:
        array = as_real(y, what)
        if array.size and array.min() < 0:
            raise ValueError(
                f"{what} holds {array.min():g}; the Poisson loss expects counts >= 0: remove or correct it."
            )
        return array

    def value(self, y: Array, z: Array) -> Array:
        some, base = _counted(y)
        d = z - np.log(base)
        with np.errstate(over="ignore", invalid="ignore"):
            return np.where(some, base * (np.expm1(d) - d), np.exp(z))

    def gradient(self, y: Array, z: Array) -> Array:
        some, base = _counted(y)
        with np.errstate(over="ignore"):
            return np.where(some, base * np.expm1(z - np.log(base)), np.exp(z))

    def hessian(self, y: Array, z: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.exp(z)

    def conjugate(self, y: Array, u: Array) -> Array:
        a = y + u
        inside = a >= -4 * EPS * (y + np.abs(u))
        a = np.maximum(a, 0.0)
        some, base = _counted(y)
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = np.where(a > 0, a * np.log1p(np.maximum(u / base, -1.0)), 0.0)
        value = np.where(some, relative + u * np.log(base) - u, xlogx(a) - a)
        return np.where(inside, value, np.inf)

    def project_dual(self, y: Array, u: Array) -> Array:
        return np.maximum(u, -y)

    def attained(self, y: Array, weights: Array) -> bool:
        total = np.sum(np.broadcast_to(weights, np.shape(y)))
        return bool(total == 0 or np.sum(weights * y) > 0)

    def intercept(self, y: Array, weights: Array, offset: Array) -> Any:
        weights = np.broadcast_to(weights, np.shape(y))
        total = np.sum(weights)
        if total == 0.0:
            return 0.0
        mean = np.sum(weights * y) / total
        # All counts zero: the mean loss mean(e^(offset + b)) is eps at the clipped b.
        return float(np.log(mean if mean > 0 else EPS) - log_mean_exp(offset, weights))

    def inverse_link(self, z: Array) -> Array:
        """The expected count."""
        with np.errstate(over="ignore"):
            return np.exp(z)


def _counted(y: Array) -> tuple[Array, Array]:
    """Mask of the counts that are not zero, and the counts with 1 in place of zeros."""
    some = y > 0
    return some, np.where(some, y, 1.0)
