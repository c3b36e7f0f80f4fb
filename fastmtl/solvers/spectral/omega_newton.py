"""Newton's method on Omega = V V': conjugate gradients, a retraction that keeps Omega semi-definite, exact drops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..._arrays import Array
from .model import Model, squared_lengths
from .newton_system import Iterate, Near, NewtonSystem, evaluate, select

VANISHED = 1e-12
"""A new squared scale under this share of the largest old one is a column that left the support."""
SLOWEST_TURN = 0.3
"""The out-of-range step of a column whose scale collapses is damped at this share of its old scale."""
ARMIJO = 1e-4
HALVINGS = 25


def no_steps(rank: int) -> int:
    """Nothing to spare."""
    return 0


@dataclass
class Counts:
    """What a solve has done so far."""

    newton: int = 0
    conjugate: int = 0
    trials: int = 0
    certificates: int = 0


@dataclass(frozen=True)
class Stationary:
    """Where Newton stopped: the iterate, `(T + ridge) A`, and the relative size of the gradient.

    `saddle` tells that negative curvature was met: columns are missing, further steps here are idle.
    """

    iterate: Iterate
    TA: Array
    relative: float
    saddle: bool


def minimise(
    model: Model,
    alpha: float,
    V: Array,
    tol: float,
    *,
    near: Near | None = None,
    max_steps: int = 30,
    max_conjugate: int = 60,
    aim: float = 0.0,
    spare: Callable[[int], int] = no_steps,
    counts: Counts | None = None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Stationary:
    """Bring the gradient in V below `tol` (relative to `alpha |V|`) without adding columns.

    Parameters
    ----------
    V : ndarray of shape (t, k)
        Start, with orthogonal columns, none zero.
    tol : float
        On `|gradient| / (alpha |V|)`.
    aim : float
        What the gradient is brought to, below `tol`, if that takes no more than a few conjugate steps ...
    spare : callable
        ... namely so many at a given number of columns.
    interrupted : callable
        Asked before every step; True ends the loop.
    """
    counts = counts or Counts()
    iterate = evaluate(model, alpha, V, model.target @ V, squared_lengths(V))
    saddle, enough = False, None
    for step in range(max_steps + 1):
        iterate = drop(model, alpha, iterate)
        if not len(iterate.scales):
            return Stationary(iterate, iterate.A, 0.0, saddle)
        system = NewtonSystem(model, alpha, iterate, near)
        counts.newton += 1
        if system.relative < tol and enough is None:
            enough = counts.conjugate + spare(len(iterate.scales))
        idle = enough is not None and (system.relative < aim or counts.conjugate >= enough)
        if idle or saddle or step == max_steps or interrupted():
            break
        system.prepare()
        limit = max_conjugate if enough is None else min(max_conjugate, enough - counts.conjugate)
        X, BX, saddle = conjugate_gradients(system, limit, counts)
        moved = line_search(system, X, BX, counts)
        if moved is None:
            break
        iterate = moved
    return Stationary(iterate, system.TA, system.relative, saddle)


def drop(model: Model, alpha: float, iterate: Iterate) -> Iterate:
    """Remove every column whose best scale is zero: `|B q_j|_E <= alpha` for the unit vector q_j.

    Columns of an orthogonal V decouple in phi, so the test is exact for each of them and phi can only fall.
    """
    reach = squared_lengths(iterate.BV, model.metric(iterate.BV))
    keep = reach > alpha**2 * model.pricing(iterate.V)
    return iterate if keep.all() else select(model, alpha, iterate, np.flatnonzero(keep))


def conjugate_gradients(system: NewtonSystem, limit: int, counts: Counts) -> tuple[Array, Array, bool]:
    """Solve `H X = -gradient` roughly; also `B X`, and whether negative curvature ended it.

    Stops when the preconditioned residual has fallen by min(0.3, sqrt(relative gradient)): superlinear outside
    at the least work inside.
    """
    target = system.model.target
    r = -system.gradient
    z = system.precondition(r)
    P, BX, X = z, np.zeros_like(system.iterate.BV), np.zeros_like(r)
    first = energy = float(np.vdot(r, z))
    forcing = min(0.3, np.sqrt(system.relative)) ** 2
    for step in range(limit):
        BP = target @ P
        HP = system.multiply(P, BP)
        counts.conjugate += 1
        curvature = float(np.vdot(P, HP))
        if curvature <= 1e-13 * system.alpha * float(np.vdot(P, P)):
            return (P, BP, True) if step == 0 else (X, BX, True)
        length = energy / curvature
        X += length * P
        BX += length * BP
        r -= length * HP
        z = system.precondition(r)
        previous, energy = energy, float(np.vdot(r, z))
        if energy <= forcing * first:
            break
        P = z + (energy / previous) * P
    return X, BX, False


def line_search(system: NewtonSystem, X: Array, BX: Array, counts: Counts) -> Iterate | None:
    """Halve the step until the value falls enough; the accepted factorisation is the next iterate's."""
    start = system.iterate
    slope = float(np.vdot(system.gradient, X))
    retract = Retraction(start, X, BX)
    length = 1.0
    for _ in range(HALVINGS):
        moved = retract(length)
        if moved is not None:
            trial = evaluate(system.model, system.alpha, *moved)
            counts.trials += 1
            if trial.value <= start.value + ARMIJO * length * slope + 1e-14 * abs(start.value):
                return trial
        length *= 0.5
    return None


class Retraction:
    """Moves Omega = V V' along X inside the cone of semi-definite matrices, at k x k cost a trial.

    On span(V) the step is linear in Omega itself, `S + t (S^1/2 X_in' + X_in S^1/2)`, whose eigenvalues at or below
    zero are columns that leave in one step; a factor step V + tX would only approach zero as a square root does.
    Off span(V) the columns turn by `t Z`. The products with B are recombined, never recomputed.
    """

    def __init__(self, start: Iterate, X: Array, BX: Array) -> None:
        self.scales, self.roots = start.scales, np.sqrt(start.scales)
        self.basis, self.B_basis = start.V / self.roots, start.BV / self.roots
        inside = self.basis.T @ X
        self.move = self.roots[:, None] * inside.T + inside * self.roots
        self.complete = len(self.scales) == len(X)
        if not self.complete:
            self.Z, self.BZ = X - self.basis @ inside, BX - self.B_basis @ inside
            self.ZZ = self.Z.T @ self.Z

    def __call__(self, length: float) -> tuple[Array, Array, Array] | None:
        """V, B V and squared scales at a step length; None when nothing of Omega is left."""
        values, P = np.linalg.eigh(np.diag(self.scales) + length * self.move)
        keep = values > VANISHED * self.scales.max()
        if not keep.any():
            return None
        values, P = values[keep], P[:, keep]
        inner = P * np.sqrt(values)
        if self.complete:
            return self.basis @ inner, self.B_basis @ inner, values
        old = self.scales @ (P * P)
        turn = length * np.sqrt(values) / np.maximum(values, SLOWEST_TURN * old)
        outer = self.roots[:, None] * P * turn
        scales, O = np.linalg.eigh(np.diag(values) + outer.T @ (self.ZZ @ outer))
        inner, outer = inner @ O, outer @ O
        return self.basis @ inner + self.Z @ outer, self.B_basis @ inner + self.BZ @ outer, scales
