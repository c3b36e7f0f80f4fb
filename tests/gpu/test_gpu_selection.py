"""Model selection takes X from a device, runs its folds there one after the other, and hands fits back there."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

import fastmtl


def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 12)) + 1.0
    return X, X[:, :3] @ rng.standard_normal((3, 2)) + 0.3 * rng.standard_normal((40, 2))


def test_model_selection_takes_x_from_a_device(on_device):
    X, Y = data()
    X_on_device = on_device.xp.asarray(X)
    found = fastmtl.cross_validate(X_on_device, Y, n_alphas=3, cv=2, eps=0.1)
    wanted = fastmtl.cross_validate(X, Y, n_alphas=3, cv=2, eps=0.1)
    np.testing.assert_allclose(found.scores, wanted.scores, rtol=1e-3)
    assert type(found.best.coef) is type(X_on_device)
    path = fastmtl.fit_path(X_on_device, Y, n_alphas=3)
    expected = fastmtl.path_criteria(fastmtl.fit_path(X, Y, n_alphas=3), X, Y)
    np.testing.assert_allclose(fastmtl.path_criteria(path, X_on_device, Y).df, expected.df, rtol=1e-3)
    sparse = fastmtl.fit_reweighted(X_on_device, Y, "mcp", alpha=0.1).fit
    again = fastmtl.debias(sparse, X_on_device, Y)
    np.testing.assert_array_equal(again.coef.get().any(axis=1), sparse.coef.get().any(axis=1))
    stable = fastmtl.stability_selection(X_on_device, Y, n_pairs=1, n_alphas=4, n_features=2)
    assert len(stable.selected) and stable.mean_size <= 2


def test_model_selection_takes_a_device_matrix_a_task_and_sparse_ones(on_device):
    X, Y = data()
    there, task = on_device.xp.asarray(X), np.arange(40) % 2
    sparse = csr_matrix(np.where(np.abs(X) > 0.5, X, 0.0))
    sparse_there = on_device.sparse().csr_matrix(sparse)
    for given, place, targets, keywords in (
        ([X, X[:30]], [there, there[:30]], [Y[:, 0], Y[:30, 1]], {}),
        (X, there, Y[:, 0], {"task": task}),
        (sparse, sparse_there, Y, {}),
        (sparse, sparse_there, Y[:, 0], {"task": task}),
    ):
        wanted = fastmtl.cross_validate(given, targets, n_alphas=3, cv=2, eps=0.1, **keywords)
        found = fastmtl.cross_validate(place, targets, n_alphas=3, cv=2, eps=0.1, **keywords)
        np.testing.assert_allclose(found.scores, wanted.scores, rtol=1e-3)
        assert found.best.backend == "gpu" and isinstance(found.best.coef, on_device.xp.ndarray)
