"""The certificate: a duality gap recomputed from the original data, sharing no line with any solver loop.

For squared loss, any theta (n, t) with `sum_i omega_i theta_it = 0` (intercepts) and `X_free' (omega theta) = 0` gives

    D(theta) = <omega theta, y> - 1/2 <omega theta, theta> - penalty*(V),    V = X' (omega theta)

and P(W, b) - D(theta) bounds the distance of (W, b) from the optimum. The residual, projected onto the equality
constraints and scaled into the domain of the conjugate, is the point used (Bonnefoy et al. 2015; Ndiaye et al. 2017,
"Gap safe screening rules for sparsity enforcing penalties", section 2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ._arrays import Array
from .problem import Problem, orthonormal, project_off

PROJECTION_ROUNDS = 20
"""Rounds of adding unpenalised non-negative features to the equality constraints; one is the rule."""
EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Certificate:
    """Proof of how far a fit can be from the optimum.

    Attributes
    ----------
    primal, dual : float
        Objective of the coefficients and a lower bound on the optimum, on the scale of the objective.
    gap : float
        `primal - dual`.
    relative_gap : float
        `gap / P(0)`, with P(0) the least loss over intercepts at W = 0; free of the units of X and Y.
    infeasibility : float
        Largest violation that the dual point has left in the constraints of unpenalised features (rounding).
    scale : float
        Sum of the absolute terms of primal and dual over P(0): what rounding errors are relative to.
    """

    primal: float
    dual: float
    gap: float
    relative_gap: float
    infeasibility: float = 0.0
    scale: float = 0.0


@dataclass(frozen=True)
class Bound:
    """The best dual value `a cross - a^2 square / 2 - penalty*(a V)` along one direction, and the `scale` a it is at."""

    value: float
    scale: float
    cross: float
    square: float
    infeasibility: float


@dataclass(frozen=True)
class Check:
    """A certificate with what was computed on the way and what solvers go on from.

    `residual` (n, t) is the weighted residual less its part in the span of the unpenalised columns, `scores` (p, t) its
    V = X'(omega residual); `bound.scale * direction` (n, t) is the weighted dual point that the bound was taken at;
    `loss` is the data term of the primal; `norms` are the penalty's `block_norms` of the scores, None where it has none.
    """

    certificate: Certificate
    scores: Array
    residual: Array | None
    direction: Array | None
    bound: Bound
    loss: float
    norms: Array | None = None


def evaluate(
    problem: Problem, coef: Array, intercept: Array, rows: Array | None = None, candidate: Array | None = None
) -> Check:
    """Certify coefficients against the data of a problem.

    Parameters
    ----------
    problem : Problem
    coef : ndarray of shape (p, t), or (len(rows), t) when `rows` is given
    intercept : ndarray of shape (t,)
    rows : ndarray of int, optional
        Features that the rows of `coef` belong to; the others are zero.
    candidate : ndarray of shape (n, t), optional
        A dual point theta to try besides the residual; its feasibility is recomputed.

    Returns
    -------
    Check
    """
    coef = np.asarray(coef, dtype=np.float64)
    if rows is not None and len(rows) == problem.design.p:
        coef, rows = _full(problem, coef, rows), None
    fitted = problem.design.predict(coef, rows) if coef.any() else np.zeros(problem.Y.shape)
    np.subtract(problem.Y, fitted, out=fitted)
    if problem.fit_intercept:
        fitted -= np.asarray(intercept, dtype=np.float64)
    residual = problem.weighted(fitted)
    loss = 0.5 * problem.unit * float(np.vdot(residual, residual))
    plain = direction = _feasible(problem, residual)
    V = problem.design.correlate(problem.weighted(plain))
    V *= problem.unit
    norms = problem.penalty.block_norms(V)
    bound = dual_bound(problem, plain, V, norms)
    if len(problem.sign_free):
        used = _full(problem, coef, rows)[problem.sign_free] > 0.0
        direction = _sign_constrained(problem, residual, used)
        bound = dual_bound(problem, direction)
    if candidate is not None:
        other = _feasible(problem, problem.weighted(np.asarray(candidate, dtype=np.float64)))
        if len(problem.sign_free):
            other = _sign_constrained(problem, other)
        tried = dual_bound(problem, other)
        if tried.value > bound.value:
            bound, direction = tried, other
    certificate = assemble(problem, loss + penalty_value(problem, coef, rows), bound, is_zero=not coef.any())
    return Check(certificate, V, plain, direction, bound, loss, norms)


def evaluate_factored(
    problem: Problem,
    factors: tuple[Array, Array],
    intercept: Array,
    propose: Callable[[Array], Array],
    enough: float = 0.0,
) -> Check:
    """Certify `W = U V'` against the data of a problem, the solver's dual point first.

    Parameters
    ----------
    problem : Problem
    factors : tuple of ndarray of shape (p, k), (t, k)
    intercept : ndarray of shape (t,)
    propose : callable
        Given the residual (n, t), a dual point theta (n, t); its feasibility is recomputed.
    enough : float
        Absolute gap at which the residual itself, another pass over the data, is not tried as well.

    Returns
    -------
    Check
        `scores` belong to `direction`; `residual` is None unless it was tried.
    """
    U, V = (np.asarray(M, dtype=np.float64) for M in factors)
    # Arrays of Y's size are what this costs beside the products: no more of them than needed.
    left = problem.design.predict(U) @ V.T
    np.subtract(problem.Y, left, out=left)
    left -= np.asarray(intercept, dtype=np.float64)
    weighted = problem.weighted(left)
    loss = 0.5 * problem.unit * float(np.vdot(weighted, weighted))
    primal = loss + problem.penalty.value_of_factors(U, V)
    direction = _feasible(problem, problem.weighted(propose(left)))
    scores = problem.unit * problem.design.correlate(problem.weighted(direction))
    bound, plain = dual_bound(problem, direction, scores), None
    if not primal - bound.value <= enough:
        plain = _feasible(problem, weighted)
        plain_scores = problem.unit * problem.design.correlate(problem.weighted(plain))
        tried = dual_bound(problem, plain, plain_scores)
        if tried.value > bound.value:
            bound, direction, scores = tried, plain, plain_scores
    is_zero = not (U.any() and V.any())
    return Check(assemble(problem, primal, bound, is_zero=is_zero), scores, plain, direction, bound, loss)


def recheck(problem: Problem, check: Check, coef: Array, rows: Array) -> Check:
    """The check of the same coefficients under another strength of the penalty: no pass over the data."""
    bound = scaled_bound(problem, check.scores, check.bound.cross, check.bound.square, check.norms)
    if len(problem.sign_free) and check.direction is not None:
        bound = dual_bound(problem, check.direction)
    primal = check.loss + penalty_value(problem, coef, rows)
    certificate = assemble(problem, primal, bound, is_zero=not coef.any())
    return Check(certificate, check.scores, check.residual, check.direction, bound, check.loss, check.norms)


def assemble(
    problem: Problem, primal: float, bound: Bound, *, is_zero: bool, allowance: float = 0.0
) -> Certificate:
    """A certificate from its two bounds; `allowance` (absolute) is added to the gap for rounding known to be there."""
    data = 0.5 * problem.unit * float(np.vdot(problem.target, problem.target))
    scale = abs(primal) + 2.0 * abs(bound.value) + data
    return assemble_certificate(
        primal, bound, problem.null_value, scale=scale, is_zero=is_zero, allowance=allowance
    )


def assemble_certificate(
    primal: float, bound: Bound, null: float, *, scale: float, is_zero: bool, allowance: float = 0.0
) -> Certificate:
    """A certificate relative to the `null` value P(0); `scale` is the sum of the absolute terms behind the gap."""
    # Beyond rounding, a dual value above the primal is arithmetic that failed: it must not read as a gap of zero.
    gap = abs(primal - bound.value) + allowance if math.isfinite(primal) else math.inf
    relative = gap / null if null > 0.0 else 0.0 if is_zero else math.inf
    return Certificate(primal, bound.value, gap, relative, bound.infeasibility, scale / (null or 1.0))


def penalty_value(problem: Problem, coef: Array, rows: Array | None) -> float:
    """The penalty at coefficients of some rows, all others zero."""
    return (
        problem.penalty.value(coef)
        if rows is None
        else problem.penalty.value_on(coef, rows, problem.design.p)
    )


def _full(problem: Problem, coef: Array, rows: Array | None) -> Array:
    if rows is None:
        return coef
    full = np.zeros((problem.design.p, coef.shape[1]))
    full[rows] = coef
    return full


def dual_bound(
    problem: Problem, direction: Array, V: Array | None = None, norms: Array | None = None
) -> Bound:
    """Best dual value along a direction (n, t), in weighted units, that satisfies the equality constraints.

    `V` is `X' (omega direction)` and `norms` its block norms, when they are known already. A direction that is rounding,
    as all that is left of interpolated data, breaks the constraints by its own size: it gives the bound at zero.
    """
    if V is None:
        V = problem.unit * problem.design.correlate(problem.weighted(direction))
    if not _keeps_constraints(problem, direction, V):
        return Bound(0.0, 0.0, 0.0, 0.0, 0.0)
    cross = problem.unit * float(np.vdot(direction, problem.weighted(problem.Y)))
    square = problem.unit * float(np.vdot(direction, direction))
    return scaled_bound(problem, V, cross, square, norms)


def _keeps_constraints(problem: Problem, direction: Array, V: Array) -> bool:
    """Whether a direction meets the constraints of unpenalised columns up to the rounding of its products with them."""
    free, sign_free = problem.free, problem.sign_free
    if not len(free) + len(sign_free):
        return True
    left = np.concatenate([np.abs(V[free]), np.maximum(V[sign_free], 0.0)])
    along = problem.intercept_basis.T @ direction
    size = float(np.linalg.norm(direction))
    slack = rounding(problem) * size
    sizes = problem.unit * problem.untouched_sizes
    return bool((np.linalg.norm(left, axis=1) <= slack * sizes).all() and np.linalg.norm(along) <= slack)


def rounding(problem: Problem) -> float:
    """What rounding leaves of a product of a direction with unpenalised columns that it was projected off, over both sizes.

    Columns that a rank decision dropped (see `orthonormal`) are that far from the span of the others.
    """
    count = problem.intercept_basis.shape[1] + len(problem.free) + len(problem.sign_free)
    return 16.0 * EPS * max(problem.design.n, count) * math.sqrt(count)


def scaled_bound(
    problem: Problem, V: Array, cross: float, square: float, norms: Array | None = None
) -> Bound:
    """`max_a a cross - a^2 square / 2 - penalty*(a V)` over the candidates a = 1, the vertex and the edges.

    `norms` are the block norms of V, in which unpenalised blocks count as zero, when they are known and suffice.
    """
    infeasibility = 0.0
    if len(problem.free) or len(problem.sign_free):
        left = np.abs(V[problem.free]), np.maximum(V[problem.sign_free], 0.0)
        infeasibility = max(float(part.max(initial=0.0)) for part in left)
        if norms is None:
            V = V.copy()
            V[problem.free] = 0.0
            V[problem.sign_free] = np.minimum(V[problem.sign_free], 0.0)
    value, scale = 0.0, 0.0
    if square > 0.0 and math.isfinite(cross) and math.isfinite(square):
        limit, conjugate = problem.penalty.conjugate_along(V, norms)
        scales = {min(cross / square, limit), min(1.0, limit)}
        if math.isinf(limit):
            # A tiny ridge punishes rounding of V without bound: a scale at which it is not felt is tried too.
            scales.add(min(cross / square, problem.penalty.free_scale(V, norms)))
        for a in scales:
            if a > 0.0:
                bound = a * cross - 0.5 * a * a * square - conjugate(a)
                if bound > value:
                    value, scale = bound, a
    return Bound(value, scale, cross, square, scale * infeasibility)


def _feasible(problem: Problem, direction: Array) -> Array:
    """A direction (n, t) less its part in the span of the unpenalised columns, twice: one may be all but zero beside it."""
    return project_off(project_off(direction, problem.basis), problem.basis)


def _sign_constrained(problem: Problem, residual: Array, used: Array | None = None) -> Array:
    """Project a residual so that free features under W >= 0 have V = 0 where `used` (f, t) and V <= 0 where not."""
    columns = problem.weighted(problem.design.take(problem.sign_free).T)
    if used is None:
        used = np.zeros((columns.shape[1], residual.shape[1]), dtype=bool)
    sizes, slack = np.linalg.norm(columns, axis=0), 0.25 * rounding(problem)
    out = np.empty_like(residual)
    for t in range(residual.shape[1]):
        active = used[:, t]
        for _ in range(PROJECTION_ROUNDS):
            basis = orthonormal(np.hstack([problem.intercept_basis, columns[:, active]]))
            out[:, t] = project_off(project_off(residual[:, t : t + 1], basis), basis)[:, 0]
            over = (columns.T @ out[:, t] > slack * sizes * np.linalg.norm(out[:, t])) & ~active
            if not over.any():
                break
            active = active | over
    return out
