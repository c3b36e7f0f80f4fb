"""Stability selection: features that are chosen again and again on halves of the samples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from .._door import open_problem
from .._given import to_host
from .._run import check_controls
from .._settings import check_count, check_number
from .._threads import limit_threads
from ..path import PathResult, fit_path
from ..penalties import Penalty
from ._samples import Samples
from ._threads import check_n_jobs, in_threads
from ._training import trainer
from .folds import Fold


@dataclass(frozen=True, eq=False)
class StabilityResult:
    """How often each feature is among the first that enter a path on half of the samples.

    Attributes
    ----------
    alphas : ndarray of shape (A,)
        Decreasing.
    frequencies : ndarray of shape (A, p)
        Share of the halves in which a feature has entered by an alpha, never falling along the path.
    threshold : float
        Frequency from which a feature is selected.
    n_halves : int
        Two for each pair.
    mean_size : float
        Mean number q of features that a half chooses.
    n_candidates : int
        Features that the penalty may choose or leave: neither free nor excluded.
    names : list of str or None
    """

    alphas: np.ndarray
    frequencies: np.ndarray
    threshold: float
    n_halves: int
    mean_size: float
    n_candidates: int
    names: list[str] | None = None

    @property
    def probability(self) -> np.ndarray:
        """Share (p,) of the halves that choose each feature."""
        return self.frequencies[-1]

    @property
    def selected(self) -> np.ndarray:
        """Indices of the features chosen at least as often as the threshold asks."""
        return np.flatnonzero(self.probability >= self.threshold)

    @property
    def error_bound(self) -> float:
        """Bound `q^2 / ((2 threshold - 1) p)` on the expected number of wrong features selected.

        It holds when noise features are exchangeable and chosen no more often than by chance (Meinshausen, Buehlmann 2010,
        theorem 1); without that, for features that a half chooses with a probability of at most q / p (Shah, Samworth 2013,
        theorem 1). Zero where the penalty leaves nothing to choose.
        """
        if not self.n_candidates:
            return 0.0
        return self.mean_size**2 / ((2.0 * self.threshold - 1.0) * self.n_candidates)

    @property
    def unimodal_bound(self) -> float:
        """A sharper bound on the expected number of features selected that a half chooses with probability <= q / p.

        It assumes that the share of pairs that choose such a feature twice has a unimodal distribution (Shah, Samworth 2013,
        theorem 2); NaN where the theorem says nothing.
        """
        if not self.n_candidates:
            return 0.0
        tau, pairs, theta = self.threshold, self.n_halves // 2, self.mean_size / self.n_candidates
        least = min(0.5 + theta**2, 0.5 + 1.0 / (2 * pairs) + 0.75 * theta**2)
        if theta > 1.0 / math.sqrt(3.0) or tau <= least:
            return math.nan
        if tau <= 0.75:
            factor = 1.0 / (2.0 * (2.0 * tau - 1.0 - 1.0 / (2 * pairs)))
        else:
            factor = 4.0 * (1.0 - tau + 1.0 / (2 * pairs)) / (1.0 + 1.0 / pairs)
        return factor * self.mean_size**2 / self.n_candidates

    def __repr__(self) -> str:
        order = self.selected[np.argsort(-self.probability[self.selected], kind="stable")]
        shown = [
            f"{self.names[j] if self.names else f'feature {j}'} ({self.probability[j]:.2f})"
            for j in order[:10]
        ]
        more = f" and {len(order) - 10} more" if len(order) > 10 else ""
        return (
            f"StabilityResult: {len(order)} of {len(self.probability)} features chosen by {self.threshold:g} of "
            f"{self.n_halves} halves, which choose {self.mean_size:.1f} each\n"
            f"  selected        {', '.join(shown) or 'none'}{more}\n"
            f"  expected wrong  {self.error_bound:.3g} at most, {self.unimodal_bound:.3g} if unimodal"
        )

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


def stability_selection(
    X: Any,
    Y: Any,
    penalty: str | Penalty = "l21",
    *,
    alpha: float | None = None,
    n_features: int | None = None,
    threshold: float = 0.75,
    n_pairs: int = 50,
    alphas: Any = None,
    n_alphas: int = 50,
    eps: float = 1e-2,
    seed: int = 0,
    n_jobs: int | None = None,
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
) -> StabilityResult:
    """Select features that enter the path early on most halves of the samples, with a bound on how many are wrong.

    Samples are split at random into pairs of halves; with designs of a task's own, the samples of every task. On each half a
    path is followed until `n_features` features have entered; of those that enter together at one alpha, the ones with the
    largest rows are first.

    Parameters
    ----------
    X, Y, penalty, alpha
        As in `fit_path`.
    n_features : int, optional
        Number q of features that a half chooses; left out, about `sqrt(0.8 p)`.
    threshold : float
        In (0.5, 1]: share of the halves that must choose a feature.
    n_pairs : int
    alphas, n_alphas, eps
        Strengths, as in `fit_path`. Left out, they end where `n_features` features have entered the path on all samples.
    seed : int
        >= 0, of the halves.
    n_jobs : int, optional
        Halves that run side by side in threads; None for as many as there are cores. The result does not depend on it.
    loss, sample_weight, task_weight, offset, task, fit_intercept, standardize, scale
        The problem, as in `fit`.
    solver, backend, tol, max_iter, n_threads
        The run, as in `fit`; one BLAS thread a half when `n_threads` is left out.

    Returns
    -------
    StabilityResult

    Raises
    ------
    ValueError, TypeError
        Bad input, naming the argument.

    References
    ----------
    Meinshausen, Buehlmann (2010), "Stability selection"; Shah, Samworth (2013), "Variable selection with error control:
    another look at stability selection", for complementary pairs.
    """
    check_n_jobs(n_jobs)
    check_controls(solver, tol, max_iter, None, n_threads, None)
    check_number(threshold, "threshold", "a number in (0.5, 1]", lambda share: 0.5 < share <= 1)
    check_count(n_pairs, "n_pairs")
    check_count(seed, "seed", least=0)
    settings = dict(
        loss=loss, task_weight=task_weight, fit_intercept=fit_intercept, standardize=standardize, scale=scale,
        solver=solver, backend=backend, tol=tol, max_iter=max_iter,
    )  # fmt: skip
    samples = Samples.read(X, Y, sample_weight, offset, task)
    data = dict(X=samples.X, Y=samples.Y, sample_weight=samples.sample_weight, offset=samples.offset)
    opened = open_problem(
        **data, penalty=penalty, alpha=alpha, loss=loss, task_weight=task_weight, fit_intercept=fit_intercept,
        standardize=standardize, scale=scale, need_alpha=False, backend=backend, kind="path",
    )  # fmt: skip
    made, p = opened.problem.penalty, opened.problem.design.p
    candidates = ~(made.free(p) | made.excluded(p))
    size = _size(n_features, int(candidates.sum()))
    halves = [
        half for _, pair in zip(range(n_pairs), _pairs(samples.sizes, seed), strict=False) for half in pair
    ]
    with limit_threads(n_threads or 1):
        grid = dict(alphas=alphas) if alphas is not None else dict(n_alphas=n_alphas, eps=eps)
        whole = fit_path(penalty=made, **data, **grid, **settings)
        strengths, places = whole.alphas, _entries(whole, candidates, size)
        places = places[places < len(strengths)]
        if alphas is None and len(places) == size:
            strengths = strengths[: places.max() + 1]
        train = trainer(samples, opened, halves, settings)

        def one(half: Fold) -> np.ndarray:
            return _entries(train(made, strengths, half), candidates, size)

        entered = in_threads(one, [(half,) for half in halves], opened, n_jobs)
    counts = np.zeros((len(strengths) + 1, p))
    for places in entered:
        counts[places, np.arange(p)] += 1.0
    return StabilityResult(
        strengths,
        np.cumsum(counts[:-1], axis=0) / len(halves),
        float(threshold),
        len(halves),
        float(np.mean([(places < len(strengths)).sum() for places in entered])),
        int(candidates.sum()),
        opened.features,
    )


def _size(n_features: Any, candidates: int) -> int:
    if n_features is None:
        return max(1, round(math.sqrt(0.8 * candidates)))
    return check_count(n_features, "n_features")


def _pairs(sizes: Any, seed: int) -> Iterator[tuple[Fold, Fold]]:
    """Complementary halves of the samples, of those of every task when there are several sizes; one of an odd number is out."""
    rng = np.random.default_rng(seed)

    def halves(n: int) -> tuple[np.ndarray, np.ndarray]:
        order, both = rng.permutation(n), np.zeros((2, n), dtype=bool)
        both[0, order[: n // 2]] = both[1, order[n // 2 : 2 * (n // 2)]] = True
        return both[0], both[1]

    if min(np.atleast_1d(sizes)) < 2:
        raise ValueError("some task has a single sample; two at least are needed to halve them")
    while True:
        if np.ndim(sizes) == 0:
            first, second = halves(sizes)
            yield Fold(first, second), Fold(second, first)
        else:
            both = [halves(n) for n in sizes]
            sides = [pair[0] for pair in both], [pair[1] for pair in both]
            yield Fold(*sides), Fold(*sides[::-1])


def _entries(path: PathResult, candidates: np.ndarray, size: int) -> np.ndarray:
    """Place (p,) of the alpha at which each feature enters, if it is among the first `size`; the number of alphas if not."""
    entered = np.full(path.n_features, len(path))
    for i, rows in enumerate(path.rows):
        new = rows[candidates[rows] & (entered[rows] == len(path))]
        if len(new) > size:
            norms = np.linalg.norm(to_host(path[i].coef)[new], axis=1)
            new = new[np.argsort(-norms, kind="stable")[:size]]
        entered[new] = i
        size -= len(new)
        if size == 0:
            break
    return entered
