"""Laws of designs: whatever holds X, products are those of the matrix that it stands for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse as sp

from fastmtl.designs import DenseDesign, Design, SparseDesign
from fastmtl.designs.power_scaled import PowerScaledDesign
from fastmtl.designs.scaled import ScaledDesign
from fastmtl.designs.shifted import ShiftedDesign, far_means

N, P, T = 13, 7, 3
RNG = np.random.default_rng(0)
X = np.where(RNG.random((N, P)) < 0.6, RNG.integers(-8, 9, (N, P)), 0.0)
SCALE = np.array([1.0, 2.0, 0.5, 4.0, 1.0, 0.25, 8.0])
"""Powers of two, so that float32 and scaling are exact and one tolerance serves all."""
WEIGHT = RNG.uniform(0.5, 2.0, N)
SOME, OTHER = np.array([5, 0, 3]), np.array([2, 6])

BASES: dict[str, Callable[[np.ndarray], Design]] = {
    "columns": lambda A: DenseDesign(np.asfortranarray(A)),
    "rows": lambda A: DenseDesign(np.ascontiguousarray(A)),
    "strided": lambda A: DenseDesign(np.repeat(np.repeat(A, 2, axis=0), 2, axis=1)[::2, ::2]),
    "float32": lambda A: DenseDesign(A.astype(np.float32)),
    "int8": lambda A: DenseDesign(A.astype(np.int8)),
    "csc": lambda A: SparseDesign(sp.csc_matrix(A)),
    "csc float32": lambda A: SparseDesign(sp.csc_matrix(A.astype(np.float32))),
}
OVER: dict[str, Callable[[Design], Design]] = {
    "plain": lambda base: base,
    "scaled": lambda base: ScaledDesign(base, SCALE),
    "power": lambda base: PowerScaledDesign(base, np.log2(SCALE).astype(np.int64)),
    "all power": lambda base: PowerScaledDesign(base, np.full(P, 2, dtype=np.int64)),
    "shifted": lambda base: ShiftedDesign(base, SCALE),
}
MEANT = {"plain": X, "scaled": X / SCALE, "power": X / SCALE, "all power": X / 4.0, "shifted": X - SCALE}


@pytest.fixture(params=[(base, over) for base in BASES for over in OVER], ids="-".join)
def made(request) -> tuple[Design, np.ndarray]:
    base, over = request.param
    return OVER[over](BASES[base](X)), MEANT[over]


def close(found, wanted) -> None:
    """Sums of N * P products of entries up to 32 and weights up to 2 in another order."""
    np.testing.assert_allclose(found, wanted, rtol=0, atol=N * P * 2048 * np.finfo(float).eps)


def test_products(made):
    design, A = made
    W, R = RNG.standard_normal((P, T)), RNG.standard_normal((N, T))
    close(design.predict(W), A @ W)
    close(design.predict(W[SOME], SOME), A[:, SOME] @ W[SOME])
    close(design.correlate(R), A.T @ R)
    close(design.correlate(R[:, :1]), A.T @ R[:, :1])


def test_columns(made):
    design, A = made
    np.testing.assert_array_equal(design.take(SOME), A[:, SOME].T)
    part = design.part(SOME)
    assert part.shape == (N, len(SOME))
    np.testing.assert_array_equal(part.take(np.arange(len(SOME))), A[:, SOME].T)
    close(part.correlate(A), A[:, SOME].T @ A)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["even", "weighted"])
def test_inner_products_of_columns(made, weight):
    design, A = made
    omega = np.ones(N) if weight is None else weight
    close(design.gram(SOME, weight=weight), A[:, SOME].T * omega @ A[:, SOME])
    close(design.gram(SOME, OTHER, weight), A[:, SOME].T * omega @ A[:, OTHER])
    close(design.sq_norms(weight), omega @ A**2)
    close(design.weighted_gram(omega), A.T * omega @ A)


@pytest.mark.parametrize("centred", [False, True])
def test_moments(made, centred):
    design, A = made
    centre = WEIGHT @ A / WEIGHT.sum() if centred else None
    C = A - (0.0 if centre is None else centre)
    close(np.tril(design.second_moments(WEIGHT, centre)), np.tril(C.T * WEIGHT @ C))
    root = np.sqrt(WEIGHT)[:, None] * C
    close(np.tril(design.inner_products(WEIGHT, centre)), np.tril(root @ root.T))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("over", OVER)
@pytest.mark.parametrize("base", ["columns", "rows", "float32", "csc"])
def test_bad_values_are_found(base, over, bad):
    OVER[over](BASES[base](X)).check_finite()
    A = X.copy()
    A[3, 2] = bad
    with pytest.raises(ValueError, match=r"table holds (nan|inf|-inf)"):
        OVER[over](BASES[base](A)).check_finite("table")


@pytest.mark.parametrize("base", [name for name in BASES if name != "int8"])
def test_means_where_columns_are_far_from_zero(base):
    """Of all columns but constant ones, once one of them varies little beside its mean."""
    assert far_means(BASES[base](X)) is None
    A = X + np.array([0.0, 4000.0, 0.0, -4000.0, 0.0, 0.0, 0.0])
    A[:, 2] = 100.0
    wanted = np.where(np.arange(P) == 2, 0.0, A.mean(axis=0))
    np.testing.assert_allclose(far_means(BASES[base](A)), wanted, rtol=1e-6, atol=1e-12)
    A[:, [1, 3]] = X[:, [1, 3]]
    assert far_means(BASES[base](A)) is None
