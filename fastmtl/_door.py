"""The door: raw arguments in, a checked problem out. Every public function goes through it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ._arrays import as_ndarray, check_finite, feature_names, is_sparse
from ._cost import Work
from .backend import (
    Backend,
    choose_backend,
    device_array,
    gpu_module,
    host_array,
    is_on_device,
    library_of,
    with_fallback,
)
from .designs import DenseDesign, Design, DeviceDesign, ScaledDesign, SparseDesign
from .loss_problem import LossProblem
from .losses import Loss, Squared, resolve
from .penalties import Penalty, as_penalty
from .problem import Problem, project_off

SCALES = ("mean", "sum")


@dataclass(frozen=True)
class Opened:
    """A problem with what is needed to hand its solution back in the caller's terms.

    Attributes
    ----------
    problem : Problem
    divisor : ndarray of shape (p,) or None
        Column scale that standardisation divided X by.
    features, tasks : list of str or None
        Names found on X and Y.
    is_1d : bool
        Whether Y came as a vector.
    offset : ndarray of shape (n, t) or None
    n_observed : ndarray of shape (t,)
        Samples with a positive weight.
    backend : Backend
        Where the problem is solved.
    library : str or None
        Name of X's library when X lives on a device: results go back there.
    """

    problem: Problem
    divisor: np.ndarray | None
    features: list[str] | None
    tasks: list[str] | None
    is_1d: bool
    offset: np.ndarray | None
    n_observed: np.ndarray
    backend: Backend
    library: str | None = None

    def with_penalty(self, penalty: Penalty) -> Opened:
        """The same data under another penalty; what was computed from the data alone is kept."""
        problem = replace(self.problem, penalty=penalty)
        for name in ("root", "intercept_basis", "target", "null_value"):
            if name in self.problem.__dict__:
                problem.__dict__[name] = self.problem.__dict__[name]
        return replace(self, problem=problem)

    def on_cpu(self, reason: str) -> Opened:
        """The same problem with X in host memory."""
        design: Any = self.problem.design
        base: Any = design.base if isinstance(design, ScaledDesign) else design
        host: Design = DenseDesign(base.host())
        if isinstance(design, ScaledDesign):
            host = ScaledDesign(host, design.scale)
        backend = replace(choose_backend("cpu", Work(*host.shape, 1)), reason=reason)
        return replace(self, problem=replace(self.problem, design=host), backend=backend)


def open_problem(
    X: Any,
    Y: Any,
    penalty: str | Penalty = "l21",
    *,
    alpha: float | None = None,
    loss: Any = "squared",
    sample_weight: Any = None,
    task_weight: Any = None,
    offset: Any = None,
    task: Any = None,
    fit_intercept: bool = True,
    standardize: bool = False,
    scale: str = "mean",
    need_alpha: bool = True,
    backend: str = "auto",
    kind: str = "check",
) -> Opened:
    """Check the arguments that all doors share and build the problem.

    `kind` says what it is for, a key of `_cost.PRODUCTS`; with `backend` that decides where X is put.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what was expected.
    """
    made = as_penalty(penalty, alpha, need_alpha=need_alpha)
    _refuse_unsupported(X, Y, loss, task_weight, task)
    Y, offset, sample_weight = to_host(Y), to_host(offset), to_host(sample_weight)
    design = as_design(X)
    meant = resolve(loss)
    squared = isinstance(meant, Squared)
    targets, is_1d = as_targets(Y, design.n) if squared else encode_targets(Y, design.n, meant)
    place, design = _placed(design, backend, targets.shape[1], kind, made)
    tasks = feature_names(Y)
    shift = None
    if offset is not None:
        shift = _as_offset(offset, targets.shape, is_1d)
        targets = targets - shift if squared else targets
    if scale not in SCALES:
        raise ValueError(f"scale is {scale!r}; expected 'mean' (1/n_t, the default) or 'sum'")
    weights = as_sample_weight(sample_weight, design.n)
    omega, observed = _omega(weights, design.n, scale)
    made.check(design.p, targets.shape[1])
    made.lower(design.p)  # its form at alpha = 1 is kept, and shared by every other strength
    divisor = None
    if standardize:
        divisor = deviations(design, weights)
        design = ScaledDesign(design, divisor)
    problem = Problem(design, targets, made, omega, bool(fit_intercept))
    if not squared:
        problem = LossProblem(design, targets, made, omega, bool(fit_intercept), meant, shift)
        tasks = [str(label) for label in _labels(meant, Y)] if meant.joint else tasks
    counts = np.full(targets.shape[1], observed)
    return Opened(problem, divisor, feature_names(X), tasks, is_1d, shift, counts, place, library_of(X))


def encode_targets(Y: Any, n: int, loss: Loss) -> tuple[np.ndarray, bool]:
    """Targets as a loss wants them, (n, t) in float64, checked column by column; and whether `predict` gives a vector."""
    if loss.joint:
        labels = np.asarray(Y)
        if labels.ndim != 1 or labels.shape[0] != n:
            raise ValueError(
                f"Y has shape {labels.shape}; loss={loss.name!r} takes one label a sample, ({n},)"
            )
        return np.ascontiguousarray(loss.encode(labels, "Y"), dtype=np.float64), False
    targets, is_1d = as_targets(Y, n)
    columns = [loss.encode(targets[:, t], "Y" if is_1d else f"Y[:, {t}]") for t in range(targets.shape[1])]
    return np.ascontiguousarray(np.stack(columns, axis=1), dtype=np.float64), is_1d


def _labels(loss: Loss, Y: Any) -> Any:
    labels = loss.labels(np.asarray(Y))
    return () if labels is None else labels


def _refuse_unsupported(X: Any, Y: Any, loss: Any, task_weight: Any, task: Any) -> None:
    if isinstance(X, (list, tuple)) and len(X) and np.ndim(X[0]) == 2:
        raise ValueError("X is a list of designs; one shared design (n, p) is supported in this version")
    if isinstance(loss, (list, tuple)):
        raise ValueError("loss is a list; one loss for all tasks is supported in this version")
    if task_weight is not None:
        raise ValueError(
            "task_weight is not supported in this version; scale the columns of Y, or leave it out"
        )
    if task is not None:
        raise ValueError(
            "task labels (long form) are not supported in this version; pass one design X (n, p) and Y (n, t)"
        )


def as_design(X: Any) -> Design:
    """A design from whatever array X is, without copying it."""
    if is_sparse(X):
        if X.dtype.kind not in "biuf":
            raise TypeError(
                f"X has dtype {X.dtype}, a real numeric dtype was expected; convert it, e.g. X.astype(float)"
            )
        X = X if X.format in ("csc", "csr") else X.tocsc()
        _check_indices(X)
    else:
        X = _device_input(X) if is_on_device(X) else as_ndarray(X, "X")
    if X.ndim != 2:
        raise ValueError(
            f"X has {X.ndim} dimension(s), two were expected: (samples, features); reshape it, e.g. X[:, None]"
        )
    if X.shape[0] == 0 or X.shape[1] == 0:
        raise ValueError(f"X has shape {tuple(X.shape)}; at least one sample and one feature are needed")
    if is_sparse(X):
        return SparseDesign(X)
    return DenseDesign(X) if isinstance(X, np.ndarray) else DeviceDesign(X, gpu_module())


def to_host(A: Any) -> Any:
    """A device array copied to host memory; anything else as it is."""
    return host_array(A) if is_on_device(A) else A


def _device_input(X: Any) -> Any:
    X = device_array(X)
    if X.dtype.kind not in "biuf":
        raise TypeError(
            f"X has dtype {X.dtype}, a real numeric dtype was expected; convert it, e.g. X.astype(float)"
        )
    return X


def _placed(design: Design, backend: str, t: int, kind: str, penalty: Penalty) -> tuple[Backend, Design]:
    """Where to solve, and the design put there."""
    on_device = isinstance(design, DeviceDesign)
    X: Any = getattr(design, "X", None)
    has_moments = penalty.lower(design.p) is None
    work = Work(*design.shape, t, X.dtype.itemsize, kind, has_moments)
    place = choose_backend(backend, work, on_device=on_device, is_sparse=isinstance(design, SparseDesign))
    if place.gpu is None:
        return place, DenseDesign(design.host()) if isinstance(design, DeviceDesign) else design
    if on_device:
        return place, design
    if place.is_streamed:
        return place, DeviceDesign(X, place.gpu)

    def move() -> tuple[Backend, Design]:
        return place, DeviceDesign(place.gpu.xp.asarray(X), place.gpu)

    return with_fallback(
        place, move, lambda reason: (replace(choose_backend("cpu", work), reason=reason), design)
    )


def _check_indices(X: Any) -> None:
    """Out-of-range indices would be read as memory by compiled code."""
    limit = X.shape[0] if X.format == "csc" else X.shape[1]
    if X.indices.size and (X.indices.min() < 0 or X.indices.max() >= limit):
        raise ValueError(f"X holds row or column indices outside 0..{limit - 1}; rebuild the sparse matrix")


def as_targets(Y: Any, n: int) -> tuple[np.ndarray, bool]:
    """Targets as float64 (n, t), and whether they came as a vector."""
    Y = as_ndarray(Y, "Y")
    if Y.ndim not in (1, 2):
        raise ValueError(f"Y has {Y.ndim} dimensions, one (samples,) or two (samples, tasks) were expected")
    if Y.shape[0] != n:
        raise ValueError(f"Y has {Y.shape[0]} rows, X has {n}; rows are samples and must match")
    if Y.ndim == 2 and Y.shape[1] == 0:
        raise ValueError("Y has no column; at least one task is needed")
    if Y.dtype.kind == "f" and np.isnan(Y).any():
        raise ValueError(
            "Y holds NaN; gaps in the targets are not supported in this version: drop or impute those entries"
        )
    check_finite(Y, "Y")
    out = np.ascontiguousarray(Y, dtype=np.float64)
    return (out[:, None] if Y.ndim == 1 else out), Y.ndim == 1


def as_sample_weight(sample_weight: Any, n: int) -> np.ndarray | None:
    """Sample weights (n,) in float64, or None."""
    if sample_weight is None:
        return None
    s = as_ndarray(sample_weight, "sample_weight").astype(np.float64)
    if s.shape != (n,):
        raise ValueError(f"sample_weight has shape {s.shape}, ({n},) was expected: one weight a sample")
    check_finite(s, "sample_weight")
    if (s < 0).any():
        raise ValueError(f"sample_weight holds {s.min()}; weights must be >= 0")
    if not s.any():
        raise ValueError("sample_weight is zero everywhere; at least one sample needs a positive weight")
    return s


def _as_offset(offset: Any, shape: tuple[int, ...], is_1d: bool) -> np.ndarray:
    o = as_ndarray(offset, "offset").astype(np.float64)
    check_finite(np.atleast_1d(o), "offset")
    if o.ndim == 1 and o.shape[0] == shape[0]:
        o = o[:, None]
    if o.shape not in (shape, (shape[0], 1)):
        raise ValueError(
            f"offset has shape {o.shape}, the shape of Y was expected: {shape[:1] if is_1d else shape}"
        )
    return np.broadcast_to(o, shape)


def _omega(weights: np.ndarray | None, n: int, scale: str) -> tuple[Any, int]:
    """Weight of each sample in the loss, and how many samples count."""
    if weights is None:
        return (1.0 / n if scale == "mean" else 1.0), n
    total = float(weights.sum()) if scale == "mean" else 1.0
    if not math.isfinite(total):
        raise ValueError("sample_weight sums to infinity; scale the weights down")
    if (weights == weights[0]).all():
        return float(weights[0]) / total, n
    return weights / total, int((weights > 0).sum())


def deviations(design: Design, weights: np.ndarray | None) -> np.ndarray:
    """Weighted standard deviations (ddof = 0) of the columns, 1 for constant ones."""
    share = np.full(design.n, 1.0 / design.n) if weights is None else weights / weights.sum()
    mean = design.correlate(share[:, None])[:, 0]
    variance = design.sq_norms(share) - mean**2
    # Cancellation leaves a small positive or negative remainder in a constant column.
    noise = 8.0 * design.n * np.finfo(np.float64).eps * mean**2
    doubtful = np.flatnonzero(variance <= 1e6 * noise)
    if len(doubtful):
        root = np.sqrt(share)[:, None]
        for j in np.array_split(doubtful, max(1, len(doubtful) // 256)):
            centred = project_off(design.take(j).T * root, root)
            variance[j] = np.einsum("ij,ij->j", centred, centred)
            variance[j] = np.where(
                variance[j] <= (8.0 * np.finfo(np.float64).eps * mean[j]) ** 2 * design.n, 0.0, variance[j]
            )
    return np.where(variance > 0, np.sqrt(np.maximum(variance, 0.0)), 1.0)
