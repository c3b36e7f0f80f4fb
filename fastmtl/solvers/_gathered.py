"""The columns a restricted problem works on: gathered, weighted, freed of what is never penalised."""

from __future__ import annotations

import numpy as np

from .._arrays import Array
from ..problem import Problem


class Gathered:
    """Columns of X for a working set, kept from one working set to the next.

    Column j is `root x_j` less its projection on the unpenalised columns A (the intercept's ones and the free features), so
    that a restricted problem has neither; `profile[:, j] = A^+ root x_j` maps back. Copies only the columns asked for.

    Attributes
    ----------
    features : ndarray of int (s,)
        The working set the arrays below belong to.
    data : ndarray of shape (s, n) or None
        One feature a row; None when the design prefers its Gram matrix (sparse).
    profile : ndarray of shape (f, s)
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        A = problem.unpenalised
        self._A = A
        self._pinv = _pseudo_inverse(A)
        self.features = np.empty(0, dtype=np.int64)
        self.data: Array | None = None if problem.design.prefers_gram else np.empty((0, problem.design.n))
        self.profile = np.empty((A.shape[1], 0))
        self._gram: Array | None = None
        self._moments: Array | None = None

    def select(self, features: Array) -> None:
        """Move to another working set, gathering only what is new."""
        if np.array_equal(features, self.features):
            return
        where = {int(f): i for i, f in enumerate(self.features)}
        source = np.array([where.get(int(f), -1) for f in features], dtype=np.int64)
        fresh, kept = source < 0, source[source >= 0]
        new = features[fresh]
        profile = np.empty((len(self._pinv), len(features)))
        profile[:, ~fresh] = self.profile[:, kept]
        data = None
        if self.data is not None:
            data = np.empty((len(features), self.problem.design.n))
            data[~fresh] = self.data[kept]
            data[fresh], profile[:, fresh] = self._gather(new)
        elif len(profile):
            profile[:, fresh] = self._sparse_profile(new)
        if self._gram is not None:
            self._gram = self._grown(features, fresh, kept, data, profile)
        self.features, self.data, self.profile = features, data, profile

    def gram(self) -> Array:
        """Gram matrix (s, s) of the columns, computed on first use and grown from then on."""
        if self._gram is None:
            if self.data is not None:
                self._gram = self.data @ self.data.T
            else:
                every = np.ones(len(self.features), dtype=bool)
                none = np.empty(0, dtype=np.int64)
                self._gram = self._grown(self.features, every, none, None, self.profile)
        return self._gram

    def has_gram(self) -> bool:
        """Whether the Gram matrix exists already."""
        return self._gram is not None

    def unpenalised_fit(self, coef: Array) -> Array:
        """Coefficients (f, t) of the unpenalised columns that are optimal beside `coef` (s, t)."""
        return self._pinv @ self.problem.weighted(self.problem.Y) - self.profile @ coef

    def _gather(self, cols: Array) -> tuple[Array, Array]:
        raw = self.problem.design.take(cols)
        if self.problem.root is not None:
            raw *= self.problem.root[:, 0]
        profile = self._pinv @ raw.T
        if len(profile):
            raw -= profile.T @ self._A.T
        return raw, profile

    def _sparse_profile(self, cols: Array) -> Array:
        if self._moments is None:
            self._moments = self.problem.design.correlate(self.problem.weighted(self._pinv.T))
        return self._moments[cols].T

    def _grown(self, features: Array, fresh: Array, kept: Array, data: Array | None, profile: Array) -> Array:
        G = np.empty((len(features), len(features)))
        old, new = np.flatnonzero(~fresh), np.flatnonzero(fresh)
        if len(kept):
            assert self._gram is not None
            G[np.ix_(old, old)] = self._gram[np.ix_(kept, kept)]
        if not len(new):
            return G
        if data is not None:
            cross = data @ data[new].T
        else:
            weight = None if self.problem.root is None else self.problem.root[:, 0] ** 2
            cross = self.problem.design.gram(features, features[new], weight)
            if len(profile):
                cross -= profile.T @ (self._A.T @ self._A) @ profile[:, new]
        G[:, new] = cross
        G[new] = cross.T
        return G


def _pseudo_inverse(A: Array) -> Array:
    """`A^+` (f, n) of a few columns, dependent ones allowed."""
    if A.shape[1] == 0:
        return np.empty((0, A.shape[0]))
    if A.shape[1] == 1:
        return A.T / np.vdot(A, A)
    return np.linalg.pinv(A)
