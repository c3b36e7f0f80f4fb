"""Group lasso over sets of features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from .._arrays import distinct
from .._settings import check_flag
from ._base import Lowered, check_alpha, check_fraction, check_weights
from ._block import BlockPenalty, times


def parse_groups(groups: Any, p: int) -> tuple[np.ndarray | None, np.ndarray]:
    """Order and block pointers of disjoint feature groups.

    Parameters
    ----------
    groups : sequence
        Labels (one a feature: numbers, words or tuples with a word in them, of types that can be sorted), sizes (integers
        that sum to p, fewer than p of them), or index lists that hold every feature exactly once.
    p : int
        Number of features.

    Returns
    -------
    order : ndarray of shape (p,) or None
        Features arranged group by group; None when they already are.
    ptr : ndarray of shape (B + 1,)
        Group b holds `order[ptr[b]:ptr[b + 1]]`; groups stand in order of their label, or as listed.

    Raises
    ------
    ValueError, TypeError
        Groups that overlap, leave out a feature, are empty or do not match p; labels that have no order.
    """
    groups = coded_groups(groups)
    if groups and all(np.ndim(g) == 1 for g in groups):
        lists = [np.asarray(g) for g in groups]
        for b, g in enumerate(lists):
            if g.size == 0:
                raise ValueError(f"groups[{b}] is empty; every group needs at least one feature")
            if g.dtype.kind not in "iu":
                raise ValueError(
                    f"groups[{b}] has dtype {g.dtype}; index lists hold integer feature positions"
                )
        order = np.concatenate(lists).astype(np.int64)
        if not np.array_equal(np.sort(order), np.arange(p)):
            raise ValueError(
                f"groups list {len(order)} feature positions ({len(np.unique(order))} distinct) for {p} features; "
                "every feature 0..p-1 must stand in exactly one group"
            )
        ptr = np.concatenate([[0], np.cumsum([len(g) for g in lists])])
    else:
        labels = np.asarray(groups)
        if labels.ndim != 1 or not labels.size:
            raise ValueError("groups must be labels per feature, sizes, or a list of index lists")
        if len(labels) != p:
            return None, _sizes_pointer(labels, p)
        codes = distinct(labels, "groups")[1]
        order = np.argsort(codes, kind="stable")
        ptr = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    in_place = np.array_equal(order, np.arange(p))
    return (None if in_place else order), ptr.astype(np.int64)


def _sizes_pointer(sizes: np.ndarray, p: int) -> np.ndarray:
    if sizes.dtype.kind not in "iu" or (sizes < 1).any() or sizes.sum() != p:
        raise ValueError(
            f"groups has {len(sizes)} entries for {p} features and is no list of positive sizes that sum to {p} either "
            "(labels need one entry a feature)"
        )
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def coded_groups(groups: Any) -> list[Any]:
    """Groups in numbers: index lists, sizes and labels that are numbers as they are, other labels by their order."""
    groups = list(groups)
    if all(isinstance(entry, Real) for g in groups for entry in (g if isinstance(g, tuple) else (g,))):
        return groups
    return distinct(np.fromiter(groups, dtype=object, count=len(groups)), "groups")[1].tolist()


def freeze_groups(groups: Any) -> Any:
    """Groups as nested tuples, so that a penalty stays immutable and comparable."""
    if groups is None:
        return None
    if isinstance(groups, (str, bytes, Mapping)) or not hasattr(groups, "__iter__"):
        raise ValueError(f"groups is {groups!r}; give labels per feature, sizes, or a list of index lists")
    return tuple(_frozen(g) for g in groups)


def _frozen(group: Any) -> Any:
    if isinstance(group, tuple):
        return group
    if isinstance(group, (set, frozenset)):
        group = sorted(group)
    return tuple(np.asarray(group).tolist()) if np.ndim(group) else getattr(group, "item", lambda: group)()


def group_strengths(weights: Any, ptr: np.ndarray) -> np.ndarray:
    """Weight of every group: 1, `sqrt` of its size, or as given."""
    sizes = np.diff(ptr)
    if weights is None:
        return np.ones(len(sizes))
    return np.sqrt(sizes) if isinstance(weights, str) else np.asarray(weights, dtype=np.float64)


def check_group_weights(weights: Any) -> Any:
    """Group weights as given by a user: None, "sqrt" or numbers >= 0."""
    if isinstance(weights, str):
        if weights != "sqrt":
            raise ValueError(f"group_weights is {weights!r}; pass 'sqrt', one number a group, or None")
        return weights
    return check_weights(weights, "group_weights")


@dataclass(frozen=True, init=False)
class Group(BlockPenalty):
    """Group lasso: whole groups of features in or out, for all tasks together.

        alpha * ( l1_ratio * sum_g v_g |W_g|_F + (1 - l1_ratio)/2 * sum_g v_g |W_g|_F^2 )

    with W_g the rows of group g. Prox: shrink the block norm. Dual norm: the largest |V_g|_F / v_g. With one task this is
    the ordinary group lasso.

    Parameters
    ----------
    alpha : float, optional
        Strength, >= 0.
    groups : sequence
        Labels per feature, sizes, or index lists; disjoint and covering (see `parse_groups`).
    group_weights : sequence of float or "sqrt", optional
        v_g >= 0 in the order of the groups (labels: sorted); default 1, "sqrt" = sqrt(size). 0 = never penalised,
        inf = excluded.
    l1_ratio : float
        In [0, 1]: 1 is the pure norm, 0 the pure ridge.
    positive : bool
        Constrain W >= 0.

    References
    ----------
    Yuan, Lin (2006), "Model selection and estimation in regression with grouped variables".
    """

    groups: Any
    group_weights: Any
    l1_ratio: float
    positive: bool

    name = "group"

    def __init__(
        self,
        alpha: float | None = None,
        *,
        groups: Any,
        group_weights: Sequence[float] | str | None = None,
        l1_ratio: float = 1.0,
        positive: bool = False,
    ) -> None:
        object.__setattr__(self, "alpha", None if alpha is None else check_alpha(alpha))
        if groups is None:
            raise ValueError(
                "groups is None; the group penalty needs labels per feature, sizes, or index lists"
            )
        object.__setattr__(self, "groups", freeze_groups(groups))
        object.__setattr__(self, "group_weights", check_group_weights(group_weights))
        object.__setattr__(self, "l1_ratio", check_fraction(l1_ratio, "l1_ratio"))
        object.__setattr__(self, "positive", check_flag(positive, "positive"))

    def check(self, p: int, t: int) -> None:
        check_weight_count(self.group_weights, parse_groups(self.groups, p)[1])

    def _strengths(self, p: int) -> Lowered:
        order, ptr = parse_groups(self.groups, p)
        v = group_strengths(self.group_weights, ptr)
        ridge = (1.0 - self.l1_ratio) * np.where(np.isinf(v), 0.0, v)
        return Lowered(order, ptr, np.zeros(p), times(self.l1_ratio, v), ridge, self.positive)

    @property
    def is_rotation_invariant(self) -> bool:
        return not self.positive


def check_weight_count(weights: Any, ptr: np.ndarray) -> None:
    """Raise a ValueError unless there is one weight a group."""
    if weights is not None and not isinstance(weights, str) and len(weights) != len(ptr) - 1:
        raise ValueError(f"group_weights has {len(weights)} entries for {len(ptr) - 1} groups; give one each")
