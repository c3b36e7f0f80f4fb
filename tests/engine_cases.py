"""Penalties, designs and small problems that the laws of the engine run over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp

from fastmtl.penalties import L1, L21, Group, Penalty, SparseGroup

P = 12
"""Features of the penalty cases."""

_weights = [0.0, np.inf] + [1.0, 0.5] * 5

PENALTIES: dict[str, Penalty] = {
    "l21": L21(),
    "l21_ridge": L21(l1_ratio=0.4),
    "l21_weights": L21(feature_weights=_weights),
    "l21_positive": L21(positive=True),
    "l1": L1(),
    "l1_ridge": L1(l1_ratio=0.4),
    "l1_weights_positive": L1(feature_weights=_weights, positive=True),
    "group_labels": Group(groups=["b", "a", "c"] * 4),
    "group_sizes": Group(groups=[5, 4, 3], group_weights="sqrt", l1_ratio=0.7),
    "group_weights": Group(groups=[[0, 2, 4], [1, 3], list(range(5, 12))], group_weights=[0.0, 1.0, 2.0]),
    "group_positive": Group(groups=[4, 4, 4], positive=True),
    "sparse_group": SparseGroup(groups=[4, 4, 4]),
    "sparse_group_rows": SparseGroup(tau=0.3),
    "sparse_group_weights": SparseGroup(
        groups=[0, 1, 2] * 4, feature_weights=[np.inf] + [1.0] * 11, group_weights="sqrt"
    ),
    "sparse_group_free_row": SparseGroup(
        groups=[0, 1, 2] * 4, feature_weights=[0.0] + [1.0] * 11, group_weights=[0.0, 1.0, 1.0]
    ),
    "sparse_group_positive": SparseGroup(groups=[6, 6], tau=0.7, positive=True),
}


def _strided(X: np.ndarray) -> np.ndarray:
    wide = np.zeros((2 * X.shape[0], 3 * X.shape[1]))
    wide[::2, ::3] = X
    return wide[::2, ::3]


def _read_only(X: np.ndarray) -> np.ndarray:
    X = X.copy()
    X.flags.writeable = False
    return X


def _duplicated(X: np.ndarray) -> Any:
    """COO-like CSC with every entry stored as two halves, rows unsorted."""
    rows, cols = np.nonzero(X)
    values = X[rows, cols]
    order = np.lexsort((-np.concatenate([rows, rows]), np.concatenate([cols, cols])))
    data = np.concatenate([values, values])[order] / 2
    indices = np.concatenate([rows, rows])[order]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(np.concatenate([cols, cols]), minlength=X.shape[1]))])
    return sp.csc_matrix((data, indices, indptr), shape=X.shape)


LAYOUTS: dict[str, Callable[[np.ndarray], Any]] = {
    "c": np.ascontiguousarray,
    "f": np.asfortranarray,
    "strided": _strided,
    "reversed": lambda X: np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1],
    "read_only": _read_only,
    "big_endian": lambda X: X.astype(">f8"),
    "list": lambda X: X.tolist(),
    "csc": sp.csc_matrix,
    "csr": sp.csr_matrix,
    "coo": sp.coo_matrix,
    "csr_array": sp.csr_array,
    "csc_duplicates": _duplicated,
}


def regression(
    n: int = 40, p: int = P, t: int = 3, seed: int = 0, active: int = 4
) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian features with unequal means, a few true rows, unit noise."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + rng.uniform(-1, 1, p)
    W = np.zeros((p, t))
    W[:active] = rng.standard_normal((min(active, p), t))
    return X, X @ W + rng.standard_normal((n, t)) + 2.0
