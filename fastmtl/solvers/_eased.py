"""What is done about a run that stalled: strengths that are rounding are left out, and proved to be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .._arrays import Array
from .._status import Status
from ..certificate import Check
from ..easing import ROUNDING, eased, evaluate_eased
from ..problem import Problem
from ._base import Outcome, verdict


def eased_outcome(
    problem: Problem,
    stalled: Outcome,
    run: Callable[[Problem, tuple[Array, Array]], Outcome],
    dual_point: Callable[[Problem, Check], Array],
    tol: float,
) -> Outcome:
    """The outcome of the problem without strengths that are rounding, where that is better than one that stalled."""
    easier = eased(problem)
    if easier is None:
        return stalled
    found = run(easier, (stalled.coef, stalled.intercept))
    check = evaluate_eased(problem, easier, found.coef, found.intercept)
    if not check.certificate.gap < stalled.certificate.gap:
        return stalled
    status = verdict(check.certificate, tol, float(np.finfo(problem.design.dtype).eps))
    if status is None:
        status = Status.STALLED if found.status.converged else found.status
    dual = lambda: dual_point(problem, check)  # noqa: E731
    return replace(found, certificate=check.certificate, status=status, dual=dual)


def is_beneath(problem: Problem, scores: Array) -> bool:
    """Whether scores (B,) over their bounds at zero show that some strengths are rounding, so that a run would stall."""
    return bool(scores.max(initial=0.0) > 1.0 / ROUNDING) and eased(problem) is not None
