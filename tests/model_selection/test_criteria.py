"""Laws of information criteria: degrees of freedom are the divergence of the fit, likelihoods are what they say."""

from __future__ import annotations

import numpy as np
import pytest

import fastmtl
from fastmtl.losses import Logistic, Poisson
from fastmtl.model_selection import path_criteria
from fastmtl.penalties import L1, L21, Group, SparseGroup

STEP = 1e-4
"""Of the differences below: an optimum to 1e-13 of P(0) is good to about 3e-7 in W, and so to 3e-3 in a difference at worst."""
TIGHT = 1e-14


def problem(n=40, p=9, t=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    W = np.zeros((p, t))
    W[:4] = rng.standard_normal((4, t))
    return X, X @ W + rng.standard_normal((n, t))


def divergence(fitted, Y, weight):
    """`sum_i d fitted_i / d y_i` over the observed entries, by central differences."""
    total = 0.0
    for place in zip(*np.nonzero(weight), strict=True):
        moved = []
        for sign in (1, -1):
            other = Y.copy()
            other[place] += sign * STEP
            moved.append(fitted(other)[place])
        total += (moved[0] - moved[1]) / (2 * STEP)
    return total


SETTINGS = {
    "plain": {},
    "weights": dict(sample_weight=np.random.default_rng(1).uniform(0.5, 2.0, 14)),
    "no intercept": dict(fit_intercept=False),
    "standardize": dict(standardize=True),
}
PENALTIES = [
    L21(),
    L21(l1_ratio=0.6),
    L21(feature_weights=[0.0, 2.0] + [1.0] * 7),
    L1(),
    L1(l1_ratio=0.5),
    L1(positive=True),
    Group(groups=[2, 3, 4], group_weights="sqrt"),
    SparseGroup(groups=[3, 3, 3]),
    SparseGroup(),
]


@pytest.mark.parametrize(
    ("penalty", "setting"),
    [(penalty, "plain") for penalty in PENALTIES]
    + [(penalty, setting) for penalty in (PENALTIES[0], PENALTIES[-1]) for setting in list(SETTINGS)[1:]],
    ids=str,
)
def test_degrees_of_freedom_are_the_divergence(penalty, setting):
    X, Y = problem(n=14)
    settings = SETTINGS[setting]
    alpha = 0.25 * fastmtl.alpha_max(X, Y, penalty, **settings)
    path = fastmtl.fit_path(X, Y, penalty, alphas=[alpha], tol=TIGHT, **settings)
    made = path_criteria(path, X, Y, penalty, **settings)

    def fitted(other):
        return fastmtl.fit(X, other, penalty.with_alpha(alpha), tol=TIGHT, **settings).predict(X)

    assert made.df[0] == pytest.approx(divergence(fitted, Y, np.ones_like(Y)), abs=0.02)


def test_degrees_of_freedom_with_gaps_and_own_designs():
    X, Y = problem(n=16, p=6)
    seen = np.random.default_rng(3).random(Y.shape) > 0.25
    gaps = np.where(seen, Y, np.nan)
    path = fastmtl.fit_path(X, gaps, alphas=[0.1], tol=TIGHT)
    expected = divergence(lambda y: fastmtl.fit(X, y, alpha=0.1, tol=TIGHT).predict(X), gaps, seen)
    made = path_criteria(path, X, gaps)
    assert made.df[0] == pytest.approx(expected, abs=0.02)
    assert made.n == seen.sum()
    own = [X[rows] for rows in seen.T], [y[rows] for y, rows in zip(Y.T, seen.T, strict=True)]
    lists = path_criteria(fastmtl.fit_path(*own, alphas=[0.1], tol=TIGHT), *own)
    assert lists.df[0] == pytest.approx(made.df[0], abs=1e-4) and lists.n == made.n
    assert lists.bic[0] == pytest.approx(made.bic[0])


def test_orthonormal_designs_have_the_formula_of_yuan_and_lin():
    X, Y = problem()
    X = np.linalg.qr(X - X.mean(axis=0))[0]
    alpha = 0.4 * fastmtl.alpha_max(X, Y)
    fit = fastmtl.fit(X, Y, alpha=alpha, tol=TIGHT)
    norms, least_squares = np.linalg.norm(fit.coef, axis=1), np.linalg.norm(X.T @ Y, axis=1)
    expected = (norms > 0).sum() + (norms / least_squares * (Y.shape[1] - 1)).sum() + Y.shape[1]
    path = fastmtl.fit_path(X, Y, alphas=[alpha], tol=TIGHT)
    assert path_criteria(path, X, Y).df[0] == pytest.approx(expected, rel=1e-5)


def test_lasso_has_as_many_as_non_zero_coefficients():
    X, Y = problem()
    path = fastmtl.fit_path(X, Y, "l1", n_alphas=5)
    made = path_criteria(path, X, Y, "l1")
    np.testing.assert_allclose(made.df, 3 + (path.coefs != 0).sum(axis=(1, 2)))


def test_repeated_features_count_once():
    X, Y = problem()
    twice = np.hstack([X, X])
    W = fastmtl.fit(X, Y, "l1", alpha=0.05).coef
    start = fastmtl.fit_path(twice, Y, "l1", alphas=[0.05], warm_start=np.vstack([W, W]) / 2)
    assert (start.coefs != 0).sum() > (W != 0).sum()  # both copies are in use
    made = path_criteria(start, twice, Y, "l1")
    assert made.df[0] == pytest.approx(3 + (W != 0).sum())


def test_more_active_rows_than_samples():
    X, Y = problem(n=10, p=30)
    path = fastmtl.fit_path(X, Y, n_alphas=20, eps=1e-3)
    made = path_criteria(path, X, Y)
    assert (made.df <= Y.size + 1e-6).all() and np.isfinite(made.df).all()
    assert made.df[0] == pytest.approx(3.0)


def test_criteria_are_their_definitions():
    X, Y = problem()
    path = fastmtl.fit_path(X, Y, n_alphas=6)
    made = path_criteria(path, X, Y, gamma=0.5)
    rss = np.array([((Y - fit.predict(X)) ** 2).sum() for fit in path])
    np.testing.assert_allclose(made.deviance, 120 * np.log(rss / 120))
    np.testing.assert_allclose(made.aic, made.deviance + 2 * made.df)
    np.testing.assert_allclose(made.bic, made.deviance + np.log(120) * made.df)
    from scipy.special import comb

    np.testing.assert_allclose(made.ebic, made.bic + np.log(comb(9, path.n_active)), rtol=1e-12)
    assert made.best("bic") == np.argmin(made.bic)
    known = path_criteria(path, X, Y, noise_variance=[1.0, 2.0, 4.0])
    squares = np.array([((Y - fit.predict(X)) ** 2).sum(axis=0) for fit in path])
    np.testing.assert_allclose(known.deviance, squares @ [1.0, 0.5, 0.25])


def test_texts_name_the_best_of_each():
    X, Y = problem()
    path = fastmtl.fit_path(X, Y, n_alphas=6)
    made = path_criteria(path, X, Y)
    text = repr(made)
    for name in ("aic", "bic", "ebic"):
        assert f"at alpha {path.alphas[made.best(name)]:.4g}" in text
    assert text in made._repr_html_()


def test_a_path_without_degrees_to_spare_has_no_best():
    X, Y = problem(n=4, p=9)
    made = path_criteria(fastmtl.fit_path(X, Y, penalty=L1(), alphas=[1e-9], fit_intercept=False), X, Y)
    with pytest.raises(ValueError, match="larger alphas"):
        made.best()


def test_integer_weights_are_repeated_rows():
    X, Y = problem()
    weight = np.random.default_rng(0).integers(1, 4, len(X))
    rows = np.repeat(np.arange(len(X)), weight)
    path = fastmtl.fit_path(X, Y, n_alphas=4, sample_weight=weight, tol=1e-11)
    again = fastmtl.fit_path(X[rows], Y[rows], alphas=path.alphas, tol=1e-11)
    one = path_criteria(path, X, Y, sample_weight=weight)
    other = path_criteria(again, X[rows], Y[rows])
    np.testing.assert_allclose(one.bic, other.bic, rtol=1e-5)
    np.testing.assert_allclose(one.df, other.df, rtol=1e-4)


@pytest.mark.parametrize("loss", [Logistic(), Poisson()])
def test_other_losses_have_their_deviance(loss):
    X, Y = problem(n=60)
    targets = (Y > 0).astype(float) if loss.name == "logistic" else np.round(np.exp(Y / 4))
    path = fastmtl.fit_path(X, targets, loss=loss, n_alphas=3, eps=0.1, tol=1e-10)
    made = path_criteria(path, X, targets, loss=loss)
    Z = path[2].decision_function(X)
    assert made.deviance[2] == pytest.approx(2 * loss.value(targets, Z).sum(), rel=1e-9)
    alpha = float(path.alphas[2])
    shifted = []
    for sign in (1, -1):  # of one entry of the counts, which need not be whole numbers
        other = targets.copy()
        other[5, 1] += sign * 1e-3
        if loss.name == "poisson":
            shifted.append(fastmtl.fit(X, other, loss=loss, alpha=alpha, tol=1e-13).predict(X)[5, 1])
    assert made.df[2] > 3
    if shifted:  # the smoother's diagonal is between 0 and 1 in the scale of the response
        assert 0 < (shifted[0] - shifted[1]) / 2e-3 < 1


def test_trace_norm_counts_the_parameters_of_its_rank():
    X, Y = problem()
    path = fastmtl.fit_path(X, Y, "trace", n_alphas=4)
    rank = np.array([fit.rank for fit in path])
    np.testing.assert_allclose(path_criteria(path, X, Y, "trace").df, rank * (9 + 3 - rank) + 3)


def test_what_has_no_answer_is_refused():
    X, Y = problem()
    path = fastmtl.fit_path(X, Y, n_alphas=3)
    with pytest.raises(ValueError, match="gamma"):
        path_criteria(path, X, Y, gamma=2)
    with pytest.raises(ValueError, match="path has fits"):
        path_criteria(path, X[:, :5], Y)
    with pytest.raises(ValueError, match="criterion"):
        path_criteria(path, X, Y).best("cp")
    with pytest.raises(ValueError, match="noise_variance"):
        path_criteria(path, X, Y, noise_variance=0.0)
    with pytest.raises(ValueError, match=r"noise_variance has shape \(2,\)"):
        path_criteria(path, X, Y, noise_variance=[1.0, 2.0])
    with pytest.raises(TypeError, match="path is of type FitResult; a PathResult was expected"):
        path_criteria(path[0], X, Y)
    with pytest.raises(TypeError, match="gamma is 'a'"):
        path_criteria(path, X, Y, gamma="a")
    labels = np.digitize(Y[:, 0], [-0.5, 0.5])
    many = fastmtl.fit_path(X, labels, loss="multinomial", n_alphas=2)
    with pytest.raises(ValueError, match="multinomial"):
        path_criteria(many, X, labels, loss="multinomial")
