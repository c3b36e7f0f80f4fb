"""NumPy posing as CuPy: `install()` puts it where `import cupy` finds it, `remove()` takes it away.

Array functions are NumPy's on arrays of a type of their own, which refuse what CuPy refuses. Kernels are the real `.cu`
texts, built for the CPU (`emulated.py`). Memory, transfers and launches are counted, and faults injected, by `DEVICE`.
"""

from __future__ import annotations

import importlib.machinery
import sys
import types
from typing import Any

import numpy as np

from . import emulated, sparse
from .array import ndarray, unwrap, wrap
from .device import DEVICE, NULL, CUDADriverError, CUDARuntimeError, Event, OutOfMemoryError, Stream

MISSING = {"ma", "matrix", "memmap", "longdouble", "nditer", "ndenumerate"}


class RawModule:
    """Stand-in for `cupy.RawModule`."""

    def __init__(self, *, code: str, options: tuple[str, ...] = ()) -> None:
        self._code, self._options = code, tuple(options)

    def get_function(self, name: str) -> RawKernel:
        if emulated.parameters(self._code)[0] != name:
            raise CUDADriverError(f"CUDA_ERROR_NOT_FOUND: named symbol not found: {name}")
        return RawKernel(name, self._code, self._options)


class RawKernel:
    """A function of a module; its launches are counted and may be told to fail or to write NaN."""

    def __init__(self, name: str, code: str, options: tuple[str, ...]) -> None:
        self.name, self._code, self._options = name, code, options

    def __call__(
        self, grid: tuple, block: tuple, args: tuple, *, shared_mem: int = 0, stream: Any = None
    ) -> None:
        DEVICE.launches += 1
        if DEVICE.launches == DEVICE.fail_launch:
            raise CUDADriverError("CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure")
        emulated.run(self._code, self._options, grid[0], block[0], unwrap(args), shared_mem, DEVICE.seed)
        if DEVICE.launches == DEVICE.poison_launch:
            for value, parameter in zip(args, emulated.parameters(self._code)[1], strict=True):
                if parameter.pointer and not parameter.constant and parameter.type != "index_t":
                    value._host[...] = np.nan


class _Module(types.ModuleType):
    """A module that forwards array functions to NumPy."""

    def __init__(self, name: str, source: Any) -> None:
        super().__init__(name)
        self._source = source

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in MISSING:
            raise AttributeError(f"module 'cupy' has no attribute {name!r}")
        value = getattr(self._source, name)
        if isinstance(value, type) or not callable(value):
            return value

        def function(*args: Any, **kwargs: Any) -> Any:
            for a in (*args, *kwargs.values()):
                if isinstance(a, np.ndarray) and a.ndim:
                    raise TypeError(f"{name}: Unsupported type <class 'numpy.ndarray'>")
            return wrap(value(*unwrap(args), **unwrap(kwargs)), *args, *kwargs.values())

        return function


def asarray(a: Any, dtype: Any = None, order: Any = None) -> ndarray:
    """Move to the device, or leave there."""
    if isinstance(a, ndarray):
        return wrap(np.asarray(a._host, dtype=dtype, order=order), a)
    DEVICE.transfers += 1
    return wrap(np.array(unwrap(a), dtype=dtype, order=order or "K"))


def array(a: Any, dtype: Any = None, copy: bool = True, order: Any = "K") -> ndarray:
    """A copy on the device."""
    DEVICE.transfers += not isinstance(a, ndarray)
    return wrap(np.array(unwrap(a), dtype=dtype, order=order))


def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    return asarray(a, dtype, "C")


def asfortranarray(a: Any, dtype: Any = None) -> ndarray:
    return asarray(a, dtype, "F")


def _poisoned(make: Any) -> Any:
    """Fresh memory full of NaN (or a large integer), so that a read before the first write shows."""

    def function(*args: Any, **kwargs: Any) -> ndarray:
        out = make(*unwrap(args), **kwargs)
        out[...] = (
            np.nan if out.dtype.kind == "f" else np.iinfo(out.dtype).max if out.dtype.kind in "iu" else True
        )
        return wrap(out)

    return function


