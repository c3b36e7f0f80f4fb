"""A block penalty on some of its blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._arrays import Array
from ._base import Lowered
from ._block import BlockPenalty


@dataclass(frozen=True, kw_only=True)
class Restricted(BlockPenalty):
    """A penalty given by a block form whose rows are the features it is asked about.

    Attributes
    ----------
    form : Lowered
        Without permutation.
    """

    form: Lowered

    name = "restricted"

    def _strengths(self, p: int) -> Lowered:
        return self.form


def restrict(form: Lowered, blocks: Array, bare: Array) -> tuple[Array, Restricted]:
    """The features of some blocks after those in `bare`, which are left unpenalised, and the penalty on them in that order.

    Parameters
    ----------
    form : Lowered
    blocks : ndarray of int
    bare : ndarray of int

    Returns
    -------
    features : ndarray of int
    penalty : Restricted
    """
    sizes = form.ptr[blocks + 1] - form.ptr[blocks]
    ends = np.cumsum(sizes)
    places = np.repeat(form.ptr[blocks] - ends + sizes, sizes) + np.arange(int(sizes.sum()))
    rows = places if form.order is None else form.order[places]
    none = np.zeros(len(bare))
    ptr = np.concatenate([np.arange(len(bare)), len(bare) + np.concatenate([[0], ends])]).astype(np.int64)
    part = Lowered(
        None, ptr, np.concatenate([none, form.l1[places]]), np.concatenate([none, form.l2[blocks]]),
        np.concatenate([none, form.ridge[blocks]]), form.positive,
    )  # fmt: skip
    return np.concatenate([bare, rows]).astype(np.int64), Restricted(1.0, form=part)
