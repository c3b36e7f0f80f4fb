"""Every CUDA kernel, run by the emulator, against the NumPy reference on the edges of warps and blocks."""

from __future__ import annotations

import numpy as np
import pytest
from gpu_cases import (
    ALL_SHAPES,
    DTYPES,
    PENALTIES,
    SHAPES,
    columns_of,
    quadratic_of,
    shrink_of,
    to_device,
    to_host,
)

from fastmtl.penalties import Lowered
from fastmtl.penalties._block import gauge_scale
from fastmtl_kernels import reference
from fastmtl_kernels._interface import BlockShrink

pytestmark = pytest.mark.usefixtures("device")
SEEDS = (0, 1, 7)
MANY_SEEDS = range(20)


def eps(dtype):
    return float(np.finfo(dtype).eps)


def _gauges(V, shrink):
    """What the penalties make of every block."""
    size = np.diff(shrink.ptr)
    out = np.zeros(len(size))
    for b, low in enumerate(shrink.ptr[:-1]):
        rows = slice(low, low + size[b])
        form = Lowered(
            None, np.array([0, size[b]]), shrink.l1[rows], shrink.l2[[b]], np.zeros(1), shrink.positive
        )
        if form.l1.any() or form.l2.any():
            out[b] = 1.0 / gauge_scale(V[rows], form, np.array([True]))
    return out


def _blockwise(gpu, device, shape, dtype, seeds):
    for seed in seeds:
        device.seed = seed
        rng = np.random.default_rng(seed)
        V = rng.standard_normal(shape).astype(dtype)
        for kind in PENALTIES:
            shrink = shrink_of(kind, shape[0], rng)
            there, W = to_device(gpu.xp, shrink), V.astype(np.float64)
            cells = max(1, V.size)
            got = gpu.prox(gpu.xp.array(V), 0.7, there)
            assert got.dtype == dtype
            np.testing.assert_allclose(
                to_host(got),
                reference.prox(W, 0.7, shrink),
                rtol=4 * eps(dtype),
                atol=cells * 1e-15 + 4 * eps(dtype),
            )
            value = reference.penalty_value(W, shrink)
            assert gpu.penalty_value(gpu.xp.array(V), there) == pytest.approx(
                value, rel=cells * 1e-15 + 1e-15
            )
            if V.size:
                np.testing.assert_allclose(
                    to_host(gpu.block_scores(gpu.xp.array(V), there)),
                    reference.block_scores(W, shrink),
                    rtol=1e-12,
                )
            if V.size and seed == seeds[0]:
                np.testing.assert_allclose(
                    to_host(gpu.block_gauges(gpu.xp.array(V), there)), _gauges(W, shrink), rtol=1e-12
                )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_blockwise(gpu, device, shape, dtype):
    _blockwise(gpu, device, shape, dtype, SEEDS)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", ALL_SHAPES, ids=str)
def test_blockwise_everywhere(gpu, device, shape, dtype):
    _blockwise(gpu, device, shape, dtype, MANY_SEEDS if np.prod(shape) < 1e5 else SEEDS)


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 255, 256, 257, 4096, 4097, 100_000])
def test_sum(gpu, device, count):
    values = np.random.default_rng(count).standard_normal(count)
    results = set()
    for seed in SEEDS:
        device.seed = seed
        results.add(float(gpu._shrink.total(gpu.xp.array(values))))
    assert len(results) == 1, "the order of threads changed the sum"
    assert results.pop() == pytest.approx(values.sum(), abs=1e-13 * (1 + np.abs(values).sum()))


