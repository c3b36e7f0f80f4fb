"""Laws of the penalties: Moreau, Fenchel-Young, dual scale, alpha_max, and the lowered form against the kernels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from engine_cases import PENALTIES, P

from fastmtl.penalties import L1, L21, Group, SparseGroup, Trace, as_penalty
from fastmtl_kernels import reference
from fastmtl_kernels._interface import BlockShrink

BLOCKS = [pytest.param(penalty, id=name) for name, penalty in PENALTIES.items()]
CASES = [*BLOCKS, pytest.param(Trace(), id="trace"), pytest.param(Trace(ridge=0.2), id="trace_ridge")]
EPS = float(np.finfo(float).eps)


def points(t: int, seed: int = 1) -> np.ndarray:
    V = np.random.default_rng(seed).standard_normal((P, t))
    V[3] = 0.0
    return V


@pytest.mark.parametrize("penalty", CASES)
@pytest.mark.parametrize("t", [1, 4])
@pytest.mark.parametrize("step", [0.2, 1.0, 50.0])
def test_prox_is_optimal(penalty, t, step):
    """(V - prox) / step is a subgradient at the prox: penalty(prox) + conjugate = inner product (Moreau)."""
    penalty, V = penalty.with_alpha(0.3), points(t)
    U = penalty.prox(V, step)
    Z = (V - U) / step
    inner = float((U * Z).sum())
    excluded = penalty.excluded(P)
    assert not U[excluded].any()
    U, Z = np.where(excluded[:, None], 0, U), np.where(penalty.free(P)[:, None], np.minimum(Z, 0), Z)
    shrunk = Z * (1 - 1e-12)  # on the boundary of the domain, rounding would decide
    assert penalty.value(U) + penalty.conjugate(shrunk) == pytest.approx(inner, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("penalty", CASES)
def test_fenchel_young(penalty):
    penalty, rng = penalty.with_alpha(0.3), np.random.default_rng(2)
    for _ in range(20):
        W, V = rng.standard_normal((2, P, 3))
        W[penalty.excluded(P)] = 0.0
        if getattr(penalty, "positive", False):
            W = np.abs(W)
        V[penalty.free(P)] = 0.0
        V *= min(1.0, penalty.dual_scale(V))
        assert penalty.value(W) + penalty.conjugate(V) >= (W * V).sum() - 1e-12


@pytest.mark.parametrize("penalty", CASES)
def test_dual_scale_is_the_edge_of_the_domain(penalty):
    """To rounding, from inside; at any strength, for V of any size, and for one entry alone."""
    penalty = penalty.with_alpha(0.3)
    for t, seed in ((1, 1), (3, 1), (3, 2), (20, 3)):
        V = points(t, seed)
        V[penalty.free(P)] = 0.0
        for one in (V, 1e-3 * V, 1e3 * V, np.where(np.arange(P)[:, None] == 11, V, 0.0)):
            a = penalty.dual_scale(one)
            if math.isinf(a):
                assert math.isfinite(penalty.conjugate(1e6 * one))
            else:
                assert math.isfinite(penalty.conjugate(a * one))
                assert math.isinf(penalty.conjugate((1 + 60 * EPS) * a * one))
                assert penalty.with_alpha(0.9).dual_scale(one) == pytest.approx(3 * a, rel=60 * EPS)
    assert penalty.dual_scale(np.zeros((P, 3))) == math.inf


@pytest.mark.parametrize("penalty", CASES)
def test_alpha_max_is_where_zero_becomes_optimal(penalty):
    V = points(3)
    V[penalty.free(P)] = 0.0
    top = penalty.alpha_max(V)
    assert not penalty.with_alpha(top).prox(V, 1.0).any()
    assert penalty.with_alpha(0.999 * top).prox(V, 1.0).any()


@pytest.mark.parametrize("penalty", BLOCKS)
def test_lowered_form_is_the_penalty(penalty):
    penalty, V = penalty.with_alpha(0.3), points(3)
    form = penalty.lower(P)
    order = np.arange(P) if form.order is None else form.order
    shrink = BlockShrink(form.ptr, form.l1, form.l2, form.ridge, form.positive)
    U = penalty.prox(V, 0.7)
    np.testing.assert_allclose(reference.prox(V[order], 0.7, shrink), U[order], atol=1e-14)
    used = U.any(axis=1)
    assert penalty.value_on(U[used], np.flatnonzero(used), P) == pytest.approx(penalty.value(U), rel=1e-13)


def test_groups_in_three_notations_agree():
    V = points(2)
    labels = Group(0.4, groups=np.repeat([0, 1, 2], 4)).prox(V, 1.0)
    sizes = Group(0.4, groups=[4, 4, 4]).prox(V, 1.0)
    lists = Group(0.4, groups=[range(4), range(4, 8), range(8, 12)]).prox(V, 1.0)
    pairs = Group(0.4, groups=[("a", 1)] * 4 + [("a", 2)] * 4 + [("b", 0)] * 4).prox(V, 1.0)
    np.testing.assert_array_equal(pairs, lists)
    np.testing.assert_array_equal(labels, sizes)
    np.testing.assert_array_equal(labels, lists)


def test_sparse_group_ends_in_its_parts():
    V = points(3)
    np.testing.assert_allclose(SparseGroup(0.3, tau=1.0).prox(V, 1.0), L1(0.3).prox(V, 1.0), atol=1e-15)
    np.testing.assert_allclose(SparseGroup(0.3, tau=0.0).prox(V, 1.0), L21(0.3).prox(V, 1.0), atol=1e-15)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: L21(-1.0), "alpha"),
        (lambda: L21(math.nan), "alpha"),
        (lambda: L21("big"), "alpha"),  # type: ignore[arg-type]
        (lambda: L21(True), "alpha"),
        (lambda: L21(l1_ratio=1.5), "l1_ratio"),
        (lambda: L1(feature_weights=[1.0, -1.0]), "feature_weights"),
        (lambda: L1(feature_weights=[[1.0]]), "feature_weights"),
        (lambda: Group(groups=None), "groups"),
        (lambda: Group(groups=[2, 2], group_weights="size"), "group_weights"),
        (lambda: Group(groups=[[0, 1], [1, 2]]).check(3, 1), "groups"),
        (lambda: Group(groups=[[0, 1], []]).check(2, 1), "groups"),
        (lambda: Group(groups=[3, 3]).check(5, 1), "groups"),
        (lambda: Group(groups=[2, 3], group_weights=[1.0]).check(5, 1), "group_weights"),
        (lambda: SparseGroup(tau=-0.1), "tau"),
        (lambda: SparseGroup(feature_weights=[1.0]).check(3, 1), "feature_weights"),
        (lambda: as_penalty("ridge", 1.0), "penalty"),
        (lambda: as_penalty("group", 1.0), "groups"),
        (lambda: as_penalty(3, 1.0), "penalty"),  # type: ignore[arg-type]
        (lambda: as_penalty("l21", None), "alpha"),
        (lambda: as_penalty(L21(1.0), 1.0), "alpha"),
    ],
)
def test_bad_settings_name_themselves(make, word):
    with pytest.raises((ValueError, TypeError), match=word):
        make()


@pytest.mark.parametrize("penalty", CASES)
def test_a_sign_that_is_forbidden_costs_everything(penalty):
    W = np.zeros((P, 3))
    j = int(np.flatnonzero(~penalty.excluded(P))[0])
    W[j, 1] = -1e-9
    assert np.isinf(penalty.with_alpha(0.3).value(W)) == bool(getattr(penalty, "positive", False))
