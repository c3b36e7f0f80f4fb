"""The samples that folds divide: one table for all tasks, one a task, or rows with the label of their task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._given import read_data, read_labels
from .._kinds import in_memory
from .folds import Fold, as_folds


@dataclass(frozen=True)
class Samples:
    """Data as the doors take them, lists with one entry a task when `is_own`.

    Attributes
    ----------
    X, Y, sample_weight, offset : array or list
    is_own : bool
        Whether every task has a design of its own.
    sizes : int or list of int
        Number of samples; of each task when they are own.
    places : list of ndarray or None
        Rows of each task in the caller's table, when labels told the tasks.
    """

    X: Any
    Y: Any
    sample_weight: Any
    offset: Any
    is_own: bool
    sizes: Any
    places: list[np.ndarray] | None = None

    @classmethod
    def read(cls, X: Any, Y: Any, sample_weight: Any, offset: Any, task: Any) -> Samples:
        """Sort rows to their tasks; nothing else is checked here."""
        given = {"X": X, "Y": Y, "sample_weight": sample_weight, "offset": offset}
        data = read_data(**{name: in_memory(A, name) for name, A in given.items()}, task=task)
        sizes = [int(np.shape(x)[0]) for x in data.X] if data.is_own else int(np.shape(data.X)[0])
        places = None
        if task is not None:
            code = read_labels(task, "task")[1]
            places = [np.flatnonzero(code == c) for c in range(len(sizes))]  # type: ignore[arg-type]
        return cls(data.X, data.Y, data.sample_weight, data.offset, data.is_own, sizes, places)

    def folds(self, cv: Any, n_tasks: int, X: Any, Y: Any, groups: Any) -> list[Fold]:
        """Folds of whatever `cv` is; a number of them divides each task by itself where tasks have samples of their own."""
        is_number = isinstance(cv, (int, np.integer)) and groups is None
        if self.places is None or is_number:
            return as_folds(cv, self.sizes, n_tasks, X, Y, groups)
        folds = as_folds(cv, sum(self.sizes), 1, X, Y, groups)
        return [Fold(*([mask[rows] for rows in self.places] for mask in fold)) for fold in folds]

    def training(self, fold: Fold) -> dict[str, Any]:
        """The arguments of a door that fit the training samples: all of them, with no weight on the others.

        Raises
        ------
        ValueError
            No training sample has a weight.
        """
        if not self.is_own:
            weight = _masked(self.sample_weight, fold.train)
        else:
            weight = [_masked(s, mask) for s, mask in zip(self.sample_weight, fold.train, strict=True)]
        if not any(np.any(part) for part in (weight if self.is_own else [weight])):
            raise ValueError(
                "sample_weight is zero for all training samples of a fold; every fold needs one with a positive weight"
            )
        return dict(X=self.X, Y=self.Y, sample_weight=weight, offset=self.offset)


def _masked(weight: Any, mask: np.ndarray) -> np.ndarray:
    """Weights (n,) or (n, t), zero outside of the mask (n,) or (n, t)."""
    if weight is None:
        return mask.astype(np.float64)
    weight = np.asarray(weight.to_numpy() if hasattr(weight, "to_numpy") else weight, dtype=np.float64)
    if weight.ndim < mask.ndim:
        weight = weight[:, None]
    return weight * (mask if mask.ndim == weight.ndim else mask[:, None])
