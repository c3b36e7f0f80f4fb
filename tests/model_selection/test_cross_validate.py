"""Laws of cross-validation: each fold is a path on its rows, errors are those of predictions, rules are what they say."""

from __future__ import annotations

import numpy as np
import pytest
from engine_cases import regression

import fastmtl
from fastmtl.losses import Logistic
from fastmtl.model_selection import folds
from fastmtl.penalties import L21, SparseGroup


def test_scores_are_the_errors_of_paths_on_the_training_rows():
    X, Y = regression(n=40, p=25, t=3)
    cv = fastmtl.cross_validate(X, Y, n_alphas=6, cv=4, tol=1e-10)
    for k, (train, test) in enumerate(folds.k_fold(40, 4)):
        path = fastmtl.fit_path(X[train], Y[train], alphas=cv.alphas[0], tol=1e-10)
        for a, fit in enumerate(path):
            np.testing.assert_allclose(
                cv.scores[0, a, k], ((fit.predict(X[test]) - Y[test]) ** 2).mean(axis=0), rtol=1e-4
            )
    assert (cv.relative_gaps <= 1e-10).all()


def test_scikit_learn_chooses_the_same_alpha():
    linear_model = pytest.importorskip("sklearn.linear_model", reason="compares with scikit-learn")
    X, Y = regression(n=60, p=40, t=4)
    theirs = linear_model.MultiTaskLassoCV(alphas=20, eps=1e-2, cv=5, tol=1e-10, max_iter=100_000).fit(X, Y)
    ours = fastmtl.cross_validate(X, Y, n_alphas=20, tol=1e-10)
    np.testing.assert_allclose(ours.alphas[0], theirs.alphas_, rtol=1e-12)
    np.testing.assert_allclose(ours.fold_scores[0], theirs.mse_path_, rtol=1e-4)
    assert ours.best_alpha == pytest.approx(theirs.alpha_, rel=1e-12)


@pytest.mark.parametrize("n_jobs", [2, -1, None])
def test_results_do_not_depend_on_the_number_of_jobs(n_jobs):
    X, Y = regression(n=40, p=60, t=3)
    one = fastmtl.cross_validate(X, Y, n_alphas=8, n_jobs=1)
    other = fastmtl.cross_validate(X, Y, n_alphas=8, n_jobs=n_jobs)
    np.testing.assert_array_equal(one.scores, other.scores)
    np.testing.assert_array_equal(one.best.coef, other.best.coef)


def test_folds_run_in_threads_without_joblib(monkeypatch):
    import sys

    X, Y = regression(n=30, p=20, t=2)
    expected = fastmtl.cross_validate(X, Y, n_alphas=4, n_jobs=1)
    monkeypatch.setitem(sys.modules, "joblib", None)
    np.testing.assert_array_equal(fastmtl.cross_validate(X, Y, n_alphas=4, n_jobs=2).scores, expected.scores)


def test_rules_choose_what_they_say():
    X, Y = regression(n=40, p=30, t=3)
    cv = fastmtl.cross_validate(X, Y, n_alphas=20)
    row, best = cv.index("min")
    assert cv.mean[row, best] == np.nanmin(cv.mean)
    row, sparse = cv.index("1se")
    limit = cv.mean[0, best] + cv.se[0, best]
    assert cv.mean[row, sparse] <= limit and sparse <= best
    assert (cv.mean[0, :sparse] > limit).all()
    one = fastmtl.cross_validate(X, Y, n_alphas=20, rule="1se", refit=False)
    assert one.best is None and one.best_index == (row, sparse)


def test_standard_error_is_that_of_the_mean_over_folds():
    X, Y = regression(n=40, p=10, t=3)
    cv = fastmtl.cross_validate(X, Y, n_alphas=3, cv=4)
    folds_of = cv.scores.mean(axis=-1)
    np.testing.assert_allclose(cv.mean, folds_of.mean(axis=-1))
    np.testing.assert_allclose(cv.se, folds_of.std(axis=-1, ddof=1) / 2)


def test_refit_is_the_fit_of_all_samples():
    X, Y = regression(n=40, p=30, t=3)
    cv = fastmtl.cross_validate(X, Y, n_alphas=10)
    again = fastmtl.fit(X, Y, alpha=cv.best_alpha)
    slack = cv.best.certificate.gap + again.certificate.gap
    assert abs(cv.best.certificate.primal - again.certificate.primal) <= slack
    assert str(cv.best_alpha)[:4] in repr(cv) or "best alpha" in repr(cv)
    assert "1se" in cv.summary()


@pytest.mark.parametrize("penalty", ["l21", SparseGroup()])
def test_l1_ratios_are_searched_together(penalty):
    X, Y = regression(n=40, p=15, t=3)
    cv = fastmtl.cross_validate(X, Y, penalty, l1_ratios=[0.3, 0.9], n_alphas=5)
    assert cv.scores.shape == (2, 5, 5, 3)
    name = "l1_ratio" if penalty == "l21" else "tau"
    for i, ratio in enumerate([0.3, 0.9]):
        one = (L21 if penalty == "l21" else SparseGroup)(**{name: ratio})
        alone = fastmtl.cross_validate(X, Y, one, n_alphas=5, refit=False)
        np.testing.assert_array_equal(alone.scores[0], cv.scores[i])
    assert cv.best_l1_ratio in (0.3, 0.9) and cv.mean[cv.best_index] == cv.mean.min()


