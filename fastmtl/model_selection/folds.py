"""Ways to divide samples into training and test parts.

Each function gives a list of pairs (train, test) that `cross_validate(cv=...)` takes; so does any scikit-learn splitter, or
any other iterable of such pairs. A part is an array of indices or a boolean mask (n,); a mask (n, t) divides single entries
of Y; with a design for each task (X a list), a part is a list with one array a task.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .._arrays import as_ndarray
from .._given import as_values, read_labels, to_host
from .._settings import check_count, check_flag

Part = Any
"""Indices (m,), each counted once; a mask (n,) or (n, t); or a list of those with one a task."""


class Fold(NamedTuple):
    """One division: masks of the training and test samples, (n,) or (n, t), or lists of masks, one a task."""

    train: Any
    test: Any


def k_fold(
    n: int | Sequence[int], k: int = 5, *, shuffle: bool = False, seed: int = 0
) -> list[tuple[Part, Part]]:
    """`k` test parts of nearly equal size that cover all samples once.

    Parameters
    ----------
    n : int or sequence of int
        Number of samples; of each task, when every task has a design of its own.
    k : int
        Number of parts, from 2 to n.
    shuffle : bool
        Whether samples are assigned at random; else the parts are contiguous, as in scikit-learn's `KFold`.
    seed : int
        >= 0, of the random assignment.

    Raises
    ------
    ValueError, TypeError
        Too few samples for `k` parts, or a setting outside its range.
    """
    check_flag(shuffle, "shuffle")
    check_count(seed, "seed", least=0)
    if not isinstance(n, (int, np.integer)):
        tasks = [k_fold(int(m), k, shuffle=shuffle, seed=seed + i) for i, m in enumerate(n)]
        return [
            ([pair[0] for pair in pairs], [pair[1] for pair in pairs]) for pairs in zip(*tasks, strict=True)
        ]
    _check_count(k, int(n), "samples")
    order = np.random.default_rng(seed).permutation(n) if shuffle else np.arange(n)
    label = np.empty(n, dtype=np.int64)
    for fold, part in enumerate(np.array_split(order, k)):
        label[part] = fold
    return _by_label(label, k)


def repeated(
    n: int | Sequence[int], k: int = 5, repeats: int = 3, *, seed: int = 0
) -> list[tuple[Part, Part]]:
    """`repeats` shuffled `k_fold` divisions, one after the other: `k * repeats` pairs.

    Scores of one repeat depend on those of another, so that a standard error over all pairs is too small (Nadeau, Bengio
    2003, "Inference for the generalization error").

    Parameters
    ----------
    n : int or sequence of int
        Number of samples; of each task, when every task has a design of its own.
    k : int
        Parts of each division, from 2 to n.
    repeats : int
    seed : int
        >= 0, of the random assignments.

    Raises
    ------
    ValueError, TypeError
        Too few samples for `k` parts, or a setting outside its range.
    """
    check_count(repeats, "repeats")
    seeds = np.random.SeedSequence(check_count(seed, "seed", least=0)).generate_state(repeats)
    return [pair for one in seeds for pair in k_fold(n, k, shuffle=True, seed=int(one))]


def grouped(groups: Any, k: int = 5) -> list[tuple[Part, Part]]:
    """`k` test parts such that no group is in both parts of a pair; groups are placed, largest first, where there is most room.

    Parameters
    ----------
    groups : array of shape (n,), or a list of those with one a task
        Label of each sample's group; a label means the same group in every task.
    k : int
        From 2 to the number of groups.

    Raises
    ------
    ValueError, TypeError
        Fewer groups than `k`, samples without a label, or labels that have no order.
    """
    sizes = None
    if isinstance(groups, (list, tuple)) and len(groups) and np.ndim(groups[0]) == 1:
        parts = [as_values(part, f"groups[{t}]") for t, part in enumerate(groups)]
        sizes = np.cumsum([len(part) for part in parts])[:-1]
        groups = np.concatenate(parts)
    names, member = read_labels(groups, "groups")
    _check_count(k, len(names), "groups")
    count = np.bincount(member)
    load, home = np.zeros(k), np.empty(len(names), dtype=np.int64)
    for group in np.argsort(-count, kind="stable"):
        home[group] = np.argmin(load)
        load[home[group]] += count[group]
    label = home[member]
    if sizes is None:
        return _by_label(label, k)
    tasks = np.split(label, sizes)
    return [
        ([np.flatnonzero(one != fold) for one in tasks], [np.flatnonzero(one == fold) for one in tasks])
        for fold in range(k)
    ]


def stratified(labels: Any, k: int = 5, *, seed: int = 0) -> list[tuple[Part, Part]]:
    """`k` shuffled test parts, each with nearly the same share of every label.

    Parameters
    ----------
    labels : array of shape (n,)
        For instance the classes of a classification.
    k : int
        From 2 to n.
    seed : int
        >= 0, of the random assignment.

    Raises
    ------
    ValueError, TypeError
        Too few samples for `k` parts, samples without a label, or labels that have no order.
    """
    _, member = read_labels(labels, "labels")
    _check_count(k, len(member), "samples")
    order = np.random.default_rng(check_count(seed, "seed", least=0)).permutation(len(member))
    order = order[np.argsort(member[order], kind="stable")]
    label = np.empty(len(member), dtype=np.int64)
    label[order] = np.arange(len(member)) % k
    return _by_label(label, k)


def per_task(Y: Any, k: int = 5, *, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Divisions of the observed entries of Y, task by task: a row may train some tasks and test others.

    They ask how well a task's missing entries are filled in from the other tasks of the same samples, which is another
    question than the error on new samples.

    Parameters
    ----------
    Y : array of shape (n, t)
        Targets; NaN marks a gap, which is in neither part.
    k : int
        From 2 to the fewest entries of a task.
    seed : int
        >= 0, of the random assignment.

    Returns
    -------
    list of (train, test)
        Masks (n, t).

    Raises
    ------
    ValueError, TypeError
        Too few entries of some task for `k` parts, or no matrix of numbers.
    """
    observed = ~np.isnan(as_ndarray(to_host(Y), "Y"))
    if observed.ndim != 2:
        raise ValueError(f"Y has shape {observed.shape}; (samples, tasks) was expected")
    rng = np.random.default_rng(check_count(seed, "seed", least=0))
    label = np.full(observed.shape, -1)
    for task, seen in enumerate(observed.T):
        rows = rng.permutation(np.flatnonzero(seen))
        _check_count(k, len(rows), f"entries in task {task}")
        label[rows, task] = (np.arange(len(rows)) + task) % k
    return [(observed & (label != fold), label == fold) for fold in range(k)]


