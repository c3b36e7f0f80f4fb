"""Laws of stability selection: frequencies count halves, bounds are those of the papers, signals are found among noise."""

from __future__ import annotations

import numpy as np
import pytest

import fastmtl
from fastmtl.model_selection import StabilityResult, stability_selection
from fastmtl.model_selection.stability import _entries, _pairs
from fastmtl.penalties import L21


def problem(n=80, p=40, t=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    W = np.zeros((p, t))
    W[:4] = rng.choice([-1.0, 1.0], (4, t))
    return X, X @ W + rng.standard_normal((n, t))


def test_signals_are_selected_and_noise_is_not():
    X, Y = problem()
    result = stability_selection(X, Y, n_features=6, n_pairs=10)
    np.testing.assert_array_equal(result.selected, np.arange(4))
    assert result.frequencies.shape == (len(result.alphas), 40)
    assert (np.diff(result.frequencies, axis=0) >= 0).all() and (result.probability <= 1).all()
    assert result.probability.sum() == pytest.approx(result.mean_size)
    assert "feature 0" in repr(result)


def test_frequencies_count_the_halves_that_choose():
    X, Y = problem(n=41, p=10)
    alphas = fastmtl.fit_path(X, Y, n_alphas=12, eps=0.05).alphas
    result = stability_selection(X, Y, alphas=alphas, n_features=3, n_pairs=3, seed=5)
    counts = np.zeros(10)
    pairs = _pairs(41, 5)
    for _ in range(3):
        for half in next(pairs):
            assert half.train.sum() == 20 and not (half.train & half.test).any()
            path = fastmtl.fit_path(X[half.train], Y[half.train], alphas=alphas)
            counts += _entries(path, np.ones(10, dtype=bool), 3) < 12
    np.testing.assert_allclose(result.probability, counts / 6)
    assert result.mean_size <= 3


def test_result_depends_on_the_seed_and_not_on_jobs():
    X, Y = problem(p=20)
    one, two, other = (
        stability_selection(X, Y, n_pairs=3, n_jobs=jobs, seed=seed)
        for jobs, seed in ((1, 0), (2, 0), (1, 1))
    )
    np.testing.assert_array_equal(one.frequencies, two.frequencies)
    assert (one.frequencies != other.frequencies).any()


def test_bounds_are_those_of_the_papers():
    made = StabilityResult(np.ones(1), np.ones((1, 1000)), 0.9, 100, 25.0, 1000)
    assert made.error_bound == pytest.approx(25**2 / (0.8 * 1000))
    assert made.unimodal_bound == pytest.approx(4 * (0.1 + 0.01) / 1.02 * 25**2 / 1000)
    low = StabilityResult(np.ones(1), np.ones((1, 1000)), 0.6, 100, 25.0, 1000)
    assert low.unimodal_bound == pytest.approx(0.5 / (0.2 - 0.01) * 25**2 / 1000)
    for tau in (0.6, 0.75, 0.76, 0.9, 1.0):  # sharper, as the theorem promises
        one = StabilityResult(np.ones(1), np.ones((1, 1000)), tau, 100, 25.0, 1000)
        assert one.unimodal_bound < one.error_bound
    assert np.isnan(StabilityResult(np.ones(1), np.ones((1, 10)), 0.6, 100, 9.0, 10).unimodal_bound)


@pytest.mark.slow
def test_wrong_selections_stay_below_their_bound():
    wrong, bounds = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        X, Y = (
            rng.standard_normal((60, 50)),
            rng.standard_normal((60, 2)),
        )  # exchangeable noise and nothing else
        result = stability_selection(X, Y, n_features=10, threshold=0.6, n_pairs=20, seed=seed, tol=1e-4)
        wrong.append(len(result.selected))
        bounds.append(result.unimodal_bound)
    assert np.mean(wrong) <= np.mean(bounds) + 3 * np.std(wrong) / np.sqrt(40)


def test_free_and_excluded_features_are_no_candidates():
    X, Y = problem(p=12)
    penalty = L21(feature_weights=[0.0, np.inf] + [1.0] * 10)
    result = stability_selection(X, Y, penalty, n_pairs=2)
    assert result.n_candidates == 10 and not result.probability[:2].any()


def test_own_designs_gaps_and_other_losses():
    X, Y = problem(p=15)
    lists = [X[:50], X[20:], X], [Y[:50, 0], Y[20:, 1], Y[:, 2]]
    gaps = np.where(np.random.default_rng(0).random(Y.shape) < 0.2, np.nan, Y)
    labels = (Y > 0).astype(float)
    for data, loss in ((lists, "squared"), ((X, gaps), "squared"), ((X, labels), "logistic")):
        result = stability_selection(*data, loss=loss, n_pairs=3, n_features=5, n_alphas=10, eps=0.1)
        assert set(result.selected) <= set(range(4)) and len(result.selected) >= 3


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        (dict(threshold=0.5), "threshold"),
        (dict(n_pairs=0), "n_pairs"),
        (dict(n_features=0), "n_features"),
        (dict(n_jobs=0), "n_jobs"),
        (dict(threshold="a"), "threshold is 'a'"),
        (dict(seed="a"), "seed is 'a'"),
        (dict(n_threads=0), "n_threads"),
        (dict(sample_weight=np.ones(9)), "sample_weight"),
        (dict(sample_weight=np.arange(10) < 1), "all training samples of a fold"),
        (dict(task=np.ones(9)), "task"),
    ],
)
def test_bad_settings_are_refused_by_name(settings, word):
    X, Y = problem(n=10, p=5)
    with pytest.raises((ValueError, TypeError), match=word):
        stability_selection(X, Y, **settings)


def test_nothing_to_choose_is_nothing_wrong():
    X, Y = problem(n=10, p=5)
    result = stability_selection(X, Y, L21(feature_weights=[0.0, np.inf] * 2 + [0.0]), n_pairs=2)
    assert result.error_bound == result.unimodal_bound == 0.0 and not len(result.selected)
    assert "selected        none" in repr(result)
