"""Scores and gaps along a path from cached cross-products: after the first alpha, no pass over X is needed.

With `C = X'X_E` for the features E that were ever in a working set, `X'(Y - XW) = X'Y - C W_E` costs p |E| t instead of
p n t, and C holds every Gram matrix.
"""

from __future__ import annotations

import numpy as np

from .._arrays import Array
from .._threads import threads_for
from ..certificate import Check, assemble, penalty_value, scaled_bound
from ..problem import Problem
from ._gathered import Gathered

SHARE = 0.25
"""Largest share of the size of X that the cache may take."""
LIMIT = 1 << 30
"""Largest size of the cache in bytes."""
AT_ONCE = 8
"""Columns that a pass over X fetches at least: with fewer it is bound by memory."""
CROWD = 1.3
"""Cached columns per active row up to which all of them are multiplied."""
ROUNDING = 64.0
"""Multiple of eps |Y|^2 that is added to a gap computed through cross-products."""


class CrossProducts:
    """`C = X'X_E` for a growing set E, in the coordinates of `Gathered`.

    Parameters
    ----------
    problem : Problem
    gathered : Gathered
    moments : ndarray of shape (p, t)
        The scores at W = 0: X'Y times the unit of the problem, the intercept and free features taken out.
    target : ndarray of shape (n, t)
        Y in weighted units, likewise.
    """

    def __init__(self, problem: Problem, gathered: Gathered, moments: Array, target: Array) -> None:
        p, n = problem.design.p, problem.design.n
        self.capacity = int(min(SHARE * 8 * n * p, LIMIT) / (8 * p))
        # One task a contiguous row, as the cached columns are: sums and products run along p.
        self.gathered, self.moments = gathered, np.ascontiguousarray(moments.T)
        self.square = float(np.vdot(target, target))
        self.features = np.empty(0, dtype=np.int64)
        self.place = np.full(p, -1, dtype=np.int64)
        self._columns = np.empty((min(64, max(self.capacity, 1)), p))

    def hold(self, problem: Problem, features: Array, scores: Array) -> bool:
        """Make room for `features` (the current working set); False when they are too many.

        A pass over X for one column costs as much as for several: those with the largest `scores` (p, t) come along.
        """
        new = features[self.place[features] < 0]
        if len(self.features) + len(new) > self.capacity:
            self._keep(features)
        if len(self.features) + len(new) > self.capacity or self.gathered.data is None:
            return False
        if not len(new):
            return True
        new = self._with_next(new, scores)
        low, high = len(self.features), len(self.features) + len(new)
        if high > len(self._columns):
            grown = np.empty((min(max(2 * len(self._columns), high), self.capacity), self._columns.shape[1]))
            grown[:low] = self._columns[:low]
            self._columns = grown
        data, _ = self.gathered.gather(new)
        self._columns[low:high] = problem.design.correlate(problem.weighted(data.T)).T
        self.place[new] = np.arange(low, high)
        self.features = np.concatenate([self.features, new])
        return True

    def _with_next(self, new: Array, scores: Array) -> Array:
        """`new` filled up to `AT_ONCE` features with those of the largest scores that are not here yet."""
        spare = min(AT_ONCE, self.capacity - len(self.features), len(scores)) - len(new)
        if spare <= 0:
            return new
        squares = np.where(self.place < 0, np.einsum("ij,ij->i", scores, scores), 0.0)
        squares[new] = 0.0
        top = np.argpartition(squares, -spare)[-spare:]
        return np.concatenate([new, top[squares[top] > 0.0]])

    def _keep(self, features: Array) -> None:
        """Evict every column outside `features`."""
        kept = features[self.place[features] >= 0]
        self._columns[: len(kept)] = self._columns[self.place[kept]]
        self.place[:] = -1
        self.place[kept] = np.arange(len(kept))
        self.features = kept

    def holds(self, rows: Array) -> bool:
        """Whether the columns of all `rows` are here."""
        return bool((self.place[rows] >= 0).all())

    def gram(self, rows: Array) -> Array:
        """`X_S'X_S` for held rows S."""
        G = self._columns[np.ix_(self.place[rows], rows)]
        return 0.5 * (G + G.T)

    def check(self, problem: Problem, rows: Array, coef: Array) -> Check:
        """The certificate of coefficients on held rows, with an allowance for the rounding of cross-products."""
        unit = problem.unit
        with threads_for(2.0 * len(self.place) * coef.size):
            V = self._moved(rows, unit * coef)
        V = np.subtract(self.moments, V, out=V)
        cross = unit * self.square - float(np.vdot(self.moments[:, rows], coef.T))
        square = max(cross - float(np.vdot(V[:, rows], coef.T)), 0.0)
        V = V.T
        loss = 0.5 * square
        norms = problem.penalty.block_norms(V)
        bound = scaled_bound(problem, V, cross, square, norms)
        allowance = ROUNDING * float(np.finfo(np.float64).eps) * unit * self.square
        certificate = assemble(
            problem,
            loss + penalty_value(problem, coef, rows),
            bound,
            is_zero=not coef.any(),
            allowance=allowance,
        )
        return Check(certificate, V, None, None, bound, loss, norms)

    def _moved(self, rows: Array, coef: Array) -> Array:
        """`(X'X_rows coef)'` (t, p)."""
        if len(self.features) > CROWD * len(rows):
            return coef.T @ self._columns[self.place[rows]]
        # Products with a few rows of zeros cost less than gathering the others.
        spread = np.zeros((coef.shape[1], len(self.features)))
        spread[:, self.place[rows]] = coef.T
        return spread @ self._columns[: len(self.features)]
