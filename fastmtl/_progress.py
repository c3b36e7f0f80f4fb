"""Progress on stderr while a fit runs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def progress_bar(verbose: bool) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    """A function that shows one report of a run; None when not `verbose`. tqdm draws it where it is installed."""
    if not verbose:
        yield None
        return
    try:
        from tqdm import tqdm
    except ImportError:
        yield _plain
        return
    with tqdm(file=sys.stderr, unit="it", bar_format="{desc} [{elapsed}]") as bar:

        def show(report: dict[str, Any]) -> None:
            bar.set_description_str(_line(report))
            bar.update()

        yield show


def _line(report: dict[str, Any]) -> str:
    return f"fastmtl iteration {report['iteration']}: gap {report['relative_gap']:.2e}, {report['n_active']} active rows"


def _plain(report: dict[str, Any]) -> None:
    sys.stderr.write(f"{_line(report)}, {report['seconds']:.1f} s\n")
