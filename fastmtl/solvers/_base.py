"""What every solver takes and gives, and the one place where tolerances are decided."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._arrays import Array
from .._status import Status
from ..certificate import Certificate, Check
from ..problem import Problem
from ..task_problem import TaskProblem

INNER_SHARE = 0.3
"""Share of the tolerance that a restricted problem may use up: what is left covers the features outside it."""
ZERO_SLACK = 1e-9
"""Share of its bound by which a score may be above it and still be called rounding."""
STALL_ROUNDS = 6
"""Outer iterations without a smaller gap after which a run is called stalled."""


@dataclass
class Monitor:
    """Watches a run: stops it on a time limit or on a callback's wish, and keeps the history.

    Attributes
    ----------
    deadline : float
        `time.perf_counter()` value after which the run ends.
    callback : callable, optional
        Called with a dict (iteration, primal, gap, relative_gap, n_active, seconds); a true answer ends the run.
    progress : callable, optional
        Called likewise for display; its answer is ignored.
    history : list of tuple
        (seconds, relative gap, active rows) at every outer iteration.
    outwards : callable, optional
        Brings a certificate of the run to the scale of the objective as the caller states it.
    """

    deadline: float = np.inf
    callback: Callable[[dict[str, Any]], Any] | None = None
    progress: Callable[[dict[str, Any]], Any] | None = None
    started: float = field(default_factory=time.perf_counter)
    history: list[tuple[float, float, int]] = field(default_factory=list)
    outwards: Callable[[Certificate], Certificate] | None = None

    def __call__(self, iteration: int, certificate: Certificate, n_active: int) -> Status | None:
        """Record one outer iteration; a status when the run must end."""
        seconds = time.perf_counter() - self.started
        self.history.append((seconds, certificate.relative_gap, n_active))
        if self.callback is not None or self.progress is not None:
            certificate = certificate if self.outwards is None else self.outwards(certificate)
            report = {
                "iteration": iteration,
                "primal": certificate.primal,
                "gap": certificate.gap,
                "relative_gap": certificate.relative_gap,
                "n_active": n_active,
                "seconds": seconds,
            }
            if self.progress is not None:
                self.progress(report)
            if self.callback is not None and self.callback(report):
                return Status.INTERRUPTED
        return Status.TIME_LIMIT if self.late() else None

    def late(self) -> bool:
        """Whether the time limit has passed."""
        return time.perf_counter() >= self.deadline


@dataclass(frozen=True)
class Settings:
    """Settings of a run.

    Attributes
    ----------
    kernels : module
        A kernel module satisfying `fastmtl_kernels._interface.Kernels`.
    tol : float
        Bound on the relative gap.
    max_iter : int
        Bound on outer iterations.
    monitor : Monitor
    """

    kernels: Any
    tol: float = 1e-6
    max_iter: int = 1000
    monitor: Monitor = field(default_factory=Monitor)


@dataclass(frozen=True)
class Outcome:
    """What a solver returns, in the coordinates of its problem.

    Attributes
    ----------
    coef : ndarray of shape (p, t)
    intercept : ndarray of shape (t,)
    certificate : Certificate
        Of exactly these coefficients.
    status : Status
    n_iter : int
        Outer iterations.
    dual : callable or None
        Gives the dual point theta (n, t) behind the bound.
    factors : tuple of ndarray of shape (p, k), (t, k), or None
        Thin factors of `coef`.
    rows : ndarray of int, or None
        Features outside which `coef` is known to be zero.
    """

    coef: Array
    intercept: Array
    certificate: Certificate
    status: Status
    n_iter: int
    dual: Callable[[], Array] | None = None
    factors: tuple[Array, Array] | None = None
    rows: Array | None = None

    @property
    def support(self) -> Array:
        """Indices of the features with a non-zero row."""
        if self.rows is None:
            return np.flatnonzero(self.coef.any(axis=1))
        return np.sort(self.rows[self.coef[self.rows].any(axis=1)])


class InterruptedRun(KeyboardInterrupt):
    """Ctrl-C inside a solver, carrying a way to its best iterate, certified."""

    def __init__(self, outcome: Callable[[], Outcome]) -> None:
        super().__init__()
        self.outcome = outcome


def verdict(certificate: Certificate, tol: float, eps: float) -> Status | None:
    """OPTIMAL within `tol`; OPTIMAL_TO_PRECISION within rounding of the dtype with that eps; None otherwise."""
    if certificate.relative_gap <= tol:
        return Status.OPTIMAL
    if np.isfinite(certificate.relative_gap) and certificate.relative_gap <= 64.0 * eps * certificate.scale:
        return Status.OPTIMAL_TO_PRECISION
    return None


def leaves_zero(problem: Problem | TaskProblem, check: Check) -> bool:
    """Whether zero is not the answer although its gap may be within the tolerance: some block's score is above its bound.

    Scores are those of `check`, taken where all penalised coefficients are zero; at `alpha_max` they are within rounding.
    """
    if problem.null_value == 0.0:
        return False
    norms = check.norms
    V = check.scores
    if norms is None:
        V = V.copy()
        V[problem.free] = 0.0
        if isinstance(problem, Problem):
            V[problem.sign_free] = 0.0
    return problem.penalty.free_scale(V, norms) < 1.0 - ZERO_SLACK
