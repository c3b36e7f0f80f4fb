"""Time fastmtl and every installed peer on the same arrays to the same measured gap.

    python benches/compare.py                                  # all cases, one thread and then all threads
    python benches/compare.py --threads 1 --cases iid,path_ar9 --peers celer,skglm --json out.json

Each solver runs at its loosest tolerance whose answer has a relative gap of at most 1e-6, measured here from X, Y
and W in float64. Needs a system with fork (Linux, macOS).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import machine

if TYPE_CHECKING:
    from measure import Timing
    from peers import Solver
    from problems import Problem

CHILD = "FASTMTL_COMPARE_THREADS"


@dataclass(frozen=True)
class Task:
    """One line of the table: a fit at one strength, or a path to one end."""

    problem: Problem
    fraction: float
    is_path: bool

    @property
    def label(self) -> str:
        return f"{self.problem.case.name} {'to ' if self.is_path else ''}{self.fraction:g}"

    def measure(self, solver: Solver, **options: Any) -> Timing:
        """Time one solver on this line."""
        import measure

        X, Y, targets = self.problem.X, self.problem.Y, self.problem.targets
        if self.is_path:
            alphas = self.problem.alphas(self.fraction)
            return measure.measure(
                lambda tol: solver.path(X, targets, alphas, tol),
                lambda coefs: measure.worst_gap(X, Y, coefs, alphas),
                **options,
            )
        alpha = self.fraction * self.problem.alpha_max
        return measure.measure(
            lambda tol: solver.solve(X, targets, alpha, tol),
            lambda W: measure.relative_gap(X, Y, W, alpha),
            **options,
        )


def tasks(names: list[str]) -> Iterator[Task]:
    """Yield the lines of the named cases; each problem is generated once."""
    import problems

    paths = {case.name for case in problems.PATHS}
    for name in names:
        problem = problems.CASES[name].generate()
        for fraction in problems.PATH_ENDS if name in paths else problems.FRACTIONS:
            yield Task(problem, fraction, name in paths)


def run(arguments: argparse.Namespace, n_threads: int) -> None:
    """Measure all lines with one number of threads; print each, and keep the report so far on disk."""
    import measure
    import peers
    import problems

    warnings.simplefilter("ignore")
    names = ["fastmtl", *(name for name in arguments.peers if name != "fastmtl")]
    ready, missing = peers.available(names, 1)
    for solver in ready:
        peers.warm_up(solver)
    solvers, _ = peers.available([solver.name for solver in ready], n_threads)
    known = _known_tolerances(arguments.tolerances)
    lines: list[dict[str, Any]] = []
    report = {
        "threads": n_threads,
        "clock": arguments.clock,
        "target": measure.TARGET,
        "cap": arguments.cap,
        "skipped": missing,
        "lines": lines,
    }
    print(f"\n{n_threads} thread(s); skipped: {missing or 'none'}\n{_header(solvers)}", flush=True)
    for task in tasks(arguments.cases or list(problems.CASES)):
        unit = measure.product_seconds(task.problem.X, task.problem.Y)
        timings = {}
        for solver in solvers:
            given = known.get((task.label, solver.name))
            timings[solver.name] = task.measure(
                solver,
                start=given or solver.start,
                cap=arguments.cap,
                search=solver.name != "fastmtl" and given is None,
                seconds=arguments.seconds,
            ).record()
        line = {
            "case": task.problem.case.name,
            "shape": task.problem.case.shape,
            "fraction": task.fraction,
            "path": task.is_path,
            "cap": arguments.cap,
            "label": task.label,
            "unit": {"wall": unit.wall, "cpu": unit.cpu},
            "solvers": timings,
        }
        lines.append(line)
        report["summary"] = summarise(lines, arguments.clock)
        arguments.json.write_text(json.dumps(report))
        print(_row(line, solvers, arguments.clock), flush=True)
    print(json.dumps(summarise(lines, arguments.clock), indent=1), flush=True)


def summarise(lines: list[dict[str, Any]], clock: str) -> dict[str, Any]:
    """Return geometric means and the smallest of fastest peer / fastmtl, for single fits and for each path end."""
    groups: dict[str, list[float]] = {}
    for line in lines:
        ratio = speedup(line, clock)
        if ratio is not None and line["case"] != "small":
            groups.setdefault(f"paths to {line['fraction']:g}" if line["path"] else "single fits", []).append(
                ratio
            )
    return {
        name: {
            "geometric_mean": round(math.exp(sum(map(math.log, ratios)) / len(ratios)), 2),
            "smallest": round(min(ratios), 2),
            "lines": len(ratios),
        }
        for name, ratios in groups.items()
    }


def fastest_peer(line: dict[str, Any], clock: str) -> tuple[str, float] | None:
    """Return the peer that reached the gap first, with its seconds."""
    times = {
        name: timing[clock]
        for name, timing in line["solvers"].items()
        if name != "fastmtl" and timing["status"] == "ok"
    }
    return min(times.items(), key=lambda item: item[1]) if times else None


def speedup(line: dict[str, Any], clock: str) -> float | None:
    """Return the seconds of the fastest peer over those of fastmtl."""
    ours, best = line["solvers"].get("fastmtl"), fastest_peer(line, clock)
    return best[1] / ours[clock] if best and ours and ours["status"] == "ok" else None


def _header(solvers: list[Solver]) -> str:
    columns = "".join(f" {solver.name:>14}" for solver in solvers)
    return f"{'case':<18} {'active':>6}{columns} {'ratio':>7}  {'GEMM units (same order)'}"


def _row(line: dict[str, Any], solvers: list[Solver], clock: str) -> str:
    """Format one line: seconds of each solver, ratio of the fastest peer to fastmtl, seconds over those of X'Y."""
    timings = [line["solvers"][solver.name] for solver in solvers]
    active = max((t["active"] for t in timings if t["status"] == "ok"), default=-1)
    cells = [f"{t[clock]:.4g}" if t["status"] == "ok" else t["status"][:14] for t in timings]
    units = [f"{t[clock] / line['unit'][clock]:.3g}" if t["status"] == "ok" else "-" for t in timings]
    return (
        f"{line['label']:<18} {active:>6}"
        + "".join(f" {cell:>14}" for cell in cells)
        + f" {_ratio(line, clock):>7}  "
        + " ".join(units)
    )


