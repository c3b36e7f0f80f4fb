"""Scales of columns for `standardize=True`."""

from __future__ import annotations

import numpy as np

from .designs import Design
from .problem import project_off


def deviations(design: Design, weights: np.ndarray | None) -> np.ndarray:
    """Weighted standard deviations (ddof = 0) of the columns, 1 for constant ones."""
    share = np.full(design.n, 1.0 / design.n) if weights is None else weights / weights.sum()
    mean = design.correlate(share[:, None])[:, 0]
    variance = design.sq_norms(share) - mean**2
    # Cancellation leaves a small positive or negative remainder in a constant column.
    noise = 8.0 * design.n * np.finfo(np.float64).eps * mean**2
    # Squares of very large and very small columns overflow or vanish.
    doubtful = np.flatnonzero(~((variance > np.maximum(1e6 * noise, 1e-280)) & (variance < 1e280)))
    deviation = np.sqrt(np.maximum(variance, 0.0))
    if len(doubtful):
        root = np.sqrt(share)[:, None]
        for j in np.array_split(doubtful, max(1, len(doubtful) // 256)):
            columns = design.take(j)
            size = np.frexp(np.abs(columns).max(axis=1))[1]
            centred = project_off(np.ldexp(columns, -size[:, None]).T * root, root)
            square = np.einsum("ij,ij->j", centred, centred)
            square[square <= (8.0 * np.finfo(np.float64).eps * np.ldexp(mean[j], -size)) ** 2 * design.n] = (
                0.0
            )
            deviation[j] = np.ldexp(np.sqrt(square), size)
    return np.where(deviation > 0, deviation, 1.0)
