"""The cross-validated estimators: scikit-learn's contract, its choices, and ours."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the estimators are an optional extra that needs scikit-learn")

import sklearn
import sklearn.linear_model as theirs
from estimator_cases import CROSS_VALIDATED, VECTOR, contract, yes_or_no
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastmtl
from fastmtl import estimators as ours

DROP_INS = (ours.LassoCV, ours.ElasticNetCV, ours.MultiTaskLassoCV, ours.MultiTaskElasticNetCV)
SMALL = {"alphas": 3, "eps": 0.1, "cv": 3}


@contract([make(**SMALL) for make in CROSS_VALIDATED if make is not ours.MultiTaskClassifierCV])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.mark.slow
@contract([ours.MultiTaskClassifierCV(**SMALL)])
def test_scikit_learn_contract_of_the_classifier(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def data():
    return yes_or_no()


def targets(make, Y):
    return Y[:, 0] if make in VECTOR else Y


def errors(model):
    return model.deviance_path_ if hasattr(model, "deviance_path_") else model.mse_path_


def number_of_strengths(theirs_class, number):
    """Settings that ask scikit-learn for a number of strengths, whose name changed in 1.7."""
    return {"n_alphas" if "n_alphas" in theirs_class().get_params() else "alphas": number}


@pytest.mark.parametrize("make", DROP_INS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_same_choice_as_scikit_learn(make, weighted, fit_intercept, data):
    X, Y = data
    other_class = getattr(theirs, make.__name__)
    settings = {"tol": 1e-9, "cv": 4, "eps": 0.01, "max_iter": 10**5, "fit_intercept": fit_intercept}
    if "ElasticNet" in make.__name__:
        settings["l1_ratio"] = [0.5, 0.9]
    weights = {"sample_weight": np.random.default_rng(1).uniform(0.5, 2, 60)} if weighted else {}
    if weighted and "sample_weight" not in other_class.fit.__code__.co_varnames:
        pytest.skip("this scikit-learn's multi-task models take no sample_weight")
    mine = make(alphas=20, **settings).fit(X, targets(make, Y), **weights)
    other = other_class(**number_of_strengths(other_class, 20), **settings)
    other.fit(X, targets(make, Y), **weights)
    np.testing.assert_allclose(mine.alphas_, other.alphas_, rtol=1e-12)
    assert mine.mse_path_.shape == other.mse_path_.shape
    assert mine.alpha_ == pytest.approx(other.alpha_, rel=1e-12)
    assert getattr(mine, "l1_ratio_", None) == getattr(other, "l1_ratio_", None)
    # Both fits are within 1e-9 |y|^2 of the optimum, so predictions differ by the root of that at most.
    np.testing.assert_allclose(mine.mse_path_, other.mse_path_, atol=1e-4)
    np.testing.assert_allclose(mine.coef_, other.coef_, atol=1e-4)
    assert np.shape(mine.intercept_) == np.shape(other.intercept_)


@pytest.mark.parametrize("make", DROP_INS)
def test_same_parameters_as_scikit_learn(make):
    mine, other = make().get_params(), getattr(theirs, make.__name__)().get_params()
    renamed = {"alphas", "n_alphas"}
    assert not set(other) - set(mine)
    assert {k: v for k, v in other.items() if k not in renamed} == {
        k: v for k, v in mine.items() if k not in renamed
    }


@pytest.mark.parametrize("make", CROSS_VALIDATED)
def test_the_model_is_that_of_the_chosen_strength(make, data):
    X, Y = data
    y = targets(make, Y)
    model = make(alphas=8, cv=3).fit(X, y)
    assert errors(model).shape == (8, 3) and model.alphas_.shape == (8,)
    assert model.alpha_ == model.alphas_[errors(model).mean(axis=1).argmin()]
    plain = getattr(ours, make.__name__.removesuffix("CV"))
    shared = {k: v for k, v in model.get_params().items() if k in plain().get_params()}
    alone = plain(**shared).set_params(alpha=model.alpha_).fit(X, y)
    np.testing.assert_allclose(model.coef_, alone.coef_, atol=1e-12)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    assert np.array_equal(clone(model).fit(X, y).coef_, model.coef_)


@pytest.mark.parametrize("make", CROSS_VALIDATED)
def test_layouts_frames_and_pipelines(make, data):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    X, Y = data
    X = np.where(np.abs(X) > 0.7, X, 0.0)
    y = targets(make, Y)
    model = make(**SMALL, tol=1e-10).fit(X, y)
    again = make(**SMALL, tol=1e-10).fit(sparse.csr_matrix(X), y)
    np.testing.assert_allclose(errors(again), errors(model), rtol=1e-3)
    frame = pandas.DataFrame(X, columns=[f"x{j}" for j in range(30)])
    pipe = make_pipeline(StandardScaler(), make(**SMALL)).set_output(transform="pandas").fit(frame, y)
    assert pipe[-1].feature_names_in_[0] == "x0"
    assert pipe.score(frame, y) <= 1.0


@pytest.mark.parametrize("make", CROSS_VALIDATED)
def test_metadata_reaches_fit_and_splitter(make, data):
    X, Y = data
    y, groups, weights = targets(make, Y), np.arange(60) % 4, np.linspace(0.5, 2, 60)
    plain = make(**(SMALL | {"cv": list(GroupKFold(4).split(X, Y, groups))})).fit(X, y, sample_weight=weights)
    with sklearn.config_context(enable_metadata_routing=True):
        model = make(**(SMALL | {"cv": GroupKFold(4)})).set_fit_request(sample_weight=True)
        model.fit(X, y, sample_weight=weights, groups=groups)
    assert np.array_equal(errors(model), errors(plain))
    with pytest.raises(ValueError, match="enable_metadata_routing=True"):
        make(**SMALL).fit(X, y, groups=groups)


@pytest.mark.parametrize("make", CROSS_VALIDATED)
def test_jobs_side_by_side_give_the_same(make, data):
    X, Y = data
    y = targets(make, Y)
    assert np.array_equal(errors(make(**SMALL, n_jobs=2).fit(X, y)), errors(make(**SMALL).fit(X, y)))


@pytest.mark.parametrize("make", DROP_INS)
def test_small_print_of_scikit_learn(make, data):
    X, Y = data
    y = Y if make.__name__.startswith("Multi") else Y[:, 0]
    model = make(alphas=None, cv=3).fit(X, y)
    np.testing.assert_array_equal(model.alphas_, make(cv=3).fit(X, y).alphas_)
    original = getattr(theirs, make.__name__)
    for found, wanted in zip(make.path(X, y)[:2], original.path(X, y)[:2], strict=True):
        assert found.shape == wanted.shape
    np.testing.assert_allclose(make.path(X, y)[0], original.path(X, y)[0], rtol=1e-12)
    for alphas in (0, -3, 0.5, "auto"):
        with pytest.raises((ValueError, TypeError), match="alphas"):
            make(alphas=alphas).fit(X, y)
    with pytest.raises(ValueError, match="selection"):
        make(selection="foo").fit(X, y)


def test_one_standard_error_rule(data):
    X, Y = data
    model = ours.GroupLassoCV(cv=KFold(5), alphas=30, rule="1se").fit(X, Y)
    least = ours.GroupLassoCV(cv=KFold(5), alphas=30).fit(X, Y)
    assert model.alpha_ > least.alpha_
    mean, se = model.mse_path_.mean(axis=1), model.mse_path_.std(axis=1, ddof=1) / np.sqrt(5)
    best = mean.argmin()
    assert model.alpha_ == model.alphas_[np.flatnonzero(mean <= mean[best] + se[best])[0]]


def test_mixing_parameters_are_chosen_among(data):
    X, Y = data
    model = ours.SparseGroupLassoCV(tau=[0.0, 0.5, 1.0], alphas=6, cv=3).fit(X, Y)
    assert model.mse_path_.shape == (3, 6, 3) and model.alphas_.shape == (3, 6)
    row, column = np.unravel_index(model.mse_path_.mean(axis=2).argmin(), (3, 6))
    assert model.tau_ == [0.0, 0.5, 1.0][row] and model.alpha_ == model.alphas_[row, column]


def test_classes_keep_their_share_in_every_fold():
    """Sorted labels: folds without an order would train on one class only."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((60, 5))
    y = np.repeat(["a", "b", "c"], 20)
    X[:, 0] += 3.0 * np.repeat([0, 1, 2], 20)
    assert ours.MultiTaskClassifierCV(alphas=5, cv=3).fit(X, y).score(X, y) > 0.8


def test_gaps_are_divided_too(data):
    X, Y = data
    Y = np.where(np.random.default_rng(4).uniform(size=Y.shape) < 0.2, np.nan, Y)
    model = ours.MultiTaskGLMCV(alphas=5, cv=3).fit(X, Y)
    result = fastmtl.cross_validate(X, Y, alphas=model.alphas_, cv=KFold(3), refit=False)
    np.testing.assert_allclose(model.deviance_path_, result.fold_scores[0], rtol=1e-12)


def test_a_tolerance_below_rounding_comes_to_an_end():
    """Many samples, few features: folds are fitted from moments, which show no gap as fine as this."""
    rng = np.random.default_rng(5)
    X, y = np.maximum(rng.standard_normal((200, 2)), 0.0), rng.uniform(size=200)
    model = ours.LassoCV(alphas=20, tol=1e-16).fit(X, y)
    assert max(result.relative_gaps.max() for result in model.cv_results_) <= 1e-13
