"""Second-order finish for block norms: Newton on the norms of the active blocks.

With `|w| = min_eta (|w|^2 / eta + eta) / 2` the problem on the active rows becomes smooth in the block norms alone,

    phi(eta) = 1/2 ( |Y|^2 - <Q, W(eta)> ) + 1/2 sum_b l2_b eta_b,   W(eta) = (G + diag(l2 / eta))^{-1} Q,

convex in one variable a block whatever the number of tasks. With `Z = W l2 / eta` its gradient is
`(l2 - |Z_b|^2 / l2) / 2` and its Hessian the block sums of `(K o Z Z') / (l2 l2')`,
`K = diag(l2/eta) - diag(l2/eta) (G + diag(l2/eta))^{-1} diag(l2/eta)`. Tasks with Gram matrices of their own add up to it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmtl_kernels._interface import BlockShrink, Quadratic

from .._arrays import Array

LARGEST = 2000
"""Active rows beyond which a cubic step no longer competes with sweeps."""
STEPS = 20
STEP = 8e5
"""Flops of a factorisation in the time that a step takes however small it is."""


def newton_applies(shrink: BlockShrink) -> bool:
    """Whether the penalty is a sum of block norms (with ridges), free in sign."""
    return not shrink.positive and not shrink.l1.any() and bool((shrink.l2 > 0).all())


def newton_cost(active: int, t: int) -> float:
    """Flops of a typical run of half a dozen steps on one Gram matrix; infinite where it should not be tried."""
    return 6.0 * (STEP + 2.0 * active**3 + 4.0 * active * active * t) if 0 < active <= LARGEST else np.inf


def row_newton(quadratic: Quadratic, shrink: BlockShrink) -> Array:
    """Coefficients (s, t) that minimise the compact problem over the blocks active now, some of them dropped.

    The Newton loop ends when every `|Z_b|` equals `l2_b` to 1e-10, or when a step no longer descends.
    """
    out = np.zeros_like(quadratic.coef)
    sizes = np.diff(shrink.ptr)
    norms = np.sqrt(np.add.reduceat(np.einsum("ij,ij->i", quadratic.coef, quadratic.coef), shrink.ptr[:-1]))
    blocks = np.flatnonzero(norms > 0)
    eta, state, gradient = norms[blocks], None, np.empty(0)
    for _ in range(STEPS):
        if state is None:
            state = _Active(quadratic, shrink, blocks, sizes).at(eta)
            if np.isinf(state.value):
                return quadratic.coef.copy()  # rounding has left a Gram matrix indefinite
        Z, size = state.subgradient()
        l2 = shrink.l2[blocks]
        gradient = 0.5 * (l2 - size * size / l2)
        if np.abs(size - l2).max(initial=0.0) <= 1e-10 * l2.max(initial=0.0):
            break
        direction = state.newton_direction(Z, l2, gradient)
        if direction is None:
            break
        found = _line_search(quadratic, shrink, blocks, sizes, eta, state, gradient, direction)
        if found is None:
            break
        blocks, eta, state = found
        if not len(blocks):
            break
    if state is not None and len(blocks):
        out[state.rows] = state.W
    return out


def _line_search(
    quadratic: Quadratic,
    shrink: BlockShrink,
    blocks: Array,
    sizes: Array,
    eta: Array,
    state: _Active,
    gradient: Array,
    direction: Array,
) -> tuple[Array, Array, _Active] | None:
    """Backtrack along the projected step; blocks that reach zero are dropped."""
    step = 1.0
    for _ in range(20):
        trial = np.maximum(eta + step * direction, 0.0)
        keep = trial > 1e-13 * eta.max()
        if not keep.any():
            step *= 0.5
            continue
        new = _Active(quadratic, shrink, blocks[keep], sizes).at(trial[keep])
        if new.value <= state.value + 1e-4 * float(gradient @ (trial - eta)) + 1e-15 * abs(state.value):
            return blocks[keep], trial[keep], new
        step *= 0.5
    return None


class _Active:
    """The restricted problem on some blocks, factored at given norms."""

    def __init__(self, quadratic: Quadratic, shrink: BlockShrink, blocks: Array, sizes: Array) -> None:
        self.rows = blocks
        if len(shrink.l2) < len(shrink.l1):
            self.rows = np.concatenate([np.arange(shrink.ptr[b], shrink.ptr[b + 1]) for b in blocks])
        self.sizes = sizes[blocks]
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])
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

    def at(self, eta: Array) -> _Active:
        """Factor `I + D^(1/2) G D^(1/2)` with D = diag(eta / l2)."""
        lapack = _lapack()

        self.root = np.repeat(np.sqrt(eta / self.l2), self.sizes)
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

    def newton_direction(self, Z: Array, l2: Array, gradient: Array) -> Array | None:
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
        H /= l2[:, None]
        H /= l2
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
