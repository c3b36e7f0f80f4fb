"""Clocks, an independent duality gap, the search for a tolerance, and a time cap that really stops a solver.

Nothing here uses fastmtl: the yardstick must not share code with what it measures.
"""

from __future__ import annotations

import math
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from problems import Array

TARGET = 1e-6
STRICTEST = 1e-18
LOOSEST = 1e2


def relative_gap(X: Array, Y: Array, W: Array, alpha: float) -> tuple[float, int]:
    """Return gap / P(0) and the number of active rows of 1/(2n) ‖Y - XW‖² + alpha Σ ‖w_j‖.

    The dual point is the residual times the best feasible factor in [-lam/d, lam/d], d the largest row norm of
    X'R and lam = n·alpha; everything is float64. With one task this is the gap of the lasso.
    """
    Y, W = Y.reshape(len(Y), -1), np.asarray(W, dtype=np.float64).reshape(X.shape[1], -1)
    active = np.flatnonzero(np.any(W != 0, axis=1))
    residual = Y - X[:, active] @ W[active]
    lam = alpha * len(X)
    half_null = 0.5 * np.vdot(Y, Y)
    fitted, cross = np.vdot(residual, residual), np.vdot(residual, Y)
    primal = 0.5 * fitted + lam * np.linalg.norm(W[active], axis=1).sum()
    furthest = np.linalg.norm(X.T @ residual, axis=1).max()
    factor = np.clip(cross / fitted, -lam / furthest, lam / furthest)
    dual = factor * cross - 0.5 * factor**2 * fitted
    return float((primal - dual) / half_null), len(active)


def worst_gap(X: Array, Y: Array, coefs: Iterable[Array], alphas: Iterable[float]) -> tuple[float, int]:
    """Return the largest relative gap of a path and the active rows at its last strength."""
    pairs = [relative_gap(X, Y, W, alpha) for W, alpha in zip(coefs, alphas, strict=True)]
    return max(gap for gap, _ in pairs), pairs[-1][1]


@dataclass(frozen=True)
class Run:
    """Seconds of one call, by the wall and by the processor (all threads of the process together)."""

    wall: float
    cpu: float


@dataclass
class Timing:
    """What one solver needed for one problem.

    `status` is "ok", "> cap" (no answer within the cap, `relative_gap` is the best seen), "gap not reached" or an
    error; `wall`, `cpu` are medians in seconds and `spread` the smallest and the largest wall time.
    """

    status: str
    tolerance: float = math.nan
    relative_gap: float = math.inf
    active: int = -1
    wall: float = math.inf
    cpu: float = math.inf
    spread: tuple[float, float] = (math.inf, math.inf)
    repeats: int = 0

    def record(self) -> dict[str, Any]:
        """Return the fields as JSON allows them (infinities and NaN become None)."""
        fields = asdict(self)
        return {
            k: None if isinstance(v, float) and not math.isfinite(v) else v
            for k, v in fields.items()
            if k != "spread"
        } | {"spread": None if math.isinf(self.wall) else list(self.spread)}


def timed(call: Callable[[], Any]) -> tuple[Any, Run]:
    """Call once; return its value and its times."""
    cpu, wall = time.process_time(), time.perf_counter()
    value = call()
    return value, Run(time.perf_counter() - wall, time.process_time() - cpu)


def product_seconds(X: Array, Y: Array) -> Run:
    """Return the times of one X'Y, the median of enough calls: the unit of all tables (GEMM unit)."""
    _, first = timed(lambda: X.T @ Y)
    runs = [timed(lambda: X.T @ Y)[1] for _ in range(int(np.clip(0.5 / first.wall, 5, 50)))]
    return Run(statistics.median(r.wall for r in runs), statistics.median(r.cpu for r in runs))


@dataclass(frozen=True)
class Probe:
    """One solve at one tolerance."""

    tolerance: float
    relative_gap: float
    active: int
    run: Run

    @property
    def reached(self) -> bool:
        return self.relative_gap <= TARGET


