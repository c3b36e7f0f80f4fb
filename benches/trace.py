"""Trace norm: fastmtl beside accelerated proximal gradient on full SVDs and pyproximal, in one run.

    python benches/trace.py                                # the 36 instances, one thread
    python benches/trace.py --threads 2 --cases 2000x500x50,300x5000x20
    python benches/trace.py --path                         # 30 strengths down to 0.01 alpha_max
    python benches/trace.py --json out.json

fastmtl is timed through `fastmtl.fit` at `tol=1e-6`, its certificate included. The peers are stopped by an oracle: at
the first iterate whose objective is within 1e-6 P(0) of the optimum (known from a fit at 1e-11), without paying for that
knowledge. A floor is the time of the Gram matrix, X'Y and `sytrd` in float64, a `u` that of one X'Y plus one XW, all in
the same run.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SHAPES = [
    (2000, 500, 50, 5), (500, 2000, 50, 5), (5000, 200, 200, 10), (1000, 1000, 300, 10), (20000, 1000, 100, 10),
    (300, 5000, 20, 5),
]  # fmt: skip
CORRELATIONS = (0.0, 0.9)
FRACTIONS = (0.5, 0.1, 0.02)
PATH_LENGTH, PATH_END = 30, 0.01
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
TARGET = 1e-6
EXACT = 1e-11


def options() -> argparse.Namespace:
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cases", default="", help="shapes as NxPxT, separated by commas; default all")
    parser.add_argument("--path", action="store_true", help="paths instead of single fits")
    parser.add_argument("--peers", default="apg,pyproximal")
    parser.add_argument("--cap", type=float, default=60.0, help="seconds after which a peer is stopped")
    parser.add_argument(
        "--clock", choices=CLOCKS, default="wall", help="cpu is steadier on a busy machine, with one thread"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def clock() -> float:
    """Seconds on the chosen clock."""
    return CLOCKS[CLOCK]()


# --- problems ------------------------------------------------------------------------------------------------------


def generate(n: int, p: int, t: int, rank: int, correlation: float) -> tuple[Any, Any]:
    """AR(1) features, a truth of low rank scaled to unit signal, noise of variance one half."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    for j in range(1, p if correlation else 0):
        X[:, j] = correlation * X[:, j - 1] + math.sqrt(1 - correlation**2) * X[:, j]
    signal = X @ rng.standard_normal((p, rank)) @ rng.standard_normal((rank, t))
    return X, signal / signal.std() + rng.standard_normal((n, t)) / math.sqrt(2.0)


def best(call: Callable[[], Any], repeats: int) -> float:
    """Smallest time of a few calls."""
    times = []
    for _ in range(repeats):
        start = clock()
        call()
        times.append(clock() - start)
    return min(times)


# --- peers ---------------------------------------------------------------------------------------------------------


class Reached(Exception):
    """A peer has met the target."""


class Oracle:
    """Stops a peer at the first iterate that is good enough; the time of looking is not the peer's."""

    def __init__(self, X: Any, Y: Any, alpha: float, optimum: float, cap: float) -> None:
        self.X, self.Y, self.alpha = X, Y, alpha
        self.limit = optimum + TARGET * 0.5 * float(np.vdot(Y, Y)) / len(X)
        self.cap, self.spent, self.iterations, self.reached = cap, 0.0, 0, False
        self.resumed = clock()
        self.coef: Any = None

    def look(self, W: Any, norm: float | None = None) -> None:
        """Take an iterate (and its trace norm, if known); raises `Reached` at the end."""
        self.spent += clock() - self.resumed
        self.iterations += 1
        self.coef = W
        R = self.Y - self.X @ W
        norm = float(np.linalg.svd(W, compute_uv=False).sum()) if norm is None else norm
        self.reached = 0.5 * float(np.vdot(R, R)) / len(self.X) + self.alpha * norm <= self.limit
        if self.reached or self.spent > self.cap:
            raise Reached
        self.resumed = clock()