def _tridiagonal(gpu, device, q, k, dtype, seeds):
    rng = np.random.default_rng(q * 31 + k)
    diagonal, off = 2.0 + rng.random(q), rng.random(max(q - 1, 0))
    scales, B = rng.random(k), rng.standard_normal((q, k))
    for seed in seeds:
        device.seed = seed
        d, o, s, b = (gpu.xp.array(a.astype(dtype)) for a in (diagonal, off, scales, B))
        factors = gpu.tridiagonal_factor(d, o, s, 0.5)
        solved, product = gpu.tridiagonal_solve(*factors, b), gpu.tridiagonal_multiply(d, o, b)
        assert solved.dtype == product.dtype == dtype
        if q and k:
            pivots, multipliers = reference.tridiagonal_factor(diagonal, off, scales, 0.5)
            close = {"rtol": 50 * eps(dtype), "atol": 50 * eps(dtype)}
            np.testing.assert_allclose(to_host(factors[0]), pivots, **close)
            np.testing.assert_allclose(to_host(factors[1]), multipliers, **close)
            np.testing.assert_allclose(
                to_host(solved), reference.tridiagonal_solve(pivots, multipliers, B), **close
            )
            np.testing.assert_allclose(
                to_host(product), reference.tridiagonal_multiply(diagonal, off, B), **close
            )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_tridiagonal(gpu, device, shape, dtype):
    _tridiagonal(gpu, device, *shape, dtype, SEEDS)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", ALL_SHAPES, ids=str)
def test_tridiagonal_everywhere(gpu, device, shape, dtype):
    _tridiagonal(gpu, device, *shape, dtype, MANY_SEEDS if np.prod(shape) < 1e5 else SEEDS)


def _gap(quadratic, shrink):
    """The duality gap by the reference, with the gradient computed afresh in float64."""
    gram, scale, linear, _, coef, constant = quadratic
    gram, linear, coef = (np.asarray(a, dtype=np.float64) for a in (gram, linear, coef))
    gradient = linear - scale * np.einsum("aij,jt->it" if len(gram) == 1 else "tij,jt->it", gram, coef)
    return reference.duality_gap(linear, gradient, coef, constant, shrink), gradient


def _sweep(gpu, quadratic, shrink, tol, epochs=5000):
    """Sweep on the device, and the same problem with what came back."""
    there = to_device(gpu.xp, quadratic)
    found = gpu.sweep(there, to_device(gpu.xp, shrink), tol, epochs)
    return found, quadratic._replace(coef=to_host(there.coef), gradient=to_host(there.gradient))


SWEEPS = [(1, 1), (31, 1), (1, 33), (33, 5), (40, 33), (64, 2), (70, 3), (78, 2)]


def _descends(gpu, device, monkeypatch, shape, dtype, method, own, seeds):
    monkeypatch.setattr(gpu._sweep, "DESCEND_ROWS", 512 if method == "cyclic" else 0)
    for seed in seeds:
        device.seed = seed
        kind = PENALTIES[(seed + sum(shape)) % len(PENALTIES)]
        quadratic, shrink = quadratic_of(*shape, kind, np.random.default_rng(seed), own=own, dtype=dtype)
        # Single precision carries the gradient with a rounding error of eps relative to the problem's own size.
        tol = (1e-9 if dtype == np.float64 else 3e-5) * quadratic.constant
        found, done = _sweep(gpu, quadratic, shrink, tol)
        gap, gradient = _gap(done, shrink)
        assert found.gap <= tol
        assert gap <= 2 * tol
        np.testing.assert_allclose(
            done.gradient, gradient, atol=100 * eps(dtype) * (1 + np.abs(quadratic.linear).max())
        )
        if shrink.positive:
            assert (done.coef >= 0).all()


@pytest.mark.parametrize("own", [False, True], ids=["one gram", "a gram each"])
@pytest.mark.parametrize("method", ["cyclic", "accelerated"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SWEEPS, ids=str)
def test_sweep(gpu, device, monkeypatch, shape, dtype, method, own):
    _descends(gpu, device, monkeypatch, shape, dtype, method, own, (0, 1))


@pytest.mark.slow
@pytest.mark.parametrize("own", [False, True], ids=["one gram", "a gram each"])
@pytest.mark.parametrize("method", ["cyclic", "accelerated"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SWEEPS, ids=str)
def test_sweep_many(gpu, device, monkeypatch, shape, dtype, method, own):
    _descends(gpu, device, monkeypatch, shape, dtype, method, own, MANY_SEEDS)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)], ids=str)
def test_sweep_of_nothing(gpu, shape):
    quadratic, shrink = quadratic_of(*shape, "rows", np.random.default_rng(0))
    assert _sweep(gpu, quadratic, shrink, 1e-9)[0].gap >= 0.0


