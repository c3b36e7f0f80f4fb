"""CPU against GPU on the large cases: `python benches/gpu.py` on a machine with a device, some minutes.

For every case: seconds on the CPU (all cores) and on the GPU with X there, the time to bring X in and the coefficients out,
the time of one product X'R with t columns on the device (its GEMM unit), the largest certified gap and the active rows.
`--grid` times `auto` against both backends on sizes from (100, 50, 5) up; its goal is to be within 10 % of the better one.
The tables go to `gpu_results.md` with the device, the cores and the date.

    python benches/gpu.py --grid --record
    python benches/gpu.py --cases square,sparse --record
    python benches/gpu.py --scale 0.01 --standin      # try the script itself where there is no device
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "kernels"), str(ROOT / "tests" / "gpu")]

import numpy as np
from scipy import sparse

import fastmtl
from fastmtl import _cost

RESULTS = Path(__file__).with_name("gpu_results.md")
REPEATS = 3


class Case(NamedTuple):
    """A problem: its shape, its penalty, its strength as a share of alpha_max, its loss, and the share of X that is stored."""

    n: int
    p: int
    t: int
    penalty: str = "l21"
    share: float = 0.1
    n_alphas: int = 0
    loss: str = "squared"
    density: float = 1.0


CASES = {
    "square": Case(20_000, 20_000, 100),
    "wide": Case(2_000, 200_000, 50),
    "tall": Case(100_000, 2_000, 500),
    "path": Case(2_000, 20_000, 50, n_alphas=100),
    "l1": Case(10_000, 20_000, 50, "l1"),
    "logistic": Case(50_000, 5_000, 50, loss="logistic"),
    "multinomial": Case(50_000, 5_000, 20, loss="multinomial"),
    "sparse": Case(200_000, 100_000, 50, share=0.5, density=1e-3),
    "trace": Case(50_000, 2_000, 300, "trace"),
    "trace path": Case(20_000, 2_000, 50, "trace", n_alphas=100),
}

GRID = [
    Case(n, p, t)
    for n, p, t in [
        (100, 50, 5), (500, 500, 10), (2_000, 500, 50), (2_000, 5_000, 20), (10_000, 2_000, 50), (5_000, 20_000, 50),
        (50_000, 2_000, 200), (20_000, 20_000, 100),
    ]
]  # fmt: skip


class Row(NamedTuple):
    """What was measured, in seconds."""

    name: str
    cpu: float
    gpu: float
    bring_in: float
    take_out: float
    unit: float
    gap: float
    active: int

    def line(self) -> str:
        """A line of the table."""
        return (
            f"| {self.name} | {self.cpu:.3g} | {self.gpu:.3g} | {self.bring_in:.3g} | {self.take_out:.2g} | "
            f"{self.cpu / self.gpu:.1f} | {self.gpu / self.unit:.1f} | {self.active} | {self.gap:.1e} |"
        )


HEAD = (
    "| case | CPU s | GPU s | X in, s | W out, s | CPU / GPU | GPU in GEMM units | active rows | largest gap |\n"
    "|---|---|---|---|---|---|---|---|---|"
)
GRID_HEAD = "| n, p, t | CPU s | GPU s, transfers included | auto s | auto took | auto / better |\n|---|---|---|---|---|---|"


def data(case: Case) -> tuple[Any, np.ndarray]:
    """Independent columns, 20 true rows, unit noise; signs or the largest of it where labels are asked for."""
    rng = np.random.default_rng(0)
    if case.density < 1.0:
        stored = max(1, int(case.density * case.n * case.p))
        places = rng.integers(case.n, size=stored), rng.integers(case.p, size=stored)
        X: Any = sparse.csc_matrix((rng.standard_normal(stored), places), shape=(case.n, case.p))
    else:
        X = np.empty((case.n, case.p), order="F")
        for low in range(0, case.p, 1024):
            X[:, low : low + 1024] = rng.standard_normal((case.n, min(1024, case.p - low)))
    W = rng.standard_normal((min(20, case.p), case.t))
    Y = X[:, :: max(1, case.p // len(W))][:, : len(W)] @ W + rng.standard_normal((case.n, case.t))
    labels = {"logistic": lambda: (Y > 0) * 1.0, "multinomial": lambda: Y.argmax(axis=1)}
    return X, labels.get(case.loss, lambda: Y)()


def median(action: Callable[[], Any], finish: Callable[[], Any] = lambda: None) -> tuple[float, Any]:
    """Median seconds of a few calls after a warm-up, and what the last one returned."""
    action()
    times, out = [], None
    for _ in range(REPEATS):
        finish()
        began = time.perf_counter()
        out = action()
        finish()
        times.append(time.perf_counter() - began)
    return statistics.median(times), out


def solver(case: Case, given: Any, Y: np.ndarray, alpha: float, backend: str) -> Callable[[], Any]:
    """The fit or the path of a case as a call."""
    options: dict[str, Any] = dict(loss=case.loss, backend=backend)
    if case.n_alphas:
        return lambda: fastmtl.fit_path(given, Y, case.penalty, n_alphas=case.n_alphas, eps=0.1, **options)
    return lambda: fastmtl.fit(given, Y, case.penalty, alpha=alpha, **options)


def measure(name: str, case: Case, gpu: Any) -> Row:
    """All timings of one case."""
    X, Y = data(case)
    xp = gpu.xp
    finish = xp.cuda.Device().synchronize
    bring_in, there = median(
        lambda: gpu.sparse().csc_matrix(X) if sparse.issparse(X) else xp.asarray(X), finish
    )
    alpha = case.share * fastmtl.alpha_max(there, Y, case.penalty, loss=case.loss)
    targets = xp.asarray(np.random.default_rng(1).standard_normal((case.n, case.t)))
    unit, _ = median(lambda: gpu.correlate(there, targets), finish)
    on_gpu, found = median(solver(case, there, Y, alpha, "gpu"), finish)
    on_cpu, wanted = median(solver(case, X, Y, alpha, "cpu"))
    fits = [*found, *wanted] if case.n_alphas else [found, wanted]
    gap = max(fit.certificate.relative_gap for fit in fits)
    last = fits[len(found) - 1 if case.n_alphas else 0]
    take_out, _ = median(last.coef.get, finish)
    return Row(name, on_cpu, on_gpu, bring_in, take_out, unit, gap, len(last.support))


def auto_line(case: Case, gpu: Any) -> str:
    """A line of the grid: `auto` beside both backends, for an X in host memory and in a warm process."""
    X, Y = data(case)
    alpha = case.share * fastmtl.alpha_max(X, Y, case.penalty, loss=case.loss)
    finish = gpu.xp.cuda.Device().synchronize
    cpu, device, auto = (median(solver(case, X, Y, alpha, where), finish) for where in ("cpu", "gpu", "auto"))
    ratio = auto[0] / min(cpu[0], device[0])
    size = f"{case.n}, {case.p}, {case.t}"
    return f"| {size} | {cpu[0]:.3g} | {device[0]:.3g} | {auto[0]:.3g} | {auto[1].backend} | {ratio:.2f} |"


def main() -> None:
    """Run the chosen cases and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", default=",".join(CASES), help="names, by commas")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on n and p")
    parser.add_argument("--grid", action="store_true", help="time `auto` on a grid of sizes too")
    parser.add_argument("--record", action="store_true", help=f"append the table to {RESULTS.name}")
    parser.add_argument(
        "--standin", action="store_true", help="pretend a device: shows that the script runs, nothing else"
    )
    options = parser.parse_args()
    if options.standin:
        import standin  # pyright: ignore[reportMissingImports] - lies in tests/gpu

        standin.install()
    from fastmtl_kernels import gpu

    found = gpu.probe()
    if not found.usable:
        sys.exit(f"no device: {found.reason}")

    def scaled(case: Case) -> Case:
        n, p = (max(8, int(size * options.scale)) for size in (case.n, case.p))
        return case._replace(n=n, p=p)

    tables = [(HEAD, (measure(name, scaled(CASES[name]), gpu).line() for name in options.cases.split(",")))]
    if options.grid:
        tables.append((GRID_HEAD, (auto_line(scaled(case), gpu) for case in GRID)))
    lines = []
    for head, rows in tables:
        for line in itertools.chain((head,), rows, ("",)):
            lines.append(line)
            print(line, flush=True)
    if options.record and not options.standin:
        today = datetime.date.today().isoformat()
        old = RESULTS.read_text() if RESULTS.exists() else ""
        RESULTS.write_text(
            f"{old}\n## {found.name}, {_cost.cores()} CPU cores, {today}, fastmtl {fastmtl.__version__}\n\n"
            + "\n".join(lines)
            + "\n"
        )


if __name__ == "__main__":
    main()
