"""How well predictions fit targets, task by task."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._tasks import TaskColumns

METRICS = ("r2", "deviance", "accuracy", "auc")


def score_task(task: TaskColumns, y: np.ndarray, Z: np.ndarray, metric: str | None) -> float:
    """One score of one task on the samples observed.

    Parameters
    ----------
    task : TaskColumns
    y : ndarray of shape (n,)
        Targets; NaN where unobserved.
    Z : ndarray of shape (n, width)
        Linear predictions.
    metric : {"r2", "deviance", "accuracy", "auc"} or None
        None: R^2 for the squared and Huber losses and losses of the user's own, the share of the deviance explained for all
        others.

    Raises
    ------
    ValueError
        A metric that does not apply to the task.
    """
    if y.dtype.kind == "f":
        seen = ~np.isnan(y)
        y, Z = y[seen], Z[seen]
    loss = task.loss_object()
    regression = loss is None or task.loss in ("squared", "huber")
    metric = metric or ("r2" if regression else "deviance")
    if metric not in METRICS:
        raise ValueError(f"metric is {metric!r}; expected one of {', '.join(METRICS)}")
    if not len(y):
        return float("nan")
    if metric == "r2":
        if task.is_classification:
            raise ValueError(
                f"metric='r2' does not apply to the classification {task.name!r}; use 'accuracy', 'auc' or 'deviance'"
            )
        mean = Z[:, 0] if loss is None else loss.inverse_link(Z[:, 0])
        return _share(float(((y - mean) ** 2).sum()), float(((y - y.mean()) ** 2).sum()))
    if metric == "deviance":
        if loss is None:
            raise ValueError(
                f"metric='deviance' needs a loss of fastmtl.losses; {task.name!r} has {task.loss!r}"
            )
        encoded = _encoded(task, y, loss)
        left = float(np.sum(loss.value(encoded, _columns(task, Z))))
        null = loss.intercept(encoded, np.ones(len(y)), np.zeros(encoded.shape))
        return _share(left, float(np.sum(loss.value(encoded, np.zeros(encoded.shape) + null))))
    if not task.is_classification:
        raise ValueError(
            f"metric={metric!r} applies to classifications; {task.name!r} has loss {task.loss!r}"
        )
    encoded = _encoded(task, y, loss)
    if metric == "accuracy":
        if task.loss == "logistic":
            return float(((Z[:, 0] > 0) == (encoded > 0)).mean())
        return float((Z.argmax(axis=1) == encoded.argmax(axis=1)).mean())
    if task.loss == "logistic":
        return _auc(encoded > 0, Z[:, 0])
    probabilities = loss.inverse_link(Z)  # type: ignore[union-attr]
    areas = [_auc(encoded[:, k] > 0, probabilities[:, k]) for k in range(Z.shape[1])]
    return float(np.nanmean(areas)) if np.isfinite(areas).any() else float("nan")


def _encoded(task: TaskColumns, y: np.ndarray, loss: Any) -> np.ndarray:
    if task.loss == "multinomial":
        is_number = np.asarray(y).dtype.kind in "biuf"
        onehot = _texts(y, is_number)[:, None] == _texts(task.labels, is_number)[None, :]
        if not onehot.any(axis=1).all():
            stray = y[~onehot.any(axis=1)][0]
            raise ValueError(
                f"Y has the label {stray!r}, which the fit did not see; known labels are {task.labels}"
            )
        return onehot.astype(np.float64)
    return np.asarray(loss.encode(y, "Y"), dtype=np.float64)


def _texts(labels: Any, is_number: bool) -> np.ndarray:
    """Labels as text, as a result keeps them; whole numbers read alike in any dtype, 2.0 as 2."""
    return np.array([str(label).removesuffix(".0") if is_number else str(label) for label in labels])


def _columns(task: TaskColumns, Z: np.ndarray) -> np.ndarray:
    return Z if task.loss == "multinomial" else Z[:, 0]


def _share(left: float, total: float) -> float:
    """`1 - left / total`; 1 for a constant target that is met exactly, 0 for one that is not."""
    return 1.0 - left / total if total > 0 else float(left == 0)


def _auc(positive: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve by mean ranks (Mann-Whitney); NaN when a class is missing."""
    m = int(positive.sum())
    if m in (0, len(positive)):
        return float("nan")
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - 0.5 * (counts - 1))[place]
    return float((ranks[positive].sum() - 0.5 * m * (m + 1)) / (m * (len(positive) - m)))
