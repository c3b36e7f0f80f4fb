"""What a penalty is: a function of W with a prox and a conjugate."""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from .._arrays import Array, as_ndarray
from .._settings import check_number


class Lowered(NamedTuple):
    """A penalty in the block form that the kernels take.

    `order` (p,) permutes features so that blocks are contiguous (None: already so); the strengths are those of
    `fastmtl_kernels._interface.BlockShrink`, with inf in `l2` for an excluded block.
    """

    order: Array | None
    ptr: Array
    l1: Array
    l2: Array
    ridge: Array
    positive: bool

    @property
    def bounds(self) -> Array:
        """What the norms of blocks are held against (B,): l2, and beside L1 terms the largest of them that is finite on top."""
        if not self.l1.any():
            return self.l2
        l1 = np.where(np.isinf(self.l1), 0.0, self.l1)
        return self.l2 + (l1 if len(self.l2) == len(l1) else np.maximum.reduceat(l1, self.ptr[:-1]))


@dataclass(frozen=True)
class Penalty(ABC):
    """A convex penalty on the coefficients W (p, t), zero at W = 0.

    A subclass needs `value`, `prox`, `conjugate` and, for a useful gap before the optimum, `dual_scale`; those that are
    block-separable give `lower` as well and get compiled kernels.

    Attributes
    ----------
    alpha : float or None
        Strength; None until the door fills it in.
    """

    alpha: float | None = None

    name = "penalty"

    def with_alpha(self, alpha: float) -> Any:
        """The same penalty at another strength."""
        return replace(self, alpha=check_alpha(alpha))

    @abstractmethod
    def value(self, W: Array) -> float:
        """The penalty at W (p, t); inf outside its domain."""

    @abstractmethod
    def prox(self, W: Array, step: float) -> Array:
        """`argmin_U 1/2 |U - W|_F^2 + step * penalty(U)`, a new array."""

    @abstractmethod
    def conjugate(self, V: Array) -> float:
        """`sup_W <V, W> - penalty(W)`: 0 or inf for a norm."""

    def dual_scale(self, V: Array) -> float:
        """Largest `a >= 0` for which `conjugate(a V)` is finite; inf when it always is.

        The default bisects on `conjugate`, to full precision and from below.
        """
        return _largest_scale(V, lambda a: math.isfinite(self.conjugate(a * V)))

    def block_norms(self, V: Array) -> Array | None:
        """Norms (B,) of the blocks of V where they alone decide on `dual_scale` and `conjugate`; None where they do not."""
        return None

    def conjugate_along(self, V: Array, norms: Array | None = None) -> tuple[float, Callable[[float], float]]:
        """`dual_scale(V)` and the function `a -> conjugate(a V)`, for penalties in which the two share work.

        `norms` are the `block_norms` of V where they are known. Of blocks with L1 terms (and no ridge) they are epsilon
        norms (Ndiaye et al. 2016, "Gap safe screening rules for sparse-group lasso"), as a device computes them.
        """
        return self.dual_scale(V), lambda a: self.conjugate(a * V)

    def free_scale(self, V: Array, norms: Array | None = None) -> float:
        """Largest `a >= 0` for which `conjugate(a V)` is zero: `dual_scale` where there is no ridge.

        `norms` are as in `conjugate_along`.
        """
        scale = self.dual_scale(V)
        return scale if math.isfinite(scale) else _largest_scale(V, lambda a: self.conjugate(a * V) <= 0.0)

    def value_of_factors(self, U: Array, V: Array) -> float:
        """The penalty at `W = U V'` for U (p, k) and V (t, k)."""
        return self.value(U @ V.T)

    def alpha_max(self, V: Array) -> float:
        """Smallest alpha at which W = 0 is optimal when `V` (p, t) is the negative gradient at the null fit."""
        scale = self.with_alpha(1.0).free_scale(V)
        return round_up(1.0 / scale) if scale else math.inf

    def lower(self, p: int) -> Lowered | None:
        """The block form over p features, None when the penalty has none."""
        return None

    def free(self, p: int) -> Array:
        """Mask (p,) of features that are never penalised."""
        return np.zeros(p, dtype=bool)

    def excluded(self, p: int) -> Array:
        """Mask (p,) of features that are kept at zero."""
        return np.zeros(p, dtype=bool)

    def check(self, p: int, t: int) -> None:
        """Raise a ValueError when the penalty does not fit p features and t tasks."""

    def value_on(self, W: Array, rows: Array, p: int) -> float:
        """The penalty when feature `rows[i]` has the coefficients W[i] and all others are zero."""
        full = np.zeros((p, W.shape[1]))
        full[rows] = W
        return self.value(full)

    @property
    def is_rotation_invariant(self) -> bool:
        """Whether `penalty(W Q) = penalty(W)` for every orthogonal Q."""
        return False

    def __str__(self) -> str:
        return f"{self.name}(alpha={self.alpha})"


def _largest_scale(V: Array, holds: Callable[[float], bool]) -> float:
    """Largest a at which what holds of `a V` for small a does, from below; inf where it does until squares could overflow."""
    peak = float(np.abs(V).max(initial=0.0))
    low, high = 0.0, 1.0
    while holds(high):
        if peak == 0.0 or high > 1e100 / peak:
            return math.inf
        low, high = high, 2.0 * high
    while high - low > 4 * sys.float_info.epsilon * high:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def round_up(value: float) -> float:
    """A few units in the last place above `value`, so that the bound holds after rounding."""
    return value * (1.0 + 8.0 * sys.float_info.epsilon)


def check_alpha(alpha: Any) -> float:
    """A strength: a finite, non-negative float, or an error that says where to look for one."""
    expected = "a finite number >= 0 (see fastmtl.alpha_max for the useful range)"
    return check_number(alpha, "alpha", expected, lambda alpha: 0 <= alpha < math.inf)


def check_fraction(value: Any, name: str) -> float:
    """A float in [0, 1], or an error naming the argument."""
    return check_number(value, name, "a number in [0, 1]", lambda value: 0 <= value <= 1)


def check_weights(weights: Any, name: str) -> tuple[float, ...] | None:
    """Non-negative weights (inf allowed) as a tuple, or an error naming the argument."""
    if weights is None:
        return None
    array = as_ndarray(weights, name).astype(np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}, one weight each was expected; pass a 1-D sequence")
    if np.isnan(array).any() or (array < 0).any():
        bad = int(np.flatnonzero(np.isnan(array) | (array < 0))[0])
        raise ValueError(
            f"{name}[{bad}] is {array[bad]}; weights must be >= 0 (0 = never penalised, inf = excluded)"
        )
    return tuple(array.tolist())
