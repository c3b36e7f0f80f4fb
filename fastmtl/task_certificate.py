"""The certificate of a `TaskProblem`, and the one door to the certificate of any problem.

For any theta with `A' (omega theta) = 0`, A the intercept's ones and the unpenalised columns of every task,

    D(theta) = -sum omega [ loss*(-theta; y) + theta o ] - penalty*(V),    V = X' (omega theta)

bounds the optimum from below (Fenchel-Rockafellar). The point used is `-loss'`, brought to the equality constraints and
scaled into the domain of the penalty's conjugate; scaling towards zero stays in the domain of the losses', which is convex
and holds zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._arrays import Array
from .certificate import Bound, Check, assemble_certificate, evaluate
from .nuisance import nuisance
from .problem import Problem
from .task_problem import TaskProblem

TINY = 1e-300
REFIT = 1e-6
"""Share of the weighted residuals that a column may sum to before its intercept is refitted for the dual point."""


@dataclass(frozen=True, kw_only=True)
class TaskCheck(Check):
    """A check that knows the duality gap of every component of the problem, (components,)."""

    gaps: Array


def evaluate_task(
    problem: TaskProblem, coef: Array, intercept: Array, candidate: Array | None = None
) -> TaskCheck:
    """Certify coefficients (p, t) and intercepts (t,) against the data; `candidate` (N,) is another dual point to try."""
    coef = np.asarray(coef, dtype=np.float64)
    fitted = problem.design.predict(coef) if coef.any() else problem.design.spread(np.zeros(problem.n_tasks))
    return evaluate_fitted(problem, coef, np.asarray(intercept, dtype=np.float64), fitted, candidate)


def evaluate_fitted(
    problem: TaskProblem, coef: Array, intercept: Array, fitted: Array, candidate: Array | None = None
) -> TaskCheck:
    """`evaluate_task` where the predictions of `coef` without intercepts (N,) are known already."""
    Z = fitted + problem.design.spread(intercept)
    at = _refitted(problem, fitted, intercept, Z)
    own = nuisance(problem)
    theta = own.dual_point(-problem.loss_gradient(at))
    V = problem.correlate(theta)
    points = [(theta, _without(V, problem.free), at)]
    if candidate is not None:
        other = own.dual_point(np.asarray(candidate, dtype=np.float64))
        points.append((other, _without(problem.correlate(other), problem.free), None))
    direction = np.empty_like(theta)
    losses, values, primals = [], [], []
    for columns, part in problem.components:
        rows = problem.entries(columns)
        tried = [
            (task_bound(part, a[rows], B[:, columns], None if z is None else z[rows]), a[rows])
            for a, B, z in points
        ]
        (value, scale), best = max(tried, key=lambda one: one[0][0])
        direction[rows] = scale * best
        losses.append(part.loss_value(Z[rows]))
        values.append(value)
        primals.append(losses[-1] + part.penalty.value(coef[:, columns]))
    bound = Bound(float(sum(values)), 1.0, 0.0, 0.0, own.violation(direction))
    primal = float(sum(primals))
    data = float(problem.omega @ np.abs(theta * problem.y)) if problem.is_quadratic else 0.0
    scale = abs(primal) + 2.0 * abs(bound.value) + data
    certificate = assemble_certificate(primal, bound, problem.null_value, scale=scale, is_zero=not coef.any())
    gaps = np.subtract(primals, values)
    return TaskCheck(certificate, V, theta, direction, bound, float(sum(losses)), gaps=gaps)


def _without(V: Array, rows: Array) -> Array:
    """V with some rows zero."""
    if len(rows):
        V = V.copy()
        V[rows] = 0.0
    return V


def _refitted(problem: TaskProblem, fitted: Array, intercept: Array, Z: Array) -> Array:
    """Predictions at the best intercepts; those given, where the dual point can absorb what they miss."""
    if not problem.fit_intercept:
        return Z
    pull = problem.omega * problem.loss_gradient(Z)
    missed = np.abs(problem.design.sums(pull)) > REFIT * problem.design.sums(np.abs(pull))
    if not (missed & ~problem.unbounded).any():
        return Z
    return fitted + problem.design.spread(problem.best_intercepts(fitted, intercept))


def task_bound(problem: TaskProblem, theta: Array, V: Array, Z: Array | None = None) -> tuple[float, float]:
    """The best dual value found at `a theta`, and that a; never below zero, as P is not.

    Tried are the largest a up to 1 and, where theta is the gradient at predictions Z, the vertex of the dual's parabola in a:
    its slope at 1 is `sum omega theta Z`, as the derivative of the conjugate is Z there, its curvature
    `sum omega theta^2 / loss''(Z)`. V is `X' (omega theta)`, zero at the unpenalised features.
    """
    limit, conjugate = problem.penalty.conjugate_along(V)
    weighted = problem.omega * theta
    pull = 0.0 if problem.offset is None else float(np.vdot(weighted, problem.offset))
    scales = {min(1.0, limit)}
    if Z is not None:
        hessian = np.maximum(problem.loss_hessian(Z), TINY)
        curvature = float((weighted * theta / hessian).sum())
        if 0.0 < curvature < math.inf:
            scales.add(min(1.0 + float(weighted @ Z) / curvature, limit))
    best, scale = 0.0, 0.0
    for a in scales:
        if a > 0.0:
            value = -problem.loss_conjugate(-a * theta) - conjugate(a) - a * pull
            if math.isfinite(value) and value > best:
                best, scale = value, a
    return best, scale


def task_dual_point(problem: TaskProblem, theta: Any) -> Any:
    """The direction (N,) of a check in the form of Y: (n, t), or a list with one array a task; zero at gaps."""
    return problem.design.as_given(np.where(problem.omega > 0.0, theta, 0.0))


def check_point(
    problem: Problem | TaskProblem,
    coef: Array,
    intercept: Array,
    rows: Array | None = None,
    candidate: Array | None = None,
) -> Check:
    """The check of coefficients for whichever kind of problem it is; parameters as in `certificate.evaluate`."""
    if isinstance(problem, Problem):
        return evaluate(problem, coef, intercept, rows, candidate)
    if rows is not None:
        full = np.zeros((problem.design.p, problem.n_tasks))
        full[rows] = coef
        coef = full
    return evaluate_task(problem, coef, intercept, candidate)
