"""The reduced problem: trace-norm regression in coordinates where the Gram matrix is tridiagonal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..._arrays import Array


class Factor(NamedTuple):
    """LDL' of `s_j (T + ridge) + alpha` for every column j: inverse pivots and multipliers, both (q, k)."""

    pivots: Array
    multipliers: Array

    def keep(self, columns: Array) -> Factor:
        """The factors of some of the columns."""
        return Factor(self.pivots[:, columns], self.multipliers[:, columns])


@dataclass(frozen=True)
class Model:
    """`1/2 |Y~ - X~ W|^2 + ridge/2 |W|^2 + alpha |W D^{1/2}|_*` for W = U V', seen through its small matrices.

    Every formula of the solver is written with the tridiagonal T, the metric E and the target B:
    `U = Q A`, E = I when T is the Gram matrix `X~'X~ = Q T Q'` (feature side), `U = X~'Q A`, E = T when it is
    the kernel `X~X~' = Q T Q'` (sample side). Then `|U|^2 = <A, E A>` and `<U, X~'Y~ V> = <E A, B V>`.

    Attributes
    ----------
    kernels : module
        `tridiagonal_factor`, `tridiagonal_solve`, `tridiagonal_multiply` of a kernel module.
    diagonal, off : ndarray of shape (q,), (q - 1,)
        T, positive semi-definite.
    target : ndarray of shape (q, t), C order
        B: `Q'X~'Y~` on the feature side, `Q'Y~` on the sample side.
    total : float
        `|Y~|^2`.
    ridge : float
        Coefficient of `|W|^2 / 2`; T + ridge stands wherever T stood, but in the metric.
    on_samples : bool
        Which side was reduced.
    price : ndarray of shape (t,) or None
        Diagonal of D, the reciprocal task weights (tasks were multiplied by the root of theirs); None: all one.
        Excludes a ridge, which the substitution would make task-dependent.
    noise : float
        Error of T relative to its largest entry.
    """

    kernels: Any
    diagonal: Array
    off: Array
    target: Array
    total: float
    ridge: float = 0.0
    on_samples: bool = False
    price: Array | None = None
    noise: float = 1e-13

    @property
    def size(self) -> int:
        """Order q of T."""
        return len(self.diagonal)

    @property
    def tasks(self) -> int:
        """Number of columns t of the target."""
        return self.target.shape[1]

    def multiply(self, A: Array) -> Array:
        """`(T + ridge) A`."""
        return self.kernels.tridiagonal_multiply(self.diagonal + self.ridge, self.off, A)

    def metric(self, A: Array) -> Array:
        """`E A`; the array itself on the feature side."""
        return self.kernels.tridiagonal_multiply(self.diagonal, self.off, A) if self.on_samples else A

    def factor(self, scales: Array, shift: float) -> Factor:
        """Factor `scales_j (T + ridge) + shift` for every j."""
        return Factor(*self.kernels.tridiagonal_factor(self.diagonal + self.ridge, self.off, scales, shift))

    def solve(self, factor: Factor, B: Array) -> Array:
        """Solve the factored systems, column j with system j."""
        return self.kernels.tridiagonal_solve(factor.pivots, factor.multipliers, B)

    def priced(self, V: Array) -> Array:
        """`D V` for V (t, k)."""
        return V if self.price is None else V * self.price[:, None]

    def pricing(self, V: Array) -> Array:
        """`v_j' D v_j` for every column."""
        return np.einsum("ij,ij->j", V, self.priced(V))

    def to_task_units(self, V: Array) -> Array:
        """`D^{1/2} V`: right factors, or right singular vectors, in the units of the tasks as they came."""
        return V if self.price is None else V * np.sqrt(self.price)[:, None]

    def from_task_units(self, V: Array) -> Array:
        """`D^{-1/2} V`."""
        return V if self.price is None else V / np.sqrt(self.price)[:, None]

    def gradient_gram(self, R: Array) -> Array:
        """`Theta' Theta` (t, t) for the negative gradient Theta that belongs to the reduced residual R, task units."""
        R = self.task_units_of_columns(R)
        return R.T @ self.metric(R)

    def task_units_of_columns(self, R: Array) -> Array:
        """`R D^{-1/2}`: reduced residuals, hence gradients, in the units of the tasks as they came."""
        return R if self.price is None else R / np.sqrt(self.price)


def squared_lengths(A: Array, B: Array | None = None) -> Array:
    """`a_j' b_j` for every column (B defaults to A)."""
    return np.einsum("ij,ij->j", A, A if B is None else B)


def orthogonalise(V: Array) -> tuple[Array, Array]:
    """Rotate the columns of V so that `V'V = diag(s)`; returns V P, s with null columns left out."""
    scales, P = np.linalg.eigh(V.T @ V)
    keep = scales > 1e-18 * max(scales[-1], np.finfo(float).tiny) if len(scales) else np.zeros(0, bool)
    V = V @ P[:, keep]
    return V, squared_lengths(V)
