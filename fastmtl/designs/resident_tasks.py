"""Designs on a device under any losses: predictions stay there, one number a feature or a column comes home."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._arrays import Array
from .device import DeviceDesign
from .per_task import OwnDesigns, SharedDesign, TaskDesign
from .scaled import ScaledDesign


class ResidentTasks(OwnDesigns):
    """A `SharedDesign` or `OwnDesigns` whose flat arrays (N,) live on the device, for the length of a run.

    Parameters
    ----------
    bases : sequence of DeviceDesign
        Not streamed; a shared one once, for all of its columns.
    widths : sequence of int
        Columns of W that each has.
    scales : sequence of ndarray of shape (p,)
        Positive divisors of the columns of each X.
    """

    def __init__(self, bases: Sequence[DeviceDesign], widths: Sequence[int], scales: Sequence[Array]) -> None:
        super().__init__(bases, widths)
        self._there, self._scales, self._xp = tuple(bases), tuple(scales), bases[0].gpu.xp
        self._divisor = np.repeat(np.stack(self._scales, axis=1), self.widths, axis=1)

    @classmethod
    def of(cls, design: TaskDesign) -> ResidentTasks | None:
        """The same map; None where some X is not on the device, or has its columns scaled by powers of two."""
        given = [design.base] if isinstance(design, SharedDesign) else getattr(design, "bases", ())
        widths = [design.t] if isinstance(design, SharedDesign) else getattr(design, "widths", ())
        bases, scales = [], []
        for base in given:
            scale: Array | None = None
            if type(base) is ScaledDesign:
                base, scale = base.base, base.scale
            if not isinstance(base, DeviceDesign) or base.is_streamed:
                return None
            bases.append(base)
            scales.append(np.ones(base.p) if scale is None else scale)
        return cls(bases, widths, scales)

    def up(self, A: Array) -> Any:
        """A flat array on the device."""
        return self._there[0].up(A)

    def home(self, A: Any) -> Array:
        return A.get()

    def _columns(self, A: Any) -> list[Any]:
        """The flat array as one row a column of W, (width, n), of every X."""
        return [A[entries].reshape(c.stop - c.start, -1) for _, c, entries in self._segments()]

    def predict(self, W: Array) -> Any:
        W = W / self._divisor
        rows = np.flatnonzero(W.any(axis=1))
        few = rows if 4 * len(rows) < self.p else None
        W = self.up(W if few is None else W[few])
        parts = [
            base.predict_there(W[:, columns], few).T.ravel()
            for base, (_, columns, _) in zip(self._there, self._segments(), strict=True)
        ]
        return self._xp.concatenate(parts)

    def correlate(self, R: Any) -> Array:
        parts = [
            base.correlate_there(rows.T) for base, rows in zip(self._there, self._columns(R), strict=True)
        ]
        return self._xp.concatenate(parts, axis=1).get() / self._divisor

    def grams(self, weight: Any, *, single: bool = False) -> Array:
        parts = [
            base.grams_there(rows) for base, rows in zip(self._there, self._columns(weight), strict=True)
        ]
        scale = self._divisor.T
        return self._xp.concatenate(parts).get() / (scale[:, :, None] * scale[:, None, :])

    def part(self, features: Array, low: int = 0, high: int | None = None) -> TaskDesign:
        high, whole = self.t if high is None else high, self._is_whole(features)
        bases, widths, scales = [], [], []
        for base, scale, first, last in zip(
            self._there, self._scales, self.first[:-1], self.first[1:], strict=True
        ):
            width = int(min(last, high) - max(first, low))
            if width > 0:
                bases.append(base if whole else base.gathered(features))
                widths.append(width)
                scales.append(scale if whole else scale[features])
        return ResidentTasks(bases, widths, scales)

    def centred(self) -> tuple[TaskDesign, Array] | None:
        found = super().centred()
        return found and (found[0], found[1] / self._divisor)

    def _less(self, means: list[Array | None]) -> OwnDesigns:
        pairs = zip(self._there, means, strict=True)
        bases = [base if mean is None else base.shifted_there(mean) for base, mean in pairs]
        return ResidentTasks(bases, self.widths, self._scales)

    def as_given(self, A: Any) -> Any:
        return super().as_given(self.home(A))

    def sums(self, A: Any) -> Array:
        return self._xp.concatenate([rows.sum(axis=1) for rows in self._columns(A)]).get()

    def largest(self, A: Any) -> Array:
        xp = self._xp
        return xp.concatenate(
            [rows.max(axis=1) if rows.size else xp.zeros(len(rows)) for rows in self._columns(A)]
        ).get()

    def spread(self, b: Array) -> Any:
        there = self._xp.asarray(b)
        return self._xp.concatenate([self._xp.repeat(there[c], base.n) for base, c, _ in self._segments()])
