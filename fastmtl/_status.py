"""How a run ended, and the warning and interrupt that carry the news."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """How a run ended; `str(status)` is the short name, `status.sentence` explains it."""

    OPTIMAL = "optimal"
    OPTIMAL_TO_PRECISION = "optimal_to_precision"
    MAX_ITER = "max_iter"
    TIME_LIMIT = "time_limit"
    INTERRUPTED = "interrupted"
    STALLED = "stalled"

    @property
    def converged(self) -> bool:
        """Whether the answer is optimal to the tolerance, or as near as the dtype allows."""
        return self in (Status.OPTIMAL, Status.OPTIMAL_TO_PRECISION)

    @property
    def sentence(self) -> str:
        """What the status means and what to do about it."""
        return _SENTENCES[self]


_SENTENCES = {
    Status.OPTIMAL: "The certified relative gap is at most tol.",
    Status.OPTIMAL_TO_PRECISION: "The gap is above tol but within rounding of the data's dtype; use float64 for a smaller one.",
    Status.MAX_ITER: "The iteration limit came first; raise max_iter or tol.",
    Status.TIME_LIMIT: "The time limit came first; raise time_limit or tol.",
    Status.INTERRUPTED: "The callback asked to stop.",
    Status.STALLED: "The gap no longer shrinks; check the scaling of X, or raise tol.",
}


class ConvergenceWarning(UserWarning):
    """A run ended before its gap reached the tolerance; the result carries the gap it did reach."""


class FitInterrupted(KeyboardInterrupt):
    """Ctrl-C during a fit or a path; what was reached by then is kept.

    Attributes
    ----------
    result : FitResult or None
        Best fit so far, certified when first asked for.
    path : PathResult or None
        The alphas finished so far, when a path was interrupted.
    """

    def __init__(self, message: str, make: Callable[[], Any], *, is_path: bool = False) -> None:
        super().__init__(message)
        self._make, self._is_path, self._made = make, is_path, None

    def _get(self) -> Any:
        if self._made is None:
            self._made = self._make()
        return self._made

    @property
    def result(self) -> Any:
        return None if self._is_path else self._get()

    @property
    def path(self) -> Any:
        return self._get() if self._is_path else None