def accelerated(X: Any, Y: Any, alpha: float, start: Any, oracle: Oracle) -> None:
    """Ji and Ye (2009): backtracking by doubling, Nesterov's momentum, a full SVD at every trial."""
    n = len(X)
    XtY = X.T @ Y
    W, old, momentum, before, curvature = start, start, 1.0, 0.0, 1.0
    while True:
        S = W + (before - 1.0) / momentum * (W - old) if momentum > 1.0 else W
        XS = X @ S
        gradient = (X.T @ XS - XtY) / n
        XS -= Y
        value = 0.5 * float(np.vdot(XS, XS)) / n
        while True:
            U, s, Vt = np.linalg.svd(S - gradient / curvature, full_matrices=False)
            s = np.maximum(s - alpha / curvature, 0.0)
            new = (U * s) @ Vt
            move = new - S
            R = X @ new - Y
            bound = value + float(np.vdot(gradient, move)) + 0.5 * curvature * float(np.vdot(move, move))
            if 0.5 * float(np.vdot(R, R)) / n <= bound or float(np.vdot(move, move)) < 1e-20:
                break
            curvature *= 2.0
        W, old = new, W
        before, momentum = momentum, 0.5 * (1.0 + math.sqrt(1.0 + 4.0 * momentum**2))
        oracle.look(W, float(s.sum()))


def pyproximal_peer(X: Any, Y: Any, alpha: float, start: Any, oracle: Oracle) -> None:
    """FISTA at the fixed step 1/L, L given."""
    began = clock()
    import pylops
    import pyproximal

    n, p, t = *X.shape, Y.shape[1]
    largest = np.linalg.norm(X, 2) ** 2 if min(X.shape) <= 1000 else float(np.linalg.eigvalsh(X.T @ X)[-1])
    oracle.resumed += clock() - began  # imports and step size come free
    smooth = pyproximal.L2(pylops.MatrixMult(X, otherdims=(t,)), b=Y.ravel(), sigma=1.0 / n)
    pyproximal.optimization.primal.ProximalGradient(
        smooth, pyproximal.Nuclear((p, t), alpha), x0=start.ravel(), tau=n / largest, niter=100_000, acceleration="fista",
        callback=lambda x: oracle.look(x.reshape(p, t).copy()),
    )  # fmt: skip


PEERS = {"apg": accelerated, "pyproximal": pyproximal_peer}


def run_peer(name: str, X: Any, Y: Any, alphas: Any, optima: Any, cap: float) -> dict[str, Any]:
    """Seconds and iterations of a peer over one strength or a warm-started path."""
    W, seconds, iterations, reached = np.zeros((X.shape[1], Y.shape[1])), 0.0, 0, True
    for alpha, optimum in zip(alphas, optima, strict=True):
        oracle = Oracle(X, Y, alpha, optimum, cap - seconds)
        try:
            PEERS[name](X, Y, alpha, W, oracle)
        except Reached:
            W = oracle.coef
        seconds, iterations = seconds + oracle.spent, iterations + oracle.iterations
        if not oracle.reached:
            reached = False
            break
    return {"seconds": seconds, "iterations": iterations, "reached": reached}


# --- fastmtl -------------------------------------------------------------------------------------------------------


def floor_seconds(X: Any, Y: Any, repeats: int) -> float:
    """Gram matrix on the smaller side, X'Y and its `sytrd` in float64, nothing else."""
    from scipy.linalg import lapack

    side = (lambda: X.T @ X) if X.shape[1] <= len(X) else (lambda: X @ X.T)
    G = np.asfortranarray(side())
    sytrd = lapack.dsytrd  # type: ignore[attr-defined]
    tridiagonalise = lambda: sytrd(G, lower=1, lwork=64 * len(G))  # noqa: E731
    return sum(best(call, repeats) for call in (side, lambda: X.T @ Y, tridiagonalise))


def instances(chosen: str) -> Iterator[tuple[tuple[int, int, int, int], float]]:
    """Shapes and correlations to run."""
    wanted = {c.strip() for c in chosen.split(",") if c.strip()}
    for shape in SHAPES:
        if not wanted or "x".join(map(str, shape[:3])) in wanted:
            for correlation in CORRELATIONS:
                yield shape, correlation


