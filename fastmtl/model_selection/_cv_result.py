"""What a cross-validation returns."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np

from ..result import FitResult

RULES = ("min", "1se")


@dataclass(frozen=True, eq=False)
class CVResult:
    """Errors of a grid of strengths on the test part of every fold, and the fit that was chosen by them.

    L is the number of l1_ratios (1 when none were given), A of alphas, K of folds, t of tasks.

    Attributes
    ----------
    alphas : ndarray of shape (L, A)
        Strengths, decreasing along each row.
    l1_ratios : ndarray of shape (L,) or None
    scores : ndarray of shape (L, A, K, t)
        Mean error of the test samples of one fold and task, smaller is better; NaN where a task has none. Losses that tie
        tasks together have t = 1 here.
    score : str
        Name of the error.
    rule : {"min", "1se"}
    task_weight : ndarray of shape (t,)
        Weights of the tasks in the mean.
    relative_gaps : ndarray of shape (L, A, K)
        Certified relative gap of every fit.
    best : FitResult or None
        The chosen model fitted to all samples; None without `refit`.
    n_train, n_test : ndarray of shape (K,)
        Samples (entries, when single entries are divided) in the parts of each fold.
    seconds : float
        Wall-clock time of the call.
    """

    alphas: np.ndarray
    l1_ratios: np.ndarray | None
    scores: np.ndarray
    score: str
    rule: str
    task_weight: np.ndarray
    relative_gaps: np.ndarray
    best: FitResult | None
    n_train: np.ndarray
    n_test: np.ndarray
    seconds: float

    @property
    def fold_scores(self) -> np.ndarray:
        """Error (L, A, K) of every fold: the weighted mean over the tasks that it tests."""
        return _mean(self.scores, self.task_weight)

    @property
    def mean(self) -> np.ndarray:
        """Mean error (L, A) over the folds."""
        return _mean(self.fold_scores)

    @property
    def se(self) -> np.ndarray:
        """Standard error (L, A) of `mean`; NaN with a single fold."""
        folds = self.fold_scores
        count = (~np.isnan(folds)).sum(axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.sqrt(_mean((folds - self.mean[..., None]) ** 2) / (count - 1))

    def index(self, rule: str) -> tuple[int, int]:
        """Places in `alphas` that a rule chooses.

        Parameters
        ----------
        rule : {"min", "1se"}
            The smallest mean error; or, at the same l1_ratio, the largest alpha within one standard error of it.

        References
        ----------
        Breiman, Friedman, Olshen, Stone (1984), "Classification and regression trees", section 3.4.3, for the rule "1se".
        """
        if rule not in RULES:
            raise ValueError(f"rule is {rule!r}; expected 'min' or '1se'")
        mean = self.mean
        ratio, best = np.unravel_index(np.nanargmin(mean), mean.shape)
        if rule == "1se" and np.isfinite(self.se[ratio, best]):
            limit = mean[ratio, best] + self.se[ratio, best]
            best = np.flatnonzero(mean[ratio] <= limit)[0]
        return int(ratio), int(best)

    @property
    def best_index(self) -> tuple[int, int]:
        """Places (row, column) in `alphas` of the chosen strength."""
        return self.index(self.rule)

    @property
    def best_alpha(self) -> float:
        """The chosen strength."""
        return float(self.alphas[self.best_index])

    @property
    def best_l1_ratio(self) -> float | None:
        """The chosen l1_ratio; None when none were given."""
        return None if self.l1_ratios is None else float(self.l1_ratios[self.best_index[0]])

    @property
    def best_score(self) -> float:
        """Mean error of the chosen strength."""
        return float(self.mean[self.best_index])

    def summary(self) -> str:
        """A paragraph of text: the choice, what the other rule would choose, and the refitted model."""
        lines = [repr(self)]
        for rule in RULES:
            ratio, i = self.index(rule)
            at = "" if self.l1_ratios is None else f", l1_ratio {self.l1_ratios[ratio]:.4g}"
            se = self.se[ratio, i]
            lines.append(
                f"  rule {rule!r}: alpha {self.alphas[ratio, i]:.4g}{at}, error {self.mean[ratio, i]:.4g} +- {se:.2g}"
            )
        return "\n".join(lines if self.best is None else [*lines, self.best.summary()])

    def __repr__(self) -> str:
        L, A, K, t = self.scores.shape
        grid = f"{A} alphas" if self.l1_ratios is None else f"{L} l1_ratios x {A} alphas"
        ratio = "" if self.best_l1_ratio is None else f", l1_ratio {self.best_l1_ratio:.4g}"
        return (
            f"CVResult: {grid}, {K} folds, {t} {'tasks' if t > 1 else 'task'}, {self.seconds:.3g} s\n"
            f"  best alpha   {self.best_alpha:.4g}{ratio} (rule {self.rule!r})\n"
            f"  error        {self.best_score:.4g} +- {self.se[self.best_index]:.2g} ({self.score})\n"
            f"  relative gap {np.nanmax(self.relative_gaps):.2e} at most"
        )

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


def _mean(values: np.ndarray, weight: np.ndarray | float = 1.0) -> np.ndarray:
    """Weighted mean over the last axis of what is not NaN."""
    seen = ~np.isnan(values)
    weights = np.where(seen, weight, 0.0)
    with np.errstate(invalid="ignore"):
        return (weights * np.where(seen, values, 0.0)).sum(axis=-1) / weights.sum(axis=-1)
