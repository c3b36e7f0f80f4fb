"""Squared near zero, absolute in the tails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .._settings import check_number
from ._base import EPS, Array, Loss


@dataclass(frozen=True)
class Huber(Loss):
    """The Huber loss, for real targets with outliers.

    Parameters
    ----------
    delta : float
        Size of the residual, in units of y, from which the loss grows linearly.

    Notes
    -----
    With `r = z - y`, definition `r^2 / 2` for `|r| <= delta`, else `delta |r| - delta^2 / 2`; gradient r clipped
    to [-delta, delta]; second derivative 1 inside and 0 outside; conjugate `u^2 / 2 + u y` for `|u| <= delta`.

    References
    ----------
    Huber, Robust estimation of a location parameter, Annals of Mathematical Statistics 35, 1964.
    """

    delta: float = 1.35

    name: ClassVar[str] = "huber"
    curvature: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        check_number(
            self.delta, "delta", "a finite number > 0, in units of y,", lambda delta: 0 < delta < np.inf
        )

    def value(self, y: Array, z: Array) -> Array:
        size = np.abs(z - y)
        inner = np.minimum(size, self.delta)
        return inner * (size - 0.5 * inner)

    def gradient(self, y: Array, z: Array) -> Array:
        return np.clip(z - y, -self.delta, self.delta)

    def hessian(self, y: Array, z: Array) -> Array:
        return (np.abs(z - y) <= self.delta).astype(np.float64)

    def conjugate(self, y: Array, u: Array) -> Array:
        inside = np.abs(u) <= self.delta * (1.0 + 4 * EPS)
        return np.where(inside, u * (0.5 * u + y), np.inf)

    def project_dual(self, y: Array, u: Array) -> Array:
        return np.clip(u, -self.delta, self.delta)
