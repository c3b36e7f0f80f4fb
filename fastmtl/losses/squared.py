"""Half the squared residual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ._base import Array, Loss, as_real


@dataclass(frozen=True)
class Squared(Loss):
    """The squared loss, for real targets.

    Notes
    -----
    Definition `loss(y, z) = (y - z)^2 / 2`, gradient `z - y`, second derivative 1, conjugate
    `u^2 / 2 + u y` on the whole line. The intercept is the weighted mean of `y - offset`.

    References
    ----------
    Boyd and Vandenberghe, Convex Optimization, 2004, section 3.3.
    """

    name: ClassVar[str] = "squared"
    curvature: ClassVar[float] = 1.0

    def encode(self, y: Array, what: str) -> Array:
        """y itself when it is floating already (no copy), else as float64."""
        array = np.asarray(y)
        if array.dtype in (np.float32, np.float64):
            if not np.isfinite(array).all():
                raise ValueError(
                    f"{what} contains NaN or infinity, expected finite numbers; remove those rows."
                )
            return array
        return as_real(array, what)

    def value(self, y: Array, z: Array) -> Array:
        return 0.5 * np.square(y - z)

    def gradient(self, y: Array, z: Array) -> Array:
        return z - y

    def hessian(self, y: Array, z: Array) -> Array:
        return np.ones_like(z, dtype=np.float64)

    def conjugate(self, y: Array, u: Array) -> Array:
        return u * (0.5 * u + y)

    def intercept(self, y: Array, weights: Array, offset: Array) -> Any:
        total = np.sum(np.broadcast_to(weights, np.shape(y)))
        return float(np.sum(weights * (y - offset)) / total) if total > 0 else 0.0
