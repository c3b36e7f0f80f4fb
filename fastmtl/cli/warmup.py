"""`warmup`: compile every kernel that a fit may need, into the cache on disk."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import fastmtl


def run() -> int:
    """Fit a small problem of every kind and report how long each took."""
    from .info import report

    started = time.perf_counter()
    for name, fit in _fits():
        begun = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", fastmtl.ConvergenceWarning)
            fit()
        print(f"{name:<36} {time.perf_counter() - begun:6.2f} s")
    print(f"{'all':<36} {time.perf_counter() - started:6.2f} s")
    print(report().splitlines()[-1])
    return 0


def _fits() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Small problems that between them reach every kernel: shapes on both sides of each choice of algorithm."""
    from scipy import sparse

    rng = np.random.default_rng(0)
    wide, tall = rng.standard_normal((40, 300)), rng.standard_normal((300, 40))
    few = sparse.csr_matrix(rng.standard_normal((60, 200)) * (rng.uniform(size=(60, 200)) < 0.1))
    penalties = fastmtl.penalties
    yield "wide, many tasks", _fit(wide, 20, "l21")
    yield "tall, few tasks", _fit(tall, 3, "l21")
    yield "one task", _fit(wide, 1, "l21")
    yield "nearly all features active", _fit(wide, 20, "l21", ratio=1e-3)
    yield "float32", _fit(wide.astype(np.float32), 20, "l21")
    yield "columns as memory order", _fit(np.asfortranarray(wide), 20, "l21")
    yield "sparse", _fit(few, 5, "l21")
    yield "l1", _fit(wide, 5, "l1")
    yield "groups", _fit(wide, 12, penalties.Group(groups=[3] * 100))
    yield "sparse groups", _fit(wide, 5, penalties.SparseGroup(groups=[3] * 100))
    yield (
        "positive, weighted",
        _fit(wide, 12, penalties.L21(positive=True), sample_weight=rng.uniform(0.5, 2.0, 40)),
    )
    yield "standardised", _fit(tall, 5, "l21", standardize=True)
    yield "trace norm, wide", _fit(wide, 12, "trace")
    yield "trace norm, tall", _fit(tall, 12, "trace")
    yield "path", lambda: fastmtl.fit_path(wide, _targets(wide, 5), "l21", n_alphas=10)


def _fit(X: Any, t: int, penalty: Any, ratio: float = 0.2, **problem: Any) -> Callable[[], Any]:
    def fit() -> Any:
        Y = _targets(X, t)
        top = fastmtl.alpha_max(X, Y, penalty, **problem)
        return fastmtl.fit(X, Y, penalty, alpha=ratio * top, **problem)

    return fit


def _targets(X: Any, t: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.asarray(X[:, :5] @ rng.standard_normal((5, t))) + rng.standard_normal((X.shape[0], t))
