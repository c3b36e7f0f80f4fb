"""Solve the reduced problem at one alpha: Newton on the present rank, certify, add what is missing, repeat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from ..._arrays import Array
from ._eigen import top_eigenpairs
from .model import Model, orthogonalise, squared_lengths
from .newton_system import Near, alternate
from .omega_newton import Counts, minimise, no_steps
from .polar import Bound, bound
from .proximal_steps import proximal_steps
from .rank import entering, joined, near_threshold, scaled, secular_scales

MAX_ROUNDS = 40
IDLE_ROUNDS = 4
"""Rounds without a better gap after which rounding, not the method, sets the limit."""
SWEEPS = 2
"""Alternating sweeps before the first Newton step: without them columns are dropped that are needed after all (1000 x 1000
x 300: 998 -> 590 ms at rank 300, 620 -> 470 ms at rank 105; no more than a millisecond lost elsewhere)."""
RESTARTS = 10
"""Rounds of proximal steps after which Newton's method is not tried again."""
HOPELESS = 1e-13
"""Relative gap below which nothing but rounding is left to remove."""

Monitor = Callable[["Reduced"], bool]


@dataclass(frozen=True)
class Reduced:
    """A solution in reduced coordinates.

    Attributes
    ----------
    A : ndarray of shape (q, k)
        Left factor, `U = Q A` or `X~'Q A`.
    V : ndarray of shape (t, k)
        Right factor, orthogonal columns (in the model's units).
    bound : Bound
    alpha : float
    rounds : int
        Newton-and-certificate rounds.
    finished : bool
        Whether the gap met its target; otherwise interrupted or out of progress (`interrupted` tells which).
    """

    A: Array
    V: Array
    bound: Bound
    alpha: float
    rounds: int
    finished: bool
    interrupted: bool = False
    counts: Counts = field(default_factory=Counts)

    @property
    def rank(self) -> int:
        """Number of columns."""
        return self.V.shape[1]


