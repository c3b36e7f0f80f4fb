"""Proximal Newton: a quadratic model with a Gram matrix for every column, block descent on it, a line search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastmtl_kernels._interface import BlockShrink, Quadratic

from .._arrays import Array
from ..nuisance import nuisance, solve
from ..task_certificate import evaluate_fitted
from ..task_problem import TaskProblem
from ._extrapolation import Extrapolation
from .douglas_rachford import douglas_rachford
from .second_order import finish, finish_cost

GRAM_LIMIT = 1 << 24
"""Most entries of all Gram matrices of a problem; above it the descent stays matrix-free."""
MAX_STEPS = 100
EPS = float(np.finfo(np.float64).eps)
LOST = 1e4
"""Square of a column over that of its deviation beyond which a Gram matrix of deviations has few digits left."""
MAX_EPOCHS = 2000
FIRST_EPOCHS = 60
INNER_SHARE = 0.003
"""Share of the present gap to which the model of a loss that is not quadratic is solved."""
DAMPING = 1e-4
"""First lower bound of second derivatives, relative to the weights: flat losses (far outliers, sure classes) need one."""
LEAST_DAMPING = 1e-10
SUFFICIENT = 1e-3
"""Share of the predicted decrease that a step must reach."""
PATIENCE = 10
EARNED = 0.01
"""Share of the gap that steps must have gained before a run may end without a certificate of its own."""
SAFETY = 0.3
"""Share of the tolerance that a model is solved to at most."""
NEAR = 10.0
"""Times the tolerance at which the gap is looked at after every step."""


def has_small_grams(p: int, t: int) -> bool:
    """Whether Gram matrices of p features for t columns are small enough to be formed."""
    return t * p * p <= GRAM_LIMIT


@dataclass
class Point:
    """Coefficients (q, t), intercepts (t,), and the predictions (N,) of the former."""

    coef: Array
    intercept: Array
    fitted: Array


def prox_newton(
    problem: TaskProblem,
    coef: Array,
    intercept: Array,
    kernels: Any,
    tol: float,
    gap: float,
    late: Callable[[], bool],
) -> Point:
    """Descend until the duality gap is at most `tol` (absolute), no step decreases the objective, or time is up.

    Parameters
    ----------
    problem : TaskProblem
        Its penalty has a block form without permutation, unpenalised features first; or it has none, and leaves all
        features unpenalised or none.
    coef : ndarray of shape (q, t)
    intercept : ndarray of shape (t,)
    kernels : module
    tol, gap : float
        The gap asked for, and an upper bound of the one at the start.
    late : callable

    Notes
    -----
    Between certificates the decrease that the last model promised stands in for the gap: it is free, and far from the
    solution it is the larger one. Columns whose deviations drown in the rounding of their Gram matrices are centred, and
    intercepts take up their means.

    References
    ----------
    Lee, Sun, Saunders (2014), "Proximal Newton-type methods for minimizing composite functions", Algorithm 1.
    """
    point = Point(coef, intercept, problem.design.predict(coef))
    model = Model(problem, kernels, late)
    model.expand(point)
    about = problem.design.centred() if model.has_lost_digits and problem.fit_intercept else None
    if about is not None:
        design, centre = about
        shifted = intercept + (centre * coef).sum(axis=0)
        found = prox_newton(replace(problem, design=design), coef, shifted, kernels, tol, gap, late)
        back = (centre * found.coef).sum(axis=0)
        return Point(found.coef, found.intercept - back, found.fitted + problem.design.spread(back))
    if problem.is_quadratic:
        # The model is the problem: its minimiser needs neither a line search nor predictions, unless digits were lost.
        move, slide, predicted = model.direction(point, SAFETY * tol)
        if not model.has_lost_digits:
            return Point(coef + move, intercept + slide, point.fitted)
        found = model.searched(point, move, slide, predicted)
        return point if found is None else found[0]
    extrapolate = Extrapolation(coef.size + intercept.size) if problem.is_majorised else None
    best, idle, share = np.inf, 0, INNER_SHARE
    began, gained = gap, 0.0
    for _ in range(MAX_STEPS):
        if gap <= NEAR * tol:
            gap = evaluate_fitted(problem, point.coef, point.intercept, point.fitted).certificate.gap
            idle = 0 if gap < 0.5 * best else idle + 1
            best = min(best, gap)
            if gap <= tol or idle > PATIENCE:
                break
            if idle:
                share *= 0.1
        if late():
            break
        step = model.step(point, max(SAFETY * tol, share * gap))
        if step is None:
            break
        moved, gap = step
        gained += gap
        if gap <= tol and gained >= EARNED * began and extrapolate is None:
            return moved  # what was to be gained is gained; the certificate on all features follows
        point = moved if extrapolate is None else extrapolated(problem, extrapolate, point, moved)
    return point


def extrapolated(problem: TaskProblem, extrapolate: Extrapolation, before: Point, after: Point) -> Point:
    """A point further on than `after` where the objective is lower there: majorised losses take short steps."""
    flat = [np.concatenate([p.coef.ravel(), p.intercept]) for p in (before, after)]
    trial = extrapolate(flat[1], flat[1] - flat[0])
    coef = trial[: after.coef.size].reshape(after.coef.shape)
    further = Point(coef, trial[after.coef.size :], problem.design.predict(coef))
    return further if objective(problem, further) < objective(problem, after) else after


def objective(problem: TaskProblem, point: Point) -> float:
    """Loss plus penalty; infinite outside the penalty's domain."""
    loss = problem.loss_value(point.fitted + problem.design.spread(point.intercept))
    return loss + problem.penalty.value(point.coef)


