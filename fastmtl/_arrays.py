"""Arrays at the door: what may come in, and how it is read without a copy."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from ._kinds import read

Array = Any
"""A dense array: NumPy on the CPU, CuPy on the GPU; shapes and dtypes stand in the docstrings."""

PANEL_BYTES = 1 << 24
"""Work memory of one converted panel of X: large enough for full BLAS speed, small beside any X worth a panel."""


def is_sparse(X: Any) -> bool:
    """Tell whether X is a scipy.sparse matrix or array, without importing scipy."""
    module = sys.modules.get("scipy.sparse")
    return module is not None and module.issparse(X)


def is_device_sparse(X: Any) -> bool:
    """The same for cupyx.scipy.sparse, without importing CuPy."""
    module = sys.modules.get("cupyx.scipy.sparse")
    return module is not None and module.issparse(X)


def feature_names(X: Any) -> list[str] | None:
    """Column names of a pandas, polars or dask frame, the name of a series as one; None for anything else."""
    if not (hasattr(X, "to_numpy") or hasattr(X, "map_partitions")):
        return None
    columns, name = getattr(X, "columns", None), getattr(X, "name", None)
    if columns is None:
        return [name] if isinstance(name, str) and len(X.shape) == 1 else None
    return [str(c) for c in columns]


def as_ndarray(A: Any, name: str) -> np.ndarray:
    """Read A as a real NumPy array without copying where its owner allows it.

    Raises
    ------
    TypeError
        Masked, object, string, complex or structured arrays, and device arrays.
    ValueError
        Ragged nested lists.
    """
    check_dense(A, name)
    kind = type(A).__name__
    if not isinstance(A, np.ndarray):
        A = read(A, name)
    if A.dtype.kind == "O" and A.ndim == 0:
        raise TypeError(f"{name} is of type {kind}; an array of real numbers was expected")
    if A.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} has dtype {A.dtype}, a real numeric dtype was expected; convert it, e.g. {name}.astype(float)"
        )
    return A


def check_dense(A: Any, name: str) -> None:
    """Raise a TypeError for a masked or sparse array: NumPy would lose the mask, or take the matrix for one object."""
    if any(isinstance(part, np.ma.MaskedArray) for part in (A if isinstance(A, (list, tuple)) else [A])):
        remedy = f"{name}.filled(nan) for gaps" if name.startswith("Y") else f"{name}.filled(value)"
        raise TypeError(
            f"{name} is a masked array, and masks are not read; pass {remedy}, or leave the masked rows out"
        )
    if is_sparse(A):
        raise TypeError(f"{name} is sparse, a dense array was expected; pass {name}.toarray()")


def compute_dtype(dtype: np.dtype) -> np.dtype:
    """Floating dtype that fits are returned in: float32 for float16 and float32, float64 for all else."""
    return (
        np.dtype(np.float32)
        if dtype in (np.dtype(np.float16), np.dtype(np.float32))
        else np.dtype(np.float64)
    )


def is_native(A: np.ndarray) -> bool:
    """Tell whether BLAS can read the 2-D array A in place: native float32/float64, aligned, C or F contiguous."""
    return (
        A.dtype in (np.dtype(np.float32), np.dtype(np.float64))
        and A.dtype.isnative
        and A.flags.aligned
        and (A.flags.c_contiguous or A.flags.f_contiguous)
    )


def panels(length: int, width_bytes: int, budget: int = PANEL_BYTES) -> Iterator[slice]:
    """Slices that cover `range(length)` when one unit of it takes `width_bytes` of work memory."""
    step = max(1, budget // max(1, width_bytes))
    for low in range(0, length, step):
        yield slice(low, min(length, low + step))


def check_finite(A: np.ndarray, name: str, *, gaps: bool = False) -> None:
    """Raise a ValueError when A holds inf, or NaN unless `gaps`, naming the first place."""
    if A.dtype.kind != "f":
        return
    for part in panels(A.shape[0], A.itemsize * max(1, A[:1].size)):
        block = A[part]
        bad = np.isinf(block) if gaps else ~np.isfinite(block)
        if bad.any():
            where = tuple(int(i[0]) for i in np.nonzero(bad))
            place = ", ".join(str(i + (part.start if axis == 0 else 0)) for axis, i in enumerate(where))
            raise ValueError(
                f"{name} holds {block[where]} at [{place}]; every entry must be finite: drop or impute it"
            )


def distinct(labels: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The distinct labels (K,) of a vector, sorted, and the place (n,) of every entry's among them.

    Raises
    ------
    ValueError
        A missing label: None, NaN, inf, or the NA of pandas.
    TypeError
        Labels of types that have no common order.
    """
    kind = labels.dtype.kind
    missing = ~np.isfinite(labels) if kind == "f" else _missing(labels) if kind == "O" else np.zeros(0)
    if missing.any():
        at = int(np.argmax(missing))
        raise ValueError(f"{name} holds {labels[at]} at [{at}]; every entry must be a label")
    try:
        return np.unique(labels, return_inverse=True)
    except TypeError:
        types = sorted({type(label).__name__ for label in labels})
        raise TypeError(
            f"{name} holds labels of types {', '.join(types)}, which have no common order; use one type"
        ) from None


def _missing(labels: np.ndarray) -> np.ndarray:
    """Which objects (n,) are no labels."""
    return np.array(
        [
            label is None
            or type(label).__name__ in ("NAType", "NaTType")
            or (isinstance(label, (float, np.floating)) and not np.isfinite(label))
            for label in labels
        ],
        dtype=bool,
    )
