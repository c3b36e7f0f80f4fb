"""How wrong a path of fits is on test data, task by task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._arrays import Array, panels
from ..designs import Design
from ..losses import Loss
from ..path import PathResult

Error = Callable[[Array, Array], Array]
"""Error of every entry from targets (m, t) and predictions (m, t); smaller is better."""

WORK = 1 << 25
"""Bytes of predictions that are held at a time."""


def misclassified(loss: Loss) -> Error:
    """1 where the most probable class is not the observed one, else 0."""

    def error(Y: Array, Z: Array) -> Array:
        if loss.joint:
            return (np.argmax(Y, axis=-1) != np.argmax(Z, axis=-1)).astype(np.float64)
        return ((Z > 0) != (Y > 0.5)).astype(np.float64)

    return error


def as_error(score: Any, loss: Loss) -> Error:
    """The error of every entry that `score` stands for.

    Raises
    ------
    ValueError, TypeError
        An unknown name, or one that does not suit the loss.
    """
    named: dict[str, Error] = {
        "deviance": lambda Y, Z: 2.0 * loss.value(Y, Z),
        "squared": lambda Y, Z: (Y - loss.inverse_link(Z)) ** 2,
        "absolute": lambda Y, Z: np.abs(Y - loss.inverse_link(Z)),
        "misclassified": misclassified(loss),
    }
    if score is None:
        return named["deviance"]
    if callable(score):
        return lambda Y, Z: np.asarray(score(Y, loss.inverse_link(Z)), dtype=np.float64)
    if score not in named:
        raise ValueError(
            f"score is {score!r}; known names are {', '.join(named)}; or pass a function of (Y, P)"
        )
    if score == "misclassified" and loss.name not in ("logistic", "multinomial"):
        raise ValueError(f"score='misclassified' needs classes; loss={loss.name!r} has none")
    return named[score]


def path_errors(
    path: PathResult, design: Design, Y: Array, weight: Array, error: Error, offset: Array | None = None
) -> np.ndarray:
    """Weighted mean error (A, t) of every fit of a path on the samples of a design.

    Parameters
    ----------
    path : PathResult
        With A fits.
    design : Design
        Test samples (m, p).
    Y : ndarray of shape (m, t)
        Targets as the loss encodes them; NaN where there is a gap.
    weight : ndarray of shape (m, 1) or (m, t)
        Weights of entries; zero at gaps.
    error : callable
        Of targets and linear predictors; may give one value a sample (m,) for joint losses.
    offset : ndarray of shape (m, t), optional

    Returns
    -------
    ndarray
        NaN for a task without test weight. A joint loss has a single column.
    """
    t = Y.shape[1]
    filled, out = np.where(np.isnan(Y), 0.0, Y), []
    for part in panels(len(path), 8 * design.n * t, WORK):
        for Z in _predictions(path, design, range(part.start, part.stop), t):
            values = error(filled, Z if offset is None else Z + offset)
            values = values[:, None] if values.ndim == 1 else values
            weights = np.broadcast_to(weight[:, : values.shape[1]], values.shape)
            total = weights.sum(axis=0)
            with np.errstate(invalid="ignore"):
                out.append(np.where(weights > 0, weights * values, 0.0).sum(axis=0) / total)
    return np.stack(out)


def _predictions(path: PathResult, design: Design, alphas: range, t: int) -> list[Array]:
    """Linear predictors (m, t) of some fits, from one product with the features that any of them uses."""
    used = np.unique(np.concatenate([path.rows[i] for i in alphas]))
    stacked = np.zeros((len(used), len(alphas) * t))
    for k, i in enumerate(alphas):
        coef = path.fits[i].coef
        kept = coef if len(coef) == len(path.rows[i]) else coef[path.rows[i]]
        stacked[np.searchsorted(used, path.rows[i]), k * t : (k + 1) * t] = kept
    Z = design.predict(stacked, used) if len(used) else np.zeros((design.n, len(alphas) * t))
    return [Z[:, k * t : (k + 1) * t] + path.fits[i].intercept for k, i in enumerate(alphas)]
