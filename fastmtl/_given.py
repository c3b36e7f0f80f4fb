"""Raw data as the caller gave them: one X for all tasks, one a task, or one table with a label of the task in every row."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._arrays import as_ndarray, check_dense, distinct, is_device_sparse, is_sparse
from ._kinds import FRAMES, in_memory, kind_of, not_numbers, read
from .backend import device_array, host_array, is_on_device


class Data(NamedTuple):
    """X, Y, sample weights and offsets; with `is_own` all four are lists with one entry a task."""

    X: Any
    Y: Any
    sample_weight: Any
    offset: Any
    is_own: bool = False
    names: list[str] | None = None


def to_host(A: Any) -> Any:
    """A device array copied to host memory; anything else as it is."""
    return host_array(A) if is_on_device(A) else A


def as_values(A: Any, name: str) -> np.ndarray:
    """Targets or labels of any kind and type as a NumPy array.

    Raises
    ------
    TypeError, ValueError
        Masked, sparse or ragged arrays, and what NumPy cannot hold.
    """
    check_dense(A, name)
    A = A.compute() if kind_of(A) == "dask" else to_host(A)
    has_words = kind_of(A) in FRAMES and hasattr(A, "to_numpy") and not_numbers(A)
    return np.asarray(A) if has_words else read(A, name)


def read_labels(labels: Any, name: str, n: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The distinct labels (K,), sorted, and the place (n,) among them of every sample's.

    Raises
    ------
    ValueError
        Another shape, or a sample without a label.
    TypeError
        Labels of types that have no common order.
    """
    values = as_values(labels, name)
    if values.ndim != 1 or (n is not None and len(values) != n):
        expected = "(samples,)" if n is None else f"({n},)"
        raise ValueError(
            f"{name} has shape {values.shape}, {expected} was expected: the label of every sample"
        )
    return distinct(values, name)


def read_data(X: Any, Y: Any, sample_weight: Any, offset: Any, task: Any) -> Data:
    """Tell the three forms of data apart.

    Raises
    ------
    ValueError, TypeError
        Lists that do not match, or task labels that do not.
    """
    if task is not None:
        return _by_label(X, Y, sample_weight, offset, task)
    if not is_list_of_designs(X):
        return Data(X, _held(Y, "Y"), _held(sample_weight, "sample_weight"), _held(offset, "offset"))
    n_tasks = len(X)
    Y = _one_a_task(Y, "Y", n_tasks)
    weights = (
        [None] * n_tasks if sample_weight is None else _one_a_task(sample_weight, "sample_weight", n_tasks)
    )
    shifts = [None] * n_tasks if offset is None else _one_a_task(offset, "offset", n_tasks)
    return Data(list(X), Y, weights, shifts, True)


def is_list_of_designs(X: Any) -> bool:
    """Whether X is a list with a matrix for every task, and not one matrix written as nested lists."""
    return isinstance(X, (list, tuple)) and len(X) > 0 and (is_sparse(X[0]) or len(np.shape(X[0])) == 2)


def _one_a_task(A: Any, name: str, n_tasks: int) -> list[Any]:
    if isinstance(A, np.ndarray) and A.dtype != object:
        raise ValueError(
            f"{name} is an array of shape {A.shape}, X is a list of {n_tasks} designs; pass a list with one vector a task"
        )
    if not isinstance(A, (list, tuple, np.ndarray)) or len(A) != n_tasks:
        came = f"{len(A)} entries" if hasattr(A, "__len__") else f"type {type(A).__name__}"
        raise ValueError(
            f"{name} has {came}, X is a list of {n_tasks} designs; pass a list with one vector a task"
        )
    return [_held(a, f"{name}[{i}]") for i, a in enumerate(A)]


def _held(A: Any, name: str) -> Any:
    """What goes with X in host memory: a device array copied, one of dask computed, anything else as it is."""
    return in_memory(to_host(A), name)


def _by_label(X: Any, Y: Any, sample_weight: Any, offset: Any, task: Any) -> Data:
    """Rows sorted to their tasks; where they lie together already, as views."""
    if is_list_of_designs(X):
        raise ValueError("task is given and X is a list; task labels go with one X (n, p) and one Y (n,)")
    table: Any = (
        X.tocsr()
        if is_sparse(X) or is_device_sparse(X)
        else device_array(X)
        if is_on_device(X)
        else as_ndarray(X, "X")
    )
    if table.ndim != 2:
        raise ValueError(f"X has {table.ndim} dimension(s), two were expected: (samples, features)")
    n = table.shape[0]
    names, place = read_labels(task, "task", n)
    order = np.argsort(place, kind="stable")
    ends = np.concatenate([[0], np.cumsum(np.bincount(place, minlength=len(names)))])
    rows: list[Any] = [order[low:high] for low, high in zip(ends[:-1], ends[1:], strict=True)]
    rows = [slice(r[0], r[-1] + 1) if r[-1] + 1 - r[0] == len(r) else r for r in rows]
    columns = list(getattr(X, "columns", ()))

    def cut(A: Any, name: str) -> list[Any]:
        if A is None:
            return [None] * len(names)
        vector = as_values(A, name)
        if vector.shape not in ((n,), (n, 1)):
            raise ValueError(f"{name} has shape {vector.shape}, ({n},) was expected beside task labels")
        return [vector.reshape(n)[r] for r in rows]

    parts = [Named(table[r], columns) if columns else table[r] for r in rows]
    return Data(
        parts,
        cut(Y, "Y"),
        cut(sample_weight, "sample_weight"),
        cut(offset, "offset"),
        True,
        [str(n) for n in names],
    )


class Named:
    """Some rows of a frame as an array that keeps the names of its columns."""

    def __init__(self, values: np.ndarray, columns: list[Any]) -> None:
        self.values, self.columns, self.shape = values, columns, values.shape

    def to_numpy(self) -> np.ndarray:
        """The rows."""
        return self.values
