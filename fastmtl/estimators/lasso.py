"""The Lasso, the elastic net and their multi-task forms, in place of scikit-learn's."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.utils.metadata_routing import UNUSED

from ..adapters.sklearn_path import enet_path
from ..penalties import L1, L21, Penalty
from ._base import LinearEstimator

SELECTIONS = ("cyclic", "random")
"""Orders of features that scikit-learn knows; the solver has its own."""

LARGEST_FACTOR = 4096
"""Rows of the largest matrix that ridge regression is solved through at once."""


class DropIn(RegressorMixin, LinearEstimator):
    """scikit-learn's meaning of `tol`: it bounds the duality gap over `|Y|^2 / n`, which is 2 P(0)."""

    selection: str

    _poor_score = False
    _gaps = False

    path = staticmethod(enet_path)

    def _relative_tol(self) -> float:
        return 2.0 * self.tol

    def _checked(self, X: Any, y: Any) -> tuple[Any, np.ndarray]:
        if self.selection not in SELECTIONS:
            raise ValueError(f"selection is {self.selection!r}; 'cyclic' or 'random' was expected")
        return super()._checked(X, y)

    def _fitted(self, X: Any, y: np.ndarray, sample_weight: Any, start: Any = None) -> Any:
        start = self._ridge(X, y, sample_weight) if start is None else start
        return super()._fitted(X, y, sample_weight, start)

    def _ridge(self, X: Any, y: np.ndarray, sample_weight: Any) -> np.ndarray | None:
        """Coefficients (p, t) of ridge regression, which has a closed form, when this is one.

        A gap bounds the error of coefficients by its root only; started from these, a fit is exact in both.
        """
        is_ridge = (
            getattr(self, "l1_ratio", 1.0) == 0 and self.alpha > 0 and not getattr(self, "positive", False)
        )
        if not is_ridge or not isinstance(X, np.ndarray) or min(X.shape) > LARGEST_FACTOR:
            return None
        weights = self._weights(sample_weight, y)
        if weights is not None and weights.ndim == 2:
            return None  # a system for every task
        total = len(y) if weights is None else weights.sum()
        model = Ridge(alpha=self.alpha * total, fit_intercept=self.fit_intercept).fit(X, y, weights)
        return np.atleast_2d(model.coef_).T

    def _keep(self, result: Any) -> Any:
        super()._keep(result)
        if not self.fit_intercept:
            self.intercept_ = 0.0  # one number for all tasks, as in scikit-learn
        return self


class MultiTaskElasticNet(DropIn):
    """Multi-task elastic net: whole features in or out, for all tasks together.

    Minimises, for coefficients W (p, t),

        1/(2n) |Y - X W - 1 b'|_F^2 + alpha l1_ratio sum_j |w_j|_2 + alpha (1 - l1_ratio)/2 |W|_F^2

    Parameters
    ----------
    alpha : float
        Strength, >= 0; from `fastmtl.alpha_max(X, Y)` upwards (l1_ratio = 1) all coefficients are zero.
    l1_ratio : float
        In [0, 1]: 1 is the multi-task Lasso, 0 ridge regression.
    fit_intercept : bool
    copy_X : bool
        Without effect: X is never written to.
    max_iter : int
        Bound on outer iterations, each of which runs many sweeps over some features.
    tol : float
        The duality gap is at most `tol |Y|_F^2 / n` (Y centred when there is an intercept), as in scikit-learn. That is
        `2 tol` in the scale of `fastmtl.fit`.
    warm_start : bool
        Start from the `coef_` of the last fit, if it had as many features and tasks.
    random_state, selection
        Without effect: the solver makes no random choice.

    Attributes
    ----------
    coef_ : ndarray of shape (t, p)
    intercept_ : ndarray of shape (t,)
    n_iter_ : int
    dual_gap_ : float
        Certified duality gap; recomputed from the data in float64.
    eps_ : float
        `tol |Y|_F^2`, scikit-learn's bound on n times the gap.
    sparse_coef_ : sparse matrix of shape (t, p)
    certificate_, status_
        What is known about the gap, and how the fit ended.
    n_features_in_, feature_names_in_, task_names_in_
        See `LinearEstimator`.
    """

    _single_output = False

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        copy_X: bool = True,
        max_iter: int = 1000,
        tol: float = 1e-4,
        warm_start: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.selection = selection

    def _penalty(self, p: int, alpha: float | None = None) -> Penalty:
        return L21(alpha, l1_ratio=self.l1_ratio)

    def _fitted(self, X: Any, y: np.ndarray, sample_weight: Any, start: Any = None) -> Any:
        weights = self._weights(sample_weight, y)
        weights = np.ones((len(y), 1)) if weights is None else weights.reshape(len(y), -1)
        total = weights.sum(axis=0)
        share = weights / np.where(total > 0, total, 1.0)
        centre = (share * y).sum(axis=0) if self.fit_intercept else 0.0
        self.eps_ = self.tol * len(y) * float((share * (y - centre) ** 2).sum())
        return super()._fitted(X, y, sample_weight, start)

    def _checked(self, X: Any, y: Any) -> tuple[Any, np.ndarray]:
        X, y = super()._checked(X, y)
        if y.ndim == 1:
            single = type(self).__name__.removeprefix("MultiTask")
            raise ValueError(
                f"y is a vector; a matrix (n, t) was expected. For mono-task outputs, use {single}, or pass y[:, None]"
            )
        return X, y


