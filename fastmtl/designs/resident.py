"""Residuals and scores that stay on the device: what comes home is sums, block norms and the rows that are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastmtl_kernels._interface import BlockShrink

from .._arrays import Array

if TYPE_CHECKING:
    from ..penalties import Lowered
    from .device import DeviceDesign


class Distant:
    """A float64 matrix on the device, read row by row; `np.asarray` brings all of it home.

    Parameters
    ----------
    xp : module
        Its namespace.
    there : device array of shape (p, t)
    known : tuple of (rows, values), optional
        Rows that came home already.
    peaks : ndarray of shape (p,), optional
        Largest size of every row, when that came home already.
    """

    def __init__(
        self, xp: Any, there: Any, known: tuple[Array, Array] | None = None, peaks: Array | None = None
    ) -> None:
        self._xp, self._there, self._known, self._peaks = xp, there, known, peaks
        self.shape: tuple[int, int] = (int(there.shape[0]), int(there.shape[1]))

    def __getitem__(self, rows: Array) -> Array:
        if not len(rows):
            return np.zeros((0, self.shape[1]))
        if self._known is not None and np.array_equal(rows, self._known[0]):
            return self._known[1]
        return self._there[self._xp.asarray(rows)].get()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self._there.get(), dtype=dtype)

    def peaks(self) -> Array:
        """Largest size (p,) of the entries of every row."""
        return self._xp.abs(self._there).max(axis=1).get() if self._peaks is None else self._peaks


class Look(NamedTuple):
    """What a look at coefficients brings home."""

    loss: float  # |residual|^2
    cross: float  # <direction, root Y>
    square: float  # |direction|^2
    norms: Array  # (B,) norms of the blocks of the scores, epsilon norms where they have L1 terms
    scores: Distant  # (p, t) unit X' (root direction)
    direction: Distant  # (n, t) the weighted residual less its part in the span of the basis


class Residuals:
    """The targets of a problem beside its X on the device.

    Parameters
    ----------
    design : DeviceDesign
    Y : ndarray of shape (n, t)
    root : ndarray of shape (n, 1) or None
        Square roots of sample weights.
    basis : ndarray of shape (n, f)
        Orthonormal; directions are freed of its span.
    scale : ndarray of shape (p,), optional
        Positive divisors of the columns of X.
    """

    def __init__(
        self, design: DeviceDesign, Y: Array, root: Array | None, basis: Array, scale: Array | None = None
    ) -> None:
        self._design, self._gpu, self._xp = design, design.gpu, design.gpu.xp
        self._Y, self._basis = design.up(Y), design.up(basis)
        self._root = None if root is None else design.up(root)
        self._scale = None if scale is None else scale[:, None]
        self._divisor = None if scale is None else design.up(self._scale)

    def hold(self, form: Lowered) -> None:
        """Take the blocks that scores are asked about."""
        xp, ones = self._xp, np.ones_like(form.l2)
        self._order = None if form.order is None else xp.asarray(form.order)
        # Gauges times bounds: like norms, nothing that the strength of a penalty changes.
        self._bounds = (
            self._design.up(np.where(np.isinf(form.bounds), 0.0, form.bounds)) if form.l1.any() else None
        )
        strengths = xp.asarray(form.l1), xp.asarray(ones if self._bounds is None else form.l2)
        self._shrink = BlockShrink(xp.asarray(form.ptr), *strengths, xp.asarray(0.0 * ones), form.positive)

    def look(
        self, coef: Array, rows: Array, intercept: Array | None, unit: float, wanted: Array, *, peaks: bool
    ) -> Look | None:
        """Residual and scores of coefficients (s, t) on features `rows`, in one read-back of O(p).

        Parameters
        ----------
        coef, rows, intercept : ndarray
            The coefficients (s, t), their features (s,), intercepts (t,) or None.
        unit : float
            Factor on the scores.
        wanted : ndarray of int
            Features whose scores come home at once.
        peaks : bool
            Whether the largest score of every feature comes home too.

        Returns
        -------
        Look or None
            None when a number is not finite: X, or the device, is to be looked at more closely.
        """
        xp, t = self._xp, self._Y.shape[1]
        fitted = self._Y
        if coef.any():
            coef = coef if self._scale is None else coef / self._scale[rows]
            fitted = fitted - self._design.predict_there(self._design.up(coef), rows)
        if intercept is not None:
            fitted = fitted - self._design.up(intercept)
        residual = self._weighted(fitted)
        direction = self._off(self._off(residual))
        scores = self._design.correlate_there(self._weighted(direction))
        scores *= unit
        if self._divisor is not None:
            scores /= self._divisor
        cross = (direction * self._weighted(self._Y)).sum()
        parts = [xp.stack([(residual * residual).sum(), cross, (direction * direction).sum()])]
        parts += [self._norms(scores), scores[xp.asarray(wanted)].ravel()]
        parts += [xp.abs(scores).max(axis=1)] if peaks else []
        home = xp.concatenate(parts).get()
        if not np.isfinite(home).all():
            return None
        loss, cross, square = home[:3].tolist()
        norms, chosen, rest = np.split(home[3:], np.cumsum([len(self._shrink.l2), len(wanted) * t]))
        distant = Distant(xp, scores, (wanted, chosen.reshape(-1, t)), rest if peaks else None)
        return Look(loss, cross, square, norms, distant, Distant(xp, direction))

    def _weighted(self, A: Any) -> Any:
        return A if self._root is None else self._root * A

    def _off(self, A: Any) -> Any:
        return A - self._basis @ (self._basis.T @ A) if self._basis.shape[1] else A

    def _norms(self, scores: Any) -> Any:
        """Norms (B,) of the blocks of the scores, as `Lowered.bounds` are for."""
        scores = scores if self._order is None else scores[self._order]
        if self._bounds is None:
            return self._gpu.block_scores(scores, self._shrink)
        return self._bounds * self._gpu.block_gauges(scores, self._shrink)
