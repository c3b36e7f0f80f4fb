"""Regressions whose coefficients have low rank."""

from __future__ import annotations

from typing import Any

import numpy as np


def draw(
    n: int, p: int, t: int, *, correlation: float = 0.0, rank: int = 3, snr: float = 2.0, seed: int = 0
) -> Any:
    """AR(1) features, a truth of low rank, noise with `snr` times less variance than the signal."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    for j in range(1, p if correlation else 0):
        X[:, j] = correlation * X[:, j - 1] + np.sqrt(1 - correlation**2) * X[:, j]
    signal = X @ rng.standard_normal((p, rank)) @ rng.standard_normal((rank, t))
    return X, signal / signal.std() + rng.standard_normal((n, t)) / np.sqrt(snr)
