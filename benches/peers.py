"""One adapter for each solver: the same call for all, imports only when it is asked for.

Every adapter minimises 1/(2n) ‖Y - XW‖² + alpha Σ_j ‖w_j‖ without intercept; with a 1-D y it runs the library's
single-task lasso. `solve` returns W (p, t), `path` an iterable of W, made dense only when it is walked through.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from importlib import metadata
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from problems import Array

MANY = 100_000


class Solver(Protocol):
    """What the comparison asks of a solver."""

    name: str
    version: str
    start: float  # first tolerance to try; the comparison looks for the loosest that is strict enough

    def solve(self, X: Array, Y: Array, alpha: float, tol: float) -> Array: ...

    def path(self, X: Array, Y: Array, alphas: Array, tol: float) -> Iterable[Array]: ...


class Fastmtl:
    """This project; its tolerance is the relative gap itself."""

    name, start = "fastmtl", 1e-6

    def __init__(self, n_threads: int) -> None:
        import fastmtl

        self._module: Any = fastmtl
        self.version: str = fastmtl.__version__
        self._options: dict[str, Any] = {"penalty": "l21", "fit_intercept": False, "n_threads": n_threads}

    def solve(self, X: Array, Y: Array, alpha: float, tol: float) -> Array:
        return self._module.fit(X, Y, alpha=alpha, tol=tol, **self._options).coef

    def path(self, X: Array, Y: Array, alphas: Array, tol: float) -> Iterable[Array]:
        path = self._module.fit_path(X, Y, alphas=alphas, tol=tol, **self._options)
        return (path[i].coef for i in range(len(alphas)))


class ScikitLearn:
    """MultiTaskLasso and Lasso; paths by `enet_path` (what MultiTaskLasso.path is)."""

    name, start = "scikit-learn", 1e-6

    def __init__(self, n_threads: int) -> None:
        import sklearn.linear_model

        self.version = metadata.version("scikit-learn")
        self._models: ModuleType = sklearn.linear_model

    def solve(self, X: Array, Y: Array, alpha: float, tol: float) -> Array:
        model = self._models.Lasso if Y.ndim == 1 else self._models.MultiTaskLasso
        fitted = model(alpha=alpha, fit_intercept=False, tol=tol, max_iter=MANY).fit(X, Y)
        return fitted.coef_.reshape(-1, X.shape[1]).T

    def path(self, X: Array, Y: Array, alphas: Array, tol: float) -> Iterable[Array]:
        _, coefs, _ = self._models.enet_path(
            X, Y, l1_ratio=1.0, alphas=alphas, tol=tol, max_iter=MANY, copy_X=False
        )
        return (coefs[..., i].reshape(-1, X.shape[1]).T for i in range(len(alphas)))


class Celer:
    """`mtl_path` and `celer_path`: celer's estimator classes do not fit under current scikit-learn."""

    name, start = "celer", 1e-6

    def __init__(self, n_threads: int) -> None:
        import celer.homotopy

        self.version = metadata.version("celer")
        self._homotopy: ModuleType = celer.homotopy

    def solve(self, X: Array, Y: Array, alpha: float, tol: float) -> Array:
        return next(iter(self.path(X, Y, np.array([alpha]), tol)))

    def path(self, X: Array, Y: Array, alphas: Array, tol: float) -> Iterable[Array]:
        if Y.ndim == 1:
            _, coefs, _ = self._homotopy.celer_path(X, Y, "lasso", alphas=alphas, tol=tol, max_iter=MANY)
        else:
            _, coefs, _ = self._homotopy.mtl_path(X, Y, alphas=alphas, tol=tol, max_iter=MANY)
        return (coefs[..., i].reshape(-1, X.shape[1]).T for i in range(len(alphas)))


class Skglm:
    """MultiTaskLasso (solver MultiTaskBCD on QuadraticMultiTask) and Lasso."""

    name, start = "skglm", 1e-3

    def __init__(self, n_threads: int) -> None:
        import skglm

        self.version = metadata.version("skglm")
        self._models: ModuleType = skglm

    def _model(self, Y: Array, alpha: float, tol: float) -> Any:
        model = self._models.Lasso if Y.ndim == 1 else self._models.MultiTaskLasso
        return model(alpha=alpha, tol=tol, fit_intercept=False, max_iter=MANY)

    def solve(self, X: Array, Y: Array, alpha: float, tol: float) -> Array:
        return self._model(Y, alpha, tol).fit(X, Y).coef_.reshape(-1, X.shape[1]).T

    def path(self, X: Array, Y: Array, alphas: Array, tol: float) -> Iterable[Array]:
        _, coefs, *_ = self._model(Y, 1.0, tol).path(X, Y, alphas)
        return (coefs[..., i].reshape(-1, X.shape[1]).T for i in range(len(alphas)))


class Adelie:
    """`grpnet`; its multi-response loss is ours divided by the number of tasks, so the strength is alpha/t."""

    name, start = "adelie", 1e-7

    def __init__(self, n_threads: int) -> None:
        import adelie

        self.version = metadata.version("adelie")
        self._module: ModuleType = adelie
        self._n_threads = n_threads

    def solve(self, X: Array, Y: Array, alpha: float, tol: float) -> Array:
        return next(iter(self.path(X, Y, np.array([alpha]), tol)))

    def path(self, X: Array, Y: Array, alphas: Array, tol: float) -> Iterable[Array]:
        tasks = 1 if Y.ndim == 1 else Y.shape[1]
        family = self._module.glm.gaussian if Y.ndim == 1 else self._module.glm.multigaussian
        state = self._module.grpnet(
            X,
            family(y=Y, dtype=np.float64),
            penalty=np.ones(X.shape[1]),
            lmda_path=alphas / tasks,
            intercept=False,
            tol=tol,
            early_exit=False,
            progress_bar=False,
            n_threads=self._n_threads,
        )
        if state.betas.shape[0] != len(alphas):
            raise RuntimeError(f"adelie solved {state.betas.shape[0]} of {len(alphas)} strengths")
        return (state.betas[i].toarray().reshape(X.shape[1], tasks) for i in range(len(alphas)))


SOLVERS: dict[str, Callable[[int], Solver]] = {
    solver.name: solver for solver in (Fastmtl, ScikitLearn, Celer, Skglm, Adelie)
}


def available(names: Iterable[str], n_threads: int) -> tuple[list[Solver], dict[str, str]]:
    """Return the solvers that can be imported and, for the others, why not."""
    found: list[Solver] = []
    missing: dict[str, str] = {}
    for name in names:
        try:
            found.append(SOLVERS[name](n_threads))
        except (ImportError, AttributeError, metadata.PackageNotFoundError) as error:
            missing[name] = f"{type(error).__name__}: {error}"
    return found, missing


def warm_up(solver: Solver) -> None:
    """Compile and load whatever the solver compiles or loads at its first fit and path, for 1-D and 2-D targets."""
    rng = np.random.default_rng(0)
    X = np.asfortranarray(rng.standard_normal((30, 40)))
    Y = np.asfortranarray(X[:, :3] @ rng.standard_normal((3, 2)))
    for targets in (Y, Y[:, 0]):
        largest = np.linalg.norm((X.T @ targets).reshape(40, -1), axis=1).max() / len(X)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            solver.solve(X, targets, 0.1 * largest, 1e-5)
            list(solver.path(X, targets, largest * np.array([1.0, 0.5, 0.1]), 1e-5))
