"""Cross-validation beyond one table of numbers: losses, gaps, weights by task, own designs, labels of tasks."""

from __future__ import annotations

import numpy as np
import pytest
from engine_cases import regression

import fastmtl
from fastmtl.losses import Huber, Logistic, Multinomial, Poisson
from fastmtl.model_selection import folds

TOL = 1e-9


def labels_of(Y):
    return (np.median(Y, axis=0) < Y).astype(float)


def counts_of(Y):
    return np.round(np.exp(Y / np.abs(Y).max()))


@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        (Logistic(), labels_of),
        (Huber(0.5), lambda Y: Y),
        (Poisson(), counts_of),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_scores_are_deviances_of_fits_on_the_training_rows(loss, targets):
    X, Y = regression(n=40, p=8, t=2)
    Y = targets(Y)
    pairs = folds.k_fold(40, 3, shuffle=True)
    cv = fastmtl.cross_validate(X, Y, loss=loss, n_alphas=3, cv=pairs, tol=TOL)
    for k, (train, test) in enumerate(pairs):
        for a, alpha in enumerate(cv.alphas[0]):
            fit = fastmtl.fit(X[train], Y[train], loss=loss, alpha=alpha, tol=TOL)
            expected = 2 * loss.value(Y[test], fit.decision_function(X[test])).mean(axis=0)
            np.testing.assert_allclose(cv.scores[0, a, k], expected, rtol=1e-3)


def test_gaps_neither_train_nor_test():
    X, Y = regression(n=40, p=10, t=3)
    Y = np.where(np.random.default_rng(0).random(Y.shape) < 0.3, np.nan, Y)
    pairs = folds.k_fold(40, 4)
    cv = fastmtl.cross_validate(X, Y, n_alphas=4, cv=pairs, tol=TOL)
    for k, (train, test) in enumerate(pairs):
        fit = fastmtl.fit(X[train], Y[train], alpha=cv.alphas[0, -1], tol=TOL)
        expected = np.nanmean((Y[test] - fit.predict(X[test])) ** 2, axis=0)
        np.testing.assert_allclose(cv.scores[0, -1, k], expected, rtol=1e-3)
    assert cv.best is not None and (cv.best.n_observed == (~np.isnan(Y)).sum(axis=0)).all()


def test_a_task_without_test_entries_counts_nothing():
    X, Y = regression(n=30, p=6, t=2)
    Y[:10, 1] = np.nan
    cv = fastmtl.cross_validate(X, Y, n_alphas=3, cv=3)
    assert np.isnan(cv.scores[0, :, 0, 1]).all() and np.isfinite(cv.scores[0, :, 1:]).all()
    np.testing.assert_array_equal(cv.fold_scores[0, :, 0], cv.scores[0, :, 0, 0])


def test_entry_folds_train_on_what_they_do_not_test():
    X, Y = regression(n=30, p=6, t=3)
    pairs = folds.per_task(Y, 3)
    cv = fastmtl.cross_validate(X, Y, n_alphas=3, cv=pairs, tol=TOL)
    train, test = pairs[1]
    fit = fastmtl.fit(X, np.where(train, Y, np.nan), alpha=cv.alphas[0, -1], tol=TOL)
    wrong = np.where(test, (Y - fit.predict(X)) ** 2, np.nan)
    np.testing.assert_allclose(cv.scores[0, -1, 1], np.nanmean(wrong, axis=0), rtol=1e-3)
    np.testing.assert_array_equal(cv.n_test, [part.sum() for _, part in pairs])


def test_weights_by_task_weigh_training_and_test():
    X, Y = regression(n=30, p=6, t=2)
    weight = np.random.default_rng(2).integers(0, 3, Y.shape).astype(float)
    pairs = folds.k_fold(30, 3)
    cv = fastmtl.cross_validate(X, Y, n_alphas=3, cv=pairs, sample_weight=weight, tol=TOL)
    for k, (train, test) in enumerate(pairs):
        fit = fastmtl.fit(X[train], Y[train], alpha=cv.alphas[0, -1], sample_weight=weight[train], tol=TOL)
        squares = (Y[test] - fit.predict(X[test])) ** 2
        expected = (weight[test] * squares).sum(axis=0) / weight[test].sum(axis=0)
        np.testing.assert_allclose(cv.scores[0, -1, k], expected, rtol=1e-3)


def own_designs(seed=0):
    rng = np.random.default_rng(seed)
    W = np.zeros((8, 3))
    W[:3] = rng.standard_normal((3, 3))
    X = [rng.standard_normal((n, 8)) for n in (20, 25, 31)]
    return X, [x @ w + 0.3 * rng.standard_normal(len(x)) for x, w in zip(X, W.T, strict=True)]


