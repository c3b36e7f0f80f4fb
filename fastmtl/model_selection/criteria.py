"""Information criteria on a path."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from .._arrays import Array, as_ndarray
from .._door import Opened, open_problem
from .._given import to_host
from .._settings import check_number
from ..path import PathResult
from ..penalties import Penalty, Trace
from ._degrees import degrees_of_freedom, parameters_of_rank
from ._errors import NAMED, Judged, judged, path_errors
from ._samples import Samples
from .folds import Fold

NAMES = ("aic", "bic", "ebic")


@dataclass(frozen=True, eq=False)
class Criteria:
    """Information criteria of every fit of a path; smaller is better.

    Attributes
    ----------
    alphas : ndarray of shape (A,)
    df : ndarray of shape (A,)
        Degrees of freedom, intercepts counted in.
    deviance : ndarray of shape (A,)
        `-2 log likelihood`, up to a constant of the data.
    log_models : ndarray of shape (A,)
        Logarithm of the number of supports as large as that of the fit.
    n : float
        Number of observations: the sum of the weights of all observed entries.
    gamma : float
        Weight of `log_models` in EBIC.
    """

    alphas: Array
    df: Array
    deviance: Array
    log_models: Array
    n: float
    gamma: float

    @property
    def aic(self) -> Array:
        """`deviance + 2 df` (Akaike 1974)."""
        return self._finite(self.deviance + 2.0 * self.df)

    @property
    def bic(self) -> Array:
        """`deviance + log(n) df` (Schwarz 1978)."""
        return self._finite(self.deviance + np.log(self.n) * self.df)

    @property
    def ebic(self) -> Array:
        """`bic + 2 gamma log_models` (Chen, Chen 2008)."""
        return self.bic + 2.0 * self.gamma * self.log_models

    def _finite(self, values: Array) -> Array:
        """A fit with as many degrees of freedom as observations says nothing about any other."""
        return np.where((self.df < self.n) & np.isfinite(values), values, np.inf)

    def best(self, criterion: str = "bic") -> int:
        """Place in `alphas` with the smallest criterion, "aic", "bic" or "ebic".

        Raises
        ------
        ValueError
            Another name, or no fit with fewer degrees of freedom than observations.
        """
        if criterion not in NAMES:
            raise ValueError(f"criterion is {criterion!r}; expected one of {', '.join(NAMES)}")
        values = getattr(self, criterion)
        if not np.isfinite(values).any():
            raise ValueError(
                f"{criterion} is infinite on the whole path: each fit has as many degrees of freedom as observations, "
                f"or none left of the targets; use larger alphas"
            )
        return int(np.argmin(values))

    def __repr__(self) -> str:
        lines = [
            f"Criteria: {len(self.alphas)} alphas, {self.n:g} observations, {self.df.min():.1f} to {self.df.max():.1f} df"
        ]
        for name in NAMES:
            if np.isfinite(getattr(self, name)).any():
                i = self.best(name)
                lines.append(
                    f"  {name:<5} {getattr(self, name)[i]:.6g} at alpha {self.alphas[i]:.4g}, {self.df[i]:.1f} df"
                )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


def path_criteria(
    path: PathResult,
    X: Any,
    Y: Any,
    penalty: str | Penalty = "l21",
    *,
    alpha: float | None = None,
    gamma: float = 1.0,
    noise_variance: Any = None,
    loss: Any = "squared",
    sample_weight: Any = None,
    task_weight: Any = None,
    offset: Any = None,
    task: Any = None,
    fit_intercept: bool = True,
    standardize: bool = False,
    scale: str = "mean",
) -> Criteria:
    """AIC, BIC, EBIC and degrees of freedom of every fit of a path.

    The deviance is twice the negative log likelihood. Tasks with the squared loss have normal errors: of the given variance,
    or of one common variance that is estimated from each fit, which gives `n log(RSS / n)`. The other losses are likelihoods
    as they are; Huber's loss is taken for one.

    Parameters
    ----------
    path : PathResult
        From `fit_path` on the data and problem that follow.
    X, Y, penalty, alpha, loss, sample_weight, task_weight, offset, task, fit_intercept, standardize, scale
        The data and the problem, as in `fit_path`. An integer weight is a repeated observation.
    gamma : float
        In [0, 1], for EBIC: 0 is BIC.
    noise_variance : float or array of shape (T,), optional
        Variance of the errors of tasks with the squared loss.

    Returns
    -------
    Criteria

    Notes
    -----
    Degrees of freedom are the divergence of the fitted values in the targets, exact for the squared loss; a trace norm is
    given the parameters of a matrix of the fit's rank instead, which counts more. EBIC counts supports as the penalty chooses
    them: rows or groups for l21 and group penalties, entries of each task for l1 and sparse_group.

    Raises
    ------
    ValueError, TypeError
        A multinomial loss or a penalty of your own, for which degrees of freedom are not known; a path of another shape;
        bad input as in `fit`.

    References
    ----------
    Vaiter, Deledalle, Fadili, Peyre, Dossal (2017), "The degrees of freedom of partly smooth regularizers"; Chen, Chen
    (2008), "Extended Bayesian information criteria for model selection with large model spaces".
    """
    if not isinstance(path, PathResult):
        raise TypeError(
            f"path is of type {type(path).__name__}; a PathResult was expected, as fit_path returns it"
        )
    if not len(path):
        raise ValueError("path holds no fit; at least one alpha is needed")
    check_number(gamma, "gamma", "a number in [0, 1]", lambda gamma: 0 <= gamma <= 1)
    samples = Samples.read(X, Y, sample_weight, offset, task)
    opened = open_problem(
        samples.X, samples.Y, penalty, alpha=alpha, sample_weight=samples.sample_weight, offset=samples.offset, loss=loss,
        task_weight=task_weight, fit_intercept=fit_intercept, standardize=standardize, scale=scale, need_alpha=False,
    )  # fmt: skip
    shape = (opened.problem.design.p, opened.problem.n_tasks)
    came = (path.n_features, len(path.fits[0].intercept))
    if came != shape:
        raise ValueError(
            f"path has fits of {came} features and columns, X and Y {shape}; pass the data of the path"
        )
    is_trace = isinstance(opened.problem.penalty, Trace)
    df = parameters_of_rank(opened, path) if is_trace else degrees_of_freedom(opened, path)
    n, deviance = _deviance(opened, samples, path, noise_variance)
    log_models = np.zeros(len(path)) if is_trace else _log_models(opened, path)
    return Criteria(path.alphas, np.asarray(df, dtype=np.float64), deviance, log_models, n, float(gamma))


def _deviance(
    opened: Opened, samples: Samples, path: PathResult, noise_variance: Any
) -> tuple[float, np.ndarray]:
    """Number of observations and `-2 log likelihood` (A,) of every fit."""
    parts = judged(opened, samples.offset)
    every = (
        [np.ones(m, dtype=bool) for m in samples.sizes]
        if samples.is_own
        else np.ones(samples.sizes, dtype=bool)
    )
    count = np.concatenate([_weights(part, samples) for part in parts])
    total = path_errors(parts, path, Fold(every, every), NAMED["deviance"])
    total = np.where(count > 0, count * np.nan_to_num(total), 0.0)
    normal = np.array([one.loss == "squared" for one in opened.tasks])
    deviance = total[:, ~normal].sum(axis=1)
    if normal.any() and noise_variance is not None:
        variance, n_tasks = as_ndarray(noise_variance, "noise_variance").astype(np.float64), len(opened.tasks)
        if variance.shape not in ((), (1,), (n_tasks,)):
            raise ValueError(
                f"noise_variance has shape {variance.shape}; a number or ({n_tasks},) was expected"
            )
        if not ((variance > 0) & (variance < np.inf)).all():
            raise ValueError(f"noise_variance holds {variance.min()}; finite numbers > 0 were expected")
        deviance += (total / variance)[:, normal].sum(axis=1)
    elif normal.any():
        n = count[normal].sum()
        with np.errstate(divide="ignore"):
            deviance += n * np.log(total[:, normal].sum(axis=1) / n)
    return float(count.sum()), deviance


def _weights(part: Judged, samples: Samples) -> np.ndarray:
    """Sum of the caller's weights of the observed entries of every task of a part."""
    given = samples.sample_weight[part.tasks.start] if samples.is_own else samples.sample_weight
    given = np.ones(part.design.n) if given is None else np.asarray(given, dtype=np.float64)
    given = given[:, part.tasks] if given.ndim == 2 else given[:, None]
    seen = np.broadcast_to(part.weight > 0, (part.design.n, part.tasks.stop - part.tasks.start))
    return np.where(seen, given, 0.0).sum(axis=0)


