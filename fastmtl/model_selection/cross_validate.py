"""Cross-validation over a path of strengths."""

from __future__ import annotations

import time
from dataclasses import fields, replace
from typing import Any

import numpy as np

from .._door import Opened, open_problem
from ..backend import limit_threads
from ..losses import Squared
from ..path import PathResult, fit_path
from ..penalties import Penalty, as_penalty
from ..penalties._base import check_fraction
from ._cv_result import RULES, CVResult
from ._errors import Error, as_error, path_errors
from ._threads import check_n_jobs, in_threads
from .folds import Fold, as_folds


def cross_validate(
    X: Any,
    Y: Any,
    penalty: str | Penalty = "l21",
    *,
    alphas: Any = None,
    n_alphas: int = 100,
    eps: float = 1e-2,
    l1_ratios: Any = None,
    cv: Any = 5,
    groups: Any = None,
    rule: str = "min",
    score: Any = None,
    n_jobs: int | None = None,
    refit: bool = True,
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
) -> CVResult:
    """Choose the strength of a penalty by its error on samples that were not fitted.

    Every fold follows a path over the same strengths on its training part, certified like any other fit, and is judged on
    its test part. The chosen strength is then fitted to all samples.

    Parameters
    ----------
    X, Y, penalty
        As in `fit`; the penalty's own alpha is ignored.
    alphas : array of shape (A,), optional
        Strengths. Left out, `n_alphas` values from alpha_max of all samples down to `eps * alpha_max`, for each l1_ratio.
    n_alphas : int
    eps : float
        In (0, 1).
    l1_ratios : array of shape (L,), optional
        Values of the penalty's `l1_ratio` (of `tau` for the sparse group penalty) to choose among.
    cv : int, splitter or iterable
        Number of contiguous folds, as in scikit-learn's `KFold`; an object with a `split(X, Y, groups)` method; or pairs
        (train, test) of indices or masks, such as the functions of `fastmtl.model_selection.folds` give.
    groups : array of shape (n,), optional
        Samples with the same label stay on one side of every fold; handed to a splitter, or used when `cv` is a number.
    rule : {"min", "1se"}
        The smallest mean error; or the largest alpha whose mean error is within one standard error of it.
    score : str or callable, optional
        Error of an entry, smaller is better: `"deviance"` (default: twice the loss, so the squared error for the squared
        loss), `"squared"`, `"absolute"`, `"misclassified"`, or a function of targets and predictions, both (m, t), that
        gives the error of every entry. Gaps do not count; sample weights do.
    n_jobs : int, optional
        Folds that run side by side in threads; None for as many as there are cores. The result does not depend on it.
    refit : bool
        Whether to fit the chosen strength to all samples.
    loss, sample_weight, task_weight, offset, task, fit_intercept, standardize, scale
        The problem, as in `fit`. With `scale="sum"` a fold keeps the given strengths, although it has fewer samples.
    solver, backend, tol, max_iter
        The run, as in `fit`.
    n_threads : int, optional
        BLAS threads of every fold; one when left out.

    Returns
    -------
    CVResult

    Raises
    ------
    ValueError, TypeError
        Bad input, naming the argument.

    Warns
    -----
    ConvergenceWarning
        The gap of some fit is above `tol`.

    References
    ----------
    Stone (1974), "Cross-validatory choice and assessment of statistical predictions"; Hastie, Tibshirani, Friedman (2009),
    "The elements of statistical learning", section 7.10.
    """
    started = time.perf_counter()
    if rule not in RULES:
        raise ValueError(f"rule is {rule!r}; expected 'min' or '1se'")
    check_n_jobs(n_jobs)
    problem = dict(
        loss=loss, task_weight=task_weight, offset=offset, task=task, fit_intercept=fit_intercept,
        standardize=standardize, scale=scale, solver=solver, backend=backend, tol=tol, max_iter=max_iter,
    )  # fmt: skip
    penalties = _penalties(penalty, l1_ratios)
    opened = open_problem(
        X, Y, penalties[0], loss=loss, sample_weight=sample_weight, task_weight=task_weight, offset=offset, task=task,
        fit_intercept=fit_intercept, standardize=standardize, scale=scale, need_alpha=False, backend=backend, kind="path",
    )  # fmt: skip
    error = as_error(score, _loss(opened))
    n, t = opened.problem.Y.shape
    folds = as_folds(cv, n, t, X, Y, groups)
    weight = np.ones(n) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)

    def one(penalty: Penalty, strengths: np.ndarray, fold: Fold) -> tuple[np.ndarray, np.ndarray]:
        path = fit_path(X, Y, penalty, alphas=strengths, sample_weight=weight * fold.train, **problem)
        gaps = np.array([certificate.relative_gap for certificate in path.certificates])
        return _test_errors(opened, path, fold, weight, error), gaps

    with limit_threads(n_threads or 1):
        grid = np.stack([_strengths(opened, one, alphas, n_alphas, eps) for one in penalties])
        jobs = [(p, strengths, fold) for p, strengths in zip(penalties, grid, strict=True) for fold in folds]
        done = in_threads(one, jobs, n_jobs)
    shape = (len(penalties), len(folds))
    scores = np.stack([errors for errors, _ in done]).reshape(*shape, *done[0][0].shape).swapaxes(1, 2)
    gaps = np.stack([gap for _, gap in done]).reshape(*shape, -1).swapaxes(1, 2)
    result = CVResult(
        alphas=grid,
        l1_ratios=None if l1_ratios is None else np.asarray(l1_ratios, dtype=np.float64),
        scores=scores,
        score=score if isinstance(score, str) else getattr(score, "__name__", "deviance"),
        rule=rule,
        task_weight=np.ones(scores.shape[-1]),
        relative_gaps=gaps,
        best=None,
        n_train=np.array([fold.train.sum() for fold in folds]),
        n_test=np.array([fold.test.sum() for fold in folds]),
        seconds=0.0,
    )
    if refit:
        from ..api import fit

        chosen = penalties[result.best_index[0]].with_alpha(result.best_alpha)
        result = replace(
            result, best=fit(X, Y, chosen, sample_weight=sample_weight, n_threads=n_threads, **problem)
        )
    return replace(result, seconds=time.perf_counter() - started)