def solve_reduced(
    model: Model,
    alpha: float,
    target_gap: float,
    *,
    start: Array | None = None,
    near: Near | None = None,
    max_rounds: int = MAX_ROUNDS,
    spare: Callable[[int], int] = no_steps,
    monitor: Monitor | None = None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Reduced:
    """Minimise to an absolute duality gap of `target_gap`.

    Parameters
    ----------
    model : Model
    alpha : float
        Positive.
    target_gap : float
        Absolute.
    start : ndarray of shape (t, k), optional
        Right factor with orthogonal columns; default: the directions of B above alpha, each at its own best scale.
    near : Near, optional
        Directions for the preconditioner, from a neighbouring solution.
    max_rounds : int
    spare : callable
        How many conjugate steps, at a given rank, may go into making the plain residual as good a dual point as the
        corrected one.
    monitor : callable, optional
        Shown the best solution so far after every round; True ends the solve.
    interrupted : callable
        Asked between Newton steps; True ends the solve at the next certificate.

    Returns
    -------
    Reduced
    """
    counts = Counts()
    V = cold_start(model, alpha) if start is None else start
    worth = 0.5 * model.total
    aim = max(target_gap, 0.0) / worth if worth > 0 else 0.0
    tol = min(1e-3, max(np.sqrt(aim), 1e-10))
    best: Reduced | None = None
    idle = 0
    for round_ in range(1, max_rounds + 1):
        stationary = minimise(
            model, alpha, V, tol, near=near, aim=aim, spare=spare, counts=counts, interrupted=interrupted
        )
        iterate = stationary.iterate
        V = iterate.V
        enough = target_gap if spare(V.shape[1]) else -np.inf
        found = bound(model, alpha, iterate.A, V, stationary.TA, enough)
        counts.certificates += 1
        if best is None or found.gap < best.bound.gap:
            idle = 0 if best is None or found.gap < 0.5 * best.bound.gap else idle + 1
            best = Reduced(iterate.A, V, found, alpha, round_, found.gap <= target_gap, counts=counts)
        else:
            idle += 1
        stop = (monitor is not None and monitor(best)) or interrupted()
        if best.finished or stop or idle >= IDLE_ROUNDS:
            return Reduced(best.A, best.V, best.bound, alpha, round_, best.finished, stop, counts)
        near = near_threshold(model, alpha, found, V)
        extra = np.empty((V.shape[0], 0))
        if found.largest > alpha * (1.0 + min(1e-6, stationary.relative)):
            extra = entering(model, alpha, found.residual, above(found, alpha), V)
        if extra.shape[1]:
            V = joined(model, V, extra)
        elif stationary.relative <= tol:
            tol = max(0.1 * min(tol, stationary.relative), 1e-15)
    assert best is not None
    return Reduced(best.A, best.V, best.bound, alpha, max_rounds, best.finished, False, counts)


def solve_surely(
    model: Model,
    alpha: float,
    target_gap: float,
    *,
    start: Array | None = None,
    near: Near | None = None,
    spare: Callable[[int], int] = no_steps,
    monitor: Monitor | None = None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Reduced:
    """`solve_reduced`, with accelerated proximal steps wherever it ends short of its target. Parameters as there."""
    found = solve_reduced(
        model,
        alpha,
        target_gap,
        start=start,
        near=near,
        spare=spare,
        monitor=monitor,
        interrupted=interrupted,
    )
    for _ in range(RESTARTS):
        if (
            found.finished
            or found.interrupted
            or model.price is not None
            or found.bound.gap <= HOPELESS * 0.5 * model.total
        ):
            break
        V = proximal_steps(model, alpha, found.A, found.V, interrupted)
        again = solve_reduced(model, alpha, target_gap, start=V, monitor=monitor, interrupted=interrupted)
        found = again if again.bound.gap <= found.bound.gap else replace(found, interrupted=again.interrupted)
    return found


def above(found: Bound, alpha: float) -> Array:
    """Right singular vectors of the gradient at or above alpha (a little below too: they are mixed first)."""
    return found.vectors[:, found.squares > (0.999 * alpha) ** 2]


def cold_start(model: Model, alpha: float) -> Array:
    """Directions in which the gradient at W = 0 exceeds alpha, each at its own best scale, and a few cheap sweeps."""
    _, vectors = top_eigenpairs(model.gradient_gram(model.target), (alpha * (1 + 1e-9)) ** 2)
    if not vectors.shape[1]:
        return np.empty((model.tasks, 0))
    directions = model.from_task_units(vectors)
    directions = directions / np.sqrt(squared_lengths(directions))
    V = _orthogonal(model, scaled(model, alpha, directions, model.target @ directions))
    for _ in range(SWEEPS if V.shape[1] > 1 else 0):
        V = alternate(model, alpha, V)
    return V


def warm_start(model: Model, alpha: float, previous: Reduced) -> tuple[Array, Near | None]:
    """Start at a new alpha: the old directions at their new secular scales, and those that now exceed alpha."""
    V, found = previous.V, previous.bound
    if not V.shape[1]:
        return cold_start(model, alpha), None
    scales = squared_lengths(V)
    directions = V / np.sqrt(scales)
    reach = model.target @ directions
    curvature = squared_lengths(reach, model.multiply(reach)) / squared_lengths(reach)
    guess = np.maximum(scales + (previous.alpha - alpha) / curvature, 1e-3 * scales)
    V = directions * np.sqrt(secular_scales(model, alpha, reach, model.pricing(directions), guess))
    extra = np.empty((V.shape[0], 0))
    if alpha < previous.alpha:
        extra = entering(model, alpha, found.residual, above(found, alpha), V)
    start = joined(model, V, extra) if extra.shape[1] else V
    return start, near_threshold(model, alpha, found, start)


def _orthogonal(model: Model, V: Array) -> Array:
    return V if model.price is None else orthogonalise(V)[0]
