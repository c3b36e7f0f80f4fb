"""The softmax loss over K classes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .._arrays import distinct
from ._base import EPS, Array, Loss

MODERATE = 32.0
"""Differences of the offsets of a sample up to which Newton's method starts from the shares of the classes at once."""

HALVINGS = 6
"""Lengths of a Newton step that are tried: its half five times."""


@dataclass(frozen=True)
class Multinomial(Loss):
    """The negative log-likelihood of one label out of K, with one column of logits per class.

    Parameters
    ----------
    classes : tuple, optional
        The labels in the order of their columns; default: the labels that occur, sorted. Give them to keep a
        class that some folds or subsets lack.

    Notes
    -----
    Encoded targets are one-hot, (n, K), and all methods work on the last axis. Definition
    `loss(y, z) = log sum_k e^z_k - <y, z>`; gradient `softmax(z) - y`; its Hessian `diag(q) - q q'`, q the softmax,
    is bounded by `diag(q)` and, being diagonally dominated, by `2 diag(q (1 - q))`: `hessian` gives the first
    where no class has more than half of the probability, else the second. Conjugate `sum_k v_k log v_k` for
    `v = y + u` in the simplex. z and z + c are equivalent, so intercepts are those that sum to zero.

    References
    ----------
    Boehning, Multinomial logistic regression algorithm, Annals Inst. Stat. Math. 44, 1992.
    """

    classes: tuple[Any, ...] | None = None

    name: ClassVar[str] = "multinomial"
    curvature: ClassVar[float] = 0.5
    joint: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.classes is None:
            return
        labels = np.asarray(self.classes)
        if labels.ndim != 1 or not labels.size or len(distinct(labels, "classes")[0]) < len(labels):
            raise ValueError(f"classes is {self.classes!r}; a sequence of distinct labels was expected")

    def n_columns(self, y: Array) -> int:
        if np.ndim(y) == 2:
            return int(np.shape(y)[1])
        return len(self.labels(y))

    def labels(self, y: Array) -> Array:
        return np.unique(np.asarray(y)) if self.classes is None else np.asarray(self.classes)

    def encode(self, y: Array, what: str) -> Array:
        """One-hot rows (n, K) of labels of any sortable type."""
        array = np.asarray(y)
        labels = self.labels(array) if self.classes is not None else distinct(array, what)[0]
        onehot = (array[:, None] == labels[None, :]).astype(np.float64)
        if not onehot.any(axis=1).all():
            stray = array[~onehot.any(axis=1)][0]
            raise ValueError(
                f"{what} has the label {stray!r}, which is not among the classes {labels.tolist()}."
            )
        return onehot

    def value(self, y: Array, z: Array) -> Array:
        # Differences to the observed logit lose no digits when the fit is good.
        gap = z - np.sum(y * z, axis=-1, keepdims=True)
        top = gap.max(axis=-1, keepdims=True)
        mass = np.exp(gap - top)
        exact = np.where(y > 0, 0.0, mass).sum(axis=-1)
        fitted = top[..., 0] == 0.0
        return np.where(fitted, np.log1p(exact), top[..., 0] + np.log(mass.sum(axis=-1)))

    def gradient(self, y: Array, z: Array) -> Array:
        q = softmax(z)
        others = np.where(y > 0, 0.0, q)
        return np.where(y > 0, -others.sum(axis=-1, keepdims=True), q)

    def hessian(self, y: Array, z: Array) -> Array:
        q = softmax(z)
        spread = q.max(axis=-1, keepdims=True) <= 0.5
        return np.where(spread, q, 2.0 * q * (1.0 - q))

    def conjugate(self, y: Array, u: Array) -> Array:
        v = y + u
        slack = 8 * EPS * np.shape(u)[-1]
        inside = (v >= -slack).all(axis=-1) & (np.abs(u.sum(axis=-1)) <= slack)
        safe = np.where(v > 0, u, 1.0 - y)
        return np.where(
            inside, np.sum(np.maximum(v, 0.0) * np.where(y > 0, np.log1p(safe), _log(safe)), axis=-1), np.inf
        )

    def project_dual(self, y: Array, u: Array) -> Array:
        """u with `y + u` moved to the nearest point of the simplex."""
        v = y + u
        descending = -np.sort(-v, axis=-1)
        excess = (np.cumsum(descending, axis=-1) - 1.0) / np.arange(1, v.shape[-1] + 1, like=v)
        last = np.sum(descending > excess, axis=-1, keepdims=True) - 1
        nearest = np.maximum(v - np.take_along_axis(excess, last, axis=-1), 0.0)
        # Far from the simplex the subtraction rounds: the division restores the unit sum.
        return nearest / nearest.sum(axis=-1, keepdims=True) - y

    def attained(self, y: Array, weights: Array) -> bool:
        count = np.sum(np.reshape(weights, (-1, 1)) * y, axis=0)
        return bool((count > 0).all() or not count.any())

    def intercept(self, y: Array, weights: Array, offset: Array) -> Any:
        """b (K,) with sum zero; y (n, K), weights (n,), offset (n, K) or 0."""
        n, k = np.shape(y)
        weights = np.broadcast_to(weights, (n,))
        offset = np.broadcast_to(offset, (n, k))
        count = weights @ y
        seen = count > 0
        if not seen.any():
            return np.zeros_like(count)
        b = np.zeros_like(count)
        b[seen] = _newton(y[:, seen], weights, offset[:, seen])
        if not seen.all():
            # Absent classes: their share of the probability is eps on average, so the mean loss rises by eps.
            odds = np.exp(offset[:, ~seen] - _log_sum_exp(offset[:, seen] + b[seen]))
            share = weights @ odds / weights.sum()
            b[~seen] = np.log(EPS / np.sum(~seen)) - np.log(share)
        return b - b.mean()

    def inverse_link(self, z: Array) -> Array:
        """Class probabilities along the last axis."""
        return softmax(z)


