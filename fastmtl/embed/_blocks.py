"""Penalties as the solvers on plain arrays read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fastmtl_kernels._interface import BlockShrink

from ..penalties import Lowered, Penalty
from ..penalties._block import BlockPenalty


def blocks(
    p: int,
    l2: Any = 0.0,
    *,
    size: int = 1,
    ptr: Any = None,
    l1: Any = 0.0,
    ridge: Any = 0.0,
    positive: bool = False,
) -> BlockShrink:
    """The penalty record that the solvers read: contiguous blocks of rows with their strengths.

    Parameters
    ----------
    p : int
        Rows of W.
    l2, ridge : float or array of shape (B,)
        Strength of the block norms and of half their squares; inf in `l2` keeps a block at zero.
    size : int
        Rows a block, a divisor of p, when `ptr` is not given.
    ptr : array of int, shape (B + 1,), optional
        Block b holds the rows `ptr[b]:ptr[b + 1]`.
    l1 : float or array of shape (p,)
        Strength of the entries.
    positive : bool
        Constrain W >= 0.

    Returns
    -------
    BlockShrink
        A named tuple (ptr, l1, l2, ridge, positive); one made once serves any number of calls.

    Raises
    ------
    ValueError
        Strengths that are neither one number nor one for each block or entry; all else is left to `check`.
    """
    ptr = np.arange(0, p + 1, size) if ptr is None else np.asarray(ptr)
    ptr = ptr.astype(np.int64, copy=False)
    count = len(ptr) - 1
    return BlockShrink(ptr, _filled(l1, p), _filled(l2, count), _filled(ridge, count), bool(positive))


class Form(NamedTuple):
    """A penalty in block form, for the solvers and for the caller.

    Attributes
    ----------
    shrink : BlockShrink
        In which no block without a norm holds rows with and without an l1 strength: such blocks fall into rows.
    order : ndarray of shape (p,) or None
        Brings the rows of W into the order of the blocks; None: they are.
    ptr : ndarray of shape (B + 1,)
        The caller's blocks.
    """

    shrink: BlockShrink
    order: np.ndarray | None
    ptr: np.ndarray


def form_of(penalty: BlockShrink | Penalty, p: int, active: Any = None) -> Form:
    """The block form of a penalty over p rows, the blocks outside the mask `active` (B,) kept at zero."""
    shrink, order = _lowered(penalty, p)
    if active is not None:
        shrink = shrink._replace(l2=np.where(active, shrink.l2, np.inf))
    return Form(_divided(shrink), order, shrink.ptr)


def _lowered(penalty: BlockShrink | Penalty, p: int) -> tuple[BlockShrink, np.ndarray | None]:
    if isinstance(penalty, BlockShrink):
        return penalty, None
    lowered = penalty.lower(p)
    if lowered is None:
        raise TypeError(f"{penalty} has no block form; fastmtl.fit serves it")
    return BlockShrink(*lowered[1:]), lowered.order


def _divided(shrink: BlockShrink) -> BlockShrink:
    """Blocks without a norm in rows, where they have l1 strengths: rows that are not penalised would hold the others back."""
    ptr, l1, l2, ridge, positive = shrink
    if l2.all() or len(l2) == len(l1) or not l1.any():
        return shrink
    sizes = np.diff(ptr)
    starts = np.repeat(l2 == 0, sizes)
    starts[ptr[:-1]] = True
    at = np.flatnonzero(starts)
    return BlockShrink(
        np.append(at, len(l1)), l1, np.repeat(l2, sizes)[at], np.repeat(ridge, sizes)[at], positive
    )


@dataclass(frozen=True)
class Blocks(BlockPenalty):
    """A block form as a penalty of its own; alpha is 1."""

    form: Form | None = None

    name = "blocks"

    def _strengths(self, p: int) -> Lowered:
        assert self.form is not None
        return Lowered(self.form.order, *self.form.shrink)

    @property
    def positive(self) -> bool:
        """Whether coefficients must be >= 0."""
        assert self.form is not None
        return self.form.shrink.positive

    @property
    def is_rotation_invariant(self) -> bool:
        assert self.form is not None
        return not self.form.shrink.positive and not self.form.shrink.l1.any()


def used_blocks(W: np.ndarray, form: Form) -> np.ndarray:
    """Mask (B,) of the blocks with a coefficient that is not zero."""
    rows: np.ndarray = np.asarray(W.any(axis=1))
    rows = rows if form.order is None else rows[form.order]
    ptr = form.ptr
    return rows if len(ptr) == len(rows) + 1 else np.logical_or.reduceat(rows, ptr[:-1])


def check(penalty: BlockShrink | Penalty, p: int, *arrays: Any) -> None:
    """Raise on what would be read out of bounds or give nonsense; for tests and debugging, not for every call.

    Parameters
    ----------
    penalty : BlockShrink or Penalty
    p : int
        Rows of W.
    *arrays : ndarray
        Arrays to be found finite and with p rows, or p columns for a Gram matrix or an X: moments, coef, gram.

    Raises
    ------
    ValueError
        Naming what does not fit.
    """
    ptr, l1, l2, ridge, _ = _lowered(penalty, p)[0]
    if len(ptr) < 2 or ptr[0] != 0 or ptr[-1] != p or (np.diff(ptr) <= 0).any():
        raise ValueError(f"ptr is {ptr}; it must rise from 0 to p = {p}: no empty block, no row left out")
    for name, strengths, length in (("l1", l1, p), ("l2", l2, len(ptr) - 1), ("ridge", ridge, len(ptr) - 1)):
        if strengths.shape != (length,):
            raise ValueError(f"{name} has shape {strengths.shape}, ({length},) was expected")
        if not (strengths >= 0).all() or (name != "l2" and np.isinf(strengths).any()):
            raise ValueError(f"{name} holds a strength that is negative, NaN or (unless l2) infinite")
    for A in arrays:
        if np.ndim(A) < 2 or p not in np.shape(A)[-2:]:
            raise ValueError(f"an array has shape {np.shape(A)}; none of its last two axes is p = {p}")
        if not np.isfinite(A).all():
            raise ValueError(f"an array of shape {np.shape(A)} holds NaN or inf")


def _filled(strength: Any, length: int) -> np.ndarray:
    out = np.empty(length)
    out[...] = strength
    return out
