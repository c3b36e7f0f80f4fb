"""A kernel's text built by g++ over `fibres.hpp` and launched on NumPy arrays between guard pages."""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import os
import re
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HEADER = Path(__file__).with_name("fibres.hpp")
COMPILER = os.environ.get("CXX", "g++")
FLAGS = (
    "-std=c++17",
    "-O1",
    "-g0",
    "-shared",
    "-fPIC",
    "-ffp-contract=off",
    "-U_FORTIFY_SOURCE",
    "-Wall",
    "-Wextra",
    "-Werror",
)
PAGE = mmap.PAGESIZE
SIGNATURE = re.compile(r'extern "C" __global__ void (\w+)\(([^)]*)\)')
TYPES = {"double": np.float64, "float": np.float32, "index_t": np.int64, "int": np.int32}


class KernelError(RuntimeError):
    """What the emulator found wrong with a launch."""


class Parameter(NamedTuple):
    """One parameter of a kernel: its type, and whether it is a pointer and to what one may not write."""

    type: str
    name: str
    pointer: bool
    constant: bool


def parameters(text: str) -> tuple[str, list[Parameter]]:
    """Name and parameters of the one kernel in `text`."""
    found = SIGNATURE.findall(text)
    if len(found) != 1:
        raise ValueError(f"one kernel a file was expected, {len(found)} came")
    name, inside = found[0]
    out = []
    for part in inside.split(","):
        match = re.fullmatch(r"\s*(const )?(\w+) (\*?)(\w+)\s*", part)
        if match is None:
            raise ValueError(f"cannot read the parameter {part!r} of {name}")
        out.append(Parameter(match[2], match[4], bool(match[3]), bool(match[1])))
    return name, out


@cache
def build(text: str, options: tuple[str, ...]) -> tuple[Any, list[Parameter]]:
    """The launcher of the kernel in `text` and its parameters; compiled once, kept in the temporary folder."""
    name, found = parameters(text)
    casts = ", ".join(
        f"*static_cast<{p.type} {'*' if p.pointer else ''}*>(args[{i}])" for i, p in enumerate(found)
    )
    program = (
        f'#include "{HEADER}"\n{text}\n#line 1 "launcher"\n'
        f"static void call(void **args) {{ {name}({casts}); }}\n"
        'extern "C" const char *emulate(unsigned grid, unsigned threads, size_t shared, unsigned seed, void **args)\n'
        "{ emu::dynamic_bytes = shared; return emu::launch(grid, threads, shared, seed, call, args); }\n"
    )
    defines = tuple(option for option in options if option.startswith("-D"))
    key = hashlib.sha256(
        (program + HEADER.read_text() + repr((COMPILER, FLAGS, defines))).encode()
    ).hexdigest()[:20]
    folder = Path(tempfile.gettempdir()) / f"fastmtl-emulated-{os.getuid()}"
    folder.mkdir(exist_ok=True, mode=0o700)
    library = folder / f"{name}-{key}.so"
    if not library.exists():
        # A name of its own, then a rename: parallel test processes may build the same kernel.
        part = library.with_suffix(f".{os.getpid()}")
        command = [COMPILER, *FLAGS, *defines, "-x", "c++", "-", "-o", str(part)]
        done = subprocess.run(command, input=program, text=True, capture_output=True, check=False)
        if done.returncode:
            raise KernelError(f"{name} does not compile:\n{done.stderr}")
        part.rename(library)
    function = ctypes.CDLL(str(library)).emulate
    function.restype = ctypes.c_char_p
    function.argtypes = [ctypes.c_uint, ctypes.c_uint, ctypes.c_size_t, ctypes.c_uint, ctypes.c_void_p]
    return function, found


