"""Real multi-task data: own designs (School), many labels (yeast, bibtex) and gaps in the targets, against what is used today.

    python benches/tasks.py                         # all of it, one thread
    python benches/tasks.py --only school gaps
    python benches/tasks.py --data ../shared/data   # where school.mat, yeast.npz and bibtex.npz lie

The L1 logistic fits are one call of ours for all labels, and for the peers one call a label. The gap is computed here, from
the data, label by label, and does not use fastmtl; every peer runs at the loosest tolerance, by decades, that reaches it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

for pool in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(pool, "1")

import numpy as np
import scipy.sparse as sp
from machine import describe
from measure import timed

import fastmtl

TARGET = 1e-6
OPTIMA = {
    ("l21", 1000.0): 1086795.828290,
    ("l21", 100.0): 714277.409910,
    ("trace", 1000.0): 999912.193496,
    ("trace", 100.0): 704454.524540,
}
"""Optima of the School problem (sums of squares, a penalised column of ones, no intercept)."""


def median_seconds(call: Callable[[], Any], repeats: int = 5) -> tuple[float, float, Any]:
    """Median wall and processor seconds of a warm call, and its value."""
    value = call()
    runs = [timed(call)[1] for _ in range(repeats)]
    return statistics.median(r.wall for r in runs), statistics.median(r.cpu for r in runs), value


def load_school(folder: Path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """139 schools: columns centred and scaled within each school, a column of ones at the end."""
    from scipy.io import loadmat

    file = loadmat(folder / "school.mat")
    X, Y = [], []
    for x, y in zip(file["X"].ravel(), file["Y"].ravel(), strict=True):
        x = x - x.mean(axis=0)
        deviation = x.std(axis=0, ddof=1)
        X.append(np.column_stack([x / np.where(deviation > 1e-12, deviation, 1.0), np.ones(len(x))]))
        Y.append(np.asarray(y, dtype=np.float64).ravel())
    return X, Y


def load_labels(folder: Path, name: str) -> tuple[Any, np.ndarray]:
    """X, dense or CSR, and labels (n, T) in {0, 1}."""
    file = np.load(folder / f"{name}.npz", allow_pickle=True)
    if "indptr" in file:
        parts = (file["data"].astype(np.float64), file["indices"], file["indptr"])
        return sp.csr_matrix(parts, shape=tuple(file["shape"])), np.asarray(file["Y"], dtype=np.int64)
    return np.asarray(file["X"], dtype=np.float64), np.asarray(file["Y"], dtype=np.int64)


def school(folder: Path) -> None:
    """The four settings to a relative gap of 1e-8."""
    X, Y = load_school(folder)
    print(f"\nSchool: {len(X)} tasks with designs of their own, {sum(map(len, Y))} pupils, relative gap 1e-8")
    print("  penalty   alpha   wall ms    cpu ms   relative gap   above the optimum")
    for (penalty, alpha), optimum in OPTIMA.items():

        def call(penalty: str = penalty, alpha: float = alpha) -> Any:
            return fastmtl.fit(X, Y, penalty, alpha=alpha, fit_intercept=False, scale="sum", tol=1e-8)

        wall, cpu, found = median_seconds(call, 9)
        cert = found.certificate
        print(
            f"  {penalty:8} {alpha:6.0f} {1e3 * wall:9.1f} {1e3 * cpu:9.1f} "
            f"{cert.relative_gap:14.1e} {cert.primal - optimum:19.1e}"
        )


def logistic_gap(X: Any, Y: np.ndarray, W: np.ndarray, alpha: float) -> float:
    """Sum over labels of the gap of `mean log(1 + e^-yz) + alpha |w|_1`, over T log 2."""
    n = len(Y)
    S = 2.0 * Y - 1.0
    Z = S * (X @ W)
    primal = np.logaddexp(0.0, -Z).mean(axis=0) + alpha * np.abs(W).sum(axis=0)
    U = 1.0 / (1.0 + np.exp(Z))
    U *= np.minimum(1.0, alpha / np.maximum(np.abs(X.T @ (S * U)).max(axis=0) / n, 1e-300))
    V = 1.0 - U
    dual = -(U * np.log(np.maximum(U, 1e-300)) + V * np.log(np.maximum(V, 1e-300))).mean(axis=0)
    return float((primal - dual).sum() / (Y.shape[1] * np.log(2.0)))


def liblinear(X: Any, Y: np.ndarray, alpha: float) -> Callable[[float], np.ndarray]:
    """scikit-learn's fastest solver for this problem, label by label."""
    from sklearn.linear_model import LogisticRegression

    def solve(tol: float) -> np.ndarray:
        model = LogisticRegression(
            penalty="l1",
            C=1 / (len(Y) * alpha),
            solver="liblinear",
            fit_intercept=False,
            tol=tol,
            max_iter=10**5,
        )
        return np.column_stack([model.fit(X, y).coef_[0] for y in Y.T])

    return solve


