"""Intercepts and unpenalised features: fitted at fixed predictions, and kept out of dual points.

What the penalty never touches gives equality constraints in the dual, `A' (omega theta) = 0` with A the ones (if there is an
intercept) and the unpenalised columns of every task.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ._arrays import Array
from .designs import TaskDesign
from .problem import orthonormal, project_off
from .task_problem import EPS, TaskProblem

NEWTON_STEPS = 200
SHORTEST = 1e-2
"""Share of a Newton step below which it is no use."""
LEAST_CURVATURE = 1e-10
POLISHING_STEPS = 6
MIXING_STEPS = 12
"""Bisections of the exponent of the share of a point well inside that a point outside the domain is mixed with."""
LEAST_SHARE = 1e-15
UNFITTED = 1e-6
"""Gradient of the loss at the null fit, over the larger of the targets and 1, that is no rounding of interpolated data."""
ROUNDING = 1e-12
"""Share of a loss that its own rounding may seem to change it by."""


class Nuisance:
    """The nuisance parameters of a problem, (f, t) with f = ones + unpenalised features.

    Parameters
    ----------
    problem : TaskProblem
    """

    def __init__(self, problem: TaskProblem) -> None:
        self.problem = problem
        self.free = problem.free
        self.ones = int(problem.fit_intercept)

    @cached_property
    def design(self) -> TaskDesign:
        """The unpenalised features alone."""
        return self.problem.design.part(self.free)

    def grams(self, weight: Array) -> Array:
        """`A' diag(weight) A` (t, f, f) of every column."""
        f = self.ones + len(self.free)
        out = np.empty((self.problem.n_tasks, f, f))
        if len(self.free):
            out[:, self.ones :, self.ones :] = self.design.grams(weight)
        if self.ones:
            out[:, 0, 0] = self.problem.design.sums(weight)
            if len(self.free):
                out[:, 0, 1:] = out[:, 1:, 0] = self.design.correlate(weight).T
        return out

    def correlate(self, A: Array) -> Array:
        """`A' a` (f, t) for flat a."""
        rows = [self.problem.design.sums(A)[None]] if self.ones else []
        if len(self.free):
            rows.append(self.design.correlate(A))
        return np.concatenate(rows) if rows else np.empty((0, self.problem.n_tasks))

    def predict(self, coef: Array) -> Array:
        """What parameters (f, t) contribute to the flat predictions."""
        spread = self.problem.design.spread
        Z = spread(coef[0] if self.ones else np.zeros(self.problem.n_tasks))
        return Z + self.design.predict(coef[self.ones :]) if len(self.free) else Z

    @cached_property
    def null_coef(self) -> Array:
        """Parameters (f, t) of the fit in which all else is zero."""
        coef = np.zeros((self.ones + len(self.free), self.problem.n_tasks))
        if self.ones:
            coef[0] = self.problem.null_intercepts
        return self.fit(coef) if len(self.free) and self.problem.null_value > 0.0 else coef

    def null_fit(self) -> Array:
        """Flat predictions of the fit in which all else is zero."""
        return self.predict(self.null_coef)

    def fit(self, coef: Array) -> Array:
        """Newton steps, halved until the loss decreases, from parameters (f, t) to the minimum of the loss.

        Where a loss has no curvature, as Huber's in its tails, Newton's step means nothing: steps that had to be much shorter
        raise a least curvature for the next ones.
        """
        problem, Z = self.problem, self.predict(coef)
        value, floor = problem.loss_value(Z), LEAST_CURVATURE
        for _ in range(NEWTON_STEPS):
            gradient = self._pull(Z)
            step = -solve(self._hessians(Z, floor), gradient)
            slope = float(np.vdot(step, gradient))
            if not slope < -1e-15 * value:
                break
            move, scale = self.predict(step), 1.0
            trial = problem.loss_value(Z + move)
            while not trial <= value + 1e-4 * scale * slope and scale > SHORTEST:
                scale *= 0.5
                trial = problem.loss_value(Z + scale * move)
            if scale > SHORTEST:
                coef, Z, value = coef + scale * step, Z + scale * move, trial
                floor = max(0.1 * floor, LEAST_CURVATURE)
            elif floor >= 1.0:
                break
            else:
                floor = max(100.0 * floor, 1e-4)
        return self._polished(coef, Z)

    def _polished(self, coef: Array, Z: Array) -> Array:
        """Newton steps of their own in every column while they halve its gradient: the loss no longer shows what they gain."""
        gradient = self._pull(Z)
        for _ in range(POLISHING_STEPS):
            step = -solve(self._hessians(Z, LEAST_CURVATURE), gradient)
            ahead = Z + self.predict(step)
            after = self._pull(ahead)
            kept = np.abs(after).max(axis=0) < 0.5 * np.abs(gradient).max(axis=0)
            if not kept.any():
                break
            if not self.problem.loss_value(ahead) <= (1.0 + ROUNDING) * self.problem.loss_value(Z):
                break  # no polish: where a loss is flat, a step leads anywhere
            coef, gradient = coef + np.where(kept, step, 0.0), np.where(kept, after, gradient)
            Z = np.where(self.problem.design.spread(kept), ahead, Z)
        return coef

    def _pull(self, Z: Array) -> Array:
        """Gradient (f, t) of the loss in the parameters."""
        return self.correlate(self.problem.omega * self.problem.loss_gradient(Z))

    def _hessians(self, Z: Array, floor: float) -> Array:
        """Hessians (t, f, f) in the parameters, where no second derivative of the loss counts for less than `floor`."""
        return self.grams(self.problem.omega * np.maximum(self.problem.loss_hessian(Z), floor))

    @cached_property
    def _metric(self) -> Array:
        return self.grams(self.problem.omega)

    @cached_property
    def _inner(self) -> Array:
        """A dual point well inside: half of the null fit's, as zero and that are in the domain, which is convex."""
        return 0.5 * self._projected(-self.problem.loss_gradient(self.null_fit()))

    def _projected(self, theta: Array) -> Array:
        if not self.ones + len(self.free):
            return theta
        return theta - self.predict(solve(self._metric, self.correlate(self.problem.omega * theta)))

    def _projected_exactly(self, theta: Array, columns: Array) -> Array:
        """theta projected in some columns off A itself: its Gram matrix, which is cheaper, squares the condition."""
        problem, out, ptr = self.problem, theta.copy(), self.problem.design.ptr
        ones = np.ones(problem.n_tasks)
        A = np.stack([self.predict(np.outer(e, ones)) for e in np.eye(self.ones + len(self.free))], axis=1)
        for c in np.flatnonzero(columns):
            rows = slice(ptr[c], ptr[c + 1])
            root = np.sqrt(problem.omega[rows])[:, None]
            basis = orthonormal(root * A[rows])
            left = project_off(project_off(root * theta[rows, None], basis), basis)
            out[rows] = np.divide(left, root, out=np.zeros_like(left), where=root > 0)[:, 0]
        return out

    def dual_point(self, theta: Array) -> Array:
        """theta (N,) brought to `A' (omega theta) = 0` and into the domain of the losses' conjugates.

        A column in which that fails is zero, which is always a dual point: all that is left of one that the unpenalised
        parameters interpolate, or separate, is rounding, and breaks the constraints by its own size.
        """
        theta = self._inside(theta)
        broken = self._broken(theta)
        return np.where(self.problem.design.spread(broken), 0.0, theta) if broken.any() else theta

    def _inside(self, theta: Array) -> Array:
        """`dual_point` before its constraints are looked at again."""
        problem = self.problem
        if problem.unbounded.any():
            theta = np.where(problem.design.spread(problem.unbounded), 0.0, theta)
        theta = self._projected(theta)
        broken = self._broken(theta)
        if broken.any():
            theta = self._projected_exactly(theta, broken)
        outside = self._outside(theta)
        if not outside.any():
            return problem.project_dual(theta)
        low, high = np.full(problem.n_tasks, np.log(LEAST_SHARE)), np.zeros(problem.n_tasks)
        for _ in range(MIXING_STEPS):
            middle = 0.5 * (low + high)
            still = self._outside(self._mixed(theta, middle, outside))
            low, high = np.where(still, middle, low), np.where(still, high, middle)
        mixed = self._mixed(theta, high, outside)
        # Nothing is left for a column whose parameters have no finite optimum: zero is always in the domain.
        hopeless = self._outside(mixed)
        return problem.project_dual(np.where(problem.design.spread(hopeless), 0.0, mixed))

    def _mixed(self, theta: Array, exponents: Array, columns: Array) -> Array:
        """theta with a share of the inner point in some columns."""
        share = self.problem.design.spread(np.where(columns, np.exp(exponents), 0.0))
        return (1.0 - share) * theta + share * self._inner

    def _outside(self, theta: Array) -> Array:
        """Mask (t,) of the columns that are outside the domain by more than rounding, that of probabilities for joint losses."""
        problem = self.problem
        missed = problem.design.largest(np.abs(problem.project_dual(theta) - theta))
        slack = 4.0 * EPS * problem.design.largest(np.abs(theta))
        for part in problem.parts:
            if part.loss.joint:
                missed[part.columns] = missed[part.columns].max()
                slack[part.columns] += 8.0 * EPS
        return missed > slack

    def _broken(self, theta: Array) -> Array:
        """Mask (t,) of the columns that break `A' (omega theta) = 0` by more than rounding; those of a joint loss together."""
        problem, count = self.problem, self.ones + len(self.free)
        if not len(self.free):
            return np.zeros(problem.n_tasks, dtype=bool)
        weighted = problem.omega * theta
        left = np.linalg.norm(self.correlate(weighted) / self._sizes, axis=0)
        sizes = np.sqrt(problem.design.sums(weighted * weighted))
        rows = problem.design.sums(np.ones(len(theta)))
        broken = left > 16.0 * EPS * np.maximum(rows, count) * count * sizes
        for part in problem.parts:
            if part.loss.joint:
                broken[part.columns] = broken[part.columns].any()
        return broken

    @cached_property
    def _sizes(self) -> Array:
        """Norms (f, t) of the columns of A, those of weight zero left out; 1 for zero ones."""
        seen = (self.problem.omega > 0).astype(np.float64)
        sizes = np.sqrt(np.einsum("tff->ft", self.grams(seen)))
        return np.where(sizes > 0, sizes, 1.0)

    def violation(self, theta: Array) -> float:
        """Largest entry of `A' (omega theta)`: what rounding left of the equality constraints."""
        return float(np.abs(self.correlate(self.problem.omega * theta)).max(initial=0.0))