class _Pool:
    """Stand-in for the memory pool; it keeps nothing back."""

    def used_bytes(self) -> int:
        return DEVICE.live

    def free_bytes(self) -> int:
        return 0

    def free_all_blocks(self) -> None:
        return None


class _Current:
    id = 0

    def __enter__(self) -> _Current:
        return self

    def __exit__(self, *_: Any) -> None:
        return None

    def synchronize(self) -> None:
        return None


def _count() -> int:
    if DEVICE.failure is not None:
        raise DEVICE.failure
    return 1


def _modules() -> dict[str, types.ModuleType]:
    cupy, linalg = _Module("cupy", np), _Module("cupy.linalg", np.linalg)
    cuda, runtime, memory = (types.ModuleType(f"cupy.cuda{part}") for part in ("", ".runtime", ".memory"))
    own = {
        "ndarray": ndarray, "RawModule": RawModule, "asarray": asarray, "array": array, "linalg": linalg, "cuda": cuda,
        "ascontiguousarray": ascontiguousarray, "asfortranarray": asfortranarray, "empty": _poisoned(np.empty),
        "empty_like": _poisoned(np.empty_like), "__version__": "0 (stand-in)", "__path__": [],
        "get_default_memory_pool": _Pool, "get_default_pinned_memory_pool": _Pool,
        "asnumpy": lambda a, *_, **__: a.get() if isinstance(a, ndarray) else np.asarray(a),
        "from_dlpack": lambda a: a if isinstance(a, ndarray) else asarray(np.from_dlpack(a)),
        "get_array_module": lambda *a: cupy if any(isinstance(x, ndarray) for x in a) else np,
        "count_nonzero": lambda a, axis=None: wrap(np.asarray(np.count_nonzero(unwrap(a), axis))),
        "fuse": None, "ElementwiseKernel": None, "ReductionKernel": None,
    }  # fmt: skip
    cupy.__dict__.update(own)
    cupy.__spec__ = importlib.machinery.ModuleSpec("cupy", None)
    cuda.__dict__.update(
        runtime=runtime, memory=memory, Device=lambda *_: _Current(), Stream=Stream, Event=Event, __path__=[],
        get_current_stream=lambda: NULL, alloc_pinned_memory=bytearray, is_available=lambda: DEVICE.failure is None,
        OutOfMemoryError=OutOfMemoryError, driver=types.SimpleNamespace(CUDADriverError=CUDADriverError),
        **{name: types.SimpleNamespace(getVersion=lambda: 13000) for name in ("cublas", "cusolver", "cusparse", "nvrtc")},
    )  # fmt: skip
    memory.OutOfMemoryError = OutOfMemoryError
    runtime.__dict__.update(
        CUDARuntimeError=CUDARuntimeError, getDeviceCount=_count, runtimeGetVersion=lambda: 13000,
        memGetInfo=lambda: (DEVICE.total - DEVICE.live, DEVICE.total),
        getDeviceProperties=lambda _: {"name": b"stand-in"},
    )  # fmt: skip
    return {m.__name__: m for m in (cupy, linalg, cuda, runtime, memory, *sparse.modules())}


_saved: dict[str, types.ModuleType] = {}


def install() -> None:
    """Put the stand-in in place of CuPy; `fastmtl_kernels.gpu` is imported afresh the next time."""
    _saved.update(_take())
    sys.modules.update(_modules())


def remove() -> None:
    """Take the stand-in away and put back what was there before."""
    _take()
    sys.modules.update(_saved)
    _saved.clear()


def _take() -> dict[str, types.ModuleType]:
    prefixes = ("cupy", "cupyx", "fastmtl_kernels.gpu")
    names = [name for name in sys.modules if any(name == p or name.startswith(p + ".") for p in prefixes)]
    kernels = sys.modules.get("fastmtl_kernels")
    if kernels is not None and hasattr(kernels, "gpu"):
        del kernels.gpu
    return {name: sys.modules.pop(name) for name in names}


__all__ = ["DEVICE", "CUDARuntimeError", "OutOfMemoryError", "install", "ndarray", "remove"]
