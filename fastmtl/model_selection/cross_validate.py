"""Cross-validation over a path of strengths."""

from __future__ import annotations

import time
from dataclasses import fields, replace
from typing import Any

import numpy as np

from .._arrays import as_ndarray
from .._door import Opened, open_problem
from .._run import check_controls
from .._settings import check_flag
from .._targets import read_task_weight
from .._threads import limit_threads
from ..penalties import Penalty, as_penalty
from ..penalties._base import check_fraction
from ._cv_result import RULES, CVResult
from ._errors import as_error, judged, path_errors
from ._samples import Samples
from ._threads import check_n_jobs, in_threads
from ._training import trainer
from .folds import Fold


def cross_validate(
    X: Any,
    Y: Any,
    penalty: str | Penalty = "l21",
    *,
    alpha: float | None = None,
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
    X, Y, penalty, alpha
        As in `fit`; the one alpha is ignored in favour of `alphas`.
    alphas : array of shape (A,), optional
        Strengths. Left out, `n_alphas` values from alpha_max of all samples down to `eps * alpha_max`, for each l1_ratio.
    n_alphas : int
    eps : float
        In (0, 1).
    l1_ratios : array of shape (L,), optional
        Values of the penalty's `l1_ratio` (of `tau` for the sparse group penalty) to choose among.
    cv : int, splitter or iterable
        Number of contiguous folds, as in scikit-learn's `KFold`, of every task by itself where tasks have samples of their
        own; an object with a `split(X, Y, groups)` method; or pairs (train, test) of indices or masks, such as the functions
        of `fastmtl.model_selection.folds` give. With `task` they index the rows of the table, with lists see `folds`.
    groups : array of shape (n,), optional
        Samples with the same label stay on one side of every fold; handed to a splitter, or used when `cv` is a number.
    rule : {"min", "1se"}
        The smallest mean error; or the largest alpha whose mean error is within one standard error of it.
    score : str or callable, optional
        Error of an entry, smaller is better: `"deviance"` (default: twice the loss, so the squared error for the squared
        loss, that of each task), `"squared"`, `"absolute"`, `"misclassified"`, or a function of targets and predictions, both
        (m, columns), of neighbouring tasks with one loss, that gives the error of every entry (of every sample, (m,), for the
        multinomial loss). Gaps do not count; sample weights do.
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
    check_flag(refit, "refit")
    check_controls(solver, tol, max_iter, None, n_threads, None)
    problem = dict(
        loss=loss, task_weight=task_weight, fit_intercept=fit_intercept, standardize=standardize, scale=scale,
        solver=solver, backend=backend, tol=tol, max_iter=max_iter,
    )  # fmt: skip
    penalties = _penalties(penalty, alpha, l1_ratios)
    samples = Samples.read(X, Y, sample_weight, offset, task)
    opened = open_problem(
        samples.X, samples.Y, penalties[0], sample_weight=samples.sample_weight, offset=samples.offset, loss=loss,
        task_weight=task_weight, fit_intercept=fit_intercept, standardize=standardize, scale=scale,
        need_alpha=False, backend=backend, kind="path",
    )  # fmt: skip
    parts = judged(opened, samples.offset)
    error = as_error(score, {part.loss.name for part in parts})
    folds = samples.folds(cv, len(opened.tasks), X, Y, groups)

    def one(penalty: Penalty, strengths: np.ndarray, fold: Fold) -> tuple[np.ndarray, np.ndarray]:
        path = train(penalty, strengths, fold)
        gaps = np.array([certificate.relative_gap for certificate in path.certificates])
        return path_errors(parts, path, fold, error), gaps

    with limit_threads(n_threads or 1):
        grid = np.stack([_strengths(opened, one, alphas, n_alphas, eps) for one in penalties])
        train = trainer(samples, opened, folds, problem)
        jobs = [(p, strengths, fold) for p, strengths in zip(penalties, grid, strict=True) for fold in folds]
        done = in_threads(one, jobs, opened, n_jobs)
    shape = (len(penalties), len(folds))
    scores = np.stack([errors for errors, _ in done]).reshape(*shape, *done[0][0].shape).swapaxes(1, 2)
    gaps = np.stack([gap for _, gap in done]).reshape(*shape, -1).swapaxes(1, 2)
    result = CVResult(
        alphas=grid,
        l1_ratios=None if l1_ratios is None else as_ndarray(l1_ratios, "l1_ratios").astype(np.float64),
        scores=scores,
        score=score if isinstance(score, str) else getattr(score, "__name__", "deviance"),
        rule=rule,
        task_weight=read_task_weight(task_weight, scores.shape[-1]),
        relative_gaps=gaps,
        best=None,
        n_train=np.array([_size(fold.train) for fold in folds]),
        n_test=np.array([_size(fold.test) for fold in folds]),
        seconds=0.0,
    )
    if refit:
        from ..api import fit

        chosen = penalties[result.best_index[0]].with_alpha(result.best_alpha)
        given = dict(sample_weight=sample_weight, offset=offset, task=task, n_threads=n_threads)
        result = replace(result, best=fit(X, Y, chosen, **given, **problem))
    return replace(result, seconds=time.perf_counter() - started)


def _penalties(penalty: str | Penalty, alpha: float | None, l1_ratios: Any) -> list[Penalty]:
    """One penalty for each l1_ratio."""
    made = as_penalty(penalty, alpha, need_alpha=False)
    if l1_ratios is None:
        return [made]
    name = "tau" if hasattr(made, "tau") else "l1_ratio"
    if not hasattr(made, name):
        raise ValueError(f"l1_ratios is given, but {made.name!r} has no l1_ratio; leave it out")
    values = as_ndarray(l1_ratios, "l1_ratios").astype(np.float64)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"l1_ratios has shape {values.shape}; a non-empty sequence of numbers was expected")
    return [
        type(made)(**{**_settings(made), name: check_fraction(float(v), f"l1_ratios[{i}]")})
        for i, v in enumerate(values)
    ]


def _settings(penalty: Penalty) -> dict[str, Any]:
    return {field.name: getattr(penalty, field.name) for field in fields(penalty)}


def _size(part: Any) -> int:
    """Number of samples in masks."""
    return int(sum(mask.sum() for mask in part) if isinstance(part, list) else part.sum())


def _strengths(opened: Opened, penalty: Penalty, alphas: Any, n_alphas: int, eps: float) -> np.ndarray:
    from ..path import _strengths as strengths

    return strengths(opened.with_penalty(penalty), alphas, n_alphas, eps)
