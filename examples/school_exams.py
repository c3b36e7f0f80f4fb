"""Exam scores at 139 London schools: one task a school, fitted apart and together.

    python examples/school_exams.py --data PATH/school.mat

Every school is a regression of its pupils' scores on 28 features, with a design of its own of 22 to 251 pupils. Fitted apart,
small schools have too few pupils; fitted together they share what they can. The strength of each penalty is chosen on one
fifth of the pupils, what is printed is measured on another fifth that no fit has seen.

The data (Inner London Education Authority; 15 362 pupils) are distributed with the MALSAR toolbox.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import fastmtl

Schools = list[np.ndarray]
DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data" / "school.mat"


def load(path: Path) -> tuple[Schools, Schools]:
    """Features (pupils, 28) and scores (pupils,) of every school."""
    from scipy.io import loadmat

    file = loadmat(path)
    scores = [np.asarray(y, dtype=np.float64).ravel() for y in file["Y"].ravel()]
    return [np.asarray(x, dtype=np.float64) for x in file["X"].ravel()], scores


def divide(X: Schools, Y: Schools, seed: int = 0) -> list[tuple[Schools, Schools]]:
    """Three fifths of every school's pupils to fit on, one to choose with, one to measure on."""
    rng = np.random.default_rng(seed)
    parts: list[tuple[Schools, Schools]] = [([], []), ([], []), ([], [])]
    for x, y in zip(X, Y, strict=True):
        rows = rng.permutation(len(y))
        cuts = [3 * len(y) // 5, 4 * len(y) // 5]
        for (xs, ys), own in zip(parts, np.split(rows, cuts), strict=True):
            xs.append(x[own])
            ys.append(y[own])
    return parts


def explained(Y: Schools, Z: Sequence[np.ndarray]) -> float:
    """Share of the variance of all pupils' scores that predictions explain."""
    y, z = np.concatenate(Y), np.concatenate(Z)
    return 1.0 - float(np.square(y - z).sum() / np.square(y - y.mean()).sum())


def best_of(path: fastmtl.PathResult, X: Schools, Y: Schools) -> fastmtl.FitResult:
    """The fit of a path that predicts best."""
    return max(path, key=lambda fit: explained(Y, fit.predict(X)))


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Fit, choose, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DEFAULT)
    (train, train_y), (tune, tune_y), (test, test_y) = divide(*load(parser.parse_args(arguments).data))
    print(
        f"{len(train)} schools, {sum(map(len, train_y))} pupils to fit on, {sum(map(len, test_y))} held out"
    )

    found = {}
    apart = []
    for i in range(len(train)):
        path = fastmtl.fit_path(train[i], train_y[i], "l1", n_alphas=12, eps=0.05, tol=1e-4, standardize=True)
        one = max(path, key=lambda fit, i=i: -float(np.square(tune_y[i] - fit.predict(tune[i])).sum()))
        apart.append(one.predict(test[i]))
    found["each school apart (Lasso)"] = explained(test_y, apart)

    for name, penalty in (
        ("features in common (l21)", "l21"),
        ("hidden directions in common (trace)", "trace"),
    ):
        path = fastmtl.fit_path(train, train_y, penalty, n_alphas=12, eps=0.05, tol=1e-5, standardize=True)
        assert all(status.converged for status in path.statuses)
        model = best_of(path, tune, tune_y)
        found[name] = explained(test_y, model.predict(test))
    for name, share in found.items():
        print(f"  {name:38} explains {100 * share:5.1f} % of the variance of held-out scores")
    return found


if __name__ == "__main__":
    main()
