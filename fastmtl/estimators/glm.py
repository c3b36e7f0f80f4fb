"""Generalised linear models with a loss for each task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin

from ..losses import Loss, resolve
from ..penalties import Penalty, as_penalty
from ._base import LinearEstimator, effective


class MultiTaskGLM(RegressorMixin, LinearEstimator):
    """Tasks of any kind (real, robust, yes-no, counts) that share their features.

    Minimises `mean_i sum_t loss_t(y_it, x_i w_t + b_t) + penalty(W)`.

    Parameters
    ----------
    alpha : float
        Strength of the penalty, >= 0; see `fastmtl.alpha_max`.
    loss : str, Loss, or sequence of those
        `"squared"`, `"huber"`, `"logistic"` (y of 0 and 1), `"poisson"` (counts), or an object of `fastmtl.losses`; one for
        all tasks, or one a task.
    penalty : str or Penalty
        `"l21"`, `"l1"`, `"sparse_group"`, `"trace"`, or an object of `fastmtl.penalties`; its strength is `alpha`.
    fit_intercept, standardize, max_iter, tol, warm_start
        As in `GroupLasso`.

    Attributes
    ----------
    coef_, intercept_, n_iter_, dual_gap_, certificate_, status_, n_features_in_, feature_names_in_, task_names_in_
        See `LinearEstimator`.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        loss: str | Loss | Sequence[str | Loss] = "squared",
        penalty: str | Penalty = "l21",
        fit_intercept: bool = True,
        standardize: bool = False,
        max_iter: int = 1000,
        tol: float = 1e-6,
        warm_start: bool = False,
    ) -> None:
        self.alpha = alpha
        self.loss = loss
        self.penalty = penalty
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start

    def _penalty(self, p: int, alpha: float | None = None) -> Penalty:
        return as_penalty(self.penalty, alpha, need_alpha=False)

    def _loss(self) -> str | Loss | Sequence[str | Loss]:
        each = [self.loss] if isinstance(self.loss, (str, Loss)) else self.loss
        if any(resolve(loss).joint for loss in each):
            raise ValueError(f"loss={self.loss!r} takes class labels; use MultiTaskClassifier")
        return self.loss

    def predict(self, X: Any) -> np.ndarray:
        """Expected targets (n, t), or (n,): probabilities of 1 for a logistic task, mean counts for a Poisson one."""
        Z = self._linear(X)
        if isinstance(self.loss, (str, Loss)):
            return resolve(self.loss).inverse_link(Z)
        columns = [
            resolve(loss).inverse_link(z) for loss, z in zip(self.loss, np.atleast_2d(Z.T), strict=True)
        ]
        return np.stack(columns, axis=-1).reshape(Z.shape)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of the deviance of a constant prediction that is explained, averaged over the tasks.

        For squared losses that is R^2. Targets that are NaN do not count; a task that a constant predicts without error
        scores 1 when it is predicted exactly, else 0.
        """
        Z = self._linear(X)
        Z, Y = Z.reshape(len(Z), -1), np.asarray(y, dtype=np.float64).reshape(len(Z), -1)
        weights = effective(sample_weight, Y)
        weights = np.ones(Y.shape) if weights is None else np.broadcast_to(weights.T, Y.T.shape).T
        each = [self.loss] * Y.shape[1] if isinstance(self.loss, (str, Loss)) else self.loss
        shares = [
            _explained(resolve(loss), column, z, omega)
            for loss, column, z, omega in zip(each, Y.T, Z.T, weights.T, strict=True)
        ]
        return float(np.mean(shares))


def _explained(loss: Loss, y: np.ndarray, z: np.ndarray, weights: np.ndarray) -> float:
    """Share of the deviance of one task that is explained."""
    seen = ~np.isnan(y)
    y, z, weights = loss.encode(y[seen], "y"), z[seen], weights[seen]
    left = weights @ loss.value(y, z)
    total = weights @ loss.value(y, np.full(len(y), loss.intercept(y, weights, np.zeros(len(y)))))
    return float(1.0 - left / total) if total > 0 else float(left == 0)
