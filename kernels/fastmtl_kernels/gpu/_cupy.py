"""The only place that imports CuPy, and the answer to "what is missing for a GPU here?"."""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

try:
    import cupy as _imported
except Exception as error:
    _imported = None
    _failure = f"{type(error).__name__}: {error}"
else:
    _failure = ""

cupy: Any = _imported

INSTALL = "pip install 'fastmtl[gpu]' for CUDA 13, or 'fastmtl[gpu-cuda12]' for CUDA 12"

NO_DEVICE = 100
INSUFFICIENT_DRIVER = 35
"""Numbers of `cudaErrorNoDevice` and `cudaErrorInsufficientDriver` in the CUDA runtime API."""


class Probe(NamedTuple):
    """What a look at the machine found.

    Attributes
    ----------
    usable : bool
        Kernels can be launched.
    reason : str
        A sentence: the device when usable, otherwise what is missing and what to install.
    name : str
        Device name, empty when not usable.
    free, total : int
        Device memory in bytes.
    """

    usable: bool
    reason: str
    name: str = ""
    free: int = 0
    total: int = 0


def probe() -> Probe:
    """Look for CuPy, a driver, a device and its memory; never raises."""
    if cupy is None:
        return Probe(False, f"CuPy cannot be imported ({_failure}); install it with {INSTALL}")
    runtime = cupy.cuda.runtime
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        return Probe(False, _driver_sentence(int(getattr(error, "status", 0)), str(error)))
    if count == 0:
        return Probe(False, "no CUDA device is visible; check nvidia-smi and CUDA_VISIBLE_DEVICES")
    missing = _missing_libraries()
    if missing:
        return Probe(False, missing)
    try:
        free, total = runtime.memGetInfo()
        name = runtime.getDeviceProperties(cupy.cuda.Device().id)["name"]
    except Exception as error:
        reason = f"the CUDA device cannot be used ({error}); check nvidia-smi for other processes and errors"
        return Probe(False, reason)
    name = name.decode() if isinstance(name, bytes) else str(name)
    free += cupy.get_default_memory_pool().free_bytes()
    return Probe(
        True, f"{name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free", name, int(free), int(total)
    )


def _driver_sentence(status: int, text: str) -> str:
    version = cupy.cuda.runtime.runtimeGetVersion() // 1000
    if status == INSUFFICIENT_DRIVER:
        return (
            f"the NVIDIA driver is missing or too old for CUDA {version}, which this CuPy was built for ({text}); "
            f"update the driver, or {INSTALL}"
        )
    if status == NO_DEVICE:
        return f"no CUDA device was found ({text}); check nvidia-smi and CUDA_VISIBLE_DEVICES"
    return f"the CUDA runtime failed ({text}); this CuPy needs CUDA {version}: {INSTALL}"


LIBRARIES = {"cublas": "cuBLAS", "cusolver": "cuSOLVER", "cusparse": "cuSPARSE", "nvrtc": "NVRTC"}
"""Parts of CUDA that the kernels need; CuPy loads each at first use, from its own wheels or a CUDA toolkit."""


def _missing_libraries() -> str:
    """A sentence about the parts of CUDA that cannot be loaded; empty when all are there."""
    missing = []
    for module, name in LIBRARIES.items():
        try:
            getattr(cupy.cuda, module).getVersion  # noqa: B018  (the attribute loads the library)
        except (ImportError, AttributeError, RuntimeError, OSError):
            missing.append(name)
    return f"{', '.join(missing)} cannot be loaded by CuPy {cupy.__version__}; {INSTALL}" if missing else ""


def sparse() -> Any:
    """`cupyx.scipy.sparse`, imported when it is first needed."""
    import cupyx.scipy.sparse

    return cupyx.scipy.sparse


def faults() -> tuple[type[BaseException], ...]:
    """Exceptions of a device that fails: out of memory, launches, libraries, compilers."""
    found = [*out_of_memory()]
    places = (
        "runtime.CUDARuntimeError",
        "driver.CUDADriverError",
        "cublas.CUBLASError",
        "cusolver.CUSOLVERError",
        "cusparse.CuSparseError",
    )
    for place in (*places, "nvrtc.NVRTCError", "compiler.CompileException"):
        module, name = place.split(".")
        with contextlib.suppress(ImportError, AttributeError):
            found.append(getattr(getattr(cupy.cuda, module), name))
    return tuple(found)


def out_of_memory() -> tuple[type[BaseException], ...]:
    """Exceptions that mean "the device is out of memory"."""
    return (cupy.cuda.memory.OutOfMemoryError,)