class MultiTaskLasso(MultiTaskElasticNet):
    """Multi-task Lasso: the multi-task elastic net at `l1_ratio=1`.

    See `MultiTaskElasticNet` for the parameters and attributes.

    References
    ----------
    Obozinski, Taskar, Jordan (2010), "Joint covariate selection and joint subspace selection".
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        fit_intercept: bool = True,
        copy_X: bool = True,
        max_iter: int = 1000,
        tol: float = 1e-4,
        warm_start: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = 1.0  # no parameter, as in scikit-learn
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.selection = selection

    def _penalty(self, p: int, alpha: float | None = None) -> Penalty:
        return L21(alpha)


class ElasticNet(DropIn):
    """Elastic net of one task, or of several tasks fitted apart.

    Minimises, for each task, `1/(2n) |y - X w - b|^2 + alpha l1_ratio |w|_1 + alpha (1 - l1_ratio)/2 |w|_2^2`.

    Parameters
    ----------
    alpha, l1_ratio, fit_intercept, copy_X, max_iter, tol, warm_start, random_state, selection
        As in `MultiTaskElasticNet`.
    precompute : bool or array
        Without effect: the solver decides by itself whether it keeps inner products.
    positive : bool
        Constrain the coefficients to be >= 0.

    Attributes
    ----------
    coef_ : ndarray of shape (p,) or (t, p)
    intercept_ : float or ndarray of shape (t,)
    n_iter_ : int or list of int
    dual_gap_ : float or ndarray of shape (t,)
    sparse_coef_ : sparse matrix of shape (1, p) or (t, p)
    certificate_, status_
        Of the fit, or a list with one a task.
    """

    __metadata_request__fit: ClassVar[dict[str, str]] = {"check_input": UNUSED}

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        precompute: Any = False,
        max_iter: int = 1000,
        copy_X: bool = True,
        tol: float = 1e-4,
        warm_start: bool = False,
        positive: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.precompute = precompute
        self.max_iter = max_iter
        self.copy_X = copy_X
        self.tol = tol
        self.warm_start = warm_start
        self.positive = positive
        self.random_state = random_state
        self.selection = selection

    def _penalty(self, p: int, alpha: float | None = None) -> Penalty:
        return L1(alpha, l1_ratio=self.l1_ratio, positive=self.positive)

    def fit(self, X: Any, y: Any, sample_weight: Any = None, check_input: bool = True) -> Any:
        """Fit the model; several tasks are fitted one by one.

        Parameters
        ----------
        X : array, sparse matrix or frame of shape (n, p)
        y : array or frame of shape (n,) or (n, t)
        sample_weight : float or array of shape (n,), optional
        check_input : bool
            Without effect: the checks are cheap.

        Returns
        -------
        self
        """
        X, y = self._checked(X, y)
        if y.ndim == 1:
            return self._keep(self._fitted(X, y, sample_weight, self._start(X.shape[1], 1)))
        start = self._start(X.shape[1], y.shape[1])
        results = [
            self._fitted(X, column, sample_weight, None if start is None else start[:, [task]])
            for task, column in enumerate(y.T)
        ]
        one = len(results) == 1
        self.coef_ = results[0].coef[:, 0] if one else np.stack([result.coef[:, 0] for result in results])
        intercepts = np.concatenate([result.intercept for result in results]).astype(self.coef_.dtype)
        self.intercept_ = intercepts if self.fit_intercept else 0.0
        self.n_iter_ = results[0].n_iter if one else [result.n_iter for result in results]
        gaps = np.array([result.certificate.gap for result in results])
        self.dual_gap_ = gaps[0] if one else gaps
        self.certificate_ = [result.certificate for result in results]
        self.status_ = [result.status for result in results]
        return self


class Lasso(ElasticNet):
    """The Lasso of one task, or of several tasks fitted apart: the elastic net at `l1_ratio=1`.

    See `ElasticNet` for the parameters and attributes.

    References
    ----------
    Tibshirani (1996), "Regression shrinkage and selection via the lasso".
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        fit_intercept: bool = True,
        precompute: Any = False,
        copy_X: bool = True,
        max_iter: int = 1000,
        tol: float = 1e-4,
        warm_start: bool = False,
        positive: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = 1.0  # no parameter, as in scikit-learn
        self.fit_intercept = fit_intercept
        self.precompute = precompute
        self.copy_X = copy_X
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.positive = positive
        self.random_state = random_state
        self.selection = selection

    def _penalty(self, p: int, alpha: float | None = None) -> Penalty:
        return L1(alpha, positive=self.positive)