def softmax(z: Array) -> Array:
    """`e^z` normalised along the last axis."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _log(x: Array) -> Array:
    return np.log(np.where(x > 0, x, 1.0))


def _log_sum_exp(z: Array) -> Array:
    top = z.max(axis=-1, keepdims=True)
    return top + np.log(np.exp(z - top).sum(axis=-1, keepdims=True))


def _newton(y: Array, weights: Array, offset: Array) -> Array:
    """Intercepts of classes that all occur, by Newton's method.

    Where offsets differ by much the Hessian is rounding far from the optimum: they are then approached by doubling, and
    the intercepts with them, which are about proportional to large offsets.
    """
    weights = weights / weights.sum()
    b = np.log(weights @ y)
    if not np.any(offset):
        return b
    halvings = max(0, math.frexp(np.ptp(offset, axis=1).max() / MODERATE)[1])
    for stage in range(halvings, 0, -1):
        b = 2.0 * _newton_from(b, y, weights, np.ldexp(offset, -stage))
    return _newton_from(b, y, weights, offset)


def _newton_from(b: Array, y: Array, weights: Array, offset: Array) -> Array:
    """Newton steps from b, weights with sum one."""
    share = weights @ y
    b = b - b.mean()  # what shifts all alike would only add to the rounding of values

    def value(b: Array) -> float:
        return float(weights @ (_log_sum_exp(offset + b)[:, 0] - np.sum(y * (offset + b), axis=1)))

    current = value(b)
    for _ in range(100):
        q = softmax(offset + b)
        mean = np.maximum(weights @ q, np.finfo(np.float64).tiny)
        gradient = mean - share
        if (np.abs(gradient) <= 4 * EPS * share).all():
            break
        # In units of the roots of their probabilities rare classes count as others do; `root` is then what shifts all alike.
        root = np.sqrt(mean)
        even = q / root
        hessian = np.diag(np.ones_like(b)) - even.T @ (weights[:, None] * even) + np.outer(root, root)
        newton = -np.linalg.lstsq(hessian, gradient / root, rcond=None)[0] / root
        size = np.abs(offset + b).max()  # of the terms of the value, and so of its rounding
        # Iterative scaling always descends; Newton is tried first.
        for step in (*np.ldexp(newton, -np.arange(HALVINGS, like=b)[:, None]), np.log(share) - np.log(mean)):
            trial = value(b + step)
            if trial <= current + 4 * EPS * (1.0 + current + size):
                break
        else:
            break
        if trial >= current and np.abs(step).max() <= 1e-12:
            b = b + step
            break
        b, current = b + step, min(trial, current)
    return b
