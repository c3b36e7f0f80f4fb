"""Mathematics shared by every block-separable penalty.

With u = S(v, l1) the soft threshold (its positive part alone when W >= 0 is asked for), one block has

    value      l1 |w|_1 + l2 |w|_F + ridge/2 |w|_F^2
    prox       (1 - step l2 / |u|)_+ u / (1 + step ridge),  u = S(v, step l1)
    conjugate  (|S(v, l1)|_F - l2)_+^2 / (2 ridge);  0 or inf when ridge = 0

Soft-thresholding and then shrinking the norm is the exact prox of the sum (Yu 2013, "On decomposing the proximal map",
Theorem 4; Simon et al. 2013, "A sparse-group lasso", eq. 11).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays import Array
from ._base import Lowered, Penalty, check_alpha


@dataclass(frozen=True)
class BlockPenalty(Penalty):
    """A penalty given entirely by its block form; a subclass supplies `_strengths`."""

    @abstractmethod
    def _strengths(self, p: int) -> Lowered:
        """The block form at alpha = 1."""

    def _unit(self, p: int) -> Lowered:
        """The block form at alpha = 1, kept for the p it was last asked for."""
        kept = self.__dict__.get("_kept_unit")
        if kept is None or len(kept.l1) != p:
            kept = self._strengths(p)
            object.__setattr__(self, "_kept_unit", kept)
        return kept

    def with_alpha(self, alpha: float) -> Any:
        out = copy(self)
        object.__setattr__(out, "alpha", check_alpha(alpha))
        return out

    def lower(self, p: int) -> Lowered:
        alpha, kept = self.__dict__.get("_kept_form", (None, None))
        if kept is None or alpha != self.alpha or len(kept.l1) != p:
            unit = self._unit(p)
            alpha = 1.0 if self.alpha is None else self.alpha
            unit = unit if alpha > 0 else in_rows(unit)
            kept = unit._replace(l1=times(alpha, unit.l1), l2=times(alpha, unit.l2), ridge=alpha * unit.ridge)
            object.__setattr__(self, "_kept_form", (self.alpha, kept))
        return kept

    def block_norms(self, V: Array) -> Array | None:
        form = self.lower(V.shape[0])
        if form.positive or form.l1.any():
            return None
        norms = np.sqrt(block_sums(row_squares(V if form.order is None else V[form.order]), form.ptr))
        norms[(form.l2 == 0) & (form.ridge == 0)] = 0.0
        return norms

    def conjugate_along(self, V: Array, norms: Array | None = None) -> tuple[float, Callable[[float], float]]:
        form = self.lower(V.shape[0])
        has_ridge = bool(form.ridge.any())
        if norms is None and has_ridge:
            return super().conjugate_along(V)
        limit = self.dual_scale(V) if norms is None else norm_scale(norms, form, form.ridge == 0, V.shape[1])
        if norms is not None and has_ridge:
            return limit, lambda a: excess_value(a * norms - form.l2, form.ridge)
        # Without a ridge the conjugate is an indicator: zero up to the scale, with no further pass over V.
        return limit, lambda a: 0.0 if a <= limit else math.inf

    def value_on(self, W: Array, rows: Array, p: int) -> float:
        form = self.lower(p)
        if len(form.l2) != p or form.order is not None:
            return super().value_on(W, rows, p)
        l1, l2, ridge = form.l1[rows], form.l2[rows], form.ridge[rows]
        return _value(W, Lowered(None, np.arange(len(rows) + 1), l1, l2, ridge, form.positive))

    def value(self, W: Array) -> float:
        return _value(*self._arranged(W))

    def prox(self, W: Array, step: float) -> Array:
        W, form = self._arranged(W)
        U = soft_threshold(W, step * form.l1[:, None], form.positive)
        norms = np.sqrt(block_sums(row_squares(U), form.ptr))
        kept = norms > step * form.l2
        factor = np.zeros_like(norms)
        factor[kept] = (1.0 - step * form.l2[kept] / norms[kept]) / (1.0 + step * form.ridge[kept])
        U = U * np.repeat(factor, np.diff(form.ptr))[:, None]
        if form.order is None:
            return U
        out = np.empty_like(U)
        out[form.order] = U
        return out

    def conjugate(self, V: Array) -> float:
        excess, form = self._excess(V)
        return excess_value(excess, form.ridge)

    def dual_scale(self, V: Array) -> float:
        V, form = self._arranged(V)
        return gauge_scale(V, form, form.ridge == 0)

    def free_scale(self, V: Array, norms: Array | None = None) -> float:
        form = self.lower(V.shape[0])
        every = np.ones(len(form.l2), dtype=bool)
        if norms is not None:
            return norm_scale(norms, form, every, V.shape[1])
        return gauge_scale(V if form.order is None else V[form.order], form, every)

    def _excess(self, V: Array) -> tuple[Array, Lowered]:
        V, form = self._arranged(V)
        U = soft_threshold(V, form.l1[:, None], form.positive)
        return np.sqrt(block_sums(row_squares(U), form.ptr)) - form.l2, form

    def _arranged(self, W: Array) -> tuple[Array, Lowered]:
        form = self.lower(W.shape[0])
        return (W if form.order is None else W[form.order]), form

    def free(self, p: int) -> Array:
        form = self.lower(p)
        bare = np.repeat((form.l2 == 0) & (form.ridge == 0), np.diff(form.ptr))
        return _unpermuted(bare & (form.l1 == 0), form.order)

    def excluded(self, p: int) -> Array:
        unit = self._unit(p)
        return _unpermuted(np.repeat(np.isinf(unit.l2), np.diff(unit.ptr)) | np.isinf(unit.l1), unit.order)

    def alpha_max(self, V: Array) -> float:
        if getattr(self, "l1_ratio", 1.0) == 0:
            raise ValueError(
                "alpha_max is not defined at l1_ratio=0: a pure ridge never sets a row to zero; "
                "give alphas yourself or use l1_ratio > 0"
            )
        free = self.with_alpha(1.0).free(V.shape[0])
        return super().alpha_max(np.where(free[:, None], 0.0, V) if free.any() else V)


def _value(W: Array, form: Lowered) -> float:
    if form.positive and (W < 0).any():
        return math.inf
    norms = np.sqrt(block_sums(row_squares(W), form.ptr))
    # Norms may overflow: what is not penalised must not turn that into NaN.
    used, bent = (norms > 0) & (form.l2 > 0), form.ridge > 0
    total = float(form.l2[used] @ norms[used]) + 0.5 * float(form.ridge[bent] @ norms[bent] ** 2)
    return total + _l1_value(W, form.l1)


def in_rows(form: Lowered) -> Lowered:
    """The form with a block for every row: at alpha = 0 nothing ties them, and some may be excluded beside free ones."""
    sizes = np.diff(form.ptr)
    ptr = np.arange(len(form.l1) + 1)
    return form._replace(ptr=ptr, l2=np.repeat(form.l2, sizes), ridge=np.repeat(form.ridge, sizes))


def times(alpha: float, strengths: Array) -> Array:
    """`alpha * strengths` in which an excluded entry (inf) stays excluded at alpha = 0."""
    return alpha * strengths if alpha > 0 else np.where(np.isinf(strengths), np.inf, 0.0)


def _l1_value(W: Array, l1: Array) -> float:
    if not l1.any():
        return 0.0
    sums = np.abs(W).sum(axis=1)
    used = sums > 0
    return float(l1[used] @ sums[used])


def _unpermuted(mask: Array, order: Array | None) -> Array:
    if order is None:
        return mask
    out = np.empty_like(mask)
    out[order] = mask
    return out


def row_squares(W: Array) -> Array:
    """Squared row norms of W in float64."""
    return np.einsum("ij,ij->i", W, W, dtype=np.float64)


def block_sums(values: Array, ptr: Array) -> Array:
    """Sums of `values` over the blocks `ptr[b]:ptr[b+1]` (blocks are never empty)."""
    return values if len(ptr) == len(values) + 1 else np.add.reduceat(values, ptr[:-1])


def excess_value(excess: Array, ridge: Array) -> float:
    """`sum_b (excess_b)_+^2 / (2 ridge_b)`: inf where an excess meets no ridge."""
    over = ~(excess <= 0)  # NaN counts
    if not over.any():
        return 0.0
    with np.errstate(divide="ignore"):
        return float((excess[over] ** 2 / (2.0 * ridge[over])).sum())


def soft_threshold(V: Array, l1: Array, positive: bool) -> Array:
    """`sign(V) (|V| - l1)_+`, or `(V - l1)_+` when `positive`; V itself where that is the same."""
    if positive:
        return np.maximum(V - l1, 0.0)
    if not l1.any():
        return V
    return np.sign(V) * np.maximum(np.abs(V) - l1, 0.0)


def gauge_scale(V: Array, form: Lowered, hard: Array) -> float:
    """Largest a with `|S(a V_b, l1)|_F <= l2_b` in every block marked in `hard`; inf when none binds.

    Where one of l1, l2 is zero the root is closed; otherwise Newton on the convex function `|S(a v, l1)| - l2` comes
    down monotonically from the right, block after block, each starting at the smallest root so far.
    """
    top = np.maximum(V, 0.0) if form.positive else V
    if not form.l1.any():
        norms = np.sqrt(block_sums(row_squares(top), form.ptr))
        return norm_scale(norms, form, hard, V.shape[1])
    rows = np.repeat(hard, np.diff(form.ptr))
    widest = int(np.diff(form.ptr).max(initial=1)) * V.shape[1]
    l1 = np.where(np.isinf(form.l1), 0.0, form.l1)
    top = np.where(np.isinf(form.l1)[:, None], 0.0, np.abs(top))  # an excluded feature never binds
    peaks = top.max(axis=1)
    if np.isnan(peaks).any():
        return 0.0  # a product failed: nothing is known to be feasible
    with np.errstate(divide="ignore", invalid="ignore"):
        entry = np.where(rows & (peaks > 0), l1 / peaks, np.inf)
    # A block cannot bind before its first entry passes l1, and binds there when l2 = 0.
    entry = np.minimum.reduceat(entry, form.ptr[:-1])
    scale = entry[form.l2 == 0].min(initial=math.inf)
    for block in np.argsort(entry):
        if entry[block] >= scale:
            break
        if math.isfinite(form.l2[block]):
            part = slice(form.ptr[block], form.ptr[block + 1])
            scale = min(scale, _block_root(top[part], l1[part, None], form.l2[block], scale))
    return _shaved(scale, widest)


def norm_scale(norms: Array, form: Lowered, hard: Array, t: int) -> float:
    """Largest a with `a norm_b` within the `bounds` of blocks marked in `hard`, of rows of t entries; inf when none binds."""
    if np.isnan(norms).any():
        return 0.0  # a product failed: nothing is known to be feasible
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = norms / form.bounds  # NaN where nothing is allowed and nothing there
    top = float(np.fmax.reduce(ratio if hard.all() else ratio[hard], initial=0.0))
    widest = 1 if len(form.l2) == len(form.l1) else int(np.diff(form.ptr).max())
    return _shaved(math.inf if top == 0.0 else 1.0 / top, widest * t)


def _block_root(top: Array, l1: Array, l2: float, start: float) -> float:
    """Root in a of `|(a top - l1)_+| = l2` at or below `start`, `start` itself when it does not bind there."""
    if math.isinf(start):
        start = (l2 + float(np.linalg.norm(np.broadcast_to(l1, top.shape)))) / float(np.linalg.norm(top))
    a = start
    for _ in range(100):
        U = np.maximum(a * top - l1, 0.0)
        norm = float(np.linalg.norm(U))
        if norm <= l2:
            return a
        step = (norm - l2) * norm / float((U * top).sum())
        if step <= 2e-16 * a:
            return a
        a -= step
    return a


def _shaved(scale: float, terms: int) -> float:
    """`scale` less the rounding of a norm of so many terms, so that the scaled point is feasible when recomputed."""
    return float(scale) * (1.0 - (8.0 + 4.0 * math.sqrt(terms)) * float(np.finfo(np.float64).eps))
