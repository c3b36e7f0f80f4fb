"""The loss of one target: what the solvers and the certificate need to know about it.

A loss is a convex function of a prediction `z` for a given target `y`, with least value 0 over `z`.
It never sees X. Its methods work elementwise on arrays of any shape; a loss that ties several columns
together (multinomial) works on the last axis instead.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

Array = Any
"""An array of floats; NumPy or anything that follows its ufunc protocol."""

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Loss(ABC):
    """Base of all losses; a new loss needs `value`, `gradient` and `conjugate`, the rest has defaults.

    Attributes
    ----------
    name : str
        Short name, as the doors accept it.
    curvature : float
        Supremum of the second derivative in z; `inf` when there is none.
    joint : bool
        Whether one target takes several columns (the classes of a multinomial).
    """

    name: ClassVar[str] = "custom"
    curvature: ClassVar[float] = np.inf
    joint: ClassVar[bool] = False

    def n_columns(self, y: Array) -> int:
        """How many columns of W the target y needs."""
        return 1

    def encode(self, y: Array, what: str) -> Array:
        """Check that y lies in the domain and return it as floats; `what` names y in errors."""
        return as_real(y, what)

    def labels(self, y: Array) -> Array | None:
        """The distinct labels of a classification target in the order of their columns, else None."""
        return None

    @abstractmethod
    def value(self, y: Array, z: Array) -> Array:
        """Loss of every entry."""

    @abstractmethod
    def gradient(self, y: Array, z: Array) -> Array:
        """Derivative in z of every entry."""

    @abstractmethod
    def conjugate(self, y: Array, u: Array) -> Array:
        """`sup_z u z - loss(y, z)` of every entry, `inf` outside the domain."""

    def hessian(self, y: Array, z: Array) -> Array:
        """Second derivative in z of every entry, or an upper bound of it."""
        if np.isfinite(self.curvature):
            return np.full_like(z, self.curvature, dtype=np.float64)
        step = EPS ** (1 / 3) * np.maximum(1.0, np.abs(z))
        return np.maximum((self.gradient(y, z + step) - self.gradient(y, z - step)) / (2 * step), 0.0)

    def project_dual(self, y: Array, u: Array) -> Array:
        """The nearest point to u where the conjugate is finite (its closure)."""
        return u

    def attained(self, y: Array, weights: Array) -> bool:
        """Whether some finite intercept minimises the weighted loss of y."""
        return True

    def intercept(self, y: Array, weights: Array, offset: Array) -> Any:
        """The finite b that minimises `sum weights * loss(y, offset + b)`; clipped where there is none."""

        def slope(b: Array) -> tuple[Array, Array]:
            z = offset + b
            gradient = np.sum(weights * self.gradient(y, z))
            return np.atleast_1d(gradient), np.atleast_1d(np.sum(weights * self.hessian(y, z)))

        return float(monotone_root(slope, np.zeros(1))[0])

    def inverse_link(self, z: Array) -> Array:
        """The prediction on the scale of the response."""
        return z


def as_real(y: Array, what: str) -> Array:
    """y as a float64 array; complex, object and non-finite input raises."""
    array = np.asarray(y)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{what} has dtype {array.dtype}, expected real numbers; convert it to float first.")
    array = array.astype(np.float64, copy=False)
    if not np.isfinite(array).all():
        raise ValueError(f"{what} contains NaN or infinity, expected finite numbers; remove those rows.")
    return array


def xlogx(x: Array) -> Array:
    """`x log x`, continued by 0 at x = 0."""
    return x * np.log(np.maximum(x, np.finfo(np.float64).tiny))


def log_mean_exp(x: Array, weights: Array) -> float:
    """Logarithm of the weighted mean of `e^x`, without overflow."""
    x = np.broadcast_to(x, np.shape(weights))
    top = float(np.max(x[weights > 0]))
    return top + float(
        np.log(np.sum(weights * np.exp(np.where(weights > 0, x - top, 0.0))) / np.sum(weights))
    )


def monotone_root(
    slope: Callable[[Array], tuple[Array, Array]], start: Array, *, reach: float = 1e30, max_steps: int = 200
) -> Array:
    """Roots of k increasing functions at once, by Newton steps kept inside a shrinking bracket.

    Parameters
    ----------
    slope : callable
        Maps b (k,) to the functions' values (k,) and derivatives (k,).
    start : (k,) array
        First guess.
    reach : float
        Without a root at a distance of `reach` (relative to `1 + |start|`) the end of the bracket is returned.
    max_steps : int
        Bound on the number of evaluations; bisection alone needs about 60.
    """
    b = np.array(start, dtype=np.float64)
    value, curvature = slope(b)
    low, high = np.full_like(b, -np.inf), np.full_like(b, np.inf)
    width = 1.0 + np.abs(b)
    limit = reach * width
    origin, least = b.copy(), np.full_like(b, np.inf)
    for _ in range(max_steps):
        high = np.where(value >= 0, np.minimum(high, b), high)
        low = np.where(value <= 0, np.maximum(low, b), low)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            newton = value / curvature
        trial = b - newton
        settled = np.abs(newton) <= 2 * EPS * np.maximum(np.abs(b), EPS)
        open_ended = np.isinf(low) | np.isinf(high)
        # An open side is searched by steps of at most eight times the last; a closed one by bisection.
        trial = np.where(open_ended, np.clip(trial, b - width, b + width), trial)
        with np.errstate(invalid="ignore"):
            middle = np.where(open_ended, b - np.sign(value) * width, 0.5 * (low + high))
        # Newton on exponentials comes down by one a step: steps that do not shrink are no better than outside.
        size, small = np.abs(newton), 1e-9 * (1.0 + np.abs(b))
        poor = ~(trial > low) | ~(trial < high) | (size > np.maximum(0.75 * least, small))
        # Steps this small square themselves; one that does not even shrink is rounding of the functions.
        rounding = (size <= small) & (size > 0.25 * least)
        trial, least = np.where(poor & ~settled, middle, trial), np.minimum(least, size)
        width = np.where(open_ended, 8.0 * width, width)
        trial = np.clip(trial, origin - limit, origin + limit)
        trial = np.where((value == 0) | rounding, b, trial)
        done = np.abs(trial - b) <= 2 * EPS * np.maximum(np.abs(b), EPS)
        b = trial
        if done.all():
            break
        value, curvature = slope(b)
    return b
