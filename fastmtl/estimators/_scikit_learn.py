"""Where supported versions of scikit-learn (1.4 and later) differ, and what they are told about our estimators."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import sklearn.utils.validation as validation
from sklearn.utils.validation import check_array

from .._kinds import TENSORS, in_memory, kind_of, read

FINITE = (
    "ensure_all_finite"
    if "ensure_all_finite" in inspect.signature(check_array).parameters
    else "force_all_finite"
)
"""Name of the setting of `check_array` that lets NaN pass; renamed in 1.6."""


def validated(estimator: Any, X: Any, y: Any = None, **settings: Any) -> Any:
    """X, or X and y, checked by scikit-learn; names and number of the features are recorded or compared.

    A method of `BaseEstimator` before 1.6, a function since.
    """
    X, y = readable(X, "X"), readable(y, "y")
    data = (X,) if y is None and settings.get("reset") is False else (X, y)
    if hasattr(validation, "validate_data"):
        check: Any = partial(validation.validate_data, estimator)
    else:
        check = estimator._validate_data
    return check(*data, **settings)


def readable(A: Any, name: str) -> Any:
    """What scikit-learn reads: tensors as NumPy arrays, dask's arrays and frames computed, all else as it is.

    Raises
    ------
    TypeError
        What NumPy cannot hold as it is; the message has the remedy.
    """
    A = in_memory(A, name)
    return read(A, name) if kind_of(A) in TENSORS else A


class Tagged:
    """Says what an estimator takes, in both forms that scikit-learn has asked for it.

    Attributes
    ----------
    _single_output, _multi_output, _multi_label : bool
        Whether y may be a vector, a matrix, and a matrix of 0 and 1.
    _poor_score : bool
        Whether default settings may predict badly: at alpha=1 most penalties leave nothing of standardised targets.
    """

    _single_output = True
    _multi_output = True
    _multi_label = False
    _poor_score = True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        tags.target_tags.single_output = self._single_output
        tags.target_tags.multi_output = self._multi_output
        if tags.regressor_tags is not None:
            tags.regressor_tags.poor_score = self._poor_score
        if tags.classifier_tags is not None:
            tags.classifier_tags.poor_score = self._poor_score
            tags.classifier_tags.multi_label = self._multi_label
        return tags

    def _more_tags(self) -> dict[str, Any]:
        return {
            "requires_y": True,
            "poor_score": self._poor_score,
            "multioutput": self._multi_output,
            "multioutput_only": not self._single_output,
            "multilabel": self._multi_label,
        }
