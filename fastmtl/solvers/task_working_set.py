"""Working sets for any losses and designs: certify, choose, descend on what was chosen, repeat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastmtl_kernels._interface import BlockShrink

from .._arrays import Array
from .._status import Status
from ..certificate import Check
from ..nuisance import nuisance
from ..penalties import Lowered, Penalty, restrict
from ..task_certificate import evaluate_task, task_dual_point
from ..task_problem import TaskProblem
from ._base import INNER_SHARE, STALL_ROUNDS, InterruptedRun, Outcome, Settings, verdict
from .prox_newton import has_small_grams, prox_newton
from .proximal_gradient import accelerated

GROWTH = 2.0
NEAR = 0.99
WHOLE_SHARE = 0.5
"""Share of the tolerance that a problem is solved to when no features are left out."""
ROUGH = 0.03
"""Share of the global gap that a working set is solved to while it is still growing."""
SMALL = 64
"""Blocks that a working set may have from the start."""


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
        self.settings, self.problem = settings, problem
        p, t = problem.design.p, problem.n_tasks
        self.form: Any = problem.penalty.lower(p)
        if self.form is not None:
            bare = np.zeros(p, dtype=bool)
            bare[problem.free] = True
            bare = bare if self.form.order is None else bare[self.form.order]
            self.usable = ~bare[self.form.ptr[:-1]] & ~np.isinf(self.form.l2)
        null = nuisance(problem).null_coef
        self.coef, self.intercept = np.zeros((p, t)), np.zeros(t)
        self.coef[problem.free] = null[int(problem.fit_intercept) :]
        if problem.fit_intercept:
            self.intercept[:] = null[0]
        if start is not None:
            self.coef, self.intercept = (np.array(A, dtype=np.float64) for A in start)
            if self.form is not None and self.form.positive:
                np.maximum(self.coef, 0.0, out=self.coef)
        self.iteration = 0

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
            if self.iteration == 0 and not np.isfinite(check.scores).all():
                problem.design.check_finite()
                raise ValueError("the gradient overflows float64; scale X or Y down")
            gap = check.certificate.relative_gap
            status = verdict(check.certificate, settings.tol, eps)
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
            tol = share * settings.tol
            missing = self._descend(check, tol, gap if rounds == 0 else 0.0)
            if not missing:
                share *= 0.1

    def _certify(self) -> Check:
        dtype: Any = self.problem.design.dtype
        return evaluate_task(self.problem, self.coef.astype(dtype), self.intercept.astype(dtype))

    def _outcome(self, check: Check, status: Status) -> Outcome:
        dtype: Any = self.problem.design.dtype
        coef, intercept = self.coef.astype(dtype), self.intercept.astype(dtype)
        dual = lambda: task_dual_point(self.problem, check)  # noqa: E731
        return Outcome(coef, intercept, check.certificate, status, self.iteration, dual)

    def _descend(self, check: Check, tol: float, gap: float) -> bool:
        """Choose blocks and descend on them, one set of coupled columns after the other; whether any block was new."""
        problem, missing = self.problem, False
        if self.form is None:
            goal = tol * problem.null_value
            self.coef, self.intercept = self._descended(problem, self.coef, self.intercept, goal)
            return False
        components = coupled(problem, self.form)
        null = problem.null_value / len(components)
        for low, high in components:
            blocks, any_new, truncated = self._choose(check.scores[:, low:high], self.coef[:, low:high])
            missing |= any_new
            target = max(tol, ROUGH * gap) if truncated else tol
            features, penalty = restrict(self.form, blocks, problem.free)
            part = problem.restricted(features, penalty, low, high)
            W, b = self._descended(
                part, self.coef[features, low:high], self.intercept[low:high], target * null
            )
            self.coef[:, low:high] = 0.0
            self.coef[features, low:high], self.intercept[low:high] = W, b
            if self.settings.monitor.late():
                break
        return missing

    def _descended(self, part: TaskProblem, W: Array, b: Array, tol: float) -> tuple[Array, Array]:
        q, t = W.shape
        late = self.settings.monitor.late
        if not has_small_grams(q, t):
            return accelerated(part, W, tol, late)
        point = prox_newton(part, W, b, self.settings.kernels, tol, late)
        return point.coef, point.intercept

    def _choose(self, V: Array, coef: Array) -> tuple[Array, bool, bool]:
        """Blocks in use or near their bound and the worst violators; whether any is new, and whether some were left out."""
        form = self.form
        if form.order is not None:
            V, coef = V[form.order], coef[form.order]
        shrink = BlockShrink(form.ptr, form.l1, form.l2, np.zeros_like(form.l2), form.positive)
        scores = self.settings.kernels.block_scores(np.ascontiguousarray(V), shrink)
        rows = coef.any(axis=1)
        used = rows if len(form.l2) == len(rows) else np.logical_or.reduceat(rows, form.ptr[:-1])
        kept = (used | (scores > NEAR)) & self.usable
        violators = np.flatnonzero((scores > 1.0) & ~used & self.usable)
        limit = max(int(GROWTH * used.sum()), SMALL)
        truncated = len(violators) > limit
        if truncated:
            kept[violators] = False
            violators = violators[np.argpartition(-scores[violators], limit)[:limit]]
            kept[violators] = True
        return np.flatnonzero(kept), len(violators) > 0, truncated


def coupled(problem: TaskProblem, form: Lowered) -> list[tuple[int, int]]:
    """Ranges of columns that penalty or losses tie together: all of them unless the penalty is a sum over entries."""
    if form.l2[np.isfinite(form.l2)].any():
        return [(0, problem.n_tasks)]
    out = []
    for part in problem.parts:
        if part.loss.joint:
            out.append((part.columns.start, part.columns.stop))
        else:
            out += [(c, c + 1) for c in range(part.columns.start, part.columns.stop)]
    return out
