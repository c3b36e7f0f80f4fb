"""Douglas-Rachford splitting of a quadratic with a Gram matrix a task and a penalty that ties the tasks together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastmtl_kernels._interface import Quadratic

from .._arrays import Array
from ..penalties import Penalty
from ._extrapolation import Extrapolation

CHECK_EVERY = 4
"""Steps between duality gaps, which cost about as much as a step."""
STIFFNESS = 1.0
"""First weight of the splitting over the mean curvature."""
BALANCE_EVERY = 15
LEAST = 1e-12
"""Smallest weight of the splitting over the largest curvature."""
IMBALANCE = 5.0
"""Ratio of primal to dual residual above which the weight is changed."""


def douglas_rachford(
    quadratic: Quadratic,
    penalty: Penalty,
    tol: float,
    max_iter: int,
    late: Callable[[], bool],
    rounding: float,
) -> None:
    """Descend in place on `quadratic + penalty` until the duality gap is at most `tol` (absolute).

    Both steps are exact: the quadratic's through one inverse a task, the penalty's through its prox, whatever the
    condition of the Gram matrices.

    Parameters
    ----------
    quadratic : Quadratic
        With one Gram matrix a task; `coef` and `gradient` are modified.
    penalty : Penalty
    tol : float
    max_iter : int
    late : callable
    rounding : float
        Of the entries of the Gram matrices, relative to their diagonals.

    References
    ----------
    Lions, Mercier (1979), "Splitting algorithms for the sum of two nonlinear operators"; Boyd et al. (2011),
    "Distributed optimization ... via ADMM", section 3.4.1 (the balance of residuals).
    """
    gram, q = quadratic.gram, quadratic.linear
    s, t = q.shape
    if s == 0:
        return
    mean = float(np.einsum("tss->", gram)) / (s * t)
    rho = STIFFNESS * mean if mean > 0 else 1.0
    # Tasks may be of very different sizes: below this the largest Gram matrix, of low rank, cannot be inverted, or has
    # eigenvalues that rounding made more negative.
    least = max(LEAST, np.sqrt(s) * rounding) * float(np.einsum("tss->ts", gram).max())
    inverse = np.linalg.inv(gram + rho * np.eye(s))
    W = quadratic.coef.copy()
    Z = W - quadratic.gradient / rho
    extrapolate = Extrapolation(W.size)
    best = np.inf
    for iteration in range(max_iter):
        if iteration % CHECK_EVERY == 0:
            V = q - multiply(gram, W)
            gap = duality_gap(quadratic, penalty, W, V)
            if gap < best:
                best = gap
                quadratic.coef[:], quadratic.gradient[:] = W, V
            if gap <= tol or late():
                return
        X = multiply(inverse, q + rho * Z)
        previous, W = W, penalty.prox(2.0 * X - Z, 1.0 / rho)
        move = W - X
        if iteration % BALANCE_EVERY == BALANCE_EVERY - 1:
            ratio = float(np.linalg.norm(move)) / max(float(np.linalg.norm(W - previous)), 1e-300)
            if not 1.0 / IMBALANCE < ratio < IMBALANCE:
                rho *= min(max(np.sqrt(ratio), 1.0 / IMBALANCE), IMBALANCE)
                rho = max(rho, least)
                inverse = np.linalg.inv(gram + rho * np.eye(s))
                Z = W - (q - multiply(gram, W)) / rho
                extrapolate.forget()
                continue
        Z = extrapolate(Z + move, move)


def multiply(matrices: Array, W: Array) -> Array:
    """`M_t w_t` of every task (s, t), for matrices (t, s, s)."""
    return np.matmul(matrices, W.T[:, :, None])[:, :, 0].T


def duality_gap(quadratic: Quadratic, penalty: Penalty, W: Array, V: Array) -> float:
    """Gap at W, whose negative gradient is V, with the residual scaled into the penalty's domain as the dual point."""
    curved = float(np.vdot(quadratic.linear - V, W))
    pull = float(np.vdot(quadratic.linear, W))
    cross = 2.0 * quadratic.constant - pull
    square = max(2.0 * quadratic.constant - 2.0 * pull + curved, 0.0)
    primal = 0.5 * square + penalty.value(W)
    limit, conjugate = penalty.conjugate_along(V)
    vertex = cross / square if square > 0 else 1.0
    scales = {min(1.0, limit), min(max(vertex, 0.0), limit)}
    return primal - max(a * cross - 0.5 * a * a * square - conjugate(a) for a in scales)
