"""Choosing a model: cross-validation, criteria, stability, and fits that build on other fits."""

from ._cv_result import CVResult
from .criteria import Criteria, path_criteria
from .cross_validate import cross_validate
from .debias import debias
from .folds import grouped, k_fold, per_task, repeated, stratified, time_ordered
from .reweighted import ReweightedResult, adaptive, fit_reweighted
from .stability import StabilityResult, stability_selection

__all__ = [
    "CVResult",
    "Criteria",
    "ReweightedResult",
    "adaptive",
    "cross_validate",
    "debias",
    "fit_reweighted",
    "grouped",
    "k_fold",
    "path_criteria",
    "per_task",
    "repeated",
    "StabilityResult",
    "stability_selection",
    "stratified",
    "time_ordered",
]
