"""Second-order finishes: never uphill, stationary on what they keep, and what they are for."""

import numpy as np
import pytest

import fastmtl
from fastmtl.penalties import L1, L21, Group, SparseGroup
from fastmtl.solvers.row_newton import newton_applies
from fastmtl.solvers.second_order import finish, finish_cost
from fastmtl.solvers.support_newton import LARGEST
from fastmtl_kernels import reference
from fastmtl_kernels._interface import BlockShrink, Quadratic

P, T = 12, 4
ROWS, PAIRS = np.arange(P + 1), np.arange(0, P + 1, 2)


def shrinks():
    ones, none = np.ones, np.zeros
    return {
        "rows": BlockShrink(ROWS, none(P), 2.0 * ones(P), none(P), False),
        "entries": BlockShrink(ROWS, ones(P), none(P), none(P), False),
        "entries_ridge_positive": BlockShrink(ROWS, ones(P), none(P), 0.5 * ones(P), True),
        "both": BlockShrink(ROWS, 0.5 * ones(P), ones(P), none(P), False),
        "groups": BlockShrink(PAIRS, none(P), 2.0 * ones(P // 2), none(P // 2), False),
        "groups_positive": BlockShrink(PAIRS, none(P), 2.0 * ones(P // 2), none(P // 2), True),
        "groups_both_some_free": BlockShrink(PAIRS, 0.5 * ones(P), np.arange(6) / 3.0, 0.1 * ones(6), False),
    }


def problem(n, shrink, seed, epochs=30, kind="shared"):
    """A compact problem after a few sweeps: (n, P) samples, so that G is singular for n < P."""
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((T if kind == "own" else 1, n, P)), 3.0 * rng.standard_normal((n, T))
    X[:, :, 1] = X[:, :, 0] + 1e-3 * X[:, :, 1]
    linear = np.einsum("knp,nk->pk" if kind == "own" else "knp,nt->pt", X, Y)
    scale = np.ones(T) if kind == "shared" else np.arange(1.0, T + 1)
    grams = np.einsum("kni,knj->kij", X, X)
    quadratic = Quadratic(grams, scale, linear, linear.copy(), np.zeros((P, T)), 0.5 * np.vdot(Y, Y))
    reference.sweep(quadratic, shrink, 0.0, epochs)
    return quadratic


def curved(quadratic, W):
    """`c_t G_t w_t` of every task."""
    return quadratic.scale * np.einsum("kij,jk->ik", np.broadcast_to(quadratic.gram, (T, P, P)), W)


def objective(quadratic, shrink, W):
    smooth = 0.5 * np.vdot(W, curved(quadratic, W)) - np.vdot(quadratic.linear, W)
    return smooth + reference.penalty_value(W, shrink)


@pytest.mark.parametrize("n", [30, 6])
@pytest.mark.parametrize("name", shrinks())
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["shared", "scaled", "own"])
def test_it_descends_and_is_stationary_on_the_entries_that_it_keeps(name, kind, seed, n):
    shrink = shrinks()[name]
    quadratic = problem(n, shrink, seed, kind=kind)
    before = objective(quadratic, shrink, quadratic.coef)
    W = finish(quadratic, shrink)
    size = abs(before) + quadratic.constant
    assert objective(quadratic, shrink, W) <= before + 1e-13 * size
    if newton_applies(shrink) and n < P:
        return  # in the norms of rows it ends where a line search does
    kept = W != 0
    assert not (shrink.l1.any() and (W * quadratic.coef < 0).any()) and not (
        shrink.positive and (W < 0).any()
    )
    sizes = np.diff(shrink.ptr)
    block = np.repeat(np.arange(len(sizes)), sizes)
    norms = np.sqrt(np.add.reduceat((W * W).sum(axis=1), shrink.ptr[:-1]))[block][:, None]
    slope = curved(quadratic, W) - quadratic.linear + shrink.ridge[block][:, None] * W
    slope += shrink.l1[:, None] * np.sign(W) + np.divide(
        shrink.l2[block][:, None] * W, norms, out=np.zeros_like(W), where=norms > 0
    )
    assert np.abs(slope[kept]).max(initial=0.0) <= 1e-7 * np.abs(quadratic.linear).max()


def test_it_costs_nothing_to_ask_and_is_not_tried_where_it_cannot_pay():
    entries, rows = shrinks()["entries"], shrinks()["rows"]
    assert finish_cost(entries)(np.zeros((P, T)), 0) == np.inf == finish_cost(rows)(np.zeros((P, T)), 0)
    full = np.ones((P, T))
    assert 0 < finish_cost(shrinks()["both"])(full, P) < finish_cost(entries)(full, P) < np.inf
    assert finish_cost(entries)(np.ones((LARGEST + 1, 1)), LARGEST + 1) == np.inf


@pytest.mark.parametrize(
    "penalty",
    [
        L1(),
        L21(),
        SparseGroup(tau=0.3),
        SparseGroup(tau=0.5, groups=(np.arange(12) // 3).tolist()),
        L1(positive=True),
        Group(groups=(np.arange(12) // 3).tolist(), positive=True),
    ],
    ids=repr,
)
@pytest.mark.parametrize("seed", range(3))
def test_features_that_are_nearly_one_are_told_apart(penalty, seed):
    """All columns within a thousandth of one line: sweeps alone would need a million epochs."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((9, 1)) @ rng.standard_normal((1, 12)) + 1e-3 * rng.standard_normal((9, 12))
    Y = rng.standard_normal((9, 3))
    alpha = 1e-3 * fastmtl.alpha_max(X, Y, penalty)
    assert fastmtl.fit(X, Y, penalty, alpha=alpha, tol=1e-8).status == "optimal"
