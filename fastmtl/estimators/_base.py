"""What every estimator shares: data checked by scikit-learn, one fit by fastmtl, coefficients kept under sklearn's names."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Number
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning as SklearnConvergenceWarning
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from .._arrays import feature_names
from .._status import ConvergenceWarning
from ..api import fit
from ..losses import Loss
from ..penalties import Penalty
from ._scikit_learn import FINITE, Tagged, readable, validated


class EstimatorConvergenceWarning(ConvergenceWarning, SklearnConvergenceWarning):
    """A fit ended before its gap reached the tolerance; caught as fastmtl's warning and as scikit-learn's."""


class LinearEstimator(Tagged, BaseEstimator):
    """A linear model fitted by `fastmtl.fit`; a subclass names its penalty, its loss and the meaning of its `tol`.

    Attributes
    ----------
    coef_ : ndarray of shape (t, p), or (p,) where y was a vector
    intercept_ : ndarray of shape (t,), or float
    n_iter_ : int
        Outer iterations.
    dual_gap_ : float
        Certified duality gap, on the scale of the mean loss.
    certificate_ : Certificate
        Primal and dual value, gap, and gap relative to the loss of the best constant prediction.
    status_ : Status
        How the fit ended.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (p,)
        Where X is a frame whose columns are named by strings.
    task_names_in_ : ndarray of shape (t,)
        Where y is a frame or a named series.
    """

    alpha: float
    fit_intercept: bool
    max_iter: int
    tol: float
    standardize = False
    warm_start = False

    _gaps = True
    """Whether NaN in a matrix y is a target that was not observed."""

    def _penalty(self, p: int, alpha: float | None = None) -> Penalty:
        raise NotImplementedError

    def _loss(self) -> str | Loss | Sequence[str | Loss]:
        return "squared"

    def _relative_tol(self) -> float:
        return self.tol

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Fit the model.

        Parameters
        ----------
        X : array, sparse matrix or frame of shape (n, p)
            Never written to; copied only where it is not an array of floats.
        y : array or frame of shape (n,) or (n, t)
            Targets; NaN in a matrix marks one that was not observed.
        sample_weight : float or array of shape (n,) or (n, t), optional
            A number weighs all samples alike and changes nothing.

        Returns
        -------
        self
        """
        X, y = self._checked(X, y)
        return self._keep(self._fitted(X, y, sample_weight, self._start(X.shape[1], self._columns(y))))

    def predict(self, X: Any) -> np.ndarray:
        """Predicted targets (n, t), or (n,) where y was a vector."""
        return self._linear(X)

    @property
    def sparse_coef_(self) -> Any:
        """`coef_` as a sparse matrix (t, p)."""
        from scipy.sparse import csr_matrix

        return csr_matrix(np.atleast_2d(self.coef_))

    def _checked(self, X: Any, y: Any) -> tuple[Any, np.ndarray]:
        """X and y as arrays of floats; shapes and names recorded."""
        names = feature_names(y)
        for_X = {"accept_sparse": ("csc", "csr"), "dtype": [np.float64, np.float32]}
        for_y = {"ensure_2d": False, "dtype": np.float64, FINITE: "allow-nan" if self._gaps else True}
        X, y = validated(self, X, y, validate_separately=(for_X, for_y))
        check_consistent_length(X, y)
        if y.ndim == 1 and np.isnan(y).any():
            raise ValueError("Input y contains NaN; drop those samples, or give a matrix y with gaps")
        self._named(names)
        return X, y

    def _named(self, names: list[str] | None) -> None:
        """Record the names of the tasks, if they have some."""
        if names is not None:
            self.task_names_in_ = np.array(names, dtype=object)
        elif hasattr(self, "task_names_in_"):
            del self.task_names_in_

    def _fitted(self, X: Any, y: np.ndarray, sample_weight: Any, start: Any = None) -> Any:
        """The fit of checked data; a number as weight changes nothing."""
        penalty = self._penalty(X.shape[1], self.alpha)
        settings = {
            "fit_intercept": self.fit_intercept,
            "standardize": self.standardize,
            "tol": self._relative_tol(),
            "max_iter": self.max_iter,
            "warm_start": start,
        }
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            weights = self._weights(sample_weight, y)
            result = fit(X, y, penalty, loss=self._loss(), sample_weight=weights, **settings)
        report(caught)
        return result

    def _weights(self, sample_weight: Any, y: np.ndarray) -> np.ndarray | None:
        """Weights as fits take them."""
        return effective(sample_weight, y)

    def _columns(self, y: np.ndarray) -> int:
        """Columns of W that checked targets need."""
        return 1 if y.ndim == 1 else y.shape[1]

    def _start(self, p: int, columns: int) -> np.ndarray | None:
        """Coefficients (p, columns) of the last fit when they are to be started from; None after one of another shape."""
        if not (self.warm_start and hasattr(self, "coef_")):
            return None
        last = np.atleast_2d(self.coef_).T
        return last if last.shape == (p, columns) else None

    def _keep(self, result: Any) -> Any:
        """Hold a fit in scikit-learn's attributes: tasks in rows, vectors where y was one."""
        coef, intercept = result.coef.T, result.intercept.astype(result.coef.dtype, copy=False)
        self.coef_ = coef[0] if result.is_1d else coef
        self.intercept_ = intercept[0] if result.is_1d else intercept
        self.n_iter_ = result.n_iter
        self.dual_gap_ = result.certificate.gap
        self.certificate_, self.status_ = result.certificate, result.status
        return self

    def _linear(self, X: Any) -> np.ndarray:
        """`X W + b`."""
        check_is_fitted(self)
        X = validated(self, X, reset=False, accept_sparse=("csc", "csr"), dtype=[np.float64, np.float32])
        return np.asarray(X @ self.coef_.T) + self.intercept_


def effective(sample_weight: Any, y: np.ndarray) -> np.ndarray | None:
    """Weights as fits take them, (n,) or as y: one number for all samples is none."""
    if sample_weight is None or isinstance(sample_weight, Number):
        return None
    weights = np.asarray(readable(sample_weight, "sample_weight"), dtype=np.float64)
    if weights.shape not in ((len(y),), y.shape):
        expected = f"({len(y)},)" if y.ndim == 1 else f"({len(y)},) or {y.shape}"
        raise ValueError(f"sample_weight has shape {weights.shape}; {expected} was expected: one a row of X")
    if not weights.any():
        raise ValueError("sample_weight is zero everywhere; at least one sample needs a positive weight")
    return weights


def report(caught: list[warnings.WarningMessage]) -> None:
    """Pass warnings on; one about convergence in a form that scikit-learn's users filter."""
    for entry in caught:
        if issubclass(entry.category, ConvergenceWarning):
            text = "Objective did not converge. You might want to increase the number of iterations"
            warnings.warn(f"{text}: {entry.message}", EstimatorConvergenceWarning, stacklevel=4)
        else:
            warnings.warn_explicit(entry.message, entry.category, entry.filename, entry.lineno)
