"""The solvers on moments: X'X, X'Y and |Y|^2."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmtl_kernels import cpu
from fastmtl_kernels._interface import BlockShrink, Quadratic

from .._threads import threads_for
from ..penalties import Penalty
from ..solvers._forms import PANEL, GramForm
from ..solvers.descend import descend
from ._blocks import Form, form_of, used_blocks
from ._solution import BatchSolution, Solution

MAX_EPOCHS = 20_000
FIRST_EPOCHS = 40
"""Plain sweeps a problem gets before extrapolation and second-order steps are set up for it."""
WHOLE = 256
"""Rows up to which a descent on all of them is cheaper than choosing among them."""
INNER_SHARE = 0.3
"""Share of the tolerance that the problem on a working set may use up."""
NEAR = 0.99
ROUNDS_WITHOUT_GAIN = 3
ROUNDING = 1e-13
"""Share of a row's curvature that rounding may leave where free rows explain all of it."""


def solve_gram(
    gram: Any,
    moments: Any,
    squares: Any,
    penalty: BlockShrink | Penalty,
    *,
    coef: Any = None,
    active: Any = None,
    tol: float = 1e-6,
    relative: bool = True,
    max_epochs: int = MAX_EPOCHS,
) -> Solution:
    """Minimise on the moments of X and Y; the cost does not depend on the number of samples.

    Parameters
    ----------
    gram : ndarray of shape (p, p)
        X'X, symmetric.
    moments : ndarray of shape (p, t)
        X'Y.
    squares : float, or ndarray of shape (t,) or (t, t)
        |Y|^2 in all, or for each task, or the matrix Y'Y.
    penalty : BlockShrink or Penalty
        From `blocks`, or a block penalty of `fastmtl.penalties` with its alpha set.
    coef : ndarray of shape (p, t), optional
        Where to start.
    active : ndarray of bool, shape (B,), optional
        Blocks that may leave zero; the others stay there, and the gap is that of the problem without them.
    tol : float
        Bound on the duality gap: relative to `|Y|^2 / 2`, or absolute if `relative` is false.
    max_epochs : int
        Bound on the sweeps over the coefficients.

    Returns
    -------
    Solution
        Its gap is computed from the moments: good to a few `eps |Y|^2`.

    Raises
    ------
    TypeError
        A penalty without a block form.
    ValueError
        Blocks without any strength under `positive=True`: moments alone cannot certify them.
    """
    gram = _readable(np.asarray(gram, dtype=np.float64))
    moments = np.asarray(moments, dtype=np.float64)
    form = form_of(penalty, len(gram), active)
    half = 0.5 * _total(squares)
    target = tol * half if relative else tol
    run = _Moments(gram, moments, half, form)
    run.start(coef)
    with np.errstate(all="ignore"), threads_for(2.0 * PANEL * moments.size):
        gap, epochs = run.descend(target, max_epochs)
        return run.solution(gap, epochs, target)


def solve_batch(
    gram: Any,
    moments: Any,
    squares: Any,
    penalty: BlockShrink | Penalty | list[Any],
    *,
    coef: Any = None,
    tol: float = 1e-6,
    relative: bool = True,
    max_epochs: int = MAX_EPOCHS,
) -> BatchSolution:
    """Minimise m small problems that share X'X in one call.

    Parameters
    ----------
    gram : ndarray of shape (p, p)
        X'X of all problems.
    moments : ndarray of shape (m, p, t)
        X'Y of each.
    squares : ndarray of shape (m,)
        |Y|^2 of each.
    penalty : BlockShrink or Penalty, or a list of m of them
        One for all, or one each; a masked block (`l2 = inf`) stays at zero.
    coef : ndarray of shape (m, p, t), optional
        Where to start.
    tol, relative, max_epochs
        As in `solve_gram`, for each problem by itself.

    Returns
    -------
    BatchSolution

    Raises
    ------
    TypeError, ValueError
        As `solve_gram`; a list with another number of penalties than there are problems.
    """
    gram = _readable(np.asarray(gram, dtype=np.float64))
    moments, squares = np.asarray(moments, dtype=np.float64), np.asarray(squares, dtype=np.float64)
    m, p = moments.shape[:2]
    forms = (
        [form_of(one, p) for one in penalty]
        if isinstance(penalty, list)
        else [form_of(penalty, p)] * max(m, 1)
    )
    if not m:
        blocks, none = len(forms[0].ptr) - 1 if forms else 0, np.zeros(0)
        return BatchSolution(
            moments.copy(), np.zeros((0, blocks), bool), none, none, none.astype(int), none.astype(bool)
        )
    halves = 0.5 * squares
    targets = tol * halves if relative else np.full(m, float(tol))
    runs = [_Moments(gram, *each) for each in zip(moments, halves.tolist(), forms, strict=True)]
    for i, run in enumerate(runs):
        run.start(None if coef is None else coef[i])
    with np.errstate(all="ignore"), threads_for(2.0 * PANEL * moments.size / max(1, m)):
        first = cpu.sweep_batch(
            [run.quadratic for run in runs],
            [run.shrink for run in runs],
            targets,
            min(FIRST_EPOCHS, max_epochs),
        )
        found = []
        for run, done, target in zip(runs, first, targets.tolist(), strict=True):
            gap, epochs = done
            if gap > target:
                gap, epochs = run.descend(target, max_epochs)
            found.append(run.solution(gap, epochs, target))
    return BatchSolution(*(np.array(field) for field in zip(*found, strict=True)))


