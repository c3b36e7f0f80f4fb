"""Lasso and elastic net, task by task."""

from __future__ import annotations

import numpy as np

from ._base import Lowered
from .l21 import RowPenalty


class L1(RowPenalty):
    """Lasso: every coefficient on its own.

        alpha * ( l1_ratio * sum_jt v_j |w_jt| + (1 - l1_ratio)/2 * sum_jt v_j w_jt^2 )

    Prox: soft threshold by `step alpha l1_ratio v_j`, divide by `1 + step alpha (1 - l1_ratio) v_j`. Dual norm: the
    largest |v_jt| / v_j. scikit-learn's Lasso and ElasticNet, fitted per task, have this penalty at the same alpha.

    See `fastmtl.penalties.l21.RowPenalty` for the parameters.

    References
    ----------
    Tibshirani (1996), "Regression shrinkage and selection via the lasso"; Zou, Hastie (2005), "Regularization and
    variable selection via the elastic net".
    """

    name = "l1"

    def _strengths(self, p: int) -> Lowered:
        ptr, norm, ridge, out = self._row_strengths(p)
        return Lowered(None, ptr, norm, np.where(out, np.inf, 0.0), ridge, self.positive)
