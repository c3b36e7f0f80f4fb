"""The estimators that the tests run over, and scikit-learn's contract as test cases."""

from __future__ import annotations

import pytest

pytest.importorskip("sklearn", reason="the estimators are an optional extra that needs scikit-learn")

import numpy as np
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastmtl import estimators as ours

CLASSES = (
    ours.Lasso,
    ours.ElasticNet,
    ours.MultiTaskLasso,
    ours.MultiTaskElasticNet,
    ours.GroupLasso,
    ours.SparseGroupLasso,
    ours.TraceNormRegressor,
    ours.MultiTaskGLM,
    ours.MultiTaskClassifier,
)
CROSS_VALIDATED = tuple(getattr(ours, f"{make.__name__}CV") for make in CLASSES)
VECTOR = (ours.Lasso, ours.ElasticNet, ours.LassoCV, ours.ElasticNetCV)
"""Estimators of a vector y."""


def contract(estimators):
    """scikit-learn's checks as cases; as a list, since the generator of old versions is refused by new ones of pytest."""
    made = parametrize_with_checks(estimators)
    names, cases = made.args
    return pytest.mark.parametrize(names, list(cases), **made.kwargs)


def yes_or_no():
    """X (60, 30) and targets (60, 3) that are yes or no in the sign of a few features."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 30))
    Y = (X[:, :4] @ rng.standard_normal((4, 3)) + 0.3 * rng.standard_normal((60, 3)) > 0).astype(float)
    return X, Y
