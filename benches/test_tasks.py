"""Fits of tasks with designs, gaps and losses of their own, on drawn data."""

from __future__ import annotations

import numpy as np
import pytest

import fastmtl

ROUNDS = {"rounds": 5, "warmup_rounds": 1}


def schools(n_tasks: int = 100, p: int = 30) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Tasks of 20 to 250 samples whose coefficients have rank 5."""
    rng = np.random.default_rng(0)
    W = rng.standard_normal((p, 5)) @ rng.standard_normal((5, n_tasks))
    X = [rng.standard_normal((int(n), p)) for n in rng.integers(20, 250, n_tasks)]
    return X, [x @ w + 3.0 * rng.standard_normal(len(x)) for x, w in zip(X, W.T, strict=True)]


@pytest.mark.parametrize("penalty", ["l21", "trace"])
def test_own_designs(benchmark, penalty):
    X, Y = schools()
    alpha = 0.1 * fastmtl.alpha_max(X, Y, penalty)
    fit = benchmark.pedantic(fastmtl.fit, (X, Y, penalty), {"alpha": alpha, "tol": 1e-8}, **ROUNDS)
    assert fit.status.converged


@pytest.mark.parametrize("share", [0.0, 0.3], ids=["whole", "gaps"])
def test_gaps(benchmark, share):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1000, 2000))
    Y = X[:, :20] @ rng.standard_normal((20, 20)) + rng.standard_normal((1000, 20))
    Y[rng.random(Y.shape) < share] = np.nan
    alpha = 0.1 * fastmtl.alpha_max(X, Y)
    fit = benchmark.pedantic(fastmtl.fit, (X, Y), {"alpha": alpha}, **ROUNDS)
    assert fit.status.converged


@pytest.mark.parametrize("loss", ["logistic", "huber", "poisson"])
@pytest.mark.parametrize("penalty", ["l1", "l21", "trace"])
def test_losses(benchmark, penalty, loss):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 100))
    Z = X[:, :10] @ rng.standard_normal((10, 15)) / 3.0
    Y = {
        "logistic": (Z + rng.logistic(size=Z.shape) > 0).astype(int),
        "poisson": rng.poisson(np.exp(0.5 * Z)),
    }.get(loss, Z + rng.standard_t(2, size=Z.shape))
    alpha = 0.1 * fastmtl.alpha_max(X, Y, penalty, loss=loss)
    fit = benchmark.pedantic(fastmtl.fit, (X, Y, penalty), {"alpha": alpha, "loss": loss}, **ROUNDS)
    assert fit.status.converged
