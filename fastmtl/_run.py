"""Around a run: its settings checked, its start read, its outcome turned into a result. Shared by fits and paths."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from ._arrays import as_ndarray
from ._door import Opened
from ._given import to_host
from ._library_result import LibraryFitResult
from ._low_rank import LowRank
from ._scaling import Scaling, UnevenColumns, check_scores, target_exponent
from ._settings import check_count, check_flag, check_number
from ._status import ConvergenceWarning, Status
from ._threads import threads_for
from .backend import with_fallback
from .designs.power_scaled import PowerScaledDesign
from .nuisance import null_gradient
from .penalties._rescaled import rescaled
from .problem import Problem
from .result import FitResult
from .solvers import Monitor, Outcome
from .solvers._base import verdict
from .task_certificate import check_point
from .task_problem import TaskProblem

T = TypeVar("T")


def near_one(opened: Opened, columns: np.ndarray | None = None) -> Opened:
    """The same problem with column j divided by `2^columns[j]`, and its targets by a power of two where they call for it."""
    problem = opened.problem
    if not isinstance(problem, Problem):
        return opened
    targets = 0 if isinstance(problem, TaskProblem) else target_exponent(problem)
    if columns is None and targets == 0:
        return opened
    design = problem.design if columns is None else PowerScaledDesign(problem.design, columns)
    columns = np.zeros(design.p, dtype=np.int64) if columns is None else columns
    before = opened.scaling or Scaling(np.zeros_like(columns), 0)
    scaling = Scaling(before.columns + columns, before.targets + targets)
    penalty = rescaled(problem.penalty, *scaling)
    Y = np.ldexp(problem.Y, -targets) if targets else problem.Y
    return replace(opened, problem=replace(problem, design=design, Y=Y, penalty=penalty), scaling=scaling)


def served(opened: Opened, run: Callable[[Opened], T]) -> tuple[T, Opened]:
    """`run(opened)`, with the problem it was run on.

    Once more on the CPU when a device fails that need not be used, and on scaled columns when some are too large or too
    small to be squared.
    """
    opened = near_one(opened)
    used = [opened]

    def on_cpu(reason: str) -> T:
        used[0] = opened.on_cpu(reason)
        return run(used[0])

    rows, p = opened.problem.design.shape
    columns = 1 if isinstance(opened.problem, TaskProblem) else opened.problem.n_tasks
    try:
        with threads_for(2.0 * rows * p * columns):
            return with_fallback(opened.backend, lambda: run(opened), on_cpu), used[0]
    except UnevenColumns as found:
        exponents = found.exponents
    return served(near_one(used[0], exponents), run)


def problem_alpha_max(opened: Opened) -> float:
    """alpha_max of an opened problem; what is not finite in X is reported here."""
    unit = opened.with_penalty(opened.problem.penalty.with_alpha(1.0)).problem
    V = null_gradient(unit) if isinstance(unit, TaskProblem) else unit.null_gradient()
    check_scores(unit, V)
    top = unit.penalty.alpha_max(V)
    if math.isinf(top):
        raise ValueError("alpha_max overflows float64; scale X or Y down")
    return top


def check_controls(
    solver: str, tol: Any, max_iter: Any, time_limit: Any, n_threads: Any, callback: Any, verbose: Any = False
) -> None:
    """Raise on settings of a run that make no sense."""
    if solver != "auto":
        raise ValueError(f"solver is {solver!r}; 'auto' is the only choice: the table of solvers decides")
    check_number(tol, "tol", "a finite number >= 0, relative to P(0),", lambda tol: 0 <= tol < math.inf)
    check_count(max_iter, "max_iter", least=0)
    check_flag(verbose, "verbose")
    if time_limit is not None:
        check_number(time_limit, "time_limit", "None or a number of seconds >= 0", lambda limit: limit >= 0)
    if n_threads is not None:
        check_count(n_threads, "n_threads")
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


def as_dual(dual: Any, problem: Any) -> np.ndarray:
    """A dual point in the form of Y, an array (n, t) or a list with one array a task, as the problem takes it."""
    if not isinstance(problem, TaskProblem):
        return as_coefficients(dual, problem.design.n, problem.n_tasks, "dual")
    if not isinstance(dual, (list, tuple)):
        dual = np.asarray(to_host(dual), dtype=np.float64)
        dual = [dual[:, c] for c in range(dual.shape[1])] if dual.ndim == 2 else [dual]
    flat = np.concatenate([np.ravel(as_ndarray(part, "dual"), order="F") for part in dual]).astype(np.float64)
    if flat.shape != problem.y.shape:
        raise ValueError(f"dual has {len(flat)} entries, {len(problem.y)} were expected: one a target")
    if not np.isfinite(flat).all():
        raise ValueError("dual holds NaN or inf; every entry must be finite")
    return flat


def as_start(warm_start: Any, opened: Opened) -> tuple[np.ndarray, np.ndarray] | None:
    """Coefficients and intercepts to start from, in the coordinates of the problem."""
    if warm_start is None:
        return None
    problem = opened.problem
    if isinstance(warm_start, LibraryFitResult):
        warm_start = warm_start.host
    is_result = isinstance(warm_start, FitResult)
    coef = as_coefficients(
        warm_start.coef if is_result else warm_start, problem.design.p, problem.n_tasks, "warm_start"
    )
    if problem.null_value == 0.0:
        return None  # nothing is left to explain: the answer is zero
    coef = opened.standardized(coef)
    excluded = problem.penalty.excluded(problem.design.p)
    if excluded.any():
        coef = np.where(excluded[:, None], 0.0, coef)
    intercept = np.asarray(warm_start.intercept, dtype=np.float64) if is_result else np.zeros(problem.n_tasks)
    if opened.scaling is not None:
        return opened.scaling.inwards(coef), opened.scaling.targets_inwards(intercept)
    return coef, intercept


def as_representable(opened: Opened, outcome: Outcome, tol: float) -> Outcome:
    """The outcome, its certificate taken again where coefficients cannot be held exactly in the units of X and Y."""
    scaling, problem = opened.scaling, opened.problem
    if scaling is None:
        return outcome
    dtype: Any = problem.design.dtype
    coef = scaling.outwards(outcome.coef).astype(dtype).astype(np.float64)
    intercept = scaling.targets_outwards(outcome.intercept).astype(dtype).astype(np.float64)
    if not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
        raise ValueError(f"coefficients overflow {np.dtype(dtype).name}; scale X up, or Y down")
    coef, intercept = scaling.inwards(coef), scaling.targets_inwards(intercept)
    if np.array_equal(coef, outcome.coef) and np.array_equal(intercept, outcome.intercept):
        return outcome
    return _certified_again(opened, outcome, coef, intercept, tol)


def _certified_again(
    opened: Opened, outcome: Outcome, coef: np.ndarray, intercept: np.ndarray, tol: float
) -> Outcome:
    """The outcome at other coefficients and intercepts, those that can be held."""
    certificate = check_point(opened.problem, coef, intercept).certificate
    status = outcome.status
    if status.converged:
        eps = float(np.finfo(opened.problem.design.dtype).eps)
        status = verdict(certificate, tol, eps) or Status.STALLED
    return replace(
        outcome, coef=coef, intercept=intercept, certificate=certificate, status=status, factors=None
    )


def as_rounded(opened: Opened, outcome: Outcome, tol: float) -> Outcome:
    """The outcome, its certificate taken again where float32 rounds coefficients once more on the way to the units of X."""
    if opened.divisor is None or opened.problem.design.dtype != np.float32 or not outcome.coef.any():
        return outcome
    coef = opened.standardized(opened.in_units(outcome.coef).astype(np.float64))
    again = _certified_again(opened, outcome, coef, outcome.intercept, tol)
    return replace(again, factors=outcome.factors)


def as_result(opened: Opened, outcome: Outcome, monitor: Monitor) -> FitResult:
    """A solver's outcome in the caller's terms, its arrays in host memory."""
    scaling = opened.scaling
    return FitResult(
        coef=_rescaled(outcome.coef, opened).astype(opened.problem.design.dtype, copy=False),
        intercept=outcome.intercept
        if scaling is None
        else scaling.targets_outwards(outcome.intercept).astype(outcome.intercept.dtype),
        penalty=str(opened.problem.penalty),
        status=outcome.status,
        certificate=outcome.certificate if scaling is None else scaling.certificate(outcome.certificate),
        n_iter=outcome.n_iter,
        n_observed=opened.n_observed,
        backend=opened.backend.name,
        backend_reason=opened.backend.reason,
        seconds=time.perf_counter() - monitor.started,
        feature_names=opened.features,
        task_names=opened.names,
        tasks=opened.tasks,
        is_1d=opened.is_1d,
        history=tuple(monitor.history),
        dual=_dual(outcome, opened),
        low_rank=None
        if outcome.factors is None
        else LowRank(_rescaled(outcome.factors[0], opened), outcome.factors[1]),
    )


def handed_back(result: FitResult, opened: Opened) -> FitResult:
    """The result with its arrays where X lives."""
    return result if opened.library is None else LibraryFitResult.of(result, opened.library)


def _rescaled(rows: np.ndarray, opened: Opened) -> np.ndarray:
    """Rows of coefficients in the units of X."""
    if opened.scaling is not None:
        rows = opened.scaling.outwards(rows).astype(rows.dtype, copy=False)
    return opened.in_units(rows)


def _dual(outcome: Outcome, opened: Opened) -> Any:
    if outcome.dual is None:
        return None
    theta = outcome.dual()
    return theta if opened.scaling is None else opened.scaling.targets_outwards(theta)


def warn_unless_converged(outcome: Outcome, tol: float) -> None:
    """One warning for a run that ended early."""
    if not outcome.status.converged:
        warnings.warn(
            f"relative gap {outcome.certificate.relative_gap:.2g} is above tol={tol:g}. {outcome.status.sentence}",
            ConvergenceWarning,
            stacklevel=3,
        )