def time_ordered(n: int, k: int = 5, *, gap: int = 0, window: int | None = None) -> list[tuple[Part, Part]]:
    """Divisions of ordered samples in which all training samples come before the test samples.

    The last `k` parts of nearly equal size are tested in turn.

    Parameters
    ----------
    n : int
        Number of samples.
    k : int
        Number of pairs; `k + 1` parts are made.
    gap : int
        >= 0: samples left out between training and test, for targets that look ahead.
    window : int, optional
        Largest number of training samples, the latest ones; left out, all that came before.

    Raises
    ------
    ValueError, TypeError
        Too few samples for the parts and the gap, or a setting outside its range.
    """
    check_count(gap, "gap", least=0)
    if window is not None:
        check_count(window, "window")
    _check_count(check_count(k, "k") + 1, check_count(n, "n"), "samples")
    pairs = []
    for part in np.array_split(np.arange(n), k + 1)[1:]:
        end = int(part[0]) - gap
        start = 0 if window is None else max(0, end - window)
        if end <= start:
            raise ValueError(f"gap={gap} leaves no training sample before sample {part[0]}; lower gap or k")
        pairs.append((np.arange(start, end), part))
    return pairs


def as_folds(cv: Any, n: int | Sequence[int], t: int, X: Any, Y: Any, groups: Any = None) -> list[Fold]:
    """Masks from whatever `cv` is: a number of folds, a splitter with a `split` method, or pairs of parts.

    Parameters
    ----------
    n : int or sequence of int
        Number of samples; of each task, when every task has a design of its own.
    t : int
        Number of tasks.
    X, Y, groups
        Handed to a splitter.

    Raises
    ------
    ValueError, TypeError
        Naming what is wrong with `cv`, or with which of its pairs.
    """
    if groups is not None:
        _check_groups(groups, n)
    if isinstance(cv, (int, np.integer)) and not isinstance(cv, bool):
        pairs: Iterable[Any] = k_fold(n, int(cv)) if groups is None else grouped(groups, int(cv))
    elif hasattr(cv, "split") and not isinstance(cv, (str, bytes)):
        pairs = _split(cv, n, X, Y, groups)
    elif isinstance(cv, Iterable) and not isinstance(cv, (str, bytes)):
        if groups is not None:
            raise ValueError("groups is given, and cv holds its pairs already; leave one of them out")
        pairs = cv
    else:
        raise TypeError(
            f"cv is {cv!r}; a number of folds, a splitter or pairs of indices (train, test) were expected"
        )
    folds = [_as_fold(pair, number, n, t) for number, pair in enumerate(pairs)]
    if not folds:
        raise ValueError("cv holds no pair (train, test); at least one is needed")
    return folds