def _sweep(
    quadratic: Quadratic, shrink: BlockShrink, kernels: Any, target: float, late: Callable[[], bool]
) -> None:
    """Sweep to a gap of `target`, with a second-order finish each time that as many epochs again were not enough."""
    left, epochs, cost = MAX_EPOCHS, FIRST_EPOCHS, finish_cost(shrink)
    while True:
        done = kernels.sweep(quadratic, shrink, target, min(epochs, left))
        left -= epochs
        if done.gap <= target or left <= 0 or late():
            return
        if np.isfinite(cost(quadratic.coef, int(np.count_nonzero(quadratic.coef.any(axis=1))))):
            quadratic.coef[...] = finish(quadratic, shrink, target)
            curved = np.matmul(quadratic.gram, quadratic.coef.T[:, :, None])[:, :, 0].T
            quadratic.gradient[...] = quadratic.linear - quadratic.scale * curved
        epochs *= 2


class Model:
    """The quadratic model of a problem, its nuisance parameters eliminated."""

    def __init__(self, problem: TaskProblem, kernels: Any, late: Callable[[], bool]) -> None:
        self.problem, self.kernels = problem, kernels
        self.late = late
        form, bare = problem.penalty.lower(problem.design.p), len(problem.free)
        self.shrink = form and BlockShrink(
            form.ptr[bare:] - bare, form.l1[bare:], form.l2[bare:], form.ridge[bare:], form.positive
        )
        self.damping = DAMPING
        self.point: Point | None = None
        self.has_lost_digits = False

    def step(self, point: Point, target: float) -> tuple[Point, float] | None:
        """The next point, from the minimiser of the model to a gap of `target`, and the decrease that the model promised.

        None when no decrease was found.
        """
        move, slide, predicted = self.direction(point, target)
        return self.searched(point, move, slide, predicted)

    def expand(self, point: Point) -> None:
        """First and second derivatives of the loss at a point; kept for one that they were formed at last."""
        if point is self.point:
            return
        problem, self.point = self.problem, point
        Z = point.fitted + problem.design.spread(point.intercept)
        self.pull = problem.omega * problem.loss_gradient(Z)
        self.weight = np.maximum(problem.omega * problem.loss_hessian(Z), self._floor() * problem.omega)
        self.curvature = self._curvature(self.weight)

    def direction(self, point: Point, target: float) -> tuple[Array, Array, float]:
        """Moves of coefficients (q, t) and intercepts (t,) to the minimiser of the model, and the loss's slope along them."""
        self.expand(point)
        problem, bare = self.problem, len(self.problem.free)
        pull, weight, (gram, cross, own) = self.pull, self.weight, self.curvature
        gradient = problem.design.correlate(pull)
        down = -nuisance(problem).correlate(pull)  # (f, t), as `own` is (t, f, f) and `cross` (t, f, s)
        shift = solve(own, down)
        linear = -gradient[bare:] - np.einsum("tfs,ft->st", cross, shift)
        W = point.coef[bare:]
        curved = np.matmul(gram, W.T[:, :, None])[:, :, 0].T
        ratio = np.where(weight > 0, pull, 0.0) / np.where(weight > 0, weight, 1.0)
        square = float(pull @ ratio) - float(np.vdot(down, shift))
        constant = 0.5 * max(square, 0.0) + float(np.vdot(W, linear)) + 0.5 * float(np.vdot(W, curved))
        quadratic = Quadratic(
            gram, np.ones(gram.shape[0]), np.asfortranarray(linear + curved), np.asfortranarray(linear),
            np.array(W, order="F"), constant,
        )  # fmt: skip
        if self.shrink is not None:
            _sweep(quadratic, self.shrink, self.kernels, target, self.late)
        else:
            rounding = EPS if problem.is_quadratic else float(np.finfo(np.float32).eps)
            douglas_rachford(quadratic, problem.penalty, target, MAX_EPOCHS, self.late, rounding)
        change = quadratic.coef - W
        nuisance_change = shift - solve(own, np.einsum("tfs,st->ft", cross, change))
        ones = int(problem.fit_intercept)
        move = np.concatenate([nuisance_change[ones:], change])
        slide = nuisance_change[0] if ones else np.zeros(problem.n_tasks)
        predicted = float(np.vdot(gradient, move)) - float(down[0] @ slide if ones else 0.0)
        return move, slide, predicted

    def _floor(self) -> float:
        return 0.0 if self.problem.is_quadratic else self.damping

    def _curvature(self, weight: Array) -> tuple[Array, Array, Array]:
        """Gram matrices (t, s, s) of the penalised features less what the nuisance parameters explain, and what that took."""
        problem, own = self.problem, nuisance(self.problem)
        bare, ones = len(problem.free), int(problem.fit_intercept)
        # The line search and the certificates make up for what float32 rounds off a model.
        gram = problem.design.grams(weight, single=not problem.is_quadratic)
        metric = own.grams(weight)
        cross = np.empty((problem.n_tasks, metric.shape[1], gram.shape[1] - bare))
        cross[:, ones:] = gram[:, :bare, bare:]
        gram = np.ascontiguousarray(gram[:, bare:, bare:])
        diagonal = np.einsum("tjj->tj", gram)
        before = diagonal.copy()
        if ones:
            cross[:, 0] = problem.design.correlate(weight)[bare:].T
        if cross.shape[1] == 1:
            share = np.where(metric[:, 0] > 0, 1.0 / np.where(metric[:, 0] > 0, metric[:, 0], 1.0), 0.0)
            gram -= cross[:, 0, :, None] * (share * cross[:, 0])[:, None, :]
        elif cross.shape[1] and cross.shape[2]:
            explained = np.stack([solve(metric, cross[:, :, j].T).T for j in range(cross.shape[2])], axis=2)
            gram -= np.einsum("tfs,tfr->tsr", cross, explained)
        if cross.shape[1] and gram.size:
            # Differences of large numbers: what rounding may take from the curvature is given back.
            diagonal += (4.0 * len(before.T) + 32.0) * EPS * before
            self.has_lost_digits = bool((before > LOST * diagonal).any())
        return gram, cross, metric

    def searched(
        self, point: Point, move: Array, slide: Array, predicted: float
    ) -> tuple[Point, float] | None:
        """Backtrack from the full step until the objective decreases as a share of the model's promise."""
        problem, penalty = self.problem, self.problem.penalty
        Z = point.fitted + problem.design.spread(point.intercept)
        path = problem.design.predict(move)
        along = path + problem.design.spread(slide)
        before, start = problem.loss_value(Z), penalty.value(point.coef)
        promise = predicted + penalty.value(point.coef + move) - start
        scale = 1.0
        noise = 4e-16 * (abs(before) + abs(start))
        while scale > 1e-10:
            coef = point.coef + scale * move
            after = problem.loss_value(Z + scale * along) + penalty.value(coef)
            if after <= before + start + SUFFICIENT * scale * min(promise, 0.0) + noise:
                self.damping = max(self.damping * (0.1 if scale == 1.0 else 10.0), LEAST_DAMPING)
                moved = Point(coef, point.intercept + scale * slide, point.fitted + scale * path)
                return moved, max(-promise, 0.0)
            scale *= 0.5
        return None
