"""Means and cross-products of samples, and the few rows that stand for them under the squared loss.

What a squared loss says about n samples is in p (p + t) numbers. Those of the training part of a fold are the total's less
those of its test part, and a triangular root of them is a table of p + 1 rows with the same objective for every W: a path on
it costs as much as for n = p.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._arrays import Array
from ..designs import Design

LEAST_SHARE = 1e-4
"""Of a sum of squares that must be left after a subtraction; else the part is summed up by itself."""
CONSTANT = 1e-12
"""Share of a raw sum of squares at which what is left about the mean may be rounding."""
LEAST_PIVOT = 1e-6
"""Of the root of the correlations, 1e-12 of them: with less, rounding would decide what nearly dependent columns mean."""


@dataclass(frozen=True)
class Moments:
    """Weighted means and cross-products about them (about zero without an intercept) of samples.

    Attributes
    ----------
    weight : float
        Sum of the weights.
    x_mean, y_mean : ndarray of shape (p,), (t,)
    xx : ndarray of shape (p, p)
        Lower triangle.
    xy : ndarray of shape (p, t)
    yy : ndarray of shape (t,)
    """

    weight: float
    x_mean: Array
    y_mean: Array
    xx: Array
    xy: Array
    yy: Array

    @classmethod
    def of(cls, design: Design, Y: Array, weight: Array, *, centred: bool) -> Moments:
        """Moments of the samples of a design (n, p), targets (n, t) and weights (n,)."""
        total = float(weight.sum())
        x_mean, y_mean = np.zeros(design.p), np.zeros(Y.shape[1])
        if centred and total > 0:
            x_mean = design.correlate(weight[:, None])[:, 0] / total
            y_mean = weight @ Y / total
        Y = Y - y_mean
        weighted = weight[:, None] * Y
        # Y sums to zero about its mean, so that the mean of X is multiplied by rounding alone.
        xy = design.correlate(weighted) - np.outer(x_mean, weighted.sum(axis=0))
        xx = design.second_moments(weight, x_mean if centred else None)
        return cls(total, x_mean, y_mean, xx, xy, np.einsum("nt,nt->t", Y, weighted))

    def without(self, part: Moments) -> Moments:
        """Moments of the samples that are not in a part.

        References
        ----------
        Chan, Golub, LeVeque (1983), "Algorithms for computing the sample variance", eq. 2.1, solved for one of the parts.
        """
        weight = self.weight - part.weight
        x_mean = (self.weight * self.x_mean - part.weight * part.x_mean) / weight
        y_mean = (self.weight * self.y_mean - part.weight * part.y_mean) / weight
        dx, dy = x_mean - part.x_mean, y_mean - part.y_mean
        share = weight * part.weight / self.weight
        return Moments(
            weight,
            x_mean,
            y_mean,
            self.xx - part.xx - np.outer(share * dx, dx),
            self.xy - part.xy - np.outer(share * dx, dy),
            self.yy - part.yy - share * dy**2,
        )

    def is_left_of(self, whole: Moments) -> bool:
        """Whether subtraction from `whole` has left enough digits of every sum of squares."""
        mine = np.concatenate([np.diag(self.xx), self.yy])
        before = np.concatenate([np.diag(whole.xx), whole.yy])
        return bool((mine >= LEAST_SHARE * before).all())

    def root(self) -> tuple[Array, Array] | None:
        """Rows R (p + 1, p) and Q (p + 1, t) with `|Q - R W|^2` the weighted squares of the samples about their means.

        None when columns are dependent or nearly so, or constant up to rounding.
        """
        p = len(self.xx)
        squares = np.diag(self.xx)
        raw = squares + self.weight * self.x_mean**2
        if (squares[raw > 0] <= CONSTANT * raw[raw > 0]).any():
            return None
        length = np.sqrt(squares)
        size = np.where(length > 0, length, 1.0)
        correlation = self.xx / size / size[:, None]
        np.fill_diagonal(correlation, 1.0)
        try:
            lower = np.linalg.cholesky(correlation)  # reads the lower triangle only
        except np.linalg.LinAlgError:
            return None
        if not np.diag(lower).min() >= LEAST_PIVOT:
            return None
        from scipy.linalg import solve_triangular

        R, Q = np.zeros((p + 1, p), order="F"), np.empty((p + 1, self.xy.shape[1]))
        R[:p] = lower.T * length
        Q[:p] = solve_triangular(lower, self.xy / size[:, None], lower=True)
        Q[p] = np.sqrt(np.maximum(self.yy - np.einsum("pt,pt->t", Q[:p], Q[:p]), 0.0))
        return R, Q
