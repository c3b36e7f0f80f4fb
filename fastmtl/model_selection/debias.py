"""A fit without its penalty on the features that a penalised fit has chosen."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._given import is_list_of_designs, to_host
from .._settings import check_number
from ..api import fit
from ..penalties import L21
from ..result import FitResult


def debias(result: FitResult, X: Any, Y: Any, *, ridge: float = 0.0, **problem: Any) -> FitResult:
    """Refit the features with a non-zero row, unpenalised: what a penalty shrinks is taken back.

    The support stays, and with it the sparsity; estimates on a support that the same data chose are optimistic all the same.

    Parameters
    ----------
    result : FitResult
        Any fit, such as `path[i]` or `cv.best`.
    X, Y : array
        The data, as in `fit`.
    ridge : float
        >= 0: strength of `ridge/2 |W|_F^2` on the support. Needed where the support has more features than samples.
    **problem
        The other arguments of `fit` that the result was fitted with: `loss`, `sample_weight`, `task`, `fit_intercept`, ...

    Returns
    -------
    FitResult
        With a certificate like any other, for the least squares (likelihood) problem on the support.

    Raises
    ------
    ValueError, TypeError
        Bad input, naming the argument.

    References
    ----------
    Efron, Hastie, Johnstone, Tibshirani (2004), "Least angle regression", section 3, the OLS/lasso hybrid; Belloni,
    Chernozhukov (2013), "Least squares after model selection in high-dimensional sparse models".
    """
    if not hasattr(result, "coef"):
        raise TypeError(
            f"result is of type {type(result).__name__}; a FitResult was expected: pass the fit itself"
        )
    own = sorted({"penalty", "alpha"} & set(problem))
    if own:
        raise TypeError(
            f"debias takes no {own[0]}: it fits without a penalty, or with a ridge; leave {own[0]} out"
        )
    check_number(ridge, "ridge", "a finite number >= 0", lambda strength: 0 <= strength < np.inf)
    kept = np.asarray(to_host(result.coef)).any(axis=1)
    p = np.shape(X[0] if is_list_of_designs(X) else X)[-1:]
    if p != kept.shape:
        raise ValueError(
            f"X has {p[0] if p else 'no'} features, result has {kept.size}; pass the data of the fit"
        )
    # Weights are 0 (free) or 1 (a ridge of its strength) on the support and exclude all else.
    weights = np.where(kept, 1.0 if ridge > 0 else 0.0, np.inf)
    penalty = L21(ridge or 1.0, l1_ratio=0.0, feature_weights=weights.tolist())
    return fit(X, Y, penalty, **problem)
