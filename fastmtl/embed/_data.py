"""The solver on X and Y: working sets, certified from the data."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmtl_kernels import cpu
from fastmtl_kernels._interface import BlockShrink

from .._arrays import is_sparse
from ..designs import DenseDesign, SparseDesign
from ..penalties import Penalty
from ..problem import Problem
from ..solvers import Monitor, Settings, choose
from ._blocks import Blocks, form_of, used_blocks
from ._solution import Solution


def solve(
    X: Any,
    Y: Any,
    penalty: BlockShrink | Penalty,
    *,
    coef: Any = None,
    active: Any = None,
    tol: float = 1e-6,
    relative: bool = True,
    max_iter: int = 1000,
    monitor: Monitor | None = None,
) -> Solution:
    """Minimise on X and Y; the gap is recomputed from them in float64.

    Parameters
    ----------
    X : ndarray or scipy.sparse matrix of shape (n, p)
        Any real dtype and layout (CSC or CSR); not copied. `coef` is rounded to float32 if X is float32.
    Y : ndarray of shape (n, t)
    penalty : BlockShrink or Penalty
        From `blocks`, or a block penalty of `fastmtl.penalties` with its alpha set.
    coef : ndarray of shape (p, t), optional
        Where to start.
    active : ndarray of bool, shape (B,), optional
        Blocks that may leave zero; the others stay there, and the gap is that of the problem without them.
    tol : float
        Bound on the duality gap: relative to `|Y|^2 / 2`, or absolute if `relative` is false.
    max_iter : int
        Bound on outer iterations.
    monitor : Monitor, optional
        Called every outer iteration with (iteration, certificate, active rows); a status that it returns ends the run.

    Returns
    -------
    Solution

    Raises
    ------
    TypeError
        A penalty without a block form.
    """
    form = form_of(penalty, X.shape[1], active)
    design = SparseDesign(X) if is_sparse(X) else DenseDesign(X)
    Y = np.ascontiguousarray(Y, dtype=np.float64)
    problem = Problem(design, Y, Blocks(1.0, form), 1.0, False)
    null = problem.null_value
    bound = tol if relative else tol / null if null > 0.0 else 0.0
    settings = Settings(cpu, bound, max_iter, monitor or Monitor())
    start = None if coef is None else (np.asarray(coef, dtype=np.float64), np.zeros(Y.shape[1]))
    with np.errstate(all="ignore"):
        found = choose(problem, settings).run(problem, start)
    W = found.coef.astype(np.float64, copy=False)
    certificate = found.certificate
    return Solution(
        W, used_blocks(W, form), certificate.gap, certificate.primal, found.n_iter,
        certificate.relative_gap <= bound,
    )  # fmt: skip