class _Moments:
    """One problem on moments, its iterate, and the way back to the rows of W as the caller has them.

    Rows are brought into the order of the blocks, and blocks without any strength are eliminated: at their optimum
    `W_f = G_ff^+ (Q_f - G_fp W_p)`, which leaves a problem of the same kind (a Schur complement) in the others.
    """

    def __init__(self, gram: np.ndarray, moments: np.ndarray, half: float, form: Form) -> None:
        self.form, self.shape, self.shrink = form, moments.shape, form.shrink
        self.rows, self.free = form.order, None
        if self.rows is not None:
            gram, moments = gram[np.ix_(self.rows, self.rows)], moments[self.rows]
        if not self.shrink.l2.all():
            gram, moments, half = self._eliminate(gram, moments, half)
        # Compiled sweeps of few tasks read whole columns.
        self.layout: Any = "F" if moments.shape[1] < cpu.FEW_TASKS else "C"
        self.quadratic = Quadratic(
            gram[None], np.ones(moments.shape[1]), np.array(moments, order=self.layout),
            np.array(moments, order=self.layout), np.zeros(moments.shape, order=self.layout), half,
        )  # fmt: skip

    def _eliminate(self, gram: np.ndarray, moments: np.ndarray, half: float) -> tuple[Any, Any, float]:
        ptr, l1, l2, ridge, positive = self.shrink
        bare = (l2 == 0) & (ridge == 0) & ~np.logical_or.reduceat(l1 > 0, ptr[:-1])
        if not bare.any():
            return gram, moments, half
        if positive:
            raise ValueError(
                f"{int(bare.sum())} blocks have no strength under positive=True, which moments alone cannot certify; "
                "use embed.solve"
            )
        sizes = np.diff(ptr)
        out = np.repeat(bare, sizes)
        p, f = np.flatnonzero(~out), np.flatnonzero(out)
        fitted = np.linalg.lstsq(gram[np.ix_(f, f)], np.hstack([gram[np.ix_(f, p)], moments[f]]), rcond=None)[
            0
        ]
        along, least = fitted[:, : len(p)], fitted[:, len(p) :]
        rows = np.arange(len(out)) if self.rows is None else self.rows
        self.rows, self.free = rows[p], (rows[f], along, least)
        self.shrink = BlockShrink(
            np.concatenate([[0], np.cumsum(sizes[~bare])]), l1[p], l2[~bare], ridge[~bare], positive
        )
        cross = gram[np.ix_(p, f)]
        reduced = gram[np.ix_(p, p)] - cross @ along
        reduced = 0.5 * (reduced + reduced.T)
        left_over = reduced.diagonal() > ROUNDING * gram.diagonal()[p]
        np.fill_diagonal(reduced, np.where(left_over, reduced.diagonal(), 0.0))
        left = max(half - 0.5 * float((moments[f] * least).sum()), 0.0)
        return reduced, moments[p] - cross @ least, left

    def start(self, coef: Any) -> None:
        """Move to given coefficients; blocks that are kept at zero, and signs that are ruled out, are set to zero."""
        if coef is None:
            return
        gram, _, linear, gradient, W, _ = self.quadratic
        W[...] = coef if self.rows is None else np.asarray(coef)[self.rows]
        W[gram[0].diagonal() <= 0.0] = 0.0  # all have some strength, and these gain nothing
        barred = self.shrink.l2 == np.inf
        if barred.any():
            W[np.repeat(barred, np.diff(self.shrink.ptr))] = 0.0
        if self.shrink.positive:
            np.maximum(W, 0.0, out=W)
        used = np.flatnonzero(W.any(axis=1))
        gradient[...] = linear - gram[0][used].T @ W[used]

    def descend(self, target: float, max_epochs: int) -> tuple[float, int]:
        """Descend until the gap is at most `target`; the gap and the epochs taken."""
        if not len(self.quadratic.coef):
            return 0.0, 0
        if len(self.quadratic.coef) > WHOLE:
            return self._by_working_sets(target, max_epochs)
        gap, epochs = cpu.sweep(self.quadratic, self.shrink, target, min(FIRST_EPOCHS, max_epochs))
        if gap <= target or epochs >= max_epochs:
            return gap, epochs
        form = self._restricted(slice(None), self.shrink)
        gap = descend(form, target, max_epochs - epochs, _never)
        self.quadratic.coef[...], self.quadratic.gradient[...] = form.state()
        return gap, epochs + form.epochs

    def _by_working_sets(self, target: float, max_epochs: int) -> tuple[float, int]:
        """Certify, choose blocks, descend on them, repeat: the outer loop of `solvers.WorkingSet` on moments."""
        gram, _, linear, gradient, W, half = self.quadratic
        shrink, sizes = self.shrink, np.diff(self.shrink.ptr)
        best, idle, epochs = np.inf, 0, 0
        while True:
            gap = cpu.duality_gap(linear, gradient, W, half, shrink)
            idle = 0 if gap < 0.9 * best else idle + 1
            best = min(best, gap)
            if gap <= target or epochs >= max_epochs or idle > ROUNDS_WITHOUT_GAIN:
                return gap, epochs
            scores = cpu.block_scores(gradient, shrink)
            used = np.logical_or.reduceat(W.any(axis=1), shrink.ptr[:-1])
            inside = used | (scores > NEAR)
            limit = max(3 * int(used.sum()), 40)
            if inside.sum() > limit:
                scores[used] = np.inf
                inside[np.argpartition(-scores, limit)[limit:]] = False
                inside |= used
            rows = np.flatnonzero(np.repeat(inside, sizes))
            part = BlockShrink(
                np.concatenate([[0], np.cumsum(sizes[inside])]), shrink.l1[rows], shrink.l2[inside],
                shrink.ridge[inside], shrink.positive,
            )  # fmt: skip
            form = self._restricted(rows, part)
            descend(form, INNER_SHARE * target, max_epochs - epochs, _never)
            epochs += max(form.epochs, 1)
            W[rows] = form.coef
            used_rows = np.flatnonzero(W.any(axis=1))
            gradient[...] = linear - gram[0][used_rows].T @ W[used_rows]

    def _restricted(self, rows: Any, shrink: BlockShrink) -> GramForm:
        """The problem on some rows, all others being zero."""
        gram, _, _, gradient, W, half = self.quadratic
        part = gram[0] if isinstance(rows, slice) else gram[0][np.ix_(rows, rows)]
        return GramForm(cpu, part, gradient[rows], W[rows], half, shrink)

    def solution(self, gap: float, epochs: int, target: float) -> Solution:
        """The iterate in the caller's terms."""
        _, _, linear, gradient, coef, half = self.quadratic
        square = 2.0 * half - float((linear * coef).sum()) - float((gradient * coef).sum())
        value = 0.5 * max(square, 0.0) + cpu.penalty_value(coef, self.shrink)
        if self.rows is None:
            W = np.ascontiguousarray(coef)
        else:
            W = np.zeros(self.shape)
            W[self.rows] = coef
        if self.free is not None:
            rows, along, least = self.free
            W[rows] = least - along @ coef
        return Solution(W, used_blocks(W, self.form), gap, value, epochs, gap <= target)


def _readable(gram: np.ndarray) -> np.ndarray:
    """A Gram matrix as compiled sweeps take it: C-contiguous, of writable memory (another type to compile for otherwise)."""
    if gram.flags.c_contiguous and gram.flags.writeable:
        return gram
    return np.array(gram.T if gram.flags.f_contiguous else gram, order="C")


def _total(squares: Any) -> float:
    squares = np.asarray(squares, dtype=np.float64)
    return float(squares.trace() if squares.ndim == 2 else squares.sum())


def _never() -> bool:
    return False
