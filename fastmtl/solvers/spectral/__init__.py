"""Trace norm, squared loss, shared design: exact reduction, Newton on Omega = V V', polar certificate."""

from __future__ import annotations

from typing import Any

from ...problem import Problem
from .._base import Settings
from .left_subspace import LeftSubspace, pays
from .solver import Spectral
from .weighted import WeightedSpectral, is_weighted

__all__ = ["LeftSubspace", "Spectral", "WeightedSpectral", "choose_spectral", "is_weighted"]


def choose_spectral(problem: Problem, settings: Settings) -> Any:
    """One matrix of order min(n, p), or products with X alone where that is cheaper or all that fits."""
    if problem.penalty.alpha and problem.null_value > 0.0 and pays(problem):
        return LeftSubspace(settings)
    return Spectral(settings)
