"""A fit whose arrays live on a device, beside the X that it was made from."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from .backend import device_array, is_on_device, like
from .certificate import Certificate
from .result import FitResult


@dataclass(frozen=True, eq=False)
class DeviceFitResult(FitResult):
    """A `FitResult` with `coef` and `intercept` (and the dual point) as arrays of X's library on X's device.

    Attributes
    ----------
    host : FitResult
        The same fit in host memory; whatever needs more than a product is computed there.
    library : str
        Top-level name of the array library: cupy, torch, jax.
    """

    host: Any = None
    library: str = "cupy"

    @classmethod
    def of(cls, host: FitResult, library: str) -> DeviceFitResult:
        """Move a result to the device."""
        moved = ("coef", "intercept", "dual", "low_rank")
        kept = {f.name: getattr(host, f.name) for f in fields(FitResult) if f.name not in moved}
        dual = None if host.dual is None else like(host.dual, library)
        return cls(
            like(host.coef, library),
            like(host.intercept, library),
            **kept,
            dual=dual,
            host=host,
            library=library,
        )

    @property
    def support(self) -> np.ndarray:
        """Indices of the features with a non-zero row, in host memory."""
        return self.host.support

    @property
    def singular_values(self) -> np.ndarray:
        """Singular values of `coef` above rounding, descending, in host memory."""
        return self.host.singular_values

    @property
    def _shape(self) -> tuple[int, int]:
        return self.host._shape

    def factors(self) -> tuple[Any, Any]:
        """Balanced factors, see `FitResult.factors`, on the device."""
        U, V = self.host.factors()
        return like(U, self.library), like(V, self.library)

    def predict(self, X: Any) -> Any:
        """Predictions (n, t), or (n,) for a single task given as a vector: on the device when X is there."""
        if not is_on_device(X):
            return self.host.predict(X)
        there = device_array(X)
        p = self._shape[0]
        if there.ndim != 2 or there.shape[1] != p:
            raise ValueError(f"X has shape {tuple(there.shape)}; the model has {p} features, one column each")
        Z = there @ device_array(self.coef) + device_array(self.intercept)
        return like(Z[:, 0] if self.is_1d else Z, type(X).__module__.partition(".")[0])

    def score(self, X: Any, Y: Any, *, per_task: bool = False) -> Any:
        """Coefficient of determination R^2, see `FitResult.score`, computed in host memory."""
        X, Y = (device_array(A).get() if is_on_device(A) else A for A in (X, Y))
        return self.host.score(X, Y, per_task=per_task)

    def certify(self, X: Any, Y: Any, penalty: Any = "l21", **problem: Any) -> Certificate:
        """Certify these coefficients again; `penalty` and `problem` are the arguments of `fastmtl.certify`."""
        return self.host.certify(X, Y, penalty, **problem)

    def summary(self) -> str:
        """A paragraph of text: the model, its certificate and its largest rows."""
        return self.host.summary()

    def __repr__(self) -> str:
        return repr(self.host)

    def save(self, path: Any) -> None:
        """Write the model to an `.npz` file without pickled objects; it is loaded into host memory."""
        self.host.save(path)
