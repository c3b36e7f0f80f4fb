"""How wrong a path of fits is on test samples, task by task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays import Array, panels
from .._door import Opened
from .._given import to_host
from .._targets import read_offset
from ..designs import DenseDesign, Design, OwnDesigns, ScaledDesign, SparseDesign, SparseDeviceDesign
from ..losses import Loss, Squared
from ..path import PathResult
from ..problem import Problem
from .folds import Fold

Error = Callable[[Loss, Array, Array], Array]
"""Error of every entry from a loss, targets and linear predictions (m, fits, columns); (m, fits) for joint losses."""

WORK = 1 << 22
"""Bytes of predictions that are held at a time."""


def _misclassified(loss: Loss, Y: Array, Z: Array) -> Array:
    """1 where the most probable class is not the observed one, else 0."""
    if loss.joint:
        return (np.argmax(Y, axis=-1) != np.argmax(Z, axis=-1)).astype(np.float64)
    return ((Z > 0) != (Y > 0.5)).astype(np.float64)


NAMED: dict[str, Error] = {
    "deviance": lambda loss, Y, Z: 2.0 * loss.value(Y, Z),
    "squared": lambda loss, Y, Z: (Y - loss.inverse_link(Z)) ** 2,
    "absolute": lambda loss, Y, Z: np.abs(Y - loss.inverse_link(Z)),
    "misclassified": _misclassified,
}


def as_error(score: Any, losses: set[str]) -> Error:
    """The error that `score` stands for.

    Parameters
    ----------
    score : str, callable or None
    losses : set of str
        Names of the losses it must suit.

    Raises
    ------
    ValueError
        An unknown name, or one that does not suit the losses.
    """
    if score is None:
        return NAMED["deviance"]
    if callable(score):
        return lambda loss, Y, Z: _one_by_one(score, loss, Y, loss.inverse_link(Z))
    if not isinstance(score, str) or score not in NAMED:
        raise ValueError(
            f"score is {score!r}; known names are {', '.join(NAMED)}; or pass a function of (Y, P)"
        )
    others = losses - {"logistic", "multinomial"}
    if score == "misclassified" and others:
        raise ValueError(f"score='misclassified' needs classes; loss={min(others)!r} has none")
    return NAMED[score]


def _one_by_one(score: Callable[[Array, Array], Array], loss: Loss, Y: Array, P: Array) -> Array:
    """A function of targets and predictions (m, columns), for one fit after the other."""
    parts = [np.asarray(score(Y[:, i], P[:, i]), dtype=np.float64) for i in range(P.shape[1])]
    expected = Y[:, 0].shape[: 1 if loss.joint else 2]
    for part in parts:
        if part.shape != expected:
            raise ValueError(
                f"score gives an array of shape {part.shape}; {expected} was expected: the error of every entry"
            )
    return np.stack(parts, axis=1)


@dataclass(frozen=True)
class Judged:
    """Neighbouring columns of W under one loss and on one design.

    Attributes
    ----------
    design : Design
        All samples (n, p), in the caller's units.
    columns : slice
        Of W.
    tasks : slice
        One task a column, or a single one for a joint loss.
    loss : Loss
    y : ndarray of shape (n, columns)
        Targets as the loss encodes them, any value at a gap.
    weight : ndarray of shape (n, tasks) or (n, 1)
        Weights of entries, zero at gaps.
    offset : ndarray of shape (n, columns) or None
    """

    design: Design
    columns: slice
    tasks: slice
    loss: Loss
    y: Array
    weight: Array
    offset: Array | None = None

    def errors(self, path: PathResult, test: Any, error: Error) -> Array:
        """Weighted mean error (A, tasks) of every fit of a path on the samples of a mask (n,) or (n, tasks).

        NaN for a task without test weight.
        """
        rows = np.flatnonzero(test if test.ndim == 1 else test.any(axis=1))
        weight = np.broadcast_to(self.weight[rows], (len(rows), self.tasks.stop - self.tasks.start))
        if test.ndim == 2:
            weight = weight * test[rows, self.tasks]
        seen = weight > 0
        with np.errstate(invalid="ignore", divide="ignore"):
            share = weight / weight.sum(axis=0)
        out = []
        for Z in _predictions(path, rows_of(self.design, rows), self.columns):
            if self.offset is not None:
                Z += self.offset[rows][:, None, :]
            values = error(self.loss, np.broadcast_to(self.y[rows][:, None, :], Z.shape), Z)
            values = values[:, :, None] if values.ndim == 2 else values
            out.append(np.einsum("mat,mt->at", np.where(seen[:, None, :], values, 0.0), share))
        return np.concatenate(out)


def judged(opened: Opened, offset: Any) -> list[Judged]:
    """All tasks of a problem with the caller's `offset`, and what it takes to judge their predictions."""
    problem = opened.problem
    if isinstance(problem, Problem):
        every = slice(0, problem.n_tasks)
        weight = np.broadcast_to(np.reshape(problem.omega, (-1, 1)), (problem.design.n, 1))
        shift = read_offset(offset, problem.Y.shape)
        Y = problem.Y if shift is None else problem.Y + shift
        return [Judged(unscaled(problem.design), every, every, Squared(), Y, weight, shift)]
    design, ptr, out = problem.design, problem.design.ptr, []
    is_own = isinstance(design, OwnDesigns)
    for part in problem.parts:
        tasks = [
            i for i, one in enumerate(opened.tasks) if part.columns.start <= one.first < part.columns.stop
        ]
        groups = [[i] for i in tasks] if is_own else [tasks]
        for group in groups:
            columns = slice(opened.tasks[group[0]].first, opened.tasks[group[-1]].last)
            entries = slice(ptr[columns.start], ptr[columns.stop])

            def table(A: Array, width: int = columns.stop - columns.start, entries: slice = entries) -> Array:
                return A[entries].reshape(width, -1).T

            weight = table(problem.omega)
            out.append(
                Judged(
                    unscaled(design.bases[group[0]] if is_own else design.base),
                    columns,
                    slice(group[0], group[-1] + 1),
                    part.loss,
                    table(problem.y),
                    weight[:, :1] if part.loss.joint else weight,
                    None if problem.offset is None else table(problem.offset),
                )
            )
    return out


