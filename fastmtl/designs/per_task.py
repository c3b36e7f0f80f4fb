"""Predictions of all tasks in one flat vector: a shared design, or one design a task, behind one face."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._arrays import Array
from ._base import Design
from .shifted import ShiftedDesign, far_means


class TaskDesign(ABC):
    """The linear map from coefficients W (p, t) to the predictions of every task, one contiguous segment a column.

    Attributes
    ----------
    shape : tuple of int
        (N, p), N the number of predictions.
    ptr : ndarray of shape (t + 1,)
        Column c predicts the entries `ptr[c]:ptr[c + 1]`.
    dtype : numpy.dtype
        float32 or float64: the dtype of coefficients returned for this design.
    """

    shape: tuple[int, int]
    ptr: np.ndarray
    dtype: np.dtype

    @property
    def p(self) -> int:
        """Number of features."""
        return self.shape[1]

    @property
    def t(self) -> int:
        """Number of columns of W."""
        return len(self.ptr) - 1

    def on_host(self) -> TaskDesign:
        """The same design in host memory; itself where it is there already."""
        return self

    @property
    @abstractmethod
    def row_size(self) -> float:
        """Mean number of entries of a sample that products have to read."""

    @abstractmethod
    def predict(self, W: Array) -> Array:
        """Predictions (N,) of W (p, t) in float64."""

    @abstractmethod
    def correlate(self, R: Array) -> Array:
        """`sum_i r_i x_i` of every column (p, t) for R (N,)."""

    @abstractmethod
    def grams(self, weight: Array, *, single: bool = False) -> Array:
        """`sum_i weight_i x_i x_i'` of every column (t, p, p); `single` allows the digits of float32."""

    @abstractmethod
    def part(self, features: Array, low: int = 0, high: int | None = None) -> TaskDesign:
        """The same map for some features, gathered in float64, and the columns `low:high`."""

    @abstractmethod
    def centred(self) -> tuple[TaskDesign, Array] | None:
        """Where columns are far from zero, the same map less its `centre` (p, t), `x_i - centre_c`, and that; else None."""

    def _is_whole(self, features: Array) -> bool:
        """Whether these are all features, in their own order: interleaved groups come in another."""
        return len(features) == self.p and bool((np.diff(features) > 0).all())

    @abstractmethod
    def check_finite(self, name: str = "X") -> None:
        """Raise a ValueError naming the first entry of X that is not finite."""

    @abstractmethod
    def as_given(self, A: Array) -> Any:
        """A flat array in the form that Y has for this design: (n, t), or a list with one array a task."""

    def home(self, A: Any) -> Array:
        """A flat array in host memory."""
        return A

    def sums(self, A: Array) -> Array:
        """Sum of A (N,) over every column (t,)."""
        sizes = np.diff(self.ptr)
        if self.t and sizes[0] and (sizes == sizes[0]).all():
            return A.reshape(self.t, -1).sum(axis=1)
        out, used = np.zeros(self.t), sizes > 0
        if used.any():
            out[used] = np.add.reduceat(A, self.ptr[:-1][used])
        return out

    def largest(self, A: Array) -> Array:
        """Largest entry of A (N,), none of them negative, in every column (t,)."""
        out, used = np.zeros(self.t), np.diff(self.ptr) > 0
        if used.any():
            out[used] = np.maximum.reduceat(A, self.ptr[:-1][used])
        return out

    def spread(self, b: Array) -> Array:
        """One value a column, repeated over its entries (N,)."""
        return np.repeat(b, np.diff(self.ptr))


class SharedDesign(TaskDesign):
    """One X (n, p) for all t columns.

    Parameters
    ----------
    base : Design
    t : int
    """

    def __init__(self, base: Design, t: int) -> None:
        self.base, self.dtype = base, base.dtype
        self.shape = (base.n * t, base.p)
        self.ptr = base.n * np.arange(t + 1)

    def on_host(self) -> TaskDesign:
        return SharedDesign(self.base.on_host(), self.t)

    @property
    def row_size(self) -> float:
        return self.base.row_size

    def predict(self, W: Array) -> Array:
        rows = np.flatnonzero(W.any(axis=1))
        few = 4 * len(rows) < self.p
        return np.ravel(self.base.predict(W[rows], rows) if few else self.base.predict(W), order="F")

    def correlate(self, R: Array) -> Array:
        return self.base.correlate(R.reshape(self.t, -1).T)

    def grams(self, weight: Array, *, single: bool = False) -> Array:
        columns = weight.reshape(self.t, -1)
        out = np.empty((self.t, self.p, self.p))
        for c in range(self.t):
            ratio = _ratio(columns[c], columns[c - 1]) if c else None
            if ratio is None:
                out[c] = self.base.weighted_gram(columns[c], single=single)
            else:
                np.multiply(out[c - 1], ratio, out=out[c])
        return out

    def part(self, features: Array, low: int = 0, high: int | None = None) -> TaskDesign:
        base = self.base if self._is_whole(features) else self.base.part(features)
        return SharedDesign(base, (self.t if high is None else high) - low)

    def centred(self) -> tuple[TaskDesign, Array] | None:
        mean = far_means(self.base)
        if mean is None:
            return None
        return SharedDesign(ShiftedDesign(self.base, mean), self.t), np.tile(mean[:, None], self.t)

    def check_finite(self, name: str = "X") -> None:
        self.base.check_finite(name)

    def as_given(self, A: Array) -> Any:
        return A.reshape(self.t, -1).T


class OwnDesigns(TaskDesign):
    """One X_t (n_t, p) a task, dense or sparse each.

    Parameters
    ----------
    bases : sequence of Design
    widths : sequence of int
        Columns of W that each task has: 1, or its number of classes.
    """

    def __init__(self, bases: Sequence[Design], widths: Sequence[int]) -> None:
        self.bases, self.widths = tuple(bases), tuple(widths)
        self.dtype = np.result_type(*(base.dtype for base in bases))
        sizes = [base.n for base, width in zip(bases, widths, strict=True) for _ in range(width)]
        self.ptr = np.concatenate([[0], np.cumsum(sizes)])
        self.first = np.concatenate([[0], np.cumsum(widths)])
        self.shape = (int(self.ptr[-1]), bases[0].p)

    def on_host(self) -> TaskDesign:
        return OwnDesigns([base.on_host() for base in self.bases], self.widths)

    @property
    def row_size(self) -> float:
        return sum(base.n * base.row_size for base in self.bases) / max(1, sum(base.n for base in self.bases))

    def _segments(self) -> list[tuple[Design, slice, slice]]:
        """Design, columns and entries of every task."""
        first, ptr = self.first.tolist(), self.ptr.tolist()
        return [
            (base, slice(low, high), slice(ptr[low], ptr[high]))
            for base, low, high in zip(self.bases, first[:-1], first[1:], strict=True)
        ]

    def predict(self, W: Array) -> Array:
        out = np.empty(self.shape[0])
        for base, columns, entries in self._segments():
            out[entries] = np.ravel(base.predict(W[:, columns]), order="F")
        return out

    def correlate(self, R: Array) -> Array:
        out = np.empty((self.p, self.t))
        for base, columns, entries in self._segments():
            width = columns.stop - columns.start
            out[:, columns] = base.correlate(R[entries].reshape(width, -1).T)
        return out

    def grams(self, weight: Array, *, single: bool = False) -> Array:
        out = np.empty((self.t, self.p, self.p))
        for c, base in enumerate(
            base for base, w in zip(self.bases, self.widths, strict=True) for _ in range(w)
        ):
            out[c] = base.weighted_gram(weight[self.ptr[c] : self.ptr[c + 1]], single=single)
        return out

    def part(self, features: Array, low: int = 0, high: int | None = None) -> TaskDesign:
        high = self.t if high is None else high
        tasks = [i for i in range(len(self.bases)) if low <= self.first[i] and self.first[i + 1] <= high]
        whole = self._is_whole(features)
        bases = [self.bases[i] if whole else self.bases[i].part(features) for i in tasks]
        return OwnDesigns(bases, [self.widths[i] for i in tasks])

    def centred(self) -> tuple[TaskDesign, Array] | None:
        means = [far_means(base) for base in self.bases]
        if all(mean is None for mean in means):
            return None
        columns = [np.zeros(self.p) if mean is None else mean for mean in means]
        return self._less(means), np.repeat(np.stack(columns, axis=1), self.widths, axis=1)

    def _less(self, means: list[Array | None]) -> OwnDesigns:
        """The same map, the columns of every X less their means where those are given."""
        pairs = zip(self.bases, means, strict=True)
        return OwnDesigns([b if m is None else ShiftedDesign(b, m) for b, m in pairs], self.widths)

    def check_finite(self, name: str = "X") -> None:
        for i, base in enumerate(self.bases):
            base.check_finite(f"{name}[{i}]")

    def as_given(self, A: Array) -> Any:
        parts = [A[entries].reshape(c.stop - c.start, -1).T for _, c, entries in self._segments()]
        return [part[:, 0] if part.shape[1] == 1 else part for part in parts]


def _ratio(a: Array, b: Array) -> float | None:
    """The factor r in a = r b, as between tasks that differ in weight alone, or None where there is none."""
    total = float(b.sum())
    if total == 0.0:
        return None
    ratio = float(a.sum()) / total
    slack = 8.0 * np.finfo(np.float64).eps * float(a.max(initial=0.0))
    return ratio if (np.abs(a - ratio * b) <= slack).all() else None
