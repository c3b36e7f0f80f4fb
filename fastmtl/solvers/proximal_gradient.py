"""Accelerated proximal gradient: the tool for every smooth loss and every penalty with a prox."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from .._arrays import Array
from .._scaling import check_scores
from .._status import Status
from ..certificate import Check
from ..problem import Problem, project_off
from ..task_certificate import check_point, evaluate_fitted, task_dual_point
from ..task_problem import TaskProblem
from ._base import InterruptedRun, Outcome, Settings, leaves_zero, verdict
from .working_set import dual_point

CHECK_EVERY = 10
"""Steps between certificates: each costs about as much as a step."""
SHRINK = 0.95
"""Factor on the curvature estimate after every step, so that one steep place does not slow the rest of the run."""
STALL_CHECKS = 30
"""Certificates without a smaller gap after which a run is called stalled (momentum makes gaps rise and fall)."""
POWER_STEPS = 8
RESTRICTED_STEPS = 2000
"""Most steps on a restricted problem before the whole one is looked at again."""


class Smooth(Protocol):
    """A convex differentiable function of W."""

    def value_and_gradient(self, W: Array) -> tuple[float, Array]:
        """Value and gradient at W."""
        ...

    def value(self, W: Array) -> float:
        """Value at W."""
        ...

    def curvature(self) -> float:
        """A positive first guess of the largest second derivative; it may be too small."""
        ...


class Step(NamedTuple):
    """State after a step: iterate, extrapolated point, momentum, curvature estimate."""

    W: Array
    S: Array
    momentum: float
    curvature: float


def accelerate(
    smooth: Smooth,
    prox: Callable[[Array, float], Array],
    W: Array,
    *,
    max_iter: int,
    stop: Callable[[int, Array], bool],
) -> Array:
    """Minimise `smooth + penalty` from W by accelerated proximal steps until `stop` says so.

    Parameters
    ----------
    smooth : Smooth
    prox : callable
        `(V, step) -> argmin_U 1/2 |U - V|^2 + step * penalty(U)`.
    W : ndarray
        Start; not modified.
    max_iter : int
    stop : callable
        Given the number of steps done and the iterate after each step.

    Notes
    -----
    The step length is found by backtracking on the quadratic upper bound; momentum restarts whenever the last move
    points against the extrapolation.

    References
    ----------
    Beck, Teboulle (2009), "A fast iterative shrinkage-thresholding algorithm", section 4; O'Donoghue, Candes (2015),
    "Adaptive restart for accelerated gradient schemes", section 3.2 (gradient scheme).
    """
    state = Step(W, W, 1.0, smooth.curvature())
    for iteration in range(1, max_iter + 1):
        state = _step(smooth, prox, state)
        if stop(iteration, state.W):
            break
    return state.W


def _step(smooth: Smooth, prox: Callable[[Array, float], Array], state: Step) -> Step:
    W, S, momentum, curvature = state
    value, gradient = smooth.value_and_gradient(S)
    while True:
        new = prox(S - gradient / curvature, 1.0 / curvature)
        move = new - S
        square = float(np.vdot(move, move))
        bound = value + float(np.vdot(gradient, move)) + 0.5 * curvature * square
        # Within rounding of the value the comparison means nothing: accept.
        if (
            square == 0.0
            or smooth.value(new) <= bound + 4e-16 * abs(value)
            or not math.isfinite(2.0 * curvature)
        ):
            break
        curvature *= 2.0
    if float(np.vdot(S - new, new - W)) > 0.0:
        return Step(new, new, 1.0, curvature)
    following = 0.5 * (1.0 + math.sqrt(1.0 + 4.0 * momentum**2))
    return Step(new, new + ((momentum - 1.0) / following) * (new - W), following, SHRINK * curvature)


class DataTerm:
    """The loss of a problem as a function of W, intercepts minimised out.

    `f(W) = min_b sum omega loss(y, XW + b)` is convex, its gradient is `X'(omega loss')` at the best b (Danskin), and
    centring does the minimisation exactly for the squared loss.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def residual(self, W: Array) -> Array:
        """Weighted residual (n, t) at the best intercepts."""
        problem = self.problem
        fitted = problem.weighted(problem.design.predict(W))
        return problem.target - project_off(fitted, problem.intercept_basis)

    def value(self, W: Array) -> float:
        R = self.residual(W)
        return 0.5 * self.problem.unit * float(np.vdot(R, R))

    def value_and_gradient(self, W: Array) -> tuple[float, Array]:
        problem, R = self.problem, self.residual(W)
        gradient = -problem.unit * problem.design.correlate(problem.weighted(R))
        return 0.5 * problem.unit * float(np.vdot(R, R)), gradient

    def intercept(self, W: Array) -> Array:
        """The best intercepts (t,) at W."""
        problem = self.problem
        if not problem.fit_intercept:
            return np.zeros(problem.n_tasks)
        ones = problem.weighted(np.ones((problem.design.n, 1)))
        left = problem.weighted(problem.Y - problem.design.predict(W))
        return (ones.T @ left)[0] / float(np.vdot(ones, ones))

    def curvature(self) -> float:
        """Largest eigenvalue of the Hessian by a few power steps from the gradient's own direction."""
        problem = self.problem
        v = problem.unit * problem.design.correlate(problem.weighted(problem.target))
        size = 0.0
        v = v[:, [int(np.argmax(np.einsum("ij,ij->j", v, v)))]]
        for _ in range(POWER_STEPS):
            norm = float(np.linalg.norm(v))
            if not (norm > 0.0 and math.isfinite(norm)):
                break
            v = v / norm
            u = project_off(problem.weighted(problem.design.predict(v)), problem.intercept_basis)
            v = problem.unit * problem.design.correlate(problem.weighted(u))
            size = float(np.linalg.norm(v))
        return size if size > 0.0 else 1.0


