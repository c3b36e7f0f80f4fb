"""`enet_path` and `lasso_path` against scikit-learn's, and inside its cross-validated models."""

from __future__ import annotations

import importlib.util
import inspect
import warnings
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from fastmtl.adapters import sklearn_path as ours

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
import sklearn.linear_model as theirs
from scipy.sparse import csc_matrix


def data(t=3, n=40, p=60, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + 0.5 * rng.standard_normal((n, 1))
    Y = X[:, :5] @ rng.standard_normal((5, max(t, 1))) + rng.standard_normal((n, max(t, 1)))
    return np.asfortranarray(X, dtype=dtype), np.asfortranarray(Y if t else Y[:, 0], dtype=dtype)


@pytest.mark.parametrize("name", ["enet_path", "lasso_path"])
def test_the_signature_is_theirs(name):
    assert list(inspect.signature(getattr(ours, name)).parameters) == list(
        inspect.signature(getattr(theirs, name)).parameters
    )


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("t", [0, 3])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("sparse", [False, True])
def test_same_path_as_theirs(t, l1_ratio, sparse, positive):
    if t and positive:
        pytest.skip("scikit-learn has no positive multi-task path")
    X, y = data(t)
    given = csc_matrix(X) if sparse and not t else X
    alphas, coefs, gaps = ours.enet_path(
        given, y, l1_ratio=l1_ratio, alphas=10, eps=0.05, tol=1e-12, positive=positive
    )
    strengths = alphas.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = theirs.enet_path(
            X, y, l1_ratio=l1_ratio, alphas=strengths, tol=1e-13, positive=positive, max_iter=100_000
        )
    np.testing.assert_array_equal(alphas, peer[0])
    assert coefs.shape == peer[1].shape == ((3, 60, 10) if t else (60, 10)) and gaps.shape == (10,)
    assert (gaps <= 1e-12 * (y * y).sum() / len(y)).all()
    for i, alpha in enumerate(alphas):
        values = [objective(X, y, found[..., i], alpha, l1_ratio) for found in (coefs, peer[1])]
        assert abs(values[0] - values[1]) <= gaps[i] + peer[2][i] + 1e-13 * values[0]


def objective(X, y, coef, alpha, l1_ratio):
    W, R = np.atleast_2d(coef), y - X @ coef.T
    norms = np.sqrt((W * W).sum(axis=0)).sum()
    return 0.5 * (R * R).sum() / len(X) + alpha * (l1_ratio * norms + 0.5 * (1 - l1_ratio) * (W * W).sum())


def test_grid_dtype_start_and_iterations():
    X, y = data(dtype=np.float32)
    alphas, coefs, _, n_iters = ours.lasso_path(X, y, n_alphas=7, eps=0.1, return_n_iter=True)
    peer = theirs.lasso_path(X, y, alphas=alphas.copy())[0]
    np.testing.assert_array_equal(alphas, peer)
    top = np.sqrt(((X.T.astype(float) @ y) ** 2).sum(axis=1)).max() / len(X)
    assert coefs.dtype == np.float32 and len(n_iters) == 7 and alphas[0] == pytest.approx(top, rel=1e-6)
    again = ours.lasso_path(X, y, alphas=alphas[-1:], coef_init=coefs[..., -1], return_n_iter=True)
    assert again[3] == [0] and (again[1][..., 0] == coefs[..., -1]).all()


@pytest.mark.parametrize(
    ("model", "weighted"),
    [("MultiTaskLassoCV", False), ("MultiTaskElasticNetCV", False), ("LassoCV", False), ("LassoCV", True)],
)
def test_inside_their_cross_validation(model, weighted):
    X, y = data(0 if model == "LassoCV" else 3)
    path = ours.enet_path if "Elastic" in model else ours.lasso_path
    fast = type("Fast", (getattr(theirs, model),), {"path": staticmethod(path)})
    weights = {"sample_weight": np.linspace(0.5, 1.5, len(X))} if weighted else {}
    options = {"cv": 2, "tol": 1e-9, "max_iter": 100_000, "eps": 0.2}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, peer = (cls(**options).fit(X, y, **weights) for cls in (fast, getattr(theirs, model)))
    assert found.alpha_ == pytest.approx(peer.alpha_)
    np.testing.assert_allclose(found.mse_path_, peer.mse_path_, rtol=1e-4)


@pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
def test_sparse_and_weighted_inside_their_cross_validation():
    X, y = data(0)
    X = csc_matrix(X * (np.abs(X) > 0.7))
    weights = np.linspace(0.5, 1.5, X.shape[0])
    fast = type("Fast", (theirs.LassoCV,), {"path": staticmethod(ours.lasso_path)})
    options = {"cv": 2, "tol": 1e-9, "max_iter": 100_000, "eps": 0.2}
    found, peer = (cls(**options).fit(X, y, sample_weight=weights) for cls in (fast, theirs.LassoCV))
    np.testing.assert_allclose(found.mse_path_, peer.mse_path_, rtol=1e-4)


@pytest.mark.parametrize("t", [0, 3])
def test_targets_of_zero_have_a_whole_grid(t):
    X, Y = data(t=t)
    mine, wanted = ours.lasso_path(X, 0 * Y, n_alphas=4), theirs.lasso_path(X, 0 * Y, alphas=4)
    np.testing.assert_array_equal(mine[0], wanted[0])
    assert mine[1].shape == wanted[1].shape and not mine[1].any()


def test_refusals():
    X, y = data()
    with pytest.raises(ValueError, match="positive"):
        ours.lasso_path(X, y, positive=True)
    with pytest.raises(ValueError, match="unexpected parameters: fit_intercept"):
        ours.lasso_path(X, y, fit_intercept=True)


FILE = Path(theirs.__file__).parent / "tests" / "test_coordinate_descent.py"


@pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ["test_lasso_path_return_models_vs_new_return_gives_same_coefficients"])
def test_scikit_learn_s_own_tests_pass_with_our_path_inside(name):
    spec = importlib.util.spec_from_file_location("their_coordinate_descent", FILE)
    module = importlib.util.module_from_spec(spec)
    with patch.multiple(theirs, enet_path=ours.enet_path, lasso_path=ours.lasso_path):
        spec.loader.exec_module(module)
    assert module.lasso_path is ours.lasso_path
    getattr(module, name)()
