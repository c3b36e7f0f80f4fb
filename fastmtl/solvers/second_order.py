"""Which second-order finish a restricted problem gets, and what it costs."""

from __future__ import annotations

from collections.abc import Callable

from fastmtl_kernels._interface import BlockShrink, Quadratic

from .._arrays import Array
from .row_newton import newton_applies, newton_cost, row_newton
from .support_newton import support_cost, support_newton


def finish(quadratic: Quadratic, shrink: BlockShrink, tol: float = 0.0) -> Array:
    """Coefficients (s, t) after Newton's method on what is not zero now, to a small share of `tol` (absolute)."""
    return (row_newton if newton_applies(shrink) else support_newton)(quadratic, shrink, tol)


def finish_cost(shrink: BlockShrink) -> Callable[[Array, int], float]:
    """Gives the flops of `finish` from W and its number of active rows; infinite where it should not be tried."""
    if newton_applies(shrink):
        return lambda coef, active: newton_cost(active, coef.shape[1])
    return lambda coef, active: support_cost(coef, shrink)
