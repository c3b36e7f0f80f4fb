"""Training moments are the total's less the test part's, and paths on their root are paths on the samples."""

from __future__ import annotations

import numpy as np
import pytest

import fastmtl
from fastmtl.designs import DenseDesign
from fastmtl.model_selection import _training, folds
from fastmtl.model_selection._moments import Moments
from fastmtl.penalties import L1, L21, SparseGroup


def problem(n=90, p=6, t=3, shift=5.0, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + shift
    Y = X[:, :2] @ rng.standard_normal((2, t)) + rng.standard_normal((n, t)) - shift
    return X, Y


def moments(X, Y, weight, centred=True):
    return Moments.of(DenseDesign(X), Y, weight, centred=centred)


@pytest.mark.parametrize("centred", [True, False])
def test_what_is_left_is_what_the_other_samples_have(centred):
    X, Y = problem()
    weight = np.random.default_rng(1).uniform(0, 2, len(X))
    left = moments(X, Y, weight, centred).without(moments(X[:30], Y[:30], weight[:30], centred))
    direct = moments(X[30:], Y[30:], weight[30:], centred)
    for one, other in zip(vars(left).values(), vars(direct).values(), strict=True):
        one, other = (np.tril(a) if np.ndim(a) == 2 and len(a) == a.shape[1] else a for a in (one, other))
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12 * np.abs(weight @ X**2).max())


def test_root_has_the_squares_of_the_centred_samples():
    X, Y = problem()
    weight = np.random.default_rng(1).uniform(0, 2, len(X))
    R, Q = moments(X, Y, weight).root()
    assert R.shape == (7, 6) and Q.shape == (7, 3)
    W = np.random.default_rng(2).standard_normal((6, 3))
    residual = Y - X @ W
    residual -= weight @ residual / weight.sum()
    np.testing.assert_allclose(((Q - R @ W) ** 2).sum(axis=0), weight @ residual**2, rtol=1e-12)


def test_dependent_columns_and_constant_ones_have_no_root_but_zero_ones_do():
    X, Y = problem()
    weight = np.ones(len(X))
    assert moments(X[:, [0, 1, 2, 0]], Y, weight).root() is None
    X[:, 2] = 7.1
    assert moments(X, Y, weight).root() is None
    X[:, 2] = 0.0
    assert not moments(X, Y, weight).root()[0][:, 2].any()


@pytest.mark.parametrize(
    ("penalty", "settings"),
    [
        ("l21", {}),
        ("l21", dict(fit_intercept=False)),
        ("l21", dict(standardize=True)),
        ("l21", dict(standardize=True, fit_intercept=False)),
        ("l21", dict(scale="sum")),
        ("trace", {}),
        (L21(l1_ratio=0.5, feature_weights=[0, 1, 2, 1, 1, np.inf]), {}),
        (L1(positive=True), {}),
        (SparseGroup(), {}),
    ],
    ids=str,
)
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_are_those_of_paths_on_the_samples(penalty, settings, weighted, monkeypatch):
    X, Y = problem()
    weight = np.random.default_rng(3).integers(0, 3, len(X)).astype(float) if weighted else None
    run = dict(n_alphas=5, cv=5, sample_weight=weight, tol=1e-9, refit=False, **settings)
    fast = fastmtl.cross_validate(X, Y, penalty, **run)
    monkeypatch.setattr(_training, "LEAST_RATIO", np.inf)
    plain = fastmtl.cross_validate(X, Y, penalty, **run)
    np.testing.assert_allclose(fast.scores, plain.scores, rtol=1e-4)
    assert (fast.relative_gaps <= 1e-9).all()
    monkeypatch.setattr(_training, "MOST_BYTES", 0)
    in_place = fastmtl.cross_validate(X, Y, penalty, **run)
    np.testing.assert_allclose(in_place.scores, plain.scores, rtol=1e-4)


def test_offsets_enter_the_moments():
    X, Y = problem()
    shift = np.random.default_rng(1).standard_normal(Y.shape)
    plain = fastmtl.cross_validate(X, Y, n_alphas=4, tol=1e-9)
    moved = fastmtl.cross_validate(X, Y + shift, offset=shift, n_alphas=4, tol=1e-9)
    np.testing.assert_allclose(moved.scores, plain.scores, rtol=1e-4)


@pytest.mark.parametrize("trouble", ["dependent", "outlier", "far"])
def test_samples_that_moments_cannot_tell_apart_are_fitted_as_they_are(trouble):
    X, Y = problem()
    if trouble == "dependent":
        X[:, 3] = X[:, 0]
    if trouble == "outlier":
        X[0, 0] = 1e9
    if trouble == "far":
        X += 1e5
    pairs = folds.k_fold(len(X), 5)
    cv = fastmtl.cross_validate(X, Y, alphas=[0.5, 0.1], cv=pairs, tol=1e-9, refit=False)
    for k, (train, test) in enumerate(pairs):
        fit = fastmtl.fit(X[train], Y[train], alpha=0.1, tol=1e-9)
        np.testing.assert_allclose(
            cv.scores[0, 1, k], ((Y[test] - fit.predict(X[test])) ** 2).mean(axis=0), rtol=1e-4
        )


def test_a_bad_entry_is_named():
    X, Y = problem()
    X[17, 2] = np.nan
    with pytest.raises(ValueError, match="X holds nan"):
        fastmtl.cross_validate(X, Y, alphas=[0.1])
