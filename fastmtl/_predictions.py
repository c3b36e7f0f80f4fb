"""Predictions of a fit for an X of any kind: worked out where X is, and handed back as X's kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._arrays import as_ndarray, feature_names, is_sparse
from ._given import as_values, is_list_of_designs, to_host
from ._kinds import kind_of, shaped_like
from ._tasks import TaskColumns
from .backend import ON_DEVICE, device_array, is_on_device, library_of, like

if TYPE_CHECKING:
    from .result import FitResult

Turn = Callable[[TaskColumns, np.ndarray], np.ndarray]
"""What is made of the linear predictor (n, width) of a task."""


def response(task: TaskColumns, Z: np.ndarray) -> np.ndarray:
    """The scale of the response: the mean that the loss gives; a loss of the user's own has none."""
    loss = task.loss_object()
    return Z if loss is None else loss.inverse_link(Z)


def unturned(task: TaskColumns, Z: np.ndarray) -> np.ndarray:
    """The linear predictor itself."""
    return Z


def predictions(fit: FitResult, X: Any, task: Any, turn: Turn) -> Any:
    """Predictions for X, for a list of designs, or for rows with the labels of their tasks, as X's kind.

    Raises
    ------
    ValueError
        A number of designs or features, names of columns, or labels that the fit does not know.
    """
    if is_list_of_designs(X):
        return [_as_x(_Asked.of_task(fit, one, turn), x) for one, x in _paired(fit, X)]
    if task is not None:
        return _as_x_by_label(fit, X, task, turn)
    return _as_x(_Asked(fit, fit.tasks, turn, fit.is_1d, fit.task_names), X)


def linear_parts(fit: FitResult, X: Any) -> list[np.ndarray]:
    """The linear predictor (n_t, width) of every task, in host memory."""
    if is_list_of_designs(X):
        return [_linear(fit, to_host(x), one.columns) for one, x in _paired(fit, X)]
    Z = _linear(fit, to_host(X), slice(None))
    return [Z[:, one.columns] for one in fit.tasks]


def _paired(fit: FitResult, X: Any) -> zip[tuple[TaskColumns, Any]]:
    if len(X) != len(fit.tasks):
        raise ValueError(f"X is a list of {len(X)} designs; the model has {len(fit.tasks)} tasks, one each")
    return zip(fit.tasks, X, strict=True)


class _Asked(NamedTuple):
    """What is asked for one X: some neighbouring tasks, the scale, and the shape and names of the answer."""

    fit: FitResult
    tasks: tuple[TaskColumns, ...]
    turn: Turn
    is_1d: bool
    names: list[str] | None

    @classmethod
    def of_task(cls, fit: FitResult, task: TaskColumns, turn: Turn) -> _Asked:
        """One task by itself: a vector, or a column a class."""
        is_single = task.last - task.first == 1
        names = ([task.name] if task.is_named else None) if is_single else task.labels
        return cls(fit, (task,), turn, is_single, names)

    @property
    def columns(self) -> slice:
        """Columns of `coef`."""
        return slice(self.tasks[0].first, self.tasks[-1].last)

    @property
    def width(self) -> int:
        """How many they are."""
        return self.columns.stop - self.columns.start

    def finished(self, Z: np.ndarray) -> np.ndarray:
        """Predictions from the linear predictor (n, width), which is overwritten."""
        for one in self.tasks:
            own = slice(one.first - self.columns.start, one.last - self.columns.start)
            Z[:, own] = self.turn(one, Z[:, own])
        return Z[:, 0] if self.is_1d else Z


def _numbers(asked: _Asked, X: Any) -> np.ndarray:
    """Predictions (n, width) or (n,) for an X in host memory, as a NumPy array."""
    return asked.finished(_linear(asked.fit, X, asked.columns))


def _as_x(asked: _Asked, X: Any) -> Any:
    """Predictions as X's kind, and where X is."""
    library = library_of(X) if is_on_device(X) else None
    if library is not None:
        return like(_on_device(asked, X), library)
    if kind_of(X) == "dask":
        return _lazily(asked, X)
    return _table(asked, X)


def _table(asked: _Asked, X: Any) -> Any:
    return shaped_like(_numbers(asked, X), X, asked.names)


