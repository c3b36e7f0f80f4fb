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
        self._gram = np.empty((0, 0))
        self._gram_features = self.features
        self._moments: Array | None = None

    def select(self, features: Array) -> None:
        """Move to another working set, gathering only what is new."""
        if np.array_equal(features, self.features):
            return
        fresh, kept = places(self.features, features, self.problem.design.p)
        new = features[fresh]
        profile = np.empty((len(self._pinv), len(features)))
        profile[:, ~fresh] = self.profile[:, kept]
        data = None
        if self.data is not None:
            gathered, profile[:, fresh] = self.gather(new)
            data = gathered if not len(kept) else self.data[_sources(fresh, kept)]
            data[fresh] = gathered
        elif len(profile):
            profile[:, fresh] = self._sparse_profile(new)
        self.features, self.data, self.profile = features, data, profile

    def gram(self) -> Array:
        """Gram matrix (s, s) of the columns; what an earlier working set had of it is kept."""
        if not np.array_equal(self.features, self._gram_features):
            self._gram = self._grown(*places(self._gram_features, self.features, self.problem.design.p))
            self._gram_features = self.features
        return self._gram

    def n_new_in_gram(self) -> int:
        """How many of the columns the Gram matrix does not know yet."""
        return int(places(self._gram_features, self.features, self.problem.design.p)[0].sum())

    def unpenalised_fit(self, coef: Array) -> Array:
        """Coefficients (f, t) of the unpenalised columns that are optimal beside `coef` (s, t)."""
        return self._pinv @ self.problem.weighted(self.problem.Y) - self.profile @ coef

    def gather(self, cols: Array) -> tuple[Array, Array]:
        """The columns `cols` (len(cols), n) less their projections, and those (f, len(cols))."""
        raw = self.problem.design.take(cols)
        if self.problem.root is not None:
            raw *= self.problem.root[:, 0]
        profile = self._pinv @ raw.T
        if len(profile):
            raw -= profile.T @ self._A.T
        return raw, profile

    def _sparse_profile(self, cols: Array) -> Array:
        moments = self._moments
        if moments is None:
            moments = self._moments = self.problem.design.correlate(self.problem.weighted(self._pinv.T))
        return moments[cols].T

    def _grown(self, fresh: Array, kept: Array) -> Array:
        s = len(self.features)
        old, new = np.flatnonzero(~fresh), np.flatnonzero(fresh)
        if self.data is not None and not len(kept):
            return self.data @ self.data.T
        G = np.empty((s, s))
        if len(kept):
            G[np.ix_(old, old)] = self._gram[np.ix_(kept, kept)]
        if len(new):
            cross = self._cross(new)
            G[:, new] = cross
            G[new] = cross.T
        return G

    def _cross(self, new: Array) -> Array:
        """Products (s, len(new)) of all columns with the new ones."""
        if self.data is not None:
            return self.data @ self.data[new].T
        weight = None if self.problem.root is None else self.problem.root[:, 0] ** 2
        cross = self.problem.design.gram(self.features, self.features[new], weight)
        if len(self.profile):
            cross -= self.profile.T @ (self._A.T @ self._A) @ self.profile[:, new]
        return cross


def places(old: Array, new: Array, p: int) -> tuple[Array, Array]:
    """Mask of the features in `new` that `old` lacks, and the places in `old` of the others."""
    place = np.full(p, -1, dtype=np.int64)
    place[old] = np.arange(len(old))
    source = place[new]
    return source < 0, source[source >= 0]


def _sources(fresh: Array, kept: Array) -> Array:
    """The row that each feature is copied from; any one for those that are fresh, which are written over."""
    source = np.full(len(fresh), kept[0])
    source[~fresh] = kept
    return source


def _pseudo_inverse(A: Array) -> Array:
    """`A^+` (f, n) of a few columns, dependent ones allowed."""
    if A.shape[1] == 0:
        return np.empty((0, A.shape[0]))
    if A.shape[1] == 1 and A.any():
        return A.T / np.vdot(A, A)
    sizes = np.linalg.norm(A, axis=0)
    sizes[sizes == 0.0] = 1.0
    return np.linalg.pinv(A / sizes) / sizes[:, None]
