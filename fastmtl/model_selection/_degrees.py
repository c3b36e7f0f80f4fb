"""Degrees of freedom of penalised fits: the divergence of the fitted values in the targets.

At a solution the non-zero entries of W move as if they minimised `loss + penalty` on their own, where the penalty is smooth.
With H the Hessian of the loss there and D that of the penalty, fitted values answer to targets through `H (H + D)^+`, whose
trace is the degrees of freedom. A block of norm |W_g| > 0 under the strength s has `D_g = s/|W_g| (I - u u')`, `u = W_g/|W_g|`;
the l1 part is linear and contributes nothing, a ridge r contributes `r I`. H has one block a column of W, so that only the
terms `u u'` tie columns together, one a block: the Woodbury identity takes them out, and the cost does not grow with the
square of the number of tasks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .._arrays import Array
from .._door import Opened
from .._given import to_host
from ..designs import Design, OwnDesigns
from ..path import PathResult
from ..penalties import Lowered
from ..problem import Problem

SINGULAR = 1e-12
"""Share of the largest pivot below which a matrix counts as singular."""

Grams = list[tuple[slice, Array]]
"""Columns of W with the Hessian (rows, rows) of the loss that they share."""


def degrees_of_freedom(opened: Opened, path: PathResult) -> Array:
    """Estimated degrees of freedom (A,) of every fit of a path, intercepts counted in.

    Without bias for the squared loss; for others the same with the curvature of the loss at the fit, which is the trace of the
    smoother of the last Newton step.

    Raises
    ------
    ValueError
        A joint loss, or a penalty without a block form.

    References
    ----------
    Zou, Hastie, Tibshirani (2007), "On the degrees of freedom of the lasso"; Yuan, Lin (2006), eq. 5.4, for orthonormal
    designs; Vaiter, Deledalle, Fadili, Peyre, Dossal (2017), "The degrees of freedom of partly smooth regularizers",
    theorem 2, for any design.
    """
    problem: Any = opened.problem
    if problem.penalty.lower(problem.design.p) is None:
        raise ValueError(
            f"degrees of freedom are known for block penalties and the trace norm, not for {problem.penalty.name!r}; "
            "use cross_validate"
        )
    if any(part.loss.joint for part in getattr(problem, "parts", ())):
        raise ValueError("degrees of freedom are not known for the multinomial loss; use cross_validate")
    intercepts = int((_column_weights(problem) > 0).sum()) if problem.fit_intercept else 0
    fixed = None
    if _is_quadratic(problem):
        every = np.unique(np.concatenate([*path.rows, np.empty(0, dtype=np.int64)])).astype(np.int64)
        fixed = every, list(_grams(problem, every, None))
    out = []
    for i, rows in enumerate(path.rows):
        form: Any = problem.penalty.with_alpha(float(path.alphas[i])).lower(problem.design.p)
        coef = opened.standardized(np.asarray(to_host(path[i].coef)))
        if fixed is None:
            Z = problem.design.predict(coef) + problem.design.spread(path.fits[i].intercept)
            grams = list(_grams(problem, rows, problem.loss_hessian(Z)))
        else:
            place = np.searchsorted(fixed[0], rows)
            grams = [(columns, G[np.ix_(place, place)]) for columns, G in fixed[1]]
        out.append(intercepts + (_trace(form, rows, coef[rows], grams) if len(rows) else 0.0))
    return np.array(out)


def parameters_of_rank(opened: Opened, path: PathResult) -> Array:
    """Number of free parameters (A,) of matrices of the rank of every fit: `r (rank X + t - r)`, and the intercepts.

    It ignores what the trace norm shrinks, and so counts more than the divergence would.

    References
    ----------
    Reinsel, Velu (1998), "Multivariate reduced-rank regression", section 2.3.
    """
    design, t = opened.problem.design, opened.problem.n_tasks
    least = min(design.p, design.shape[0] // (1 if isinstance(opened.problem, Problem) else t))
    rank = np.array([fit.rank for fit in path])
    return rank * (least + t - rank) + (t if opened.problem.fit_intercept else 0)


def _is_quadratic(problem: Any) -> bool:
    """Whether the Hessian of the loss is the same at every fit."""
    return isinstance(problem, Problem) or problem.is_quadratic


def _column_weights(problem: Any) -> Array:
    return np.ones(problem.n_tasks) if isinstance(problem, Problem) else problem.weight


def _grams(problem: Any, rows: Array, curvature: Array | None) -> Iterator[tuple[slice, Array]]:
    """Hessians of the loss in some rows of W, with the intercepts eliminated."""
    if isinstance(problem, Problem):
        weight = np.broadcast_to(np.asarray(problem.omega, dtype=np.float64), (problem.design.n,))
        yield slice(0, problem.n_tasks), _gram(problem.design, rows, weight, problem.fit_intercept)
        return
    weights = problem.omega if curvature is None else problem.omega * curvature
    design, last = problem.design, None
    for c in range(design.t):
        weight = weights[design.ptr[c] : design.ptr[c + 1]]
        if isinstance(design, OwnDesigns):
            base: Design = design.bases[np.searchsorted(design.first, c, side="right") - 1]
            G = _gram(base, rows, weight, problem.fit_intercept)
        elif last is not None and np.array_equal(weight, last[0]):
            G = last[1]
        else:
            G = _gram(design.base, rows, weight, problem.fit_intercept)
        last = weight, G
        yield slice(c, c + 1), G


def _gram(design: Design, rows: Array, weight: Array, centred: bool) -> Array:
    columns = design.take(rows)
    total = weight.sum()
    if centred and total > 0:
        columns -= (columns @ weight / total)[:, None]
    return (columns * weight) @ columns.T


def _trace(form: Lowered, rows: Array, coef: Array, grams: Grams) -> float:
    """The trace of `H (H + D)^+` over the non-zero entries of some rows of W (rows, t)."""
    order = np.arange(len(form.l1)) if form.order is None else form.order
    block, l1 = np.empty(len(order), dtype=np.int64), np.empty(len(order))
    block[order] = np.repeat(np.arange(len(form.l2)), np.diff(form.ptr))
    l1[order] = form.l1
    blocks, member = np.unique(block[rows], return_inverse=True)
    norms = np.sqrt(np.bincount(member, (coef**2).sum(axis=1)))
    bend = form.l2[blocks] / norms
    diagonal = (bend + form.ridge[blocks])[member]
    tilt = (np.sqrt(bend) / norms)[member][:, None] * coef
    moves = (coef != 0) if form.positive else (coef != 0) | (l1[rows] == 0)[:, None]
    bends = bool(bend.any())
    total, K, L = 0.0, np.eye(len(blocks)), np.zeros((len(blocks), len(blocks)))
    for columns, G in grams:
        for which, kept in _alike(moves[:, columns]):
            inverse, rank = _inverse(G[np.ix_(kept, kept)] + np.diag(diagonal[kept]))
            # (H + D)^+ H = P - (H + D)^+ D with P a projection, and so on: a diagonal D in products in place of H.
            total += len(which) * (rank - float(np.diag(inverse) @ diagonal[kept]))
            if bends:
                turned = tilt[kept][:, columns][:, which]
                pairs, root = turned @ turned.T, inverse * np.sqrt(diagonal[kept])
                K -= _by_block(inverse * pairs, member[kept], len(blocks))
                L += _by_block((inverse - root @ root.T) * pairs, member[kept], len(blocks))
    return total + float(np.vdot(_inverse(K)[0], L)) if bends else total


def _by_block(A: Array, member: Array, count: int) -> Array:
    """Sums (count, count) of a matrix over pairs of blocks."""
    if np.array_equal(member, np.arange(count)):
        return A
    into = np.equal.outer(np.arange(count), member).astype(np.float64)
    return into @ A @ into.T


def _alike(moves: Array) -> Iterator[tuple[Array, Array]]:
    """Columns with the same non-zero rows, and those rows."""
    if moves.all():
        yield np.arange(moves.shape[1]), np.arange(len(moves))
        return
    for c in range(moves.shape[1]):
        yield np.array([c]), np.flatnonzero(moves[:, c])


def _inverse(M: Array) -> tuple[Array, int]:
    """Inverse of a symmetric non-negative matrix, or its pseudo-inverse when it is singular, and its rank."""
    if not len(M):
        return M, 0
    from scipy.linalg import lapack as wrappers

    lapack: Any = wrappers  # made at build time, no type stubs
    factor, failed = lapack.dpotrf(M, lower=1)
    pivots = np.diag(factor) ** 2
    if failed or pivots.min() <= SINGULAR * pivots.max():
        inverse = np.linalg.pinv(M, rcond=SINGULAR, hermitian=True)
        return inverse, round(float(np.vdot(inverse, M)))
    lower = np.tril(lapack.dpotri(factor, lower=1)[0])
    return lower + np.tril(lower, -1).T, len(M)
