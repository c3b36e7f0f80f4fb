"""Where a fit runs: the one place that decides on a kernel module."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from . import _cost
from ._arrays import compute_dtype, is_device_sparse
from ._cost import Constants, Work
from ._kinds import check_exact, kind_of, made

BACKENDS = ("auto", "cpu", "gpu")
WORTH_A_LOOK = 2.0
"""Predicted CPU seconds below which `auto` does not even look for a GPU: importing CuPy alone takes a second."""
WORTH_A_LOOK_WARM = 0.05
"""The same where CuPy has been imported: what the launches and trips over the bus of any fit take."""
NOTHING = 1e8
"""Operations that no machine takes long enough for to look up how fast it is."""
CALIBRATION_SIZE = 1024
"""Order of the matrices whose product measures a CPU; four times as much measures a device."""
T = TypeVar("T")


@dataclass(frozen=True)
class Backend:
    """Where a fit runs, and why.

    Attributes
    ----------
    kernels : module
        Satisfies `fastmtl_kernels._interface.Kernels` for iterates in host memory.
    name, reason : str
    gpu : module or None
        `fastmtl_kernels.gpu` when X is to be on the device.
    is_streamed : bool
        X stays in host memory and passes through the device panel by panel.
    may_fall_back : bool
        A failing device is replaced by the CPU; otherwise it raises.
    """

    kernels: Any
    name: str
    reason: str
    gpu: Any = None
    is_streamed: bool = False
    may_fall_back: bool = False


def is_on_device(A: Any) -> bool:
    """Tell whether A is a CuPy, torch or JAX array in CUDA memory, or a sparse one of CuPy's, without importing any of them."""
    if is_device_sparse(A):
        return True
    ask = getattr(A, "__dlpack_device__", None)
    if ask is None or isinstance(A, np.ndarray):
        return False
    try:
        return int(ask()[0]) in (2, 13)  # kDLCUDA and kDLCUDAManaged
    except (ValueError, BufferError):  # a device that DLPack has no number for
        return False


def gpu_module() -> Any:
    """`fastmtl_kernels.gpu`; importing it imports CuPy where there is one."""
    from fastmtl_kernels import gpu

    return gpu


def device_array(A: Any) -> Any:
    """A device array of any library as a CuPy array, without a copy; a sparse one as it is."""
    if is_device_sparse(A):
        return A
    xp = gpu_module().xp
    if xp is None:
        raise RuntimeError(_unmet(gpu_module().probe().reason, "an array on a CUDA device"))
    if isinstance(A, xp.ndarray):
        return A
    return xp.from_dlpack(A.detach() if hasattr(A, "detach") else A)


def host_array(A: Any) -> np.ndarray:
    """A copy of a device array of any library in host memory."""
    return device_array(A).get()


ON_DEVICE = "cuda:"
"""What the name of a library is preceded by when its arrays are on a device."""


def library_of(A: Any) -> str | None:
    """Name of the library of an array, "cuda:" before it for one on a device; None for NumPy's and SciPy's.

    Raises
    ------
    TypeError
        A library that, as it is set, could not hold the results of a fit.
    """
    if is_on_device(A):
        name = type(A).__module__.partition(".")[0]
        return ON_DEVICE + next((library for library in ("jax", "cupy") if name.startswith(library)), name)
    kind = kind_of(A)
    if kind is not None:
        check_exact(A, compute_dtype(np.dtype(A.dtype)) if kind == "jax" else np.dtype(np.float32))
    return kind


def like(result: Any, library: str) -> Any:
    """An array of the library named, as `library_of` names it; `result` is in host memory or a CuPy array."""
    if not library.startswith(ON_DEVICE):
        return made(result, library)
    library = library.removeprefix(ON_DEVICE)
    there = _handed_over(result)
    if library == "torch":
        return sys.modules["torch"].from_dlpack(there)
    if library == "jax":
        return importlib.import_module("jax.dlpack").from_dlpack(there)
    return there


def _handed_over(result: Any) -> Any:
    """A result as a CuPy array; where memory is short, what the fit has kept on the device makes way for it."""
    gpu = gpu_module()
    try:
        return gpu.xp.asarray(result)
    except gpu.out_of_memory():
        pass
    from fastmtl_kernels.gpu import hosted

    hosted.forget()
    return gpu.xp.asarray(result)


