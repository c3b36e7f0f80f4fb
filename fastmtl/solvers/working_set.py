"""Working sets over block coordinate descent: certify, choose, sweep, repeat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from fastmtl_kernels._interface import BlockShrink

from .._arrays import Array
from .._scaling import check_scores
from .._status import Status
from .._threads import threads_for
from ..certificate import Check, evaluate, recheck
from ..penalties import Lowered, Penalty
from ..problem import Problem
from ._base import INNER_SHARE, STALL_ROUNDS, InterruptedRun, Outcome, Settings, leaves_zero, verdict
from ._cached import CrossProducts
from ._eased import eased_outcome, is_beneath
from ._forms import GramForm, ResidualForm, gram_pays
from ._gathered import Gathered, places
from ._resident import Resident
from .descend import descend

WHILE_POSITIVE = (*Problem.DATA_ONLY, "free", "sign_free", "unpenalised", "basis")
"""What a problem has computed that is the same at every strength of its penalty but zero."""
MAX_EPOCHS = 20_000
NEAR = 0.99
GROWTH = 2.0
FEW_ENTRIES = 1_000_000
"""Size of X up to which everything is cheap."""
ROUGH = 0.03
"""Share of the global gap that a working set is solved to while it is still growing..."""
ROUGH_CHEAP = 1e-6
"""...and where sweeps over it cost next to nothing."""
LARGE_SHARE = 0.9
"""Share of the tolerance left to a working set on which further epochs cost more than another look at all features."""
TINY = 20_000
"""Size p * max(n, p) up to which one descent on all columns is cheaper than choosing among them."""


@dataclass(frozen=True)
class WorkingSet:
    """Squared loss on a shared design with a block-separable penalty.

    Every outer iteration certifies the current coefficients on all the data, which also gives the score of every block;
    adds the blocks whose score exceeds their bound, the worst first; and descends on the problem restricted to them.

    References
    ----------
    Boisbunon, Flamary, Rakotomamonjy (2014), "Active set strategy for high-dimensional non-convex sparse optimization
    problems"; Massias, Gramfort, Salmon (2018), "Celer". Gap-safe spheres (Ndiaye et al. 2017) are left out: at the gaps met
    before the last descent they rule out hardly a feature that the scores had not left outside already.
    """

    settings: Settings

    def run(self, problem: Problem, start: tuple[Array, Array] | None = None) -> Outcome:
        """Solve; `start` holds coefficients (p, t) and intercepts (t,)."""
        outcome = self._run(problem, start)
        return self._eased(problem, outcome) if outcome.status is Status.STALLED else outcome

    def _eased(self, problem: Problem, stalled: Outcome) -> Outcome:
        return eased_outcome(problem, stalled, self._run, dual_point, self.settings.tol)

    def _run(self, problem: Problem, start: tuple[Array, Array] | None) -> Outcome:
        rotation = task_rotation(problem)
        if rotation is None:
            return _Run(self.settings, problem, start).solve()
        small, Q = rotation
        inner = None if start is None else (start[0] @ Q, start[1] @ Q)
        found = _Run(self.settings, small, inner).solve()
        rows, coef, intercept = _rotated_back(found, Q)
        check = evaluate(problem, coef, intercept, rows)
        status = found.status
        if found.status.converged:
            eps = float(np.finfo(problem.design.dtype).eps)
            status = verdict(check.certificate, self.settings.tol, eps) or Status.STALLED
        full = np.zeros((problem.design.p, problem.n_tasks), dtype=coef.dtype)
        full[rows] = coef
        return Outcome(
            full,
            intercept,
            check.certificate,
            status,
            found.n_iter,
            lambda: dual_point(problem, check),
            rows=rows,
        )

    def run_path(
        self, problem: Problem, penalties: Iterable[Penalty], start: tuple[Array, Array] | None = None
    ) -> Iterator[Outcome]:
        """Solve for one penalty after the other, each from the last, sharing all that depends on the data alone.

        With more tasks than samples the outcomes are certified on the rotated problem, which has the same optimum.
        """
        rotation = task_rotation(problem)
        Q = None
        if rotation is not None:
            problem, Q = rotation
            start = None if start is None else (start[0] @ Q, start[1] @ Q)
        run = None
        for penalty in penalties:
            # At alpha = 0 every feature is unpenalised: another problem, which only takes over the coefficients.
            if run is None or (penalty.alpha == 0) != (run.problem.penalty.alpha == 0):
                run = _Run(self.settings, replace(problem, penalty=penalty), start, caching=True)
            else:
                run.strengthen(penalty)
            outcome = run.solve()
            if outcome.status is Status.STALLED:
                outcome = self._eased(run.problem, outcome)
            start = (outcome.coef, outcome.intercept)
            if Q is not None:
                rows, coef, intercept = _rotated_back(outcome, Q)
                full = np.zeros((problem.design.p, len(Q)), dtype=coef.dtype)
                full[rows] = coef
                outcome = replace(outcome, coef=full, intercept=intercept, dual=None, rows=rows)
            yield outcome


def task_rotation(problem: Problem) -> tuple[Problem, Array] | None:
    """The same problem on the row space of Y when there are more tasks than samples: `Y = L Q'`, W -> W Q."""
    n, t = problem.Y.shape
    if t <= n or not problem.penalty.is_rotation_invariant:
        return None
    Q, R = np.linalg.qr(problem.Y.T)
    return replace(problem, Y=np.ascontiguousarray(R.T)), Q


def _rotated_back(found: Outcome, Q: Array) -> tuple[Array, Array, Array]:
    """Active rows, their coefficients and the intercepts of an outcome in the tasks as given."""
    rows, dtype = found.support, found.coef.dtype
    return (
        rows,
        (found.coef[rows] @ Q.T).astype(dtype, copy=False),
        (found.intercept @ Q.T).astype(dtype, copy=False),
    )


def dual_point(problem: Problem, check: Check) -> Array:
    """The dual point theta (n, t) behind a bound, in the units of the residual."""
    theta = check.bound.scale * np.asarray(check.direction)
    if problem.root is None:
        return theta
    return np.divide(theta, problem.root, out=np.zeros_like(theta), where=problem.root > 0)


class _Run:
    """One run: the iterate and what is kept between outer iterations."""

    def __init__(
        self,
        settings: Settings,
        problem: Problem,
        start: tuple[Array, Array] | None,
        *,
        caching: bool = False,
    ) -> None:
        self.caching, self.cache, self.known, self.met = caching, None, None, False
        self.before = self.last = None
        self.rule = 1.0
        self.settings, self.problem, self.kernels = settings, problem, settings.kernels
        p, t = problem.design.p, problem.n_tasks
        self.form: Lowered = problem.penalty.lower(p)  # type: ignore[assignment]
        self.usable = self._usable()
        self.n_usable = int(self.usable.sum())
        self._select(np.empty(0, dtype=np.int64))
        self.coef = np.zeros((0, t))
        self.free_coef = np.zeros((len(problem.free), t))
        self.intercept = np.zeros(t)
        self.iteration = 0
        self.gathered, self.resident = Gathered(problem), Resident.of(problem)
        self._refit_unpenalised()
        if start is not None:
            self._warm(*start)

    def _usable(self) -> Array:
        """Mask of blocks that may enter a working set: not excluded, nor eliminated as unpenalised."""
        form = self.form
        free = np.zeros(self.problem.design.p, dtype=bool)
        free[self.problem.free] = True
        free = free if form.order is None else free[form.order]
        return ~free[form.ptr[:-1]] & ~np.isinf(form.l2)

    def _warm(self, coef: Array, intercept: Array) -> None:
        coef = np.asarray(coef, dtype=np.float64)
        arranged = coef if self.form.order is None else coef[self.form.order]
        used = np.add.reduceat(arranged.any(axis=1), self.form.ptr[:-1]) > 0
        self._select(np.flatnonzero(used & self.usable))
        self.coef = coef[self.rows].copy()
        if self.form.positive:
            np.maximum(self.coef, 0.0, out=self.coef)
        self.gathered.select(self.rows)
        self._refit_unpenalised()

    def strengthen(self, penalty: Penalty) -> None:
        """Move to another strength of the same penalty, keeping the iterate and everything known about it.

        The sequential strong rule (Tibshirani et al. 2012) lets in the blocks whose score may pass the bound if scores move
        no faster than the strength; where they are so many that sweeps over them cost more than another look at all features,
        those above the bound come first.
        """
        before = self.problem
        kept = {name: before.__dict__[name] for name in WHILE_POSITIVE if name in before.__dict__}
        self.problem = replace(before, penalty=penalty)
        self.problem.__dict__.update(kept)
        self.form = penalty.lower(before.design.p)  # type: ignore[assignment]
        self.gathered.problem = self.problem
        self.rule = (
            max(0.5, min(1.0, 2.0 - (before.penalty.alpha or 0.0) / penalty.alpha)) if penalty.alpha else 1.0
        )
        self.iteration = 0
        self.before, self.last = self.last, (self.rows, self.coef)
        if self.known is not None:
            rows, coef, _ = self._as_returned()
            self.known = recheck(self.problem, self.known, coef, rows)

    def solve(self) -> Outcome:
        """Run, and keep the best iterate when interrupted."""
        try:
            return self._iterate()
        except KeyboardInterrupt:
            raise InterruptedRun(self._best_so_far) from None

    def _best_so_far(self) -> Outcome:
        """The coefficients of the last finished outer iteration, certified."""
        return self._outcome(self._certify(), Status.INTERRUPTED, self.iteration)

    def _iterate(self) -> Outcome:
        """Certify, choose, descend, repeat."""
        settings, problem = self.settings, self.problem
        eps = float(np.finfo(problem.design.dtype).eps)
        best, rounds, strictness = np.inf, 0, 1.0
        while True:
            check = self._certify()
            if not self.met:
                check_scores(problem, check.scores)
                self.met = True
            gap = check.certificate.relative_gap
            n_active = int(self.coef.any(axis=1).sum()) + len(problem.free)
            status = verdict(check.certificate, settings.tol, eps)
            if status and self.iteration == 0 < settings.max_iter and not self.coef.any():
                status = None if leaves_zero(problem, check) else status
            stop = settings.monitor(self.iteration, check.certificate, n_active)
            rounds = 0 if gap < 0.9 * best else rounds + 1
            best = min(best, gap)
            if status is None and self.iteration >= settings.max_iter:
                status = Status.MAX_ITER
            if status is None and self.iteration == 0 and not self.coef.any():
                status = Status.STALLED if is_beneath(problem, self._scores(check)) else None
            if status is None and rounds >= STALL_ROUNDS:
                status = Status.STALLED
            status = status or stop
            if status is not None:
                self.known = check if self.caching else None
                return self._outcome(check, status, self.iteration)
            self.iteration += 1
            if not self._choose(check):
                strictness *= 0.1
            cheap = self._is_cheap(len(self.rows))
            target = strictness * settings.tol * (INNER_SHARE if cheap else LARGE_SHARE)
            if rounds == 0 and len(self.blocks) < self.n_usable:
                # Features are still missing: a rough answer will do.
                target = max(target, gap * (ROUGH_CHEAP if cheap else ROUGH))
            self._descend(check, target * problem.null_value / problem.unit)

    def _certify(self) -> Check:
        """Gap of the current coefficients, as they would be returned; from cached products where a path has them."""
        if self.known is not None:
            check, self.known = self.known, None
            return check
        rows, coef, intercept = self._as_returned()
        penalised = rows[: len(rows) - len(self.problem.free)]
        if self.cache is not None and self.cache.holds(penalised):
            return self.cache.check(self.problem, penalised, coef[: len(penalised)].astype(np.float64))
        there = None if self.resident is None else self.resident.check(self.problem, coef, intercept, rows)
        check = there or evaluate(self.problem, coef, intercept, rows)
        if self.caching and self.cache is None and not coef.any() and self.gathered.data is not None:
            target = problem_target(self.problem)
            self.cache = CrossProducts(self.problem, self.gathered, check.scores, target)
        return check

    def _as_returned(self) -> tuple[Array, Array, Array]:
        dtype = self.problem.design.dtype
        active = self.coef.any(axis=1)
        rows = np.concatenate([self.rows[active], self.problem.free])
        coef = np.concatenate([self.coef[active], self.free_coef]).astype(dtype, copy=False)
        return rows, coef, self.intercept.astype(dtype, copy=False)

    def _outcome(self, check: Check, status: Status, iteration: int) -> Outcome:
        rows, values, intercept = self._as_returned()
        coef = np.zeros((self.problem.design.p, self.problem.n_tasks), dtype=self.problem.design.dtype)
        coef[rows] = values
        problem = self.problem
        dual = None if check.direction is None else lambda: dual_point(problem, check)
        return Outcome(coef, intercept, check.certificate, status, iteration, dual, rows=rows)

    def _choose(self, check: Check) -> bool:
        """Next working set: the active blocks, those near their bound, and the worst violators; whether any is new."""
        scores = self._scores(check)
        inside = np.zeros(len(scores), dtype=bool)
        inside[self.blocks] = True
        starts = np.searchsorted(self._block_of_row, self.blocks)
        used = (
            np.add.reduceat(self.coef.any(axis=1), starts) > 0
            if len(self.blocks)
            else np.zeros(0, dtype=bool)
        )
        violators = np.flatnonzero((scores > self.rule) & ~inside)
        if self.rule < 1.0 and not self._is_cheap(int(used.sum()) + len(violators)):
            violators = violators[scores[violators] > 1.0]
        self.rule = 1.0
        limit = max(int(GROWTH * used.sum()), self._first_size() * len(scores) // self.problem.design.p)
        if len(scores) * max(self.problem.design.n, len(scores)) <= TINY:
            violators = np.flatnonzero(self.usable & ~inside)
            limit = len(scores)
        if len(violators) > limit:
            violators = violators[np.argpartition(-scores[violators], limit)[:limit]]
        kept = self.blocks[used | (scores[self.blocks] > NEAR)]
        self._move(np.sort(np.concatenate([kept, violators])))
        return len(violators) > 0

    def _scores(self, check: Check) -> Array:
        """How far each block is from its bound: above 1 it must leave zero; 0 where it may not."""
        form = self.form
        if check.norms is not None:
            held = self.usable & (check.norms > 0)
            return np.divide(check.norms, form.bounds, out=np.zeros_like(check.norms), where=held)
        V = check.scores if form.order is None else check.scores[form.order]
        shrink = BlockShrink(form.ptr, form.l1, form.l2, np.zeros_like(form.l2), form.positive)
        return np.where(self.usable, self.kernels.block_scores(V, shrink), 0.0)

    def _first_size(self) -> int:
        """So many blocks that their Gram matrix costs a tenth of one product with X (which no t < 8 makes cheaper)."""
        return max(20, int(np.sqrt(0.2 * self.problem.design.p * max(self.problem.n_tasks, 8))))

    def _is_cheap(self, s: int) -> bool:
        """Whether a thorough descent on s features costs less than one product with X, or next to nothing."""
        n, p = self.problem.design.shape
        return 8 * s * s <= FEW_ENTRIES if n * p <= FEW_ENTRIES else 8 * s * s <= n * p and 20 * s <= p

    def _move(self, blocks: Array) -> None:
        """Move to another working set, coefficients carried over."""
        before = self.rows, self.coef
        self._select(blocks)
        self.coef = self._here(*before)

    def _here(self, rows: Array, coef: Array) -> Array:
        """Coefficients of the working set when those of other `rows` are given."""
        fresh, kept = places(rows, self.rows, self.problem.design.p)
        out = np.zeros((len(self.rows), self.problem.n_tasks))
        out[~fresh] = coef[kept]
        return out

    def _select(self, blocks: Array) -> None:
        ptr = self.form.ptr
        sizes = ptr[blocks + 1] - ptr[blocks]
        places = np.repeat(ptr[blocks], sizes) + _ranges(sizes)
        self.blocks = blocks
        self.rows = places if self.form.order is None else self.form.order[places]
        self._block_of_row = np.repeat(blocks, sizes)
        self._places = places

    def _shrink(self) -> BlockShrink:
        """The penalty on the working set, over the common weight of the loss."""
        form, unit = self.form, self.problem.unit
        sizes = form.ptr[self.blocks + 1] - form.ptr[self.blocks]
        ptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        l1, l2 = form.l1[self._places] / unit, form.l2[self.blocks] / unit
        if self.problem.n_tasks == 1 and len(l1) == len(l2):
            # One task, single rows: |w|_1 and |w|_2 are the same number, and the norm form has the second-order finish.
            l1, l2 = np.zeros_like(l1), l1 + l2
        return BlockShrink(ptr, l1, l2, form.ridge[self.blocks] / unit, form.positive)

    def _descend(self, check: Check, tol: float) -> None:
        if not len(self.rows):
            return
        self.gathered.select(self.rows)
        form = self._restricted(check)
        with threads_for(form.call_flops):
            descend(form, tol, MAX_EPOCHS, self.settings.monitor.late, self._guess())
        self.coef = np.ascontiguousarray(form.coef)
        self._prune(form)
        self._refit_unpenalised()

    def _prune(self, form: GramForm | ResidualForm) -> None:
        """Set rows to zero whose part of the fit, `|x_j| |w_j|`, is rounding of the targets."""
        parts = np.einsum("ij,ij->i", self.coef, self.coef) * form.sq_lengths()
        self.coef[parts <= (8.0 * np.finfo(np.float64).eps) ** 2 * 2.0 * form.constant] = 0.0

    def _restricted(self, check: Check) -> GramForm | ResidualForm:
        """The problem on the working set, in the form that costs less."""
        problem, shrink, target = self.problem, self._shrink(), problem_target(self.problem)
        data, s = self.gathered.data, len(self.rows)
        if self.cache is not None and not self.cache.hold(problem, self.rows, check.scores):
            self.cache = None
        active = max(int(self.coef.any(axis=1).sum()), s // 2)
        if self.cache is not None:
            gram = self.cache.gram(self.rows)
        elif data is None or gram_pays(
            problem.design.n, s, self.gathered.n_new_in_gram(), active, problem.n_tasks
        ):
            gram = self.gathered.gram()
        else:
            residual = target - data.T @ self.coef if check.residual is None else check.residual
            return ResidualForm(self.kernels, data, target, residual, self.coef, shrink)
        gradient = check.scores[self.rows] / problem.unit
        return GramForm(self.kernels, gram, gradient, self.coef, 0.5 * float(np.vdot(target, target)), shrink)

    def _guess(self) -> Array | None:
        """Where the coefficients would be if they moved on along the path as they moved last."""
        before, self.before = self.before, None
        if before is None:
            return None
        guess = 2.0 * self.coef - self._here(*before)
        guess[~self.coef.any(axis=1)] = 0.0
        return guess

    def _refit_unpenalised(self) -> None:
        """Intercept and free coefficients that are optimal beside the penalised ones."""
        problem = self.problem
        if problem.null_value == 0.0:
            # Nothing but rounding is left to explain: W = 0 is the answer.
            self.intercept = np.average(
                problem.Y, axis=0, weights=np.broadcast_to(problem.omega, len(problem.Y))
            )
            self.intercept *= problem.fit_intercept
            return
        fitted = self.gathered.unpenalised_fit(self.coef)
        if self.problem.fit_intercept:
            self.intercept, fitted = fitted[0], fitted[1:]
        self.free_coef = fitted


def problem_target(problem: Problem) -> Array:
    """Weighted targets with the span of every unpenalised column taken out."""
    from ..problem import project_off

    return project_off(problem.target, problem.basis) if len(problem.free) else problem.target


def _ranges(sizes: Array) -> Array:
    """`0..size-1` for every size, concatenated."""
    ends = np.cumsum(sizes)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - sizes, sizes)
