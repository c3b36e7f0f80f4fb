"""A device array over NumPy that is as unforgiving as CuPy's: no implicit host copies, no mixing with NumPy arrays."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .device import DEVICE, Allocation


class ndarray:
    """Stand-in for `cupy.ndarray`; `_host` is the NumPy array that plays device memory."""

    __array_priority__ = 100

    def __init__(self, host: np.ndarray, allocation: Allocation) -> None:
        self._host, self._allocation = host, allocation

    # What CuPy refuses or counts as a transfer.
    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed; use .get()")

    def get(self, *_: Any, **__: Any) -> np.ndarray:
        """A copy in host memory; counted as one read-back."""
        DEVICE.read_back(self._host.nbytes)
        return self._host.copy()

    def item(self, *args: Any) -> Any:
        return self.get().item(*args)

    def tolist(self) -> Any:
        return self.get().tolist()

    def __float__(self) -> float:
        return float(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __bool__(self) -> bool:
        return bool(self.get())

    def __index__(self) -> int:
        return operator.index(self.get()[()])

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __len__(self) -> int:
        return len(self._host)

    def __repr__(self) -> str:
        return f"device {self._host!r}"

    def set(self, source: np.ndarray, stream: Any = None) -> None:
        """Copy from host memory; on a stream of its own as late as the rules of CUDA allow."""
        if (
            not isinstance(source, np.ndarray)
            or source.shape != self._host.shape
            or source.dtype != self._host.dtype
        ):
            raise TypeError("set() takes a NumPy array of the same shape and dtype")
        DEVICE.transfers += 1
        if stream is None:
            self._host[...] = source
        else:
            self._host[...] = np.nan
            stream.later(lambda: self._host.__setitem__(Ellipsis, source))

    @property
    def data(self) -> Any:
        return Pointer(self._host.ctypes.data)

    @property
    def T(self) -> ndarray:
        return self.transpose()

    @property
    def shape(self) -> tuple[int, ...]:
        return self._host.shape

    @property
    def __cuda_array_interface__(self) -> dict:
        return {"shape": self.shape, "typestr": self.dtype.str, "data": (self.data.ptr, False), "version": 3}

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0

    def __dlpack__(self, **_: Any) -> Any:
        raise NotImplementedError

    @property
    def device(self) -> Any:
        return DEVICE

    def __getitem__(self, key: Any) -> ndarray:
        return wrap(self._host[unwrap(key)], self)

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(value, np.ndarray) and value.ndim:
            raise TypeError("Unsupported type <class 'numpy.ndarray'>")
        self._host[unwrap(key)] = unwrap(value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in FORBIDDEN:
            raise AttributeError(f"'cupy.ndarray' object has no attribute {name!r}")
        value = getattr(self._host, name)
        if not callable(value):
            return value

        def method(*args: Any, **kwargs: Any) -> Any:
            if NEVER & kwargs.keys():
                raise TypeError(f"{name}() got an unexpected keyword argument among {sorted(kwargs)}")
            return wrap(value(*unwrap(args), **unwrap(kwargs)), self, *args, *kwargs.values())

        return method

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if NEVER & kwargs.keys():
            raise TypeError(f"{ufunc.__name__}: wrong arguments {sorted(kwargs)}")
        outputs = kwargs.get("out") or ()
        _refuse_host((*inputs, *outputs))
        result = getattr(ufunc, method)(*unwrap(inputs), **unwrap(kwargs))
        return wrap(result, *inputs, *outputs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        _refuse_host(args)
        return wrap(function(*unwrap(args), **unwrap(kwargs)), *args, *kwargs.values())


NEVER = {"where", "initial"}
"""Arguments of NumPy's ufuncs and reductions that CuPy's have not."""
FORBIDDEN = {"newbyteorder", "byteswap", "setflags", "ctypes"}


class Pointer:
    """Stand-in for `cupy.cuda.MemoryPointer`."""

    def __init__(self, ptr: int) -> None:
        self.ptr = ptr


def _refuse_host(values: Any) -> None:
    for value in values:
        if isinstance(value, np.ndarray) and value.ndim:
            raise TypeError("Unsupported type <class 'numpy.ndarray'>")
        if isinstance(value, (list, tuple)):
            _refuse_host(value)


def unwrap(value: Any) -> Any:
    """The NumPy arrays behind device arrays, also inside tuples, lists, dicts and slices."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, (tuple, list)):
        return type(value)(unwrap(v) for v in value)
    if isinstance(value, dict):
        return {key: unwrap(v) for key, v in value.items()}
    return value


def wrap(value: Any, *parents: Any) -> Any:
    """`value` with its NumPy arrays and scalars made device arrays; a view shares the allocation of its parent."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(wrap(v, *parents) for v in value))
    if isinstance(value, (tuple, list)):
        return type(value)(wrap(v, *parents) for v in value)
    if isinstance(value, np.generic):
        value = np.asarray(value)
    if not isinstance(value, np.ndarray):
        return value
    for parent in _flat(parents):
        if value is parent._host:
            return parent
        if value.size and np.may_share_memory(value, parent._host):
            return ndarray(value, parent._allocation)
    return ndarray(value, DEVICE.allocate(value.nbytes))


def _flat(values: Any) -> Any:
    for value in values:
        if isinstance(value, ndarray):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from _flat(value)


def _binary(name: str) -> Any:
    function = getattr(operator, name)

    def forward(self: ndarray, other: Any) -> Any:
        if isinstance(other, np.ndarray) and other.ndim:
            raise TypeError("Unsupported type <class 'numpy.ndarray'>")
        if not isinstance(other, (ndarray, np.ndarray, np.generic, int, float, bool)):
            return NotImplemented
        return wrap(function(self._host, unwrap(other)), self)

    def reflected(self: ndarray, other: Any) -> Any:
        if not isinstance(other, (np.ndarray, np.generic, int, float, bool)):
            return NotImplemented
        return wrap(function(unwrap(other), self._host), self)

    def in_place(self: ndarray, other: Any) -> Any:
        if isinstance(other, np.ndarray) and other.ndim:
            raise TypeError("Unsupported type <class 'numpy.ndarray'>")
        # CuPy casts the result back; NumPy refuses to narrow it.
        self._host[...] = function(self._host, unwrap(other))
        return self

    return forward, reflected, in_place


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_", "xor"):
    _forward, _reflected, _in_place = _binary(_name)
    _bare = _name.rstrip("_")
    setattr(ndarray, f"__{_bare}__", _forward)
    setattr(ndarray, f"__r{_bare}__", _reflected)
    setattr(ndarray, f"__i{_bare}__", _in_place)
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(ndarray, f"__{_name}__", _binary(_name)[0])


def _unary(name: str) -> Any:
    function = getattr(operator, name)
    return lambda self: wrap(function(self._host), self)


for _name in ("neg", "abs", "invert", "pos"):
    setattr(ndarray, f"__{_name}__", _unary(_name))
ndarray.__hash__ = None  # type: ignore[assignment]
