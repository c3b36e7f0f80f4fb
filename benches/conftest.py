"""Threads and compiled code for the suites; problems are generated once a session.

`pytest benches/` runs with one thread; set FASTMTL_BENCH_THREADS to measure with more.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
for folder in (ROOT / "kernels", ROOT, ROOT / "benches"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

import machine

N_THREADS = int(os.environ.get("FASTMTL_BENCH_THREADS", "1"))
if "numpy" not in sys.modules:
    machine.limit_threads(os.environ, N_THREADS)
os.environ["NUMBA_CACHE_DIR"] = str(machine.cache_folder(ROOT / "kernels"))


@pytest.fixture(scope="session", autouse=True)
def threads():
    """Limit thread pools that were loaded before this file was."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(N_THREADS):
        yield N_THREADS


@pytest.fixture(scope="session")
def problem() -> Callable[[str], object]:
    """Return the problem of a name, generated at its first use."""
    from problems import CASES

    return cache(lambda name: CASES[name].generate())


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, object]) -> None:
    """Record the shape of the machine, not its name."""
    packages = ("fastmtl", "numpy", "numba", "scipy", "pytest-benchmark")
    machine_info.clear()
    machine_info.update(machine.describe(packages) | {"threads": N_THREADS})
