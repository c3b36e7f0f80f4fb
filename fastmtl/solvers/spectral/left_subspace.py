"""Matrix-free trace norm for n and p both large: exact solves on a growing subspace of left factors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..._arrays import Array
from ..._scaling import check_scores
from ..._status import Status
from ...certificate import Check, evaluate_factored
from ...designs import DenseDesign
from ...problem import Problem
from .._base import InterruptedRun, Outcome, Settings, verdict
from ..working_set import dual_point
from ._eigen import top_eigenpairs
from .data import Data, correlate_centred, data_of, strengths
from .reduced import Reduced, solve_reduced
from .reduction import Reduction, reduce

SQUARE_BYTES = 1 << 31
"""Work memory above which no matrix of order min(n, p) is formed, whatever its use."""
PASSES = 200
"""min(n, p) over t from which some twenty passes over X with 2t columns cost less than its Gram matrix and sytrd
(measured at q = 1500, t = 10: 15 to 75 units of 4npt operations for the passes, 33 for the matrix)."""
SMALLEST = 1000
"""min(n, p) below which the Gram matrix is always cheap."""
NEAR = 0.98
"""Share of alpha above which a singular direction of the gradient is followed."""
INNER_SHARE = 0.1
"""Share of the gap last seen that the restricted solve aims at, between INNER_FLOOR * tol and COARSEST of P(0)."""
INNER_FLOOR = 0.1
COARSEST = 1e-3
CROWDED = 12
"""Columns per unit of rank at which the subspace is compressed to the last few factors."""
KEPT = 4
INDEPENDENT = 1e-10
"""Squared relative length under which a new direction lies in the subspace already."""
STALLED_ROUNDS = 12
WARM_RANK = 1e-7
"""Singular values of a warm start below this share of its largest are not carried over."""


def pays(problem: Problem) -> bool:
    """Whether a problem is solved on a subspace rather than through a matrix of order min(n, p)."""
    q = min(problem.design.shape)
    return 8 * q * q > SQUARE_BYTES or (q >= SMALLEST and q >= PASSES * problem.n_tasks)


@dataclass
class _Subspace:
    """Orthonormal S (p, m) and the centred product `XS` (n, m)."""

    S: Array
    XS: Array

    def compressed(self, combinations: Array) -> _Subspace:
        """The part spanned by `S combinations`; no product with X is needed."""
        Q = np.linalg.qr(combinations)[0]
        return _Subspace(self.S @ Q, self.XS @ Q)


@dataclass(frozen=True)
class LeftSubspace:
    """Trace norm with W = S M: exact on span(S), which grows by what the gradient has outside it.

    The restricted problem has m columns instead of p and is solved exactly through its own reduction. Its polar-corrected
    dual point leaves in the gradient Theta only singular values at most alpha inside span(S), so that what sticks out
    enters the bound squared; the left singular vectors of Theta at alpha, less their part in S, are the new columns. One
    pass over X with t columns and one with as many as were added make an iteration: block-Krylov information, a dozen
    passes where a gradient method takes hundreds.

    References
    ----------
    Hsieh, Olsen (2014), "Nuclear norm minimization via active subspace selection", for the idea of a subspace;
    here it is one-sided, and expanded by residuals.
    """

    settings: Settings

    def run(self, problem: Problem, start: tuple[Array, Array] | None = None) -> Outcome:
        """Solve; `start` holds coefficients (p, t) and intercepts (t,)."""
        return _Run(self.settings, problem).solve(start)


class _Run:
    def __init__(self, settings: Settings, problem: Problem) -> None:
        self.settings, self.problem = settings, problem
        self.data = data_of(problem)
        self.alpha, self.ridge = strengths(problem)
        self.x_mean, self.y_mean = self.data.means()
        centred = self.data.centred
        if centred is None:
            centred = problem.Y if self.y_mean is None else problem.Y - self.y_mean
        self.Y = centred
        self.subspace = _Subspace(np.empty((problem.design.p, 0)), np.empty((problem.design.n, 0)))
        self.best: tuple[Check, tuple[Array, Array], Array] | None = None
        self.recent: list[Array] = []
        self.iteration = 0

    def solve(self, start: tuple[Array, Array] | None) -> Outcome:
        """Run, and keep the best iterate when interrupted."""
        try:
            return self.iterate(start)
        except KeyboardInterrupt:
            if self.best is None:
                empty = np.empty((self.problem.design.p, 0)), np.empty((self.problem.n_tasks, 0))
                self.best = self.certified(*empty, lambda residual: residual)
            raise InterruptedRun(lambda: self.outcome(Status.INTERRUPTED)) from None

    def iterate(self, start: tuple[Array, Array] | None) -> Outcome:
        """Expand, solve on the subspace, certify on the data, repeat."""
        settings, problem = self.settings, self.problem
        if start is not None and np.any(start[0]):
            W = np.asarray(start[0], dtype=np.float64)
            squares, vectors = np.linalg.eigh(W.T @ W)
            self.expand(W @ vectors[:, squares > WARM_RANK**2 * squares[-1]])
        gradient = correlate_centred(self.data, self.Y, self.x_mean)
        check_scores(problem, gradient)
        V, gap, idle, status = None, np.inf, 0, None
        while status is None:
            self.expand(self.outside(gradient, 0 if V is None else V.shape[1]))
            inner, found = self.restricted(gap)
            check, factors, intercept = self.certify(inner, found)
            V = factors[1]
            idle = 0 if check.certificate.relative_gap < 0.9 * gap else idle + 1
            gap = min(gap, check.certificate.relative_gap)
            if self.best is None or check.certificate.gap < self.best[0].certificate.gap:
                self.best = check, factors, intercept
            self.iteration += 1
            stop = settings.monitor(self.iteration, check.certificate, V.shape[1])
            status = verdict(check.certificate, settings.tol, float(np.finfo(problem.design.dtype).eps))
            if status is None and idle >= STALLED_ROUNDS:
                status = Status.STALLED
            if status is None and self.iteration >= settings.max_iter:
                status = Status.MAX_ITER
            status = status or stop
            gradient = check.scores - self.ridge * (factors[0] @ V.T)
            self.compress(found, inner)
        return self.outcome(status)

    def outcome(self, status: Status) -> Outcome:
        """The best iterate."""
        assert self.best is not None
        problem, (check, factors, intercept) = self.problem, self.best
        coef = factors[0] @ factors[1].T
        return Outcome(
            coef,
            intercept,
            check.certificate,
            status,
            self.iteration,
            lambda: dual_point(problem, check),
            factors,
        )

    def outside(self, gradient: Array, rank: int) -> Array:
        """Left singular directions of the gradient near or above alpha: candidates for the subspace, (p, c)."""
        squares, vectors = top_eigenpairs(gradient.T @ gradient, (NEAR * self.alpha) ** 2)
        if rank == 0:
            vectors = vectors[:, squares > self.alpha**2]
        return gradient @ vectors

    def expand(self, columns: Array) -> None:
        """Add what `columns` (p, c) have outside the subspace: one product of X with as many columns."""
        S = self.subspace.S
        lengths = np.linalg.norm(columns, axis=0)
        columns = columns[:, lengths > 0] / lengths[lengths > 0]
        for _ in range(2):
            # Twice is enough for orthogonality to rounding.
            columns = columns - S @ (S.T @ columns)
            squares, P = np.linalg.eigh(columns.T @ columns)
            keep = squares > INDEPENDENT * max(1.0, squares.max(initial=0.0))
            columns = (columns @ P[:, keep]) / np.sqrt(squares[keep])
        if not columns.shape[1]:
            return
        product = self.problem.design.predict(columns)
        if self.x_mean is not None:
            product -= self.x_mean @ columns
        self.subspace = _Subspace(np.hstack((S, columns)), np.hstack((self.subspace.XS, product)))

    def restricted(self, gap: float) -> tuple[Reduction, Reduced]:
        """Solve with W = S M, to a share of the gap that the whole problem had."""
        problem, settings = self.problem, self.settings
        XS = self.subspace.XS
        # Nothing exceeds alpha: a column of zeros stands for the empty subspace.
        design = DenseDesign(XS if XS.shape[1] else np.zeros((len(XS), 1)))
        data = Data(design, self.Y, problem.omega, None, False)
        inner = reduce(data, settings.kernels, ridge=self.ridge, single=False)
        target = max(INNER_FLOOR * settings.tol, min(INNER_SHARE * gap, COARSEST)) * inner.worth
        late = settings.monitor.late
        return inner, solve_reduced(inner.model, inner.to_model(self.alpha), target, interrupted=late)

    def certify(self, inner: Reduction, found: Reduced) -> tuple[Check, tuple[Array, Array], Array]:
        """The certificate of a restricted solution on the whole problem, from the data."""
        small = inner.factors(found.A, found.V)
        S = self.subspace.S
        U = S @ small.U if S.shape[1] else np.zeros((len(S), 0))
        return self.certified(
            U, small.V[:, : U.shape[1]], lambda residual: inner.dual_point(residual, found.bound)
        )

    def certified(
        self, U: Array, V: Array, propose: Callable[[Array], Array]
    ) -> tuple[Check, tuple[Array, Array], Array]:
        """Factors and intercept as they would be returned, with their certificate."""
        problem = self.problem
        dtype = problem.design.dtype
        U, V = U.astype(dtype), V.astype(dtype)
        intercept = np.zeros(len(V)) if self.y_mean is None else self.y_mean - V @ (self.x_mean @ U)
        intercept = intercept.astype(dtype)
        enough = self.settings.tol * problem.null_value
        return evaluate_factored(problem, (U, V), intercept, propose, enough), (U, V), intercept

    def compress(self, found: Reduced, inner: Reduction) -> None:
        """Keep the last few left factors and the last columns when the subspace is crowded."""
        m, rank = self.subspace.S.shape[1], max(1, found.rank)
        self.recent = [np.vstack((c, np.zeros((m - len(c), c.shape[1])))) for c in self.recent[-1:]]
        self.recent.append(inner.factors(found.A, found.V).U if m else np.zeros((0, 0)))
        if m <= CROWDED * rank or m <= (KEPT + 1) * rank:
            return
        last = np.eye(m)[:, -2 * rank :]
        combined = np.hstack([*self.recent, last])
        Q = np.linalg.qr(combined)[0]
        self.subspace = self.subspace.compressed(Q)
        self.recent = [Q.T @ c for c in self.recent]
