"""The door: raw arguments in, a checked problem out. Every public function goes through it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ._arrays import as_ndarray, feature_names, is_device_sparse, is_sparse
from ._cost import Work
from ._given import Data, is_list_of_designs, read_data, to_host
from ._scaling import Scaling
from ._settings import check_flag
from ._standardize import deviations
from ._targets import (
    SCALES,
    Reader,
    Target,
    as_vector,
    flatten,
    read_columns,
    read_losses,
    read_offset,
    read_sample_weight,
    read_targets,
    read_task_weight,
)
from ._tasks import TaskColumns
from .backend import (
    Backend,
    choose_backend,
    device_array,
    gpu_module,
    is_on_device,
    library_of,
    with_fallback,
    x_on_the_device,
)
from .designs import (
    DenseDesign,
    Design,
    DeviceDesign,
    OwnDesigns,
    ScaledDesign,
    SharedDesign,
    SparseDesign,
    SparseDeviceDesign,
    on_the_device,
)
from .losses import Squared, resolve
from .penalties import Penalty, as_penalty
from .problem import Problem
from .task_problem import TaskProblem


@dataclass(frozen=True)
class Opened:
    """A problem with what is needed to hand its solution back in the caller's terms.

    Attributes
    ----------
    problem : Problem or TaskProblem
    divisor : ndarray of shape (p,) or (p, t), or None
        Column scale that standardisation divided X by.
    features, names : list of str or None
        Names of features and columns.
    is_1d : bool
        Whether Y came as a vector.
    n_observed : ndarray of shape (t,)
        Samples with a positive weight.
    backend : Backend
        Where the problem is solved.
    tasks : tuple of TaskColumns
    library : str or None
        Name of X's library as `backend.library_of` has it, results go back there; None for NumPy's.
    scaling : Scaling or None
        Powers of two that columns and targets of the problem were divided by.
    """

    problem: Any
    divisor: np.ndarray | None
    features: list[str] | None
    names: list[str] | None
    is_1d: bool
    n_observed: np.ndarray
    backend: Backend
    tasks: tuple[TaskColumns, ...]
    library: str | None = None
    scaling: Scaling | None = None

    def standardized(self, coef: np.ndarray) -> np.ndarray:
        """Coefficients (p, t) in the units of X turned into those of standard deviations."""
        return coef if self.divisor is None else coef * self.divisor.reshape(len(coef), -1)

    def in_units(self, coef: np.ndarray) -> np.ndarray:
        """The way back."""
        if self.divisor is None:
            return coef
        return (coef / self.divisor.reshape(len(coef), -1)).astype(coef.dtype, copy=False)

    def with_penalty(self, penalty: Penalty) -> Opened:
        """The same data under another penalty; what was computed from the data alone is kept."""
        problem = replace(self.problem, penalty=penalty)
        for name in self.problem.DATA_ONLY:
            if name in self.problem.__dict__:
                problem.__dict__[name] = self.problem.__dict__[name]
        return replace(self, problem=problem)

    def on_cpu(self, reason: str) -> Opened:
        """The same problem with X in host memory."""
        host: Any = self.problem.design.on_host()
        backend = replace(choose_backend("cpu", Work(host.shape[0], host.shape[1], 1)), reason=reason)
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
    if scale not in SCALES:
        raise ValueError(f"scale is {scale!r}; expected 'mean' (1/n_t, the default) or 'sum'")
    flags = check_flag(fit_intercept, "fit_intercept"), check_flag(standardize, "standardize")

    def opened(X: Any, backend: str) -> Opened:
        data = read_data(X, Y, sample_weight, offset, task)
        options = Options(made, loss, task_weight, *flags, scale, backend, kind)
        return _open_own(data, options) if data.is_own else _open_shared(data, options)

    def at_home(reason: str) -> Opened:
        found = opened([to_host(x) for x in X] if is_list_of_designs(X) else to_host(X), "cpu")
        return replace(found, backend=replace(found.backend, reason=reason))

    # What is not finite is reported by name, and what overflows is looked at again.
    with np.errstate(all="ignore"):
        if any(is_on_device(x) for x in (X if is_list_of_designs(X) else [X])):
            found = with_fallback(x_on_the_device(backend), lambda: opened(X, backend), at_home)
        else:
            found = opened(X, backend)
    return replace(found, library=_library(X))


def _library(X: Any) -> str | None:
    """The library of X, of all designs of a list alike; None for NumPy's, and for designs of several."""
    found = {library_of(x) for x in (X if is_list_of_designs(X) else [X])}
    return found.pop() if len(found) == 1 else None