def skglm(X: Any, Y: np.ndarray, alpha: float) -> Callable[[float], np.ndarray]:
    """skglm's proximal Newton solver, label by label."""
    from skglm import GeneralizedLinearEstimator
    from skglm.datafits import Logistic
    from skglm.penalties import L1
    from skglm.solvers import ProxNewton

    X = X.tocsc() if sp.issparse(X) else np.asfortranarray(X)

    def solve(tol: float) -> np.ndarray:
        model = GeneralizedLinearEstimator(Logistic(), L1(alpha), ProxNewton(tol=tol, fit_intercept=False))
        return np.column_stack([model.fit(X, 2 * y - 1).coef_.ravel() for y in Y.T])

    return solve


PEERS = {"scikit-learn liblinear": liblinear, "skglm ProxNewton": skglm}


def labels(folder: Path, repeats: int) -> None:
    """Per-label L1 logistic fits to a relative gap of 1e-6, and the L2,1 fit beside them."""
    print("\nL1 logistic regression of every label, no intercept, relative gap 1e-6 (sum over labels)")
    print("  data     alpha/max   who                       cpu s   ratio   relative gap")
    for name, share in (("yeast", 0.1), ("yeast", 0.02), ("bibtex", 0.1), ("bibtex", 0.02)):
        X, Y = load_labels(folder, name)
        options: dict[str, Any] = {"loss": "logistic", "fit_intercept": False}
        alpha = share * fastmtl.alpha_max(X, Y, "l1", **options)
        _, ours, fit = median_seconds(
            lambda X=X, Y=Y, alpha=alpha, o=options: fastmtl.fit(X, Y, "l1", alpha=alpha, tol=TARGET, **o),
            repeats,
        )
        head = f"  {name:8} {share:9.2f}"
        print(f"{head}   {'fastmtl':22} {ours:8.3f} {1.0:7.1f} {logistic_gap(X, Y, fit.coef, alpha):14.1e}")
        for who, make in PEERS.items():
            solve = make(X, Y, alpha)
            solve(1e-1)  # compiled before the clock runs
            for tol in 10.0 ** -np.arange(2.0, 12.0):
                W, run = timed(lambda solve=solve, tol=tol: solve(tol))
                gap = logistic_gap(X, Y, W, alpha)
                if gap <= TARGET:
                    break
            print(f"{head}   {who:22} {run.cpu:8.3f} {run.cpu / ours:7.1f} {gap:14.1e}", flush=True)
        alpha = share * fastmtl.alpha_max(X, Y, "l21", **options)
        _, coupled, fit = median_seconds(
            lambda X=X, Y=Y, alpha=alpha, o=options: fastmtl.fit(X, Y, "l21", alpha=alpha, tol=TARGET, **o),
            repeats,
        )
        print(
            f"{head}   {'fastmtl, l21':22} {coupled:8.3f} {'':7} {fit.certificate.relative_gap:14.1e}",
            flush=True,
        )


def gaps(repeats: int) -> None:
    """A fit with 30 % of the targets missing against the fit of all of them."""
    print("\n30 % of the targets missing against none (squared loss, L2,1, relative gap 1e-6)")
    print("  n x p x T            alpha/max   full cpu s   gaps cpu s   ratio")
    rng = np.random.default_rng(0)
    for n, p, t in ((1000, 5000, 20), (5000, 500, 50)):
        X = rng.standard_normal((n, p))
        W = np.zeros((p, t))
        W[:20] = rng.standard_normal((20, t))
        Y = X @ W
        Y += rng.standard_normal(Y.shape) * np.linalg.norm(Y) / (3.0 * np.sqrt(Y.size))
        holes = np.where(rng.random(Y.shape) < 0.3, np.nan, Y)
        for share in (0.5, 0.1):
            seconds = []
            for target in (Y, holes):
                alpha = share * fastmtl.alpha_max(X, target)
                _, cpu, _ = median_seconds(
                    lambda X=X, target=target, alpha=alpha: fastmtl.fit(X, target, alpha=alpha), repeats
                )
                seconds.append(cpu)
            size = f"{n} x {p} x {t}"
            print(
                f"  {size:20} {share:9.2f} {seconds[0]:12.3f} {seconds[1]:12.3f} {seconds[1] / seconds[0]:7.1f}",
                flush=True,
            )


def main() -> None:
    """Parse the command line and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument(
        "--only", nargs="+", choices=["school", "labels", "gaps"], default=["school", "labels", "gaps"]
    )
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    print(describe(["numpy", "scipy", "numba", "scikit-learn", "skglm"]))
    if "school" in chosen.only:
        school(chosen.data)
    if "labels" in chosen.only:
        labels(chosen.data, chosen.repeats)
    if "gaps" in chosen.only:
        gaps(chosen.repeats)


if __name__ == "__main__":
    main()
