"""The Newton system of the trace norm in the right factor, with the left factor eliminated exactly."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..._arrays import Array
from .model import Factor, Model, orthogonalise, squared_lengths

NEAR_FLOOR = 0.02
"""Least share of its curvature that the preconditioner grants a direction about to enter the support."""


class Iterate(NamedTuple):
    """A right factor with orthogonal columns and the left factor that is optimal for it.

    V (t, k), BV = B V (q, k), scales (k,) = squared column lengths of V, `factor` of `s_j T + alpha`,
    A (q, k) its solution for BV, value = phi(V) up to the constant `|Y~|^2 / 2`.
    """

    V: Array
    BV: Array
    scales: Array
    factor: Factor
    A: Array
    value: float


class Near(NamedTuple):
    """Right singular vectors (t, m) of the gradient just below alpha, squared singular values and curvatures (m,)."""

    directions: Array
    squares: Array
    curvatures: Array


def evaluate(model: Model, alpha: float, V: Array, BV: Array, scales: Array) -> Iterate:
    """Eliminate the left factor: `(s_j (T + ridge) + alpha) a_j = (B V)_j`, and the value it gives."""
    factor = model.factor(scales, alpha)
    A = model.solve(factor, BV)
    return Iterate(V, BV, scales, factor, A, _value(model, alpha, V, BV, A))


def alternate(model: Model, alpha: float, V: Array) -> Array:
    """One sweep of alternating least squares: the right factor that is optimal for the left factor optimal for V.

    Columns are orthogonal again; few vanish in a sweep, so that Newton's method meets the support it will need.
    """
    A = evaluate(model, alpha, V, model.target @ V, squared_lengths(V)).A
    EA = model.metric(A)
    K, right = EA.T @ model.multiply(A), model.target.T @ EA
    if model.price is None:
        right = np.linalg.solve(K + alpha * np.eye(len(K)), right.T).T
    else:
        curvatures, P = np.linalg.eigh(K)
        right = (right @ P) / (curvatures + alpha * model.price[:, None]) @ P.T
    return np.ascontiguousarray(orthogonalise(right)[0])


def select(model: Model, alpha: float, iterate: Iterate, columns: Array) -> Iterate:
    """The iterate with only the given columns; the others decouple because V is orthogonal."""
    V, BV, A = (np.ascontiguousarray(M[:, columns]) for M in (iterate.V, iterate.BV, iterate.A))
    factor = Factor(*(np.ascontiguousarray(M) for M in iterate.factor.keep(columns)))
    return Iterate(V, BV, iterate.scales[columns], factor, A, _value(model, alpha, V, BV, A))


def _value(model: Model, alpha: float, V: Array, BV: Array, A: Array) -> float:
    return float(-0.5 * np.vdot(BV, model.metric(A)) + 0.5 * alpha * model.pricing(V).sum())


class NewtonSystem:
    """Gradient, Hessian and preconditioner of `phi(Omega)`, Omega = V V', in the coordinates P of `V + P`.

    phi is the objective minimised over the left factor; it is convex in Omega. The Hessian used is that of
    phi(Omega): the second derivative in V less the gradient term on span(V), so that it is positive
    semi-definite there and directions that leave Omega unchanged are exactly null.
    """

    def __init__(self, model: Model, alpha: float, iterate: Iterate, near: Near | None = None) -> None:
        self.model, self.alpha, self.iterate = model, alpha, iterate
        V, s, A = iterate.V, iterate.scales, iterate.A
        self.TA = model.multiply(A)
        EA = model.metric(A)
        self.ETA = model.metric(self.TA)
        self.K = EA.T @ self.TA
        self.gradient = V @ self.K - model.target.T @ EA + alpha * model.priced(V)
        price = 1.0 if model.price is None else float(model.price.mean())
        self.relative = float(np.linalg.norm(self.gradient) / (alpha * price * np.sqrt(s.sum())))
        self._sizes = squared_lengths(A, EA)
        self._near = near if near is not None and near.squares.size and model.price is None else None
        self._prepared = False

    def prepare(self) -> None:
        """Work that only a Newton step needs, not the test of convergence."""
        model, alpha = self.model, self.alpha
        V, s = self.iterate.V, self.iterate.scales
        self._roots = np.sqrt(s)
        self._basis = V / self._roots
        self._complete = V.shape[0] == V.shape[1]
        if not self._complete:
            self._both = np.hstack((V, self.gradient))
            self._overlap = self.gradient.T @ V
        if model.price is None:
            self._K = self.K + alpha * np.eye(len(s))
            self._inverse = np.linalg.inv(self._K)
        else:
            self._K = self.K
            self._eigenvalues, self._eigenvectors = np.linalg.eigh(self.K)
        # In-range curvature of the pair (l, j): rank one along e = (sqrt s_j, sqrt s_l) / sqrt(s_l + s_j).
        d = np.diag(self.K) / self._sizes
        damped = d / (d * s[:, None] + alpha)
        weight = alpha * (self._sizes / s) * damped
        self._pair = 1.0 / ((weight + weight.T) * (s[:, None] + s) ** 2)
        if self._near is not None:
            self._prepare_near(self._near)

    def _prepare_near(self, near: Near) -> None:
        """Curvature left to directions near the threshold: their own less what the left factor takes back."""
        full = np.diag(self._K)
        taken = near.squares[:, None] / (near.curvatures[:, None] * self.iterate.scales + self.alpha)
        self._lift = np.sqrt(full / np.maximum(full - taken, NEAR_FLOOR * full))
        self._outside = near.directions - self._basis @ (self._basis.T @ near.directions)

    def multiply(self, P: Array, BP: Array) -> Array:
        """Hessian times P (t, k), given `BP = B P`."""
        model, s = self.model, self.iterate.scales
        V = self.iterate.V
        k = len(s)
        products = (V if self._complete else self._both).T @ P
        inner = products[:k]
        dA = model.solve(self.iterate.factor, BP - self.TA @ (inner + inner.T))
        M1 = dA.T @ self.ETA
        M = inner / s[:, None]
        back = M1 + M1.T
        if not self._complete:
            # g'(P - V M), which is zero when V spans everything.
            back -= (products[k:] - self._overlap @ M) / s[:, None]
        out = P @ self._K + V @ back - self.gradient @ M - model.target.T @ model.metric(dA)
        return out if model.price is None else out + self.alpha * model.priced(P)

    def precondition(self, r: Array) -> Array:
        """Approximate inverse: exact pairwise curvature on span(V), `(K + alpha D)^-1` beside it."""
        inside = self._basis.T @ r
        roots = self._roots
        mixed = (inside * roots + (inside * roots).T) * self._pair * roots
        if self.model.price is not None:
            z = (r - self._basis @ inside) @ self._eigenvectors
            z /= self._eigenvalues + self.alpha * self.model.price[:, None]
            z = z @ self._eigenvectors.T
            return z + self._basis @ (mixed - self._basis.T @ z)
        z = r @ self._inverse + self._basis @ (mixed - inside @ self._inverse)
        if self._near is not None:
            q = self._outside.T @ r
            z += self._outside @ (self._lift * ((self._lift * q) @ self._inverse) - q @ self._inverse)
        return z