@dataclass(frozen=True)
class Options:
    """What `open_problem` was asked for beside the data."""

    penalty: Any
    loss: Any
    task_weight: Any
    fit_intercept: bool
    standardize: bool
    scale: str
    backend: str
    kind: str


def _open_shared(data: Data, options: Options) -> Opened:
    """One X for all tasks."""
    made, loss, Y = options.penalty, options.loss, data.Y
    design = as_design(data.X)
    several = isinstance(loss, (list, tuple))
    if not several and isinstance(resolve(loss), Squared):
        targets, is_1d = read_targets(Y, design.n, gaps=True)
        columns, called = list(targets.T), ["Y"] if is_1d else [f"Y[:, {t}]" for t in range(targets.shape[1])]
    else:
        targets = None
        columns, called, is_1d = read_columns(Y, design.n, len(loss) if several else None)
    losses = read_losses(loss, len(columns))
    weights = read_sample_weight(data.sample_weight, design.n, len(columns))
    place, (design,) = _placed([design], options.backend, len(columns), options.kind, made)
    made.lower(design.p)  # its form at alpha = 1 is kept, and shared by every other strength
    names, features = feature_names(Y), feature_names(data.X)
    is_plain = options.task_weight is None and (weights is None or weights.ndim == 1)
    if targets is not None and is_plain and not np.isnan(targets).any():
        made.check(design.p, targets.shape[1])
        shift = read_offset(data.offset, targets.shape)
        if weights is not None and not weights.any():
            raise ValueError("sample_weight is zero everywhere; at least one sample needs a positive weight")
        omega, observed = _omega(weights, design.n, options.scale)
        divisor = deviations(design, weights) if options.standardize else None
        design = design if divisor is None else ScaledDesign(design, divisor)
        problem = Problem(
            design, targets if shift is None else targets - shift, made, omega, options.fit_intercept
        )
        tasks = _plain_columns(names, targets.shape[1])
        counts = np.full(targets.shape[1], observed)
        return Opened(problem, divisor, features, names, is_1d, counts, place, tasks)
    c = read_task_weight(options.task_weight, len(columns))
    reader = Reader(losses, c, options.scale, called)
    read = [
        reader.target(
            t, y, weights if weights is None or weights.ndim == 1 else weights[:, t], None, gaps=not is_1d
        )
        for t, y in enumerate(columns)
    ]
    widths = [target.width for target in read]
    if data.offset is not None:
        shift = _spread_offset(data.offset, design.n, widths)
        ends = np.cumsum([0, *widths])
        read = [
            target._replace(offset=shift[:, low:high])
            for target, low, high in zip(read, ends[:-1], ends[1:], strict=True)
        ]
    flat = flatten(read)
    divisor = None
    if options.standardize:
        total = np.sum([target.omega for target in read], axis=0)
        divisor = deviations(design, total)
        design = ScaledDesign(design, divisor)
    made.check(design.p, sum(widths))
    problem = TaskProblem(
        SharedDesign(design, sum(widths)),
        flat.parts,
        flat.y,
        flat.omega,
        made,
        options.fit_intercept,
        flat.offset,
    )
    tasks = _task_columns(read, names)
    counts = np.repeat([target.n_observed for target in read], widths)
    single = is_1d and widths == [1]
    return Opened(
        problem,
        divisor,
        features,
        column_names(tasks, names is not None),
        single,
        counts,
        place,
        tasks,
    )


