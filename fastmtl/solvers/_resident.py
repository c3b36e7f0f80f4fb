"""The certificate of an iterate whose residual and scores stay on a device: sums and block norms are enough for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arrays import Array
from ..certificate import Check, assemble, penalty_value, scaled_bound
from ..designs.resident import Residuals
from ..problem import Problem


class Resident:
    """Certificates of a problem for a run, and for the same problem under other strengths of its penalty.

    Parameters
    ----------
    problem : Problem
    residuals : Residuals
    counted : ndarray of shape (B,)
        Whether a block's norm counts: that of an unpenalised one is rounding.
    """

    def __init__(self, problem: Problem, residuals: Residuals, counted: Array) -> None:
        self._residuals, self._counted, self._before = residuals, counted, False
        self._free = problem.free

    @classmethod
    def of(cls, problem: Problem) -> Resident | None:
        """None where X is in host memory, or block norms of the scores are not all that the penalty asks for."""
        residuals = problem.design.residuals(problem.Y, problem.root, problem.basis)
        if residuals is None or len(problem.sign_free):
            return None
        norms = problem.penalty.block_norms(np.ones((problem.design.p, 1)))
        return None if norms is None else cls(problem, residuals, norms > 0.0)

    def check(self, problem: Problem, coef: Array, intercept: Array, rows: Array) -> Check | None:
        """What `evaluate` gives, `scores` and `direction` on the device; None when a number is not finite."""
        form: Any = problem.penalty.lower(problem.design.p)
        shift = np.asarray(intercept, dtype=np.float64) if problem.fit_intercept else None
        coef = np.asarray(coef, dtype=np.float64)
        first, self._before = not self._before, True
        look = self._residuals.look(
            coef, rows, shift, problem.unit, form.ptr, form.order, self._free, peaks=first
        )
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
