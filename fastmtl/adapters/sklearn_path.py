"""scikit-learn: `enet_path` and `lasso_path`, with their signatures and scales.

    1/(2n) |Y - X W|_F^2 + alpha l1_ratio sum_j |w_j| + alpha (1 - l1_ratio)/2 |W|_F^2

There is no intercept. Either may take the place of the static method `path` of scikit-learn's cross-validated models:

    class FastMultiTaskLassoCV(sklearn.linear_model.MultiTaskLassoCV):
        path = staticmethod(fastmtl.adapters.sklearn_path.lasso_path)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arrays import is_sparse
from ..path import fit_path
from ..penalties import L1, L21

LEAST_ALPHA = float(np.finfo(np.float64).resolution)
"""Strength that stands for all where no strength changes the fit, as in scikit-learn."""

DEFAULT = ("warn", "deprecated")
"""What scikit-learn's own defaults are called while it renames `n_alphas`."""


def lasso_path(
    X: Any,
    y: Any,
    *,
    eps: float = 1e-3,
    n_alphas: Any = 100,
    alphas: Any = None,
    precompute: Any = "auto",
    Xy: Any = None,
    copy_X: bool = True,
    coef_init: Any = None,
    verbose: Any = False,
    return_n_iter: bool = False,
    positive: bool = False,
    **params: Any,
) -> tuple[Any, ...]:
    """The (multi-task) Lasso at decreasing strengths: `enet_path` at `l1_ratio=1`."""
    params.pop("l1_ratio", None)
    return enet_path(
        X, y, l1_ratio=1.0, eps=eps, n_alphas=n_alphas, alphas=alphas, precompute=precompute, Xy=Xy, copy_X=copy_X,
        coef_init=coef_init, verbose=verbose, return_n_iter=return_n_iter, positive=positive, **params,
    )  # fmt: skip


def enet_path(
    X: Any,
    y: Any,
    *,
    l1_ratio: float = 0.5,
    eps: float = 1e-3,
    n_alphas: Any = 100,
    alphas: Any = None,
    precompute: Any = "auto",
    Xy: Any = None,
    copy_X: bool = True,
    coef_init: Any = None,
    verbose: Any = False,
    return_n_iter: bool = False,
    positive: bool = False,
    check_input: bool = True,
    **params: Any,
) -> tuple[Any, ...]:
    """The (multi-task) elastic net at decreasing strengths.

    Parameters
    ----------
    X : array or sparse matrix of shape (n, p)
    y : array of shape (n,) or (n, t)
    l1_ratio : float
        Share of the norm in the penalty.
    eps : float
        The smallest strength over the largest.
    alphas : int or array of shape (A,), optional
        How many strengths, or which; `n_alphas` of them if left out.
    coef_init : array of shape (p,) or (t, p), optional
        Where the first strength starts.
    return_n_iter : bool
        Return the outer iterations as well.
    positive : bool
        Constrain the coefficients to be >= 0; for a vector y.
    tol : float, default 1e-4
        Each dual gap is at most `tol |y|^2 / n`, as scikit-learn's.
    max_iter : int, default 1000
        Bound on the outer iterations of each strength.
    X_offset, X_scale, sample_weight
        As scikit-learn's cross-validation hands them on: to be applied to a sparse X, already applied to a dense one.
    precompute, Xy, copy_X, verbose, check_input, random_state, selection, do_screening
        Taken for the sake of the signature and not needed: X is never written to, nothing is printed, features are never
        drawn at random.

    Returns
    -------
    alphas : ndarray of shape (A,)
        Strengths, decreasing.
    coefs : ndarray of shape (p, A) or (t, p, A)
        Coefficients, in the floating dtype of X.
    dual_gaps : ndarray of shape (A,)
        Certified duality gaps.
    n_iters : list of int
        If `return_n_iter`.

    Raises
    ------
    ValueError
        Parameters that scikit-learn does not know either; `positive` with a matrix y; what `fastmtl.fit_path` refuses.
    """
    tol, max_iter = params.pop("tol", 1e-4), params.pop("max_iter", 1000)
    offset, weight = params.pop("X_offset", None), params.pop("sample_weight", None)
    for name in ("X_scale", "random_state", "selection", "do_screening"):
        params.pop(name, None)
    if params:
        raise ValueError(f"unexpected parameters: {', '.join(sorted(params))}")
    is_multi = np.ndim(y) == 2
    if is_multi and positive:
        raise ValueError("positive=True is for a vector y; fastmtl.fit_path takes it with a matrix")
    if isinstance(alphas, (int, np.integer)):
        n_alphas, alphas = alphas, None
    alphas = None if isinstance(alphas, str) and alphas in DEFAULT else alphas
    count: Any = 100 if isinstance(n_alphas, str) and n_alphas in DEFAULT else n_alphas
    penalty = L21(l1_ratio=l1_ratio) if is_multi else L1(l1_ratio=l1_ratio, positive=positive)
    # A sparse X comes uncentred: an intercept centres it, and y is centred already.
    centre = is_sparse(X) and offset is not None
    settings: dict[str, Any] = dict(
        fit_intercept=centre, sample_weight=weight if is_sparse(X) else None, tol=2.0 * tol, max_iter=max_iter,
        warm_start=None if coef_init is None else np.atleast_2d(coef_init).T,
    )  # fmt: skip
    path = fit_path(X, y, penalty, alphas=alphas, n_alphas=count, eps=eps, **settings)
    if alphas is None and path.alphas[0] == 0.0:
        path = fit_path(X, y, penalty, alphas=np.full(count, LEAST_ALPHA), **settings)
    coefs = path.coefs.T if is_multi else path.coefs[:, :, 0].T
    found = path.alphas, coefs, np.array([certificate.gap for certificate in path.certificates])
    return (*found, [fit.n_iter for fit in path.fits]) if return_n_iter else found