class Guarded:
    """A copy of some bytes that ends where an unmapped page begins and starts behind another one."""

    _protect = ctypes.CDLL(None, use_errno=True).mprotect

    def __init__(self, extent: tuple[int, int]) -> None:
        self.low, high = extent
        self.size = high - self.low
        pages = -(-max(self.size, 1) // PAGE)
        self._map = mmap.mmap(-1, (pages + 2) * PAGE)
        self._start = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        for page in (0, pages + 1):
            self._protect(ctypes.c_void_p(self._start + page * PAGE), PAGE, 0)
        self.address = self._start + (pages + 1) * PAGE - self.size
        # Bytes between the first page and the data cannot be protected: a pattern there shows writes below the start.
        self._canary = self.address - self._start - PAGE
        ctypes.memset(self._start + PAGE, 0xA5, self._canary)
        ctypes.memmove(self.address, self.low, self.size)

    def write_back(self) -> None:
        """Copy the bytes back to where they came from."""
        ctypes.memmove(self.low, self.address, self.size)

    def check(self) -> None:
        """Raise when something wrote just below the data."""
        if ctypes.string_at(self._start + PAGE, self._canary) != b"\xa5" * self._canary:
            raise KernelError("out-of-bounds access: a kernel wrote below the start of an array")

    def unchanged(self) -> bool:
        """Tell whether the bytes still equal the original."""
        return ctypes.string_at(self.address, self.size) == ctypes.string_at(self.low, self.size)


def extents(arrays: list[np.ndarray]) -> list[tuple[int, int]]:
    """Address ranges of the arrays, overlapping ones merged, so that aliases stay aliases in the guarded copies."""
    spans = sorted((a.ctypes.data, a.ctypes.data + a.nbytes) for a in arrays if a.size)
    merged: list[tuple[int, int]] = []
    for low, high in spans:
        if merged and low < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged


def run(
    text: str, options: tuple[str, ...], grid: int, threads: int, args: tuple, shared: int, seed: int
) -> None:
    """Launch the kernel in `text` on NumPy arrays and scalars, which must match its parameters exactly.

    Raises
    ------
    KernelError
        Divergence, access beyond an array, a write through a const pointer, or arguments of a wrong type.
    """
    if shared > 48 * 1024 - 1024:
        raise KernelError(
            f"{shared} bytes of dynamic shared memory, beside up to 1 KiB of reductions, are above 48 KiB"
        )
    function, wanted = build(text, options)
    real = next(option[7:] for option in options if option.startswith("-DREAL="))
    if len(args) != len(wanted):
        raise KernelError(f"{len(args)} arguments for {len(wanted)} parameters")
    for value, parameter in zip(args, wanted, strict=True):
        _check(value, parameter, np.dtype(TYPES[real if parameter.type == "real" else parameter.type]))
    arrays = [a for a in args if isinstance(a, np.ndarray)]
    copies = [Guarded(extent) for extent in extents(arrays)]
    slots, keep = (ctypes.c_void_p * len(args))(), []
    for i, value in enumerate(args):
        if isinstance(value, np.ndarray):
            home = next((c for c in copies if c.low <= value.ctypes.data < c.low + c.size), None)
            keep.append(
                ctypes.c_void_p(value.ctypes.data - home.low + home.address if home and value.size else None)
            )
        else:
            keep.append(np.ctypeslib.as_ctypes_type(value.dtype)(value))
        slots[i] = ctypes.addressof(keep[-1])
    failure = function(grid, threads, shared, seed, ctypes.addressof(slots))
    if failure:
        raise KernelError(failure.decode())
    written = {a.ctypes.data for a, p in zip(args, wanted, strict=True) if p.pointer and not p.constant}
    for copy in copies:
        copy.check()
        if any(copy.low <= address < copy.low + copy.size for address in written):
            copy.write_back()
        elif not copy.unchanged():
            raise KernelError("a kernel wrote to an array that it declares const")


def _check(value: Any, parameter: Parameter, dtype: np.dtype) -> None:
    if parameter.pointer != isinstance(value, np.ndarray):
        raise KernelError(
            f"{parameter.name}: {type(value).__name__} came, {'an array' if parameter.pointer else 'a number'} was expected"
        )
    if value.dtype != dtype:
        raise KernelError(f"{parameter.name}: dtype {value.dtype} came, {dtype} was expected")
    if parameter.pointer and not (value.flags.c_contiguous or value.size == 0):
        raise KernelError(f"{parameter.name}: a C-contiguous array was expected")
