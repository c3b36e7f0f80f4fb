"""What a fit returns: coefficients, their certificate, and how they came about."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ._archive import read_arrays, reading
from ._given import is_list_of_designs
from ._low_rank import LowRank, decompose
from ._predictions import linear_parts, predictions, response, unturned
from ._scores import score_task
from ._status import Status
from ._targets import as_vector, table_columns
from ._tasks import TaskColumns
from .certificate import Certificate

FORMAT = 1
"""Version of the saved file."""


@dataclass(frozen=True, eq=False)
class FitResult:
    """A fitted model.

    Attributes
    ----------
    coef : ndarray of shape (p, t)
        Coefficients in the units of X; row j is feature j in all tasks. Multiplied out at every access when
        `low_rank` holds them.
    intercept : ndarray of shape (t,)
    penalty : str
        The penalty and its strength.
    status : Status
        How the run ended.
    certificate : Certificate
        Duality gap of exactly these coefficients, recomputed from the data in float64.
    n_iter : int
        Outer iterations.
    n_observed : ndarray of shape (t,)
        Samples of each task with a positive weight.
    backend, backend_reason : str
        Where the fit ran and why there.
    seconds : float
        Wall-clock time of the call.
    feature_names, task_names : list of str or None
        Names from frames.
    is_1d : bool
        Whether Y was a vector: `predict` then returns one.
    history : tuple of (seconds, relative gap, active rows)
        One entry an outer iteration.
    tasks : tuple of TaskColumns
        The tasks: their names, columns of `coef`, losses and classes.
    dual : ndarray of shape (n, t), list of ndarray, or None
        The dual point behind the bound; `certify` takes it as a candidate.
    low_rank : LowRank or None
        Thin factors of `coef`, kept in its place when they are smaller.
    """

    coef: np.ndarray
    intercept: np.ndarray
    penalty: str
    status: Status
    certificate: Certificate
    n_iter: int
    n_observed: np.ndarray
    backend: str
    backend_reason: str
    seconds: float
    feature_names: list[str] | None = None
    task_names: list[str] | None = None
    is_1d: bool = False
    history: tuple[tuple[float, float, int], ...] = ()
    dual: Any = None
    low_rank: LowRank | None = None
    tasks: tuple[TaskColumns, ...] = ()

    def __post_init__(self) -> None:
        if not self.tasks:
            columns = tuple(TaskColumns(str(c), c, c + 1) for c in range(len(self.intercept)))
            object.__setattr__(self, "tasks", columns)
        if self.low_rank is not None:
            if self.low_rank.size < self.coef.size:
                object.__delattr__(self, "coef")
            else:
                object.__setattr__(self, "low_rank", None)

    def __getattr__(self, name: str) -> Any:
        low_rank: LowRank | None = self.__dict__.get("low_rank")
        if name == "coef" and low_rank is not None:
            return low_rank.dense()
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def host(self) -> FitResult:
        """The same fit with NumPy arrays: itself, unless X was an array of another library."""
        return self

    @property
    def n_features(self) -> int:
        """Number of features p."""
        return self._shape[0]

    @cached_property
    def _singular(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        held = self.host
        return decompose(held.coef if held.low_rank is None else held.low_rank)

    @property
    def rank(self) -> int:
        """Rank of `coef`: the number of its singular values above rounding."""
        return len(self.singular_values)

    @property
    def singular_values(self) -> np.ndarray:
        """Singular values of `coef` above rounding, descending."""
        return self._singular[1].copy()

    def factors(self) -> tuple[np.ndarray, np.ndarray]:
        """Balanced factors U (p, r), V (t, r) with `coef = U V'` and `U'U = V'V` diagonal, descending.

        Column k of U is a feature that the tasks share, row i of V says how much task i uses of each: the two layers of
        the linear network that the trace norm is equivalent to.
        """
        U, s, V = self._singular
        root = np.sqrt(s)
        return (U * root).astype(self.intercept.dtype), (V * root).astype(self.intercept.dtype)

    @property
    def _shape(self) -> tuple[int, int]:
        held = self.host
        p, t = held.coef.shape if held.low_rank is None else held.low_rank.shape
        return p, t

    @property
    def support(self) -> np.ndarray:
        """Indices of the features with a non-zero row."""
        return np.flatnonzero(self.host.coef.any(axis=1))

    @property
    def n_active(self) -> int:
        """Number of features with a non-zero row."""
        return len(self.support)

    @property
    def loss(self) -> str:
        """Name of the loss of all tasks, or "mixed"."""
        names = {task.loss for task in self.tasks}
        return names.pop() if len(names) == 1 else "mixed"

    @property
    def task_columns(self) -> dict[str, slice]:
        """Columns of `coef` that belong to each task, by its name."""
        return {task.name: task.columns for task in self.tasks}

    def predict(self, X: Any, task: Any = None) -> Any:
        """Predictions on the scale of the response.

        Probabilities for the logistic and multinomial losses, means for Poisson; the linear predictor for all others, a
        loss of your own included. Parameters, shapes and errors are those of `decision_function`.
        """
        return predictions(self, X, task, response)

    def predict_proba(self, X: Any, task: Any = None) -> Any:
        """Probabilities: of label 1 for a logistic task, of each class for a multinomial one.

        Parameters and shapes are those of `decision_function`.

        Raises
        ------
        ValueError
            Some task is not a classification.
        """
        other = [one.name for one in self.tasks if not one.is_classification]
        if other:
            raise ValueError(
                f"predict_proba is for classifications; task {other[0]!r} is none: use predict, which gives probabilities "
                "for the tasks that have them"
            )
        return self.predict(X, task)

    def decision_function(self, X: Any, task: Any = None) -> Any:
        """The linear predictor `X W + b`.

        Parameters
        ----------
        X : array, sparse matrix or frame of shape (n, p), or a list with one for every task
        task : array of shape (n,), optional
            Name of the task that every row belongs to (`result.task_columns` has the names).

        Returns
        -------
        array of shape (n, t), or (n,) for a single task given as a vector
            Of all tasks at every row; with `task`, (n,), every row's own; for a list, a list with the task's own columns.
            Of X's kind and where X is: for a frame one with its rows and the names of the tasks, for a dask array one that
            is computed when it is asked for.

        Raises
        ------
        ValueError
            A different number of features than the fit had, a frame with other names or another order of columns, or
            names of tasks that the fit does not know.
        """
        return predictions(self, X, task, unturned)

    def score(self, X: Any, Y: Any, *, metric: str | None = None, per_task: bool = False) -> Any:
        """A score on X, Y: its mean over the tasks, or one value a task.

        Parameters
        ----------
        X : array, sparse matrix or frame of shape (n, p), or a list with one for every task
        Y : array of shape (n, tasks) or (n,), or a list with one vector a task
            As in `fit`; entries that are NaN in a matrix count nothing.
        metric : {"r2", "deviance", "accuracy", "auc"}, optional
            The coefficient of determination, the share of the deviance explained, the share of right classes, the area
            under the ROC curve (of several classes: the mean over one against the rest). Left out, R^2 for the squared and
            Huber losses and losses of your own, the share of the deviance for all others.
        per_task : bool
            Return an array (tasks,).

        Raises
        ------
        ValueError
            Shapes that do not match, or a metric that does not apply.
        """
        parts = linear_parts(self, X)
        targets = self._targets(Y, [len(part) for part in parts], is_list_of_designs(X))
        values = np.array([score_task(*one, metric) for one in zip(self.tasks, targets, parts, strict=True)])
        if per_task or np.isnan(values).all():
            return values if per_task else float("nan")
        return float(np.nanmean(values))

    def _targets(self, Y: Any, sizes: list[int], is_own: bool) -> list[np.ndarray]:
        """Targets as one vector a task, checked against the samples of each."""
        if is_own or (isinstance(Y, (list, tuple)) and len(Y) == len(sizes) != sizes[0]):
            columns = [as_vector(y, f"Y[{t}]") for t, y in enumerate(Y)]
        else:
            names, raw, _ = table_columns(Y)
            columns = [as_vector(y, name) for name, y in zip(names, raw, strict=True)]
        came = [len(y) for y in columns]
        if came != sizes:
            shown = [f"{len(one)} tasks with {', '.join(map(str, one[:3]))} samples" for one in (came, sizes)]
            raise ValueError(f"Y has a shape of {shown[0]}; the model and X have {shown[1]}: they must match")
        return columns

    def certify(self, X: Any, Y: Any, penalty: Any = "l21", **problem: Any) -> Certificate:
        """Certify these coefficients again; `penalty` and `problem` are the arguments of `fastmtl.certify`."""
        import fastmtl

        held = self.host
        return fastmtl.certify(X, Y, held.coef, held.intercept, penalty, dual=held.dual, **problem)

    def summary(self) -> str:
        """A paragraph of text: the model, its certificate and its largest rows."""
        lines = [repr(self), self.status.sentence]
        norms = np.sqrt((self.host.coef.astype(np.float64) ** 2).sum(axis=1))
        order = np.argsort(-norms)[: min(10, self.n_active)]
        if len(order):
            lines.append("Largest rows:")
            lines += [f"  {self._feature(int(j)):<24} {norms[j]:.4g}" for j in order]
        return "\n".join(lines)

    def _feature(self, j: int) -> str:
        return self.feature_names[j] if self.feature_names else f"feature {j}"

    def __repr__(self) -> str:
        p, t = self._shape
        kept = f"{self.n_active} active rows" if self.host.low_rank is None else f"rank {self.rank}"
        return (
            f"FitResult: {self.status}, {p} features x {t} tasks, {kept}\n"
            f"  penalty      {self.penalty}\n"
            f"  objective    {self.certificate.primal:.6g}\n"
            f"  relative gap {self.certificate.relative_gap:.2e}\n"
            f"  iterations   {self.n_iter} in {self.seconds:.3g} s on {self.backend} ({self.backend_reason})"
        )

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"

    def save(self, path: Any) -> None:
        """Write the model to an `.npz` file without pickled objects."""
        write_archive(path, "FitResult", {}, [self.host])

    @classmethod
    def load(cls, path: Any) -> FitResult:
        """Read a model written by `save`.

        Raises
        ------
        ValueError
            The file is damaged, or holds something else.
        OSError
            The file is not there, or may not be read.
        """
        return read_archive(path, "FitResult")[1][0]


ARRAYS = ("coef", "intercept", "n_observed", "dual")
FACTORS = ("left", "right")


def write_archive(path: Any, kind: str, arrays: dict[str, np.ndarray], fits: Any, rows: Any = None) -> None:
    """Write fits to an `.npz` file: a JSON header, and arrays named by the fit they belong to."""
    headers = []
    arrays = dict(arrays)
    for i, fit in enumerate(fits):
        rest = {}
        for entry in fields(fit):
            if entry.name == "coef" and fit.low_rank is not None:
                continue
            value = getattr(fit, entry.name)
            if entry.name == "low_rank":
                arrays.update(
                    {} if value is None else {f"{name}_{i}": getattr(value, name) for name in FACTORS}
                )
            elif entry.name in ARRAYS:
                if isinstance(value, list):  # the dual points of tasks with designs of their own
                    arrays.update({f"{entry.name}_{i}_{t}": part for t, part in enumerate(value)})
                elif value is not None:
                    arrays[f"{entry.name}_{i}"] = np.asarray(value)
            elif entry.name == "tasks":
                rest[entry.name] = [asdict(task) for task in value]
            else:
                rest[entry.name] = asdict(value) if isinstance(value, Certificate) else value
        headers.append(rest)
        if rows is not None:
            arrays[f"rows_{i}"] = rows[i]
    header = json.dumps({"format": FORMAT, "kind": kind, "fits": headers})
    with Path(path).open("wb") as file:
        np.savez_compressed(file, **{"header": np.array(header), **arrays})  # pyright: ignore[reportArgumentType]


def read_archive(
    path: Any, kind: str
) -> tuple[dict[str, np.ndarray], tuple[FitResult, ...], tuple[np.ndarray, ...]]:
    """Read what `write_archive` wrote: its own arrays, the fits, and their rows.

    Raises
    ------
    ValueError
        The file holds something else, or a part of it only.
    """
    arrays = read_arrays(path)
    if "header" not in arrays:
        raise ValueError(f"{path} is not a model written by fastmtl: it has no header")
    header = json.loads(str(arrays.pop("header")))
    if header.get("kind") != kind or header.get("format") != FORMAT:
        found = f"a {header.get('kind')} of format {header.get('format')}"
        raise ValueError(f"{path} holds {found}; a {kind} of format {FORMAT} was expected")
    with reading(path):
        return arrays, *_fits(header["fits"], arrays)


def _fits(
    headers: list[dict[str, Any]], arrays: dict[str, np.ndarray]
) -> tuple[tuple[FitResult, ...], tuple[np.ndarray, ...]]:
    """Fits and their rows, taken out of the arrays of an archive."""
    fits, rows = [], []
    for i, rest in enumerate(headers):
        rest["status"] = Status(rest["status"])
        rest["certificate"] = Certificate(**rest["certificate"])
        rest["history"] = tuple(tuple(entry) for entry in rest["history"])
        rest["tasks"] = tuple(TaskColumns(**task) for task in rest["tasks"])
        own: dict[str, Any] = {name: arrays.pop(f"{name}_{i}") for name in ARRAYS if f"{name}_{i}" in arrays}
        if f"dual_{i}_0" in arrays:
            own["dual"] = [arrays.pop(f"dual_{i}_{t}") for t in range(len(rest["tasks"]))]
        if f"left_{i}" in arrays:
            low_rank = LowRank(*(arrays.pop(f"{name}_{i}") for name in FACTORS))
            own |= {"coef": low_rank.dense(), "low_rank": low_rank}
        fits.append(FitResult(**rest, **own))
        if f"rows_{i}" in arrays:
            rows.append(arrays.pop(f"rows_{i}"))
    return tuple(fits), tuple(rows)
