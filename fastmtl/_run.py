"""Around a run: its settings checked, its start read, its outcome turned into a result. Shared by fits and paths."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from ._arrays import as_ndarray
from ._device_result import DeviceFitResult
from ._door import Opened, to_host
from ._low_rank import LowRank
from ._status import ConvergenceWarning
from .backend import with_fallback
from .loss_problem import LossProblem
from .result import FitResult
from .solvers import Monitor, Outcome

T = TypeVar("T")


def served(opened: Opened, run: Callable[[Opened], T]) -> tuple[T, Opened]:
    """`run(opened)`, once more on the CPU when a device fails that need not be used; with the problem it was run on."""
    used = [opened]

    def again(reason: str) -> T:
        used[0] = opened.on_cpu(reason)
        return run(used[0])

    return with_fallback(opened.backend, lambda: run(opened), again), used[0]


def problem_alpha_max(opened: Opened) -> float:
    """alpha_max of an opened problem; what is not finite in X is reported here."""
    unit = opened.with_penalty(opened.problem.penalty.with_alpha(1.0)).problem
    V = unit.null_gradient()
    if not np.isfinite(V).all():
        unit.design.check_finite()
        raise ValueError("X'Y overflows float64; scale X or Y down")
    return unit.penalty.alpha_max(V)


def check_controls(
    solver: str, tol: Any, max_iter: Any, time_limit: Any, n_threads: Any, callback: Any
) -> None:
    """Raise on settings of a run that make no sense."""
    if solver != "auto":
        raise ValueError(f"solver is {solver!r}; 'auto' is the only choice: the table of solvers decides")
    if not (isinstance(tol, (int, float, np.number)) and np.isfinite(tol) and tol >= 0):
        raise ValueError(f"tol is {tol!r}; a finite number >= 0 was expected, relative to P(0)")
    if isinstance(max_iter, bool) or not isinstance(max_iter, (int, np.integer)) or max_iter < 0:
        raise ValueError(f"max_iter is {max_iter!r}; a whole number >= 0 was expected")
    if time_limit is not None and not (isinstance(time_limit, (int, float, np.number)) and time_limit >= 0):
        raise ValueError(f"time_limit is {time_limit!r}; seconds >= 0 were expected")
    if n_threads is not None and (not isinstance(n_threads, (int, np.integer)) or n_threads < 1):
        raise ValueError(f"n_threads is {n_threads!r}; a whole number >= 1 was expected")
    if callback is not None and not callable(callback):
        raise TypeError(f"callback is {callback!r}; a callable was expected")


def as_coefficients(W: Any, rows: int, t: int, name: str) -> np.ndarray:
    """Coefficients as float64 (rows, t); a vector when t = 1."""
    A = as_ndarray(to_host(W), name).astype(np.float64)
    if A.ndim == 1:
        A = A[:, None]
    if A.shape != (rows, t):
        raise ValueError(f"{name} has shape {A.shape}, ({rows}, {t}) was expected")
    if not np.isfinite(A).all():
        raise ValueError(f"{name} holds NaN or inf; every entry must be finite")
    return A


def as_start(warm_start: Any, opened: Opened) -> tuple[np.ndarray, np.ndarray] | None:
    """Coefficients and intercepts to start from, in the coordinates of the problem."""
    if warm_start is None:
        return None
    problem = opened.problem
    is_result = isinstance(warm_start, FitResult)
    if isinstance(warm_start, DeviceFitResult):
        warm_start = warm_start.host
    coef = as_coefficients(
        warm_start.coef if is_result else warm_start, problem.design.p, problem.n_tasks, "warm_start"
    )
    if opened.divisor is not None:
        coef = coef * opened.divisor[:, None]
    excluded = problem.penalty.excluded(problem.design.p)
    if excluded.any():
        coef = np.where(excluded[:, None], 0.0, coef)
    return coef, np.asarray(warm_start.intercept, dtype=np.float64) if is_result else np.zeros(
        problem.n_tasks
    )


def as_result(opened: Opened, outcome: Outcome, monitor: Monitor) -> FitResult:
    """A solver's outcome in the caller's terms, its arrays in host memory."""
    return FitResult(
        coef=_rescaled(outcome.coef, opened).astype(opened.problem.design.dtype, copy=False),
        intercept=outcome.intercept,
        penalty=str(opened.problem.penalty),
        status=outcome.status,
        certificate=outcome.certificate,
        n_iter=outcome.n_iter,
        n_observed=opened.n_observed,
        backend=opened.backend.name,
        backend_reason=opened.backend.reason,
        seconds=time.perf_counter() - monitor.started,
        feature_names=opened.features,
        task_names=opened.tasks,
        is_1d=opened.is_1d,
        history=tuple(monitor.history),
        dual=None if outcome.dual is None else outcome.dual(),
        loss=opened.problem.loss.name if isinstance(opened.problem, LossProblem) else "squared",
        low_rank=None
        if outcome.factors is None
        else LowRank(_rescaled(outcome.factors[0], opened), outcome.factors[1]),
    )


def handed_back(result: FitResult, opened: Opened) -> FitResult:
    """The result with its arrays where X lives."""
    return result if opened.library is None else DeviceFitResult.of(result, opened.library)


def _rescaled(rows: np.ndarray, opened: Opened) -> np.ndarray:
    """Rows of coefficients in the units of X."""
    return rows if opened.divisor is None else (rows / opened.divisor[:, None]).astype(rows.dtype, copy=False)


def warn_unless_converged(outcome: Outcome, tol: float) -> None:
    """One warning for a run that ended early."""
    if not outcome.status.converged:
        warnings.warn(
            f"relative gap {outcome.certificate.relative_gap:.2g} is above tol={tol:g}. {outcome.status.sentence}",
            ConvergenceWarning,
            stacklevel=3,
        )
