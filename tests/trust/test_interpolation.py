"""Data that unpenalised features fit exactly: what is left is rounding, and proves nothing but that zero is a lower bound."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.optimize import nnls

import fastmtl
from fastmtl.penalties import L1, L21, Trace

EPS = float(np.finfo(np.float64).eps)
SEEDS = range(8)
FREE = L21(0.1, feature_weights=[0.0] * 8 + [1.0])
PENALTIES = {"l21": L21(0.0), "l1": L1(0.0), "trace": Trace(0.0), "free": FREE}


def honest(result) -> None:
    """The optimum is zero: the dual is not above it, and the fit knows that it is there."""
    assert result.status == "optimal"
    assert result.certificate.dual <= 64 * EPS * result.certificate.scale


def draw(seed: int, n: int = 6, p: int = 9, t: int = 3):
    rng = np.random.default_rng(seed)
    return rng, rng.standard_normal((n, p)), rng.standard_normal((n, t))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize(
    "keywords",
    [{}, {"standardize": True}, {"fit_intercept": False}, {"sample_weight": [2.0, 0.0, 0.3, 1.0, 1.0, 5.0]}],
    ids=["plain", "standardize", "no_intercept", "weights"],
)
def test_squared(seed, name, keywords):
    """A direction of rounding was scaled up to a bound of the size of P(0)."""
    _, X, Y = draw(seed)
    honest(fastmtl.fit(X, Y, PENALTIES[name], **keywords))


@pytest.mark.parametrize("seed", SEEDS)
def test_float32(seed):
    _, X, Y = draw(seed)
    assert fastmtl.fit(X.astype(np.float32), Y.astype(np.float32), alpha=0.0).status.converged


@pytest.mark.parametrize("seed", SEEDS)
def test_gaps(seed):
    rng, X, Y = draw(seed)
    Y[rng.random(Y.shape) < 0.2] = np.nan
    honest(fastmtl.fit(X, Y, alpha=0.0))
    honest(fastmtl.fit(X, Y, FREE))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("loss", ["squared", "huber"])
def test_own_designs(seed, loss):
    """One task is interpolated; the other, with more samples than features, has a loss left and a dual value for it."""
    _, X, Y = draw(seed, 26)
    honest(fastmtl.fit([X[:4], X[4:10]], [Y[:4, 0], Y[4:10, 1]], alpha=0.0, loss=loss))
    both = fastmtl.fit([X[:4], X[4:]], [Y[:4, 0], Y[4:, 1]], alpha=0.0, loss=loss)
    alone = fastmtl.fit(X[4:], Y[4:, 1], alpha=0.0, loss=loss)
    assert both.status == "optimal"
    assert both.certificate.dual == pytest.approx(alone.certificate.dual, rel=1e-5)


@pytest.mark.parametrize("seed", [18, 37, 42])
def test_huber_and_counts(seed):
    """A Newton step for a gradient alone ended at predictions of 1e5 where the loss is flat."""
    rng, X, Y = draw(seed)
    honest(fastmtl.fit(X, Y, alpha=0.0, loss="huber"))
    fit = fastmtl.fit(X, rng.poisson(3.0, Y.shape).astype(float), alpha=0.0, loss="poisson")
    assert fit.status == "optimal" and fit.certificate.dual <= 64 * EPS * fit.certificate.scale


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("penalty", [L21(0.0), FREE], ids=["alpha_0", "free"])
def test_separable_classes(seed, penalty):
    """Nothing but zero is feasible where classes are separated: the optimum is zero and not attained."""
    rng, X, _ = draw(seed)
    result = fastmtl.fit(X, rng.integers(0, 2, (6, 2)).astype(float), penalty, loss="logistic")
    assert result.status == "optimal" and 0.0 <= result.certificate.dual <= result.certificate.primal
    result = fastmtl.fit(X, np.r_[0, 1, 2, rng.integers(0, 3, 3)], penalty, loss="multinomial")
    assert result.status == "optimal" and 0.0 <= result.certificate.dual <= result.certificate.primal


@pytest.mark.parametrize("seed", SEEDS)
def test_signs_beside_unpenalised_features(seed):
    """`W >= 0` cannot interpolate everything; the dual value stays below the primal of what can be reached."""
    _, X, Y = draw(seed, 3, 8)
    penalty = L21(0.1, feature_weights=[0.0] * 7 + [1.0], positive=True)
    centred, targets = X - X.mean(axis=0), Y - Y.mean(axis=0)
    reached = sum(nnls(centred[:, :7], y)[1] ** 2 / 6 for y in targets.T)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fastmtl.ConvergenceWarning)
        result = fastmtl.fit(X, Y, penalty)
    assert result.certificate.dual <= reached + 64 * EPS * result.certificate.scale


@pytest.mark.parametrize("seed", SEEDS)
def test_what_others_found(seed):
    """`certify` and `debias` meet interpolating coefficients that come from elsewhere."""
    _, X, Y = draw(seed)
    W = np.linalg.lstsq(X - X.mean(axis=0), Y - Y.mean(axis=0), rcond=None)[0]
    proof = fastmtl.certify(X, Y, W, Y.mean(axis=0) - X.mean(axis=0) @ W, alpha=0.0)
    assert proof.relative_gap <= 1e-25 and proof.dual <= 1e-25
    sparse = fastmtl.fit(X, Y, alpha=0.02 * fastmtl.alpha_max(X, Y))
    honest(fastmtl.debias(sparse, X, Y))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_dual_point_that_breaks_a_sign_constraint(seed):
    """What was above zero at unpenalised features under `W >= 0` was left out of the bound."""
    _, X, Y = draw(seed, 20)
    penalty = L21(0.1, feature_weights=[0.0] * 8 + [1.0], positive=True)
    result = fastmtl.fit(X, Y, penalty)
    tried = fastmtl.certify(X, Y, result.coef, result.intercept, penalty, dual=Y - Y.mean(axis=0))
    assert tried.dual <= result.certificate.primal


def test_unpenalised_features_close_to_each_other():
    """A projection through a Gram matrix leaves the square of the condition: the constraints were broken by 1e-8."""
    _, X, Y = draw(0, 40, 12)
    X[:, 1:6] = X[:, :1] + 1e-4 * X[:, 1:6]
    Y[0, 0] = np.nan
    result = fastmtl.fit(X, Y, L21(0.1, feature_weights=[0.0] * 6 + [1.0] * 6))
    assert result.status == "optimal" and result.certificate.infeasibility <= 1e-13
