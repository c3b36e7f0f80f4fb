"""Work that the sweeps are spared, counted in calls, and what the plain sweeps report: lost, each costs time alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from engine_cases import PENALTIES, P

from fastmtl_kernels import cpu, reference
from fastmtl_kernels._interface import BlockShrink, Quadratic
from fastmtl_kernels.cpu import _shrink, _sweep

KERNELS = [pytest.param(cpu, id="cpu"), pytest.param(reference, id="reference")]


def lowered(name: str, alpha: float) -> BlockShrink:
    form = PENALTIES[name].with_alpha(alpha).lower(P)
    return BlockShrink(form.ptr, form.l1, form.l2, form.ridge, form.positive)


def rows(s: int, l2: float) -> BlockShrink:
    """A row norm of one strength over s rows."""
    return BlockShrink(np.arange(s + 1), np.zeros(s), np.full(s, l2), np.zeros(s), False)


def compact(s: int, t: int, *, k: int = 1, factor: float = 1.0, seed: int = 0) -> Quadratic:
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((k, s + 10, s)), rng.standard_normal((s + 10, t))
    linear = factor * np.stack([X[c % k].T @ Y[:, c] for c in range(t)], axis=1)
    gram, scale = X.transpose(0, 2, 1) @ X, np.full(t, factor)
    return Quadratic(
        gram, scale, linear, linear.copy(), np.zeros((s, t)), 0.5 * factor * float((Y * Y).sum())
    )


def counted(monkeypatch: pytest.MonkeyPatch, name: str) -> list[Any]:
    """The calls that plain sweeps make of one function of their module."""
    calls, made = [], getattr(_sweep, name)
    plain: Callable[..., Any] = getattr(made, "py_func", made)

    def call(*arguments: Any) -> Any:
        calls.append(arguments)
        return plain(*arguments)

    monkeypatch.setattr(_sweep, name, call)
    return calls


def plain(function: Any) -> Callable[..., Any]:
    """A kernel without its compilation."""
    return getattr(function, "py_func", function)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("t", [1, 9])
@pytest.mark.parametrize("l2", [0.0, 0.5, 1e4])
def test_one_feature_alone(kernels, t, l2):
    """`w = (1 - l2 / |linear|)_+ linear / (gram + ridge)`."""
    q = compact(1, t)
    shrink = rows(1, l2)._replace(ridge=np.full(1, 0.3))
    done = kernels.sweep(q, shrink, 1e-12 * q.constant, 100)
    norm = np.linalg.norm(q.linear)
    expected = max(0.0, 1.0 - l2 / norm) * q.linear / (q.gram[0, 0, 0] + 0.3)
    np.testing.assert_allclose(q.coef, expected, rtol=1e-9, atol=1e-12)
    assert 1 <= done.epochs <= 100 and -1e-12 <= done.gap / q.constant <= 1e-12


@pytest.mark.parametrize("kernels", KERNELS)
def test_no_feature_at_all(kernels):
    none = np.empty((0, 2))
    q = Quadratic(np.empty((1, 0, 0)), np.ones(2), none, none.copy(), none.copy(), 1.0)
    assert kernels.sweep(q, rows(0, 1.0), 1e-9, 10) == (0.0, 0)


@pytest.mark.parametrize("name", ["l21", "l1_ridge", "group_sizes", "sparse_group", "l21_positive"])
@pytest.mark.parametrize("k", [1, 3])
def test_the_plain_sweep_proves_what_it_reached(name, k):
    """It is the oracle of the others: it must get to its tolerance, stop there, and count its steps."""
    q = compact(P, 3, k=k, factor=1.5)
    tol = 1e-10 * q.constant
    done = reference.sweep(q, lowered(name, 1.0), tol, 5000)
    assert done.gap <= tol and done.epochs < 5000 and done.epochs % 20 == 0
    fresh = np.stack([q.scale[c] * q.gram[c % k] @ q.coef[:, c] for c in range(3)], axis=1)
    np.testing.assert_allclose(q.gradient, q.linear - fresh, atol=1e-9)
    gap = reference.duality_gap(q.linear, q.gradient, q.coef, q.constant, lowered(name, 1.0))
    assert gap == done.gap
    for epochs in (0, 1, 7, 20):
        start = compact(P, 3, k=k, factor=1.5)
        assert reference.sweep(start, lowered(name, 1.0), -np.inf, epochs).epochs == epochs
        assert start.coef.any() == (epochs > 0)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("t", [3, 9])
def test_one_factor_for_all_tasks(kernels, t):
    """The factor c of the Gram matrices counts where it is the same for all tasks as well."""
    curvature = np.linalg.eigvalsh(compact(P, t).gram[0])[0]
    for factor in (1.0, 2.0, 0.5):
        q, one = compact(P, t, factor=factor), compact(P, t)
        gaps = [
            kernels.sweep(q, rows(P, factor), 1e-8 * q.constant, 400).gap / factor,
            kernels.sweep(one, rows(P, 1.0), 1e-8 * one.constant, 400).gap,
        ]
        # Strong convexity: a gap g leaves a distance of at most sqrt(2 g / curvature).
        distance = sum(np.sqrt(2.0 * max(gap, 0.0) / curvature) for gap in gaps)
        assert max(gaps) <= 1e-6 * one.constant and np.linalg.norm(q.coef - one.coef) <= distance
        np.testing.assert_allclose(q.gradient, q.linear - factor * q.gram[0] @ q.coef, atol=1e-9)


def test_nothing_to_multiply():
    """Columns of zeros leave the coefficients where they were, and the gap is that of zero."""
    zero = np.zeros((3, 2))
    for kernels in (cpu, reference):
        q = Quadratic(np.zeros((1, 3, 3)), np.ones(2), zero.copy(), zero.copy(), zero.copy(), 2.0)
        done = kernels.sweep(q, rows(3, 1.0), 1e-9, 40)
        assert not q.coef.any() and done.gap == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("l2", [0.0, 1.0])
def test_the_gap_is_looked_at_ever_more_seldom(l2, monkeypatch):
    """It costs as much as an epoch: all looks together are few beside the epochs, and the last epoch always has one."""
    looks = counted(monkeypatch, "duality_gap")
    q = compact(P, 3, k=3)
    shrink = rows(P, l2)
    curvature = np.stack([cpu.block_curvature(G, shrink.ptr) for G in q.gram])
    work = np.empty((3, 1, 3))
    for epochs in (1, 2, 60, 61):
        looks.clear()
        W, Z = np.zeros((P, 3), order="F"), np.asfortranarray(q.linear)
        gap, taken = plain(_sweep.sweep_tasks)(
            q.gram, q.scale, np.asfortranarray(q.linear), Z, W, q.constant, *shrink[:4], curvature, False,
            -np.inf, epochs, *work,
        )  # fmt: skip
        expected = reference.duality_gap(q.linear, Z, W, q.constant, shrink)
        assert gap == pytest.approx(expected, rel=1e-6, abs=1e-12 * q.constant)
        assert 1 <= taken <= epochs and len(looks) <= min(taken, 5 + 5 * np.log(epochs))


def test_solved_problems_are_left_at_once(monkeypatch):
    """A pass in which nothing moves is the last one, whatever the tolerance."""
    q = compact(P, 9)
    shrink = rows(P, 2.0 * float(np.linalg.norm(q.linear, axis=1).max()))
    assert cpu.sweep(q, shrink, -np.inf, 50).epochs == 1
    few = compact(P, 2)
    assert cpu.sweep(few, shrink, -np.inf, 50).epochs == 1 and not few.coef.any()
    data = np.random.default_rng(0).standard_normal((P, 30))
    sweeps, made = [], cpu._ChunkWork.sweep
    monkeypatch.setattr(cpu._ChunkWork, "sweep", lambda *a: sweeps.append(1) or made(*a))
    cpu.sweep_columns(
        cpu.prepare_columns(data, shrink, 9), np.ones((30, 9)), np.zeros((P, 9)), np.ones((1, 1)), shrink, 50
    )
    assert len(sweeps) == 1
    calls = counted(monkeypatch, "threshold")
    arguments = (data, np.ones((2, 30)), np.zeros((P, 2)), *shrink[:4], np.full(P, 30.0), False)
    assert plain(_sweep.sweep_few)(*arguments, 50, np.empty((1, 2))) == 0.0 and len(calls) == 2 * P


def test_rows_that_cannot_move_cost_no_gradient(monkeypatch):
    """Below its bound by what the moves of others can add at most, a row of zeros is passed over."""
    q = compact(P, 9, seed=3)
    norms = np.linalg.norm(q.linear, axis=1)
    first = int(norms.argmax())
    for strength, most in ((1.001 * norms.max(), 0), (0.999 * norms.max(), 2 * P)):
        calls = counted(monkeypatch, "_row_gradient")
        W, D = np.zeros((P, 9)), np.empty((P, 9))
        shrink = rows(P, strength)
        count, _ = plain(_sweep.sweep_chunk)(
            q.gram[0], q.linear, W, *shrink[:4], q.gram[0].diagonal().copy(), False, 3, 0.0,
            D, np.empty(P, dtype=np.int64), np.empty(P), np.empty(P), np.empty((1, 9)),
        )  # fmt: skip
        assert (count > 0) == W[first].any() == (most > 0) and len(calls) <= most
        # Small moves of one row do not make the others worth a look.
        low = [j for j in range(P) if norms[j] < 0.5 * strength]
        assert low and not any(call[1] in low for call in calls)
        monkeypatch.undo()


def test_chunks_that_rest_do_not_stop_the_others():
    """The signal is in the last chunk alone, or in the first."""
    s, t, rng = 200, 9, np.random.default_rng(1)
    data = rng.standard_normal((s, 300))
    for place in (1, s - 2):
        Y = np.outer(data[place], np.ones(t))
        shrink = rows(s, 0.5 * float(np.linalg.norm(data @ Y, axis=1).max()))
        residual, coef = Y.copy(), np.zeros((s, t))
        cpu.sweep_columns(cpu.prepare_columns(data, shrink, t), residual, coef, np.ones((1, 1)), shrink, 40)
        assert coef[place].all()
        np.testing.assert_allclose(residual, Y - data.T @ coef, atol=1e-10)
        q = Quadratic(
            (data @ data.T)[None], np.ones(t), data @ Y, data @ Y, np.zeros((s, t)), 0.5 * (Y * Y).sum()
        )
        cpu.sweep(q, shrink, 1e-12 * q.constant, 40)
        np.testing.assert_allclose(q.coef, coef, atol=1e-6)


@pytest.mark.parametrize("n", [100, 500, 1_000, 2_000, 5_000, 100_000])
@pytest.mark.parametrize("t", [8, 20, 50, 300])
def test_rows_of_a_panel(n, t):
    """A multiple of 16 between the two limits; fewer than the most only where that makes the products small, and then as
    many as do."""
    rows = cpu._panel_rows(n, t)
    assert rows % 16 == 0 and cpu.LEAST_ROWS <= rows <= cpu.PANEL_ROWS == 64
    small = [
        r
        for r in range(32, 64, 16)
        if r * n * t <= cpu.SMALL_PRODUCT and (r + 16) * n * t > cpu.SMALL_PRODUCT
    ]
    assert rows == (small[-1] if small else 64)


def test_panels_of_dense_columns():
    """Few tasks on single rows need the squares of the columns alone; else every chunk has its Gram matrix."""
    data = np.random.default_rng(0).standard_normal((150, 40))
    single, pairs = (
        rows(150, 1.0),
        BlockShrink(np.arange(0, 151, 2), np.zeros(150), np.ones(75), np.zeros(75), False),
    )
    for shrink, t in ((single, 1), (single, 7), (single, 8), (pairs, 7), (pairs, 30)):
        panels = cpu.prepare_columns(data, shrink, t).panels
        assert panels[0].first == 0 and panels[-1].last == len(shrink.l2) and panels[-1].high == 150
        gram = data @ data.T
        curvature = np.concatenate([panel.curvature for panel in panels])
        np.testing.assert_allclose(curvature, cpu.block_curvature(gram, shrink.ptr), rtol=1e-12)
        assert (panels[0].gram.size == 0) == (t < 8 and shrink is single)
        for panel in panels if panels[0].gram.size else ():
            np.testing.assert_allclose(
                panel.gram, gram[panel.low : panel.high, panel.low : panel.high], rtol=1e-12
            )


def test_products_run_along_the_stored_columns():
    """The order of the result tells which way round the product was taken."""
    X, R = np.random.default_rng(0).standard_normal((30, 7)), np.ones((30, 3))
    assert (
        cpu.correlate(np.asfortranarray(X), R).flags.f_contiguous and cpu.correlate(X, R).flags.c_contiguous
    )


def test_thresholds_at_their_edges():
    """On the threshold itself nothing is left, from either side, and there is no minus zero."""
    soft = plain(_shrink.threshold)
    for positive in (False, True):
        for value in (0.0, 1.0, -1.0, 0.5):
            assert soft(value, 1.0, positive) == 0.0 and not np.signbit(soft(value, 1.0, positive))
        assert soft(1.5, 1.0, positive) == 0.5 and soft(-1.5, 1.0, positive) == (0.0 if positive else -0.5)
        assert soft(2.0, 0.0, positive) == 2.0 and soft(-2.0, 0.0, positive) == (0.0 if positive else -2.0)


@pytest.mark.parametrize("shape", [(3, 40), (40, 3), (6, 6)])
def test_the_smaller_gram_matrix_is_decomposed(shape, monkeypatch):
    sizes, made = [], np.linalg.eigh
    monkeypatch.setattr(np.linalg, "eigh", lambda A: sizes.append(A.shape) or made(A))
    cpu.singular_shrink(np.random.default_rng(0).standard_normal(shape), 1.0)
    assert sizes == [(min(shape),) * 2]