def nuisance(problem: TaskProblem) -> Nuisance:
    """The nuisance parameters of a problem, made once."""
    made = problem.__dict__.get("_nuisance")
    if made is None:
        made = problem.__dict__["_nuisance"] = Nuisance(problem)
    return made


def check_signs(problem: TaskProblem) -> None:
    """Raise a ValueError where unpenalised features must not be negative: the null fit knows no signs."""
    if getattr(problem.penalty, "positive", False) and len(problem.free):
        raise ValueError(
            f"{problem.penalty} has positive=True and leaves features unpenalised, which is supported for the squared "
            "loss on one shared X with weights (n,) alone; give those features a small weight instead of 0"
        )


def null_gradient(problem: TaskProblem) -> Array:
    """Negative gradient (p, t) at the null fit: intercepts and unpenalised features fitted, all else zero."""
    check_signs(problem)
    own = nuisance(problem)
    theta = -problem.loss_gradient(own.null_fit())
    dual = own.dual_point(theta)
    # A column that has no dual point because some of its samples are fitted in the limit alone has a gradient all the same.
    largest = problem.design.largest
    is_unfitted = largest(np.abs(theta)) > UNFITTED * np.maximum(largest(np.abs(problem.y)), 1.0)
    lost = (largest(np.abs(dual)) == 0.0) & is_unfitted & ~problem.is_quadratic
    V = problem.correlate(np.where(problem.design.spread(lost), theta, dual))
    V[problem.free] = 0.0
    return V


def solve(grams: Array, right: Array) -> Array:
    """`x_c = G_c^+ r_c` (f, t) for symmetric G (t, f, f) and r (f, t); what a singular G does not reach is zero."""
    if grams.shape[1] == 1:
        diagonal = grams[:, 0, 0]
        return np.where(diagonal > 0, right / np.where(diagonal > 0, diagonal, 1.0), 0.0)
    size = np.sqrt(np.maximum(np.einsum("cff->cf", grams), 0.0))
    inverse = np.where(size > 0, 1.0 / np.where(size > 0, size, 1.0), 0.0)
    even = np.linalg.pinv(grams * inverse[:, :, None] * inverse[:, None, :], rcond=1e-13, hermitian=True)
    return (inverse * (even @ (inverse * right.T)[:, :, None])[:, :, 0]).T
