"""What the `...CV` estimators share: strengths chosen by `fastmtl.cross_validate`, folds and metadata as in scikit-learn."""

from __future__ import annotations

import warnings
from copy import copy
from numbers import Integral, Real
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn import get_config
from sklearn.base import is_classifier
from sklearn.model_selection import check_cv
from sklearn.utils import check_scalar
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from .._status import ConvergenceWarning
from ..adapters.sklearn_path import LEAST_ALPHA
from ..api import alpha_max, fit
from ..model_selection import CVResult, cross_validate
from ..penalties import Penalty
from ._base import LinearEstimator, report

FINEST = 1e-14
"""Least relative gap asked of the paths of folds: moments that folds share carry no finer one."""


class CrossValidated(LinearEstimator):
    """A linear model whose strength, and mixing parameter, have the least error on samples that were not fitted.

    Attributes
    ----------
    alpha_ : float
        The chosen strength; the attributes of the fit are those of the model at this strength on all samples.
    alphas_ : ndarray of shape (A,), or (L, A) where L mixing parameters were given
        Strengths, decreasing.
    mse_path_ (deviance_path_ where losses are not all squared) : ndarray of shape (A, K), or (L, A, K)
        Mean error of the K folds: the squared error; twice the loss in general.
    cv_results_ : list of CVResult
        All of it, task by task, with the gaps that were reached; one for each value of the mixing parameter.
    """

    alphas: Any
    eps: float
    cv: Any
    n_jobs: int | None
    n_alphas: int | None = None
    rule = "min"

    _errors = "mse_path_"
    """Name of the attribute that holds the errors."""

    _mixing = ""
    """Name of the parameter that mixes the parts of the penalty, one value or several to choose among."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Any:
        """Choose the strength and fit the model.

        Parameters
        ----------
        X : array, sparse matrix or frame of shape (n, p)
            Never written to; copied only where it is not an array of floats.
        y : array or frame of shape (n,) or (n, t)
        sample_weight : float or array of shape (n,), optional
            Weights in the fits and in the error of each fold; folds count alike.
        **params
            Metadata for the splitter `cv`, such as `groups`, when metadata routing is on.

        Returns
        -------
        self
        """
        splitting = self._routed(sample_weight, params)
        X, y = self._checked(X, y)
        weights = self._weights(sample_weight, y)
        splitter: Any = check_cv(self.cv, y, classifier=is_classifier(self))
        folds = list(splitter.split(X, y, **splitting))
        n_jobs = effective_n_jobs(self.n_jobs)  # pyright: ignore[reportArgumentType]  (joblib takes None)
        penalties = self._penalties(X.shape[1])
        grids = self._grids(X, y, weights, penalties)
        problem = {"loss": self._loss(), "fit_intercept": self.fit_intercept, "standardize": self.standardize}
        settings = problem | {
            "sample_weight": weights,
            "tol": self._relative_tol(),
            "max_iter": self.max_iter,
        }
        of_folds: dict[str, Any] = settings | {"tol": max(self._relative_tol(), FINEST)}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            results = [
                cross_validate(
                    X, y, penalty, alphas=grid, cv=folds, rule=self.rule, n_jobs=n_jobs,
                    refit=False, **of_folds,
                )
                for penalty, grid in zip(penalties, grids, strict=True)
            ]  # fmt: skip
            best = int(np.nanargmin([result.mean.min() for result in results]))
            self._record(results, best)
            fitted = fit(X, y, penalties[best].with_alpha(self.alpha_), **settings)
        report(caught)
        return self._keep(fitted)

    def _penalties(self, p: int) -> list[Penalty]:
        """The penalty at every value of the mixing parameter."""
        if not self._mixing:
            return [self._penalty(p)]
        penalties = []
        for value in np.atleast_1d(getattr(self, self._mixing)):
            one = copy(self)
            setattr(one, self._mixing, float(value))
            penalties.append(one._penalty(p))
        return penalties

    def _grids(
        self, X: Any, y: np.ndarray, weights: np.ndarray | None, penalties: list[Penalty]
    ) -> list[np.ndarray]:
        """Strengths, decreasing, for every penalty."""
        if np.ndim(self._wanted) != 1:
            check_scalar(self._wanted, "alphas" if self.n_alphas is None else "n_alphas", Integral, min_val=1)
        if not isinstance(self._wanted, Integral):
            for i, alpha in enumerate(self._wanted):
                check_scalar(alpha, f"alphas[{i}]", Real, min_val=0.0)
            return [np.sort(np.asarray(self._wanted, dtype=np.float64))[::-1]] * len(penalties)
        if any(getattr(one, "l1_ratio", 1.0) == 0 for one in penalties):
            raise ValueError(
                "Automatic alpha grid generation is not supported for l1_ratio=0. Please supply a grid by providing your "
                "estimator with the appropriate `alphas=` argument."
            )
        problem = {"loss": self._loss(), "fit_intercept": self.fit_intercept, "standardize": self.standardize}
        tops = [alpha_max(X, y, one, sample_weight=weights, **problem) for one in penalties]
        least = LEAST_ALPHA * max(
            1.0, float(np.nanmax(np.abs(y)))
        )  # constant targets, up to the rounding of their mean
        return [
            np.geomspace(top, top * self.eps, self._wanted)
            if top > least
            else np.full(self._wanted, LEAST_ALPHA)
            for top in tops
        ]

    @property
    def _wanted(self) -> Any:
        """Number of strengths, or the strengths."""
        wanted = self.alphas if self.n_alphas is None else self.n_alphas
        return 100 if wanted is None else wanted

    def _record(self, results: list[CVResult], best: int) -> None:
        """Hold the cross-validations, one for each value of the mixing parameter, in scikit-learn's attributes."""
        self.cv_results_ = results
        self.alpha_ = results[best].best_alpha
        one_grid = len(results) == 1 or not isinstance(self._wanted, Integral)
        self.alphas_ = (
            results[0].alphas[0] if one_grid else np.concatenate([result.alphas for result in results])
        )
        setattr(self, self._errors, np.squeeze(np.concatenate([result.fold_scores for result in results])))
        if self._mixing:
            setattr(self, f"{self._mixing}_", float(np.atleast_1d(getattr(self, self._mixing))[best]))

    def _routed(self, sample_weight: Any, params: dict[str, Any]) -> dict[str, Any]:
        """Arguments of the splitter."""
        if not get_config()["enable_metadata_routing"]:
            if params:
                raise ValueError(
                    f"fit got {', '.join(params)}; passing metadata to the splitter is only supported if "
                    "enable_metadata_routing=True: sklearn.set_config(enable_metadata_routing=True)"
                )
            return {}
        return process_routing(self, "fit", sample_weight=sample_weight, **params).splitter.split

    def get_metadata_routing(self) -> MetadataRouter:
        """Metadata that this estimator and its splitter ask for."""
        mapping = MethodMapping().add(caller="fit", callee="split")
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        return router.add(splitter=check_cv(self.cv), method_mapping=mapping)
