"""What the solvers on plain arrays return."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Solution(NamedTuple):
    """Coefficients, and how far they can be from the optimum.

    Attributes
    ----------
    coef : ndarray of shape (p, t)
        W in float64, the caller's to keep.
    active : ndarray of bool, shape (B,)
        Blocks that are not zero; with blocks of one row, the active features.
    gap : float
        Absolute duality gap at `coef`: the objective is at most this far above the optimum.
    objective : float
        The objective at `coef`.
    n_iter : int
        Epochs over the moments, or outer iterations over X.
    converged : bool
        Whether `gap` is within the tolerance.
    """

    coef: np.ndarray
    active: np.ndarray
    gap: float
    objective: float
    n_iter: int
    converged: bool


class BatchSolution(NamedTuple):
    """The fields of `Solution` with a leading axis of m problems."""

    coef: np.ndarray  # (m, p, t)
    active: np.ndarray  # (m, B)
    gap: np.ndarray  # (m,)
    objective: np.ndarray  # (m,)
    n_iter: np.ndarray  # (m,)
    converged: np.ndarray  # (m,)
