"""What a fit returns: coefficients, their certificate, and how they came about."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ._arrays import as_ndarray, feature_names, is_sparse
from ._low_rank import LowRank, decompose
from ._status import Status
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
    loss : str
        Name of the loss.
    dual : ndarray of shape (n, t) or None
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
    dual: np.ndarray | None = None
    low_rank: LowRank | None = None
    loss: str = "squared"

    def __post_init__(self) -> None:
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

    @cached_property
    def _singular(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return decompose(self.coef if self.low_rank is None else self.low_rank)

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
        p, t = self.coef.shape if self.low_rank is None else self.low_rank.shape
        return p, t

    @property
    def support(self) -> np.ndarray:
        """Indices of the features with a non-zero row."""
        return np.flatnonzero(self.coef.any(axis=1))

    @property
    def n_active(self) -> int:
        """Number of features with a non-zero row."""
        return len(self.support)

    def predict(self, X: Any) -> np.ndarray:
        """Predictions on the scale of the response (n, t), or (n,) for a single task given as a vector.

        Probabilities for the logistic and multinomial losses, means for Poisson; the linear predictor for all others, a
        loss of your own included. Parameters and errors are those of `decision_function`.
        """
        from .losses import NAMED

        Z = self.decision_function(X)
        return NAMED[self.loss]().inverse_link(Z) if self.loss in NAMED else Z

    def decision_function(self, X: Any) -> np.ndarray:
        """The linear predictor `X W + b` (n, t), or (n,) for a single task given as a vector.

        Parameters
        ----------
        X : array, sparse matrix or frame of shape (n, p)

        Raises
        ------
        ValueError
            A different number of features than the fit had, or a frame with other names or another order of columns.
        """
        self._check_names(feature_names(X))
        if not is_sparse(X):
            X = as_ndarray(X, "X")
        p = self._shape[0]
        if X.ndim != 2 or X.shape[1] != p:
            raise ValueError(f"X has shape {tuple(X.shape)}; the model has {p} features, one column each")
        if self.low_rank is not None:
            Z = (X @ self.low_rank.left) @ self.low_rank.right.T + self.intercept
        else:
            rows = self.support
            Z = (X[:, rows] @ self.coef[rows] if 4 * len(rows) < p else X @ self.coef) + self.intercept
        return np.asarray(Z)[:, 0] if self.is_1d else np.asarray(Z)

    def _check_names(self, names: list[str] | None) -> None:
        """A frame whose columns are not those of the fit would be read in the wrong order."""
        if names is None or self.feature_names is None or names == self.feature_names:
            return
        if sorted(names) == sorted(self.feature_names):
            raise ValueError("X has the columns of the fit in another order; pass X[result.feature_names]")
        missing = [name for name in self.feature_names if name not in names][:3]
        extra = [name for name in names if name not in self.feature_names][:3]
        raise ValueError(f"X has other columns than the fit: {extra} are new, {missing} are missing")

    def score(self, X: Any, Y: Any, *, per_task: bool = False) -> Any:
        """Coefficient of determination R^2 on X, Y: its mean over the tasks, or one value a task.

        A task with constant targets scores 1 when predicted exactly and 0 otherwise.

        Raises
        ------
        ValueError
            Shapes that do not match, or a model of classes or counts, for which R^2 means little.
        """
        if self.loss in ("logistic", "multinomial", "poisson"):
            raise ValueError(
                f"score is R^2, which means little for loss={self.loss!r}; judge predict(X) with a score of your own"
            )
        Z = self.predict(X).reshape(-1, len(self.intercept))
        Y = (
            as_ndarray(Y, "Y").astype(np.float64).reshape(-1, 1)
            if np.ndim(Y) == 1
            else as_ndarray(Y, "Y").astype(np.float64)
        )
        if Y.shape != Z.shape:
            raise ValueError(f"Y has shape {Y.shape}, predictions have {Z.shape}; they must match")
        left = ((Y - Z) ** 2).sum(axis=0)
        total = ((Y - Y.mean(axis=0)) ** 2).sum(axis=0)
        exact = (left == 0).astype(float)
        r2 = np.where(total > 0, 1.0 - left / np.where(total > 0, total, 1.0), exact)
        return r2 if per_task else float(r2.mean())

    def certify(self, X: Any, Y: Any, penalty: Any = "l21", **problem: Any) -> Certificate:
        """Certify these coefficients again; `penalty` and `problem` are the arguments of `fastmtl.certify`."""
        import fastmtl

        return fastmtl.certify(X, Y, self.coef, self.intercept, penalty, dual=self.dual, **problem)

    def summary(self) -> str:
        """A paragraph of text: the model, its certificate and its largest rows."""
        lines = [repr(self), self.status.sentence]
        norms = np.sqrt((self.coef.astype(np.float64) ** 2).sum(axis=1))
        order = np.argsort(-norms)[: min(10, self.n_active)]
        if len(order):
            lines.append("Largest rows:")
            lines += [f"  {self._feature(int(j)):<24} {norms[j]:.4g}" for j in order]
        return "\n".join(lines)

    def _feature(self, j: int) -> str:
        return self.feature_names[j] if self.feature_names else f"feature {j}"

    def __repr__(self) -> str:
        p, t = self._shape
        kept = f"{self.n_active} active rows" if self.low_rank is None else f"rank {self.rank}"
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
        write_archive(path, "FitResult", {}, [self])

    @classmethod
    def load(cls, path: Any) -> FitResult:
        """Read a model written by `save`.

        Raises
        ------
        ValueError
            The file holds something else.
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
                if value is not None:
                    arrays[f"{entry.name}_{i}"] = np.asarray(value)
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
        The file holds something else.
    """
    with np.load(path, allow_pickle=False) as file:
        if "header" not in file:
            raise ValueError(f"{path} is not a model written by fastmtl: it has no header")
        header = json.loads(str(file["header"]))
        if header.get("kind") != kind or header.get("format") != FORMAT:
            found = f"a {header.get('kind')} of format {header.get('format')}"
            raise ValueError(f"{path} holds {found}; a {kind} of format {FORMAT} was expected")
        arrays = {name: file[name] for name in file.files if name != "header"}
    fits, rows = [], []
    for i, rest in enumerate(header["fits"]):
        rest["status"] = Status(rest["status"])
        rest["certificate"] = Certificate(**rest["certificate"])
        rest["history"] = tuple(tuple(entry) for entry in rest["history"])
        own = {name: arrays.pop(f"{name}_{i}") for name in ARRAYS if f"{name}_{i}" in arrays}
        if f"left_{i}" in arrays:
            low_rank = LowRank(*(arrays.pop(f"{name}_{i}") for name in FACTORS))
            own |= {"coef": low_rank.dense(), "low_rank": low_rank}
        fits.append(FitResult(**rest, **own))
        if f"rows_{i}" in arrays:
            rows.append(arrays.pop(f"rows_{i}"))
    return arrays, tuple(fits), tuple(rows)
