"""The gap of a low-rank solution from its data, by products of X with thin matrices wherever those are enough.

Everything is in the root-weighted, centred units of the problem, tasks in the coordinates that the reduction kept. A
ridge counts as extra rows of X. For the residual R of `W = U V'` and N = X'X + ridge,

    Theta = X'R = X'Y - (N U) V',    |R|^2 = |Y|^2 - 2 <X'Y V, U> + <U'N U, V'V>

and a change `R - X S H'` of the dual point changes Theta by `-(N S) H'`: with X'Y at hand, a certificate reads X four
times with as many columns as W has rank, not with as many as there are tasks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..._arrays import Array
from ...certificate import Bound, Certificate, assemble_certificate
from ...problem import Problem
from ._eigen import top_eigenpairs
from .data import strengths
from .polar import FLOOR, feasible_scale
from .reduced import Reduced
from .reduction import Factors, Reduction

ROUNDING = 8.0
"""Allowance, in units of eps times the norms involved, for Theta and |R|^2 that come from differences."""
SHARE = 0.1
"""Share of the gap asked for that the allowance may use up; beyond it the residual itself is formed."""
STEP_BACK = 8.0
"""Rounding of a Gram matrix and its Cholesky factor, in units of eps: steps away from the edge of feasibility."""


@dataclass(frozen=True)
class Thin:
    """A certificate, and its dual point `theta = scale (Y - L M')` as thin factors in the problem's weighted units.

    `product` is `(X'X + ridge) U` on the feature side, `X U` on the sample side, with the problem's weights; None when the
    residual was formed instead.
    """

    certificate: Certificate
    scale: float
    left: Array
    right: Array
    product: Array | None

    def dual_point(self, problem: Problem) -> Array:
        """theta (n, t) in the units of the residual."""
        theta = self.left @ self.right.T
        np.subtract(problem.target, theta, out=theta)
        theta *= self.scale
        if problem.root is None:
            return theta
        return np.divide(theta, problem.root, out=np.zeros_like(theta), where=problem.root > 0)


@dataclass(frozen=True)
class _Point:
    """A dual point: `<theta, Y>`, `|theta|^2` (ridge rows included), the Gram matrix of its Theta, and L, M."""

    cross: float
    square: float
    gram: Array
    left: Array
    right: Array

    def value(self, scale: float) -> float:
        """Dual value at a multiple of the point."""
        return scale * self.cross - 0.5 * scale * scale * self.square


def certify_thin(
    problem: Problem, reduction: Reduction, found: Reduced, factors: Factors, enough: float
) -> Thin:
    """Certify factors (float64) against the data; the scaled residual first, then the polar-corrected one.

    Parameters
    ----------
    found : Reduced
        The reduced solution that the factors come from; it only proposes how to correct the residual.
    enough : float
        Absolute gap that is good enough.
    """
    return _Look(problem, reduction, found, factors, enough).certify()


def certificate_of(
    problem: Problem, primal: float, bound: Bound, *, is_zero: bool, allowance: float
) -> Certificate:
    """A certificate from its two bounds, without another look at the targets."""
    scale = abs(primal) + 2.0 * abs(bound.value) + problem.null_value
    return assemble_certificate(
        primal, bound, problem.null_value, scale=scale, is_zero=is_zero, allowance=allowance
    )


class _Look:
    def __init__(
        self, problem: Problem, reduction: Reduction, found: Reduced, factors: Factors, enough: float
    ) -> None:
        self.problem, self.reduction, self.found, self.enough = problem, reduction, found, enough
        self.alpha, self.ridge = strengths(problem)
        self.U, self.V = factors.U, reduction.to_kept_tasks(factors.V)
        self.penalty = problem.penalty.value_of_factors(factors.U, factors.V)
        self.F = reduction.fitted(self.U)
        self.allowance = self._allowance()
        direct = reduction.correlation is None or self.allowance > SHARE * enough
        self.allowance = 0.0 if direct else self.allowance
        self.residual: Array | None = None
        self.product: Array | None = self.F if reduction.model.on_samples else None
        (self._from_residual if direct else self._from_products)()

    def _allowance(self) -> float:
        """Bound on the rounding of the thin formulas: of X'Y against the trace norm of W, of |Y|^2 against itself."""
        total = 2.0 * self.problem.null_value
        size = np.sqrt(total * self.reduction.moment) * self.penalty / self.alpha
        return ROUNDING * float(np.finfo(np.float64).eps) * (total + float(size))

    def _from_products(self) -> None:
        C = self.reduction.correlation
        U, V = self.U, self.V
        self.product = self.reduction.correlated(self.F) + self.ridge * U
        self.theta = C - self.product @ V.T
        fit = float(np.vdot(C @ V, U))
        energy = float(np.vdot(U.T @ self.product, V.T @ V))
        total = 2.0 * self.problem.null_value
        self.cross, self.square = total - fit, total - 2.0 * fit + energy

    def _from_residual(self) -> None:
        problem, unit = self.problem, self.problem.unit
        target = self.reduction.kept_target(problem)
        R = target - self.F @ self.V.T
        self.residual = R
        self.theta = self.reduction.correlated(R)
        if self.ridge:
            self.theta -= self.ridge * (self.U @ self.V.T)
        rows = self.ridge * float(np.vdot(self.U.T @ self.U, self.V.T @ self.V))
        self.cross, self.square = unit * float(np.vdot(R, target)), unit * float(np.vdot(R, R)) + rows

    @property
    def primal(self) -> float:
        """The objective; `square` holds the ridge, which the penalty's value has as well."""
        rows = self.ridge * float(np.vdot(self.U.T @ self.U, self.V.T @ self.V))
        return 0.5 * (self.square - rows) + self.penalty

    def certify(self) -> Thin:
        primal = self.primal
        plain = _Point(self.cross, self.square, self.theta.T @ self.theta, self.F, self.V)
        scale = self._largest_scale(plain, primal)
        best = plain
        if scale is None:
            squares, vectors = top_eigenpairs(plain.gram, (FLOOR * self.alpha) ** 2, self.V.shape[1])
            scale = self._edge(plain, squares)
            if len(squares) and self.V.shape[1]:
                corrected = self._corrected(plain, squares, vectors)
                other = self._largest_scale(corrected, primal)
                if other is None:
                    other = self._edge(corrected, np.linalg.eigvalsh(corrected.gram))
                if corrected.value(other) > plain.value(scale):
                    best, scale = corrected, other
        bound = Bound(best.value(scale), scale, best.cross, best.square, 0.0)
        certificate = certificate_of(
            self.problem, primal, bound, is_zero=not self.V.shape[1], allowance=self.allowance
        )
        right = self.reduction.from_kept_tasks(best.right)
        return Thin(certificate, scale, best.left, right, self.product)

    def _largest_scale(self, point: _Point, primal: float) -> float | None:
        """A feasible multiple that is good enough, None when there is none."""
        room = self.enough - self.allowance - (primal - point.value(1.0))
        scale = feasible_scale(point.gram, self.alpha, room, point.cross - point.square)
        return None if scale is None else self._inside(scale, point)

    def _edge(self, point: _Point, squares: Array) -> float:
        """The best feasible multiple, given the top of the spectrum of the point's Gram matrix."""
        norm = float(np.sqrt(max(squares[-1], 0.0))) if len(squares) else 0.0
        best = point.cross / point.square if point.square > 0.0 else 1.0
        return min(best, self._inside(self.alpha / norm, point)) if norm > 0.0 else best

    def _inside(self, scale: float, point: _Point) -> float:
        eps = float(np.finfo(np.float64).eps)
        return scale * (1.0 - (STEP_BACK + len(point.gram)) * eps)

    def _corrected(self, plain: _Point, squares: Array, vectors: Array) -> _Point:
        """The point whose Theta has the singular values that belong to W, and those above alpha, at alpha exactly."""
        above = int(np.count_nonzero(squares > self.alpha**2))
        count = min(max(above, self.V.shape[1]), len(squares))
        H = np.ascontiguousarray(vectors[:, len(squares) - count :])
        shrunk = H * (1.0 - self.alpha / np.sqrt(squares[len(squares) - count :]))
        moved, J, cross, square = self._change(H, shrunk)
        both = self.theta.T @ moved
        gram = plain.gram - both @ H.T - H @ both.T + H @ (moved.T @ moved) @ H.T
        return _Point(
            plain.cross - cross, plain.square + square, gram, np.hstack((self.F, J)), np.hstack((self.V, H))
        )

    def _change(self, H: Array, shrunk: Array) -> tuple[Array, Array, float, float]:
        """A change `J H'` of the residual that moves Theta by about `Theta shrunk H'`.

        Returns what Theta moves by along H, J, and the changes of `<theta, Y>` (subtracted) and `|theta|^2` (added).
        """
        reduction, unit = self.reduction, self.problem.unit
        inner = H.T @ H
        if reduction.model.on_samples and not self.ridge:
            R = self.residual
            J = R @ shrunk
            cross = unit * float(np.vdot(reduction.kept_target(self.problem) @ H, J))
            square = unit * float(np.vdot(J.T @ J, inner) - 2.0 * np.vdot(R @ H, J))
            return self.theta @ shrunk, J, cross, square
        S = reduction.lifted_correction(self.found, self.theta, H, shrunk)
        J = reduction.fitted(S)
        moved = reduction.correlated(J) + self.ridge * S
        if reduction.correlation is None:
            cross = unit * float(np.vdot(reduction.kept_target(self.problem) @ H, J))
        else:
            cross = float(np.vdot(reduction.correlation @ H, S))
        square = float(np.vdot(S.T @ moved, inner) - 2.0 * np.vdot(self.theta @ H, S))
        return moved, J, cross, square
