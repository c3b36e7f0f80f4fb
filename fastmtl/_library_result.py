"""A fit whose arrays are of the library, and on the device, of the X that it was made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ._kinds import kind_of, shaped_like
from ._tasks import TaskColumns
from .backend import ON_DEVICE, device_array, host_array, is_on_device, library_of, like
from .certificate import Certificate
from .result import FitResult, _response


@dataclass(frozen=True, eq=False)
class LibraryFitResult(FitResult):
    """A `FitResult` for an X that is no NumPy array.

    `coef`, `intercept` and the dual point are arrays of X's library on X's device; for frames and dask arrays, which are
    tables of NumPy arrays, they stay NumPy arrays. Predictions are of the kind of the X that they are asked for.

    Attributes
    ----------
    host : FitResult
        The same fit in host memory; whatever needs more than a product is computed there.
    library : str
        As `backend.library_of` names it: "pandas", "polars", "dask", "torch", "jax", or "cuda:" and "cupy", "torch", "jax".
    """

    host: Any = None
    library: str = ON_DEVICE + "cupy"

    @classmethod
    def of(cls, host: FitResult, library: str) -> LibraryFitResult:
        """Move a result to where X is."""
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
        """Balanced factors, see `FitResult.factors`, as arrays of X's library."""
        U, V = self.host.factors()
        return like(U, self.library), like(V, self.library)

    def predict(self, X: Any, task: Any = None) -> Any:
        """Predictions on the scale of the response, see `FitResult.predict`, as X's kind and where X is.

        A dask X gives a dask array that is computed when it is asked for; a frame gives a frame with its rows, and the
        names of the tasks.
        """
        return self._answered(X, task, self.host.predict, _response)

    def decision_function(self, X: Any, task: Any = None) -> Any:
        """The linear predictor `X W + b`, see `FitResult.decision_function`, as X's kind and where X is."""
        return self._answered(X, task, self.host.decision_function, None)

    def _answered(
        self,
        X: Any,
        task: Any,
        ask: Callable[..., Any],
        turn: Callable[[TaskColumns, np.ndarray], np.ndarray] | None,
    ) -> Any:
        if isinstance(X, (list, tuple)):
            return ask(X, task)
        if is_on_device(X):
            library = library_of(X)
            assert library is not None
            return like(self._on_device(X, turn) if task is None else ask(host_array(X), task), library)
        if kind_of(X) == "dask" and task is None:
            return self._lazily(X, ask)
        return shaped_like(ask(X, task), X, None if task is not None else self.task_names)

    def _on_device(self, X: Any, turn: Callable[[TaskColumns, np.ndarray], np.ndarray] | None) -> Any:
        """The product on the device; what a loss makes of it in host memory, small beside X."""
        there = device_array(X)
        p = self._shape[0]
        if there.ndim != 2 or there.shape[1] != p:
            raise ValueError(f"X has shape {tuple(there.shape)}; the model has {p} features, one column each")
        if self.library.startswith(ON_DEVICE):
            coef, intercept = device_array(self.coef), device_array(self.intercept)
        else:
            coef, intercept = (like(A, ON_DEVICE + "cupy") for A in (self.host.coef, self.host.intercept))
        Z = there @ coef + intercept
        linked = [one for one in self.tasks if one.loss not in ("squared", "huber")] if turn else []
        if turn and linked:
            Z = Z.get()
            for one in linked:
                Z[:, one.columns] = turn(one, Z[:, one.columns])
        return Z[:, 0] if self.is_1d else Z

    def _lazily(self, X: Any, ask: Callable[..., Any]) -> Any:
        """The answer for every chunk of rows of a dask array, not computed yet."""
        if not hasattr(X, "rechunk"):  # a dask frame, whose rows are not known in number
            return X.map_partitions(ask, enforce_metadata=False, meta=np.empty((0, len(self.host.intercept))))
        blocks = X.rechunk({1: -1})
        dtype = self.host.intercept.dtype
        if self.is_1d:
            return blocks.map_blocks(ask, drop_axis=1, dtype=dtype)
        return blocks.map_blocks(ask, chunks=(blocks.chunks[0], (len(self.host.intercept),)), dtype=dtype)

    def score(self, X: Any, Y: Any, *, metric: str | None = None, per_task: bool = False) -> Any:
        """A score, see `FitResult.score`, computed in host memory."""
        X, Y = (host_array(A) if is_on_device(A) else A for A in (X, Y))
        return self.host.score(X, Y, metric=metric, per_task=per_task)

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
