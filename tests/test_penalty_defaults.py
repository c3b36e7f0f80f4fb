"""What penalties share and shortcut: closed forms against the defaults of the base, on whole blocks and parts, at any scale."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, dataclass, fields
from typing import Any

import numpy as np
import pytest
from engine_cases import PENALTIES, P

from fastmtl.penalties import L1, L21, Group, Penalty, SparseGroup, Trace, restrict
from fastmtl.penalties._rescaled import rescaled
from fastmtl.penalties.trace import singular_values, spectral_norm

EPS = float(np.finfo(float).eps)
BLOCKS = [pytest.param(penalty, id=name) for name, penalty in PENALTIES.items()]
CASES = [*BLOCKS, pytest.param(Trace(), id="trace"), pytest.param(Trace(ridge=0.2), id="trace_ridge")]


@dataclass(frozen=True)
class Bare(Penalty):
    """A penalty that supplies only what it must: everything else is the default of the base."""

    base: Any = None

    def with_alpha(self, alpha: float) -> Any:
        return Bare(alpha, self.base.with_alpha(alpha))

    def value(self, W):
        return self.base.value(W)

    def prox(self, W, step):
        return self.base.prox(W, step)

    def conjugate(self, V):
        return self.base.conjugate(V)


def points(penalty: Penalty, t: int = 3, seed: int = 1) -> np.ndarray:
    """V (P, t), zero where the penalty is."""
    V = np.random.default_rng(seed).standard_normal((P, t))
    V[penalty.free(P)] = 0.0
    return V


def coefficients(penalty: Penalty, t: int = 3, seed: int = 2) -> np.ndarray:
    """W (P, t) in the domain of the penalty, a row of zeros among them."""
    W = np.random.default_rng(seed).standard_normal((P, t))
    W[penalty.excluded(P)] = W[5] = 0.0
    return np.abs(W) if getattr(penalty, "positive", False) else W


@pytest.mark.parametrize("penalty", CASES)
def test_shortcuts_agree_with_the_defaults(penalty):
    penalty = penalty.with_alpha(0.3)
    bare = Bare(0.3, penalty)
    for size in (1e-4, 1.0, 1e4):
        V = size * points(penalty)
        scale = bare.dual_scale(V)
        assert math.isinf(scale) or math.isfinite(penalty.conjugate(scale * V))
        # The bisection ends within four units in the last place below the edge, closed forms step back by their rounding.
        assert penalty.dual_scale(V) == pytest.approx(scale, rel=60 * EPS)
        assert penalty.free_scale(V) == pytest.approx(bare.free_scale(V), rel=60 * EPS)
        assert penalty.alpha_max(V) == pytest.approx(bare.alpha_max(V), rel=60 * EPS)
    assert bare.dual_scale(np.zeros((P, 3))) == math.inf and bare.alpha_max(np.zeros((P, 3))) == 0.0
    U, V = coefficients(penalty, 2), np.abs(np.random.default_rng(4).standard_normal((3, 2)))
    assert penalty.value_of_factors(U, V) == pytest.approx(bare.value_of_factors(U, V), rel=1e-12)
    W = coefficients(penalty)
    rows = np.flatnonzero(W.any(axis=1))
    assert penalty.value_on(W[rows], rows, P) == pytest.approx(bare.value_on(W[rows], rows, P), rel=1e-13)
    assert penalty.value(np.zeros((P, 3))) == 0.0


@pytest.mark.parametrize("penalty", CASES)
def test_the_conjugate_along_a_line(penalty):
    """`conjugate(a V)` at every a, with the norms of blocks or without; both know where it ends."""
    penalty = penalty.with_alpha(0.3)
    V = points(penalty)
    for norms in (None, penalty.block_norms(V)):
        limit, along = penalty.conjugate_along(V, norms)
        assert limit == penalty.dual_scale(V) and penalty.free_scale(V, norms) == penalty.free_scale(V)
        for a in (0.01, 0.7, 1.0, 5.0, 80.0):
            if abs(a - limit) > 1e-9 * a:
                assert along(a) == pytest.approx(penalty.conjugate(a * V), rel=1e-10)
        if math.isfinite(limit):
            assert along(limit) == 0.0
    assert Bare(0.3, penalty).conjugate_along(V)[1](2.0) == penalty.conjugate(2.0 * V)


@pytest.mark.parametrize("penalty", CASES)
def test_the_scale_up_to_which_a_ridge_is_not_felt(penalty):
    penalty = penalty.with_alpha(0.3)
    V = points(penalty, 4)
    for norms in (None, penalty.block_norms(V)):
        a = penalty.free_scale(V, norms)
        assert a > 0.0 and penalty.conjugate(a * V) == 0.0 and penalty.conjugate((1 + 1e-6) * a * V) > 0.0


@pytest.mark.parametrize("penalty", BLOCKS)
def test_block_norms_are_what_the_conjugate_sees(penalty):
    """Norms of the blocks in the order of the form, zero where nothing is penalised; None beside thresholds and signs."""
    penalty = penalty.with_alpha(0.3)
    V = np.random.default_rng(6).standard_normal((P, 3))
    norms, form = penalty.block_norms(V), penalty.lower(P)
    assert (norms is None) == bool(form.positive or form.l1.any())
    if norms is not None:
        order = np.arange(P) if form.order is None else form.order
        blocks = np.split(V[order], form.ptr[1:-1])
        free = np.array([penalty.free(P)[rows[0]] for rows in np.split(order, form.ptr[1:-1])])
        np.testing.assert_allclose(
            norms, np.where(free, 0.0, [np.linalg.norm(one) for one in blocks]), rtol=1e-14
        )


@pytest.mark.parametrize("penalty", BLOCKS)
def test_a_product_that_failed_is_never_feasible(penalty):
    V = np.where(np.arange(P)[:, None] == 6, np.nan, points(penalty))
    penalty = penalty.with_alpha(0.3)
    assert not penalty.conjugate(V) < math.inf
    if not penalty.lower(P).ridge.any():
        assert penalty.dual_scale(V) == 0.0
    norms = penalty.block_norms(V)
    assert norms is None or penalty.free_scale(V, norms) == 0.0


@pytest.mark.parametrize("penalty", CASES)
@pytest.mark.parametrize("exponents", [(0, 0), (3, -2), (40, 30), (-60, 50), (9, 400)])
def test_rescaled_penalties_are_the_same_penalty(penalty, exponents):
    """`W = 2^(targets - columns) W'` and the objective divided by `4^targets` change values by powers of two alone."""
    column, targets = exponents
    columns = np.full(P, column)
    form = penalty.lower(P)
    if form is not None:
        order = np.arange(P) if form.order is None else form.order
        columns[order] = np.repeat(column - np.arange(len(form.l2)), np.diff(form.ptr))
    base = penalty.with_alpha(0.3)
    W, V = coefficients(penalty), points(penalty)
    inner_W, inner_V = np.ldexp(W, (columns - targets)[:, None]), np.ldexp(V, -(columns + targets)[:, None])
    for inner in (rescaled(base, columns, targets), rescaled(penalty, columns, targets).with_alpha(0.3)):
        assert np.ldexp(inner.value(inner_W), 2 * targets) == pytest.approx(base.value(W), rel=1e-12)
        assert inner.dual_scale(inner_V) == pytest.approx(base.dual_scale(V), rel=1e-13)
        small = min(1.0, base.dual_scale(V))
        found = np.ldexp(inner.conjugate(small * (1 - 1e-12) * inner_V), 2 * targets)
        assert found == pytest.approx(base.conjugate(small * (1 - 1e-12) * V), rel=1e-9)
        assert inner.alpha_max(inner_V) == pytest.approx(base.alpha_max(V), rel=1e-13)
        np.testing.assert_array_equal(inner.free(P), base.free(P))
        np.testing.assert_array_equal(inner.excluded(P), base.excluded(P))
        assert inner.is_rotation_invariant == base.is_rotation_invariant and str(inner) == str(base)
        assert getattr(inner, "positive", False) == getattr(base, "positive", False)
        rows = np.flatnonzero(W.any(axis=1))
        assert inner.value_on(inner_W[rows], rows, P) == pytest.approx(inner.value(inner_W), rel=1e-12)
        if not np.ptp(columns):
            step = math.ldexp(0.7, 2 * column)
            found = np.ldexp(inner.prox(inner_W, step), targets - column)
            np.testing.assert_allclose(found, base.prox(W, 0.7), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("exponents", [(0, 0), (3, -2), (-60, 50)])
def test_any_penalty_rescaled(exponents):
    """A penalty of which nothing but its three methods is known, scaled alike in all columns."""
    column, targets = exponents
    base = Bare(0.3, SparseGroup(0.3))
    inner = rescaled(base, np.full(P, column), targets)
    W, V = coefficients(base), points(base)
    inner_W, inner_V = np.ldexp(W, column - targets), np.ldexp(V, -column - targets)
    assert np.ldexp(inner.value(inner_W), 2 * targets) == base.value(W)
    assert inner.dual_scale(inner_V) == base.dual_scale(V)
    assert inner.alpha_max(inner_V) == base.alpha_max(V)
    assert inner.conjugate(0.01 * inner_V) == 0.0 and inner.conjugate(inner_V) == math.inf
    found = np.ldexp(inner.prox(inner_W, math.ldexp(0.7, 2 * column)), targets - column)
    np.testing.assert_array_equal(found, base.prox(W, 0.7))
    assert inner.with_alpha(0.6).value(inner_W) == 2.0 * inner.value(inner_W)
    ridge = Bare(0.3, L21(0.3, l1_ratio=0.5))
    found = np.ldexp(rescaled(ridge, np.full(P, column), targets).conjugate(inner_V), 2 * targets)
    assert found == pytest.approx(ridge.conjugate(V), rel=1e-13) and found > 0.0
    assert not inner.free(P).any() and not inner.excluded(P).any() and str(inner) == str(base)


@pytest.mark.parametrize("name", ["group_labels", "group_sizes", "l21_ridge", "l1", "sparse_group_weights"])
def test_a_penalty_on_some_blocks(name):
    """The penalty of coefficients that live in a few blocks, behind features that nothing touches."""
    form = PENALTIES[name].with_alpha(0.3).lower(P)
    order = np.arange(P) if form.order is None else form.order
    chosen = np.array([2, 0])
    inside = np.concatenate([order[form.ptr[b] : form.ptr[b + 1]] for b in chosen])
    others = np.setdiff1d(np.arange(P), inside)[:2]
    for bare in (others, others[:0]):
        features, part = restrict(form, chosen, bare)
        np.testing.assert_array_equal(features, [*bare, *inside])
        W = np.random.default_rng(3).standard_normal((len(features), 2))
        W[part.excluded(len(features))] = 0.0
        full = np.zeros((P, 2))
        full[inside] = W[len(bare) :]
        assert part.value(W) == pytest.approx(PENALTIES[name].with_alpha(0.3).value(full), rel=1e-13)
        np.testing.assert_array_equal(np.flatnonzero(part.free(len(features))), np.arange(len(bare)))


def test_values_by_hand():
    W = np.array([[3.0, -4.0], [0.0, 0.0], [1.0, 0.0]])
    for penalty in (L21(2.0, l1_ratio=0.25), Group(2.0, groups=[0, 1, 2], l1_ratio=0.25)):
        assert penalty.value(W) == pytest.approx(2.0 * (0.25 * 6.0 + 0.375 * 26.0))
    assert L1(2.0, l1_ratio=0.25, feature_weights=[1, 1, 3]).value(W) == pytest.approx(
        2.0 * (0.25 * 10.0 + 0.375 * 28.0)
    )
    assert Group(2.0, groups=[2, 1], group_weights="sqrt").value(W) == pytest.approx(
        2.0 * (5.0 * 2**0.5 + 1.0)
    )
    assert SparseGroup(2.0, tau=0.25).value(W) == pytest.approx(2.0 * (0.25 * 8.0 + 0.75 * 6.0))
    rank_one = np.outer([3.0, 0.0, 4.0], [0.0, 2.0])
    assert Trace(2.0, ridge=0.5).value(rank_one) == pytest.approx(2.0 * 10.0 + 0.25 * 100.0)


def test_strength_zero_penalises_nothing_but_excludes():
    penalty = L21(0.0, feature_weights=[1.0] * 11 + [np.inf])
    assert (
        penalty.value(np.ones((P, 2))) == math.inf
        and penalty.value_on(np.ones((1, 2)), np.array([3]), P) == 0.0
    )
    np.testing.assert_array_equal(np.flatnonzero(penalty.excluded(P)), [11])
    np.testing.assert_array_equal(np.flatnonzero(~penalty.free(P)), [11])
    assert penalty.with_alpha(0.5).lower(P).l2[0] == 0.5 and penalty.lower(P).l2[0] == 0.0


@pytest.mark.parametrize("shape", [(30, 5), (5, 30), (6, 6), (1, 1), (9, 1)])
def test_singular_values_through_gram_matrices(shape):
    """Good to 1e-12 of the largest, however far they are apart, at sizes whose squares over- or underflow too."""
    rng = np.random.default_rng(0)
    U, V = (np.linalg.qr(rng.standard_normal((n, min(shape))))[0] for n in shape)
    for decay in (0.0, 2.0, 7.0):
        values = 10.0 ** (-decay * np.arange(min(shape)))
        values[4:] = 0.0
        A = (U * values) @ V.T
        for exponent in (0, 900, -900, 330, -340):
            scaled = np.ldexp(A, exponent)
            found = np.ldexp(singular_values(scaled), -exponent)
            np.testing.assert_allclose(found, values, atol=2e-12)
            assert np.ldexp(spectral_norm(scaled), -exponent) == pytest.approx(
                1.0, rel=(8 + min(shape)) * EPS
            )
    zero = np.zeros(shape)
    assert (
        spectral_norm(zero) == 0.0
        and not singular_values(zero).any()
        and len(singular_values(zero)) == min(shape)
    )


@pytest.mark.parametrize(("column", "kept"), [(-80, True), (90, True), (101, False)])
def test_a_ridge_below_rounding_is_dropped(column, kept):
    """Ridges of scaled problems below 2^-200 would ask for scores to their square root; without them bounds still hold."""
    for penalty in (L21(0.3, l1_ratio=0.5), Group(0.3, groups=[6, 6], l1_ratio=0.5)):
        form = rescaled(penalty, np.full(P, column), 3).lower(P)
        np.testing.assert_array_equal(form.ridge, math.ldexp(0.15, -2 * column) if kept else 0.0)
        np.testing.assert_array_equal(form.l2, math.ldexp(0.15, -column - 3))


def test_strengths_of_scaled_problems_stay_finite():
    """Only inf excludes a feature: a strength that overflows is large and nothing else."""
    form = rescaled(L21(1.0, feature_weights=[1.0] * 11 + [np.inf]), np.full(P, -1000), -1000).lower(P)
    assert np.isfinite(form.l2[:11]).all() and (form.l2[:11] >= 1e300).all() and form.l2[11] == math.inf


def test_one_penalty_for_several_problems():
    """What is kept between calls belongs to the last number of features and the last strength."""
    for penalty in (L21(0.5, l1_ratio=0.5), L1(0.5), SparseGroup(0.5)):
        for p in (12, 5, 30, 30, 12):
            form = penalty.lower(p)
            assert (
                len(form.l1)
                == len(form.l2)
                == len(form.ridge)
                == len(penalty.free(p))
                == len(penalty.excluded(p))
                == p
            )
            assert penalty.lower(p) is form
            other = penalty.with_alpha(1.0)
            np.testing.assert_array_equal(other.lower(p).l1 + other.lower(p).l2, 2.0 * (form.l1 + form.l2))
            assert penalty.lower(p).l1[0] == form.l1[0]


@pytest.mark.parametrize("missing", ["value", "prox", "conjugate"])
def test_a_penalty_needs_its_three_methods(missing):
    given = {name: lambda self, *rest: 0.0 for name in ("value", "prox", "conjugate") if name != missing}
    with pytest.raises(TypeError, match=missing):
        type("Own", (Penalty,), given)()


def test_weights_are_counted_by_group():
    for weights, right in (
        ([1.0], False),
        ([1.0, 2.0], True),
        ([1.0, 2.0, 3.0], False),
        ("sqrt", True),
        (None, True),
    ):
        for penalty in (
            Group(groups=[4, 8], group_weights=weights),
            SparseGroup(groups=[4, 8], group_weights=weights),
        ):
            if right:
                penalty.check(P, 3)
            else:
                with pytest.raises(ValueError, match="group_weights has"):
                    penalty.check(P, 3)
    with pytest.raises(ValueError, match=r"groups has|groups must"):
        Group(groups=[[[0, 1], [2, 3]], [[4, 5], [6, 7]]]).check(8, 1)
    with pytest.raises(ValueError, match="groups must be labels"):
        Group(groups=[]).check(8, 1)
    with pytest.raises(ValueError, match=r"groups\[1\] is empty"):
        Group(groups=[[0, 1], [], [2]]).check(3, 1)


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
def test_penalties_are_values(penalty):
    """Compared and shown by their fields, and not to be changed."""
    twin = type(penalty)(**{f.name: getattr(penalty, f.name) for f in fields(penalty)})
    assert twin == penalty and repr(twin) == repr(penalty) and "positive=" in repr(penalty)
    with pytest.raises(FrozenInstanceError):
        penalty.positive = True


@pytest.mark.parametrize("penalty", [L1, L21, SparseGroup])
@pytest.mark.parametrize("count", [P - 1, P + 1])
def test_weights_are_counted(penalty, count):
    with pytest.raises(ValueError, match=f"feature_weights has {count} entries"):
        penalty(feature_weights=[1.0] * count).check(P, 2)
