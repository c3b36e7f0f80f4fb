"""Loading of the `.cu` files: compiled once a device and dtype, launched through one function."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ._cupy import cupy

FOLDER = Path(__file__).parent
HEADERS = ("prelude.cuh", "penalty.cuh", "step.cuh", "gap.cuh")
"""Put before every kernel, in this order. Text, not #include: CuPy's cache key then covers them."""

OPTIONS = ("--std=c++17",)
REAL = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
THREADS = 256
"""Threads a block of every kernel whose launch line leaves it open."""

MAX_BLOCKS = 1 << 16
"""Cap on the grid; kernels walk further by grid strides."""


def names() -> list[str]:
    """All kernels, by file name."""
    return sorted(path.stem for path in FOLDER.glob("*.cu"))


@cache
def source(name: str) -> str:
    """The headers and the kernel as one text; diagnostics point at the original lines."""
    parts = [*HEADERS, f"{name}.cu"]
    return "".join(f'#line 1 "{part}"\n{(FOLDER / part).read_text()}\n' for part in parts)


def compile_options(dtype: Any) -> tuple[str, ...]:
    """Compiler options that select the number type."""
    return (*OPTIONS, f"-DREAL={REAL[np.dtype(dtype)]}")


@cache
def _function(name: str, dtype: np.dtype, device: int) -> Any:
    # `device` is in the key because a loaded module belongs to one device's context.
    return cupy.RawModule(code=source(name), options=compile_options(dtype)).get_function(name)


def launch(
    name: str, dtype: Any, blocks: int, args: tuple, *, threads: int = THREADS, shared: int = 0
) -> None:
    """Launch one kernel on the current stream.

    Parameters
    ----------
    name : str
        File and function name of the kernel.
    dtype : float32 or float64
        Its number type.
    blocks : int
        Thread blocks wanted; at least 1 and at most `MAX_BLOCKS` are launched.
    args : tuple
        Arrays and Python numbers; integers become 64-bit, floats double, booleans int.
    """
    function = _function(name, np.dtype(dtype), cupy.cuda.Device().id)
    function(
        (int(min(max(blocks, 1), MAX_BLOCKS)),),
        (threads,),
        tuple(_argument(a) for a in args),
        shared_mem=shared,
    )


def _argument(value: Any) -> Any:
    if isinstance(value, bool):
        return np.int32(value)
    if isinstance(value, int):
        return np.int64(value)
    if isinstance(value, float):
        return np.float64(value)
    return value
