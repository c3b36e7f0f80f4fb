"""A model in either precision, the float64 data as its judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..._arrays import Array
from ...problem import Problem
from .omega_newton import no_steps
from .reduced import Monitor, Reduced, solve_reduced, solve_surely
from .reduction import Factors, Reduction
from .thin_certificate import Thin, certify_thin

CORRECTIONS = 3
"""Defect corrections before float32 is given up: each gains about five digits, or the model is too coarse."""
COARSE = 0.1
"""Share of alpha that the error of `s_j T` may reach: beyond it the shifted systems lose their meaning."""
AIMABLE = 0.1
"""Relative gap, in units of the model's noise, that its plain residual can certify."""


class Judged(NamedTuple):
    """A reduced solution, its factors in the data's units, and their certificate on the data."""

    found: Reduced
    factors: Factors
    thin: Thin


def judge(problem: Problem, reduction: Reduction, found: Reduced, enough: float) -> Judged:
    """Lift a reduced solution and certify it; `enough` is an absolute gap."""
    factors = reduction.factors(found.A, found.V)
    return Judged(found, factors, certify_thin(problem, reduction, found, factors, enough))


def solve_judged(
    problem: Problem,
    reduction: Reduction,
    alpha: float,
    target_gap: float,
    enough: float,
    *,
    start: Array | None = None,
    monitor: Monitor | None = None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Judged | None:
    """Solve a model and certify the solution on the data; None when a float32 model is too coarse for them.

    A float32 model T^ of T, where it falls short, solves `B - (T - T^) A V'` for B with the exact product T A from the
    data: on the feature side its fixed point is the exact solution. (On the sample side T is the metric as well: the fixed
    point is off by its error, which the polar-corrected gap squares.)

    Parameters
    ----------
    alpha, target_gap : float
        In the model's units; the gap is absolute.
    enough : float
        Absolute gap, in the data's units.
    """
    model = reduction.model
    # Where the model cannot tell the gradient that finely there is nothing to spare.
    can_aim = target_gap >= AIMABLE * model.noise * reduction.worth
    spare = reduction.spare_steps if can_aim else no_steps
    options: dict[str, Any] = {"spare": spare, "monitor": monitor, "interrupted": interrupted}
    if not reduction.single:
        return judge(
            problem, reduction, solve_surely(model, alpha, target_gap, start=start, **options), enough
        )
    for _ in range(1 + CORRECTIONS):
        found = solve_reduced(model, alpha, target_gap, start=start, **options)
        largest = float(np.max(np.einsum("ij,ij->j", found.V, found.V), initial=0.0))
        if largest * model.noise * float(model.diagonal.max()) > COARSE * alpha:
            return None
        judged = judge(problem, reduction, found, enough)
        if judged.thin.certificate.gap <= enough or found.interrupted:
            return judged
        product = judged.thin.product
        defect = reduction.defect(found, reduction.product(judged.factors.U) if product is None else product)
        target = np.ascontiguousarray(reduction.model.target - defect @ found.V.T)
        model, start = replace(reduction.model, target=target), found.V
    return None
