"""Which directions enter the support, and at what scale."""

from __future__ import annotations

import numpy as np

from ..._arrays import Array
from .model import Model, orthogonalise, squared_lengths
from .newton_system import Near
from .polar import Bound

SECULAR_STEPS = 6
NEAR = 0.6
"""Share of alpha from which a direction counts as about to enter."""


def secular_scales(model: Model, alpha: float, reach: Array, price: Array, start: Array) -> Array:
    """Best squared scale of each direction on its own: the root s of `|(s T + alpha)^-1 b|_E^2 = price`.

    Parameters
    ----------
    reach : ndarray of shape (q, k)
        b = B u for the unit directions u (or R u, for directions added to a residual R).
    price : ndarray of shape (k,)
        `u' D u`, one without task weights.
    start : ndarray of shape (k,)
        Positive guesses.

    Notes
    -----
    Newton on `1/|.|_E - 1/sqrt(price)`, nearly linear in s: a few steps from anywhere on the left.
    """
    s = start.copy()
    for _ in range(SECULAR_STEPS):
        factor = model.factor(s, alpha)
        a = model.solve(factor, reach)
        Ea = model.metric(a)
        length = squared_lengths(a, Ea) / price
        slope = squared_lengths(model.solve(factor, a), model.multiply(Ea)) / price
        step = (1.0 / np.sqrt(length) - 1.0) * length**1.5 / slope
        new = np.where(s > step, s - step, 0.1 * s)
        change = np.max(np.abs(new - s) / s, initial=0.0)
        s = new
        if change < 1e-2:
            break
    return s


def scaled(model: Model, alpha: float, directions: Array, reach: Array) -> Array:
    """Unit directions (t, k) multiplied by the roots of their secular scales."""
    price = model.pricing(directions)
    energy = squared_lengths(reach, model.metric(reach))
    curvature = squared_lengths(reach, model.multiply(reach)) / squared_lengths(reach)
    excess = np.maximum(np.sqrt(energy / price) - alpha, 1e-3 * alpha)
    return directions * np.sqrt(secular_scales(model, alpha, reach, price, excess / curvature))


def entering(model: Model, alpha: float, R: Array, vectors: Array, V: Array) -> Array:
    """Directions in which the gradient exceeds alpha once span(V) is taken out, scaled, (t, m).

    Parameters
    ----------
    R : ndarray of shape (q, t)
        Reduced residual; the gradient's length along a direction u is `|R u|_E`.
    vectors : ndarray of shape (t, c)
        Right singular vectors of the gradient above alpha, in task units.
    V : ndarray of shape (t, k)
        Present columns, orthogonal.
    """
    candidates = model.from_task_units(vectors)
    if V.shape[1]:
        basis = V / np.sqrt(squared_lengths(V))
        candidates = candidates / np.sqrt(squared_lengths(candidates))
        candidates = candidates - basis @ (basis.T @ candidates)
        squares, P = np.linalg.eigh(candidates.T @ candidates)
        keep = squares > 1e-3
        candidates = (candidates @ P[:, keep]) / np.sqrt(squares[keep])
        candidates -= basis @ (basis.T @ candidates)
    if not candidates.shape[1]:
        return candidates
    reach = R @ candidates
    squares, P = _ratio_eigenpairs(reach.T @ model.metric(reach), candidates.T @ model.priced(candidates))
    P = P[:, squares > (alpha * (1 + 1e-9)) ** 2]
    directions, reach = candidates @ P, reach @ P
    lengths = np.sqrt(squared_lengths(directions))
    directions, reach = directions / lengths, np.ascontiguousarray(reach / lengths)
    return scaled(model, alpha, directions, reach) if directions.shape[1] else directions


def _ratio_eigenpairs(S: Array, D: Array) -> tuple[Array, Array]:
    """Generalised eigenpairs of S against D through the symmetric root of D."""
    weights, O = np.linalg.eigh(D)
    root = O / np.sqrt(weights)
    values, P = np.linalg.eigh(root.T @ S @ root)
    return values, root @ P


def joined(model: Model, V: Array, extra: Array) -> Array:
    """Present and new columns as one factor with orthogonal columns; without prices they are orthogonal already."""
    both = np.ascontiguousarray(np.hstack((V, extra)))
    return both if model.price is None else orthogonalise(both)[0]


def near_threshold(model: Model, alpha: float, found: Bound, V: Array) -> Near | None:
    """Singular directions of the gradient outside span(V) and just below alpha, for the preconditioner."""
    if model.price is not None:
        return None
    wanted = np.flatnonzero(found.squares > (NEAR * alpha) ** 2)[: -V.shape[1] or None]
    if not len(wanted):
        return None
    directions = found.vectors[:, wanted]
    if V.shape[1]:
        basis = V / np.sqrt(squared_lengths(V))
        directions = directions - basis @ (basis.T @ directions)
    reach = found.residual @ directions
    metric = model.metric(reach)
    energy = np.maximum(squared_lengths(reach, metric), np.finfo(float).tiny)
    return Near(directions, energy, squared_lengths(model.multiply(reach), metric) / energy)
