"""Solvers: one algorithm a file, and the one table that says which problem goes where."""

from __future__ import annotations

from typing import Any

from ..nuisance import check_signs
from ..penalties import Trace
from ..problem import Problem
from ..task_problem import TaskProblem
from ._base import InterruptedRun, Monitor, Outcome, Settings

__all__ = ["InterruptedRun", "Monitor", "Outcome", "Settings", "choose"]


def choose(problem: Problem | TaskProblem, settings: Settings) -> Any:
    """The solver for a problem.

    Raises
    ------
    ValueError
        A combination of design, loss and penalty that no solver covers, naming what is missing.
    """
    has_blocks = problem.penalty.lower(problem.design.p) is not None
    if isinstance(problem, TaskProblem):
        check_signs(problem)
        from .prox_newton import has_small_grams

        p, n_free = problem.design.p, len(problem.free)
        if has_blocks or (has_small_grams(p, problem.n_tasks) and n_free in (0, p)):
            from .task_working_set import TaskWorkingSet

            general: Any = TaskWorkingSet(settings)
        else:
            from .proximal_gradient import ProximalGradient

            general = ProximalGradient(settings)
        if isinstance(problem.penalty, Trace):
            from .spectral import WeightedSpectral, is_weighted

            return WeightedSpectral(settings, general) if is_weighted(problem) else general
        return general
    if has_blocks:
        from .working_set import WorkingSet

        return WorkingSet(settings)
    if isinstance(problem.penalty, Trace):
        from .spectral import choose_spectral

        return choose_spectral(problem, settings)
    from .proximal_gradient import ProximalGradient

    return ProximalGradient(settings)
