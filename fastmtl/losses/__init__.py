"""Losses: one convex function of a prediction and a target per file."""

from __future__ import annotations

from ._base import Loss, monotone_root
from .huber import Huber
from .logistic import Logistic
from .multinomial import Multinomial
from .poisson import Poisson
from .squared import Squared

NAMED: dict[str, type[Loss]] = {c.name: c for c in (Squared, Logistic, Multinomial, Huber, Poisson)}
"""Losses that the doors accept by name, with their default settings."""


def resolve(loss: str | Loss) -> Loss:
    """The loss meant by a name or an instance."""
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str) and loss in NAMED:
        return NAMED[loss]()
    raise ValueError(f"loss is {loss!r}, expected one of {', '.join(NAMED)} or a Loss instance.")


__all__ = [
    "NAMED",
    "Huber",
    "Logistic",
    "Loss",
    "Multinomial",
    "Poisson",
    "Squared",
    "monotone_root",
    "resolve",
]