def test_own_designs_are_divided_task_by_task():
    X, Y = own_designs()
    cv = fastmtl.cross_validate(X, Y, n_alphas=4, cv=3, tol=TOL)
    for k, (train, test) in enumerate(folds.k_fold([20, 25, 31], 3)):
        fit = fastmtl.fit(
            [x[i] for x, i in zip(X, train, strict=True)],
            [y[i] for y, i in zip(Y, train, strict=True)],
            alpha=cv.alphas[0, -1],
            tol=TOL,
        )
        shown = fit.predict([x[i] for x, i in zip(X, test, strict=True)])
        expected = [((y[i] - z) ** 2).mean() for y, i, z in zip(Y, test, shown, strict=True)]
        np.testing.assert_allclose(cv.scores[0, -1, k], expected, rtol=1e-3)


def test_labels_of_tasks_are_own_designs_in_one_table():
    X, Y = own_designs()
    order = np.random.default_rng(1).permutation(76)
    label = np.repeat(["a", "b", "c"], [20, 25, 31])
    together = dict(X=np.concatenate(X)[order], Y=np.concatenate(Y)[order], task=label[order])
    pairs = folds.grouped(order % 9, 3)  # divides the table as the lists are divided below
    by_list = folds.grouped([np.arange(20) % 9, np.arange(20, 45) % 9, np.arange(45, 76) % 9], 3)
    cv = fastmtl.cross_validate(**together, n_alphas=4, cv=pairs, tol=TOL)
    lists = fastmtl.cross_validate(X, Y, n_alphas=4, cv=by_list, tol=TOL)
    np.testing.assert_allclose(cv.scores, lists.scores, rtol=1e-3)
    assert [one.name for one in cv.best.tasks] == ["a", "b", "c"]
    assert fastmtl.cross_validate(**together, n_alphas=2, cv=3).n_test.sum() == 76


def test_every_task_is_judged_by_its_own_loss():
    X, Y = regression(n=60, p=8, t=3)
    classes = np.digitize(Y[:, 2], np.quantile(Y[:, 2], [0.3, 0.6]))
    targets = [Y[:, 0], (Y[:, 1] > 0).astype(float), classes]
    losses = ["squared", "logistic", "multinomial"]
    pairs = folds.stratified(classes, 3)
    cv = fastmtl.cross_validate(X, targets, loss=losses, n_alphas=3, eps=0.1, cv=pairs, tol=TOL)
    assert cv.scores.shape == (1, 3, 3, 3)
    train, test = pairs[0]
    fit = fastmtl.fit(X[train], [y[train] for y in targets], loss=losses, alpha=cv.alphas[0, -1], tol=TOL)
    Z = fit.decision_function(X[test])
    expected = [
        ((targets[0][test] - Z[:, 0]) ** 2).mean(),
        2 * Logistic().value(targets[1][test], Z[:, 1]).mean(),
        2 * Multinomial().value(np.eye(3)[classes[test]], Z[:, 2:]).mean(),
    ]
    np.testing.assert_allclose(cv.scores[0, -1, 0], expected, rtol=1e-3)


def test_classes_absent_from_a_fold_are_still_classes():
    X, Y = regression(n=30, p=6, t=1)
    labels = np.digitize(Y[:, 0], [np.median(Y)])
    labels[:3] = 2  # only the first test part has this class
    cv = fastmtl.cross_validate(
        X, labels, loss="multinomial", n_alphas=3, eps=0.1, cv=5, score="misclassified"
    )
    assert cv.scores.shape == (1, 3, 5, 1)
    assert ((cv.scores >= 0) & (cv.scores <= 1)).all()


def test_offsets_of_other_losses_are_part_of_the_prediction():
    X, Y = regression(n=40, p=6, t=2)
    counts, exposure = counts_of(Y), np.random.default_rng(4).uniform(-1, 1, Y.shape)
    pairs = folds.k_fold(40, 4)
    cv = fastmtl.cross_validate(X, counts, loss="poisson", offset=exposure, n_alphas=3, cv=pairs, tol=TOL)
    train, test = pairs[2]
    fit = fastmtl.fit(
        X[train], counts[train], loss="poisson", offset=exposure[train], alpha=cv.alphas[0, -1], tol=TOL
    )
    shown = fit.decision_function(X[test]) + exposure[test]
    expected = 2 * Poisson().value(counts[test], shown).mean(axis=0)
    np.testing.assert_allclose(cv.scores[0, -1, 2], expected, rtol=1e-3)


def test_splitters_divide_the_rows_of_a_table_with_labels_of_tasks():
    model_selection = pytest.importorskip("sklearn.model_selection", reason="a splitter of scikit-learn")
    X, Y = own_designs()
    X, Y, label = np.concatenate(X), np.concatenate(Y), np.repeat([3, 1, 2], [20, 25, 31])
    groups = np.arange(76) // 4
    cv = fastmtl.cross_validate(X, Y, task=label, cv=model_selection.GroupKFold(3), groups=groups, n_alphas=3)
    assert cv.scores.shape == (1, 3, 3, 3) and cv.n_test.sum() == 76
    assert list(cv.best.task_columns) == ["1", "2", "3"]