class TaskTerm:
    """`DataTerm` of a `TaskProblem`."""

    def __init__(self, problem: TaskProblem) -> None:
        self.problem = problem
        self._intercept = problem.null_intercepts

    def predictions(self, W: Array) -> Array:
        """Flat predictions (N,) at the best intercepts."""
        problem, Z = self.problem, self.problem.design.predict(W)
        self._intercept = problem.best_intercepts(Z, self._intercept)
        return Z + problem.design.spread(self._intercept)

    def value(self, W: Array) -> float:
        return self.problem.loss_value(self.predictions(W))

    def value_and_gradient(self, W: Array) -> tuple[float, Array]:
        problem, Z = self.problem, self.predictions(W)
        return problem.loss_value(Z), problem.correlate(problem.loss_gradient(Z))

    def intercept(self, W: Array) -> Array:
        """The best intercepts (t,) at W."""
        return self.problem.best_intercepts(self.problem.design.predict(W), self._intercept)

    def curvature(self) -> float:
        """Largest curvature along the gradient of any column at the null fit, by a few power steps."""
        problem = self.problem
        Z = problem.design.spread(problem.null_intercepts)
        weight = problem.omega * problem.loss_hessian(Z)
        v = problem.correlate(problem.loss_gradient(Z))
        size = np.zeros(problem.n_tasks)
        for _ in range(POWER_STEPS):
            norm = np.sqrt(np.einsum("ij,ij->j", v, v))
            v = v / np.where((norm > 0) & np.isfinite(norm), norm, np.inf)
            v = problem.design.correlate(weight * problem.design.predict(v))
            size = np.sqrt(np.einsum("ij,ij->j", v, v))
        top = float(np.nanmax(size, initial=0.0))
        return top if top > 0.0 and math.isfinite(top) else 1.0


