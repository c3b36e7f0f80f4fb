"""fastmtl: certified large-scale convex multi-task learning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._status import ConvergenceWarning, FitInterrupted, Status
from ._version import __version__

if TYPE_CHECKING:
    from . import adapters, embed, losses, model_selection, penalties, plotting
    from .api import alpha_max, certify, fit
    from .certificate import Certificate
    from .model_selection import (
        Criteria,
        CVResult,
        StabilityResult,
        cross_validate,
        debias,
        fit_reweighted,
        path_criteria,
        stability_selection,
    )
    from .path import PathResult, fit_path
    from .replay import dump_problem
    from .result import FitResult

__all__ = [
    "CVResult",
    "Certificate",
    "ConvergenceWarning",
    "Criteria",
    "FitInterrupted",
    "FitResult",
    "PathResult",
    "StabilityResult",
    "Status",
    "__version__",
    "adapters",
    "alpha_max",
    "certify",
    "cross_validate",
    "debias",
    "dump_problem",
    "embed",
    "fit",
    "fit_path",
    "fit_reweighted",
    "losses",
    "model_selection",
    "path_criteria",
    "penalties",
    "plotting",
    "stability_selection",
]

_HOMES = {
    "CVResult": "model_selection",
    "Certificate": "certificate",
    "Criteria": "model_selection",
    "FitResult": "result",
    "PathResult": "path",
    "StabilityResult": "model_selection",
    "alpha_max": "api",
    "certify": "api",
    "cross_validate": "model_selection",
    "debias": "model_selection",
    "dump_problem": "replay",
    "fit": "api",
    "fit_path": "path",
    "fit_reweighted": "model_selection",
    "path_criteria": "model_selection",
    "stability_selection": "model_selection",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that importing the package costs nothing."""
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    if name in ("adapters", "embed", "losses", "model_selection", "penalties", "plotting"):
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