def test_splitters_divide_each_of_several_designs():
    """A splitter is asked once a task, with the groups of that task."""
    model_selection = pytest.importorskip("sklearn.model_selection", reason="a splitter of scikit-learn")
    X, Y = own_designs()
    groups = [np.arange(len(y)) // 4 for y in Y]
    for splitter, own in ((model_selection.KFold(3), None), (model_selection.GroupKFold(3), groups)):
        cv = fastmtl.cross_validate(X, Y, cv=splitter, groups=own, n_alphas=3, tol=TOL)
        parts = [list(splitter.split(x, y, g)) for x, y, g in zip(X, Y, own or [None] * 3, strict=True)]
        pairs = [([p[0] for p in fold], [p[1] for p in fold]) for fold in zip(*parts, strict=True)]
        np.testing.assert_array_equal(
            cv.scores, fastmtl.cross_validate(X, Y, cv=pairs, n_alphas=3, tol=TOL).scores
        )
    with pytest.raises(ValueError, match="2 and 2 tasks"):
        fastmtl.cross_validate(X, Y, cv=[(pairs[0][0][:2], pairs[0][1][:2])], n_alphas=3)


@pytest.mark.parametrize("loss", ["logistic", "multinomial"])
def test_misclassified_is_one_less_accuracy(loss):
    X, Y = regression(n=40, p=5, t=1)
    labels = np.digitize(Y[:, 0], [0.0] if loss == "logistic" else [-0.5, 0.5])
    cv = fastmtl.cross_validate(X, labels, loss=loss, score="misclassified", n_alphas=3, cv=4)
    for k, (train, test) in enumerate(folds.k_fold(40, 4)):
        fit = fastmtl.fit(X[train], labels[train], loss=loss, alpha=cv.alphas[0, -1])
        right = fit.score(X[test], labels[test], metric="accuracy")
        assert cv.scores[0, -1, k, 0] == pytest.approx(1.0 - right)


def test_rules_and_texts():
    X, Y = regression(n=30, p=6, t=2)
    cv = fastmtl.cross_validate(X, Y, n_alphas=3)
    assert cv._repr_html_().startswith("<pre>")
    with pytest.raises(ValueError, match="rule is 'best'"):
        cv.index("best")


def test_results_can_be_pickled():
    import pickle

    X, Y = regression(n=30, p=6, t=2)
    cv = fastmtl.cross_validate(X, Y, n_alphas=3)
    again = pickle.loads(pickle.dumps(cv))
    assert again.best_alpha == cv.best_alpha and repr(again) == repr(cv)


def test_task_weights_weigh_the_mean_error():
    X, Y = regression(n=30, p=6, t=2)
    cv = fastmtl.cross_validate(X, Y, n_alphas=3, task_weight=[1.0, 3.0])
    np.testing.assert_allclose(cv.fold_scores, cv.scores @ [0.25, 0.75])


def test_sparse_and_frames():
    sparse = pytest.importorskip("scipy.sparse", reason="sparse X")
    pandas = pytest.importorskip("pandas", reason="frames")
    X, Y = regression(n=30, p=12, t=2)
    X[np.abs(X) < 0.5] = 0.0
    plain = fastmtl.cross_validate(X, Y, n_alphas=4, tol=TOL)
    for kind in (sparse.csc_matrix, sparse.csr_matrix):
        np.testing.assert_allclose(
            fastmtl.cross_validate(kind(X), Y, n_alphas=4, tol=TOL).scores, plain.scores, rtol=1e-4
        )
    frame = pandas.DataFrame(X, columns=[f"gene {j}" for j in range(12)])
    cv = fastmtl.cross_validate(frame, pandas.DataFrame(Y, columns=["a", "b"]), n_alphas=4, tol=TOL)
    np.testing.assert_allclose(cv.scores, plain.scores, rtol=1e-4)
    assert cv.best.feature_names == list(frame.columns) and cv.best.task_names == ["a", "b"]


def test_standardised_fits_predict_in_the_units_of_x():
    X, Y = regression(n=40, p=8, t=2)
    X = X * np.logspace(-2, 2, 8)
    cv = fastmtl.cross_validate(X, Y, n_alphas=3, cv=4, standardize=True, tol=TOL)
    train, test = folds.k_fold(40, 4)[2]
    fit = fastmtl.fit(X[train], Y[train], alpha=cv.alphas[0, -1], standardize=True, tol=TOL)
    expected = ((Y[test] - fit.predict(X[test])) ** 2).mean(axis=0)
    np.testing.assert_allclose(cv.scores[0, -1, 2], expected, rtol=1e-4)
