"""The trace-norm solver behind the common door: reduce, solve, certify on the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..._arrays import Array
from ..._scaling import check_columns, exponent_of
from ..._status import Status
from ...certificate import Bound as DualBound
from ...certificate import Certificate, evaluate
from ...easing import evaluate_eased
from ...penalties import Trace
from ...problem import Problem
from .._base import InterruptedRun, Outcome, Settings, verdict
from ..working_set import dual_point
from .data import data_of, strengths
from .mixed import Judged, judge, solve_judged
from .model import orthogonalise
from .omega_newton import no_steps
from .polar import solve_normal
from .reduced import Reduced, solve_surely, warm_start
from .reduction import Factors, Reduction, reduce
from .thin_certificate import certificate_of

SHARE = 0.5
"""Share of the tolerance that the reduced gap may use up: what is left covers rounding on the way to the data."""
EASED = 2.0**-40
"""Strength over the norm of X'Y below which it is rounding (see `fastmtl.easing`)."""
FLOOR = 1e-14
"""Relative gap below which the reduced certificate is rounding."""
ROUNDING = 64.0
"""Allowance, in units of eps |Y~|^2, for the rounding of a gap that was computed in reduced coordinates only."""
WARM_RANK = 1e-7
"""Singular values of a warm start below this share of its largest are not carried over."""


