"""Multi-task Lasso and multi-task elastic net."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .._settings import check_flag
from ._base import Lowered, check_alpha, check_fraction, check_weights
from ._block import BlockPenalty


@dataclass(frozen=True, init=False)
class RowPenalty(BlockPenalty):
    """Settings that the row-wise penalties L21 and L1 share.

    Parameters
    ----------
    alpha : float, optional
        Strength, >= 0; left out, the door supplies it.
    l1_ratio : float
        In [0, 1]: 1 is the pure norm, 0 the pure ridge.
    feature_weights : sequence of float, optional
        v_j >= 0, one a feature; 0 = never penalised, inf = excluded. Multiplies norm and ridge alike.
    positive : bool
        Constrain W >= 0.

    Raises
    ------
    ValueError, TypeError
        A setting outside its range.
    """

    l1_ratio: float
    feature_weights: Sequence[float] | None
    positive: bool

    def __init__(
        self,
        alpha: float | None = None,
        *,
        l1_ratio: float = 1.0,
        feature_weights: Sequence[float] | None = None,
        positive: bool = False,
    ) -> None:
        object.__setattr__(self, "alpha", None if alpha is None else check_alpha(alpha))
        object.__setattr__(self, "l1_ratio", check_fraction(l1_ratio, "l1_ratio"))
        object.__setattr__(self, "feature_weights", check_weights(feature_weights, "feature_weights"))
        object.__setattr__(self, "positive", check_flag(positive, "positive"))

    def check(self, p: int, t: int) -> None:
        if self.feature_weights is not None and len(self.feature_weights) != p:
            raise ValueError(
                f"feature_weights has {len(self.feature_weights)} entries, X has {p} features; give one each"
            )

    def _row_strengths(self, p: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Block pointers, norm and ridge strengths of single rows, and the mask of excluded rows."""
        v = np.ones(p) if self.feature_weights is None else np.asarray(self.feature_weights)
        out = np.isinf(v)
        v = np.where(out, 0.0, v)
        return np.arange(p + 1), self.l1_ratio * v, (1.0 - self.l1_ratio) * v, out


class L21(RowPenalty):
    """Multi-task Lasso: whole features in or out, for all tasks together.

        alpha * ( l1_ratio * sum_j v_j |w_j|_2 + (1 - l1_ratio)/2 * sum_j v_j |w_j|_2^2 )

    with w_j the row of feature j. Prox: shrink the row norm by `step alpha l1_ratio v_j`, divide by
    `1 + step alpha (1 - l1_ratio) v_j`. Dual norm: the largest row norm over v_j. scikit-learn's MultiTaskLasso and
    MultiTaskElasticNet have this penalty at the same alpha.

    See `RowPenalty` for the parameters.

    References
    ----------
    Obozinski, Taskar, Jordan (2010), "Joint covariate selection and joint subspace selection".
    """

    name = "l21"

    def _strengths(self, p: int) -> Lowered:
        ptr, norm, ridge, out = self._row_strengths(p)
        return Lowered(None, ptr, np.zeros(p), np.where(out, np.inf, norm), ridge, self.positive)

    @property
    def is_rotation_invariant(self) -> bool:
        return not self.positive
