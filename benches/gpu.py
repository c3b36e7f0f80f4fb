"""CPU against GPU on the large cases: `python benches/gpu.py` on a machine with a device, some minutes.

For every case: seconds on the CPU (all cores) and on the GPU with X there, the time to bring X in, the time of one X'Y on
the device (its GEMM unit), and both certified gaps. The table goes to `gpu_results.md` with the device and the date.

    python benches/gpu.py --cases square,small --record
    python benches/gpu.py --scale 0.01 --standin      # try the script itself where there is no device
"""

from __future__ import annotations

import argparse
import datetime
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "kernels"), str(ROOT / "tests" / "gpu")]

import numpy as np

import fastmtl

RESULTS = Path(__file__).with_name("gpu_results.md")
REPEATS = 3


class Case(NamedTuple):
    """A problem: its shape, its penalty, and its strength as a share of alpha_max."""

    n: int
    p: int
    t: int
    penalty: str = "l21"
    share: float = 0.1
    n_alphas: int = 0


CASES = {
    "square": Case(20_000, 20_000, 100),
    "wide": Case(2_000, 200_000, 50),
    "tall": Case(100_000, 2_000, 500),
    "path": Case(2_000, 20_000, 50, n_alphas=100),
    "trace": Case(50_000, 2_000, 300, "trace"),
    "medium": Case(2_000, 2_000, 50),
    "small": Case(100, 50, 5),
}


class Row(NamedTuple):
    """What was measured, in seconds."""

    name: str
    cpu: float
    gpu: float
    bring_in: float
    unit: float
    gap: float
    auto: float
    auto_backend: str

    def line(self) -> str:
        """A line of the table."""
        return (
            f"| {self.name} | {self.cpu:.3g} | {self.gpu:.3g} | {self.bring_in:.3g} | {self.cpu / self.gpu:.1f} | "
            f"{self.gpu / self.unit:.1f} | {self.gap:.1e} | {self.auto:.3g} ({self.auto_backend}) |"
        )


HEAD = (
    "| case | CPU s | GPU s | X in, s | CPU / GPU | GPU in GEMM units | largest gap | auto s |\n"
    "|---|---|---|---|---|---|---|---|"
)


def data(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Independent columns, 20 true rows, unit noise."""
    rng = np.random.default_rng(0)
    X = np.empty((case.n, case.p), order="F")
    for low in range(0, case.p, 1024):
        X[:, low : low + 1024] = rng.standard_normal((case.n, min(1024, case.p - low)))
    W = rng.standard_normal((min(20, case.p), case.t))
    return X, X[:, :: max(1, case.p // len(W))][:, : len(W)] @ W + rng.standard_normal((case.n, case.t))


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


def measure(name: str, case: Case, gpu: Any) -> Row:
    """All timings of one case."""
    X, Y = data(case)
    xp = gpu.xp
    finish = xp.cuda.Device().synchronize

    def solve(given: Any, backend: str) -> Callable[[], Any]:
        if case.n_alphas:
            return lambda: fastmtl.fit_path(
                given, Y, case.penalty, n_alphas=case.n_alphas, eps=0.1, backend=backend
            )
        return lambda: fastmtl.fit(given, Y, case.penalty, alpha=alpha, backend=backend)

    bring_in, there = median(lambda: xp.asarray(X), finish)
    alpha = case.share * fastmtl.alpha_max(there, Y, case.penalty)
    targets = xp.asarray(Y)
    unit, _ = median(lambda: gpu.correlate(there, targets), finish)
    on_gpu, found = median(solve(there, "gpu"), finish)
    on_cpu, wanted = median(solve(X, "cpu"))
    auto, chosen = median(solve(X, "auto"), finish)
    fits = [*found, *wanted] if case.n_alphas else [found, wanted]
    gap = max(fit.certificate.relative_gap for fit in fits)
    backend = (chosen[0] if case.n_alphas else chosen).backend
    return Row(name, on_cpu, on_gpu, bring_in, unit, gap, auto, backend)


def main() -> None:
    """Run the chosen cases and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", default=",".join(CASES), help="names, by commas")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on n and p")
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
    lines = [HEAD]
    print(HEAD)
    for name in options.cases.split(","):
        case = CASES[name]
        n, p = (max(8, int(size * options.scale)) for size in (case.n, case.p))
        row = measure(name, case._replace(n=n, p=p), gpu)
        lines.append(row.line())
        print(lines[-1], flush=True)
    if options.record and not options.standin:
        today = datetime.date.today().isoformat()
        old = RESULTS.read_text() if RESULTS.exists() else ""
        RESULTS.write_text(
            f"{old}\n## {found.name}, {today}, fastmtl {fastmtl.__version__}\n\n" + "\n".join(lines) + "\n"
        )


if __name__ == "__main__":
    main()
