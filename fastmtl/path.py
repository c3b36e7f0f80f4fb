"""Fits along a decreasing sequence of strengths, each started from the last."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from operator import index
from typing import Any, NamedTuple, SupportsIndex, overload

import numpy as np

from ._archive import reading
from ._door import Opened, open_problem
from ._library_result import LibraryFitResult
from ._progress import progress_bar
from ._run import as_representable, as_result, as_start, check_controls, problem_alpha_max, served
from ._settings import check_count, check_number
from ._status import ConvergenceWarning, FitInterrupted, Status
from ._threads import limit_threads
from .certificate import Certificate
from .penalties import Penalty
from .result import FitResult, read_archive, write_archive
from .solvers import InterruptedRun, Monitor, Outcome, Settings, choose
from .solvers._base import verdict
from .task_certificate import check_point
from .task_problem import TaskProblem

SLACK = 1.1
"""Times the tolerance up to which the last certificate of a path may come out on the data: rounding of what was shared."""


@dataclass(frozen=True, eq=False)
class PathResult:
    """Fits along a path, the active rows of each stored.

    Attributes
    ----------
    alphas : ndarray of shape (A,)
        Strengths, decreasing (along slices that go backwards, increasing).
    intercepts : ndarray of shape (A, t)
    certificates : tuple of Certificate
        One an alpha; the first and the last come from the data, those between may come from cached cross-products with an
        allowance for rounding added to the gap.
    statuses : tuple of Status
    fits : tuple of FitResult
        As `path[i]` returns them, coefficients replaced by their active rows, in host memory.
    library : str or None
        Name of the library of a device X; `path[i]` puts its arrays there.
    """

    alphas: np.ndarray
    n_features: int
    rows: tuple[np.ndarray, ...]
    fits: tuple[FitResult, ...]
    library: str | None = None

    @property
    def intercepts(self) -> np.ndarray:
        """Intercepts (A, t)."""
        return np.stack([fit.intercept for fit in self.fits])

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """Certificates, one an alpha."""
        return tuple(fit.certificate for fit in self.fits)

    @property
    def statuses(self) -> tuple[Status, ...]:
        """Statuses, one an alpha."""
        return tuple(fit.status for fit in self.fits)

    @property
    def coefs(self) -> np.ndarray:
        """Coefficients as one dense array (A, p, t)."""
        return np.stack([self._in_host_memory(i).coef for i in range(len(self))])

    @property
    def n_active(self) -> np.ndarray:
        """Number of active rows, one an alpha."""
        return np.array([len(rows) for rows in self.rows])

    def __len__(self) -> int:
        return len(self.alphas)

    @overload
    def __getitem__(self, i: SupportsIndex) -> FitResult: ...

    @overload
    def __getitem__(self, i: slice) -> PathResult: ...

    def __getitem__(self, i: SupportsIndex | slice) -> FitResult | PathResult:
        """The fit at place i, from the end when i is negative; for a slice the path of its strengths.

        Raises
        ------
        IndexError
            No such place.
        TypeError
            Neither a whole number nor a slice.
        """
        if isinstance(i, slice):
            return replace(self, alphas=self.alphas[i], rows=self.rows[i], fits=self.fits[i])
        if not hasattr(i, "__index__") or isinstance(i, np.ndarray):
            raise TypeError(
                f"path[{i!r}] is no fit; a place from 0 to {len(self) - 1} or a slice was expected"
            )
        if not -len(self) <= (at := index(i)) < len(self):
            raise IndexError(f"path[{at}] is out of range; the path has {len(self)} alphas")
        fit = self._in_host_memory(at)
        return fit if self.library is None else LibraryFitResult.of(fit, self.library)

    def _in_host_memory(self, i: int) -> FitResult:
        packed = self.fits[i]
        if packed.low_rank is not None:
            return packed
        coef = np.zeros((self.n_features, packed.coef.shape[1]), dtype=packed.coef.dtype)
        coef[self.rows[i]] = packed.coef
        return replace(packed, coef=coef)

    def __iter__(self) -> Iterator[FitResult]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        if not len(self):
            return "PathResult: no alpha"
        worst = max(c.relative_gap for c in self.certificates)
        return (
            f"PathResult: {len(self)} alphas from {self.alphas[0]:.4g} to {self.alphas[-1]:.4g}, "
            f"{self.n_active[0]} to {self.n_active[-1]} active rows, largest relative gap {worst:.2e}"
        )

    def save(self, path: Any) -> None:
        """Write the path to an `.npz` file without pickled objects."""
        write_archive(
            path,
            "PathResult",
            {"alphas": self.alphas, "n_features": np.array(self.n_features)},
            self.fits,
            self.rows,
        )

    @classmethod
    def load(cls, path: Any) -> PathResult:
        """Read a path written by `save`.

        Raises
        ------
        ValueError
            The file is damaged, or holds something else.
        OSError
            The file is not there, or may not be read.
        """
        arrays, fits, rows = read_archive(path, "PathResult")
        with reading(path):
            return cls(arrays["alphas"], int(arrays["n_features"]), rows, fits)


def fit_path(
    X: Any,
    Y: Any,
    penalty: str | Penalty = "l21",
    *,
    alpha: float | None = None,
    alphas: Any = None,
    n_alphas: int = 100,
    eps: float = 1e-2,
    loss: Any = "squared",
    sample_weight: Any = None,
    task_weight: Any = None,
    offset: Any = None,
    task: Any = None,
    fit_intercept: bool = True,
    standardize: bool = False,
    scale: str = "mean",
    solver: str = "auto",
    backend: str = "auto",
    tol: float = 1e-6,
    max_iter: int = 1000,
    n_threads: int | None = None,
    warm_start: Any = None,
    time_limit: float | None = None,
    callback: Callable[[dict[str, Any]], Any] | None = None,
    verbose: bool = False,
) -> PathResult:
    """Fit at a decreasing sequence of strengths, each warm-started from the last and certified.

    Parameters
    ----------
    alphas : array of shape (A,), optional
        Strengths; sorted into decreasing order. Left out, `n_alphas` values from alpha_max down to `eps * alpha_max`,
        evenly spaced in the logarithm.
    n_alphas : int
    eps : float
        In (0, 1).
    X, Y, penalty, alpha, loss, sample_weight, task_weight, offset, task, fit_intercept, standardize, scale
        The problem, as in `fit`; its one alpha is ignored in favour of `alphas`.
    solver, backend, tol, max_iter, n_threads, warm_start, time_limit, callback, verbose
        The run, as in `fit`; `time_limit` is for the whole path, which then ends early.

    Returns
    -------
    PathResult

    Raises
    ------
    ValueError, TypeError
        Bad input, naming the argument.
    RuntimeError
        A `backend="gpu"` that cannot be met.
    FitInterrupted
        Ctrl-C, with `.path` holding the alphas finished so far.

    Warns
    -----
    ConvergenceWarning
        Some gap is above `tol`, or the time limit cut the path short.

    References
    ----------
    Friedman, Hastie, Tibshirani (2010), "Regularization paths for generalized linear models via coordinate descent";
    Tibshirani et al. (2012), "Strong rules for discarding predictors in lasso-type problems".
    """
    started = time.perf_counter()
    check_controls(solver, tol, max_iter, time_limit, n_threads, callback, verbose)
    opened = open_problem(
        X, Y, penalty, alpha=alpha, loss=loss, sample_weight=sample_weight, task_weight=task_weight, offset=offset,
        task=task, fit_intercept=fit_intercept, standardize=standardize, scale=scale, need_alpha=False, backend=backend,
        kind="path",
    )  # fmt: skip
    done: list[_Step] = []
    deadline = np.inf if time_limit is None else started + time_limit
    monitor = Monitor(deadline, callback, None, started)
    with limit_threads(n_threads), progress_bar(verbose) as bar, np.errstate(all="ignore"):
        monitor.progress = bar
        strengths: list[float] = []

        def run(at: Opened) -> None:
            nonlocal opened
            opened, start = at, as_start(warm_start, at)
            done.clear()
            strengths[:] = _strengths(at, alphas, n_alphas, eps).tolist()
            monitor.outwards = at.scaling and at.scaling.certificate
            settings = Settings(at.backend.kernels, float(tol), int(max_iter), monitor)

            def collect(outcomes: Iterator[Outcome]) -> Outcome:
                for alpha, found in zip(strengths, outcomes, strict=False):
                    outcome = as_representable(at, found, tol)
                    done.append(_packed(at, alpha, outcome, monitor))
                    if outcome.status in (Status.TIME_LIMIT, Status.INTERRUPTED):
                        break
                return outcome

            last = collect(_outcomes(at, strengths, settings, start))
            checked = _certified_on_data(at, done[-1].alpha, last, tol)
            if last.status.converged and not checked.status.converged:
                # What the strengths share has lost digits, as it does with columns far from zero: each by itself.
                done.clear()
                checked = collect(_one_by_one(at, strengths, settings, start))
            done[-1] = _packed(at, done[-1].alpha, checked, monitor)

        try:
            served(opened, run)
        except (InterruptedRun, KeyboardInterrupt):
            at = opened
            raise FitInterrupted(
                f"fit_path was interrupted after {len(done)} of {len(strengths)} alphas; they are in .path",
                lambda: _assembled(at, done),
                is_path=True,
            ) from None
    _warn(done, len(strengths), tol)
    return _assembled(opened, done)


class _Step(NamedTuple):
    """One finished alpha: its fit with the active rows only, and which they are."""

    alpha: float
    rows: np.ndarray
    fit: FitResult


def _strengths(opened: Opened, alphas: Any, n_alphas: int, eps: float) -> np.ndarray:
    """The alphas of a path, decreasing."""
    if alphas is not None:
        try:
            given = np.asarray(alphas, dtype=np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"alphas is {alphas!r}; a sequence of numbers was expected") from None
        if given.ndim != 1 or not given.size:
            raise ValueError(f"alphas has shape {given.shape}; a non-empty sequence of numbers was expected")
        if not (np.isfinite(given).all() and (given >= 0).all()):
            raise ValueError(
                "alphas holds a negative, NaN or infinite value; finite numbers >= 0 were expected"
            )
        return np.sort(given)[::-1]
    check_count(n_alphas, "n_alphas")
    check_number(eps, "eps", "a number in (0, 1)", lambda eps: 0 < eps < 1)
    top = problem_alpha_max(opened)
    if top == 0.0:
        return np.zeros(1)
    return top * np.logspace(0.0, np.log10(eps), int(n_alphas))


def _outcomes(opened: Opened, strengths: list[float], settings: Settings, start: Any) -> Iterator[Outcome]:
    """Outcomes along the path, through the solver's own path when it has one."""
    penalty = opened.problem.penalty
    penalties = [penalty.with_alpha(float(alpha)) for alpha in strengths]
    choose(opened.with_penalty(penalties[-1]).problem, settings)  # at alpha = 0 what no solver covers
    first = opened.with_penalty(penalties[0]).problem
    solver = choose(first, settings)
    if hasattr(solver, "run_path"):
        yield from solver.run_path(first, penalties, start)
    else:
        yield from _one_by_one(opened, strengths, settings, start)


