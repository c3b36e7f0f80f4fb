"""Concave functions of the norms of rows or groups, as penalties: less shrinkage of what is large.

Each stands for `alpha sum_b v_b phi(|W_b|)` with phi concave, increasing and zero at zero. A tangent at the current norms lies
above it, so that a fit under the weights `v_b phi'(|W_b|)` never raises the objective (majorise, minimise).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays import Array
from .._settings import check_number


class Concave(ABC):
    """A concave function of a norm; `alpha` is given because MCP and SCAD bend where the norm is a multiple of it."""

    @abstractmethod
    def value(self, norms: Array, alpha: float) -> Array:
        """phi of every norm, so that alpha times it is the penalty."""

    @abstractmethod
    def slope(self, norms: Array, alpha: float) -> Array:
        """Its derivative; inf is allowed at zero."""


@dataclass(frozen=True)
class SquareRoot(Concave):
    """`phi = sqrt(|W_b|)`, the L_{2,1/2} quasi-norm: a row that is zero once stays zero.

    References
    ----------
    Strohmeier, Bekhti, Haueisen, Gramfort (2016), "The iterative reweighted mixed-norm estimate for spatio-temporal MEG/EEG
    source reconstruction".
    """

    def value(self, norms: Array, alpha: float) -> Array:
        return np.sqrt(norms)

    def slope(self, norms: Array, alpha: float) -> Array:
        with np.errstate(divide="ignore"):
            return 0.5 / np.sqrt(norms)


@dataclass(frozen=True)
class LogSum(Concave):
    """`phi = epsilon log(1 + |W_b| / epsilon)`, slope 1 at zero.

    Parameters
    ----------
    epsilon : float
        > 0, in the units of the norms: much smaller ones are penalised linearly.

    References
    ----------
    Candes, Wakin, Boyd (2008), "Enhancing sparsity by reweighted l1 minimization".
    """

    epsilon: float = 0.1

    def __post_init__(self) -> None:
        check_above(self.epsilon, 0.0, "epsilon")

    def value(self, norms: Array, alpha: float) -> Array:
        return self.epsilon * np.log1p(norms / self.epsilon)

    def slope(self, norms: Array, alpha: float) -> Array:
        return 1.0 / (1.0 + norms / self.epsilon)


@dataclass(frozen=True)
class MCP(Concave):
    """Minimax concave penalty: slope `(1 - |W_b| / (gamma alpha))_+`.

    Parameters
    ----------
    gamma : float
        > 0; norms above `gamma alpha` are not shrunk.

    References
    ----------
    Zhang (2010), "Nearly unbiased variable selection under minimax concave penalty".
    """

    gamma: float = 3.0

    def __post_init__(self) -> None:
        check_above(self.gamma, 0.0, "gamma")

    def value(self, norms: Array, alpha: float) -> Array:
        end = self.gamma * alpha
        low = np.minimum(norms, end)
        return low - low**2 / (2.0 * end)

    def slope(self, norms: Array, alpha: float) -> Array:
        return np.maximum(1.0 - norms / (self.gamma * alpha), 0.0)


@dataclass(frozen=True)
class SCAD(Concave):
    """Smoothly clipped absolute deviation: slope 1 up to alpha, falling to 0 at `a alpha`.

    Parameters
    ----------
    a : float
        > 2.

    References
    ----------
    Fan, Li (2001), "Variable selection via nonconcave penalized likelihood and its oracle properties".
    """

    a: float = 3.7

    def __post_init__(self) -> None:
        check_above(self.a, 2.0, "a")

    def value(self, norms: Array, alpha: float) -> Array:
        middle = np.clip(norms, alpha, self.a * alpha) - alpha
        return np.minimum(norms, alpha) + middle - middle**2 / (2.0 * (self.a - 1.0) * alpha)

    def slope(self, norms: Array, alpha: float) -> Array:
        return np.clip((self.a * alpha - norms) / ((self.a - 1.0) * alpha), 0.0, 1.0)


@dataclass(frozen=True)
class Capped(Concave):
    """Capped norm: `phi = min(|W_b|, threshold)`.

    Parameters
    ----------
    threshold : float
        > 0, in the units of the norms; larger ones are not penalised.

    References
    ----------
    Zhang (2010), "Analysis of multi-stage convex relaxation for sparse regularization"; Gong, Ye, Zhang (2013), "Multi-stage
    multi-task feature learning".
    """

    threshold: float

    def __post_init__(self) -> None:
        check_above(self.threshold, 0.0, "threshold")

    def value(self, norms: Array, alpha: float) -> Array:
        return np.minimum(norms, self.threshold)

    def slope(self, norms: Array, alpha: float) -> Array:
        return (norms < self.threshold).astype(np.float64)


NAMED: dict[str, type[Concave]] = {"l2_half": SquareRoot, "log": LogSum, "mcp": MCP, "scad": SCAD}


def as_concave(concave: Any) -> Concave:
    """A function from its name or itself.

    Raises
    ------
    ValueError, TypeError
        An unknown name; something else.
    """
    if isinstance(concave, Concave):
        return concave
    if not isinstance(concave, str):
        raise TypeError(f"concave is {concave!r}; a name or an object such as MCP(gamma=3) was expected")
    if concave not in NAMED:
        raise ValueError(
            f"concave is {concave!r}; known names are {', '.join(NAMED)}, or pass Capped(threshold=...)"
        )
    return NAMED[concave]()


def check_above(value: Any, bound: float, name: str) -> None:
    """Raise unless `value` is a finite number above `bound`."""
    check_number(value, name, f"a finite number > {bound:g}", lambda number: bound < number < np.inf)