def accelerated(problem: TaskProblem, W: Array, tol: float, late: Callable[[], bool]) -> tuple[Array, Array]:
    """Coefficients and intercepts to a duality gap of at most `tol` (absolute), without a matrix of the size of a Gram matrix."""
    smooth = TaskTerm(problem)

    def stop(iteration: int, W: Array) -> bool:
        if late():
            return True
        if iteration % CHECK_EVERY:
            return False
        intercept = smooth.intercept(W)
        check = evaluate_fitted(problem, W, intercept, problem.design.predict(W))
        return check.certificate.gap <= tol

    W = accelerate(smooth, problem.penalty.prox, W, max_iter=RESTRICTED_STEPS, stop=stop)
    return W, smooth.intercept(W)


@dataclass(frozen=True)
class ProximalGradient:
    """Any smooth loss on a shared design with any penalty that has a prox and a conjugate."""

    settings: Settings

    def run(self, problem: Problem | TaskProblem, start: tuple[Array, Array] | None = None) -> Outcome:
        """Solve; `start` holds coefficients (p, t) and intercepts (t,)."""
        return _Run(self.settings, problem).solve(start)


class _Run:
    """One run: certificates every few steps, the best iterate kept."""

    def __init__(self, settings: Settings, problem: Problem | TaskProblem) -> None:
        self.settings, self.problem = settings, problem
        self.smooth = TaskTerm(problem) if isinstance(problem, TaskProblem) else DataTerm(problem)
        self.best: tuple[Check, Array, Array] | None = None
        self.status: Status | None = None
        self.idle = self.iteration = 0

    def solve(self, start: tuple[Array, Array] | None) -> Outcome:
        """Step and certify, and keep the best iterate when interrupted."""
        problem, settings = self.problem, self.settings
        W = (
            np.zeros((problem.design.p, problem.n_tasks))
            if start is None
            else np.array(start[0], dtype=np.float64)
        )
        try:
            if not self.certify(W):
                accelerate(
                    self.smooth, self.prox, W, max_iter=settings.max_iter * CHECK_EVERY, stop=self.stop
                )
        except KeyboardInterrupt:
            if self.best is None:
                raise
            raise InterruptedRun(lambda: self.outcome(Status.INTERRUPTED)) from None
        return self.outcome(self.status or Status.MAX_ITER)

    def outcome(self, status: Status) -> Outcome:
        """The best iterate."""
        assert self.best is not None
        problem, (check, coef, intercept) = self.problem, self.best
        if isinstance(problem, TaskProblem):
            dual = lambda: task_dual_point(problem, check.direction)  # noqa: E731
        else:
            dual = lambda: dual_point(problem, check)  # noqa: E731
        return Outcome(coef, intercept, check.certificate, status, self.iteration, dual)

    def prox(self, V: Array, step: float) -> Array:
        return self.problem.penalty.prox(V, step)

    def stop(self, iteration: int, W: Array) -> bool:
        if self.settings.monitor.late():
            self.certify(W)
            self.status = self.status or Status.TIME_LIMIT
            return True
        return iteration % CHECK_EVERY == 0 and self.certify(W)

    def certify(self, W: Array) -> bool:
        """Certify W as it would be returned; whether the run is over."""
        problem, settings = self.problem, self.settings
        dtype: Any = problem.design.dtype
        coef, intercept = W.astype(dtype), self.smooth.intercept(W).astype(dtype)
        check = check_point(problem, coef, intercept)
        if self.best is None:
            check_scores(problem, check.scores)
        gap = check.certificate.relative_gap
        if self.best is None or gap < self.best[0].certificate.relative_gap:
            self.best, self.idle = (check, coef, intercept), 0
        else:
            self.idle += 1
        self.status = verdict(check.certificate, settings.tol, float(np.finfo(dtype).eps))
        if (
            self.status
            and self.iteration == 0 < settings.max_iter
            and not coef.any()
            and leaves_zero(problem, check)
        ):
            self.status = None
        active = int(coef.any(axis=1).sum())
        stopped = settings.monitor(self.iteration, check.certificate, active)
        if self.status is None and self.idle >= STALL_CHECKS:
            self.status = Status.STALLED
        self.status = self.status or stopped
        self.iteration += 1
        return self.status is not None
