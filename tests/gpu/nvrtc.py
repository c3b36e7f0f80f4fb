"""CUDA's runtime compiler through ctypes: no CuPy, no driver and no device needed, only the library."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from pathlib import Path
from typing import Any

ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)


class CompileError(RuntimeError):
    """The compiler's own words about a text it refused."""


@functools.cache
def library() -> Any:
    """The loaded libnvrtc, from a pip wheel, a CUDA toolkit or the system; None where there is none."""
    for candidate in _candidates():
        try:
            return ctypes.CDLL(str(candidate))
        except OSError:
            continue
    return None


def _candidates() -> list[Path]:
    sites = [Path(p) for p in sys.path if p]
    toolkits = [Path(os.environ[name]) for name in ("CUDA_PATH", "CUDA_HOME") if name in os.environ]
    toolkits.append(Path("/usr/local/cuda"))
    found = [lib for site in sites for lib in sorted(site.glob("nvidia/*/lib/libnvrtc.so.*"))]
    found += [lib for toolkit in toolkits for lib in sorted(toolkit.glob("lib64/libnvrtc.so*"))]
    return [*(lib for lib in found if "builtins" not in lib.name), Path("libnvrtc.so")]


def version() -> tuple[int, int]:
    """Version of the compiler."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    return major.value, minor.value


def supports(architecture: int) -> bool:
    """Tell whether this compiler knows `sm_<architecture>`."""
    count = ctypes.c_int()
    library().nvrtcGetNumSupportedArchs(ctypes.byref(count))
    known = (ctypes.c_int * count.value)()
    library().nvrtcGetSupportedArchs(known)
    return architecture in known


def compile_text(text: str, name: str, options: tuple[str, ...], architecture: int) -> int:
    """Compile to machine code with warnings as errors; returns its size in bytes.

    Raises
    ------
    CompileError
        With the compiler's log.
    """
    lib, program = library(), ctypes.c_void_p()
    lib.nvrtcCreateProgram(ctypes.byref(program), text.encode(), name.encode(), 0, None, None)
    try:
        # CuPy adds -ftz=true to the options of every module.
        flags = [f"-arch=sm_{architecture}", "-ftz=true", "-Werror", "all-warnings", *options]
        encoded = (ctypes.c_char_p * len(flags))(*(flag.encode() for flag in flags))
        if lib.nvrtcCompileProgram(program, len(flags), encoded):
            size = ctypes.c_size_t()
            lib.nvrtcGetProgramLogSize(program, ctypes.byref(size))
            log = ctypes.create_string_buffer(size.value)
            lib.nvrtcGetProgramLog(program, log)
            raise CompileError(log.value.decode())
        size = ctypes.c_size_t()
        lib.nvrtcGetCUBINSize(program, ctypes.byref(size))
        return size.value
    finally:
        lib.nvrtcDestroyProgram(ctypes.byref(program))