def test_sample_weights_weigh_training_and_test():
    X, Y = regression(n=30, p=12, t=2)
    weight = np.random.default_rng(1).integers(0, 3, 30)
    pairs = folds.k_fold(30, 3)
    cv = fastmtl.cross_validate(X, Y, n_alphas=4, cv=pairs, sample_weight=weight, tol=1e-10)
    rows = np.repeat(np.arange(30), weight)
    repeated = [tuple(np.flatnonzero(np.isin(rows, part)) for part in pair) for pair in pairs]
    plain = fastmtl.cross_validate(X[rows], Y[rows], alphas=cv.alphas[0], cv=repeated, tol=1e-10)
    np.testing.assert_allclose(cv.scores, plain.scores, rtol=1e-4)


def test_offsets_are_part_of_the_prediction():
    X, Y = regression(n=30, p=12, t=2)
    shift = np.random.default_rng(1).standard_normal(Y.shape)
    plain = fastmtl.cross_validate(X, Y, n_alphas=4)
    moved = fastmtl.cross_validate(X, Y + shift, n_alphas=4, offset=shift)
    np.testing.assert_allclose(moved.scores, plain.scores, rtol=1e-3)


def test_deviance_is_twice_the_loss_on_probabilities():
    X, Y = regression(n=40, p=8, t=2)
    labels = (Y > 0).astype(float)
    pairs = folds.stratified(labels[:, 0], 3)
    cv = fastmtl.cross_validate(X, labels, loss="logistic", n_alphas=3, cv=pairs)
    train, test = pairs[1]
    fit = fastmtl.fit(X[train], labels[train], loss="logistic", alpha=float(cv.alphas[0, 2]))
    expected = 2 * Logistic().value(labels[test], fit.decision_function(X[test])).mean(axis=0)
    np.testing.assert_allclose(cv.scores[0, 2, 1], expected, rtol=1e-3)


def test_score_of_ones_own():
    X, Y = regression(n=30, p=12, t=2)
    named = fastmtl.cross_validate(X, Y, n_alphas=4, score="absolute")
    own = fastmtl.cross_validate(X, Y, n_alphas=4, score=lambda y, prediction: np.abs(y - prediction))
    np.testing.assert_array_equal(own.scores, named.scores)


@pytest.mark.parametrize("grouped", [False, True])
def test_splitters_of_scikit_learn(grouped):
    model_selection = pytest.importorskip("sklearn.model_selection", reason="a splitter of scikit-learn")
    X, Y = regression(n=30, p=12, t=2)
    groups = np.arange(30) // 3 if grouped else None
    cv = model_selection.GroupKFold(4) if grouped else model_selection.KFold(4, shuffle=True, random_state=0)
    result = fastmtl.cross_validate(X, Y, n_alphas=3, cv=cv, groups=groups)
    assert result.n_test.sum() == 30 and len(result.n_test) == 4


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        (dict(rule="best"), "rule"),
        (dict(score="r2"), "score"),
        (dict(score=["r2"]), "score"),
        (dict(score=lambda y, prediction: 0.0, n_alphas=2), "score gives an array of shape"),
        (dict(groups=np.arange(5)), r"groups has shape \(5,\), \(40,\) was expected"),
        (dict(groups=np.zeros((40, 1))), "groups has shape"),
        (dict(groups=[None] * 40), "groups holds None"),
        (dict(groups=np.arange(40) % 5, cv=[(np.arange(30), np.arange(30, 40))]), "groups is given"),
        (dict(sample_weight=np.ones(39)), "sample_weight"),
        (dict(sample_weight=np.arange(40) < 8), "all training samples of a fold"),
        (dict(offset=np.ones(39)), "offset"),
        (dict(task=np.ones(39)), "task"),
        (dict(task_weight=np.ones(39)), "task_weight"),
        (dict(refit="no"), "refit is 'no'"),
        (dict(n_threads=0), "n_threads"),
        (dict(n_threads=True), "n_threads"),
        (dict(n_jobs=1.5), "n_jobs"),
        (dict(l1_ratios=["a"]), "l1_ratios"),
        (dict(score="misclassified"), "misclassified"),
        (dict(n_jobs=0), "n_jobs"),
        (dict(l1_ratios=[1.5]), "l1_ratios"),
        (dict(l1_ratios=[]), "l1_ratios"),
        (dict(penalty="trace", l1_ratios=[0.5]), "l1_ratio"),
        (dict(cv=1), "folds"),
        (dict(n_alphas=0), "n_alphas"),
    ],
)
def test_bad_settings_are_refused_by_name(settings, word):
    X, Y = regression()
    with pytest.raises((ValueError, TypeError), match=word):
        fastmtl.cross_validate(X, Y, **settings)
