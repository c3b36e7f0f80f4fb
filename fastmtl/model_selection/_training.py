"""Paths on the training samples of folds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._arrays import Array
from .._door import Opened
from ..designs import DenseDesign, Design
from ..path import PathResult, fit_path
from ..penalties import Penalty
from ..problem import Problem
from ._errors import rows_of, unscaled
from ._moments import Moments
from ._samples import Samples
from .folds import Fold

MOST_FEATURES = 4096
"""Above, the cross-products of all features cost more than a path that looks at few of them is likely to need."""
LEAST_RATIO = 3
"""Training samples a feature from which a table of p + 1 rows is worth its making."""
MOST_BYTES = 1 << 28
"""Largest X of which the training rows are copied; products with a copy are about a fifth faster than with all of X."""

Train = Callable[[Penalty, Array, Fold], PathResult]
"""The path of a penalty over some strengths on the training samples of a fold."""


def trainer(samples: Samples, opened: Opened, folds: list[Fold], settings: dict[str, Any]) -> Train:
    """How folds are trained: through the door, or with what they share taken out.

    Parameters
    ----------
    samples : Samples
    opened : Opened
        The problem of all samples.
    folds : list of Fold
    settings : dict
        The arguments of `fit_path` that are not data.
    """

    def by_weights(penalty: Penalty, alphas: Array, fold: Fold) -> PathResult:
        """All samples, those of the test part without weight: whatever the loss, gaps and designs."""
        return fit_path(penalty=penalty, alphas=alphas, **samples.training(fold), **settings)

    problem = opened.problem
    if not isinstance(problem, Problem) or type(unscaled(problem.design)) is not DenseDesign:
        return by_weights
    design = unscaled(problem.design)
    weight = np.broadcast_to(np.asarray(problem.omega, dtype=np.float64), (design.n,))
    shared = SquaredLoss(design, problem.Y, weight, problem.fit_intercept, settings)
    whole = shared.moments() if shared.prefers_moments(folds) else None

    def by_rows(penalty: Penalty, alphas: Array, fold: Fold) -> PathResult:
        """The training rows alone, or fewer rows with the same objective."""
        if fold.train.ndim == 2 or not weight[fold.train].any():
            return by_weights(penalty, alphas, fold)
        path = None if whole is None else shared.path_on_moments(penalty, alphas, fold.train, whole)
        if path is None and 8 * design.n * design.p > MOST_BYTES:
            return by_weights(penalty, alphas, fold)
        return shared.path_on_rows(penalty, alphas, fold.train) if path is None else path

    return by_rows


@dataclass(frozen=True)
class SquaredLoss:
    """Samples of a squared loss on one dense X.

    Attributes
    ----------
    design : Design
        X (n, p) in the caller's units.
    Y, weight : ndarray of shape (n, t), (n,)
    is_centred : bool
        Whether there is an intercept.
    settings : dict
        Of `fit_path`.
    """

    design: Design
    Y: Array
    weight: Array
    is_centred: bool
    settings: dict[str, Any]

    def prefers_moments(self, folds: list[Fold]) -> bool:
        """Whether there are so many samples that paths should see their moments only."""
        fewest = min(fold.train.sum() for fold in folds)
        # Deviations are about means, which moments about zero do not have.
        can = self.is_centred or not self.settings["standardize"]
        return bool(can and self.design.p <= MOST_FEATURES and fewest >= LEAST_RATIO * self.design.p)

    def moments(self, rows: Array | None = None) -> Moments:
        """Moments of some samples, or of all."""
        if rows is None:
            return Moments.of(self.design, self.Y, self.weight, centred=self.is_centred)
        part = rows_of(self.design, rows)
        return Moments.of(part, self.Y[rows], self.weight[rows], centred=self.is_centred)

    def path_on_rows(self, penalty: Penalty, alphas: Array, train: Array) -> PathResult:
        """The path on a copy of the training rows."""
        rows = np.flatnonzero(train)
        part: Any = rows_of(self.design, rows)
        return fit_path(
            part.X, self.Y[rows], penalty, alphas=alphas, sample_weight=self.weight[rows], **self.settings
        )

    def path_on_moments(
        self, penalty: Penalty, alphas: Array, train: Array, whole: Moments
    ) -> PathResult | None:
        """The path on a root of the training moments; None when columns are nearly dependent there."""
        moments = self._training(train, whole)
        rows = moments.root()
        if rows is None:
            return None
        R, Q = rows
        if self.settings["scale"] == "mean":
            R *= 1.0 / np.sqrt(moments.weight)
            Q *= 1.0 / np.sqrt(moments.weight)
        deviation = np.ones(R.shape[1])
        if self.settings["standardize"]:
            deviation = np.sqrt(np.diag(moments.xx) / moments.weight)
            deviation[deviation == 0.0] = 1.0
            R /= deviation
        settings: dict[str, Any] = self.settings | dict(scale="sum", standardize=False, fit_intercept=False)
        return _uncentred(fit_path(R, Q, penalty, alphas=alphas, **settings), moments, deviation)

    def _training(self, train: Array, whole: Moments) -> Moments:
        if 2.0 * self.weight[train].sum() > whole.weight:
            moments = whole.without(self.moments(np.flatnonzero(~train)))
            if moments.is_left_of(whole):
                return moments
        return self.moments(np.flatnonzero(train))


def _uncentred(path: PathResult, moments: Moments, deviation: Array) -> PathResult:
    """Fits on the rows of a root as fits on the samples."""
    fits = []
    for fit, rows in zip(path.fits, path.rows, strict=True):
        kept = fit.coef if len(fit.coef) == len(rows) else fit.coef[rows]
        kept = kept / deviation[rows, None]
        intercept = moments.y_mean - moments.x_mean[rows] @ kept
        fits.append(replace(fit, coef=kept, intercept=intercept, low_rank=None))
    return replace(path, fits=tuple(fits))
