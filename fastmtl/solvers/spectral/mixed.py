"""Mixed precision: a float32 Gram matrix as the model, float64 data as the judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..._arrays import Array
from .polar import bound
from .reduced import Monitor, Reduced, solve_reduced
from .reduction import Reduction

CORRECTIONS = 3
"""Defect corrections before float32 is given up: each gains about five digits, or the model is too coarse."""
COARSE = 0.1
"""Share of alpha that the error of `s_j T` may reach: beyond it the shifted systems lose their meaning."""


def solve_mixed(
    reduction: Reduction,
    alpha: float,
    target_gap: float,
    *,
    start: Array | None = None,
    monitor: Monitor | None = None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Reduced | None:
    """Solve on a float32 model until the float64 gap is at most `target_gap`; None when the model is too coarse.

    The model T^ of T solves `B - (T - T^) A V'` for B, with the exact product T A from the data: its fixed point is the
    exact solution, and the gap is computed from T A and never from T^ A.
    """
    model = reduction.model
    found: Reduced | None = None
    for _ in range(1 + CORRECTIONS):
        found = solve_reduced(model, alpha, target_gap, start=start, monitor=monitor, interrupted=interrupted)
        largest = float(np.max(np.einsum("ij,ij->j", found.V, found.V), initial=0.0))
        if largest * model.noise * float(model.diagonal.max()) > COARSE * alpha:
            return None
        exact = reduction.exact_product(found.A)
        certified = bound(reduction.model, alpha, found.A, found.V, exact)
        finished = certified.gap <= target_gap
        found = replace(found, bound=certified, finished=finished)
        if finished or found.interrupted:
            return found
        defect = exact - reduction.model.multiply(found.A)
        model = replace(
            reduction.model, target=np.ascontiguousarray(reduction.model.target - defect @ found.V.T)
        )
        start = found.V
    return None
