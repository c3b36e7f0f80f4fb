"""Second-order finish for block norms: Newton on the norms of the active blocks.

With `|w| = min_eta (|w|^2 / eta + eta) / 2` the problem on the active rows becomes smooth in the block norms alone,

    phi(eta) = 1/2 ( |Y|^2 - <Q, W(eta)> ) + 1/2 sum_b l2_b eta_b,   W(eta) = (G + diag(l2 / eta))^{-1} Q,

convex in one variable a block whatever the number of tasks. With `Z = W l2 / eta` its gradient is
`(l2 - |Z_b|^2 / l2) / 2` and its Hessian the block sums of `(K o Z Z') / (l2 l2')`,
`K = diag(l2/eta) - diag(l2/eta) (G + diag(l2/eta))^{-1} diag(l2/eta)`. Tasks with Gram matrices of their own add up to it.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np

from fastmtl_kernels._interface import BlockShrink, Quadratic

from .._arrays import Array

LARGEST = 2000
"""Active rows beyond which a cubic step no longer competes with sweeps."""
STEPS = 20
LAST = 0.02
"""Twice the share of the tolerance that the last step may promise: what it leaves is of a smaller order."""
STEP = 8e5
"""Flops of a factorisation in the time that a step takes however small it is."""


def newton_applies(shrink: BlockShrink) -> bool:
    """Whether the penalty is a sum of block norms (with ridges), free in sign."""
    return not shrink.positive and not shrink.l1.any() and bool((shrink.l2 > 0).all())


def newton_cost(active: int, t: int) -> float:
    """Flops of a typical run of three steps on one Gram matrix; infinite where it should not be tried."""
    return 3.0 * (STEP + 2.0 * active**3 + 4.0 * active * active * t) if 0 < active <= LARGEST else np.inf


def row_newton(quadratic: Quadratic, shrink: BlockShrink, tol: float = 0.0) -> Array:
    """Coefficients (s, t) that minimise the compact problem over the blocks active now, some of them dropped.

    The Newton loop ends with a step that promises a hundredth of `tol` (absolute) at most, when every `|Z_b|` equals `l2_b` to
    1e-10, or when a step no longer descends.
    """
    out = np.zeros_like(quadratic.coef)
    norms = np.sqrt(np.add.reduceat(np.einsum("ij,ij->i", quadratic.coef, quadratic.coef), shrink.ptr[:-1]))
    blocks = np.flatnonzero(norms > 0)
    if not len(blocks):
        return out
    state = _Active(quadratic, shrink, blocks).at(norms[blocks])
    if np.isinf(state.value):
        return quadratic.coef.copy()  # rounding has left a Gram matrix indefinite
    for _ in range(STEPS):
        Z, size = state.subgradient()
        gradient = 0.5 * (state.l2 - size * size / state.l2)
        if np.abs(size - state.l2).max() <= 1e-10 * state.l2.max():
            break
        direction = state.newton_direction(Z, gradient)
        found = None if direction is None else _line_search(state, gradient, direction)
        if direction is None or found is None:
            break
        state = found
        if -float(gradient @ direction) <= LAST * tol:
            break
    out[state.rows] = state.W
    return out


def _line_search(state: _Active, gradient: Array, direction: Array) -> _Active | None:
    """Backtrack along the projected step; blocks that reach zero are dropped."""
    eta, step = state.eta, 1.0
    for _ in range(20):
        trial = np.maximum(eta + step * direction, 0.0)
        keep = trial > 1e-13 * eta.max()
        step *= 0.5
        if keep.any():
            new = state.kept(keep).at(trial[keep])
            slope = float(gradient @ (trial - eta))
            if new.value <= state.value + 1e-4 * slope + 1e-15 * abs(state.value):
                return new
    return None


class _Active:
    """The restricted problem on some blocks, factored at given norms."""

    def __init__(self, quadratic: Quadratic, shrink: BlockShrink, blocks: Array) -> None:
        self.rows = blocks
        if len(shrink.l2) < len(shrink.l1):
            self.rows = np.concatenate([np.arange(shrink.ptr[b], shrink.ptr[b + 1]) for b in blocks])
        self._lay_out(np.diff(shrink.ptr)[blocks])
        ridge = np.repeat(shrink.ridge[blocks], self.sizes)
        self.systems: list[tuple[Array, slice]] = []
        for scale, gram, columns in _systems(quadratic):
            G = gram[np.ix_(self.rows, self.rows)]
            G *= scale
            _diagonal(G)[...] += ridge
            self.systems.append((G, columns))
        self.Q = np.ascontiguousarray(quadratic.linear[self.rows])
        self.l2 = shrink.l2[blocks]
        self.constant = quadratic.constant

    def _lay_out(self, sizes: Array) -> None:
        self.sizes = sizes
        self.starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])

    def kept(self, keep: Array) -> _Active:
        """The problem on the blocks marked in `keep`, yet to be factored."""
        new = copy(self)
        if not keep.all():
            rows = np.repeat(keep, self.sizes)
            new._lay_out(self.sizes[keep])
            new.systems = [(G[np.ix_(rows, rows)], columns) for G, columns in self.systems]
            new.rows, new.Q, new.l2 = self.rows[rows], self.Q[rows], self.l2[keep]
        return new

    def at(self, eta: Array) -> _Active:
        """Factor `I + D^(1/2) G D^(1/2)` with D = diag(eta / l2)."""
        lapack = _lapack()

        self.eta, self.root = eta, np.repeat(np.sqrt(eta / self.l2), self.sizes)
        self.W, self.factors = np.zeros_like(self.Q), []
        for G, columns in self.systems:
            B = self.root[:, None] * G * self.root
            _diagonal(B)[...] += 1.0
            factor, info = lapack.dpotrf(B, lower=1, clean=0, overwrite_a=1)
            if info != 0:
                self.value = np.inf
                return self
            self.W[:, columns] = lapack.dpotrs(factor, self.root[:, None] * self.Q[:, columns], lower=1)[0]
            self.factors.append(factor)
        self.W *= self.root[:, None]
        self.value = self.constant - 0.5 * float(np.vdot(self.Q, self.W)) + 0.5 * float(self.l2 @ eta)
        return self

    def subgradient(self) -> tuple[Array, Array]:
        """Z (rows, t) and its block norms."""
        Z = self.W / (self.root**2)[:, None]
        return Z, np.sqrt(np.add.reduceat(np.einsum("ij,ij->i", Z, Z), self.starts))

    def newton_direction(self, Z: Array, gradient: Array) -> Array | None:
        """Solve the Newton system; None when it cannot be factored. The factors are used up."""
        lapack = _lapack()

        H: Any = 0.0
        for factor, (_, columns) in zip(self.factors, self.systems, strict=True):
            K, info = lapack.dpotri(factor, lower=1, overwrite_c=1)
            if info != 0:
                return None
            # Only the lower triangle is read, here and below.
            np.negative(K, out=K)
            _diagonal(K)[...] += 1.0
            K *= Z[:, columns] @ Z[:, columns].T
            H = K if len(self.systems) == 1 else H + K
        H /= self.root[:, None]
        H /= self.root
        if len(self.starts) < len(H):
            H = np.tril(H) + np.tril(H, -1).T
            H = np.add.reduceat(np.add.reduceat(H, self.starts, axis=0), self.starts, axis=1)
        H /= self.l2[:, None]
        H /= self.l2
        for shift in (1e-10, 1e-6):
            shifted = H.copy()
            _diagonal(shifted)[...] *= 1.0 + shift
            _diagonal(shifted)[...] += shift * 1e-3 * H.trace() / len(H)
            c, info = lapack.dpotrf(shifted, lower=1, overwrite_a=1)
            if info == 0:
                return -lapack.dpotrs(c, gradient, lower=1)[0]
        return None


def _systems(quadratic: Quadratic) -> list[tuple[float, Array, slice]]:
    """Factor, Gram matrix and columns of the tasks, taken together where they share both."""
    scale, grams = quadratic.scale, quadratic.gram
    if len(grams) == 1 and (scale == scale[0]).all():
        return [(float(scale[0]), grams[0], slice(0, len(scale)))]
    return [(float(scale[c]), grams[c % len(grams)], slice(c, c + 1)) for c in range(len(scale))]


def _diagonal(A: Array) -> Array:
    """The diagonal of A as a view to write to."""
    return np.einsum("ii->i", A)


def _lapack() -> Any:
    """SciPy's LAPACK routines; their names are made at run time, which a type checker cannot see."""
    from scipy.linalg import lapack

    return lapack