@dataclass(frozen=True)
class Spectral:
    """Trace norm with squared loss on a shared design.

    The data are read once, into min(n, p) x min(n, p) and min(n, p) x t matrices; everything after that is independent
    of max(n, p), but for the map back and the certificate, which is computed from the data again.
    """

    settings: Settings

    def run(self, problem: Problem, start: tuple[Array, Array] | None = None) -> Outcome:
        """Solve; `start` holds coefficients (p, t) and intercepts (t,)."""
        if problem.null_value == 0.0:
            return self._zero(problem, Status.OPTIMAL)
        try:
            reduction = self._reduce(problem)
            outcome = self._solve(problem, reduction, start)
            if outcome is None:
                reduction = self._reduce(problem, single=False)
                outcome = self._solve(problem, reduction, start)
        except InterruptedRun:
            raise
        except KeyboardInterrupt:
            raise InterruptedRun(lambda: self._zero(problem, Status.INTERRUPTED)) from None
        assert outcome is not None
        return outcome

    def _reduce(self, problem: Problem, single: bool | None = None) -> Reduction:
        reduction = reduce(
            data_of(problem), self.settings.kernels, ridge=strengths(problem)[1], single=single
        )
        diagonal, target = reduction.model.diagonal, reduction.model.target
        is_finite = np.isfinite(diagonal).all() and np.isfinite(target).all()
        if not is_finite or not diagonal.any() or exponent_of(reduction.x_unit, problem.design.dtype):
            check_columns(problem)
        if not is_finite:
            raise ValueError("X'X or X'Y overflows float64; scale X or Y down")
        return reduction

    def _solve(
        self, problem: Problem, reduction: Reduction, start: tuple[Array, Array] | None
    ) -> Outcome | None:
        """One reduction, solved; None when its float32 model is too coarse."""
        settings = self.settings
        alpha = reduction.to_model(strengths(problem)[0])
        if self._is_rounding(reduction, alpha):
            return self._unpenalised(problem, reduction)
        watch = Watch(settings, reduction)
        V = None if start is None else right_factor(reduction, start[0])
        try:
            judged = solve_judged(
                problem,
                reduction,
                alpha,
                self._target(reduction),
                self._enough(problem),
                start=V,
                monitor=watch,
                interrupted=settings.monitor.late,
            )
            return None if judged is None else self._outcome(problem, judged, watch.status)
        except KeyboardInterrupt:
            best = watch.best
            if best is None:
                raise
            raise InterruptedRun(
                lambda: self._outcome(problem, self._judge(problem, reduction, best), Status.INTERRUPTED)
            ) from None

    def run_path(
        self, problem: Problem, penalties: Sequence[Trace], start: tuple[Array, Array] | None = None
    ) -> Iterator[Outcome]:
        """Solve at decreasing strengths on one reduction of the data, each from the last.

        The first and the last outcome are certified on the data; those between carry the gap of the reduced problem with
        an allowance for rounding, and no dual point.
        """
        if problem.null_value == 0.0:
            yield from (
                self._zero(replace_penalty(problem, penalty), Status.OPTIMAL) for penalty in penalties
            )
            return
        reduction = self._reduce(problem, single=False)
        previous: Reduced | None = None
        for i, penalty in enumerate(penalties):
            at = replace_penalty(problem, penalty)
            alpha = reduction.to_model(strengths(at)[0])
            if self._is_rounding(reduction, alpha):
                yield self._unpenalised(at, reduction)
                continue
            V, near = None, None
            if previous is not None:
                V, near = warm_start(reduction.model, alpha, previous)
            elif start is not None:
                V = right_factor(reduction, start[0])
            watch = Watch(self.settings, reduction)
            is_last = i == len(penalties) - 1
            previous = solve_surely(
                reduction.model, alpha, self._target(reduction), start=V, near=near, monitor=watch,
                spare=reduction.spare_steps if is_last else no_steps, interrupted=self.settings.monitor.late,
            )  # fmt: skip
            if i == 0 or is_last or not previous.finished:
                yield self._outcome(at, self._judge(at, reduction, previous), watch.status)
            else:
                yield self._reduced_outcome(at, reduction, previous)

    def _is_rounding(self, reduction: Reduction, alpha: float) -> bool:
        """Whether a strength is nothing beside the scores at zero."""
        below = alpha <= EASED * float(np.linalg.norm(reduction.model.target))
        return alpha == 0.0 or (below and not reduction.model.ridge)

    def _target(self, reduction: Reduction) -> float:
        """Absolute gap asked of the reduced solver."""
        return max(SHARE * self.settings.tol, FLOOR) * reduction.worth

    def _reduced_outcome(self, problem: Problem, reduction: Reduction, found: Reduced) -> Outcome:
        factors = as_returned(problem, reduction.factors(found.A, found.V))
        scale = reduction.y_unit**2
        primal, gap = scale * found.bound.primal, scale * max(found.bound.gap, 0.0)
        allowance = ROUNDING * float(np.finfo(np.float64).eps) * scale * reduction.model.total
        bound = DualBound(primal - gap, found.bound.scale, np.nan, np.nan, 0.0)
        certificate = certificate_of(problem, primal, bound, is_zero=not found.rank, allowance=allowance)
        status = (
            verdict(certificate, self.settings.tol, float(np.finfo(problem.design.dtype).eps))
            or Status.STALLED
        )
        pair = (factors.U, factors.V)
        return Outcome(pair[0] @ pair[1].T, factors.intercept, certificate, status, found.rounds, None, pair)

    def _enough(self, problem: Problem) -> float:
        """Absolute gap asked of the certificate on the data."""
        return self.settings.tol * problem.null_value

    def _judge(self, problem: Problem, reduction: Reduction, found: Reduced) -> Judged:
        return judge(problem, reduction, found, self._enough(problem))

    def _outcome(self, problem: Problem, judged: Judged, stopped: Status | None) -> Outcome:
        """The outcome in the dtype that coefficients are returned in, certified as they are returned."""
        thin, factors = judged.thin, as_returned(problem, judged.factors)
        coef = factors.U @ factors.V.T
        if coef.dtype == np.float64:
            certificate, dual = thin.certificate, lambda: thin.dual_point(problem)
        else:
            # The product is rounded to float32: that is what is returned, so that is what is certified.
            check = evaluate(problem, coef, factors.intercept, candidate=thin.dual_point(problem))
            certificate, dual = check.certificate, lambda: dual_point(problem, check)
        eps = float(np.finfo(problem.design.dtype).eps)
        status = verdict(certificate, self.settings.tol, eps) or stopped or Status.STALLED
        pair = (factors.U, factors.V)
        return Outcome(coef, factors.intercept, certificate, status, judged.found.rounds, dual, pair)

    def _unpenalised(self, problem: Problem, reduction: Reduction) -> Outcome:
        """Ridge regression, or least squares of least norm: `(T + ridge) A = B`, V = I."""
        A = solve_normal(reduction.model, reduction.model.target)
        factors = as_returned(problem, reduction.factors(A, np.eye(A.shape[1])))
        coef = factors.U @ factors.V.T
        easier = (
            problem
            if not problem.penalty.alpha
            else replace_penalty(problem, problem.penalty.with_alpha(0.0))
        )
        check = evaluate_eased(problem, easier, coef, factors.intercept)
        eps = float(np.finfo(problem.design.dtype).eps)
        status = verdict(check.certificate, self.settings.tol, eps) or Status.STALLED
        dual = lambda: dual_point(problem, check)  # noqa: E731
        return Outcome(coef, factors.intercept, check.certificate, status, 1, dual, (factors.U, factors.V))

    def _zero(self, problem: Problem, status: Status) -> Outcome:
        shape = (problem.design.p, problem.n_tasks)
        dtype = problem.design.dtype
        intercept = np.zeros(shape[1])
        if problem.fit_intercept:
            weights = np.broadcast_to(problem.omega, (problem.design.n,))
            intercept = weights @ problem.Y / weights.sum()
        coef, intercept = np.zeros(shape, dtype), intercept.astype(dtype)
        check = evaluate(problem, coef, intercept)
        empty = (np.zeros((shape[0], 0), dtype), np.zeros((shape[1], 0), dtype))
        return Outcome(
            coef, intercept, check.certificate, status, 0, lambda: dual_point(problem, check), empty
        )


