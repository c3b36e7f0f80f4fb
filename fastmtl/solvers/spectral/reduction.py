"""Exact reduction of a data set to the tridiagonal model, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._arrays import Array
from ...problem import Problem
from ._eigen import Reflectors, tridiagonalise
from .data import Data, correlate_centred, squared_norm
from .model import Model
from .polar import Bound, solve_normal
from .reduced import Reduced

SINGLE_WORK = 4e8
"""n p min(n, p) from which halving the cost of the square matrix and of its tridiagonal form by float32 repays one more look at
the data at the rank of the solution."""
SINGLE_NOISE = 1e-6
DOUBLE_NOISE = 1e-13
"""Size of the errors in T relative to its largest entry: below it, a diagonal shift changes nothing that is known."""
SKINNY = 8
"""Columns whose product with X takes no longer than reading X."""


@dataclass(frozen=True)
class Factors:
    """Coefficients `coef = U V'`, U (p, k), V (t, k), with intercept (t,)."""

    U: Array
    V: Array
    intercept: Array


@dataclass(frozen=True)
class Reduction:
    """A data set, its tridiagonal model, and the rotation between them.

    Attributes
    ----------
    data : Data
    model : Model
    reflectors : Reflectors
        Q.
    x_mean, y_mean : ndarray of shape (p,), (t,), or None
    task_basis : ndarray of shape (t, r) or None
        Orthonormal basis of the row space of Y that the model's tasks are coordinates in; None: the tasks themselves.
    single : bool
        Whether T comes from a float32 Gram matrix (the target never does).
    correlation : ndarray of shape (p, t) or (p, r), or None
        `X~'Y~` in the data's units, tasks as in the model; None on the sample side, which has no use for it.
    x_unit, y_unit : float
        Powers of two that the model's X~ and Y~ were divided by, so that no product of small matrices overflows
        whatever units the data are in.
    """

    data: Data
    model: Model
    reflectors: Reflectors
    x_mean: Array | None
    y_mean: Array | None
    task_basis: Array | None
    single: bool
    correlation: Array | None
    x_unit: float
    y_unit: float

    @property
    def worth(self) -> float:
        """P(0) in the model's units."""
        return 0.5 * self.model.total

    @property
    def moment(self) -> float:
        """`|X~|^2`, the squared Frobenius norm, in the data's units."""
        return float(self.model.diagonal.sum()) * self.x_unit**2

    def to_model(self, alpha: float) -> float:
        """A strength in the model's units."""
        return alpha / self.x_unit / self.y_unit

    def alpha_max(self) -> float:
        """Smallest strength at which the model's solution is zero, in the data's units."""
        gram = self.model.gradient_gram(self.model.target)
        return float(np.sqrt(max(np.linalg.eigvalsh(gram)[-1], 0.0))) * self.x_unit * self.y_unit

    def factors(self, A: Array, V: Array) -> Factors:
        """Coefficients of the reduced factors."""
        U = self.lift(A)
        V = self.model.to_task_units(V)
        if self.task_basis is not None:
            V = self.task_basis @ V
        intercept = np.zeros(len(V)) if self.y_mean is None else self.y_mean - V @ (self.x_mean @ U)
        return Factors(U, V, intercept)

    def lift(self, A: Array) -> Array:
        """`Q A` on the feature side, `X~' Q A` on the sample side: (p, k)."""
        rotated = self.reflectors.unrotate(A) * (self.y_unit / self.x_unit)
        if not self.model.on_samples:
            return rotated
        rotated /= self.x_unit
        rows = self.data.weighted(rotated, 0.5)
        U = self.data.design.correlate(rows)
        return U if self.x_mean is None else U - np.outer(self.x_mean, rows.sum(axis=0))

    def dual_point(self, residual: Array, found: Bound) -> Array:
        """The dual point theta (n, t) of a certificate, given the residual (n, t) of the lifted coefficients."""
        if found.correction is None:
            return found.scale * residual
        S, H = found.correction
        if self.task_basis is not None:
            H = self.task_basis @ H
        if self.data.task_weight is not None:
            H = H / self.data.task_weight[:, None]
        rotated = self.reflectors.unrotate(S)
        rotated *= self.y_unit
        if self.model.on_samples:
            root = np.sqrt(self.data.weights)[:, None]
            moved = np.divide(rotated, root, out=np.zeros_like(rotated), where=root > 0)
        else:
            moved = self.data.design.predict(rotated / self.x_unit)
            if self.x_mean is not None:
                moved -= self.x_mean @ (rotated / self.x_unit)
        theta = moved @ H.T
        return np.subtract(residual, theta, out=theta)

    def fitted(self, U: Array) -> Array:
        """`X~ U` (n, k) from the data; a common weight is left out, as in `Problem`."""
        out = self.data.design.predict(U)
        if self.x_mean is not None:
            out -= self.x_mean @ U
        return out if np.ndim(self.data.omega) == 0 else self.data.weighted(out, 0.5)

    def correlated(self, R: Array) -> Array:
        """`X~' R` (p, k) from the data for R as `fitted` gives it; a common weight comes in here."""
        if np.ndim(self.data.omega):
            R = self.data.weighted(R, 0.5)
        out = self.data.design.correlate(R)
        if self.x_mean is not None:
            out -= np.outer(self.x_mean, R.sum(axis=0))
        if np.ndim(self.data.omega) == 0:
            out *= self.data.omega
        return out

    def product(self, U: Array) -> Array:
        """`X~ U` (n, k) on the sample side, `(X~'X~ + ridge) U` (p, k) on the feature side, from the data."""
        fitted = self.fitted(U)
        if self.model.on_samples:
            return fitted
        return self.correlated(fitted) + self.model.ridge * self.x_unit**2 * U

    def defect(self, found: Reduced, product: Array) -> Array:
        """What `T A` lacks of the exact product, which `product` of the U lifted from A brings."""
        if self.model.on_samples:
            unit = 1.0 if np.ndim(self.data.omega) else np.sqrt(self.data.omega)
            exact = self.reflectors.rotate(product * (unit / self.y_unit)) + self.model.ridge * found.A
        else:
            exact = self.reflectors.rotate(product / (self.x_unit * self.y_unit))
        return exact - self.model.multiply(found.A)

    def lifted_correction(self, found: Reduced, theta: Array, H: Array, shrunk: Array) -> Array:
        """S (p, m) with `(X~'X~ + ridge) S` close to `theta shrunk`: as good as the model, and as the range of X~ allows."""
        model = self.model
        if not model.on_samples:
            E = self.reflectors.rotate(theta @ shrunk)
            return self.reflectors.unrotate(solve_normal(model, E)) / self.x_unit**2
        residual = model.target @ shrunk - model.multiply(found.A) @ (found.V.T @ shrunk)
        return self.lift(solve_normal(model, residual))

    def spare_steps(self, rank: int) -> int:
        """Conjugate steps that cost half of what correcting the dual point on the data does.

        On the feature side that takes two products of X and of Q with `rank` columns, worth at least `SKINNY` each, and
        eigenvectors and another Gram matrix of Theta; on the sample side none of the large products.
        """
        (n, p), q, t = self.data.design.shape, self.model.size, self.model.tasks
        if self.model.on_samples or not rank:
            return 0
        correction = 4.0 * (n * p + q * q) * (rank + SKINNY) + (2.0 * p + 4.0 * t) * t * t
        step = 8.0 * q * t * rank + 4.0 * q * rank**2 + 9.0 * t * rank**2
        return int(0.5 * correction / step)

    def to_kept_tasks(self, V: Array) -> Array:
        """Right factors (t, k) in the coordinates of the model's tasks."""
        return V if self.task_basis is None else self.task_basis.T @ V

    def from_kept_tasks(self, V: Array) -> Array:
        """The way back."""
        return V if self.task_basis is None else self.task_basis @ V

    def kept_target(self, problem: Problem) -> Array:
        """The problem's weighted, centred targets in the coordinates of the model's tasks."""
        return problem.target if self.task_basis is None else problem.target @ self.task_basis


