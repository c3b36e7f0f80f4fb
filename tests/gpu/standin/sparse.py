"""The part of cupyx.scipy.sparse that the backend uses, over scipy.sparse: arrays on the device, none of NumPy's let in."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import scipy.sparse

from .array import ndarray, unwrap, wrap
from .device import DEVICE

KINDS = "?fdFD"


class _compressed:
    """Stand-in for `csc_matrix` and `csr_matrix`; `_host` is the SciPy matrix whose arrays play device memory."""

    __array_priority__ = 101
    ndim = 2
    format: str

    def __init__(self, A: Any, shape: tuple[int, int] | None = None) -> None:
        if scipy.sparse.issparse(A):
            DEVICE.transfers += 3
            A = A.asformat(self.format)
            A, parts = A.copy(), ()
        elif isinstance(A, tuple):
            if not all(isinstance(part, ndarray) for part in A):
                raise ValueError("data, indices, and indptr must be 1-D cupy arrays")
            parts, A = A, getattr(scipy.sparse, f"{self.format}_matrix")(tuple(unwrap(A)), shape=shape)
        else:
            parts, A = A._parts, A._host.asformat(self.format)
        if A.dtype.char not in KINDS:
            raise ValueError("Only bool, float32, float64, complex64 and complex128 are supported")
        self._host = A
        self._parts = tuple(wrap(part, *parts) for part in (A.data, A.indices, A.indptr))

    data = property(lambda self: self._parts[0])
    indices = property(lambda self: self._parts[1])
    indptr = property(lambda self: self._parts[2])
    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    nnz = property(lambda self: self._host.nnz)
    has_canonical_format = property(lambda self: bool(self._host.has_canonical_format))
    T = property(lambda self: _made(self._host.T, *self._parts))

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed; use .get()")

    def __len__(self) -> int:
        raise TypeError("sparse array length is ambiguous; use shape[0] or .nnz")

    def __matmul__(self, B: Any) -> Any:
        if not isinstance(B, (ndarray, _compressed)):
            return NotImplemented
        self.sum_duplicates()
        return _made(self._host @ B._host) if isinstance(B, _compressed) else wrap(self._host @ B._host)

    def __getitem__(self, key: Any) -> _compressed:
        """CuPy reads the number of entries back before it can hold them."""
        DEVICE.read_back(8)
        return _made(self._host[unwrap(key)])

    def sum_duplicates(self) -> None:
        """Sort and merge in place, as every product of CuPy's does."""
        if not self._host.has_canonical_format:
            self._host.sum_duplicates()
            self._parts = tuple(
                wrap(part) for part in (self._host.data, self._host.indices, self._host.indptr)
            )

    def get(self) -> Any:
        """A SciPy matrix; counted as three read-backs."""
        for part in self._parts:
            part.get()
        return self._host.copy()

    def copy(self) -> _compressed:
        return _made(self._host.copy())

    def astype(self, dtype: Any) -> _compressed:
        return _made(self._host.astype(dtype))

    def tocsc(self) -> _compressed:
        return _made(self._host.tocsc(), *self._parts)

    def tocsr(self) -> _compressed:
        return _made(self._host.tocsr(), *self._parts)

    def toarray(self, order: str | None = None) -> ndarray:
        return wrap(np.asarray(self._host.toarray(order=order)))


class csc_matrix(_compressed):
    format = "csc"


class csr_matrix(_compressed):
    format = "csr"


def _made(host: Any, *parents: Any) -> _compressed:
    """A device matrix around a SciPy one; arrays that are views share the memory of their parents."""
    out = object.__new__(csr_matrix if host.format == "csr" else csc_matrix)
    out._host = host
    out._parts = tuple(wrap(part, *parents) for part in (host.data, host.indices, host.indptr))
    return out


def modules() -> list[types.ModuleType]:
    """`cupyx.scipy.sparse` and the packages above it."""
    cupyx, scipy_, sparse = (types.ModuleType(f"cupyx{part}") for part in ("", ".scipy", ".scipy.sparse"))
    cupyx.scipy, scipy_.sparse = scipy_, sparse  # type: ignore[attr-defined]
    cupyx.__path__, scipy_.__path__ = [], []
    sparse.__dict__.update(
        csc_matrix=csc_matrix, csr_matrix=csr_matrix, issparse=lambda A: isinstance(A, _compressed)
    )
    return [cupyx, scipy_, sparse]
