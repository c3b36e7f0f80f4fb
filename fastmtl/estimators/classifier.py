"""Classifiers: yes-no tasks side by side, or the classes of one label."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_consistent_length, column_or_1d

from .._arrays import feature_names
from ..losses import Logistic, Loss, Multinomial
from ..penalties import Penalty, as_penalty
from ._base import LinearEstimator
from ._scikit_learn import validated


class MultiTaskClassifier(ClassifierMixin, LinearEstimator):
    """Logistic tasks that share their features, or multinomial regression whose classes do.

    A matrix y of 0 and 1 (n, t) is t logistic tasks. A vector y of labels is one logistic task where there are two classes,
    and a multinomial regression with a column of W for each class where there are more.

    Parameters
    ----------
    alpha : float
        Strength of the penalty, >= 0; see `fastmtl.alpha_max`.
    loss : {"auto", "logistic", "multinomial"}
        "auto" as described above; "multinomial" gives two classes a column each.
    penalty : str or Penalty
        `"l21"`, `"l1"`, `"sparse_group"`, `"trace"`, or an object of `fastmtl.penalties`; its strength is `alpha`.
    fit_intercept, standardize, max_iter, tol, warm_start
        As in `GroupLasso`.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
        Labels, sorted; of a matrix y the numbers of its columns.
    coef_ : ndarray of shape (t, p), (k, p), or (1, p) for two classes
    intercept_ : ndarray of shape (t,), (k,) or (1,)
    n_iter_, dual_gap_, certificate_, status_, n_features_in_, feature_names_in_, task_names_in_
        See `LinearEstimator`.

    References
    ----------
    Obozinski, Taskar, Jordan (2010), "Joint covariate selection and joint subspace selection"; Vincent, Hansen (2014),
    "Sparse group lasso and high dimensional multinomial classification".
    """

    _multi_output = False
    _multi_label = True

    def __init__(
        self,
        alpha: float = 0.1,
        *,
        loss: str = "auto",
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

    def _loss(self) -> Loss:
        return Multinomial(classes=tuple(range(len(self.classes_)))) if self._is_multinomial else Logistic()

    @property
    def _is_multinomial(self) -> bool:
        return not self._is_multilabel and (self.loss == "multinomial" or len(self.classes_) > 2)

    def _columns(self, y: np.ndarray) -> int:
        return len(self.classes_) if self._is_multinomial else super()._columns(y)

    def _checked(self, X: Any, y: Any) -> tuple[Any, np.ndarray]:
        """X, and y as numbers of classes (n,) or 0 and 1 (n, t)."""
        if self.loss not in ("auto", "logistic", "multinomial"):
            raise ValueError(f"loss is {self.loss!r}; expected 'auto', 'logistic' or 'multinomial'")
        names = feature_names(y)
        settings = {"accept_sparse": ("csc", "csr"), "dtype": [np.float64, np.float32]}
        for_y = {"accept_sparse": True, "ensure_2d": False, "dtype": None}
        X, y = validated(self, X, y, validate_separately=(settings, for_y))
        check_consistent_length(X, y)
        check_classification_targets(y)
        self._is_multilabel = type_of_target(y, input_name="y") == "multilabel-indicator"
        if self._is_multilabel:
            codes = np.asarray(y.toarray() if hasattr(y, "toarray") else y, dtype=np.float64)
            self.classes_ = np.arange(codes.shape[1])
        elif y.ndim == 2 and y.shape[1] > 1:
            raise ValueError(
                f"y is a matrix {y.shape} of labels other than 0 and 1, which a matrix must hold: one yes-no task a column. "
                "Code the labels as 0 and 1, or pass one vector of labels, of as many classes as there are"
            )
        else:
            self.classes_, codes = np.unique(column_or_1d(y, warn=True), return_inverse=True)
            self._check_classes()
        self._named(names if self._is_multilabel else None)
        return X, codes

    def _weights(self, sample_weight: Any, y: np.ndarray) -> np.ndarray | None:
        weights = super()._weights(sample_weight, y)
        if weights is not None and y.ndim == 1:
            present = np.unique(y[weights > 0])
            if len(present) == 1:
                raise ValueError(
                    f"samples with a positive weight are all of one class, {self.classes_[present[0]]!r}; "
                    "samples of at least 2 classes are needed"
                )
        return weights

    def _check_classes(self) -> None:
        if len(self.classes_) < 2:
            raise ValueError(
                f"y holds one class only, {self.classes_[0]!r}; samples of at least 2 classes are needed"
            )
        if self.loss == "logistic" and len(self.classes_) > 2:
            raise ValueError(
                f"y holds {len(self.classes_)} classes, loss='logistic' tells two apart; use loss='auto' or 'multinomial'"
            )

    def _keep(self, result: Any) -> Any:
        super()._keep(result)
        self.coef_, self.intercept_ = np.atleast_2d(self.coef_), np.atleast_1d(self.intercept_)
        if self._is_multinomial:
            # A shift of all classes alike changes no probability; of all such intercepts take those that sum to zero.
            self.intercept_ = self.intercept_ - self.intercept_.mean()
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Linear predictors (n, t) or (n, k); for two classes the log-odds (n,) of the second."""
        Z = self._linear(X)
        if self._is_multilabel or len(self.classes_) > 2:
            return Z
        return Z[:, -1] - Z[:, 0] if self._is_multinomial else Z[:, 0]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities: of 1 for each task (n, t), or of each class (n, k)."""
        Z = self._linear(X)
        P = self._loss().inverse_link(Z)
        return P if self._is_multilabel or self._is_multinomial else np.hstack([1.0 - P, P])

    def predict(self, X: Any) -> np.ndarray:
        """0 and 1 (n, t), or the most probable class (n,)."""
        Z = self.decision_function(X)
        if self._is_multilabel:
            return (Z > 0).astype(np.int64)
        return self.classes_[Z.argmax(axis=1) if Z.ndim == 2 else (Z > 0).astype(np.intp)]
