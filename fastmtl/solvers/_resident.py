"""Runs whose large arrays stay on a device: sums, block norms and Gram matrices are enough for certificates and descents."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .._arrays import Array
from ..certificate import Check, assemble, penalty_value, scaled_bound
from ..designs import ResidentTasks
from ..designs.resident import Residuals
from ..losses import Huber, Logistic, Multinomial, Poisson, Squared
from ..penalties._block import BlockPenalty
from ..problem import Problem
from ..task_problem import TaskProblem

WRITTEN_FOR_ANY_LIBRARY = (Squared, Huber, Logistic, Multinomial, Poisson)
"""Losses whose formulas leave it to their arguments which array library evaluates them."""


class Resident:
    """Certificates of a problem for a run, and for the same problem under other strengths of its penalty.

    Parameters
    ----------
    problem : Problem
    residuals : Residuals
    """

    def __init__(self, problem: Problem, residuals: Residuals) -> None:
        form: Any = problem.penalty.lower(problem.design.p)
        self._residuals, self._free, self._before = residuals, problem.free, False
        self._counted = (form.bounds > 0.0) | (form.ridge > 0.0)  # an unpenalised block's norm is rounding
        residuals.hold(form)

    @classmethod
    def of(cls, problem: Problem) -> Resident | None:
        """None where X is in host memory, or norms of the scores' blocks are not all that the certificate asks for."""
        residuals = problem.design.residuals(problem.Y, problem.root, problem.basis)
        if residuals is None or len(problem.sign_free) or not isinstance(problem.penalty, BlockPenalty):
            return None
        form = problem.penalty.lower(problem.design.p)
        return None if form.l1.any() and form.ridge.any() else cls(problem, residuals)

    def check(self, problem: Problem, coef: Array, intercept: Array, rows: Array) -> Check | None:
        """What `evaluate` gives, `scores` and `direction` on the device; None when a number is not finite."""
        shift = np.asarray(intercept, dtype=np.float64) if problem.fit_intercept else None
        coef = np.asarray(coef, dtype=np.float64)
        first, self._before = not self._before, True
        look = self._residuals.look(coef, rows, shift, problem.unit, self._free, peaks=first)
        if look is None:
            return None
        scores, direction, unit = look.scores, look.direction, problem.unit
        norms = np.where(self._counted, look.norms, 0.0)
        bound = scaled_bound(problem, scores, unit * look.cross, unit * look.square, norms)
        loss = 0.5 * unit * look.loss
        certificate = assemble(
            problem, loss + penalty_value(problem, coef, rows), bound, is_zero=not coef.any()
        )
        return Check(certificate, scores, None, direction, bound, loss, norms)


def where_x_is(problem: TaskProblem) -> TaskProblem:
    """The same problem with targets, weights and predictions where X is; itself where that is at home.

    Losses of the user's own and unpenalised features are worked out at home.
    """
    design = ResidentTasks.of(problem.design)
    if (
        design is None
        or len(problem.free)
        or any(type(part.loss) not in WRITTEN_FOR_ANY_LIBRARY for part in problem.parts)
    ):
        return problem
    offset = None if problem.offset is None else design.up(problem.offset)
    moved = replace(
        problem, design=design, y=design.up(problem.y), omega=design.up(problem.omega), offset=offset
    )
    moved.__dict__.update({name: getattr(problem, name) for name in problem.DATA_ONLY})
    return moved
