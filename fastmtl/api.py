"""The doors: fit, alpha_max, certify (fit_path lives in `path`)."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ._arrays import as_ndarray
from ._door import Opened, open_problem
from ._low_rank import LowRank
from ._progress import progress_bar
from ._status import ConvergenceWarning, FitInterrupted
from .backend import choose_backend, limit_threads
from .certificate import Certificate, evaluate
from .penalties import Penalty
from .result import FitResult
from .solvers import InterruptedRun, Monitor, Outcome, Settings, choose


def fit(
    X: Any,
    Y: Any,
    penalty: str | Penalty = "l21",
    *,
    alpha: float | None = None,
    loss: Any = "squared",
    sample_weight: Any = None,
    task_weight: Any = None,
    offset: Any = None,
    task: Any = None,
    fit_intercept: bool = True,
    standardize: bool = False,
    scale: str = "mean",
    solver: str = "auto",
    backend: str = "auto",
    tol: float = 1e-6,
    max_iter: int = 1000,
    n_threads: int | None = None,
    warm_start: Any = None,
    time_limit: float | None = None,
    callback: Callable[[dict[str, Any]], Any] | None = None,
    verbose: bool = False,
) -> FitResult:
    """Fit a multi-task model at one strength of its penalty, with a certificate.

    Minimises `sum_it omega_i (y_it - o_it - x_i w_t - b_t)^2 / 2 + penalty(W)` with `omega_i = s_i / sum(s)`; unweighted
    that is `|Y - XW - 1b'|^2 / (2n) + penalty(W)`, scikit-learn's scale.

    Parameters
    ----------
    X : array of shape (n, p)
        Any real dtype and layout, memory-mapped or scipy.sparse; a pandas or polars frame. Never written to or copied whole.
    Y : array of shape (n, t) or (n,)
        Targets; a vector is one task.
    penalty : str or Penalty
        `"l21"` (multi-task Lasso), `"l1"`, `"sparse_group"`, or an object of `fastmtl.penalties`.
    alpha : float, optional
        Strength, >= 0, unless the penalty object has one; see `fastmtl.alpha_max`.
    loss : str or Loss
        `"squared"`.
    sample_weight : array of shape (n,), optional
        Non-negative; an integer weight is a repeated row, zero a dropped one.
    task_weight, task : None
        Not supported in this version.
    offset : array of shape (n, t), (n, 1) or (n,), optional
        Known part of the prediction.
    fit_intercept : bool
        Fit an unpenalised intercept b (t,); X is centred lazily, sparse X stays sparse.
    standardize : bool
        Penalise D W with D the (weighted) standard deviations of the columns; `coef` is in the units of X all the same.
    scale : {"mean", "sum"}
        Whether the loss is averaged over the samples (default) or summed.
    solver : {"auto"}
        Which algorithm; the table of solvers decides.
    backend : {"auto", "cpu", "gpu"}
        An explicit request that cannot be met raises.
    tol : float
        Bound on the relative duality gap, gap / P(0).
    max_iter : int
        Bound on outer iterations.
    n_threads : int, optional
        BLAS threads; None leaves them as they are.
    warm_start : FitResult or array of shape (p, t), optional
        Coefficients to start from.
    time_limit : float, optional
        Seconds after which the best iterate is returned.
    callback : callable, optional
        Called every outer iteration with a dict (iteration, gap, relative_gap, n_active, seconds); a true answer stops.
    verbose : bool
        Show progress on stderr.

    Returns
    -------
    FitResult

    Raises
    ------
    ValueError, TypeError
        Bad input, naming the argument.
    FitInterrupted
        Ctrl-C, with `.result` the best fit so far.

    Warns
    -----
    ConvergenceWarning
        The run ended before the gap reached `tol`.
    """
    started = time.perf_counter()
    check_controls(solver, tol, max_iter, time_limit, n_threads, callback)
    opened = open_problem(
        X, Y, penalty, alpha=alpha, loss=loss, sample_weight=sample_weight, task_weight=task_weight, offset=offset,
        task=task, fit_intercept=fit_intercept, standardize=standardize, scale=scale,
    )  # fmt: skip
    kernels, name, reason = choose_backend(backend)
    start = as_start(warm_start, opened)
    deadline = np.inf if time_limit is None else started + time_limit
    with limit_threads(n_threads), progress_bar(verbose) as bar, np.errstate(all="ignore"):
        monitor = Monitor(deadline, callback, bar, started)
        settings = Settings(kernels, float(tol), int(max_iter), monitor)
        try:
            outcome = choose(opened.problem, settings).run(opened.problem, start)
        except InterruptedRun as stop:
            partial = stop.outcome
            raise FitInterrupted(
                "fit was interrupted; the best fit so far is in .result", lambda: as_result(opened, partial(), name, reason, monitor)
            ) from None
    result = as_result(opened, outcome, name, reason, monitor)
    warn_unless_converged(outcome, tol)
    return result


def alpha_max(
    X: Any,
    Y: Any,
    penalty: str | Penalty = "l21",
    *,
    loss: Any = "squared",
    sample_weight: Any = None,
    task_weight: Any = None,
    offset: Any = None,
    task: Any = None,
    fit_intercept: bool = True,
    standardize: bool = False,
    scale: str = "mean",
) -> float:
    """Smallest alpha at which all penalised coefficients are zero.

    Computed from the gradient at the null fit (intercepts and unpenalised features fitted) and rounded up by a few units in
    the last place, so that W = 0 holds at it. Parameters are those of `fit`; an alpha inside the penalty is ignored.

    Returns
    -------
    float
        0 when nothing is penalised.

    Raises
    ------
    ValueError
        `l1_ratio=0`, for which no such alpha exists; bad input as in `fit`.
    """
    opened = open_problem(
        X, Y, penalty, loss=loss, sample_weight=sample_weight, task_weight=task_weight, offset=offset, task=task,
        fit_intercept=fit_intercept, standardize=standardize, scale=scale, need_alpha=False,
    )  # fmt: skip
    with np.errstate(all="ignore"):
        return problem_alpha_max(opened)


def problem_alpha_max(opened: Opened) -> float:
    """alpha_max of an opened problem; what is not finite in X is reported here."""
    unit = opened.with_penalty(opened.problem.penalty.with_alpha(1.0)).problem
    V = unit.null_gradient()
    if not np.isfinite(V).all():
        unit.design.check_finite()
        raise ValueError("X'Y overflows float64; scale X or Y down")
    return unit.penalty.alpha_max(V)


def certify(
    X: Any,
    Y: Any,
    W: Any,
    intercept: Any = None,
    penalty: str | Penalty = "l21",
    *,
    alpha: float | None = None,
    dual: Any = None,
    loss: Any = "squared",
    sample_weight: Any = None,
    task_weight: Any = None,
    offset: Any = None,
    task: Any = None,
    fit_intercept: bool = True,
    standardize: bool = False,
    scale: str = "mean",
) -> Certificate:
    """Certify any coefficients, also ones computed elsewhere, against the data.

    Parameters
    ----------
    X, Y, penalty, alpha, loss, sample_weight, task_weight, offset, task, fit_intercept, standardize, scale
        The problem, as in `fit`.
    W : array of shape (p, t) or (p,)
        Coefficients in the units of X.
    intercept : array of shape (t,) or float, optional
        Intercepts; zero when left out.
    dual : array of shape (n, t), optional
        A candidate dual point; never trusted, its feasibility is recomputed and the better bound counts.

    Returns
    -------
    Certificate
        In float64, whatever the dtypes.

    Raises
    ------
    ValueError, TypeError
        Bad input, naming the argument.
    """
    opened = open_problem(
        X, Y, penalty, alpha=alpha, loss=loss, sample_weight=sample_weight, task_weight=task_weight, offset=offset,
        task=task, fit_intercept=fit_intercept, standardize=standardize, scale=scale,
    )  # fmt: skip
    problem = opened.problem
    coef = as_coefficients(W, problem.design.p, problem.n_tasks, "W")
    if opened.divisor is not None:
        coef = coef * opened.divisor[:, None]
    b = np.zeros(problem.n_tasks) if intercept is None else np.atleast_1d(as_ndarray(intercept, "intercept").astype(np.float64))
    if b.shape != (problem.n_tasks,):
        raise ValueError(f"intercept has shape {b.shape}, ({problem.n_tasks},) was expected: one a task")
    candidate = None
    if dual is not None:
        candidate = as_coefficients(dual, problem.design.n, problem.n_tasks, "dual")
    if not problem.fit_intercept and b.any():
        raise ValueError("intercept is not zero but fit_intercept=False; pass fit_intercept=True or leave the intercept out")
    with np.errstate(all="ignore"):
        check = evaluate(problem, coef, b, candidate=candidate)
    if not np.isfinite(check.scores).all():
        problem.design.check_finite()
    return check.certificate


def check_controls(solver: str, tol: Any, max_iter: Any, time_limit: Any, n_threads: Any, callback: Any) -> None:
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
    A = as_ndarray(W, name).astype(np.float64)
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
    coef = as_coefficients(warm_start.coef if is_result else warm_start, problem.design.p, problem.n_tasks, "warm_start")
    if opened.divisor is not None:
        coef = coef * opened.divisor[:, None]
    excluded = problem.penalty.excluded(problem.design.p)
    if excluded.any():
        coef = np.where(excluded[:, None], 0.0, coef)
    return coef, np.asarray(warm_start.intercept, dtype=np.float64) if is_result else np.zeros(problem.n_tasks)


def as_result(opened: Opened, outcome: Outcome, backend: str, reason: str, monitor: Monitor) -> FitResult:
    """A solver's outcome in the caller's terms."""
    return FitResult(
        coef=_rescaled(outcome.coef, opened).astype(opened.problem.design.dtype, copy=False),
        intercept=outcome.intercept,
        penalty=str(opened.problem.penalty),
        status=outcome.status,
        certificate=outcome.certificate,
        n_iter=outcome.n_iter,
        n_observed=opened.n_observed,
        backend=backend,
        backend_reason=reason,
        seconds=time.perf_counter() - monitor.started,
        feature_names=opened.features,
        task_names=opened.tasks,
        is_1d=opened.is_1d,
        history=tuple(monitor.history),
        dual=None if outcome.dual is None else outcome.dual(),
        low_rank=None if outcome.factors is None else LowRank(_rescaled(outcome.factors[0], opened), outcome.factors[1]),
    )


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
