"""The certificate for losses other than the squared one.

For any theta whose weighted columns sum to zero (intercepts),

    D(theta) = -sum omega [ loss*(-theta; y) + theta o ] - penalty*(V),    V = X' (omega theta)

bounds the optimum from below (Fenchel-Rockafellar). The point used is `-loss'` at refitted intercepts, scaled into the domain
of the penalty's conjugate; scaling towards zero stays in the domain of the loss's, which is convex and holds zero.
"""

from __future__ import annotations

import math

import numpy as np

from ._arrays import Array
from .certificate import Bound, Check, assemble_certificate, evaluate
from .loss_problem import LossProblem
from .problem import Problem


def evaluate_loss(
    problem: LossProblem, coef: Array, intercept: Array, candidate: Array | None = None
) -> Check:
    """Certify coefficients (p, t) and intercepts (t,) against the data; `candidate` (n, t) is another dual point to try."""
    coef = np.asarray(coef, dtype=np.float64)
    fitted = problem.design.predict(coef) if coef.any() else np.zeros(problem.Y.shape)
    loss = problem.loss_value(fitted + np.asarray(intercept, dtype=np.float64))
    theta = problem.dual_direction(fitted)
    V = problem.correlate(theta)
    bound = loss_bound(problem, theta, V)
    direction = theta
    if candidate is not None:
        other = problem.feasible(np.asarray(candidate, dtype=np.float64))
        tried = loss_bound(problem, other, problem.correlate(other))
        if tried.value > bound.value:
            bound, direction = tried, other
    primal = loss + problem.penalty.value(coef)
    certificate = assemble_certificate(
        primal, bound, problem.null_value, scale=abs(primal) + 2.0 * abs(bound.value), is_zero=not coef.any()
    )
    return Check(certificate, V, theta, problem.weighted(direction), bound, loss)


def loss_bound(problem: LossProblem, theta: Array, V: Array) -> Bound:
    """The dual value at `a theta`, a the largest scale up to 1 that the penalty allows; never below zero, as P is not."""
    limit, conjugate = problem.penalty.conjugate_along(V)
    a = min(1.0, limit)
    w = problem.sample_weights
    left = float(np.abs(w @ theta).max()) if problem.fit_intercept else 0.0
    values = problem.loss.conjugate(problem.Y, -a * theta)
    value = -float(w @ values.reshape(len(values), -1).sum(axis=1)) - conjugate(a)
    if problem.offset is not None:
        value -= a * float(np.vdot(w[:, None] * theta, problem.offset))
    if not math.isfinite(value) or value < 0.0:
        value, a = 0.0, 0.0
    return Bound(value, a, 0.0, 0.0, left)


def check_point(
    problem: Problem, coef: Array, intercept: Array, rows: Array | None = None, candidate: Array | None = None
) -> Check:
    """The check of coefficients for whichever loss the problem has; parameters as in `certificate.evaluate`."""
    if not isinstance(problem, LossProblem):
        return evaluate(problem, coef, intercept, rows, candidate)
    if rows is not None:
        full = np.zeros((problem.design.p, problem.n_tasks))
        full[rows] = coef
        coef = full
    return evaluate_loss(problem, coef, intercept, candidate)