class Watch:
    """Translates rounds of the reduced solver for the run's monitor, and remembers what it answered."""

    def __init__(self, settings: Settings, reduction: Reduction) -> None:
        self.settings, self.worth, self.iteration = settings, reduction.worth, 0
        self.scale = reduction.y_unit**2
        self.status: Status | None = None
        self.best: Reduced | None = None

    def __call__(self, found: Reduced) -> bool:
        self.iteration, self.best = self.iteration + 1, found
        gap = found.bound.gap
        certificate = Certificate(np.nan, np.nan, gap * self.scale, gap / self.worth)
        self.status = self.settings.monitor(self.iteration, certificate, found.rank)
        if self.status is None and self.iteration >= self.settings.max_iter:
            self.status = Status.MAX_ITER
        return self.status is not None


def as_returned(problem: Problem, factors: Factors) -> Factors:
    """Factors in the dtype that coefficients are returned in."""
    dtype = problem.design.dtype
    return Factors(*(np.ascontiguousarray(M, dtype=dtype) for M in (factors.U, factors.V, factors.intercept)))


def replace_penalty(problem: Problem, penalty: Trace) -> Problem:
    """The same data under another penalty; what was computed from the data alone is kept."""
    out = replace(problem, penalty=penalty)
    for name in ("root", "intercept_basis", "target", "null_value"):
        if name in problem.__dict__:
            out.__dict__[name] = problem.__dict__[name]
    return out


def right_factor(reduction: Reduction, coef: Array) -> Array | None:
    """A start for the model from coefficients W: their right singular vectors times the roots of their values."""
    W = np.asarray(coef, dtype=np.float64)
    if reduction.task_basis is not None:
        W = W @ reduction.task_basis
    W = W * (reduction.x_unit / reduction.y_unit)
    squares, vectors = np.linalg.eigh(W.T @ W)
    keep = squares > WARM_RANK**2 * squares[-1]
    if squares[-1] <= 0.0 or not np.isfinite(squares[-1]):
        return None
    V = reduction.model.from_task_units(vectors[:, keep] * squares[keep] ** 0.25)
    return np.ascontiguousarray(orthogonalise(V)[0])
