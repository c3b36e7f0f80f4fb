"""Duality gap in reduced coordinates, with the polar-corrected dual point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..._arrays import Array
from ._eigen import is_below, top_eigenpairs
from .model import Model, squared_lengths

FLOOR = 0.5
"""Singular values of the gradient below this share of alpha are of no use to the bound or the preconditioner."""
TIGHTEST, TIGHTER = 1e-12, 1e-3
"""How far above alpha the largest singular value of Theta may be: tried from what is good enough down to rounding."""


@dataclass(frozen=True)
class Bound:
    """Primal value, gap and what was found on the way, in task units.

    Attributes
    ----------
    primal, gap : float
    residual : ndarray of shape (q, t)
        B less its fit.
    squares, vectors : ndarray of shape (m,), (t, m)
        Squared singular values of the gradient above `(alpha / 2)^2`, ascending, and right singular vectors; none when
        the bound was met without them.
    scale : float
        Factor on the residual (after the correction) that makes the dual point.
    correction : tuple of ndarray (q, m), (t, m), or None
        `(S, H)`: the dual residual is the residual less `X~ Q S H'` (feature side) or `Q S H'` (sample side); None
        when the plainly scaled residual gave the better bound.
    """

    primal: float
    gap: float
    residual: Array
    squares: Array
    vectors: Array
    scale: float
    correction: tuple[Array, Array] | None

    @property
    def largest(self) -> float:
        """Spectral norm of the gradient, if above alpha / 2."""
        return float(np.sqrt(self.squares[-1])) if len(self.squares) else 0.0


def bound(model: Model, alpha: float, A: Array, V: Array, TA: Array, enough: float = -np.inf) -> Bound:
    """Certify a pair of factors: the better of the scaled and the polar-corrected residual.

    For any dual residual R' the gap is `alpha |W|_* - <W, Theta(R')> + |R - R'|^2 / 2`. Scaling R until
    `|Theta| <= alpha` costs a first-order amount. The correction sets the singular values of Theta that belong to W,
    and any others above alpha, to exactly alpha, from both sides: each term is then quadratic in the error.

    Parameters
    ----------
    A, V : ndarray of shape (q, k), (t, k)
        Any factors; the gap is smallest where A is optimal for V.
    TA : ndarray of shape (q, k)
        `(T + ridge) A`.
    enough : float
        A gap at which the plainly scaled residual will do.
    """
    EA = model.metric(A)
    R = model.target - TA @ V.T
    gram = model.gradient_gram(R)
    norm = trace_norm(model, A, EA, V)
    fit = float(np.vdot(model.target.T @ EA, V))
    energy = float(np.vdot(EA.T @ TA, V.T @ V))
    primal = 0.5 * energy - fit + 0.5 * model.total + alpha * norm
    against, length = model.total - fit, model.total - 2 * fit + energy
    scale = feasible_scale(gram, alpha, enough - (primal - against + 0.5 * length), against - length)
    if scale is not None:
        gap = primal - scale * (against - 0.5 * scale * length)
        return Bound(primal, gap, R, np.empty(0), np.empty((len(gram), 0)), scale, None)
    squares, vectors = top_eigenpairs(gram, (FLOOR * alpha) ** 2, V.shape[1])
    scale = against / length if length > 0 else 1.0
    if len(squares):
        scale = min(scale, alpha / float(np.sqrt(squares[-1])))
    gap = primal - scale * (against - 0.5 * scale * length)
    correction = None
    if V.shape[1]:
        polar, candidate = _polar_gap(model, alpha, norm, R, EA, V, squares, vectors)
        if polar < gap:
            gap, scale, correction = polar, 1.0, candidate
    return Bound(primal, gap, R, squares, vectors, scale, correction)


def trace_norm(model: Model, A: Array, EA: Array, V: Array) -> float:
    """`|U V'|_*` in task units, from k x k matrices; V has orthogonal columns in the model's units."""
    if model.price is None:
        root = np.diag(np.sqrt(squared_lengths(V)))
    else:
        V = model.to_task_units(V)
        squares, P = np.linalg.eigh(V.T @ V)
        root = P * np.sqrt(np.maximum(squares, 0.0))
    return float(np.sqrt(np.maximum(np.linalg.eigvalsh(root.T @ (A.T @ EA) @ root), 0.0)).sum())


def feasible_scale(gram: Array, alpha: float, room: float, slope: float) -> float | None:
    """A multiple, a little below one, of a dual point that is feasible and costs no more than `room`; None if none is.

    Cholesky factorisations of the Gram matrix of its Theta decide, a fraction of the work of eigenvalues.

    Parameters
    ----------
    gram : ndarray of shape (t, t)
    room : float
        How much the dual value of the whole point may be lowered.
    slope : float
        Derivative of the dual value along the multiple, at the whole point.
    """
    if not room > 0.0 or not len(gram):
        return None
    excess, best = 0.5 * room / slope if slope > room else 0.5, None
    while excess >= TIGHTEST and is_below(gram, (alpha * (1.0 + excess)) ** 2):
        best, excess = 1.0 / (1.0 + excess), TIGHTER * excess
    return best


def _polar_gap(
    model: Model, alpha: float, norm: float, R: Array, EA: Array, V: Array, squares: Array, vectors: Array
) -> tuple[float, tuple[Array, Array]]:
    """Gap of the corrected residual, and the correction as factors (see `Bound.correction`)."""
    above = int(np.count_nonzero(squares > alpha**2))
    count = min(max(above, V.shape[1]), len(squares))
    H = np.ascontiguousarray(vectors[:, len(squares) - count :])
    excess = 1.0 - alpha / np.sqrt(squares[len(squares) - count :])
    F = model.task_units_of_columns(R) @ (H * excess)
    W_right = model.to_task_units(V)
    theta = float(np.vdot(model.task_units_of_columns(R).T @ EA, W_right) - np.vdot(EA.T @ F, W_right.T @ H))
    S = _lift(model, F)
    # A change along H costs more where a task weighs less.
    cost = 0.5 * float(np.vdot(F @ (H.T @ model.priced(H)), S))
    return alpha * norm - theta + cost, (S, H)


def _lift(model: Model, F: Array) -> Array:
    """Smallest change of the residual that changes the gradient by F: `(T + ridge)^+ F`, with T in front on samples.

    Without ridge T T^+ is the identity on the range that F lies in.
    """
    if model.on_samples and model.ridge == 0.0:
        return F
    S = solve_normal(model, F)
    return model.kernels.tridiagonal_multiply(model.diagonal, model.off, S) if model.on_samples else S


def solve_normal(model: Model, F: Array) -> Array:
    """`(T + ridge)^+ F` for F (q, m) in the range of T; a shift within the noise makes T invertible."""
    shift = model.noise * float(np.max(model.diagonal)) + float(np.finfo(float).tiny)
    return model.solve(model.factor(np.ones(F.shape[1]), shift), np.ascontiguousarray(F))