def test_sweep_batch_equals_single_sweeps(gpu, device):
    device.seed = 5
    rng = np.random.default_rng(1)
    pairs = [
        quadratic_of(s, t, kind, rng)
        for s, t, kind in [(5, 3, "rows"), (33, 1, "groups"), (12, 33, "ridge"), (64, 2, "positive")]
    ]
    there = [to_device(gpu.xp, q) for q, _ in pairs]
    tols = [1e-10 * q.constant for q, _ in pairs]
    before = device.read_backs
    found = gpu.sweep_batch(there, [to_device(gpu.xp, s) for _, s in pairs], tols, 5000)
    assert device.read_backs - before == 1
    for (quadratic, shrink), batch, one, tol in zip(pairs, there, found, tols, strict=True):
        alone, done = _sweep(gpu, quadratic, shrink, tol)
        assert alone == one
        np.testing.assert_array_equal(to_host(batch.coef), done.coef)
        np.testing.assert_array_equal(to_host(batch.gradient), done.gradient)


def test_sweep_reads_back_little(gpu, device, monkeypatch):
    for rows, most in ((512, 1), (0, 4)):
        monkeypatch.setattr(gpu._sweep, "DESCEND_ROWS", rows)
        quadratic, shrink = quadratic_of(40, 3, "rows", np.random.default_rng(2))
        there, penalty = to_device(gpu.xp, quadratic), to_device(gpu.xp, shrink)
        before = device.read_backs, device.read_bytes
        gpu.sweep(there, penalty, 1e-8 * quadratic.constant, 2000)
        assert device.read_backs - before[0] <= most
        assert device.read_bytes - before[1] <= 64


def test_uneven_curvatures_take_the_exact_step(gpu, device):
    """One row, two tasks of very different curvature: one epoch solves the problem."""
    gram = np.array([[[1.0]], [[100.0]]])
    linear = np.array([[3.0, 4.0]])
    quadratic, shrink = quadratic_of(1, 2, "rows", np.random.default_rng(0), own=True)
    quadratic = quadratic._replace(gram=gram, linear=linear, gradient=linear.copy(), constant=50.0)
    shrink = shrink._replace(l2=np.array([1.0]))
    found, _ = _sweep(gpu, quadratic, shrink, 1e-12, 1)
    assert found.gap <= 1e-12
    assert found.epochs == 1


def test_gap_agrees_with_the_reference(gpu, device):
    for seed, kind in enumerate(PENALTIES):
        device.seed = seed
        quadratic, shrink = quadratic_of(33, 5, kind, np.random.default_rng(seed))
        coef = reference.prox(0.1 * np.random.default_rng(seed).standard_normal((33, 5)), 1.0, shrink)
        wanted, gradient = _gap(quadratic._replace(coef=coef), shrink)
        arrays = [gpu.xp.array(a) for a in (quadratic.linear, gradient, coef)]
        got = gpu.duality_gap(*arrays, quadratic.constant, to_device(gpu.xp, shrink))
        assert got == pytest.approx(wanted, rel=1e-10)


def _column_problem(n, s, t, rng, dtype, sparse, wide):
    X = rng.standard_normal((n, s)) * (rng.random((n, s)) < (0.3 if sparse else 1.0))
    center = rng.standard_normal(s) * 0.1 if sparse else None
    Y = rng.standard_normal((n, t))
    weight = (0.5 + rng.random((n, t if wide else 1))) / n
    return columns_of(X.astype(dtype), center), Y.astype(dtype), weight