def loosest(probe: Callable[[float], Probe], start: float) -> Probe | None:
    """Search tolerances from `start` by decades for the loosest that reaches the target gap, then by half a decade.

    Half a decade more is what a peer gains when its tolerance is twice too strict by its own convention.
    """
    best = probe(start)
    if best.reached:
        while best.tolerance < LOOSEST and (looser := probe(10 * best.tolerance)).reached:
            best = looser
    else:
        while not best.reached:
            if best.tolerance <= STRICTEST:
                return None
            best = probe(best.tolerance / 10)
    halfway = probe(math.sqrt(10) * best.tolerance)
    return halfway if halfway.reached else best


def repeat(call: Callable[[], Any], found: Probe, seconds: float) -> Timing:
    """Time a call again until `seconds` are spent (3 to 15 times); calls over 10 s keep the time of the search."""
    runs = [found.run]
    if found.run.wall <= 10:
        count = int(np.clip(seconds / max(found.run.wall, 1e-9), 3, 15))
        runs = [timed(call)[1] for _ in range(count)]
    wall, cpu = [r.wall for r in runs], [r.cpu for r in runs]
    return Timing(
        "ok",
        found.tolerance,
        found.relative_gap,
        found.active,
        statistics.median(wall),
        statistics.median(cpu),
        (min(wall), max(wall)),
        len(runs),
    )


def measure(
    solve: Callable[[float], Any],
    judge: Callable[[Any], tuple[float, int]],
    start: float,
    *,
    cap: float = 60.0,
    search: bool = True,
    seconds: float = 2.0,
) -> Timing:
    """Find a solver's tolerance and time it, in a child process that is killed when a call exceeds the cap.

    Parameters
    ----------
    solve : callable
        Solves the problem at a tolerance; this call is what is timed.
    judge : callable
        Maps what `solve` returned to (relative gap, active rows); not timed.
    start : float
        The first tolerance tried.
    cap : float
        Seconds that one solve may take; the whole search may take four times as long.
    search : bool
        Whether to look for the loosest sufficient tolerance, or to keep `start`.
    seconds : float
        Roughly how long to repeat the timed call.

    Notes
    -----
    The child is forked, so it sees the same arrays and the code compiled so far.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def child() -> None:
        def probe(tolerance: float) -> Probe:
            value, run = timed(lambda: solve(tolerance))
            done = Probe(tolerance, *judge(value), run)
            sender.send(done)
            return done

        try:
            if search:
                found = loosest(probe, start)
            else:
                found = probe(start)
                found = probe(start) if found.reached else None
            sender.send(None if found is None else repeat(lambda: solve(found.tolerance), found, seconds))
        except Exception as error:  # whatever a peer raises becomes its line in the table
            sender.send(Timing(f"{type(error).__name__}: {error}"[:200]))

    process = context.Process(target=child, daemon=True)
    process.start()
    sender.close()
    try:
        return _collect(receiver, cap)
    finally:
        process.kill()
        process.join()


def _collect(receiver: Any, cap: float) -> Timing:
    """Read the child's probes until its timing arrives or time is up; the best probe stands in for a timing."""
    deadline = time.perf_counter() + 4 * cap
    probes: list[Probe] = []
    while True:
        patience = min(cap + 2, deadline - time.perf_counter())
        if not receiver.poll(max(patience, 0)):
            return _fallback(probes, "> cap")
        try:
            message = receiver.recv()
        except EOFError:
            return _fallback(probes, "the solver's process ended without an answer")
        if isinstance(message, Timing):
            return message
        if message is None:
            return _fallback(probes, "gap not reached")
        probes.append(message)


def _fallback(probes: list[Probe], status: str) -> Timing:
    """Return the fastest probe that reached the target, else the status with the best gap seen."""
    good = [p for p in probes if p.reached]
    if good:
        best = min(good, key=lambda p: p.run.wall)
        return Timing(
            "ok",
            best.tolerance,
            best.relative_gap,
            best.active,
            best.run.wall,
            best.run.cpu,
            (best.run.wall, best.run.wall),
            1,
        )
    nearest = min(probes, key=lambda p: p.relative_gap, default=None)
    if nearest is None:
        return Timing(status)
    return Timing(status, nearest.tolerance, nearest.relative_gap, nearest.active)