def _on_device(asked: _Asked, X: Any) -> Any:
    """The product on the device; what a loss makes of it in host memory, small beside X."""
    fit, there, columns = asked.fit, device_array(X), asked.columns
    _check_shape(fit, there)
    if is_on_device(fit.coef):
        coef, intercept = device_array(fit.coef), device_array(fit.intercept)
    else:
        coef, intercept = (like(A, ON_DEVICE + "cupy") for A in (fit.host.coef, fit.host.intercept))
    Z = there @ coef[:, columns] + intercept[columns]
    if asked.turn is not unturned and any(one.loss not in ("squared", "huber") for one in asked.tasks):
        return asked.finished(Z.get())
    return Z[:, 0] if asked.is_1d else Z


def _lazily(asked: _Asked, X: Any) -> Any:
    """The answer for every chunk of rows of a dask array or frame, not computed yet."""
    _check_names(asked.fit, feature_names(X))
    _check_shape(asked.fit, X)
    asked = asked._replace(fit=replace(asked.fit.host, dual=None, history=()))  # it goes to every worker
    if not hasattr(X, "rechunk"):
        return X.map_partitions(partial(_table, asked), meta=_table(asked, X._meta))
    blocks, ask = X.rechunk({1: -1}), partial(_numbers, asked)
    dtype = np.result_type(X.dtype, asked.fit.intercept.dtype)
    if asked.is_1d:
        return blocks.map_blocks(ask, drop_axis=1, dtype=dtype)
    return blocks.map_blocks(ask, chunks=(blocks.chunks[0], (asked.width,)), dtype=dtype)


def _as_x_by_label(fit: FitResult, X: Any, task: Any, turn: Turn) -> Any:
    """Every row's own task, as X's kind; a dask X is computed."""
    Z = _of_label(fit, to_host(X), task, turn)
    library = library_of(X) if is_on_device(X) else None
    if library is not None:
        return like(Z, library)
    labels = fit.tasks[0].labels
    return shaped_like(
        Z, X, labels if Z.ndim == 2 and all(one.labels == labels for one in fit.tasks) else None
    )


def _of_label(fit: FitResult, X: Any, task: Any, turn: Turn) -> np.ndarray:
    labels = np.array([str(label) for label in as_values(task, "task")])
    Z = _linear(fit, X, slice(None))
    if labels.shape != (len(Z),):
        raise ValueError(
            f"task has {len(labels)} entries, X has {len(Z)} rows; every row needs the name of its task"
        )
    widths = {one.last - one.first for one in fit.tasks}
    if len(widths) > 1:
        raise ValueError("task cannot be used where tasks have different numbers of columns; leave it out")
    out = np.full((len(Z), widths.pop()), np.nan)
    known = np.zeros(len(Z), dtype=bool)
    for one in fit.tasks:
        own = labels == one.name
        out[own], known = turn(one, Z[own, one.columns]), known | own
    if not known.all():
        raise ValueError(f"task holds {labels[~known][0]!r}, which is none of the tasks of the fit")
    return out[:, 0] if out.shape[1] == 1 else out


def _linear(fit: FitResult, X: Any, columns: slice) -> np.ndarray:
    """`X W + b` (n, columns) for some columns of W, a new array in host memory."""
    fit = fit.host
    _check_names(fit, feature_names(X))
    if not is_sparse(X):
        X = as_ndarray(X, "X")
    _check_shape(fit, X)
    b = fit.intercept[columns]
    if fit.low_rank is not None:
        return np.asarray((X @ fit.low_rank.left) @ fit.low_rank.right[columns].T + b)
    W = fit.coef[:, columns]
    rows = np.flatnonzero(W.any(axis=1))
    return np.asarray((X[:, rows] @ W[rows] if 4 * len(rows) < len(W) else X @ W) + b)


def _check_shape(fit: FitResult, X: Any) -> None:
    p = fit.n_features
    if X.ndim != 2 or X.shape[1] != p:
        shape = ", ".join(str(size) if isinstance(size, int) else "?" for size in X.shape)
        raise ValueError(f"X has shape ({shape}); the model has {p} features, one column each")


def _check_names(fit: FitResult, names: list[str] | None) -> None:
    """A frame whose columns are not those of the fit would be read in the wrong order."""
    known = fit.feature_names
    if names is None or known is None or names == known:
        return
    if sorted(names) == sorted(known):
        raise ValueError("X has the columns of the fit in another order; pass X[result.feature_names]")
    missing = [name for name in known if name not in names][:3]
    extra = [name for name in names if name not in known][:3]
    raise ValueError(f"X has other columns than the fit: {extra} are new, {missing} are missing")
