"""Arrays of other libraries in host memory: told apart, read as NumPy arrays, and made again from results.

A library is only ever looked up among the modules that are loaded: an array of it cannot come without it.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

FRAMES = ("pandas", "polars")
TENSORS = ("torch", "jax")


def kind_of(A: Any) -> str | None:
    """The library of an array in host memory: "pandas", "polars", "torch", "jax", "dask", or None for all else."""
    for base in type(A).__mro__:
        root = base.__module__.partition(".")[0]
        root = "jax" if root == "jaxlib" else root
        if root in (*FRAMES, *TENSORS, "dask"):
            return root
    return None


def read(A: Any, name: str) -> np.ndarray:
    """Any array as a NumPy array, without a copy where its owner allows it; a dask array is computed.

    Raises
    ------
    TypeError
        What NumPy cannot hold as it is; the message has the remedy.
    ValueError
        Ragged nested lists.
    """
    kind = kind_of(A)
    if kind == "torch":
        return _read_torch(A, name)
    if kind in FRAMES:
        return _read_frame(A, name)
    if kind == "dask":
        computed = A.compute()
        if isinstance(computed, np.ndarray) or kind_of(computed) == "pandas":
            return read(computed, name)
        raise TypeError(
            f"{name} is a dask array whose chunks are {type(computed).__name__}; pass {name}.compute()"
        )
    if kind == "jax" and isinstance(A, sys.modules["jax"].core.Tracer):
        raise TypeError(
            f"{name} is traced by JAX, a fit needs its values; call fastmtl outside jit, grad and vmap, or through "
            "jax.pure_callback"
        )
    if hasattr(A, "todense") and not hasattr(A, "__array__"):
        raise TypeError(
            f"{name} is a sparse {type(A).__name__}; pass {name}.todense(), or a scipy.sparse matrix"
        )
    try:
        return np.asarray(A.to_numpy() if hasattr(A, "to_numpy") else A)
    except ValueError as error:
        raise ValueError(f"{name} cannot be read as an array ({error}); pass a rectangular array") from error


def in_memory(A: Any, name: str) -> Any:
    """A dask array or frame, or those of a list, computed, for who reads them more than once; anything else as it is.

    Raises
    ------
    TypeError
        A lazy polars frame; the message has the remedy.
    """
    if isinstance(A, (list, tuple)):
        return [in_memory(one, f"{name}[{i}]") for i, one in enumerate(A)] if A and kind_of(A[0]) else A
    _check_collected(A, name)
    return A.compute() if kind_of(A) == "dask" else A


def _check_collected(A: Any, name: str) -> None:
    if hasattr(A, "collect_schema") and not hasattr(A, "to_numpy"):
        raise TypeError(f"{name} is a polars LazyFrame; pass {name}.collect()")


def _read_torch(A: Any, name: str) -> np.ndarray:
    torch = sys.modules["torch"]
    if A.device.type != "cpu":
        raise TypeError(f"{name} is a torch tensor on {A.device}; pass {name}.cpu()")
    if A.layout != torch.strided:
        raise TypeError(f"{name} is a sparse torch tensor; pass {name}.to_dense(), or a scipy.sparse matrix")
    if A.dtype in (torch.bfloat16, *(getattr(torch, f) for f in dir(torch) if f.startswith("float8"))):
        raise TypeError(f"{name} is a torch tensor of {A.dtype}, which NumPy lacks; pass {name}.float()")
    return A.detach().resolve_neg().numpy()


def _read_frame(A: Any, name: str) -> np.ndarray:
    _check_collected(A, name)
    values = A.to_numpy()
    if values.dtype.kind in "biuf":
        return values
    # Columns of several dtypes, or of one that knows a missing value besides NaN.
    other = not_numbers(A)
    if other:
        raise TypeError(
            f"{name} has columns that are not numbers: {', '.join(other[:3])}; drop or encode them, e.g. as 0 and 1"
        )
    if kind_of(A) == "pandas":
        return A.to_numpy(dtype=np.float64, na_value=np.nan)
    return values.astype(np.float64)


def not_numbers(frame: Any) -> list[str]:
    """Columns that hold something else than real numbers and booleans."""
    columns = (
        {str(name): frame[name] for name in frame.columns}
        if hasattr(frame, "columns")
        else {str(getattr(frame, "name", "")): frame}
    )
    if kind_of(frame) == "polars":
        return [n for n, c in columns.items() if not (c.dtype.is_numeric() or str(c.dtype) == "Boolean")]
    types = sys.modules["pandas"].api.types
    return [
        n
        for n, c in columns.items()
        if not types.is_numeric_dtype(c.dtype) or types.is_complex_dtype(c.dtype)
    ]


def check_exact(A: Any, dtype: np.dtype, name: str = "X") -> None:
    """Raise when A's library could not hold results of `dtype`.

    Raises
    ------
    TypeError
        JAX without 64-bit numbers, where results need them.
    """
    if kind_of(A) == "jax" and dtype.itemsize > 4 and not sys.modules["jax"].config.jax_enable_x64:
        raise TypeError(
            f"{name} is a JAX array of {A.dtype}, whose results are {dtype}, and JAX holds 32 bits only; pass "
            f"{name}.astype('float32'), or set jax_enable_x64"
        )


def made(A: np.ndarray, kind: str) -> Any:
    """A NumPy array as a tensor of torch or JAX in host memory; for any other kind, as it is."""
    if kind == "torch":
        A = A if A.flags.writeable else A.copy()
        return sys.modules["torch"].from_numpy(A)
    if kind == "jax":
        jax = sys.modules["jax"]
        return jax.device_put(A, jax.devices("cpu")[0])
    return A


def shaped_like(Z: np.ndarray, X: Any, names: list[str] | None) -> Any:
    """Predictions (n, t) or (n,) as X's kind: a tensor, a frame with the rows of X and the names of the tasks, an array.

    JAX as it comes holds 32 bits, and so do its predictions then.
    """
    kind = kind_of(X)
    if kind == "pandas":
        pandas = sys.modules["pandas"]
        if Z.ndim == 1:
            return pandas.Series(Z, index=X.index, name=names[0] if names else None)
        return pandas.DataFrame(Z, index=X.index, columns=names)
    if kind == "polars":
        polars = sys.modules["polars"]
        if Z.ndim == 1:
            return polars.Series(names[0] if names else "", Z)
        is_told = names is not None and len(set(names)) == len(names)  # polars takes no name twice
        return polars.DataFrame(Z, schema=names if is_told else [str(c) for c in range(Z.shape[1])])
    if kind == "dask":
        return sys.modules["dask.array"].from_array(Z)
    return Z if kind is None else made(Z, kind)
