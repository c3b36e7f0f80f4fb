"""Targets, losses, weights and offsets at the door: read task by task, checked, and laid out in flat arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ._arrays import Array, as_ndarray, check_finite
from ._given import as_values
from .losses import Loss, resolve
from .task_problem import Part

SCALES = ("mean", "sum")


class Target(NamedTuple):
    """One task: encoded targets (n,) or (n, classes), weights c s / N (n,), zero at gaps, and what they are called."""

    y: Array
    omega: Array
    offset: Array | None
    loss: Loss
    labels: list[str] | None
    n_observed: int

    @property
    def width(self) -> int:
        """Columns of W."""
        return 1 if self.y.ndim == 1 else self.y.shape[1]


@dataclass(frozen=True)
class Reader:
    """Reads the tasks one after the other.

    Attributes
    ----------
    losses : sequence of Loss
        One a task.
    task_weight : ndarray of shape (T,)
    scale : {"mean", "sum"}
    """

    losses: Sequence[Loss]
    task_weight: Array
    scale: str
    names: Sequence[str] = field(default_factory=tuple)

    def target(self, t: int, y: Array, s: Array | None, offset: Array | None, *, gaps: bool) -> Target:
        """Task t from its raw targets (n,), sample weights and offsets."""
        what, loss = self.names[t], self.losses[t]
        seen = ~np.isnan(y) if gaps and y.dtype.kind == "f" else None
        if seen is not None and seen.all():
            seen = None
        labels = None
        if seen is None:
            encoded, labels = np.asarray(loss.encode(y, what), dtype=np.float64), loss.labels(y)
        elif not seen.any():
            encoded = np.zeros(len(y))
        else:
            part = np.asarray(loss.encode(y[seen], what), dtype=np.float64)
            encoded = np.zeros((len(y), *part.shape[1:]))
            encoded[seen], labels = part, loss.labels(y[seen])
            if part.ndim == 2:
                encoded[~seen, 0] = 1.0
        weight = np.ones(len(y)) if s is None else s.copy()
        if seen is not None:
            weight[~seen] = 0.0
        total = float(weight.sum()) if self.scale == "mean" else 1.0
        if not math.isfinite(total):
            raise ValueError("sample_weight sums to infinity; scale the weights down")
        omega = weight * (self.task_weight[t] / total) if total > 0 else np.zeros(len(y))
        shown = None if labels is None else [str(label) for label in labels]
        return Target(encoded, omega, offset, loss, shown, int((weight > 0).sum()))


def read_losses(loss: Any, n_tasks: int) -> list[Loss]:
    """One loss a task, from one for all or a sequence."""
    if not isinstance(loss, (list, tuple)):
        return [resolve(loss)] * n_tasks
    if len(loss) != n_tasks:
        raise ValueError(
            f"loss has {len(loss)} entries, there are {n_tasks} tasks; give one loss a task, or one for all"
        )
    return [resolve(one) for one in loss]


def read_task_weight(task_weight: Any, n_tasks: int) -> Array:
    """Task weights (T,), ones when left out."""
    if task_weight is None:
        return np.ones(n_tasks)
    c = as_ndarray(task_weight, "task_weight").astype(np.float64)
    if c.shape != (n_tasks,):
        raise ValueError(f"task_weight has shape {c.shape}, ({n_tasks},) was expected: one weight a task")
    check_weights(c, "task_weight")
    return c


def read_sample_weight(
    sample_weight: Any, n: int, n_tasks: int = 1, name: str = "sample_weight"
) -> Array | None:
    """Sample weights (n,), or (n, T) when they differ by task, in float64; None when left out."""
    if sample_weight is None:
        return None
    s = as_ndarray(sample_weight, name).astype(np.float64)
    if s.shape not in ((n,), (n, n_tasks)):
        by_task = f" or ({n}, {n_tasks})" if n_tasks > 1 else ""
        raise ValueError(f"{name} has shape {s.shape}, ({n},){by_task} was expected: one weight a sample")
    check_weights(s, name)
    return s


def check_weights(weights: Array, name: str) -> None:
    """Raise unless every weight is finite and not negative."""
    check_finite(weights, name)
    if (weights < 0).any():
        raise ValueError(f"{name} holds {weights.min()}; weights must be >= 0")


def read_offset(offset: Any, shape: tuple[int, ...], name: str = "offset") -> Array | None:
    """Offsets broadcast to (n, columns); None when left out."""
    if offset is None:
        return None
    o = as_ndarray(offset, name).astype(np.float64)
    check_finite(np.atleast_1d(o), name)
    if o.ndim == 1 and o.shape[0] == shape[0]:
        o = o[:, None]
    if o.shape not in (shape, (shape[0], 1)):
        expected = shape[:1] if shape[1] == 1 else shape
        raise ValueError(f"{name} has shape {o.shape}, the shape of Y was expected: {expected}")
    return np.broadcast_to(o, shape)


def read_targets(Y: Any, n: int, *, gaps: bool) -> tuple[Array, bool]:
    """Numeric targets as float64 (n, t), and whether they came as a vector; NaN marks a gap in a matrix, if gaps may be."""
    Y = as_ndarray(Y, "Y")
    if Y.ndim not in (1, 2):
        raise ValueError(f"Y has {Y.ndim} dimensions, one (samples,) or two (samples, tasks) were expected")
    if Y.shape[0] != n:
        raise ValueError(f"Y has {Y.shape[0]} rows, X has {n}; rows are samples and must match")
    if Y.ndim == 2 and Y.shape[1] == 0:
        raise ValueError("Y has no column; at least one task is needed")
    check_finite(Y, "Y", gaps=gaps and Y.ndim == 2)
    out = np.ascontiguousarray(Y, dtype=np.float64)
    return (out[:, None] if Y.ndim == 1 else out), Y.ndim == 1


def read_columns(Y: Any, n: int, losses: int | None) -> tuple[list[Array], list[str], bool]:
    """Targets as one raw vector a task, classes of any kind among them, their names in errors, and whether Y is a vector.

    Parameters
    ----------
    Y : array of shape (n, T) or (n,), frame, or a list of T vectors where `losses` says that there are T
    n : int
    losses : int or None
        Number of losses given, None when one is for all.
    """
    if losses is not None and is_list_of_targets(Y, losses):
        names, raw, is_1d = [f"Y[{t}]" for t in range(len(Y))], list(Y), False
    else:
        names, raw, is_1d = table_columns(Y)
    columns = [as_vector(y, name) for name, y in zip(names, raw, strict=True)]
    for name, y in zip(names, columns, strict=True):
        if len(y) != n:
            raise ValueError(f"{name} has {len(y)} rows, X has {n}; rows are samples and must match")
    return columns, names, is_1d


def is_list_of_targets(Y: Any, losses: int) -> bool:
    """Whether Y is a list with a vector for each of so many losses, and not one array written as nested lists."""
    return isinstance(Y, (list, tuple)) and len(Y) == losses and all(np.ndim(y) == 1 for y in Y)


def table_columns(Y: Any) -> tuple[list[str], list[Any], bool]:
    """What errors call the columns of an array or frame of targets, the columns, and whether Y is a vector."""
    if hasattr(Y, "columns"):
        names = [f"Y[{str(name)!r}]" for name in Y.columns]
        # A name may stand twice in pandas.
        raw = [Y.iloc[:, t] if hasattr(Y, "iloc") else Y[name] for t, name in enumerate(Y.columns)]
    else:
        table = as_values(Y, "Y")
        if table.ndim == 1:
            return ["Y"], [table], True
        if table.ndim != 2:
            raise ValueError(f"Y has shape {table.shape}; (samples,) or (samples, tasks) was expected")
        names, raw = [f"Y[:, {t}]" for t in range(table.shape[1])], list(table.T)
    if not names:
        raise ValueError("Y has no column; at least one task is needed")
    return names, raw, False


def as_vector(y: Any, name: str) -> Array:
    """A raw vector of targets, labels of any kind among them."""
    y = as_values(y, name)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise ValueError(f"{name} has shape {y.shape}; one value a sample was expected")
    if y.dtype.kind in "fc" and np.isinf(y).any():
        raise ValueError(f"{name} holds an infinite value; every target must be finite: drop or impute it")
    return y


class Flat(NamedTuple):
    """All tasks in flat arrays, column after column."""

    parts: tuple[Part, ...]
    y: Array
    omega: Array
    offset: Array | None


def flatten(targets: Sequence[Target]) -> Flat:
    """Lay tasks out one after the other, the classes of a joint loss as columns, and merge neighbours under one loss."""
    parts: list[Part] = []
    column = entry = 0
    for target in targets:
        columns, entries = slice(column, column + target.width), slice(entry, entry + target.y.size)
        last = parts[-1] if parts else None
        if last is not None and last.loss == target.loss and not target.loss.joint:
            parts[-1] = Part(
                last.loss, slice(last.columns.start, columns.stop), slice(last.entries.start, entries.stop)
            )
        else:
            parts.append(Part(target.loss, columns, entries))
        column, entry = columns.stop, entries.stop
    omega = np.concatenate([np.tile(target.omega, target.width) for target in targets])
    if not omega.any():
        raise ValueError(
            "no sample has any weight: sample_weight, task_weight or the gaps in Y leave nothing; one is needed"
        )
    offset = None
    if any(target.offset is not None for target in targets):
        offset = np.concatenate(
            [np.zeros(t.y.size) if t.offset is None else np.ravel(t.offset, order="F") for t in targets]
        )
    y = np.concatenate([np.ravel(target.y, order="F") for target in targets])
    return Flat(tuple(parts), y, omega, offset)
