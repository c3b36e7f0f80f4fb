"""Losses: one convex function of a prediction and a target per file."""

from __future__ import annotations

from ._base import Loss
from .squared import Squared

__all__ = ["Loss", "Squared"]
