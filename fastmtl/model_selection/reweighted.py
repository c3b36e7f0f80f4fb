"""Fits that build on other fits: adaptive weights, and concave penalties by repeated weighting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays import as_ndarray, check_finite
from .._door import open_problem
from .._given import to_host
from .._settings import check_count, check_number
from ..api import fit
from ..penalties import L21, Group, Penalty, as_penalty
from ..result import FitResult
from .concave import Concave, as_concave

LEAST_SLOPE = 1e-8
"""Slope of a concave function beside signs at least: few solvers serve features that no penalty but a sign holds."""


@dataclass(frozen=True, eq=False)
class ReweightedResult:
    """The end of a sequence of weighted fits.

    Attributes
    ----------
    fit : FitResult
        The last fit; its certificate is that of the convex problem under its own weights.
    objectives : ndarray of shape (k,)
        Non-convex objective after every fit, never increasing.
    weights : ndarray of shape (B,)
        Weights of rows or groups in the last fit.
    converged : bool
        Whether the last fit lowered the objective by no more than the accuracy of a fit. The end is a stationary point, not
        in general a minimum.
    """

    fit: FitResult
    objectives: np.ndarray
    weights: np.ndarray
    converged: bool

    @property
    def coef(self) -> np.ndarray:
        """Coefficients (p, t)."""
        return self.fit.coef

    def __repr__(self) -> str:
        end = "converged" if self.converged else "stopped"
        return (
            f"ReweightedResult: {end} after {len(self.objectives)} fits, objective {self.objectives[0]:.6g} to "
            f"{self.objectives[-1]:.6g}, {self.fit.n_active} active rows"
        )


def adaptive(pilot: Any, penalty: str | Penalty = "l21", *, power: float = 1.0) -> Penalty:
    """The penalty with weights `1 / |W_b|^power` from a pilot fit, for the doors to fit under.

    What the pilot left at zero is excluded.

    Parameters
    ----------
    pilot : FitResult or array of shape (p, t) or (p,)
        With `standardize=True` pass coefficients times the standard deviations of their columns.
    penalty : "l21", L21 or Group
        Its own weights are multiplied by those of the pilot.
    power : float
        > 0.

    Returns
    -------
    Penalty

    Raises
    ------
    ValueError, TypeError
        Bad input, naming the argument.

    References
    ----------
    Zou (2006), "The adaptive lasso and its oracle properties"; Wang, Leng (2008), "A note on adaptive group lasso".
    """
    check_number(power, "power", "a finite number > 0", lambda power: 0 < power < np.inf)
    coef = as_ndarray(to_host(getattr(pilot, "coef", pilot)), "pilot").astype(np.float64)
    coef = coef[:, None] if coef.ndim == 1 else coef
    if coef.ndim != 2:
        raise ValueError(f"pilot has shape {coef.shape}; coefficients (features, tasks) were expected")
    check_finite(coef, "pilot")
    made = _as_blocks(penalty, None)
    made.check(*coef.shape)
    base = block_weights(made, len(coef))
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = base * block_norms(made, coef) ** -power
    weights[base == 0] = 0.0
    return _weighted(made, weights)


def fit_reweighted(
    X: Any,
    Y: Any,
    concave: str | Concave = "l2_half",
    *,
    alpha: float | None = None,
    penalty: str | Penalty = "l21",
    max_fits: int = 30,
    tol: float = 1e-6,
    loss: Any = "squared",
    sample_weight: Any = None,
    task_weight: Any = None,
    offset: Any = None,
    task: Any = None,
    fit_intercept: bool = True,
    standardize: bool = False,
    scale: str = "mean",
    **run: Any,
) -> ReweightedResult:
    """Fit under a concave penalty of rows or groups: a stationary point of

        loss + alpha * sum_b v_b phi(|W_b|)

    by a sequence of weighted convex fits, the first under the weights v alone. Each fit is certified, starts from the last,
    and does not raise the objective.

    Parameters
    ----------
    concave : str or Concave
        `"l2_half"`, `"log"`, `"mcp"`, `"scad"`, or an object of `fastmtl.model_selection.concave`, such as
        `Capped(threshold=...)`.
    alpha : float
        Strength, > 0, unless the penalty has one.
    penalty : "l21", L21 or Group
        Whose norms are meant; `l1_ratio` must be 1.
    max_fits : int
        Bound on the number of fits.
    tol : float
        Of every fit; the sequence ends when the objective falls by less than `tol P(0)`.
    X, Y, loss, sample_weight, task_weight, offset, task, fit_intercept, standardize, scale
        The problem, as in `fit`.
    **run
        Other arguments of `fit`: `backend`, `max_iter`, `n_threads`, ...; `warm_start` is where the first fit starts.

    Returns
    -------
    ReweightedResult

    Raises
    ------
    ValueError, TypeError
        Bad input, naming the argument.

    References
    ----------
    Hunter, Li (2005), "Variable selection using MM algorithms"; Zou, Li (2008), "One-step sparse estimates in nonconcave
    penalized likelihood models".
    """
    shape, made = as_concave(concave), _as_blocks(penalty, alpha, need_alpha=True)
    check_count(max_fits, "max_fits")
    strength = check_number(made.alpha, "alpha", "a number > 0", lambda alpha: alpha > 0)
    problem = dict(
        loss=loss, sample_weight=sample_weight, task_weight=task_weight, offset=offset, task=task,
        fit_intercept=fit_intercept, standardize=standardize, scale=scale,
    )  # fmt: skip
    opened = open_problem(X, Y, made, backend=run.get("backend", "auto"), **problem)
    base, least = block_weights(made, opened.problem.design.p), LEAST_SLOPE if made.positive else 0.0
    best, used, weights, objectives, converged = None, base, base, [], False
    start = run.pop("warm_start", None)
    for _ in range(max_fits):
        one = fit(X, Y, _weighted(made, weights), tol=tol, warm_start=start, **problem, **run)
        coef = opened.standardized(np.asarray(to_host(one.coef), dtype=np.float64))
        norms = block_norms(made, coef)
        on = norms > 0
        change = base[on] @ shape.value(norms[on], strength) - weights[on] @ norms[on]
        objective = one.certificate.primal + strength * float(change)
        fall = objectives[-1] - objective if objectives else np.inf
        converged = fall <= tol * opened.problem.null_value
        if fall > 0:
            best = start = one
            used = weights
            objectives.append(objective)
        if converged:
            break
        with np.errstate(invalid="ignore"):
            weights = base * np.maximum(shape.slope(norms, strength), least)
        weights[base == 0] = 0.0
        weights[np.isinf(base)] = np.inf
    assert best is not None
    return ReweightedResult(best, np.array(objectives), used, converged)


def block_norms(penalty: Any, coef: np.ndarray) -> np.ndarray:
    """Norms (B,) of the rows or groups of coefficients (p, t)."""
    form = penalty.lower(len(coef))
    squares = (coef**2).sum(axis=1)
    return np.sqrt(np.add.reduceat(squares if form.order is None else squares[form.order], form.ptr[:-1]))


def block_weights(penalty: Any, p: int) -> np.ndarray:
    """Weights (B,) of the rows or groups."""
    return np.array(penalty.with_alpha(1.0).lower(p).l2)


def _as_blocks(penalty: str | Penalty, alpha: float | None, *, need_alpha: bool = False) -> Any:
    """A penalty on the norms of rows or groups alone."""
    made = as_penalty(penalty, alpha, need_alpha=need_alpha)
    if not isinstance(made, (L21, Group)):
        raise ValueError(
            f"penalty is {made.name!r}; 'l21' or a Group was expected: their blocks take weights"
        )
    if made.l1_ratio != 1.0:
        raise ValueError(
            f"penalty has l1_ratio={made.l1_ratio}; 1 was expected: weights would weigh the ridge too"
        )
    return made


def _weighted(penalty: Any, weights: np.ndarray) -> Any:
    """The penalty with other weights of its blocks."""
    if isinstance(penalty, L21):
        return L21(penalty.alpha, feature_weights=weights.tolist(), positive=penalty.positive)
    return Group(
        penalty.alpha, groups=penalty.groups, group_weights=weights.tolist(), positive=penalty.positive
    )
