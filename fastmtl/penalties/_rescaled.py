"""A penalty seen by the coefficients of a problem whose columns and targets were scaled by powers of two.

With `w_j = 2^(b - k_j) w'_j` and objectives divided by `2^2b`, the scaled problem's penalty is
`penalty(W) / 2^2b`: strengths of norms are divided by `2^(k_j + b)`, those of ridges by `2^(2 k_j)`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays import Array
from ._base import Lowered, Penalty, check_alpha
from ._block import BlockPenalty, in_rows, times
from .trace import Trace

LARGEST = 1e300
"""A finite strength that no score of a scaled problem reaches."""

SMALLEST = 2.0**-200
"""A ridge below this adds less than rounding to any objective of a scaled problem, and a dual bound without it holds with
it; kept, it would ask for scores exact to its square root."""


def rescaled(penalty: Penalty, columns: Array, targets: int) -> Penalty:
    """The penalty of the problem scaled by exponents `columns` (p,), equal within every block, and `targets`."""
    if isinstance(penalty, (RescaledBlocks, RescaledTrace, RescaledPenalty)):
        base = penalty.base
        penalty = (
            base
            if isinstance(penalty, RescaledTrace) or penalty.alpha is None
            else base.with_alpha(penalty.alpha)
        )
    if isinstance(penalty, BlockPenalty):
        return RescaledBlocks(penalty.alpha, base=penalty, columns=columns, targets=targets)
    common = int(columns[0])
    if isinstance(penalty, Trace):
        return RescaledTrace(penalty, common, targets)
    return RescaledPenalty(penalty.alpha, base=penalty, exponent=targets - common, targets=targets)


@dataclass(frozen=True, eq=False, kw_only=True)
class RescaledBlocks(BlockPenalty):
    """A block penalty `base` over scaled features; `alpha` is the base's."""

    base: Any
    columns: Any
    targets: int

    def _strengths(self, p: int) -> Lowered:
        return self.base._strengths(p)

    def lower(self, p: int) -> Lowered:
        unit = self._unit(p)
        alpha = 1.0 if self.alpha is None else self.alpha
        unit = unit if alpha > 0 else in_rows(unit)
        rows = self.columns if unit.order is None else self.columns[unit.order]
        blocks = rows[unit.ptr[:-1]]
        ridge = _shifted(alpha * unit.ridge, -2 * blocks)
        return unit._replace(
            l1=_shifted(times(alpha, unit.l1), -(rows + self.targets)),
            l2=_shifted(times(alpha, unit.l2), -(blocks + self.targets)),
            ridge=np.where(ridge < SMALLEST, 0.0, ridge),
        )

    def value_on(self, W: Array, rows: Array, p: int) -> float:
        return Penalty.value_on(self, W, rows, p)

    def alpha_max(self, V: Array) -> float:
        # The scores of the scaled problem, in units in which the strengths are the base's.
        largest = int(self.columns.max())
        top = self.base.alpha_max(np.ldexp(V, (self.columns - largest)[:, None]))
        return float(np.ldexp(np.float64(top), largest + self.targets))

    @property
    def positive(self) -> bool:
        return bool(getattr(self.base, "positive", False))

    @property
    def l1_ratio(self) -> float:
        return float(getattr(self.base, "l1_ratio", 1.0))

    @property
    def is_rotation_invariant(self) -> bool:
        return self.base.is_rotation_invariant

    def __str__(self) -> str:
        return str(self.base.with_alpha(self.alpha)) if self.alpha is not None else str(self.base)


@dataclass(frozen=True, eq=False, init=False)
class RescaledTrace(Trace):
    """A trace norm over features and targets scaled alike; `alpha` and `ridge` are those of the scaled problem."""

    base: Any
    column: int
    targets: int

    def __init__(self, base: Trace, column: int, targets: int) -> None:
        alpha = base.alpha
        shifted = None if alpha is None else float(_shifted(np.float64(alpha), -(column + targets)))
        super().__init__(shifted, ridge=float(_shifted(np.float64(base.ridge), -2 * column)))
        for name, value in (("base", base), ("column", column), ("targets", targets)):
            object.__setattr__(self, name, value)

    def with_alpha(self, alpha: float) -> Any:
        return RescaledTrace(self.base.with_alpha(alpha), self.column, self.targets)

    def alpha_max(self, V: Array) -> float:
        return float(np.ldexp(np.float64(super().alpha_max(V)), self.column + self.targets))

    def __str__(self) -> str:
        return str(self.base)


@dataclass(frozen=True, eq=False, kw_only=True)
class RescaledPenalty(Penalty):
    """Any penalty `base` at `W = 2^exponent W'`, divided by `2^(2 targets)`; `alpha` is the base's."""

    base: Any
    exponent: int
    targets: int

    def with_alpha(self, alpha: float) -> Any:
        base = self.base.with_alpha(check_alpha(alpha))
        return RescaledPenalty(alpha, base=base, exponent=self.exponent, targets=self.targets)

    def value(self, W: Array) -> float:
        return float(np.ldexp(np.float64(self.base.value(np.ldexp(W, self.exponent))), -2 * self.targets))

    def prox(self, W: Array, step: float) -> Array:
        inner = float(np.ldexp(np.float64(step), 2 * (self.exponent - self.targets)))
        return np.ldexp(self.base.prox(np.ldexp(W, self.exponent), inner), -self.exponent)

    def conjugate(self, V: Array) -> float:
        inner = self.base.conjugate(np.ldexp(V, 2 * self.targets - self.exponent))
        return float(np.ldexp(np.float64(inner), -2 * self.targets))

    def dual_scale(self, V: Array) -> float:
        return self.base.dual_scale(np.ldexp(V, 2 * self.targets - self.exponent))

    def alpha_max(self, V: Array) -> float:
        return float(np.ldexp(np.float64(self.base.alpha_max(V)), 2 * self.targets - self.exponent))

    def free(self, p: int) -> Array:
        return self.base.free(p)

    def excluded(self, p: int) -> Array:
        return self.base.excluded(p)

    @property
    def is_rotation_invariant(self) -> bool:
        return self.base.is_rotation_invariant

    def __str__(self) -> str:
        return str(self.base)


def _shifted(strengths: Any, exponent: Any) -> Any:
    """Strengths times a power of two: what was finite stays finite, and only inf excludes."""
    with np.errstate(over="ignore"):
        moved = np.ldexp(strengths, exponent)
    return np.where(np.isinf(strengths), math.inf, np.minimum(moved, LARGEST))