def path_errors(parts: list[Judged], path: PathResult, fold: Fold, error: Error) -> Array:
    """Weighted mean error (A, tasks) of every fit of a path on the test samples of a fold, NaN where a task has none."""
    out = np.empty((len(path), parts[-1].tasks.stop))
    for part in parts:
        test = fold.test[part.tasks.start] if isinstance(fold.test, list) else fold.test
        out[:, part.tasks] = part.errors(path, test, error)
    return out


def rows_of(design: Design, rows: Array) -> Design:
    """Some samples of a design as a design of their own, copied to host memory."""
    source: Any = design.on_host() if isinstance(design, SparseDeviceDesign) else design
    X = source.X
    if isinstance(source, SparseDesign):
        return SparseDesign(X[rows])
    # Columns stay contiguous where they were.
    by_columns = isinstance(X, np.ndarray) and X.flags.f_contiguous
    return DenseDesign(np.take(X.T, rows, axis=1).T if by_columns else to_host(X[rows]))


def unscaled(design: Design) -> Design:
    """The design in the caller's units."""
    return design.base if isinstance(design, ScaledDesign) else design


def _predictions(path: PathResult, design: Design, columns: slice) -> Iterator[Array]:
    """Linear predictions (m, fits, columns) of some fits at a time, from one product with the features that any uses."""
    width = columns.stop - columns.start
    for part in panels(len(path), 8 * max(1, design.n) * width, WORK):
        fits = range(part.start, part.stop)
        used = np.unique(np.concatenate([path.rows[i] for i in fits]))
        stacked = np.zeros((len(used), len(fits), width))
        for k, i in enumerate(fits):
            coef = path.fits[i].coef
            kept = coef if len(coef) == len(path.rows[i]) else coef[path.rows[i]]
            stacked[np.searchsorted(used, path.rows[i]), k] = kept[:, columns]
        Z = np.zeros((design.n, len(fits), width))
        if len(used) and design.n:
            Z += design.predict(stacked.reshape(len(used), -1), used).reshape(Z.shape)
        Z += np.stack([path.fits[i].intercept[columns] for i in fits])
        yield Z
