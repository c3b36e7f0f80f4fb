"""The two forms of a restricted problem: with a Gram matrix, or with the residual."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmtl_kernels._interface import BlockShrink, Quadratic

from .._arrays import Array
from .second_order import finish

FEW = 8
PANEL = 64
"""Rows of a sweep that meet the others in one product."""
GRAM_EPOCHS = 15
"""Epochs a restricted problem is expected to take when the two forms are compared."""


class GramForm:
    """Descent on `1/2 |Y - XW|^2 + penalty(W)` through G = X'X: an epoch does not depend on n."""

    has_second_order = True

    def __init__(
        self, kernels: Any, gram: Array, gradient: Array, coef: Array, constant: float, shrink: BlockShrink
    ) -> None:
        t = coef.shape[1]
        # Compiled sweeps of few tasks read whole columns.
        order = "F" if t < 8 else "C"
        linear = np.asarray(gradient + gram @ coef, order=order)
        gradient, coef = np.array(gradient, order=order), np.array(coef, order=order)
        self.quadratic = Quadratic(gram[None], np.ones(t), linear, gradient, coef, constant)
        self.kernels, self.shrink, self.constant = kernels, shrink, constant
        self.gap = np.inf
        self.epochs = 0

    @property
    def call_flops(self) -> float:
        """Flops of one product of a sweep."""
        return 2.0 * PANEL * self.coef.size

    def sq_lengths(self) -> Array:
        """Squared lengths (s,) of the columns."""
        return self.quadratic.gram[0].diagonal()

    @property
    def coef(self) -> Array:
        """W (s, t)."""
        return self.quadratic.coef

    def advance(self, tol: float, epochs: int) -> float:
        """Sweep at most `epochs` times; the duality gap reached."""
        done = self.kernels.sweep(self.quadratic, self.shrink, tol, epochs)
        self.epochs += done.epochs
        self.gap = done.gap
        return self.gap

    def epoch_cost(self, active: int) -> float:
        """Flops of an epoch, counted three times: in-cache sweeps run at a third of the speed of factorisations."""
        return 6.0 * len(self.coef) * (active + 2) * self.coef.shape[1]

    def active_cost(self, active: int) -> float:
        """Flops to set up a second-order step."""
        return 0.0

    def second_order(self, tol: float) -> Array:
        """W after a second-order finish on the blocks that are active now."""
        return finish(self.quadratic, self.shrink, tol)

    def state(self) -> tuple[Array, Array]:
        """Copies of W and of what follows it affinely."""
        return self.quadratic.coef.copy(), self.quadratic.gradient.copy()

    def value(self, coef: Array, gradient: Array) -> float:
        """The objective at a state."""
        q = self.quadratic
        square = 2.0 * q.constant - float(np.vdot(q.linear, coef)) - float(np.vdot(gradient, coef))
        return 0.5 * max(square, 0.0) + self.kernels.penalty_value(coef, self.shrink)

    def restore(self, coef: Array, gradient: Array) -> None:
        """Move to a state."""
        self.quadratic.coef[...], self.quadratic.gradient[...] = coef, gradient

    def follow(self, coef: Array) -> Array:
        """The negative gradient at other coefficients."""
        used = np.flatnonzero(coef.any(axis=1))
        return self.quadratic.linear - self.quadratic.gram[0][used].T @ coef[used]

    def without(self, rows: Array, coef: Array, gradient: Array) -> Array:
        """The negative gradient of a state once some rows of its coefficients are set to zero."""
        return gradient + self.quadratic.gram[0][rows].T @ coef[rows]


