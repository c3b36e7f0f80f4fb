"""Trace norm: multi-task models of low rank."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays import Array
from .._settings import check_number
from ._base import Penalty, check_alpha, round_up

EPS = float(np.finfo(np.float64).eps)
DEFLATE = 1e-4
"""Singular values above this share of the largest are read off the Gram matrix: their error is eps s_1^2 / s, at most
1e-12 of the largest. The rest is projected out and squared again on its own scale."""


@dataclass(frozen=True)
class Trace(Penalty):
    """Trace (nuclear) norm, with an optional ridge.

        alpha |W|_* + ridge/2 |W|_F^2,     |W|_* = sum of the singular values of W

    Prox: soft-threshold the singular values by `step alpha`, divide by `1 + step ridge`. Dual norm: the largest
    singular value; conjugate `|(s(V) - alpha)_+|^2 / (2 ridge)`, without ridge 0 or inf.

    Since `|W|_* = min (|U|_F^2 + |V|_F^2) / 2` over W = U V', this is also a linear network with one hidden layer
    and weight decay on both layers.

    Parameters
    ----------
    alpha : float, optional
        Strength, >= 0; left out, the door supplies it.
    ridge : float
        Coefficient of the ridge, >= 0; not multiplied by alpha.

    Raises
    ------
    ValueError, TypeError
        A setting outside its range.

    References
    ----------
    Fazel, Hindi, Boyd (2001), "A rank minimization heuristic"; Argyriou, Evgeniou, Pontil (2008), "Convex multi-task
    feature learning"; Cai, Candes, Shen (2010), "A singular value thresholding algorithm", Theorem 2.1.
    """

    ridge: float = 0.0

    name = "trace"

    def __init__(self, alpha: float | None = None, *, ridge: float = 0.0) -> None:
        object.__setattr__(self, "alpha", None if alpha is None else check_alpha(alpha))
        ridge = check_number(ridge, "ridge", "a finite number >= 0", lambda ridge: 0 <= ridge < math.inf)
        object.__setattr__(self, "ridge", ridge)

    def with_alpha(self, alpha: float) -> Any:
        return Trace(alpha, ridge=self.ridge)

    def value(self, W: Array) -> float:
        total = self._strength * float(singular_values(W).sum())
        return total + 0.5 * self.ridge * _square(W) if self.ridge else total

    def value_of_factors(self, U: Array, V: Array) -> float:
        """The penalty at `W = U V'` for U (p, k), V (t, k), from k x k matrices."""
        core = _triangle(U) @ _triangle(V).T
        total = self._strength * float(np.linalg.svd(core, compute_uv=False).sum())
        return total + 0.5 * self.ridge * _square(core) if self.ridge else total

    def prox(self, W: Array, step: float) -> Array:
        from fastmtl_kernels.cpu._spectral import singular_shrink

        U, s, Vt = singular_shrink(W, step * self._strength)
        return (U * (s / (1.0 + step * self.ridge))) @ Vt

    def conjugate(self, V: Array) -> float:
        if self.ridge:
            return self._ridge_conjugate(singular_values(V))
        return 0.0 if spectral_norm(V) <= self._strength else math.inf

    def _ridge_conjugate(self, values: Array) -> float:
        excess = np.maximum(values - self._strength, 0.0)
        return float(excess @ excess) / (2.0 * self.ridge)

    def dual_scale(self, V: Array) -> float:
        return math.inf if self.ridge else self.free_scale(V)

    def free_scale(self, V: Array, norms: Array | None = None) -> float:
        norm = spectral_norm(V)
        # The norm is an eigenvalue good to about t eps: step back by as much, so that the scaled point is feasible.
        return self._strength / norm * (1.0 - (8.0 + min(V.shape)) * EPS) if norm else math.inf

    def conjugate_along(self, V: Array, norms: Array | None = None) -> tuple[float, Callable[[float], float]]:
        limit = self.dual_scale(V)
        if self.ridge:
            values = singular_values(V)
            return limit, lambda a: self._ridge_conjugate(a * values)
        return limit, lambda a: 0.0 if a <= limit else math.inf

    def alpha_max(self, V: Array) -> float:
        return round_up(spectral_norm(V) * (1.0 + min(V.shape) * EPS))

    def free(self, p: int) -> Array:
        return np.full(p, not (self._strength or self.ridge))

    @property
    def is_rotation_invariant(self) -> bool:
        return True

    @property
    def _strength(self) -> float:
        return 1.0 if self.alpha is None else self.alpha

    def __str__(self) -> str:
        return f"trace(alpha={self.alpha}, ridge={self.ridge})" if self.ridge else super().__str__()


def singular_values(W: Array) -> Array:
    """Singular values of W (p, t), descending, to about 1e-12 of the largest, at the cost of a few Gram matrices.

    All inf where an entry is not finite.
    """
    W = np.asarray(W, dtype=np.float64)
    if not np.isfinite(W).all():
        return np.full(min(W.shape), math.inf)
    W = W.T if W.shape[0] < W.shape[1] else W
    exponent = _exponent(W)
    rest, found = np.ldexp(W, -exponent), []
    scale = 0.0
    while rest.shape[1]:
        squares, V = np.linalg.eigh(rest.T @ rest)
        top = max(squares[-1], 0.0)
        scale = max(scale, math.sqrt(top))
        keep = squares >= DEFLATE**2 * top
        if math.sqrt(top) <= EPS * scale:
            # Nothing but rounding is left.
            found.append(np.sqrt(np.maximum(squares, 0.0)))
            break
        found.append(np.sqrt(squares[keep]))
        rest = rest @ V[:, ~keep]
    values = np.concatenate([np.empty(0), *found])
    return np.ldexp(np.sort(values)[::-1], exponent)


def spectral_norm(V: Array) -> float:
    """Largest singular value of V (p, t), to full precision, through the smaller Gram matrix; inf where none is finite."""
    V = np.asarray(V, dtype=np.float64)
    exponent = _exponent(V)
    V = np.ldexp(V, -exponent) if exponent else V
    gram = V.T @ V if V.shape[0] >= V.shape[1] else V @ V.T
    if not np.isfinite(gram).all():
        return math.inf
    return float(np.ldexp(math.sqrt(max(np.linalg.eigvalsh(gram)[-1], 0.0)), exponent))


def _exponent(W: Array) -> int:
    """A power of two that brings the largest entry near one when squares could over- or underflow, else zero."""
    peak = float(np.abs(W).max(initial=0.0))
    return 0 if 1e-100 < peak < 1e100 else math.frexp(peak)[1]  # 0 for zero, NaN and inf


def _square(W: Array) -> float:
    return float(np.vdot(W, W))


def _triangle(U: Array) -> Array:
    """R (k, k) of a QR factorisation of U (p, k)."""
    return np.linalg.qr(np.asarray(U, dtype=np.float64), mode="r")