def _log_models(opened: Opened, path: PathResult) -> np.ndarray:
    """Logarithm of the number of supports of the size of every fit's (A,), counted as the penalty chooses them."""
    form: Any = opened.problem.penalty.with_alpha(1.0).lower(path.n_features)
    sizes = np.diff(form.ptr)
    order = np.arange(path.n_features) if form.order is None else form.order
    open_block = np.isfinite(form.l2)
    if form.l1.any():
        may = order[
            np.isfinite(form.l1) & (form.l1 + np.repeat(form.l2, sizes) > 0) & np.repeat(open_block, sizes)
        ]
        chosen = np.array([(np.asarray(to_host(fit.coef))[may] != 0).sum(axis=0) for fit in path])
        return np.array([sum(_log_choose(len(may), k) for k in row) for row in chosen])
    may = open_block & (form.l2 > 0)
    block = np.empty(path.n_features, dtype=np.int64)
    block[order] = np.repeat(np.arange(len(sizes)), sizes)
    return np.array(
        [_log_choose(int(may.sum()), int(may[np.unique(block[rows])].sum())) for rows in path.rows]
    )


def _log_choose(m: int, k: int) -> float:
    return math.lgamma(m + 1) - math.lgamma(k + 1) - math.lgamma(m - k + 1)