def _open_own(data: Data, options: Options) -> Opened:
    """One design a task."""
    made, n_tasks = options.penalty, len(data.X)
    designs = [as_design(x, f"X[{t}]", least=0) for t, x in enumerate(data.X)]
    features = feature_names(data.X[0])
    for t, design in enumerate(designs):
        if design.p != designs[0].p:
            raise ValueError(
                f"X[{t}] has {design.p} features, X[0] has {designs[0].p}; all tasks must share their features"
            )
        if feature_names(data.X[t]) != features:
            raise ValueError(f"X[{t}] has other column names than X[0]; all tasks must share their features")
    place, designs = _placed(designs, options.backend, 1, options.kind, made)
    losses = read_losses(options.loss, n_tasks)
    names = (
        [f"Y[{t}]" for t in range(n_tasks)] if data.names is None else [f"Y[task {n!r}]" for n in data.names]
    )
    reader = Reader(losses, read_task_weight(options.task_weight, n_tasks), options.scale, names)
    read = []
    for t, design in enumerate(designs):
        y = as_vector(data.Y[t], names[t])
        if len(y) != design.n:
            raise ValueError(
                f"{names[t]} has {len(y)} rows, X[{t}] has {design.n}; rows are samples and must match"
            )
        s = read_sample_weight(data.sample_weight[t], design.n, 1, f"sample_weight[{t}]")
        target = reader.target(t, y, s, None, gaps=False)
        shift = read_offset(data.offset[t], (design.n, target.width), f"offset[{t}]")
        read.append(target if shift is None else target._replace(offset=shift))
    flat, widths, divisor = flatten(read), [target.width for target in read], None
    if options.standardize:
        scales = [deviations(d, target.omega) for d, target in zip(designs, read, strict=True)]
        designs = [ScaledDesign(d, scale) for d, scale in zip(designs, scales, strict=True)]
        divisor = np.repeat(np.stack(scales, axis=1), widths, axis=1)
    made.check(designs[0].p, sum(widths))
    problem = TaskProblem(
        OwnDesigns(designs, widths), flat.parts, flat.y, flat.omega, made, options.fit_intercept, flat.offset
    )
    tasks = _task_columns(read, data.names)
    counts = np.repeat([target.n_observed for target in read], widths)
    return Opened(
        problem, divisor, features, column_names(tasks, data.names is not None), False, counts,
        place, tasks,
    )  # fmt: skip


def _plain_columns(names: list[str] | None, t: int) -> tuple[TaskColumns, ...]:
    return tuple(
        TaskColumns(str(c) if names is None else names[c], c, c + 1, is_named=names is not None)
        for c in range(t)
    )


def _task_columns(read: list[Target], names: list[str] | None) -> tuple[TaskColumns, ...]:
    out, first = [], 0
    for t, target in enumerate(read):
        name = str(t) if names is None else names[t]
        labels = target.labels if target.loss.name != "logistic" else ["0", "1"]
        out.append(TaskColumns.of(name, first, target.width, target.loss, labels, names is not None))
        first = out[-1].last
    return tuple(out)


def column_names(tasks: tuple[TaskColumns, ...], is_named: bool) -> list[str] | None:
    """A name for every column of W: the task's, and the class where a task has several columns."""
    if not is_named and all(task.last - task.first == 1 for task in tasks):
        return None
    out = []
    for task in tasks:
        if task.last - task.first == 1:
            out.append(task.name)
        else:
            out += [label if len(tasks) == 1 else f"{task.name}:{label}" for label in task.labels or ()]
    return out