def _one_by_one(opened: Opened, strengths: list[float], settings: Settings, start: Any) -> Iterator[Outcome]:
    """Outcomes of fits that share nothing but their starts."""
    for alpha in strengths:
        problem = opened.with_penalty(opened.problem.penalty.with_alpha(float(alpha))).problem
        outcome = choose(problem, settings).run(problem, start)
        start = (outcome.coef, outcome.intercept)
        yield outcome


def _certified_on_data(opened: Opened, alpha: float, outcome: Outcome, tol: float) -> Outcome:
    """The outcome with its certificate taken from the data, and its status from that."""
    if isinstance(opened.problem, TaskProblem) or (outcome.factors is not None and outcome.dual is not None):
        return outcome  # it is from the data already
    problem = opened.with_penalty(opened.problem.penalty.with_alpha(alpha)).problem
    rows = outcome.support
    candidate = None if outcome.dual is None else outcome.dual()
    check = check_point(problem, outcome.coef[rows], outcome.intercept, rows, candidate)
    status = outcome.status
    if status.converged and check.certificate.relative_gap > SLACK * tol:
        status = verdict(check.certificate, tol, float(np.finfo(problem.design.dtype).eps)) or Status.STALLED
    return replace(outcome, certificate=check.certificate, status=status)


def _packed(opened: Opened, alpha: float, outcome: Outcome, monitor: Monitor) -> _Step:
    at = opened.with_penalty(opened.problem.penalty.with_alpha(alpha))
    rows = outcome.support
    outcome = outcome if outcome.dual is None else replace(outcome, dual=None)
    full = as_result(at, outcome, monitor)
    whole = full.low_rank is not None or len(rows) == opened.problem.design.p
    return _Step(alpha, rows, replace(full, history=(), coef=full.coef if whole else full.coef[rows]))


def _assembled(opened: Opened, done: list[_Step]) -> PathResult:
    return PathResult(
        np.array([step.alpha for step in done]),
        opened.problem.design.p,
        tuple(step.rows for step in done),
        tuple(step.fit for step in done),
        opened.library,
    )


def _warn(done: list[_Step], expected: int, tol: float) -> None:
    bad = [step for step in done if not step.fit.status.converged]
    if len(done) < expected and not bad:
        bad = done[-1:]
    if bad:
        worst = max(bad, key=lambda step: step.fit.certificate.relative_gap)
        warnings.warn(
            f"{len(bad)} of {expected} alphas ended above tol={tol:g}, {expected - len(done)} were not reached; the largest "
            f"relative gap is {worst.fit.certificate.relative_gap:.2g} at alpha={worst.alpha:g}. {worst.fit.status.sentence}",
            ConvergenceWarning,
            stacklevel=3,
        )