def _check_groups(groups: Any, n: int | Sequence[int]) -> None:
    """Raise unless every sample has the label of its group."""
    if isinstance(n, (int, np.integer)):
        read_labels(groups, "groups", int(n))
        return
    if not isinstance(groups, (list, tuple)) or len(groups) != len(n):
        came = f"{len(groups)} entries" if hasattr(groups, "__len__") else f"type {type(groups).__name__}"
        raise ValueError(
            f"groups has {came}, X is a list of {len(n)} designs; pass a list with one vector a task"
        )
    for t, (part, m) in enumerate(zip(groups, n, strict=True)):
        read_labels(part, f"groups[{t}]", int(m))


def _split(cv: Any, n: int | Sequence[int], X: Any, Y: Any, groups: Any) -> Iterable[Any]:
    """Pairs of a splitter; with own designs, those of each task side by side."""
    if isinstance(n, (int, np.integer)):
        return cv.split(X, Y, groups)
    own = [None] * len(n) if groups is None else groups
    tasks = [list(cv.split(x, y, g)) for x, y, g in zip(X, Y, own, strict=True)]
    return [([p[0] for p in pairs], [p[1] for p in pairs]) for pairs in zip(*tasks, strict=True)]


def _as_fold(pair: Any, number: int, n: int | Sequence[int], t: int) -> Fold:
    try:
        train, test = pair
    except (TypeError, ValueError):
        raise TypeError(f"cv[{number}] is {pair!r}; a pair (train, test) was expected") from None
    if isinstance(n, (int, np.integer)):
        masks = Fold(*(_as_mask(part, int(n), t, f"cv[{number}]") for part in (train, test)))
        sides = [masks]
        if masks.train.ndim != masks.test.ndim:
            masks = sides[0] = Fold(*(m if m.ndim == 2 else np.repeat(m[:, None], t, 1) for m in masks))
    else:
        if not len(train) == len(test) == len(n):
            raise ValueError(f"cv[{number}] has parts for {len(train)} and {len(test)} tasks; X has {len(n)}")
        sides = [
            Fold(_as_mask(a, int(m), 1, f"cv[{number}]"), _as_mask(b, int(m), 1, f"cv[{number}]"))
            for a, b, m in zip(train, test, n, strict=True)
        ]
        masks = Fold([side.train for side in sides], [side.test for side in sides])
    if any((side.train & side.test).any() for side in sides):
        raise ValueError(f"cv[{number}] has samples in both parts; training and test must not meet")
    for name in Fold._fields:
        if not any(getattr(side, name).any() for side in sides):
            raise ValueError(
                f"cv[{number}] has no {name}ing sample; both parts need one".replace("testing", "test")
            )
    return masks


def _as_mask(part: Any, n: int, t: int, name: str) -> np.ndarray:
    part = np.asarray(part)
    if part.dtype == bool:
        if part.shape not in ((n,), (n, t)):
            raise ValueError(f"{name} holds a mask of shape {part.shape}; ({n},) or ({n}, {t}) was expected")
        return part[:, 0] if t == 1 and part.ndim == 2 else part
    if part.size == 0:
        part = part.astype(np.int64)
    if part.ndim != 1 or part.dtype.kind not in "iu":
        raise TypeError(
            f"{name} holds an array of shape {part.shape} and dtype {part.dtype}; indices or a mask were expected"
        )
    if part.size and (part.min() < -n or part.max() >= n):
        raise ValueError(f"{name} holds indices from {part.min()} to {part.max()}; X has {n} samples")
    mask = np.zeros(n, dtype=bool)
    mask[part] = True
    return mask


def _by_label(label: np.ndarray, k: int) -> list[tuple[Part, Part]]:
    return [(np.flatnonzero(label != fold), np.flatnonzero(label == fold)) for fold in range(k)]


def _check_count(k: Any, available: int, what: str) -> None:
    check_count(k, "the number of folds", least=2)
    if k > available:
        raise ValueError(f"{k} folds need as many {what}, there are {available}; ask for fewer folds")
