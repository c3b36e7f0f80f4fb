"""Solvers: one algorithm a file, and the one table that says which problem goes where."""

from __future__ import annotations

from typing import Any

from ..loss_problem import LossProblem
from ..penalties import Trace
from ..problem import Problem
from ._base import InterruptedRun, Monitor, Outcome, Settings

__all__ = ["InterruptedRun", "Monitor", "Outcome", "Settings", "choose"]


def choose(problem: Problem, settings: Settings) -> Any:
    """The solver for a problem.

    Raises
    ------
    ValueError
        A combination of design, loss and penalty that no solver covers, naming what is missing.
    """
    if isinstance(problem, LossProblem):
        if problem.penalty.free(problem.design.p).any():
            raise ValueError(
                f"{problem.penalty} leaves features unpenalised, which loss={problem.loss.name!r} does not support yet; "
                "give them a small weight instead of 0"
            )
        from .proximal_gradient import ProximalGradient

        return ProximalGradient(settings)
    if problem.penalty.lower(problem.design.p) is not None:
        from .working_set import WorkingSet

        return WorkingSet(settings)
    if isinstance(problem.penalty, Trace):
        from .spectral import choose_spectral

        return choose_spectral(problem, settings)
    from .proximal_gradient import ProximalGradient

    return ProximalGradient(settings)
