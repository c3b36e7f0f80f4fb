"""Weighted, centred cross-products of a whole design: the Gram matrix of its columns or of its rows.

Both fill the lower triangle of one Fortran-ordered square array in place, panel by panel, and hold nothing else of
that size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .._arrays import Array

CANCELLATION = 1e-4
"""Share of a squared norm that must be left after subtracting the mean's; below it digits that the solvers need are
gone, and the panels are centred before they are multiplied. Columns that are constant up to rounding keep nothing
either way and do not count."""
CONSTANT = 1e-13

Panels = Callable[[Array | None], Iterator[Array]]
"""Given the centre to subtract (or None), the panels `a` whose `a a'` add up to the product."""


def rank_update(target: Array, panel: Array) -> None:
    """`target += panel panel'` on the lower triangle, in place; target (q, q) in Fortran order, panel (q, m)."""
    from scipy.linalg import blas as wrappers

    blas: Any = wrappers  # made at build time, no type stubs
    update = blas.ssyrk if target.dtype == np.float32 else blas.dsyrk
    panel = np.asarray(panel, dtype=target.dtype)
    if panel.flags.f_contiguous:
        update(1.0, panel, beta=1.0, c=target, trans=0, lower=1, overwrite_c=1)
    else:
        update(1.0, np.ascontiguousarray(panel).T, beta=1.0, c=target, trans=1, lower=1, overwrite_c=1)


def accumulate(
    panels: Panels,
    centre: Array | None,
    correct: Callable[[Array, Array], None],
    order: int,
    dtype: type,
    early: bool = False,
) -> Array:
    """Sum of the panels' squares, centred: afterwards by `correct` where that is harmless, else panel by panel.

    Parameters
    ----------
    panels : Panels
    centre : ndarray or None
    correct : callable
        Given the raw sum and the centre, subtracts in place what the centre contributes.
    order, dtype
        Of the square result.
    early : bool
        Centre the panels before they are multiplied, whatever it costs.
    """
    target = np.zeros((order, order), dtype=dtype, order="F")
    for panel in panels(centre if early else None):
        rank_update(target, panel)
    if centre is None or early:
        return target
    raw = np.diag(target).copy()
    correct(target, centre)
    left = np.diag(target)
    if np.any((left < CANCELLATION * raw) & (left > CONSTANT * raw)):
        target[:] = 0.0
        for panel in panels(centre):
            rank_update(target, panel)
    return target