def _spread_offset(offset: Any, n: int, widths: list[int]) -> np.ndarray:
    """Offsets (n, columns), given one a column or one a task."""
    if np.shape(offset) == (n, len(widths)) != (n, sum(widths)):
        shift: Any = read_offset(offset, (n, len(widths)))
        return np.repeat(shift, widths, axis=1)
    return np.asarray(read_offset(offset, (n, sum(widths))))


def as_design(X: Any, name: str = "X", least: int = 1) -> Design:
    """A design from whatever array X is, without copying it; `least` is the smallest number of samples."""
    sparse = is_sparse(X) or is_device_sparse(X)
    if sparse:
        if X.dtype.kind not in "biuf":
            raise TypeError(
                f"{name} has dtype {X.dtype}, a real numeric dtype was expected; convert it, e.g. {name}.astype(float)"
            )
        _check_matrix(X, name)
        X = X if X.format in ("csc", "csr") else X.tocsc()
        _check_indices(X, name)
    else:
        X = _device_input(X) if is_on_device(X) else as_ndarray(X, name)
        _check_matrix(X, name)
    if X.shape[0] < least or X.shape[1] == 0:
        raise ValueError(f"{name} has shape {tuple(X.shape)}; at least one sample and one feature are needed")
    if sparse:
        return SparseDesign(X) if is_sparse(X) else SparseDeviceDesign(X, gpu_module())
    return DenseDesign(X) if isinstance(X, np.ndarray) else DeviceDesign(X, gpu_module())


def _check_matrix(X: Any, name: str) -> None:
    if X.ndim != 2:
        remedy = f"; for a single feature pass {name}.reshape(-1, 1)" if X.ndim == 1 else ""
        raise ValueError(
            f"{name} has shape {tuple(X.shape)}, a matrix (samples, features) was expected{remedy}"
        )


def _device_input(X: Any) -> Any:
    X = device_array(X)
    if X.dtype.kind not in "biuf":
        raise TypeError(
            f"X has dtype {X.dtype}, a real numeric dtype was expected; convert it, e.g. X.astype(float)"
        )
    return X


def _placed(
    designs: list[Any], backend: str, t: int, kind: str, penalty: Penalty
) -> tuple[Backend, list[Any]]:
    """Where to solve, and the designs put there; each is multiplied by t columns at a time."""
    on_device = any(isinstance(design, DeviceDesign) for design in designs)
    has_moments = penalty.lower(designs[0].p) is None
    n, itemsize = sum(design.n for design in designs), max(design.X.dtype.itemsize for design in designs)
    stored = [design.X.nnz for design in designs if hasattr(design.X, "nnz")]
    is_sparse = len(stored) == len(designs)
    work = Work(n, designs[0].p, t, itemsize, kind, has_moments, sum(stored) if is_sparse else None)
    place = choose_backend(backend, work, on_device=on_device)

    def moved() -> tuple[Backend, list[Any]]:
        return place, [on_the_device(design, place.gpu, place.is_streamed) for design in designs]

    def left(reason: str) -> tuple[Backend, list[Any]]:
        return replace(choose_backend("cpu", work), reason=reason), [design.on_host() for design in designs]

    return left(place.reason) if place.gpu is None else with_fallback(place, moved, left)


def _check_indices(X: Any, name: str) -> None:
    """Indices and pointers out of range would be read as memory by compiled code."""
    ptr, length = X.indptr, X.shape[1] if X.format == "csc" else X.shape[0]
    if (
        len(ptr) != length + 1
        or ptr[0] != 0
        or (np.diff(ptr) < 0).any()
        or not ptr[-1] <= len(X.indices) == len(X.data)
    ):
        raise ValueError(
            f"{name} has index pointers that do not ascend from 0 to its number of entries; rebuild the sparse matrix"
        )
    limit = X.shape[0] if X.format == "csc" else X.shape[1]
    if X.indices.size and (X.indices.min() < 0 or X.indices.max() >= limit):
        raise ValueError(
            f"{name} holds row or column indices outside 0..{limit - 1}; rebuild the sparse matrix"
        )


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
