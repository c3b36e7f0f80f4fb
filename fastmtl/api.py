"""The doors: fit, alpha_max, certify (fit_path lives in `path`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ._arrays import as_ndarray
from ._door import Opened, open_problem
from ._given import to_host
from ._progress import progress_bar
from ._run import (
    as_coefficients,
    as_dual,
    as_representable,
    as_result,
    as_rounded,
    as_start,
    check_controls,
    handed_back,
    problem_alpha_max,
    served,
    warn_unless_converged,
)
from ._scaling import check_scores
from ._status import FitInterrupted
from ._threads import limit_threads
from .certificate import Certificate
from .easing import better
from .penalties import Penalty
from .problem import Problem
from .result import FitResult
from .solvers import InterruptedRun, Monitor, Outcome, Settings, choose
from .task_certificate import check_point


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

    Minimises `sum_t c_t sum_i s_ti loss_t(y_ti, o_ti + x_ti w_t + b_t) / N_t + penalty(W)` with N_t the sum of the weights
    s_ti of what task t observes; for one X and the squared loss that is `|Y - XW - 1b'|^2 / (2n) + penalty(W)`, scikit-learn's
    scale.

    Parameters
    ----------
    X : array of shape (n, p), or a list with an array (n_t, p) for every task
        Any real dtype and layout, memory-mapped or scipy.sparse; a pandas or polars frame. Never written to or copied whole.
    Y : array of shape (n, t) or (n,), or a list with an array (n_t,) for every task
        Targets; a vector is one task. NaN in a matrix is a gap: that sample counts nothing for that task. A task without any
        sample is legal; its column is then set by the penalty alone.
    penalty : str or Penalty
        `"l21"` (multi-task Lasso), `"l1"`, `"sparse_group"`, or an object of `fastmtl.penalties`.
    alpha : float, optional
        Strength, >= 0, unless the penalty object has one; see `fastmtl.alpha_max`.
    loss : str, Loss, or a list of those with one for every task
        `"squared"`, `"logistic"` (labels {0, 1}, {-1, 1} or bool), `"multinomial"` (one label a sample; a column of W for
        each class, `result.task_columns` says which), `"huber"`, `"poisson"` (counts, log link), or an object of
        `fastmtl.losses`, your own included. With a list, Y may be a list or a frame whose columns are of different types.
    sample_weight : array of shape (n,) or (n, t), or a list with an array (n_t,) for every task, optional
        Non-negative; an integer weight is a repeated row, zero a dropped one.
    task_weight : array of shape (t,), optional
        c_t, non-negative.
    offset : array of shape (n, t), (n, 1) or (n,), or a list with an array (n_t,) for every task, optional
        Known part of the linear prediction.
    task : array of shape (n,), optional
        The task that each row of X (n, p) and Y (n,) belongs to, by any label: the long form of tasks with rows of their own.
        Tasks are in the sorted order of their labels.
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
        Called every outer iteration with a dict (iteration, primal, gap, relative_gap, n_active, seconds); a true answer
        stops.
    verbose : bool
        Show progress on stderr.

    Returns
    -------
    FitResult

    Raises
    ------
    ValueError, TypeError
        Bad input, naming the argument.
    RuntimeError
        A `backend="gpu"` that cannot be met.
    FitInterrupted
        Ctrl-C, with `.result` the best fit so far.

    Warns
    -----
    ConvergenceWarning
        The run ended before the gap reached `tol`.
    """
    started = time.perf_counter()
    check_controls(solver, tol, max_iter, time_limit, n_threads, callback, verbose)
    opened = open_problem(
        X, Y, penalty, alpha=alpha, loss=loss, sample_weight=sample_weight, task_weight=task_weight, offset=offset,
        task=task, fit_intercept=fit_intercept, standardize=standardize, scale=scale, backend=backend, kind="fit",
    )  # fmt: skip
    deadline = np.inf if time_limit is None else started + time_limit
    with limit_threads(n_threads), progress_bar(verbose) as bar, np.errstate(all="ignore"):
        monitor = Monitor(deadline, callback, bar, started)

        def run(at: Opened) -> Outcome:
            nonlocal opened
            opened = at
            monitor.outwards = at.scaling and at.scaling.certificate
            settings = Settings(at.backend.kernels, float(tol), int(max_iter), monitor)
            outcome = choose(at.problem, settings).run(at.problem, as_start(warm_start, at))
            return as_rounded(at, as_representable(at, outcome, tol), tol)

        try:
            outcome, _ = served(opened, run)
        except InterruptedRun as stop:
            partial, at = stop.outcome, opened
            raise FitInterrupted(
                "fit was interrupted; the best fit so far is in .result",
                lambda: handed_back(as_result(at, partial(), monitor), at),
            ) from None
    result = handed_back(as_result(opened, outcome, monitor), opened)
    warn_unless_converged(outcome, tol)
    return result


def alpha_max(
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
) -> float:
    """Smallest alpha at which all penalised coefficients are zero.

    Computed from the gradient at the null fit (intercepts and unpenalised features fitted) and rounded up by a few units in
    the last place, so that W = 0 holds at it. Parameters are those of `fit`; the alpha, given here or inside the penalty, is
    ignored.

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
        X, Y, penalty, alpha=alpha, loss=loss, sample_weight=sample_weight, task_weight=task_weight, offset=offset,
        task=task, fit_intercept=fit_intercept, standardize=standardize, scale=scale, need_alpha=False,
    )  # fmt: skip
    with np.errstate(all="ignore"):
        return served(opened, problem_alpha_max)[0]


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
    dual : array of shape (n, t), or a list with one for every task, optional
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
    coef = opened.standardized(coef)
    b = (
        np.zeros(problem.n_tasks)
        if intercept is None
        else as_ndarray(to_host(intercept), "intercept").astype(np.float64)
    )
    b = np.full(problem.n_tasks, float(b.item())) if b.size == 1 else b
    if b.shape != (problem.n_tasks,):
        raise ValueError(f"intercept has shape {b.shape}, ({problem.n_tasks},) was expected: one a task")
    if not np.isfinite(b).all():
        raise ValueError("intercept holds NaN or inf; every entry must be finite")
    candidate = None
    if dual is not None:
        candidate = as_dual(dual, problem)
    if not problem.fit_intercept and b.any():
        raise ValueError(
            "intercept is not zero but fit_intercept=False; pass fit_intercept=True or leave the intercept out"
        )

    def run(at: Opened) -> Certificate:
        point: tuple[Any, ...] = (coef, b, None, candidate)
        if at.scaling is not None:
            to, theta = at.scaling, None if candidate is None else at.scaling.targets_inwards(candidate)
            point = to.inwards(coef), to.targets_inwards(b), None, theta
        check = check_point(at.problem, *point)
        check_scores(at.problem, check.scores)
        found = check.certificate
        if isinstance(at.problem, Problem):
            found = better(at.problem, found, *point)
        return found if at.scaling is None else at.scaling.certificate(found)

    with np.errstate(all="ignore"):
        return served(opened, run)[0]