def choose_backend(backend: str, work: Work, *, on_device: bool = False) -> Backend:
    """The kernel module for a request.

    Parameters
    ----------
    backend : {"auto", "cpu", "gpu"}
    work : Work
        What is to be done; decides under "auto".
    on_device : bool
        Whether X lives on a CUDA device already.

    Raises
    ------
    ValueError
        An unknown name.
    RuntimeError
        An explicit request that cannot be met, naming what is missing.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend is {backend!r}; expected one of {', '.join(BACKENDS)}")
    if backend == "cpu":
        return _cpu("requested")
    if backend == "gpu":
        return _requested(work, on_device)
    return x_on_the_device("auto") if on_device else _predicted(work)


def x_on_the_device(backend: str) -> Backend:
    """The device where X is already, which may be left for the CPU unless it was asked for."""
    return _gpu("X is on the device", may_fall_back=backend != "gpu")


def _cpu(reason: str) -> Backend:
    from fastmtl_kernels import cpu

    return Backend(cpu, "cpu", reason)


def _gpu(reason: str, *, may_fall_back: bool, is_streamed: bool = False) -> Backend:
    from fastmtl_kernels.gpu import hosted

    return Backend(hosted, "gpu", reason, gpu_module(), is_streamed, may_fall_back)


def _unmet(reason: str, what: str = "backend='gpu'") -> str:
    return f"{what} cannot be served: {reason}. Or use backend='auto' or 'cpu' with arrays in host memory"


def _requested(work: Work, on_device: bool) -> Backend:
    """An explicit request for the GPU."""
    found = gpu_module().probe()
    if not found.usable:
        raise RuntimeError(_unmet(found.reason))
    is_streamed = not on_device and work.x_bytes + work.device_bytes > found.free
    need, what = work.device_bytes, "beside X"
    if is_streamed and work.stored is not None:
        need, what = need + work.x_bytes, "for a sparse X, which is not streamed,"
    if need > found.free:
        need, free = need / 2**30, found.free / 2**30
        raise RuntimeError(
            _unmet(
                f"{need:.2g} GiB of device memory are needed {what}, {free:.2g} GiB are free ({found.name})"
            )
        )
    reason = (
        "requested; X is larger than the free device memory and is streamed" if is_streamed else "requested"
    )
    return _gpu(reason, may_fall_back=False, is_streamed=is_streamed)


def _predicted(work: Work) -> Backend:
    """The backend with the smaller predicted time, for an X in host memory."""
    if work.flops < NOTHING:
        return _cpu(f"{work.flops:.1g} operations are too few for a GPU")
    constants, cores = _cost.load(), _cost.cores()
    on_cpu, is_warm = constants.cpu_seconds(work, cores), "cupy" in sys.modules
    least = min(WORTH_A_LOOK, WORTH_A_LOOK_WARM) if is_warm else WORTH_A_LOOK
    if on_cpu < least:
        return _cpu(f"about {on_cpu:.2g} s of work; a GPU is looked for from {least:g} s")
    if not is_warm and importlib.util.find_spec("cupy") is None:
        return _cpu("CuPy is not installed")
    found = gpu_module().probe()
    if not found.usable:
        return _cpu(found.reason)
    is_streamed = work.x_bytes + work.device_bytes > found.free
    if work.device_bytes > found.free or (is_streamed and work.stored is not None):
        return _cpu(f"{found.free / 2**30:.2g} GiB of free device memory are too few")
    on_gpu = constants.gpu_seconds(work, is_warm=is_warm, on_device=False, is_streamed=is_streamed)
    compared = f"predicted {on_cpu:.2g} s on {cores} CPU cores, {on_gpu:.2g} s on {found.name}"
    if on_gpu >= on_cpu:
        return _cpu(compared)
    return _gpu(compared, may_fall_back=True, is_streamed=is_streamed)


def with_fallback(backend: Backend, run: Callable[[], T], again: Callable[[str], T]) -> T:
    """`run()`; when the device fails in it, `again(reason)` on the CPU with a warning, or a clean error if asked for the GPU.

    Everything that was taken on the device is given back in either case.
    """
    if backend.gpu is None:
        return run()
    try:
        return run()
    except backend.kernels.faults() as error:
        reason = f"the device failed in mid-fit ({type(error).__name__}: {error})"
        is_memory = isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__
    # Outside the handler: the traceback of the error would keep the arrays of its frames alive.
    with contextlib.suppress(*backend.kernels.faults()):
        backend.kernels.forget()
    if not backend.may_fall_back:
        raise (MemoryError if is_memory else RuntimeError)(
            f"{reason}; use backend='auto' to fall back to the CPU"
        )
    warnings.warn(f"{reason}; the fit starts again on the CPU", RuntimeWarning, stacklevel=4)
    return again(reason)


def calibrate() -> tuple[Constants, str]:
    """Measure the constants of the cost model on this machine.

    Returns
    -------
    constants : Constants
    text : str
        Whether a GPU was measured, or why not.
    """
    n = CALIBRATION_SIZE
    A = np.random.default_rng(0).standard_normal((n, n))
    cores = _cost.cores()
    flops = 2.0 * n**3 / _best_of(lambda: A @ A)
    big = np.ones(16 * n * n)
    measured = {"cpu_flops": flops / cores, "cpu_bytes": big.nbytes / _best_of(big.sum)}
    was_loaded, started = "cupy" in sys.modules, time.perf_counter()
    gpu = gpu_module()
    found = gpu.probe()
    if not found.usable:
        return Constants(**measured), found.reason
    device = gpu.xp.cuda.Device()

    def synchronised(action: Callable[[], Any]) -> Callable[[], None]:
        def call() -> None:
            action()
            device.synchronize()

        return call

    there = gpu.xp.asarray(np.tile(A, (4, 4)))
    synchronised(lambda: there @ there)()
    if not was_loaded:
        measured["gpu_start"] = time.perf_counter() - started
    measured["gpu_flops"] = 2.0 * (4.0 * n) ** 3 / _best_of(synchronised(lambda: there @ there))
    measured["bus_bytes"] = big.nbytes / _best_of(synchronised(lambda: gpu.xp.asarray(big)))
    return Constants(**measured), found.reason


def _best_of(action: Callable[[], Any], repeats: int = 5) -> float:
    """Shortest of a few timings, in seconds."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return max(min(times), 1e-9)
