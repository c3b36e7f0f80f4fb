"""Group, sparse-group and trace-norm regression, classifiers and generalised linear models, cross-validated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..losses import Loss
from ..penalties import Penalty
from ._cross_validated import CrossValidated
from .classifier import MultiTaskClassifier
from .glm import MultiTaskGLM
from .group import GroupLasso, SparseGroupLasso
from .trace import TraceNormRegressor


class GroupLassoCV(CrossValidated, GroupLasso):
    """Group lasso with its strength chosen by cross-validation.

    Parameters
    ----------
    groups, group_weights, positive
        As in `GroupLasso`.
    l1_ratio : float or sequence of float
        Values to choose among.
    eps, alphas, cv, n_jobs
        As in `MultiTaskElasticNetCV`.
    rule : {"min", "1se"}
        The smallest mean error; or the largest strength whose mean error is within one standard error of it.
    fit_intercept, standardize, max_iter, tol
        As in `GroupLasso`.

    Attributes
    ----------
    alpha_, l1_ratio_, alphas_, mse_path_, cv_results_
        See `CrossValidated`.
    coef_, intercept_, n_iter_, dual_gap_, certificate_, status_ and the rest
        Of the model at the chosen strength on all samples; see `GroupLasso`.
    """

    _mixing = "l1_ratio"

    def __init__(
        self,
        *,
        groups: Any = None,
        group_weights: Sequence[float] | str | None = None,
        l1_ratio: float | Sequence[float] = 1.0,
        positive: bool = False,
        eps: float = 1e-2,
        alphas: Any = 100,
        fit_intercept: bool = True,
        standardize: bool = False,
        max_iter: int = 1000,
        tol: float = 1e-6,
        cv: Any = None,
        n_jobs: int | None = None,
        rule: str = "min",
    ) -> None:
        self.groups = groups
        self.group_weights = group_weights
        self.l1_ratio = l1_ratio
        self.positive = positive
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv
        self.n_jobs = n_jobs
        self.rule = rule


class SparseGroupLassoCV(CrossValidated, SparseGroupLasso):
    """Sparse-group lasso with its strength chosen by cross-validation.

    Parameters
    ----------
    tau : float or sequence of float
        Values to choose among.
    groups, group_weights, positive
        As in `SparseGroupLasso`.
    eps, alphas, cv, n_jobs
        As in `MultiTaskElasticNetCV`.
    rule : {"min", "1se"}
        The smallest mean error; or the largest strength whose mean error is within one standard error of it.
    fit_intercept, standardize, max_iter, tol
        As in `GroupLasso`.

    Attributes
    ----------
    alpha_, tau_, alphas_, mse_path_, cv_results_
        See `CrossValidated`.
    coef_, intercept_, n_iter_, dual_gap_, certificate_, status_ and the rest
        Of the model at the chosen strength on all samples; see `SparseGroupLasso`.
    """

    _mixing = "tau"

    def __init__(
        self,
        *,
        tau: float | Sequence[float] = 0.5,
        groups: Any = None,
        group_weights: Sequence[float] | str | None = None,
        positive: bool = False,
        eps: float = 1e-2,
        alphas: Any = 100,
        fit_intercept: bool = True,
        standardize: bool = False,
        max_iter: int = 1000,
        tol: float = 1e-6,
        cv: Any = None,
        n_jobs: int | None = None,
        rule: str = "min",
    ) -> None:
        self.tau = tau
        self.groups = groups
        self.group_weights = group_weights
        self.positive = positive
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv
        self.n_jobs = n_jobs
        self.rule = rule


class TraceNormRegressorCV(CrossValidated, TraceNormRegressor):
    """Low-rank regression with its strength chosen by cross-validation.

    Parameters
    ----------
    ridge : float
        As in `TraceNormRegressor`.
    eps, alphas, cv, n_jobs
        As in `MultiTaskElasticNetCV`.
    rule : {"min", "1se"}
        The smallest mean error; or the largest strength whose mean error is within one standard error of it.
    fit_intercept, standardize, max_iter, tol
        As in `GroupLasso`.

    Attributes
    ----------
    alpha_, alphas_, mse_path_, cv_results_
        See `CrossValidated`.
    coef_, intercept_, n_iter_, dual_gap_, certificate_, status_ and the rest
        Of the model at the chosen strength on all samples; see `TraceNormRegressor`.
    """

    def __init__(
        self,
        *,
        ridge: float = 0.0,
        eps: float = 1e-2,
        alphas: Any = 100,
        fit_intercept: bool = True,
        standardize: bool = False,
        max_iter: int = 1000,
        tol: float = 1e-6,
        cv: Any = None,
        n_jobs: int | None = None,
        rule: str = "min",
    ) -> None:
        self.ridge = ridge
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv
        self.n_jobs = n_jobs
        self.rule = rule


class MultiTaskClassifierCV(CrossValidated, MultiTaskClassifier):
    """Classifier with its strength chosen by cross-validation.

    Parameters
    ----------
    loss, penalty
        As in `MultiTaskClassifier`. Folds keep the share of every class, as scikit-learn's do.
    eps, alphas, cv, n_jobs
        As in `MultiTaskElasticNetCV`.
    rule : {"min", "1se"}
        The smallest mean error; or the largest strength whose mean error is within one standard error of it.
    fit_intercept, standardize, max_iter, tol
        As in `GroupLasso`.

    Attributes
    ----------
    alpha_, alphas_, deviance_path_, cv_results_
        See `CrossValidated`.
    coef_, intercept_, n_iter_, dual_gap_, certificate_, status_ and the rest
        Of the model at the chosen strength on all samples; see `MultiTaskClassifier`.
    """

    _errors = "deviance_path_"

    def __init__(
        self,
        *,
        loss: str = "auto",
        penalty: str | Penalty = "l21",
        eps: float = 1e-2,
        alphas: Any = 100,
        fit_intercept: bool = True,
        standardize: bool = False,
        max_iter: int = 1000,
        tol: float = 1e-6,
        cv: Any = None,
        n_jobs: int | None = None,
        rule: str = "min",
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv
        self.n_jobs = n_jobs
        self.rule = rule


class MultiTaskGLMCV(CrossValidated, MultiTaskGLM):
    """Generalised linear models with their common strength chosen by cross-validation.

    Parameters
    ----------
    loss, penalty
        As in `MultiTaskGLM`.
    eps, alphas, cv, n_jobs
        As in `MultiTaskElasticNetCV`.
    rule : {"min", "1se"}
        The smallest mean error; or the largest strength whose mean error is within one standard error of it.
    fit_intercept, standardize, max_iter, tol
        As in `GroupLasso`.

    Attributes
    ----------
    alpha_, alphas_, deviance_path_, cv_results_
        See `CrossValidated`.
    coef_, intercept_, n_iter_, dual_gap_, certificate_, status_ and the rest
        Of the model at the chosen strength on all samples; see `MultiTaskGLM`.
    """

    _errors = "deviance_path_"

    def __init__(
        self,
        *,
        loss: str | Loss | Sequence[str | Loss] = "squared",
        penalty: str | Penalty = "l21",
        eps: float = 1e-2,
        alphas: Any = 100,
        fit_intercept: bool = True,
        standardize: bool = False,
        max_iter: int = 1000,
        tol: float = 1e-6,
        cv: Any = None,
        n_jobs: int | None = None,
        rule: str = "min",
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv
        self.n_jobs = n_jobs
        self.rule = rule
