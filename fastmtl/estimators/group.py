"""Group lasso and sparse-group lasso."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sklearn.base import RegressorMixin

from ..penalties import Group, Penalty, SparseGroup
from ._base import LinearEstimator


class GroupLasso(RegressorMixin, LinearEstimator):
    """Group lasso: whole groups of features in or out, for all tasks together.

    Minimises

        1/(2n) |Y - X W - 1 b'|_F^2 + alpha sum_g v_g ( l1_ratio |W_g|_F + (1 - l1_ratio)/2 |W_g|_F^2 )

    Parameters
    ----------
    alpha : float
        Strength, >= 0; see `fastmtl.alpha_max`.
    groups : sequence, optional
        Labels per feature, sizes, or lists of feature positions; disjoint and covering. Left out, every feature is a group.
    group_weights : sequence of float or "sqrt", optional
        v_g >= 0, default 1; "sqrt" is the root of the group's size.
    l1_ratio : float
        In [0, 1]: 1 is the pure group lasso.
    positive : bool
        Constrain the coefficients to be >= 0.
    fit_intercept : bool
    standardize : bool
        Penalise coefficients in standard deviations of the features; `coef_` is in their units all the same.
    max_iter : int
        Bound on outer iterations.
    tol : float
        Bound on the certified duality gap over the loss of the best constant prediction.
    warm_start : bool
        Start from the `coef_` of the last fit.

    Attributes
    ----------
    coef_, intercept_, n_iter_, dual_gap_, certificate_, status_, n_features_in_, feature_names_in_, task_names_in_
        See `LinearEstimator`.
    sparse_coef_ : sparse matrix of shape (t, p)

    References
    ----------
    Yuan, Lin (2006), "Model selection and estimation in regression with grouped variables".
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        groups: Any = None,
        group_weights: Sequence[float] | str | None = None,
        l1_ratio: float = 1.0,
        positive: bool = False,
        fit_intercept: bool = True,
        standardize: bool = False,
        max_iter: int = 1000,
        tol: float = 1e-6,
        warm_start: bool = False,
    ) -> None:
        self.alpha = alpha
        self.groups = groups
        self.group_weights = group_weights
        self.l1_ratio = l1_ratio
        self.positive = positive
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start

    def _penalty(self, p: int, alpha: float | None = None) -> Penalty:
        return Group(
            alpha, groups=range(p) if self.groups is None else self.groups,
            group_weights=self.group_weights, l1_ratio=self.l1_ratio, positive=self.positive,
        )  # fmt: skip


class SparseGroupLasso(RegressorMixin, LinearEstimator):
    """Sparse-group lasso: few groups, and few coefficients inside them.

    Minimises

        1/(2n) |Y - X W - 1 b'|_F^2 + alpha ( tau sum_jt |w_jt| + (1 - tau) sum_g v_g |W_g|_F )

    Parameters
    ----------
    alpha : float
        Strength, >= 0; see `fastmtl.alpha_max`.
    tau : float
        In [0, 1]: 1 is the Lasso, 0 the group lasso.
    groups, group_weights
        As in `GroupLasso`; left out, the row of a feature is a group.
    positive, fit_intercept, standardize, max_iter, tol, warm_start
        As in `GroupLasso`.

    Attributes
    ----------
    coef_, intercept_, n_iter_, dual_gap_, certificate_, status_, n_features_in_, feature_names_in_, task_names_in_
        See `LinearEstimator`.
    sparse_coef_ : sparse matrix of shape (t, p)

    References
    ----------
    Simon, Friedman, Hastie, Tibshirani (2013), "A sparse-group lasso".
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        tau: float = 0.5,
        groups: Any = None,
        group_weights: Sequence[float] | str | None = None,
        positive: bool = False,
        fit_intercept: bool = True,
        standardize: bool = False,
        max_iter: int = 1000,
        tol: float = 1e-6,
        warm_start: bool = False,
    ) -> None:
        self.alpha = alpha
        self.tau = tau
        self.groups = groups
        self.group_weights = group_weights
        self.positive = positive
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start

    def _penalty(self, p: int, alpha: float | None = None) -> Penalty:
        return SparseGroup(
            alpha, tau=self.tau, groups=self.groups, group_weights=self.group_weights, positive=self.positive
        )
