"""Trace norm, squared loss, shared design, where tasks weigh differently: the same reduction, priced tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..._arrays import Array
from ..._status import Status
from ...designs import SharedDesign
from ...penalties import Trace
from ...task_certificate import evaluate_task, task_dual_point
from ...task_problem import TaskProblem
from .._base import InterruptedRun, Outcome, Settings, verdict
from .data import Data
from .left_subspace import SQUARE_BYTES
from .reduced import Reduced, solve_reduced, warm_start
from .reduction import Reduction, reduce
from .solver import FLOOR, SHARE, Watch, right_factor

ROUNDING = 16.0
"""How far, in units of eps, weights may be from a product of one by sample and one by task."""


def weights_of(problem: TaskProblem) -> tuple[Array, Array] | None:
    """Weights by sample (n,) and by task (t,), mean one, whose product is omega; None when there are none."""
    omega = problem.omega.reshape(problem.n_tasks, -1)
    by_task, by_sample = omega.sum(axis=1), omega.mean(axis=0)
    if not (by_task > 0.0).all():
        return None
    by_task = by_task / by_task.mean()
    error = np.abs(omega - np.outer(by_task, by_sample)).max(initial=0.0)
    return (by_sample, by_task) if error <= ROUNDING * np.finfo(float).eps * omega.max() else None


def is_weighted(problem: TaskProblem) -> bool:
    """Whether `WeightedSpectral` solves a problem: one X, no gaps, weights of samples times weights of tasks."""
    penalty = problem.penalty
    return (
        isinstance(penalty, Trace)
        and bool(penalty.alpha)
        and penalty.ridge == 0.0
        and problem.is_quadratic
        and isinstance(problem.design, SharedDesign)
        and 8 * min(problem.design.base.shape) ** 2 <= SQUARE_BYTES
        and problem.null_value > 0.0
        and weights_of(problem) is not None
    )


@dataclass(frozen=True)
class WeightedSpectral:
    """`sum_t c_t / 2 |Y_t - X w_t - b_t|^2 + alpha |W|_*`: with every task multiplied by the root of its weight the loss is
    that of equal tasks, and the penalty prices tasks instead (`Model.price`). The data are read once for a whole path.

    Attributes
    ----------
    settings : Settings
    fallback : solver
        Goes on from where rounding ends the reduced solve above the tolerance.
    """

    settings: Settings
    fallback: Any

    def run(self, problem: TaskProblem, start: tuple[Array, Array] | None = None) -> Outcome:
        """Solve; `start` holds coefficients (p, t) and intercepts (t,)."""
        return next(self.run_path(problem, [problem.penalty], start))

    def run_path(
        self, problem: TaskProblem, penalties: Iterable[Any], start: tuple[Array, Array] | None = None
    ) -> Iterator[Outcome]:
        """Solve for one penalty after the other, each from the last; all are certified on the data."""
        reduction = self._reduce(problem)
        previous: Reduced | None = None
        for penalty in penalties:
            at = replace(problem, penalty=penalty)
            at.__dict__.update({k: problem.__dict__[k] for k in problem.DATA_ONLY if k in problem.__dict__})
            if not is_weighted(at):
                yield self.fallback.run(at, start)
                continue
            previous, outcome = self._solve(at, reduction, previous, start)
            yield outcome

    def _reduce(self, problem: TaskProblem) -> Reduction:
        design, weights = problem.design, weights_of(problem)
        assert isinstance(design, SharedDesign) and weights is not None
        by_sample, by_task = weights
        targets = problem.y if problem.offset is None else problem.y - problem.offset
        omega = float(by_sample[0]) if np.ptp(by_sample) == 0.0 else by_sample
        data = Data(
            design.base, np.ascontiguousarray(design.as_given(targets)), omega, by_task, problem.fit_intercept
        )
        reduction = reduce(data, self.settings.kernels, single=False)
        if not (np.isfinite(reduction.model.diagonal).all() and np.isfinite(reduction.model.target).all()):
            design.check_finite()
            raise ValueError("X'X or X'Y overflows float64; scale X or Y down")
        return reduction

    def _solve(
        self,
        problem: TaskProblem,
        reduction: Reduction,
        previous: Reduced | None,
        start: tuple[Array, Array] | None,
    ) -> tuple[Reduced | None, Outcome]:
        settings, penalty = self.settings, problem.penalty
        assert isinstance(penalty, Trace) and penalty.alpha is not None
        alpha, V, near = reduction.to_model(penalty.alpha), None, None
        if previous is not None:
            V, near = warm_start(reduction.model, alpha, previous)
        elif start is not None:
            V = right_factor(reduction, start[0])
        watch = Watch(settings, reduction)
        target = max(SHARE * settings.tol, FLOOR) * reduction.worth
        try:
            found = solve_reduced(
                reduction.model, alpha, target, start=V, near=near, monitor=watch,
                interrupted=settings.monitor.late,
            )  # fmt: skip
        except KeyboardInterrupt:
            best = watch.best
            if best is None:
                raise InterruptedRun(lambda: self._zero(problem)) from None
            raise InterruptedRun(
                lambda: self._outcome(problem, reduction, best, Status.INTERRUPTED)
            ) from None
        outcome = self._outcome(problem, reduction, found, watch.status)
        if outcome.status is Status.STALLED:
            return found, self.fallback.run(problem, (outcome.coef, outcome.intercept))
        return found, outcome

    def _outcome(
        self, problem: TaskProblem, reduction: Reduction, found: Reduced, stopped: Status | None
    ) -> Outcome:
        """The outcome in the dtype that coefficients are returned in, certified as they are returned."""
        dtype: Any = problem.design.dtype
        factors = reduction.factors(found.A, found.V)
        U, V, intercept = (M.astype(dtype) for M in (factors.U, factors.V, factors.intercept))
        coef = U @ V.T
        data = reduction.data
        residual = data.targets - data.design.predict(coef) - intercept
        candidate = np.ravel(reduction.dual_point(residual, found.bound), order="F")
        check = evaluate_task(problem, coef, intercept, candidate)
        status = verdict(check.certificate, self.settings.tol, float(np.finfo(dtype).eps))
        dual = lambda: task_dual_point(problem, check.direction)  # noqa: E731
        return Outcome(
            coef,
            intercept,
            check.certificate,
            status or stopped or Status.STALLED,
            found.rounds,
            dual,
            (U, V),
        )

    def _zero(self, problem: TaskProblem) -> Outcome:
        dtype: Any = problem.design.dtype
        coef, intercept = (
            np.zeros((problem.design.p, problem.n_tasks), dtype),
            problem.null_intercepts.astype(dtype),
        )
        check = evaluate_task(problem, coef, intercept)
        dual = lambda: task_dual_point(problem, check.direction)  # noqa: E731
        return Outcome(coef, intercept, check.certificate, Status.INTERRUPTED, 0, dual)
