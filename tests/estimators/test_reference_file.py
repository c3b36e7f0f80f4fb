"""scikit-learn's own tests of its (multi-task) Lasso and elastic net, run from the installed package on our estimators."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from unittest.mock import patch

import pytest

pytest.importorskip("sklearn", reason="the estimators are an optional extra that needs scikit-learn")

import sklearn
import sklearn.linear_model as theirs

import fastmtl.estimators as ours

IN_PLACE = [
    name
    for name in ("Lasso", "ElasticNet", "MultiTaskLasso", "MultiTaskElasticNet",
                 "LassoCV", "ElasticNetCV", "MultiTaskLassoCV", "MultiTaskElasticNetCV")
    if hasattr(ours, name)
]  # fmt: skip

GRAM = "a Gram matrix given as `precompute` is not read: the solver decides by itself which inner products it keeps"
EPOCHS = "counts single sweeps; our `n_iter_` counts outer iterations, of which this problem needs too few to compare"
ENOUGH = "expects max_iter=1, one sweep, not to suffice; one of our outer iterations, of many sweeps, does"
CANNOT_APPLY = {
    "test_elasticnet_precompute_incorrect_gram": GRAM,
    "test_overridden_gram_matrix": GRAM,
    "test_overrided_gram_matrix": GRAM,  # its name before 1.6
    "test_warm_start_convergence": EPOCHS,
    "test_warm_start_convergence_with_regularizer_decrement": EPOCHS,
    "test_enet_coordinate_descent": "expects columns of 1e50 not to be fitted in two iterations; they are",
    "test_sparse_input_convergence_warning": ENOUGH,
    "test_enet_coordinate_descent_raises_convergence": ENOUGH,
    "test_enet_nonfinite_params": "expects features near the largest float to end in an error; ours end in a warning",
    "test_lassoCV_does_not_set_precompute": "looks for `precompute` in the model that their class builds inside",
    "test_lasso_alpha_warning": "expects a warning that alpha=0 converges badly; the fit is certified like any other",
    "test_check_input_false": "expects an X in row order to be refused with check_input=False; any order is taken",
    "test_enet_copy_X_False_check_input_False": "expects X to be overwritten; it never is",
}
"""Tests that state what scikit-learn's algorithm cannot do, or count its steps."""
LOOSE = "compares digits at the default tol; newer versions of the test ask for tol=1e-6, and pass"
if "n_alphas" in theirs.LassoCV().get_params():  # before 1.9
    CANNOT_APPLY |= {
        "test_multitask_enet_and_lasso_cv": LOOSE,
        "test_multi_task_lasso_cv_dtype": LOOSE,
        "test_enet_l1_ratio": "expects a warning that l1_ratio=0 converges badly; newer versions expect none",
        "test_multitask_cv_estimators_with_sample_weight": "expects sample weights to be refused; they are taken",
    }
LONG = {"test_enet_cv_sample_weight_consistency", "test_enet_cv_sample_weight_correctness"}
"""Tests with many cases, each of thousands of fits."""

FILE = Path(theirs.__file__).parent / "tests" / "test_coordinate_descent.py"


def reference():
    """The installed test file, loaded while our classes stand in `sklearn.linear_model`, so that its lists hold them."""
    spec = importlib.util.spec_from_file_location("reference_coordinate_descent", FILE)
    module = importlib.util.module_from_spec(spec)
    with patch.multiple(theirs, **{name: getattr(ours, name) for name in IN_PLACE}):
        spec.loader.exec_module(module)
    return module


MODULE = reference()
pytestmark = pytest.mark.filterwarnings(
    "default::sklearn.exceptions.ConvergenceWarning"
)  # as in their own settings


def adopt():
    """Their tests as tests of this file."""
    for name, test in vars(MODULE).items():
        if name.startswith("test_"):
            reason = CANNOT_APPLY.get(name)
            marks = (
                [pytest.mark.skip(reason=reason)] if reason else [pytest.mark.slow] if name in LONG else []
            )
            globals()[name] = marks[0](test) if marks else test


adopt()


@pytest.fixture
def global_random_seed():
    """scikit-learn's fixture of this name."""
    return 42


@pytest.fixture
def enable_slep006():
    """scikit-learn's fixture of this name (before 1.6): metadata routing is on."""
    with sklearn.config_context(enable_metadata_routing=True):
        yield
