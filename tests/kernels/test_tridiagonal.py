"""The shifted tridiagonal systems: the compiled twin against the plain one, and both against dense algebra."""

from __future__ import annotations

import numpy as np
import pytest

from fastmtl_kernels import _reference_spectral as reference
from fastmtl_kernels.cpu import _spectral as cpu_spectral
from fastmtl_kernels.cpu import _tridiagonal as cpu

TWINS = [pytest.param(cpu, id="cpu"), pytest.param(reference, id="reference")]
EPS = np.finfo(float).eps


def problem(q: int, k: int, seed: int = 0):
    """A positive semi-definite tridiagonal T (its dense form too), scales with a zero among them, right sides."""
    rng = np.random.default_rng(seed)
    root = np.tril(np.triu(rng.standard_normal((q, q)), -1))
    T = root.T @ root if q < 2 else np.diag(rng.uniform(2, 3, q)) + np.diag(rng.uniform(-1, 1, q - 1), 1)
    T = np.triu(T) + np.triu(T, 1).T
    scales = rng.uniform(0, 2, k)
    scales[0] = 0.0
    return T, np.diag(T).copy(), np.diag(T, 1).copy(), scales, rng.standard_normal((q, k))


@pytest.mark.parametrize("kernels", TWINS)
@pytest.mark.parametrize(("q", "k"), [(1, 1), (1, 3), (2, 1), (7, 4), (40, 33)])
def test_solve_inverts_every_shifted_matrix(kernels, q, k):
    T, diagonal, off, scales, B = problem(q, k)
    before = B.copy()
    X = kernels.tridiagonal_solve(*kernels.tridiagonal_factor(diagonal, off, scales, 0.3), B)
    for j in range(k):
        M = scales[j] * T + 0.3 * np.eye(q)
        scale = np.linalg.norm(M, 2) * np.linalg.norm(X[:, j]) + np.linalg.norm(B[:, j])
        assert np.linalg.norm(M @ X[:, j] - B[:, j]) <= 16 * EPS * scale
    np.testing.assert_array_equal(B, before)


@pytest.mark.parametrize("kernels", TWINS)
@pytest.mark.parametrize(("q", "k"), [(1, 2), (2, 3), (30, 5)])
def test_multiply_is_the_dense_product(kernels, q, k):
    T, diagonal, off, _, B = problem(q, k)
    np.testing.assert_allclose(
        kernels.tridiagonal_multiply(diagonal, off, B), T @ B, atol=8 * EPS * np.abs(T).max() * 9
    )


@pytest.mark.parametrize("layout", ["C", "F", "strided"])
def test_any_layout_gives_the_same_bits(layout):
    _, diagonal, off, scales, B = problem(20, 6)
    other = {"C": B, "F": np.asfortranarray(B), "strided": np.repeat(B, 2, axis=1)[:, ::2]}[layout]
    factor = cpu.tridiagonal_factor(diagonal, off, scales, 1.0)
    np.testing.assert_array_equal(cpu.tridiagonal_solve(*factor, other), cpu.tridiagonal_solve(*factor, B))
    np.testing.assert_array_equal(
        cpu.tridiagonal_multiply(diagonal, off, other), cpu.tridiagonal_multiply(diagonal, off, B)
    )


def test_no_columns_is_an_ordinary_input():
    _, diagonal, off, _, _ = problem(5, 1)
    pivots, multipliers = cpu.tridiagonal_factor(diagonal, off, np.empty(0), 1.0)
    assert cpu.tridiagonal_solve(pivots, multipliers, np.empty((5, 0))).shape == (5, 0)


@pytest.mark.parametrize(
    "kernels", [pytest.param(cpu_spectral, id="cpu"), pytest.param(reference, id="reference")]
)
@pytest.mark.parametrize("shape", [(1, 1), (9, 4), (4, 9), (30, 1), (1, 30)])
@pytest.mark.parametrize("fraction", [0.0, 1e-9, 0.3, 1.0, 2.0])
def test_singular_shrink_is_the_prox_of_the_trace_norm(kernels, shape, fraction):
    """Optimality: `W - Z` has spectral norm at most the threshold and attains `threshold * |Z|_*` against Z."""
    W = np.random.default_rng(3).standard_normal(shape)
    top = np.linalg.norm(W, 2)
    U, s, Vt = kernels.singular_shrink(W, fraction * top)
    Z = (U * s) @ Vt
    slack = 64 * EPS * top * max(shape)
    assert np.all(s > 0) and np.all(np.diff(s) <= 0)
    assert np.linalg.norm(W - Z, 2) <= fraction * top + slack
    assert abs(np.sum((W - Z) * Z) - fraction * top * s.sum()) <= slack * top * len(s) + slack
    np.testing.assert_allclose(U.T @ U, np.eye(len(s)), atol=1e-9)
