"""The generated problems on which fastmtl and its peers are compared."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FRACTIONS = (0.5, 0.1, 0.02)
PATH_ENDS = (0.1, 0.01)
PATH_LENGTH = 100
SIGNAL_TO_NOISE = 3.0


@dataclass(frozen=True)
class Case:
    """One generated problem: Gaussian features, a row-sparse truth, Gaussian noise.

    Parameters
    ----------
    name : str
        How the case is called on the command line and in the tables.
    n, p, t : int
        Samples, features, tasks.
    correlation : float
        Neighbouring columns follow an AR(1) process with this coefficient.
    true_rows : int
        Rows of the true W that are not zero.
    seed : int
        Seed of the generator.
    """

    name: str
    n: int
    p: int
    t: int
    correlation: float = 0.0
    true_rows: int = 20
    seed: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.n, self.p, self.t

    def generate(self) -> Problem:
        """Draw X (n, p) and Y (n, t), both float64 and F-ordered.

        X is drawn feature by feature, so that the AR recursion runs over contiguous rows of its transpose. The
        noise has exactly the norm ‖XW‖ / 3.
        """
        rng = np.random.default_rng(self.seed)
        rows = rng.standard_normal((self.p, self.n))
        innovation = np.sqrt(1.0 - self.correlation**2)
        if self.correlation:
            for j in range(1, self.p):
                rows[j] *= innovation
                rows[j] += self.correlation * rows[j - 1]
        X = rows.T
        truth = rng.choice(self.p, self.true_rows, replace=False)
        signal = X[:, truth] @ rng.standard_normal((self.true_rows, self.t))
        noise = rng.standard_normal((self.n, self.t))
        noise *= np.linalg.norm(signal) / (SIGNAL_TO_NOISE * np.linalg.norm(noise))
        return Problem(self, X, np.asfortranarray(signal + noise))


@dataclass(frozen=True)
class Problem:
    """The arrays of a case, with the strength at which its solution leaves zero."""

    case: Case
    X: Array
    Y: Array
    alpha_max: float = field(init=False)

    def __post_init__(self) -> None:
        largest = np.linalg.norm(self.X.T @ self.Y, axis=1).max() / len(self.X)
        object.__setattr__(self, "alpha_max", float(largest))

    @property
    def targets(self) -> Array:
        """Y as solvers want it: one column for a single task is a vector."""
        return self.Y[:, 0] if self.Y.shape[1] == 1 else self.Y

    def alphas(self, end: float) -> Array:
        """Strengths of a path from alpha_max down to `end` times alpha_max, evenly spaced in their logarithm."""
        return self.alpha_max * np.geomspace(1.0, end, PATH_LENGTH)


SINGLE_FITS = (
    Case("iid", 1000, 10000, 20),
    Case("ar9", 500, 5000, 50, 0.9),
    Case("tall", 20000, 500, 50, 0.5),
    Case("many_tasks", 200, 10000, 1000, 0.7),
    Case("meg", 300, 7500, 180, 0.97, true_rows=10),
    Case("one_task", 1000, 10000, 1, 0.5),
    Case("four_tasks", 1000, 10000, 4, 0.5),
)
PATHS = (
    Case("path_iid", 500, 5000, 20),
    Case("path_ar9", 500, 5000, 20, 0.9),
    Case("path_tall", 10000, 500, 20, 0.5),
)
SMALL = Case("small", 100, 50, 5, true_rows=10)
CASES = {case.name: case for case in (*SINGLE_FITS, *PATHS, SMALL)}
