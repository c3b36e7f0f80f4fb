"""Regression under the trace norm."""

from __future__ import annotations

from typing import Any

from sklearn.base import RegressorMixin

from ..penalties import Penalty, Trace
from ._base import LinearEstimator


class TraceNormRegressor(RegressorMixin, LinearEstimator):
    """Low-rank regression: the tasks are mixtures of a few hidden directions.

    Minimises

        1/(2n) |Y - X W - 1 b'|_F^2 + alpha |W|_* + ridge/2 |W|_F^2

    with the trace norm |W|_*, the sum of the singular values of W.

    Parameters
    ----------
    alpha : float
        Strength, >= 0; see `fastmtl.alpha_max`.
    ridge : float
        Strength of the ridge part, >= 0.
    fit_intercept, standardize, max_iter, tol, warm_start
        As in `GroupLasso`.

    Attributes
    ----------
    rank_ : int
        Rank of `coef_`.
    coef_, intercept_, n_iter_, dual_gap_, certificate_, status_, n_features_in_, feature_names_in_, task_names_in_
        See `LinearEstimator`.

    References
    ----------
    Argyriou, Evgeniou, Pontil (2008), "Convex multi-task feature learning".
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        ridge: float = 0.0,
        fit_intercept: bool = True,
        standardize: bool = False,
        max_iter: int = 1000,
        tol: float = 1e-6,
        warm_start: bool = False,
    ) -> None:
        self.alpha = alpha
        self.ridge = ridge
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start

    def _penalty(self, p: int, alpha: float | None = None) -> Penalty:
        return Trace(alpha, ridge=self.ridge)

    def _keep(self, result: Any) -> Any:
        self.rank_ = result.rank
        return super()._keep(result)