def reduce(data: Data, kernels: Any, *, ridge: float = 0.0, single: bool | None = None) -> Reduction:
    """Reduce a data set on its cheaper side.

    Parameters
    ----------
    data : Data
    kernels : module
        A kernel module with the tridiagonal functions.
    ridge : float
    single : bool, optional
        Compute the square matrix in float32; default: where it pays.

    Notes
    -----
    One array of order q = min(n, p) is held: the Gram matrix is built, tridiagonalised and turned into reflectors in
    place (a float32 one is held beside its float64 reflectors for a moment).
    """
    n, p = data.design.shape
    on_samples = n < p
    if single is None:
        single = float(n) * p * min(n, p) >= SINGLE_WORK
    x_mean, y_mean = data.means()
    Y = (
        data.centred
        if data.centred is not None
        else data.targets
        if y_mean is None
        else data.targets - y_mean
    )
    if on_samples:
        S = data.design.inner_products(data.weights, x_mean, single=single)
        C = data.weighted(Y, 0.5)
    else:
        S = data.design.second_moments(data.weights, x_mean, single=single)
        C = correlate_centred(data, Y, x_mean)
    diagonal, off, reflectors = tridiagonalise(S)
    del S
    total = squared_norm(data, Y) if data.total is None else data.total
    x_unit, y_unit = _root_unit(float(diagonal.max())), _root_unit(total)
    if y_unit != 1.0:
        total = squared_norm(data, Y / y_unit)
    target, basis, price = reflectors.rotate(C), None, None
    target *= 1.0 / (y_unit if on_samples else x_unit * y_unit)
    if data.task_weight is not None:
        target *= np.sqrt(data.task_weight)
        price = 1.0 / data.task_weight
    else:
        target, basis = compress(target)
    correlation = None if on_samples or price is not None else C if basis is None else C @ basis
    diagonal, off = diagonal / x_unit**2, off / x_unit**2
    noise = SINGLE_NOISE if single else DOUBLE_NOISE
    model = Model(kernels, diagonal, off, target, total, ridge / x_unit**2, on_samples, price, noise)
    return Reduction(data, model, reflectors, x_mean, y_mean, basis, single, correlation, x_unit, y_unit)


def _root_unit(square: float) -> float:
    """A power of two near the root of `square`; one for ordinary magnitudes, so that ordinary data are not touched."""
    if square == 0.0 or 1e-20 < square < 1e20:
        return 1.0
    return float(2.0 ** (np.frexp(square)[1] // 2))


def compress(target: Array) -> tuple[Array, Array | None]:
    """Write B (q, t) as L O' with O (t, r) orthonormal when t > q: the trace norm does not see the rotation."""
    q, t = target.shape
    if t <= q:
        return target, None
    O, R = np.linalg.qr(target.T)
    return np.ascontiguousarray(R.T), O
