"""One X on a device for columns under any losses: predictions stay there, one number a feature or a column comes home."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arrays import Array
from .device import DeviceDesign
from .per_task import SharedDesign, TaskDesign
from .scaled import ScaledDesign
from .shifted import far_means


class ResidentTasks(TaskDesign):
    """A `SharedDesign` whose flat arrays (N,) live on the device, for the length of a run.

    Parameters
    ----------
    base : DeviceDesign
        Not streamed.
    t : int
    scale : ndarray of shape (p,), optional
        Positive divisors of the columns of X.
    """

    def __init__(self, base: DeviceDesign, t: int, scale: Array | None = None) -> None:
        self.base, self.dtype, self._xp = base, base.dtype, base.gpu.xp
        self._scale = np.ones(base.p) if scale is None else scale
        self.shape = (base.n * t, base.p)
        self.ptr = base.n * np.arange(t + 1)

    @classmethod
    def of(cls, design: TaskDesign) -> ResidentTasks | None:
        """The same map; None where X is not on the device, or has its columns scaled by powers of two."""
        if not isinstance(design, SharedDesign):
            return None
        base, scale = design.base, None
        if type(base) is ScaledDesign:
            base, scale = base.base, base.scale
        if not isinstance(base, DeviceDesign) or base.is_streamed:
            return None
        return cls(base, design.t, scale)

    @property
    def row_size(self) -> float:
        return self.base.row_size

    def up(self, A: Array) -> Any:
        """A flat array on the device."""
        return self.base.up(A)

    def predict(self, W: Array) -> Any:
        W = W / self._scale[:, None]
        rows = np.flatnonzero(W.any(axis=1))
        few = 4 * len(rows) < self.p
        Z = self.base.predict_there(self.up(W[rows] if few else W), rows if few else None)
        return Z.T.ravel()

    def correlate(self, R: Any) -> Array:
        return self.base.correlate_there(R.reshape(self.t, -1).T).get() / self._scale[:, None]

    def grams(self, weight: Any, *, single: bool = False) -> Array:
        grams = self.base.grams_there(weight.reshape(self.t, -1)).get()
        return grams / np.outer(self._scale, self._scale)

    def part(self, features: Array, low: int = 0, high: int | None = None) -> TaskDesign:
        t = (self.t if high is None else high) - low
        if self._is_whole(features):
            return ResidentTasks(self.base, t, self._scale)
        return ResidentTasks(self.base.gathered(features), t, self._scale[features])

    def centred(self) -> tuple[TaskDesign, Array] | None:
        mean = far_means(self.base)
        if mean is None:
            return None
        centre = np.tile((mean / self._scale)[:, None], self.t)
        return ResidentTasks(self.base.shifted_there(mean), self.t, self._scale), centre

    def check_finite(self, name: str = "X") -> None:
        self.base.check_finite(name)

    def as_given(self, A: Any) -> Array:
        return self.home(A).reshape(self.t, -1).T

    def home(self, A: Any) -> Array:
        return A.get()

    def sums(self, A: Any) -> Array:
        return A.reshape(self.t, -1).sum(axis=1).get()

    def largest(self, A: Any) -> Array:
        return A.reshape(self.t, -1).max(axis=1).get()

    def spread(self, b: Array) -> Any:
        return self._xp.repeat(self._xp.asarray(b), self.base.n)
