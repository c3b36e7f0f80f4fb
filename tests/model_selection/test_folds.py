"""Laws of folds: the parts never meet, test parts cover what they promise, groups and time are respected."""

from __future__ import annotations

import numpy as np
import pytest

from fastmtl.model_selection import folds


def masks(pairs, n):
    return [tuple(np.isin(np.arange(n), part) for part in pair) for pair in pairs]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(("n", "k"), [(10, 5), (11, 3), (4, 4)])
def test_k_folds_partition_the_samples(n, k, shuffle):
    parts = masks(folds.k_fold(n, k, shuffle=shuffle), n)
    assert len(parts) == k
    assert (sum(test.astype(int) for _, test in parts) == 1).all()
    for train, test in parts:
        assert (train ^ test).all()
        assert abs(test.sum() - n / k) < 1


def test_contiguous_k_folds_are_those_of_scikit_learn():
    model_selection = pytest.importorskip("sklearn.model_selection", reason="compares with scikit-learn")
    theirs = list(model_selection.KFold(4).split(np.zeros((13, 1))))
    for (train, test), (their_train, their_test) in zip(folds.k_fold(13, 4), theirs, strict=True):
        np.testing.assert_array_equal(train, their_train)
        np.testing.assert_array_equal(test, their_test)


def test_repeats_differ_and_each_is_a_partition():
    parts = masks(folds.repeated(12, 3, 4), 12)
    assert len(parts) == 12
    for repeat in range(4):
        assert (sum(test.astype(int) for _, test in parts[3 * repeat : 3 * repeat + 3]) == 1).all()
    assert any((parts[0][1] != parts[3 * r][1]).any() for r in range(1, 4))


def test_groups_stay_together_and_folds_are_even():
    groups = np.repeat(np.arange(9), [5, 5, 5, 4, 4, 4, 3, 3, 3])
    sizes = []
    for train, test in folds.grouped(groups, 3):
        assert not set(groups[train]) & set(groups[test])
        assert len(train) + len(test) == len(groups)
        sizes.append(len(test))
    assert sizes == [12, 12, 12]


def test_groups_span_tasks_with_own_designs():
    groups = [np.array([0, 0, 1, 2]), np.array([1, 2, 2])]
    for train, test in folds.grouped(groups, 3):
        seen, held = (
            {*np.concatenate([g[i] for g, i in zip(groups, side, strict=True)])} for side in (train, test)
        )
        assert not seen & held and seen | held == {0, 1, 2}


def test_stratified_folds_share_every_label():
    labels = np.repeat([0, 1, 2], [50, 20, 10])
    for _, test in folds.stratified(labels, 5):
        np.testing.assert_array_equal(np.bincount(labels[test]), [10, 4, 2])


def test_per_task_folds_partition_the_observed_entries():
    rng = np.random.default_rng(0)
    Y = np.where(rng.random((20, 3)) < 0.3, np.nan, 1.0)
    parts = folds.per_task(Y, 4)
    np.testing.assert_array_equal(sum(test.astype(int) for _, test in parts), ~np.isnan(Y))
    assert all(not (train & test).any() for train, test in parts)


def test_time_never_runs_backwards():
    for train, test in folds.time_ordered(50, 4, gap=2, window=15):
        assert train.max() + 2 < test.min()
        assert len(train) <= 15
    tests = np.concatenate([test for _, test in folds.time_ordered(50, 4)])
    np.testing.assert_array_equal(tests, np.arange(10, 50))


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: folds.k_fold(3, 4), "samples"),
        (lambda: folds.k_fold(3, 1), "whole number"),
        (lambda: folds.grouped([0, 0, 1], 3), "groups"),
        (lambda: folds.time_ordered(10, 4, gap=5), "gap"),
        (lambda: folds.time_ordered(10, 4, gap=-1), "gap"),
        (lambda: folds.time_ordered(10, 4, window=0), "window"),
        (lambda: folds.time_ordered("ten"), "n is 'ten'"),
        (lambda: folds.stratified(np.zeros((10, 2)), 2), "labels has shape"),
        (lambda: folds.stratified(["a", None] * 5, 2), "labels holds None"),
        (lambda: folds.grouped(np.zeros((10, 2)), 2), "groups has shape"),
        (lambda: folds.k_fold(10, 2, shuffle="no"), "shuffle"),
        (lambda: folds.k_fold(10, 2, seed="a"), "seed"),
        (lambda: folds.repeated(10, 2, seed=-1), "seed"),
        (lambda: folds.per_task(np.ones((9, 2)), 2, seed=None), "seed"),
        (lambda: folds.per_task(np.ma.ones((9, 2)), 2), "masked"),
        (lambda: folds.as_folds(2, [4, 4], 2, None, None, [0, 1] * 4), "groups has 8 entries"),
        (lambda: folds.as_folds(2, [4, 4], 2, None, None, [[0, 1] * 2, [0, 1]]), r"groups\[1\] has shape"),
        (lambda: folds.repeated(10, 2, 0), "repeats"),
        (lambda: folds.per_task(np.ones(3), 2), "tasks"),
    ],
)
def test_impossible_divisions_are_refused(make, word):
    with pytest.raises((ValueError, TypeError), match=word):
        make()


@pytest.mark.parametrize(
    ("cv", "word"),
    [
        ([], "no pair"),
        ("five", "cv is 'five'"),
        (2.5, "cv is 2.5"),
        ([3], r"cv\[0\]"),
        ([([0, 1], [1, 2])], "both parts"),
        ([([0, 1], [])], "test"),
        ([([], [0])], "training"),
        ([([0, 9], [1])], "4 samples"),
        ([([0.5], [1])], "indices"),
        ([(np.zeros((4, 7), bool), [1])], "mask"),
    ],
)
def test_bad_cv_is_refused(cv, word):
    with pytest.raises((ValueError, TypeError), match=word):
        folds.as_folds(cv, 4, 2, None, None)


def test_row_and_entry_masks_may_be_mixed():
    test = np.zeros((4, 2), dtype=bool)
    test[3, 1] = True
    fold = folds.as_folds([([0, 1, 2], test)], 4, 2, None, None)[0]
    np.testing.assert_array_equal(fold.train, [[True, True]] * 3 + [[False, False]])
    np.testing.assert_array_equal(fold.test, test)
