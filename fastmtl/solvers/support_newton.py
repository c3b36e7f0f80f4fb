"""Second-order finish for penalties of entries: Newton on the entries that are not zero, their signs kept.

There the penalty is smooth: linear in an entry, and a norm of every block that is not zero. An entry that reaches zero is
dropped; sweeps bring back what is missing.
"""

from __future__ import annotations

import numpy as np

from fastmtl_kernels._interface import BlockShrink, Quadratic

from .._arrays import Array
from .row_newton import LAST

LARGEST = 1200
"""Entries beyond which a cubic step no longer competes with sweeps."""
VANISHED = 1e-13
"""Norm of a block, over the largest, that is zero: what is left of it would bend the problem without end."""
STEPS = 50
STEP = 8e5
"""Flops of a factorisation in the time that a step takes however small it is."""


def support_cost(coef: Array, shrink: BlockShrink) -> float:
    """Flops of a typical run of half a dozen steps; infinite where it should not be tried."""
    sizes = np.count_nonzero(coef, axis=0)
    if shrink.l2.any():
        sizes = sizes.sum(keepdims=True)
    if not 0 < sizes.max() <= LARGEST:
        return np.inf
    return 6.0 * float((STEP + sizes.astype(float) ** 3).sum())


def support_newton(quadratic: Quadratic, shrink: BlockShrink, tol: float = 0.0) -> Array:
    """Coefficients (s, t) that minimise the compact problem over the entries that are not zero now, some of them dropped.

    Without block norms every column is a problem of its own. Newton's method ends with a whole step that promises a hundredth of
    `tol` (absolute) at most, when the gradient is rounding, or when a step no longer descends.
    """
    W = quadratic.coef.copy()
    rows, cols = np.nonzero(W)
    if shrink.l2.any():
        _Entries(quadratic, shrink, rows, cols).minimise(W, LAST * tol)
    else:
        for c in np.unique(cols):
            _Entries(quadratic, shrink, rows[cols == c], cols[cols == c]).minimise(W, LAST * tol / W.shape[1])
    return W


class _Entries:
    """The compact problem on some entries of W, with the signs that they have."""

    def __init__(self, quadratic: Quadratic, shrink: BlockShrink, rows: Array, cols: Array) -> None:
        block = np.repeat(np.arange(len(shrink.l2)), np.diff(shrink.ptr))[rows]
        self.rows, self.cols = rows, cols
        self.w = quadratic.coef[rows, cols]
        self.sign = np.sign(self.w)
        self.H = np.zeros((len(rows), len(rows)))
        for c in np.unique(cols):
            own = np.flatnonzero(cols == c)
            G = quadratic.gram[c if len(quadratic.gram) > 1 else 0][np.ix_(rows[own], rows[own])]
            self.H[np.ix_(own, own)] = quadratic.scale[c if len(quadratic.scale) > 1 else 0] * G
        self.H[np.diag_indices_from(self.H)] += shrink.ridge[block]
        self.linear = quadratic.linear[rows, cols] - shrink.l1[rows] * self.sign
        self.block, self.l2 = block, shrink.l2[block]

    def minimise(self, W: Array, enough: float) -> None:
        """Write the minimiser into W."""
        W[self.rows, self.cols] = 0.0
        for _ in range(STEPS):
            if not self._step(enough):
                break
        W[self.rows, self.cols] = self.w

    def _norms(self, w: Array) -> Array:
        """The norm of the block of every entry."""
        return np.sqrt(np.bincount(self.block, w * w))[self.block]

    def _value(self, w: Array) -> float:
        norms = self._norms(w)
        # Every entry carries its share w_i^2 / |w_b| of the norm of its block.
        shares = np.divide(w * w, norms, out=np.zeros_like(w), where=norms > 0)
        return 0.5 * float(w @ (self.H @ w)) - float(self.linear @ w) + float(self.l2 @ shares)

    def _step(self, enough: float) -> bool:
        """One step, at most to where the first entry reaches zero, which is dropped; False at the end.

        The end is a whole step along which the objective falls with a slope of `enough` at most.
        """
        if not len(self.w):
            return False
        pull = self.l2 / self._norms(self.w)
        gradient = self.H @ self.w - self.linear + pull * self.w
        scale = np.abs(self.linear).max() + np.abs(self.H @ self.w).max() + self.l2.max()
        if np.abs(gradient).max() <= 1e-13 * scale:
            return False
        direction = self._direction(pull, gradient)
        if direction is None:
            return False
        turning = self.sign * direction < 0
        limits = np.divide(-self.w, direction, out=np.full_like(self.w, np.inf), where=turning)
        step = min(1.0, float(limits.min()))
        before, slope = self._value(self.w), float(gradient @ direction)
        for _ in range(20):
            w = self.w + step * direction
            if self._value(w) <= before + 1e-4 * step * slope + 1e-15 * abs(before):
                break
            step *= 0.5
        else:
            return False
        kept = (self.sign * w > 0) & ~(limits <= step)
        kept &= (norms := self._norms(w)) > VANISHED * norms.max()
        moved = not np.array_equal(w, self.w)
        self.w = w
        if not kept.all():
            self._keep(kept)
        return moved and not (step == 1.0 and -slope <= enough)

    def _direction(self, pull: Array, gradient: Array) -> Array | None:
        """The Newton direction; along directions without curvature it is long, and ends where an entry reaches zero."""
        from scipy.linalg.lapack import dposv  # pyright: ignore[reportAttributeAccessIssue] (made at import)

        H = self.H.copy()
        if pull.any():
            unit = self.w / self._norms(self.w)
            H -= np.outer(pull * unit, unit) * (self.block[:, None] == self.block)
        diagonal = np.einsum("ii->i", H)
        diagonal += pull
        for shift in (1e-13, 1e-9):
            shifted = H.copy()
            np.einsum("ii->i", shifted)[...] += shift * diagonal.max()
            _, direction, info = dposv(shifted, -gradient, lower=1)
            if info == 0 and np.isfinite(direction).all():
                return direction
        return None

    def _keep(self, kept: Array) -> None:
        self.rows, self.cols, self.block = self.rows[kept], self.cols[kept], self.block[kept]
        self.w, self.sign, self.linear, self.l2 = (
            self.w[kept], self.sign[kept], self.linear[kept], self.l2[kept]
        )  # fmt: skip
        self.H = self.H[np.ix_(kept, kept)]
