"""What the spectral solvers reduce: a design with targets and sample weights, centred where there is an intercept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._arrays import Array
from ...designs import Design
from ...problem import Problem


@dataclass(frozen=True)
class Data:
    """What is reduced: `1/2 sum_it c_t omega_i (y_it - x_i w_t - b_t)^2`.

    Attributes
    ----------
    design : Design
        X (n, p).
    targets : ndarray of shape (n, t)
        Y less offsets.
    omega : float or ndarray of shape (n,)
        Sample weights, non-negative; a float when they are all equal.
    task_weight : ndarray of shape (t,) or None
        c, positive.
    fit_intercept : bool
    centred : ndarray of shape (n, t), optional
        The targets less their weighted means, where that is at hand already.
    total : float, optional
        `sum_it c_t omega_i y_it^2` of the centred targets, likewise.
    """

    design: Design
    targets: Array
    omega: Any
    task_weight: Array | None = None
    fit_intercept: bool = True
    centred: Array | None = None
    total: float | None = None

    def means(self) -> tuple[Array | None, Array | None]:
        """Weighted means of the columns of X (p,) and of Y (t,), None without an intercept."""
        if not self.fit_intercept:
            return None, None
        weights = self.weights
        share = weights / weights.sum()
        return self.design.correlate(share[:, None])[:, 0], share @ self.targets

    @property
    def weights(self) -> Array:
        """Sample weights (n,)."""
        return np.broadcast_to(np.asarray(self.omega, dtype=np.float64), (self.design.n,))

    def weighted(self, A: Array, power: float = 1.0) -> Array:
        """`omega^power A` for A (n, k)."""
        factor = np.power(self.omega, power)
        return A * (factor if np.ndim(factor) == 0 else factor[:, None])


def data_of(problem: Problem) -> Data:
    """What the reduction needs of a problem."""
    centred = problem.target if problem.root is None else None
    total = 2.0 * problem.null_value
    return Data(problem.design, problem.Y, problem.omega, None, problem.fit_intercept, centred, total)


def strengths(problem: Problem) -> tuple[float, float]:
    """alpha and ridge of a problem with a trace penalty."""
    penalty: Any = problem.penalty
    return float(penalty.alpha), float(penalty.ridge)


def correlate_centred(data: Data, Y: Array, x_mean: Array | None) -> Array:
    """`X_c' (omega Y)` (p, t) for centred Y, exact in the means although neither is centred to better than rounding."""
    # A common weight is cheaper on the small side of the product.
    weighted, unit = (Y, data.omega) if np.ndim(data.omega) == 0 else (data.weighted(Y), 1.0)
    C = data.design.correlate(weighted)
    if x_mean is not None:
        C -= np.outer(x_mean, weighted.sum(axis=0))
    C *= unit
    return C


def squared_norm(data: Data, Y: Array) -> float:
    """`sum_it c_t omega_i y_it^2`."""
    if data.task_weight is not None:
        return float(np.einsum("t,it,it->", data.task_weight, Y, data.weighted(Y)))
    if np.ndim(data.omega) == 0:
        return float(data.omega * np.vdot(Y, Y))
    return float(np.vdot(Y, data.weighted(Y)))
