"""Predicted seconds of a fit on the CPU and on a GPU, from the work to be done and a few constants of the machine."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path

PRODUCTS = {"fit": 8.0, "path": 40.0, "check": 2.0}
"""Passes over X, counted as products with t columns: the prototypes of the working-set solver needed 2 to 8 for a fit and
8 to 23 for a path of 100, on a GPU more, since it keeps no cached columns."""


SPARSE_SPEED = 0.05
"""Operations a second of products with a sparse X over those with a dense one, on the CPU as on a device: a guess."""


@dataclass(frozen=True)
class Work:
    """What is to be done.

    Attributes
    ----------
    n, p, t : int
        Samples, features, tasks.
    itemsize : int
        Bytes an entry of X.
    kind : str
        A key of `PRODUCTS`.
    has_moments : bool
        Whether all cross-products X'X (or XX') are formed, as for the trace norm.
    stored : int or None
        Stored entries of a sparse X, None for a dense one.
    """

    n: int
    p: int
    t: int
    itemsize: int = 8
    kind: str = "fit"
    has_moments: bool = False
    stored: int | None = None

    @property
    def flops(self) -> float:
        """Floating-point operations of the products, those of a sparse X as many as a dense one takes in the same time."""
        size = 2.0 * (
            self.n * self.p if self.stored is None else min(self.n * self.p, self.stored / SPARSE_SPEED)
        )
        return PRODUCTS[self.kind] * size * self.t + (size * min(self.n, self.p) if self.has_moments else 0.0)

    @property
    def x_bytes(self) -> float:
        """Size of X; stored entries take their value in float64 and an index."""
        return float(self.n) * self.p * self.itemsize if self.stored is None else 12.0 * self.stored

    @property
    def device_bytes(self) -> float:
        """Device memory beside X: targets, residuals and scores on their way to a certificate, and what panels take."""
        square = 2.0 * 8 * min(self.n, self.p) ** 2 if self.has_moments else 0.0
        return 8.0 * (8 * self.n + 4 * self.p) * self.t + square + min(2.0**29, 2 * self.x_bytes)


@dataclass(frozen=True)
class Constants:
    """Speeds of this machine; `python -m fastmtl info --calibrate` measures and stores them.

    Attributes
    ----------
    cpu_flops : float
        Double-precision operations a second and core in matrix products.
    cpu_bytes : float
        Bytes a second that all cores read from memory.
    gpu_flops : float
        Double-precision operations a second of the device.
    bus_bytes : float
        Bytes a second from pageable host memory to the device.
    gpu_start : float
        Seconds to import CuPy, make a context and load the kernels, in a process that has not done so.
    """

    cpu_flops: float = 2.5e10
    cpu_bytes: float = 1.5e10
    gpu_flops: float = 5e12
    bus_bytes: float = 8e9
    gpu_start: float = 2.0

    def cpu_seconds(self, work: Work, cores: int) -> float:
        """Predicted seconds on the CPU."""
        return max(work.flops / (self.cpu_flops * cores), PRODUCTS[work.kind] * work.x_bytes / self.cpu_bytes)

    def gpu_seconds(self, work: Work, *, is_warm: bool, on_device: bool, is_streamed: bool) -> float:
        """Predicted seconds on the GPU, transfers included."""
        seconds = (
            work.flops / self.gpu_flops
            + PRODUCTS[work.kind] * 8.0 * 2 * (work.n + work.p) * work.t / self.bus_bytes
        )
        if not on_device:
            seconds += work.x_bytes / self.bus_bytes * (PRODUCTS[work.kind] if is_streamed else 1.0)
        # A restricted descent and a check cost some milliseconds of latency an outer iteration, whatever their size.
        seconds += 0.005 * PRODUCTS[work.kind]
        return seconds + (0.0 if is_warm else self.gpu_start)


def folder() -> Path:
    """Where measured constants are stored."""
    return _folder(*(os.environ.get(name) for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME")))


@lru_cache(maxsize=2)
def _folder(cache: str | None, local: str | None, home: str | None) -> Path:
    return Path(cache or local or Path(home or Path.home()) / ".cache") / "fastmtl"


def load() -> Constants:
    """The stored constants, or the defaults where there are none or the file cannot be read; it is read when it changes."""
    try:
        file = folder() / "speeds.json"
        return _read(file, file.stat().st_mtime_ns)
    except (OSError, RuntimeError):
        return Constants()


@lru_cache(maxsize=2)
def _read(file: Path, changed: int) -> Constants:
    try:
        stored = json.loads(file.read_text())
        known = {f.name: float(stored[f.name]) for f in fields(Constants) if f.name in stored}
    except (OSError, ValueError, TypeError):
        return Constants()
    return Constants(**{name: value for name, value in known.items() if 0.0 < value < 1e18})


def store(constants: Constants) -> Path:
    """Write constants; returns the file."""
    place = folder()
    place.mkdir(parents=True, exist_ok=True)
    part = place / f"speeds.{os.getpid()}"
    part.write_text(json.dumps(asdict(constants), indent=1) + "\n")
    part.replace(place / "speeds.json")
    return place / "speeds.json"


def cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
