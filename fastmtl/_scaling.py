"""Powers of two that bring columns and targets near one before anything is squared: exact in, exact out.

Squares of numbers beyond 1e154 overflow and below 1e-154 vanish, long before the numbers themselves do. With
`x_j = 2^k_j x'_j` and `Y = 2^b Y'` the problem in x' and Y' has the solution `w'_j = 2^(k_j - b) w_j`, objectives smaller by
`2^2b`, and the same relative gap; multiplying by powers of two rounds nothing. Data of ordinary size pay no pass for it:
targets are looked at where they are checked anyway, and columns only where the first products with X stand out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ._arrays import Array, panels
from .certificate import Certificate
from .designs import Design, SparseDesign
from .designs.resident import Distant
from .problem import Problem
from .task_problem import TaskProblem

LEAST = 1e-140
"""Sizes below it leave nothing of a sum of squares."""
DOUBLE, SINGLE = 200, 60
"""Largest power of two that is ordinary for float64 and float32 coefficients: quotients of two such numbers can still be
squared in the one, and represented in the other."""


class Scaling(NamedTuple):
    """Exponents k (p,) of the columns and b of the targets."""

    columns: Array
    targets: int

    def inwards(self, W: Array) -> Array:
        """Coefficients (p, t) of the scaled problem."""
        return _times(W, (self.columns - self.targets)[:, None])

    def outwards(self, W: Array) -> Array:
        """Coefficients (p, t), or left factors (p, k), in the units of X and Y."""
        return _times(W, (self.targets - self.columns)[:, None])

    def targets_inwards(self, A: Array) -> Array:
        """Intercepts or dual points of the scaled problem."""
        return _times(A, -self.targets)

    def targets_outwards(self, A: Array) -> Array:
        """Intercepts or dual points in the units of Y."""
        return _times(A, self.targets)

    def certificate(self, scaled: Certificate) -> Certificate:
        """A certificate on the scale of the objective; its relative gap is that of the scaled problem."""
        primal, dual, gap = (
            float(_times(v, 2 * self.targets)) for v in (scaled.primal, scaled.dual, scaled.gap)
        )
        left = float(_times(scaled.infeasibility, self.targets))
        return replace(scaled, primal=primal, dual=dual, gap=gap, infeasibility=left)


class UnevenColumns(Exception):
    """Columns too large or too small to be squared were met; `exponents` (p,) would bring them near one."""

    def __init__(self, exponents: Array) -> None:
        super().__init__("columns of X must be scaled")
        self.exponents = exponents


def target_exponent(problem: Problem) -> int:
    """The power of two that the targets of a problem are brought near one by.

    Raises
    ------
    ValueError
        Targets less offsets overflow.
    """
    peak = float(max(problem.Y.max(), -problem.Y.min()))
    if not np.isfinite(peak):
        raise ValueError("Y less offset overflows float64; scale both down")
    return exponent_of(peak, problem.design.dtype)


def exponent_of(peak: float, dtype: Any) -> int:
    """The power of two that a number of this size is brought near one by; 0 when it is ordinary."""
    if peak == 0.0 or not np.isfinite(peak):
        return 0
    exponent = int(np.frexp(peak)[1])
    return exponent if abs(exponent) > ordinary(dtype) else 0


def ordinary(dtype: Any) -> int:
    """Largest power of two that needs no scaling beside coefficients of this dtype."""
    return SINGLE if np.dtype(dtype) == np.float32 else DOUBLE


def check_scores(problem: Problem | TaskProblem, scores: Array) -> None:
    """Look at the columns of X whose first scores (p, t) are not of ordinary size.

    Raises
    ------
    ValueError
        X holds NaN or inf, products overflow although no column is to blame, or, of a problem whose columns are not scaled
        (gaps, own designs, weights by task, losses other than the squared one), squares underflow.
    UnevenColumns
        Some columns must be scaled.
    """
    if isinstance(problem, TaskProblem):
        if not np.isfinite(scores).all():
            problem.design.check_finite()
            raise ValueError("the gradient overflows float64; scale X or Y down")
        for part in problem.parts:
            if part.loss.name in ("squared", "huber"):
                _check_squares("Y", problem.y[part.entries])
                _check_squares("the gradient", scores[:, part.columns])
        return
    top = (
        scores.peaks() if isinstance(scores, Distant) else np.maximum(scores.max(axis=1), -scores.min(axis=1))
    )
    odd = ~np.isfinite(top)
    if problem.null_value > 0.0:
        size = float(np.sqrt(2.0 * problem.null_value * np.sum(problem.omega)))
        bound = np.ldexp(1.0, ordinary(problem.design.dtype))
        odd = ~((top > size / bound) & (top < size * bound))
        odd[problem.free] = odd[problem.sign_free] = True
    check_columns(problem, np.flatnonzero(odd))
    if not np.isfinite(top).all():
        raise ValueError("X'Y overflows float64; scale X or Y down")


def _check_squares(name: str, A: Array) -> None:
    peak = float(np.abs(A).max()) if A.size else 0.0
    if 0.0 < peak < LEAST:
        raise ValueError(
            f"the largest value of {name} is {peak:.1g}, whose square float64 does not hold; scale X or Y up"
        )


def check_columns(problem: Problem, columns: Any = None) -> None:
    """Look at some columns of X (default: all); raises as `check_scores` does."""
    design = problem.design
    columns = np.arange(design.p) if columns is None else columns
    if not len(columns):
        return
    peak = np.full(design.p, np.nan)
    peak[columns] = peaks(design, columns)
    if not np.isfinite(peak[columns]).all():
        design.check_finite()
    bound = np.ldexp(1.0, ordinary(design.dtype))
    exponents = np.zeros(design.p, dtype=np.int64)
    if not ((peak >= bound) | ((peak > 0.0) & (peak < 1.0 / bound))).any():
        return
    for block in _blocks(problem):
        seen = peak[block]
        # Columns not looked at are of ordinary size; zero columns have any size.
        largest = np.nanmax(seen, initial=0.0)
        if largest > 0.0 and (largest > 1.0 or not np.isnan(seen).any()):
            exponents[block] = exponent_of(float(largest), design.dtype)
    if exponents.any():
        raise UnevenColumns(exponents)


def peaks(design: Design, columns: Array) -> Array:
    """Largest absolute entry of each of the columns; NaN or inf where there is one."""
    if isinstance(design, SparseDesign):
        return np.asarray(abs(design.columns(columns)).max(axis=0).toarray()).ravel()
    out = np.empty(len(columns))
    for part in panels(len(columns), 8 * design.n):
        taken = design.take(columns[part])
        out[part] = np.maximum(taken.max(axis=1), -taken.min(axis=1))
    return out


def _blocks(problem: Problem) -> list[Array]:
    """Features that must share a scale: those of one block of the penalty, or all of them."""
    form = problem.penalty.lower(problem.design.p)
    if form is None:
        return [np.arange(problem.design.p)]
    order = np.arange(problem.design.p) if form.order is None else form.order
    return np.split(order, form.ptr[1:-1])


def _times(A: Any, exponent: Any) -> Array:
    """`A 2^exponent`, exact where the result is a normal number, for exponents beyond those of one float."""
    half = np.asarray(exponent) // 2
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(np.ldexp(np.asarray(A, dtype=np.float64), half), exponent - half)
