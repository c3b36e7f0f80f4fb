"""Problems on the edges of warps and thread blocks, for the kernels and for a device."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmtl_kernels._interface import BlockShrink, Columns, Quadratic

EDGES = (0, 1, 31, 32, 33, 64, 70, 1000)
SHAPES = [
    (0, 3),
    (3, 0),
    (1, 1),
    (31, 33),
    (32, 32),
    (33, 1),
    (1, 70),
    (64, 31),
    (70, 64),
    (1000, 1),
    (1, 1000),
]
"""Pairs of edges for every run; `ALL_SHAPES` is for the slow one."""
ALL_SHAPES = [(s, t) for s in EDGES for t in EDGES]
DTYPES = (np.float32, np.float64)
PENALTIES = ("rows", "groups", "l1", "sparse_group", "ridge", "positive", "free")


def shrink_of(kind: str, s: int, rng: np.random.Generator, scale: float = 1.0) -> BlockShrink:
    """A penalty on s rows; `scale` is the size of its strengths."""
    if kind in ("groups", "sparse_group") and s:
        inner = (
            np.sort(rng.choice(np.arange(1, s), size=min(s - 1, max(0, s // 3)), replace=False))
            if s > 1
            else []
        )
        ptr = np.concatenate([[0], inner, [s]]).astype(np.int64)
    else:
        ptr = np.arange(s + 1, dtype=np.int64)
    blocks = len(ptr) - 1
    l1, l2, ridge = np.zeros(s), scale * (0.5 + rng.random(blocks)), np.zeros(blocks)
    if kind == "l1":
        l1, l2 = scale * (0.1 + rng.random(s)), np.zeros(blocks)
    if kind in ("sparse_group", "positive"):
        l1 = 0.3 * scale * rng.random(s)
    if kind == "ridge":
        ridge = 0.5 + rng.random(blocks)
    if kind == "free" and blocks:
        l2[::3] = 0.0
    return BlockShrink(ptr, l1, l2, ridge, kind == "positive")


def quadratic_of(
    s: int, t: int, kind: str, rng: np.random.Generator, *, own: bool = False, dtype: Any = np.float64
) -> tuple[Quadratic, BlockShrink]:
    """A compact least-squares problem and a penalty under which some rows stay zero; with `own`, a Gram matrix a task."""
    n = 2 * s + 10
    X = rng.standard_normal((n, s)) + 0.5 * rng.standard_normal((n, 1))
    Y = X[:, : min(4, s)] @ rng.standard_normal((min(4, s), t)) + rng.standard_normal((n, t))
    if own:
        weight = rng.random((t, n)) / n
        gram = np.einsum("ia,ti,ib->tab", X, weight, X)
        linear = np.einsum("ia,ti,it->at", X, weight, Y)
        constant = 0.5 * float(np.einsum("ti,it->", weight, Y * Y))
        scale = np.ones(t)
    else:
        scale = np.ones(t) if kind != "l1" else 0.5 + rng.random(t)
        gram, linear = (X.T @ X / n)[None], X.T @ Y / n * scale
        constant = 0.5 * float((Y * Y * scale).sum()) / n
    size = np.sqrt((linear**2).sum(axis=1)).max() if s and t else 1.0
    shrink = shrink_of(kind, s, rng, 0.3 * size)
    arrays = [np.ascontiguousarray(a, dtype=dtype) for a in (gram, linear)]
    return Quadratic(
        arrays[0], scale, arrays[1], arrays[1].copy(), np.zeros((s, t), dtype=dtype), constant
    ), shrink


def columns_of(X: np.ndarray, center: np.ndarray | None) -> Columns:
    """The columns of X (n, s): dense, or as CSC when `center` is given."""
    if center is None:
        none = np.empty(0, dtype=np.int64)
        return Columns(np.ascontiguousarray(X.T), none, none, np.zeros(X.shape[1]))
    rows = [np.flatnonzero(x) for x in X.T]
    indptr = np.concatenate([[0], np.cumsum([len(r) for r in rows])]).astype(np.int64)
    indices = np.concatenate([*rows, np.empty(0)]).astype(np.int64)
    data = np.concatenate([*(x[r] for x, r in zip(X.T, rows, strict=True)), np.empty(0)]).astype(X.dtype)
    return Columns(data, indices, indptr, center)


def to_device(xp: Any, record: Any) -> Any:
    """A record with its arrays copied to the namespace `xp`."""
    return type(record)(*(xp.array(v) if isinstance(v, np.ndarray) else v for v in record))


def to_host(A: Any) -> np.ndarray:
    """A device array as a NumPy array."""
    return A.get()
