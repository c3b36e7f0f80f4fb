"""The cross-validated Lasso, elastic net and their multi-task forms, in place of scikit-learn's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import column_or_1d

from ..adapters.sklearn_path import lasso_path
from ..penalties import L1, Penalty
from ._cross_validated import CrossValidated
from .lasso import DropIn, MultiTaskElasticNet, MultiTaskLasso


class _Task(CrossValidated, DropIn):
    """One task under the absolute norm."""

    positive: bool
    _multi_output = False

    def _penalty(self, p: int, alpha: float | None = None) -> Penalty:
        return L1(alpha, l1_ratio=getattr(self, "l1_ratio", 1.0), positive=self.positive)

    def _checked(self, X: Any, y: Any) -> tuple[Any, np.ndarray]:
        X, y = super()._checked(X, y)
        if y.ndim == 2 and y.shape[1] > 1:
            raise ValueError(
                f"y has {y.shape[1]} columns, one was expected. For multi-task outputs, use MultiTask{type(self).__name__}"
            )
        return X, column_or_1d(y, warn=True)


class MultiTaskElasticNetCV(CrossValidated, MultiTaskElasticNet):
    """Multi-task elastic net with its strength chosen by cross-validation.

    Parameters
    ----------
    l1_ratio : float or sequence of float
        Values to choose among; see `MultiTaskElasticNet`.
    eps : float
        Smallest strength over the largest.
    alphas : int or array of shape (A,), or None
        Number of strengths, evenly spaced in the logarithm from the least that leaves all coefficients zero; or the
        strengths. None, the default of older versions of scikit-learn, is 100.
    cv : int, splitter or iterable, optional
        Folds, as scikit-learn's `check_cv` takes them; five without an order when left out.
    n_jobs : int, optional
        Fits that run side by side in threads; one when left out, unless joblib is told otherwise.
    fit_intercept, max_iter, tol
        As in `MultiTaskElasticNet`.
    n_alphas : int, optional
        scikit-learn's older name for `alphas` when it is a number.
    copy_X, verbose, random_state, selection
        Without effect.

    Attributes
    ----------
    alpha_, l1_ratio_ : float
        The chosen values.
    alphas_ : ndarray of shape (A,) or (L, A)
    mse_path_ : ndarray of shape (A, K) or (L, A, K)
        Mean squared error of each fold.
    coef_, intercept_, n_iter_, dual_gap_, sparse_coef_, certificate_, status_, n_features_in_, feature_names_in_,
    task_names_in_
        Of the model at the chosen values on all samples; see `MultiTaskElasticNet`.
    cv_results_
        See `CrossValidated`.
    """

    _mixing = "l1_ratio"

    def __init__(
        self,
        *,
        l1_ratio: float | Sequence[float] = 0.5,
        eps: float = 1e-3,
        alphas: Any = 100,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float = 1e-4,
        cv: Any = None,
        copy_X: bool = True,
        verbose: bool | int = False,
        n_jobs: int | None = None,
        random_state: Any = None,
        selection: str = "cyclic",
        n_alphas: int | None = None,
    ) -> None:
        self.l1_ratio = l1_ratio
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv
        self.copy_X = copy_X
        self.verbose = verbose
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.selection = selection
        self.n_alphas = n_alphas


class MultiTaskLassoCV(CrossValidated, MultiTaskLasso):
    """Multi-task Lasso with its strength chosen by cross-validation.

    See `MultiTaskElasticNetCV` for the parameters and attributes.
    """

    path = staticmethod(lasso_path)

    def __init__(
        self,
        *,
        eps: float = 1e-3,
        alphas: Any = 100,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float = 1e-4,
        cv: Any = None,
        copy_X: bool = True,
        verbose: bool | int = False,
        n_jobs: int | None = None,
        random_state: Any = None,
        selection: str = "cyclic",
        n_alphas: int | None = None,
    ) -> None:
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv
        self.copy_X = copy_X
        self.verbose = verbose
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.selection = selection
        self.n_alphas = n_alphas


class ElasticNetCV(_Task):
    """Elastic net of one task with its strength chosen by cross-validation.

    Parameters
    ----------
    l1_ratio, eps, alphas, fit_intercept, max_iter, tol, cv, n_jobs, n_alphas
        As in `MultiTaskElasticNetCV`.
    positive : bool
        Constrain the coefficients to be >= 0.
    precompute, copy_X, verbose, random_state, selection
        Without effect.

    Attributes
    ----------
    alpha_, l1_ratio_, alphas_, mse_path_, cv_results_
        As in `MultiTaskElasticNetCV`.
    coef_, intercept_, n_iter_, dual_gap_, sparse_coef_, certificate_, status_, n_features_in_, feature_names_in_
        See `ElasticNet`.
    """

    _mixing = "l1_ratio"

    def __init__(
        self,
        *,
        l1_ratio: float | Sequence[float] = 0.5,
        eps: float = 1e-3,
        alphas: Any = 100,
        fit_intercept: bool = True,
        precompute: Any = "auto",
        max_iter: int = 1000,
        tol: float = 1e-4,
        cv: Any = None,
        copy_X: bool = True,
        verbose: bool | int = False,
        n_jobs: int | None = None,
        positive: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
        n_alphas: int | None = None,
    ) -> None:
        self.l1_ratio = l1_ratio
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.precompute = precompute
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv
        self.copy_X = copy_X
        self.verbose = verbose
        self.n_jobs = n_jobs
        self.positive = positive
        self.random_state = random_state
        self.selection = selection
        self.n_alphas = n_alphas


class LassoCV(_Task):
    """The Lasso of one task with its strength chosen by cross-validation.

    See `ElasticNetCV` for the parameters and attributes.
    """

    path = staticmethod(lasso_path)

    def __init__(
        self,
        *,
        eps: float = 1e-3,
        alphas: Any = 100,
        fit_intercept: bool = True,
        precompute: Any = "auto",
        max_iter: int = 1000,
        tol: float = 1e-4,
        cv: Any = None,
        copy_X: bool = True,
        verbose: bool | int = False,
        n_jobs: int | None = None,
        positive: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
        n_alphas: int | None = None,
    ) -> None:
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.precompute = precompute
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv
        self.copy_X = copy_X
        self.verbose = verbose
        self.n_jobs = n_jobs
        self.positive = positive
        self.random_state = random_state
        self.selection = selection
        self.n_alphas = n_alphas
