"""Working sets for any losses and designs: certify, choose, descend on what was chosen, repeat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from fastmtl_kernels._interface import BlockShrink

from .._arrays import Array
from .._scaling import check_scores
from .._status import Status
from .._threads import threads_for
from ..certificate import Check
from ..nuisance import nuisance
from ..penalties import Penalty, restrict
from ..task_certificate import TaskCheck, evaluate_task, task_dual_point
from ..task_problem import EPS, TaskProblem
from ._base import INNER_SHARE, STALL_ROUNDS, InterruptedRun, Outcome, Settings, leaves_zero, verdict
from ._resident import where_x_is
from .prox_newton import has_small_grams, prox_newton
from .proximal_gradient import accelerated

GROWTH = 2.0
NEAR = 0.99
WHOLE_SHARE = 0.5
"""Share of the tolerance that a problem is solved to when no features are left out."""
ROUGH = 0.03
"""Share of the global gap that a working set is solved to while it is still growing."""
LEAVING = 0.1
"""Share of the gap of zero that is asked of the first descent where that gap is within the tolerance."""
SMALL = 16
"""Blocks that a working set may have from the start; more, where their Gram matrix is no dearer than a pass over X."""
STEP = 5e7
"""What a step costs beside its Gram matrices, in their operations."""


class Chosen(NamedTuple):
    """Blocks to descend on in some columns, and to which gap."""

    columns: slice
    part: TaskProblem
    blocks: Array
    any_new: bool
    target: float
    gap: float


@dataclass(frozen=True)
class TaskWorkingSet:
    """Any losses, on one design or one a task.

    A penalty without blocks keeps all features at work. Columns that neither the penalty nor a loss ties together (an l1
    norm does not) have working sets of their own.
    """

    settings: Settings

    def run(self, problem: TaskProblem, start: tuple[Array, Array] | None = None) -> Outcome:
        """Solve; `start` holds coefficients (p, t) and intercepts (t,)."""
        return _Run(self.settings, problem, start).solve()

    def run_path(
        self, problem: TaskProblem, penalties: Iterable[Penalty], start: tuple[Array, Array] | None = None
    ) -> Iterator[Outcome]:
        """Solve for one penalty after the other, each from the last."""
        kept = {}
        for penalty in penalties:
            at = replace(problem, penalty=penalty)
            at.__dict__.update(kept)
            outcome = self.run(at, start)
            kept = {name: at.__dict__[name] for name in at.DATA_ONLY if name in at.__dict__}
            start = (outcome.coef, outcome.intercept)
            yield outcome


class _Run:
    """One run: the iterate, and the blocks that each set of coupled columns works on."""

    def __init__(self, settings: Settings, problem: TaskProblem, start: tuple[Array, Array] | None) -> None:
        self.settings, self.given, self.problem = settings, problem, where_x_is(problem)
        p = problem.design.p
        self.form: Any = problem.penalty.lower(p)
        if self.form is not None:
            bare = np.zeros(p, dtype=bool)
            bare[problem.free] = True
            bare = bare if self.form.order is None else bare[self.form.order]
            self.usable = ~bare[self.form.ptr[:-1]] & ~np.isinf(self.form.l2)
        self._start_cold()
        if start is not None:
            self.coef, self.intercept = (np.array(A, dtype=np.float64) for A in start)
            if self.form is not None and self.form.positive:
                np.maximum(self.coef, 0.0, out=self.coef)
        self.iteration = 0

    def _start_cold(self) -> None:
        """Move to the null fit."""
        problem, null = self.problem, nuisance(self.problem).null_coef
        self.coef, self.intercept = np.zeros((problem.design.p, problem.n_tasks)), np.zeros(problem.n_tasks)
        self.coef[problem.free] = null[int(problem.fit_intercept) :]
        if problem.fit_intercept:
            self.intercept[:] = null[0]

    def solve(self) -> Outcome:
        """Run, and keep the best iterate when interrupted."""
        try:
            return self._iterate()
        except KeyboardInterrupt:
            raise InterruptedRun(lambda: self._outcome(self._certify(), Status.INTERRUPTED)) from None

    def _iterate(self) -> Outcome:
        """Certify, choose, descend, repeat."""
        settings, problem = self.settings, self.problem
        eps = float(np.finfo(problem.design.dtype).eps)
        best, rounds, share = np.inf, 0, WHOLE_SHARE if self.form is None else INNER_SHARE
        while True:
            check = self._certify()
            if self.iteration == 0:
                if not check.certificate.primal <= problem.null_value and self.coef.any():
                    self._start_cold()  # the start is worse than nothing, or overflows
                    check = self._certify()
                check_scores(problem, check.scores)
            gap = check.certificate.relative_gap
            status = verdict(check.certificate, settings.tol, eps)
            must_leave = (
                status is not None and self.iteration == 0 < settings.max_iter and self._must_leave(check)
            )
            if must_leave:
                status = None
            stop = settings.monitor(self.iteration, check.certificate, int(self.coef.any(axis=1).sum()))
            rounds = 0 if gap < 0.9 * best else rounds + 1
            best = min(best, gap)
            if status is None and self.iteration >= settings.max_iter:
                status = Status.MAX_ITER
            if status is None and rounds >= STALL_ROUNDS:
                status = Status.STALLED
            status = status or stop
            if status is not None:
                return self._outcome(check, status)
            self.iteration += 1
            tol = max(share * settings.tol, EPS)
            missing = self._descend(check, tol, gap if rounds == 0 else 0.0, must_leave)
            if not missing:
                share *= 0.1

    def _must_leave(self, check: TaskCheck) -> bool:
        """Whether all penalised coefficients are zero, and should not be."""
        penalised = np.delete(self.coef, self.problem.free, axis=0)
        return not penalised.any() and leaves_zero(self.problem, check)

    def _certify(self) -> TaskCheck:
        for part in self.problem.parts:
            if part.loss.joint and self.problem.fit_intercept:
                # A shift of all classes changes no probability.
                self.intercept[part.columns] -= self.intercept[part.columns].mean()
        dtype: Any = self.problem.design.dtype
        return evaluate_task(self.problem, self.coef.astype(dtype), self.intercept.astype(dtype))

    def _outcome(self, check: Check, status: Status) -> Outcome:
        dtype: Any = self.problem.design.dtype
        coef, intercept = self.coef.astype(dtype), self.intercept.astype(dtype)
        home = self.problem.design.home
        dual = lambda: task_dual_point(self.given, home(check.direction))  # noqa: E731
        return Outcome(coef, intercept, check.certificate, status, self.iteration, dual)

    def _descend(self, check: TaskCheck, tol: float, rough: float, must_leave: bool) -> bool:
        """Choose blocks and descend on them, one component after the other or all at once; whether any block was new.

        Where zero must be left, gaps are within the tolerance already: a share of them is asked for.
        """
        if self.form is None:
            (gap,) = check.gaps.tolist()
            target = tol * self.problem.null_value
            target = min(target, LEAVING * gap) if must_leave else target
            self._descend_on(self.problem, slice(0, self.problem.n_tasks), slice(None), target, gap)
            return False
        share = self.problem.null_value / len(check.gaps)
        chosen = []
        for (columns, part), gap in zip(self.problem.components, check.gaps.tolist(), strict=True):
            if gap > tol * share or must_leave:
                blocks, any_new, truncated = self._choose(check.scores[:, columns], self.coef[:, columns])
                if must_leave and not any_new:
                    continue
                target = max(tol * share, ROUGH * min(gap, rough * share)) if truncated else tol * share
                target = min(target, LEAVING * gap) if must_leave else target
                chosen.append(Chosen(columns, part, blocks, any_new, target, gap))
        missing = any(one.any_new for one in chosen)
        if len(chosen) > 1 and not must_leave:
            chosen = self._together(chosen, tol * self.problem.null_value)
        for one in chosen:
            features, penalty = restrict(self.form, one.blocks, one.part.free)
            restricted = one.part.restricted(features, penalty, 0, one.part.n_tasks, is_joint=True)
            self._descend_on(restricted, one.columns, features, one.target, one.gap)
            if self.settings.monitor.late():
                break
        return missing

    def _together(self, chosen: list[Chosen], tol: float) -> list[Chosen]:
        """All components as one over the union of their blocks, where that is cheaper than one after the other."""
        problem, sizes = self.problem, np.diff(self.form.ptr)
        in_use = np.flatnonzero(self._used(self.coef) & self.usable)  # by components that are done, too
        union = np.unique(np.concatenate([in_use, *(one.blocks for one in chosen)]))
        rows = int(sizes[union].sum()) + len(problem.free)
        apart = STEP * len(chosen) + sum(
            one.part.design.shape[0] * int(sizes[one.blocks].sum()) ** 2 for one in chosen
        )
        if problem.design.shape[0] * rows**2 > apart or not has_small_grams(rows, problem.n_tasks):
            return chosen
        everything = slice(0, problem.n_tasks)
        target, gap = max(tol, sum(one.target for one in chosen)), sum(one.gap for one in chosen)
        return [Chosen(everything, problem, union, True, target, gap)]

    def _used(self, coef: Array) -> Array:
        """Mask of the blocks with a coefficient that is not zero."""
        rows = coef.any(axis=1)
        rows = rows if self.form.order is None else rows[self.form.order]
        return rows if len(self.form.l2) == len(rows) else np.logical_or.reduceat(rows, self.form.ptr[:-1])

    def _descend_on(self, part: TaskProblem, columns: slice, features: Any, tol: float, gap: float) -> None:
        """Descend on some features of some columns, all others zero."""
        W, b = self.coef[features, columns], self.intercept[columns]
        late = self.settings.monitor.late
        if has_small_grams(*W.shape):
            rows = part.design.shape[0] / part.n_tasks
            with threads_for(2.0 * rows * len(W) ** 2):  # a Gram matrix
                point = prox_newton(part, W, b, self.settings.kernels, tol, gap, late)
            W, b = point.coef, point.intercept
        else:
            W, b = accelerated(part, W, tol, late)
        self.coef[:, columns] = 0.0
        self.coef[features, columns], self.intercept[columns] = W, b

    def _choose(self, V: Array, coef: Array) -> tuple[Array, bool, bool]:
        """Blocks in use or near their bound and the worst violators; whether any is new, and whether some were left out."""
        form = self.form
        V = V if form.order is None else V[form.order]
        shrink = BlockShrink(form.ptr, form.l1, form.l2, np.zeros_like(form.l2), form.positive)
        scores = self.settings.kernels.block_scores(np.ascontiguousarray(V), shrink)
        used = self._used(coef)
        kept = (used | (scores > NEAR)) & self.usable
        violators = np.flatnonzero((scores > 1.0) & ~used & self.usable)
        limit = max(int(GROWTH * used.sum()), SMALL, int(np.sqrt(2.0 * self.problem.design.row_size)))
        truncated = len(violators) > limit
        if truncated:
            kept[violators] = False
            violators = violators[np.argpartition(-scores[violators], limit)[:limit]]
            kept[violators] = True
        return np.flatnonzero(kept), len(violators) > 0, truncated
