"""Sparse-group lasso."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._settings import check_flag
from ._base import Lowered, check_alpha, check_fraction, check_weights
from ._block import BlockPenalty, times
from .group import check_group_weights, check_weight_count, freeze_groups, group_strengths, parse_groups


@dataclass(frozen=True, init=False)
class SparseGroup(BlockPenalty):
    """Sparse-group lasso: few groups, and few coefficients inside them.

        alpha * ( tau * sum_jt u_j |w_jt| + (1 - tau) * sum_g v_g |W_g|_F )

    Prox: soft threshold by `step alpha tau u_j`, then shrink the block norm by `step alpha (1 - tau) v_g`. The dual norm
    of a block is the root a of `|S(V_g, a tau u)|_F = a (1 - tau) v_g`.

    Parameters
    ----------
    alpha : float, optional
        Strength, >= 0.
    tau : float
        In [0, 1]: 1 is the Lasso, 0 the group lasso.
    groups : sequence, optional
        As in `Group`; None makes every feature (row) its own group.
    group_weights : sequence of float or "sqrt", optional
        v_g >= 0; inf = the group is excluded.
    feature_weights : sequence of float, optional
        u_j >= 0; inf = the feature is excluded.
    positive : bool
        Constrain W >= 0.

    References
    ----------
    Simon, Friedman, Hastie, Tibshirani (2013), "A sparse-group lasso".
    """

    tau: float
    groups: Any
    group_weights: Any
    feature_weights: Sequence[float] | None
    positive: bool

    name = "sparse_group"

    def __init__(
        self,
        alpha: float | None = None,
        *,
        tau: float = 0.5,
        groups: Any = None,
        group_weights: Sequence[float] | str | None = None,
        feature_weights: Sequence[float] | None = None,
        positive: bool = False,
    ) -> None:
        object.__setattr__(self, "alpha", None if alpha is None else check_alpha(alpha))
        object.__setattr__(self, "tau", check_fraction(tau, "tau"))
        object.__setattr__(self, "groups", freeze_groups(groups))
        object.__setattr__(self, "group_weights", check_group_weights(group_weights))
        object.__setattr__(self, "feature_weights", check_weights(feature_weights, "feature_weights"))
        object.__setattr__(self, "positive", check_flag(positive, "positive"))

    def check(self, p: int, t: int) -> None:
        if self.feature_weights is not None and len(self.feature_weights) != p:
            raise ValueError(
                f"feature_weights has {len(self.feature_weights)} entries, X has {p} features; give one each"
            )
        check_weight_count(self.group_weights, self._blocks(p)[1])

    def _blocks(self, p: int) -> tuple[np.ndarray | None, np.ndarray]:
        return (None, np.arange(p + 1)) if self.groups is None else parse_groups(self.groups, p)

    def _strengths(self, p: int) -> Lowered:
        order, ptr = self._blocks(p)
        v = group_strengths(self.group_weights, ptr)
        u = np.ones(p) if self.feature_weights is None else np.asarray(self.feature_weights)
        u = u if order is None else u[order]
        l1, l2 = times(self.tau, u), times(1.0 - self.tau, v)
        # What no norm ties together falls into rows: some may be unpenalised, and never leave, beside some that are not.
        sizes = np.diff(ptr)
        starts = np.repeat(l2 == 0, sizes)
        starts[ptr[:-1]] = True
        l2, ptr = np.repeat(l2, sizes)[starts], np.append(np.flatnonzero(starts), p)
        return Lowered(order, ptr, l1, l2, np.zeros(len(l2)), self.positive)
