"""Scores and gaps along a path from cached cross-products: after the first alpha, no pass over X is needed.

With `C = X'X_E` for the features E that were ever in a working set, `X'(Y - XW) = X'Y - C W_E` costs p |E| t instead of
p n t, and C holds every Gram matrix.
"""

from __future__ import annotations

import numpy as np

from .._arrays import Array
from ..certificate import Check, assemble, penalty_value, scaled_bound
from ..problem import Problem
from ._gathered import Gathered

SHARE = 0.25
"""Largest share of the size of X that the cache may take."""
LIMIT = 1 << 30
"""Largest size of the cache in bytes."""
CROWD = 3
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
        X'Y in weighted units, the intercept and free features taken out.
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

    def hold(self, problem: Problem, features: Array) -> bool:
        """Make room for `features` (the current working set); False when they are too many."""
        new = features[self.place[features] < 0]
        if len(self.features) + len(new) > self.capacity:
            self._keep(features)
        if len(self.features) + len(new) > self.capacity or self.gathered.data is None:
            return False
        if not len(new):
            return True
        low, high = len(self.features), len(self.features) + len(new)
        if high > len(self._columns):
            grown = np.empty((min(max(2 * len(self._columns), high), self.capacity), self._columns.shape[1]))
            grown[:low] = self._columns[:low]
            self._columns = grown
        position = np.full(problem.design.p, -1, dtype=np.int64)
        position[self.gathered.features] = np.arange(len(self.gathered.features))
        data = self.gathered.data[position[new]]
        self._columns[low:high] = problem.design.correlate(problem.weighted(data.T)).T
        self.place[new] = np.arange(low, high)
        self.features = np.concatenate([self.features, new])
        return True

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
        moved = self._moved(rows, coef)
        gradient = np.subtract(self.moments, moved, out=moved)
        linear = float(np.vdot(self.moments[:, rows], coef.T))
        cross = self.square - linear
        square = max(cross - float(np.vdot(gradient[:, rows], coef.T)), 0.0)
        unit = problem.unit
        V = np.multiply(gradient, unit, out=gradient).T
        loss = 0.5 * unit * square
        norms = problem.penalty.block_norms(V)
        bound = scaled_bound(problem, V, unit * cross, unit * square, norms)
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