@pytest.mark.parametrize("wide", [False, True], ids=["weights of rows", "weights of entries"])
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csc"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (33, 4, 1), (70, 3, 33), (5, 6, 300), (2100, 2, 3)], ids=str)
def test_columns(gpu, device, shape, dtype, sparse, wide):
    n, s, t = shape
    for seed in (0, 1):
        device.seed = seed
        rng = np.random.default_rng(seed)
        columns, Y, weight = _column_problem(n, s, t, rng, dtype, sparse, wide)
        shrink = shrink_of("sparse_group" if seed else "rows", s, rng, 0.05)
        there, residual, coef = to_device(gpu.xp, columns), gpu.xp.array(Y), gpu.xp.zeros((s, t), dtype=dtype)
        moved = gpu.sweep_columns(there, residual, coef, gpu.xp.array(weight), to_device(gpu.xp, shrink), 3)
        W = to_host(coef).astype(np.float64)
        X = reference._dense(columns, n).astype(np.float64)
        close = {
            "atol": 100 * eps(dtype) * (1 + np.abs(Y).max()) * (1 + np.abs(X).max()) * (1 + np.abs(W).max())
        }
        np.testing.assert_allclose(to_host(residual), Y - X.T @ W, **close)
        if len(shrink.l2) == s and not wide:
            own, mine = Y.astype(np.float64), np.zeros((s, t))
            wanted = reference.sweep_columns(
                columns._replace(data=columns.data.astype(np.float64)), own, mine, weight, shrink, 3
            )
            np.testing.assert_allclose(W, mine, **close)
            assert moved == pytest.approx(wanted, rel=1e-3, abs=100 * eps(dtype))


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csc"])
def test_columns_descend_to_the_optimum(gpu, device, sparse):
    rng = np.random.default_rng(4)
    columns, Y, weight = _column_problem(40, 6, 3, rng, np.float64, sparse, True)
    shrink = shrink_of("sparse_group", 6, rng, 0.1)
    there, penalty = to_device(gpu.xp, columns), to_device(gpu.xp, shrink)
    residual, coef = gpu.xp.array(Y), gpu.xp.zeros((6, 3))
    assert gpu.sweep_columns(there, residual, coef, gpu.xp.array(weight), penalty, 60) < 1e-10
    done = to_host(coef)
    X = reference._dense(columns, 40)
    V = X @ (weight * (Y - X.T @ done))
    constant = 0.5 * float((weight * Y * Y).sum())
    assert reference.duality_gap(X @ (weight * Y), V, done, constant, shrink) <= 1e-10 * constant


def test_columns_without_entries(gpu):
    none = np.empty(0, dtype=np.int64)
    columns = columns_of(np.zeros((5, 2)), np.zeros(2))
    assert len(columns.indices) == 0
    coef, residual = gpu.xp.zeros((2, 1)), gpu.xp.ones((5, 1))
    shrink = BlockShrink(np.arange(3), np.zeros(2), np.ones(2), np.zeros(2), False)
    assert (
        gpu.sweep_columns(
            to_device(gpu.xp, columns), residual, coef, gpu.xp.ones((5, 1)), to_device(gpu.xp, shrink), 2
        )
        == 0.0
    )
    assert (to_host(residual) == 1.0).all()
    assert none.size == 0


@pytest.mark.parametrize("shape", [(1, 1), (40, 7), (7, 40), (33, 33), (3, 0), (0, 3)], ids=str)
@pytest.mark.parametrize("level", [0.0, 1e-9, 0.3, 10.0])
@pytest.mark.parametrize("hosted", [False, True])
def test_singular_shrink(gpu, shape, level, hosted, monkeypatch):
    W = np.random.default_rng(0).standard_normal(shape)
    threshold = level * np.linalg.norm(W, 2) if W.size else level
    if hosted:
        from fastmtl_kernels.gpu import hosted as kernels

        monkeypatch.setattr(kernels, "SHRINK_WORK", 0)
        U, s, Vt = kernels.singular_shrink(W, threshold)
        assert all(isinstance(A, np.ndarray) for A in (U, s, Vt))
    else:
        U, s, Vt = (to_host(a) for a in gpu.singular_shrink(gpu.xp.array(W), threshold))
    V, r, Wt = reference.singular_shrink(W, threshold)
    assert len(s) == len(r)
    np.testing.assert_allclose((U * s) @ Vt, (V * r) @ Wt, atol=1e-9)
    np.testing.assert_allclose(U.T @ U, np.eye(len(s)), atol=1e-9)


def test_bound_of_the_largest_eigenvalue_holds_and_is_tight(gpu):
    rng = np.random.default_rng(0)
    for s in (1, 5, 60):
        A = rng.standard_normal((3, s, 2 * s))
        A = A @ A.transpose(0, 2, 1)
        bound, top = float(gpu._accelerated._largest_eigenvalue(gpu.xp.array(A))), np.linalg.eigvalsh(A).max()
        assert top <= bound <= 1.3 * top
