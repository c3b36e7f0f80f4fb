"""Small problems and the unusual forms that their arrays can take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import scipy.sparse as sp
from engine_cases import LAYOUTS, PENALTIES, regression

from fastmtl.penalties import Penalty, Trace

ALL_PENALTIES: dict[str, Penalty] = {**PENALTIES, "trace": Trace(), "trace_ridge": Trace(ridge=0.1)}
X, Y = regression()
COUNTS = np.round(np.exp(0.3 * (Y - 2.0)))
BINARY = (Y > 2.0).astype(float)
LABELS = (Y[:, 0] > 1.5) + (Y[:, 0] > 3.0).astype(int)
TARGETS = {"squared": Y, "huber": Y, "logistic": BINARY, "poisson": COUNTS, "multinomial": LABELS}


def put(A: Any, where: Any, value: Any) -> np.ndarray:
    """A copy of A with one entry or slice replaced."""
    out = np.array(A, dtype=float)
    out[where] = value
    return out


def column_times(factor: float) -> np.ndarray:
    """X with one column in units of its own."""
    return X * np.where(np.arange(X.shape[1]) == 3, factor, 1.0)


def collinear(condition: float) -> np.ndarray:
    """X with singular values from 1 down to 1 / condition."""
    U, _, Vt = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    return 6.0 * (U * np.geomspace(1.0, 1.0 / condition, len(Vt))) @ Vt


def misaligned(A: np.ndarray) -> np.ndarray:
    """A at an odd address."""
    raw = np.empty(A.nbytes + 1, dtype=np.int8)
    out = raw[1:].view(A.dtype).reshape(A.shape)
    out[...] = A
    assert not out.flags.aligned
    return out


def memory_map(A: np.ndarray) -> np.memmap:
    """A in a file opened for reading."""
    file = Path(mkdtemp()) / "X.bin"
    A.tofile(file)
    return np.memmap(file, dtype=A.dtype, mode="r", shape=A.shape)


def _frame(A: np.ndarray) -> Any:
    import pandas

    return pandas.DataFrame(A, columns=[f"c{j}" for j in range(A.shape[1])])


def _broadcast(A: np.ndarray) -> np.ndarray:
    return np.broadcast_to(A[:, :1], A.shape)


def _csr(A: np.ndarray, index: type) -> Any:
    out = sp.csr_matrix(A)
    out.indices, out.indptr = out.indices.astype(index), out.indptr.astype(index)
    return out


def _explicit_zeros(A: np.ndarray) -> Any:
    out = sp.csc_matrix(A)
    out.data[::3] = 0.0
    return out


def _unsorted(A: np.ndarray) -> Any:
    out = sp.csc_matrix(A)
    for low, high in zip(out.indptr[:-1], out.indptr[1:], strict=True):
        out.indices[low:high], out.data[low:high] = (
            out.indices[low:high][::-1].copy(),
            out.data[low:high][::-1].copy(),
        )
    out.has_sorted_indices = False
    return out


def _holes(A: np.ndarray) -> np.ndarray:
    out = A.copy()
    out[[0, 7]] = 0.0
    out[:, [2, 11]] = 0.0
    return out


FORMS: dict[str, Callable[[np.ndarray], Any]] = {
    **LAYOUTS,
    "misaligned": misaligned,
    "memmap": memory_map,
    "frame": _frame,
    "tuple_of_tuples": lambda A: tuple(map(tuple, A.tolist())),
    "list_of_rows": list,
    "broadcast": _broadcast,
    "matrix_class": lambda A: A.view(_Plain),
    "negative_columns": lambda A: np.asfortranarray(A[:, ::-1])[:, ::-1],
    "csr_64_bit": lambda A: _csr(A, np.int64),
    "csc_explicit_zeros": _explicit_zeros,
    "csc_unsorted": _unsorted,
    "csr_holes": lambda A: sp.csr_matrix(_holes(A)),
    "csc_holes": lambda A: sp.csc_matrix(_holes(A)),
    "csr_empty": lambda A: sp.csr_matrix(A.shape),
    "lil": sp.lil_matrix,
    "dok": sp.dok_matrix,
    "bsr": sp.bsr_matrix,
    "dia": sp.dia_matrix,
    "csc_float32": lambda A: sp.csc_matrix(A.astype(np.float32)),
    "csr_int8": lambda A: sp.csr_matrix(np.round(3 * A).astype(np.int8)),
    "csr_bool": lambda A: sp.csr_matrix(A > 0),
}
"""What X may be stored as; the values may change with it."""

DTYPES = (
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool", "float16", "float32", "float64",
    "longdouble", ">f4", ">f8", ">i2", ">i8",
)  # fmt: skip


class _Plain(np.ndarray):
    """A subclass without anything of its own."""
