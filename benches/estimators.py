"""scikit-learn's MultiTaskLassoCV and ours in its place: five folds, a hundred strengths, one thread.

    python benches/estimators.py --data ../shared/data # both data sets at the default tol; some minutes
    python benches/estimators.py atp1d --exact         # and how far the errors are from those at tol 1e-8; long

`gaussian` is X (500, 5000) with independent columns and Y (500, 20), `atp1d` airline ticket prices, X (337, 411), Y (337, 6),
from a folder of its own. scikit-learn runs at its default tol, and at half of the largest relative gap that a
certificate of ours shows over all folds and strengths, which in its scale asks for the same accuracy.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from pathlib import Path
from typing import Any

for pool in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(pool, "1")

import numpy as np
import sklearn.linear_model as theirs
from machine import describe
from problems import CASES

from fastmtl import estimators as ours

FOLDS, STRENGTHS, EXACT, MANY = 5, 100, 1e-8, 10**6


def data(name: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """X and Y, columns of X contiguous."""
    if name == "gaussian":
        problem = CASES["path_iid"].generate()
        return problem.X, problem.Y
    with np.load(folder / "atp1d.npz", allow_pickle=False) as file:
        return np.asfortranarray(file["X"], dtype=float), np.asarray(file["Y"], dtype=float)


def run(
    module: Any, X: np.ndarray, Y: np.ndarray, repeats: int = 1, **settings: Any
) -> tuple[float, Any, int]:
    """Median processor seconds, the model, and the number of warnings."""
    seconds = []
    for _ in range(repeats):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            begun = time.process_time()
            model = module.MultiTaskLassoCV(cv=FOLDS, **settings).fit(X, Y)
            seconds.append(time.process_time() - begun)
    return float(np.median(seconds)), model, len(caught)


def row(what: str, seconds: float, model: Any, count: int, fastest: float) -> str:
    """A line of the table."""
    place = int(np.argmin(np.abs(model.alphas_ - model.alpha_)))
    return (
        f"| {what} | {seconds:.2f} | {seconds / fastest:.1f} | {model.alpha_:.6g} (no. {place}) | {count} |"
    )


def compare(name: str, folder: Path, repeats: int, exact: bool) -> None:
    """Print the table of one data set."""
    X, Y = data(name, folder)
    run(ours, X[:60, :50], Y[:60], alphas=5)  # compiled code is loaded
    mine, model, count = run(ours, X, Y, repeats)
    gap = max(float(result.relative_gaps.max()) for result in model.cv_results_)
    print(
        f"\n{name}: X {X.shape}, Y {Y.shape}, {FOLDS} folds x {len(model.alphas_)} strengths; largest gap of ours {gap:.2e}\n"
    )
    print("| | processor seconds | ratio | selected alpha | warnings |\n|---|---|---|---|---|")
    print(row("fastmtl, default tol 1e-4", mine, model, count, mine), flush=True)
    loose, default, count = run(theirs, X, Y)
    print(row("scikit-learn, default tol 1e-4", loose, default, count, mine), flush=True)
    matched, same, count = run(theirs, X, Y, tol=gap / 2, max_iter=MANY)
    print(
        row(f"scikit-learn, tol {gap / 2:.1e}, no limit of iterations", matched, same, count, mine),
        flush=True,
    )
    if not exact:
        return
    tight, fine, count = run(ours, X, Y, tol=EXACT, max_iter=MANY)
    print(row("fastmtl, tol 1e-8", tight, fine, count, mine), flush=True)
    finest, reference, count = run(theirs, X, Y, tol=EXACT, max_iter=MANY)
    print(row("scikit-learn, tol 1e-8", finest, reference, count, mine), flush=True)

    def apart(a: Any, b: Any) -> str:
        return ", ".join(f"{d:.1e}" for d in np.abs(a.mse_path_ / b.mse_path_ - 1.0).max(axis=0))

    print("\nLargest relative difference of mse_path_ in each fold:")
    print(f"both at tol 1e-8: {apart(fine, reference)}")
    print(f"fastmtl at 1e-4 from scikit-learn at 1e-8: {apart(model, reference)}")
    print(f"scikit-learn at 1e-4 from scikit-learn at 1e-8: {apart(default, reference)}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=["gaussian", "atp1d"], help="gaussian, atp1d")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="where atp1d.npz lies")
    parser.add_argument("--repeats", type=int, default=3, help="runs of fastmtl; the median counts")
    parser.add_argument("--exact", action="store_true", help="compare with both at tol 1e-8")
    given = parser.parse_args()
    print(describe(["scikit-learn", "numpy", "scipy", "numba"]))
    for name in given.names:
        compare(name, given.data, given.repeats, given.exact)


if __name__ == "__main__":
    main()