def compare(
    shape: tuple[int, int, int, int], correlation: float, args: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Rows of the table for one data set."""
    import fastmtl

    n, p, t, _ = shape
    X, Y = generate(*shape, correlation)
    W = np.zeros((p, t))
    unit = best(lambda: X.T @ Y, args.repeats) + best(lambda: X @ W, args.repeats)
    floor = floor_seconds(X, Y, args.repeats)
    bare: dict[str, Any] = {"penalty": "trace", "fit_intercept": False}
    top = fastmtl.alpha_max(X, Y, **bare)
    lines = (
        [top * np.logspace(0, math.log10(PATH_END), PATH_LENGTH)]
        if args.path
        else [np.array([f * top]) for f in FRACTIONS]
    )
    for alphas in lines:
        if args.path:
            call = lambda: fastmtl.fit_path(X, Y, alphas=alphas, tol=TARGET, **bare)  # noqa: B023, E731
            exact = list(fastmtl.fit_path(X, Y, alphas=alphas, tol=EXACT, **bare))
            gap = max(c.relative_gap for c in call().certificates)
        else:
            call = lambda: fastmtl.fit(X, Y, alpha=float(alphas[0]), tol=TARGET, **bare)  # noqa: B023, E731
            exact = [fastmtl.fit(X, Y, alpha=float(alphas[0]), tol=EXACT, **bare)]
            gap = call().certificate.relative_gap
        seconds = best(call, args.repeats)
        row: dict[str, Any] = {
            "shape": f"{n}x{p}x{t}", "rho": correlation, "alpha": float(alphas[-1] / top), "unit": unit, "seconds": seconds,
            "gap": gap, "rank": exact[-1].rank,
        }  # fmt: skip
        for name in args.peers.split(",") if args.peers else []:
            row[name] = run_peer(name, X, Y, alphas, [fit.certificate.dual for fit in exact], args.cap)
            row[name]["ratio"] = row[name]["seconds"] / seconds
        if not args.path:
            row["floor"] = floor
        yield row


def show(row: dict[str, Any]) -> str:
    """One line of the table."""
    text = f"{row['shape']:>13} {row['rho']:3g} {row['alpha']:5g} rank {row['rank']:3d}  "
    text += f"{row['seconds'] * 1e3:8.1f} ms {row['seconds'] / row['unit']:6.1f} u gap {row['gap']:7.0e}"
    for name in PEERS:
        if name in row:
            peer = row[name]
            sign = " " if peer["reached"] else ">"
            text += f"  {name} {sign}{peer['seconds']:7.2f} s {peer['iterations']:5d} its {sign}{peer['ratio']:6.1f}x"
    if "floor" in row:
        text += f"  {row['seconds'] / row['floor']:.2f} floors"
    return text


def summary(rows: list[dict[str, Any]]) -> None:
    """Geometric means and extremes of the ratios."""
    for name in PEERS:
        ratios = [row[name]["ratio"] for row in rows if name in row]
        if ratios:
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            print(
                f"{name}: {mean:.1f}x in geometric mean, {min(ratios):.1f}x to {max(ratios):.1f}x over {len(ratios)} instances"
            )
    low = [row["seconds"] / row["floor"] for row in rows if "floor" in row and is_low(row)]
    if low:
        over = sum(ratio > 1.3 for ratio in low)
        print(
            f"fit over floor where rank <= t/4: {min(low):.2f} to {max(low):.2f}, above 1.3 in {over} of {len(low)} instances"
        )


def is_low(row: dict[str, Any]) -> bool:
    """Whether the solution's rank is at most a quarter of the tasks."""
    return 4 * row["rank"] <= int(row["shape"].split("x")[2])


def main() -> None:
    """Run the comparison."""
    args = options()
    from machine import describe

    rows = []
    machine = describe(["numpy", "scipy", "numba", "pyproximal", "pylops"]) | {"threads": args.threads}
    print(machine, flush=True)
    for shape, correlation in instances(args.cases):
        for row in compare(shape, correlation, args):
            rows.append(row)
            print(show(row), flush=True)
    summary(rows)
    if args.json:
        args.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1))


if __name__ == "__main__":
    # Thread pools are sized when NumPy is loaded.
    count = str(options().threads)
    for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[variable] = count
    root = Path(__file__).resolve().parent.parent
    sys.path[:0] = [str(root), str(root / "kernels")]
    import numpy as np

    CLOCK = options().clock
    main()
