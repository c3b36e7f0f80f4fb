"""Descent on a restricted problem: sweeps, Anderson extrapolation, a second-order finish."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from .._arrays import Array
from ._forms import GramForm, ResidualForm
from .second_order import finish_cost

DEPTH = 5
"""Iterates an extrapolation combines."""
CALL = 1.2e6
"""Flops of a factorisation in the time that calling a kernel takes."""
MOST = 16
"""Epochs a call of small problems, for which calls are what costs."""
PATIENCE = 4000
"""Epochs, beside as many as have been useful, without a smaller gap after which what is left is rounding."""


def descend(
    form: GramForm | ResidualForm,
    tol: float,
    max_epochs: int,
    late: Callable[[], bool],
    guess: Array | None = None,
) -> float:
    """Descend until the duality gap of the restricted problem is at most `tol`.

    Sweeps run a few epochs at a time; every `DEPTH` of those an extrapolation is tried, and kept only if it lowers the
    objective. Once the sweeps have cost as much as a second-order finish would, that is tried too, so that neither can
    waste more than the other needs. A `guess` (s, t) replaces the start if it is better. It ends early when the gap no longer
    falls.

    Returns
    -------
    float
        The gap reached.
    """
    if guess is not None:
        attempt(form, guess, form.follow(guess), form.value(*form.state()))
    history: list[tuple[Array, Array]] = [form.state()]
    spent, wait, cost = 0.0, 1.0, finish_cost(form.shrink)
    best, useful = np.inf, 0
    # Kernels whose calls are costly, or stop by themselves, ask for more epochs at a time.
    least = getattr(form.kernels, "EPOCHS_A_CALL", 1)
    while form.epochs < max_epochs:
        before, active = form.epochs, int(form.coef.any(axis=1).sum())
        step = max(least, min(MOST, int(CALL / form.epoch_cost(active))))
        gap = form.advance(tol, min(step, max_epochs - before))
        if gap < 0.9 * best:
            best, useful = gap, form.epochs
        if gap <= tol or late() or form.epochs > 2 * useful + PATIENCE:
            return gap
        history.append(form.state())
        if len(history) > DEPTH:
            extrapolate(form, history)
            history = [form.state()]
        if form.has_second_order:
            spent += CALL + (form.epochs - before) * form.epoch_cost(active)
            if spent > wait * (cost(form.coef, active) + form.active_cost(active)):
                coef = form.second_order(tol)
                form.restore(coef, form.follow(coef))
                history = [form.state()]
                spent, wait = 0.0, 2.0 * wait
                continue
    return form.gap


def extrapolate(form: GramForm | ResidualForm, history: list[tuple[Array, Array]]) -> bool:
    """Anderson extrapolation of the recorded iterates; kept only when it lowers the objective.

    The combination `sum_k c_k W_k` with the smallest combined residual `sum_k c_k (W_k - W_{k-1})` and weights that sum to
    one; the gradient or residual follows W affinely and combines likewise, so that no product with all rows is needed.

    References
    ----------
    Bertrand, Massias (2021), "Anderson acceleration of coordinate descent", Algorithm 1.
    """
    steps = np.stack([(history[k + 1][0] - history[k][0]).ravel(order="K") for k in range(len(history) - 1)])
    C = steps @ steps.T
    size = float(np.trace(C))
    if not size > 0.0:
        return False
    C[np.diag_indices_from(C)] += 1e-12 * size
    try:
        z = np.linalg.solve(C, np.ones(len(C)))
    except np.linalg.LinAlgError:
        return False
    weights = z / z.sum()
    if not np.isfinite(weights).all():
        return False
    coef, follow = (_combined(weights, states) for states in zip(*history[1:], strict=True))
    last = history[-1][0]
    # Rows that are zero, or would turn round through zero, are set to zero: beyond it their penalty would rise again.
    gone = np.flatnonzero(coef.any(axis=1) & ~(np.einsum("ij,ij->i", coef, last) > 0.0))
    if len(gone):
        follow = form.without(gone, coef, follow)
        coef[gone] = 0.0
    return attempt(form, coef, follow, form.value(*history[-1]))


def _combined(weights: Array, states: Iterable[Array]) -> Array:
    """`sum_k weights_k states_k`."""
    return sum(c * A for c, A in zip(weights, states, strict=True))


def attempt(form: GramForm | ResidualForm, coef: Array, follow: Array, value: float) -> bool:
    """Move to a state if it is feasible and its objective is below `value`."""
    if form.shrink.positive and (coef < 0).any():
        return False
    if not form.value(coef, follow) < value:
        return False
    form.restore(coef, follow)
    return True