def _penalties(penalty: str | Penalty, l1_ratios: Any) -> list[Penalty]:
    """One penalty for each l1_ratio."""
    made = as_penalty(penalty, None, need_alpha=False)
    if l1_ratios is None:
        return [made]
    name = "tau" if hasattr(made, "tau") else "l1_ratio"
    if not hasattr(made, name):
        raise ValueError(f"l1_ratios is given, but {made.name!r} has no l1_ratio; leave it out")
    values = np.asarray(l1_ratios, dtype=np.float64)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"l1_ratios has shape {values.shape}; a non-empty sequence of numbers was expected")
    return [
        type(made)(**{**_settings(made), name: check_fraction(float(v), f"l1_ratios[{i}]")})
        for i, v in enumerate(values)
    ]


def _settings(penalty: Penalty) -> dict[str, Any]:
    return {field.name: getattr(penalty, field.name) for field in fields(penalty)}


def _loss(opened: Opened) -> Any:
    return getattr(opened.problem, "loss", Squared())


def _strengths(opened: Opened, penalty: Penalty, alphas: Any, n_alphas: int, eps: float) -> np.ndarray:
    from ..path import _strengths as strengths

    return strengths(opened.with_penalty(penalty), alphas, n_alphas, eps)


def _test_errors(
    opened: Opened, path: PathResult, fold: Fold, weight: np.ndarray, error: Error
) -> np.ndarray:
    from ..designs import ScaledDesign
    from ._rows import RowsDesign

    rows = np.flatnonzero(fold.test)
    design: Any = opened.problem.design
    design = design.base if isinstance(design, ScaledDesign) else design
    Y, offset = opened.problem.Y[rows], None
    offset = opened.offset[rows] if opened.offset is not None else None
    if offset is not None and isinstance(_loss(opened), Squared):
        offset = None  # taken off the targets already
    return path_errors(path, RowsDesign(design, rows), Y, weight[rows, None], error, offset)
