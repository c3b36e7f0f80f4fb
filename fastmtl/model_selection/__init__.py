"""Choosing a model: cross-validation, criteria, stability, and fits that build on other fits."""

from ._cv_result import CVResult
from .criteria import Criteria, path_criteria
from .cross_validate import cross_validate
from .folds import grouped, k_fold, per_task, repeated, stratified, time_ordered

__all__ = [
    "CVResult",
    "Criteria",
    "cross_validate",
    "grouped",
    "k_fold",
    "path_criteria",
    "per_task",
    "repeated",
    "stratified",
    "time_ordered",
]