def _ratio(line: dict[str, Any], clock: str) -> str:
    """Format the ratio; a lower bound where every peer ran into the cap."""
    ratio = speedup(line, clock)
    if ratio is not None:
        return f"{ratio:.2f}x"
    peers = [timing for name, timing in line["solvers"].items() if name != "fastmtl"]
    ours = line["solvers"].get("fastmtl", {"status": "missing"})
    if peers and ours["status"] == "ok" and all(timing["status"] == "> cap" for timing in peers):
        return f"> {line['cap'] / ours[clock]:.0f}x"
    return "-"


def _known_tolerances(file: Path | None) -> dict[tuple[str, str], float]:
    """Return the tolerances that an earlier report found, so that the search need not be repeated."""
    if file is None:
        return {}
    found = {}
    for part in json.loads(file.read_text())["runs"]:
        for line in part["lines"]:
            for name, timing in line["solvers"].items():
                if timing["status"] == "ok":
                    found[line["label"], name] = timing["tolerance"]
    return found


def _names(text: str) -> list[str]:
    return text.split(",")


def parse(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", choices=("1", "all", "both"), default="both")
    parser.add_argument(
        "--cases", type=_names, default=None, help="comma-separated names of benches/problems.py"
    )
    parser.add_argument("--peers", type=_names, default=["scikit-learn", "celer", "skglm", "adelie"])
    parser.add_argument("--json", type=Path, default=None, help="write the report here")
    parser.add_argument("--cap", type=float, default=60.0, help="seconds that one solve may take")
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="how long to repeat each timed call, roughly"
    )
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="the time in the table; cpu is steadier for one thread on a busy machine",
    )
    parser.add_argument(
        "--tolerances", type=Path, default=None, help="take the peers' tolerances from a report"
    )
    return parser.parse_args(argv)


def start_again(argv: list[str], n_threads: int) -> list[dict[str, Any]]:
    """Run this file in a process whose thread pools are limited before anything is imported.

    Returns its report, also what there is of it when the run was interrupted; none before the first line.
    """
    environment = dict(os.environ)
    machine.limit_threads(environment, n_threads)
    environment[CHILD] = str(n_threads)
    environment["PYTHONPATH"] = os.pathsep.join([str(machine.ROOT), str(machine.ROOT / "kernels")])
    environment["NUMBA_CACHE_DIR"] = str(machine.cache_folder(machine.ROOT / "kernels"))
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "part.json"
        with contextlib.suppress(KeyboardInterrupt):
            command = [sys.executable, __file__, *argv, "--json", str(report)]
            code = subprocess.run(command, env=environment, check=False).returncode
            if code and not report.exists():
                raise SystemExit(code)
        return [json.loads(report.read_text())] if report.exists() else []


def main(argv: list[str]) -> None:
    """Measure with one thread, with all, or with both one after the other."""
    arguments = parse(argv)
    if CHILD in os.environ:
        run(arguments, int(os.environ[CHILD]))
        return
    counts = {"1": [1], "all": [machine.core_count()], "both": sorted({1, machine.core_count()})}
    parts = [part for n_threads in counts[arguments.threads] for part in start_again(argv, n_threads)]
    packages = ("numpy", "numba", "scipy", "scikit-learn", "celer", "skglm", "adelie")
    if arguments.json is not None:
        report = {"machine": machine.describe(packages), "fastmtl": machine.project_version(), "runs": parts}
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
