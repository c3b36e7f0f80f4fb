"""Choosing a model: cross-validation, criteria, stability, and fits that build on other fits."""

from ._cv_result import CVResult
from .cross_validate import cross_validate
from .folds import grouped, k_fold, per_task, repeated, stratified, time_ordered

__all__ = [
    "CVResult",
    "cross_validate",
    "grouped",
    "k_fold",
    "per_task",
    "repeated",
    "stratified",
    "time_ordered",
]