class ResidualForm:
    """Descent through the residual: nothing of size s x s, an epoch costs two products with the gathered columns."""

    def __init__(
        self, kernels: Any, data: Array, target: Array, residual: Array, coef: Array, shrink: BlockShrink
    ) -> None:
        self.kernels, self.shrink = kernels, shrink
        self.columns = kernels.prepare_columns(data, shrink, coef.shape[1])
        self._data = data
        self.has_second_order = isinstance(data, np.ndarray)
        # Compiled sweeps of few tasks read whole columns, BLAS updates whole rows.
        self.residual = np.array(residual, order="F" if coef.shape[1] < FEW else "C")
        self.coef = np.array(coef, order="C")
        self.target = target
        self.constant = 0.5 * float(np.vdot(target, target))
        self._weight = np.ones((1, 1))
        self.gap = np.inf
        self.epochs = 0

    def advance(self, tol: float, epochs: int) -> float:
        """Sweep `epochs` times; the duality gap reached, inf when it was not measured this time."""
        self.moved = self.kernels.sweep_columns(
            self.columns, self.residual, self.coef, self._weight, self.shrink, epochs
        )
        self.epochs += epochs
        # A gap costs as much as half an epoch: it is taken at first, and then every fourth epoch.
        if self.epochs > 2 and self.epochs % 4 and self.moved > 0.0:
            return np.inf
        gradient = self.columns.data @ self.residual
        # <linear, W> = <Y, XW> = <Y, Y - R>: no product with Y is needed.
        cross = 2.0 * self.constant - float(np.vdot(self.target, self.residual))
        self.gap = self.kernels.duality_gap(
            gradient, gradient, self.coef, self._shifted(gradient, cross), self.shrink
        )
        return self.gap if self.moved > 0.0 else min(self.gap, 0.0)

    @property
    def call_flops(self) -> float:
        """Flops of one product of a sweep."""
        return 2.0 * PANEL * self.residual.size

    def sq_lengths(self) -> Array:
        """Squared lengths (s,) of the columns."""
        return np.einsum("ij,ij->i", self._data, self._data)

    def epoch_cost(self, active: int) -> float:
        """Flops of an epoch: two products with the gathered columns."""
        return 4.0 * self.columns.data.size * max(self.coef.shape[1], FEW)

    def active_cost(self, active: int) -> float:
        """Flops to set up a second-order step: the Gram matrix of the active rows."""
        n, t = self.residual.shape
        return 2.0 * n * active * (active + t)

    def second_order(self, tol: float) -> Array:
        """W after a second-order finish on the blocks that are active now."""
        ptr = self.shrink.ptr
        used = np.logical_or.reduceat(self.coef.any(axis=1), ptr[:-1])
        sizes = np.diff(ptr)
        rows = np.flatnonzero(np.repeat(used, sizes))
        shrink = BlockShrink(
            np.concatenate([[0], np.cumsum(sizes[used])]), self.shrink.l1[rows], self.shrink.l2[used],
            self.shrink.ridge[used], self.shrink.positive,
        )  # fmt: skip
        data, coef = self.columns.data[rows], self.coef[rows]
        gram, linear = data @ data.T, data @ self.target
        quadratic = Quadratic(
            gram[None], np.ones(coef.shape[1]), linear, linear - gram @ coef, coef, self.constant
        )
        out = np.zeros_like(self.coef)
        out[rows] = finish(quadratic, shrink, tol)
        return out

    def _shifted(self, gradient: Array, linear_dot_coef: float) -> float:
        """The constant for which `2 constant - <gradient, W>` is <Y, R>, as `duality_gap` reads it."""
        return self.constant + 0.5 * (float(np.vdot(gradient, self.coef)) - linear_dot_coef)

    def state(self) -> tuple[Array, Array]:
        """Copies of W and of what follows it affinely."""
        return self.coef.copy(), self.residual.copy()

    def value(self, coef: Array, residual: Array) -> float:
        """The objective at a state."""
        return 0.5 * float(np.vdot(residual, residual)) + self.kernels.penalty_value(coef, self.shrink)

    def restore(self, coef: Array, residual: Array) -> None:
        """Move to a state."""
        self.coef[...], self.residual[...] = coef, residual

    def follow(self, coef: Array) -> Array:
        """The residual at other coefficients."""
        used = np.flatnonzero(coef.any(axis=1))
        return self.target - self.columns.data[used].T @ coef[used]

    def without(self, rows: Array, coef: Array, residual: Array) -> Array:
        """The residual of a state once some rows of its coefficients are set to zero."""
        return residual + self.columns.data[rows].T @ coef[rows]


def gram_pays(n: int, s: int, new: int, active: int, t: int) -> bool:
    """Count flops: completing G by `new` columns and descending on it, against descending through the residual.

    Products with fewer than `FEW` columns are bound by memory and cost as much as with `FEW`; compiled descent on G is not.
    """
    build = n * s * s if new == s else 2 * n * s * new
    by_gram = build + GRAM_EPOCHS * 2 * s * max(1, min(s, active)) * t
    by_residual = GRAM_EPOCHS * 4 * n * s * max(t, FEW) + 64 * n * s
    return by_gram <= by_residual
