"""What a fit returns: coefficients, their certificate, and how they came about."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ._arrays import as_ndarray, is_sparse
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
        Coefficients in the units of X; row j is feature j in all tasks.
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
    dual : ndarray of shape (n, t) or None
        The dual point behind the bound; `certify` takes it as a candidate.
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

    @property
    def support(self) -> np.ndarray:
        """Indices of the features with a non-zero row."""
        return np.flatnonzero(self.coef.any(axis=1))

    @property
    def n_active(self) -> int:
        """Number of features with a non-zero row."""
        return len(self.support)

    def predict(self, X: Any) -> np.ndarray:
        """Predictions (n, t), or (n,) for a single task given as a vector.

        Parameters
        ----------
        X : array, sparse matrix or frame of shape (n, p)

        Raises
        ------
        ValueError
            A different number of features than the fit had.
        """
        if not is_sparse(X):
            X = as_ndarray(X, "X")
        if X.ndim != 2 or X.shape[1] != self.coef.shape[0]:
            raise ValueError(f"X has shape {tuple(X.shape)}; the model has {self.coef.shape[0]} features, one column each")
        rows = self.support
        Z = (X[:, rows] @ self.coef[rows] if 4 * len(rows) < len(self.coef) else X @ self.coef) + self.intercept
        return np.asarray(Z)[:, 0] if self.is_1d else np.asarray(Z)

    def score(self, X: Any, Y: Any, *, per_task: bool = False) -> Any:
        """Coefficient of determination R^2 on X, Y: its mean over the tasks, or one value a task.

        A task with constant targets scores 1 when predicted exactly and 0 otherwise.
        """
        Z = self.predict(X).reshape(-1, len(self.intercept))
        Y = as_ndarray(Y, "Y").astype(np.float64).reshape(-1, 1) if np.ndim(Y) == 1 else as_ndarray(Y, "Y").astype(np.float64)
        if Y.shape != Z.shape:
            raise ValueError(f"Y has shape {Y.shape}, predictions have {Z.shape}; they must match")
        left = ((Y - Z) ** 2).sum(axis=0)
        total = ((Y - Y.mean(axis=0)) ** 2).sum(axis=0)
        exact = (left == 0).astype(float)
        r2 = np.where(total > 0, 1.0 - left / np.where(total > 0, total, 1.0), exact)
        return r2 if per_task else float(r2.mean())

    def certify(self, X: Any, Y: Any, penalty: Any = "l21", **problem: Any) -> Certificate:
        """Certify these coefficients again; `penalty` and `problem` are the arguments of `fastmtl.certify`."""
        from .api import certify

        return certify(X, Y, self.coef, self.intercept, penalty, dual=self.dual, **problem)

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
        p, t = self.coef.shape
        return (
            f"FitResult: {self.status}, {p} features x {t} tasks, {self.n_active} active rows\n"
            f"  penalty      {self.penalty}\n"
            f"  objective    {self.certificate.primal:.6g}\n"
            f"  relative gap {self.certificate.relative_gap:.2e}\n"
            f"  iterations   {self.n_iter} in {self.seconds:.3g} s on {self.backend} ({self.backend_reason})"
        )

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"

    def save(self, path: Any) -> None:
        """Write the model to an `.npz` file without pickled objects."""
        _write(path, "FitResult", self)

    @classmethod
    def load(cls, path: Any) -> FitResult:
        """Read a model written by `save`.

        Raises
        ------
        ValueError
            The file holds something else.
        """
        return _read(path, cls)


ARRAYS = {"coef", "intercept", "n_observed", "dual"}


def _write(path: Any, kind: str, result: Any) -> None:
    arrays, rest = {}, {}
    for entry in fields(result):
        value = getattr(result, entry.name)
        if entry.name in ARRAYS and value is not None:
            arrays[entry.name] = np.asarray(value)
        elif isinstance(value, Certificate):
            rest[entry.name] = asdict(value)
        else:
            rest[entry.name] = value
    header = json.dumps({"format": FORMAT, "kind": kind, **rest})
    with Path(path).open("wb") as file:
        np.savez_compressed(file, header=np.array(header), **arrays)


def _read(path: Any, cls: Any) -> Any:
    with np.load(path, allow_pickle=False) as file:
        if "header" not in file:
            raise ValueError(f"{path} is not a model written by fastmtl: it has no header")
        header = json.loads(str(file["header"]))
        if header.pop("kind", None) != cls.__name__ or header.pop("format", None) != FORMAT:
            raise ValueError(f"{path} does not hold a {cls.__name__} of format {FORMAT}")
        arrays = {name: file[name] for name in file.files if name != "header"}
    header["status"] = Status(header["status"])
    header["certificate"] = Certificate(**header["certificate"])
    header["history"] = tuple(tuple(entry) for entry in header["history"])
    return cls(**header, **arrays)
