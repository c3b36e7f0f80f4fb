"""Strengths that are rounding: the same problem without them, and what its dual values prove.

A penalty with some of its strengths set to zero is nowhere above the one given, so a lower bound of the easier problem's
optimum is one of the problem's own. Where a strength is rounding beside the scores it is compared with, no dual point can be
brought within it, while one that is orthogonal to those columns can be computed to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ._arrays import Array
from .certificate import Certificate, Check, assemble, evaluate, penalty_value
from .penalties import Penalty, Trace
from .penalties._block import BlockPenalty, block_sums
from .penalties._restricted import Restricted
from .problem import Problem

ROUNDING = 2.0**-40
"""Strength over `|x_g| |Y|`, the size of what a score is summed from, below which it is rounding."""


@dataclass(frozen=True)
class Eased(Restricted):
    """A block penalty without some of its strengths."""

    name = "eased"


def eased(problem: Problem) -> Problem | None:
    """The problem without the strengths that are rounding; None where there are none, or signs forbid it."""
    penalty = problem.penalty
    if problem.null_value == 0.0 or getattr(penalty, "positive", False):
        return None
    weight = None if problem.root is None else problem.root[:, 0] ** 2
    squares = problem.unit * problem.design.sq_norms(weight)
    size = float(np.sqrt(2.0 * problem.null_value))
    easier = _without(penalty, squares, size)
    return None if easier is None else replace(problem, penalty=easier)


def _without(penalty: Penalty, squares: Array, size: float) -> Penalty | None:
    """The penalty without strengths that are rounding for columns of these squared norms and targets of this size."""
    if isinstance(penalty, Trace):
        below = not penalty.ridge and 0.0 < (penalty.alpha or 0.0) <= ROUNDING * size * np.sqrt(squares.sum())
        return penalty.with_alpha(0.0) if below else None
    if not isinstance(penalty, BlockPenalty):
        return None
    form = penalty.lower(len(squares))
    squares = squares if form.order is None else squares[form.order]
    block = block_sums(squares, form.ptr)
    rows = np.repeat(np.arange(len(block)), np.diff(form.ptr))
    reach = ROUNDING * size * np.sqrt(block)
    below = (form.l2 <= reach) & (form.ridge <= ROUNDING * block)
    below &= np.bincount(rows, form.l1 > reach[rows], len(block)) == 0
    given = (form.l2 > 0) | (form.ridge > 0) | (np.bincount(rows, form.l1 > 0, len(block)) > 0)
    if not (below & given).any():
        return None
    l1, l2, ridge = (
        np.where(below[rows], 0.0, form.l1),
        np.where(below, 0.0, form.l2),
        np.where(below, 0.0, form.ridge),
    )
    return Eased(1.0, form=form._replace(l1=l1, l2=l2, ridge=ridge))


def evaluate_eased(
    problem: Problem,
    easier: Problem,
    coef: Array,
    intercept: Array,
    rows: Array | None = None,
    candidate: Array | None = None,
) -> Check:
    """Certify coefficients by a dual value of the easier problem; parameters as in `certificate.evaluate`."""
    check = evaluate(easier, coef, intercept, rows, candidate)
    primal = check.loss + penalty_value(problem, coef, rows)
    return replace(check, certificate=assemble(problem, primal, check.bound, is_zero=not coef.any()))


def better(problem: Problem, certificate: Certificate, *point: Array | None) -> Certificate:
    """The certificate of a point, or that by the easier problem where this has the smaller gap."""
    easier = None if certificate.relative_gap <= ROUNDING else eased(problem)
    if easier is None:
        return certificate
    other = evaluate_eased(problem, easier, *point).certificate  # type: ignore[arg-type]
    return other if other.gap < certificate.gap else certificate
