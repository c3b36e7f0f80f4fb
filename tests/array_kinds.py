"""Arrays of every kind: one table in the form of any library that is installed."""

from __future__ import annotations

import numpy as np
import pytest

KINDS = ["numpy", "pandas", "polars", "torch", "jax", "dask"]
DASK_FRAME = "dask frame"
FRAMES = ("pandas", "polars")
TENSORS = ("torch", "jax")


def given(A, kind, names="abcdefgh"):
    """A NumPy array as another kind; skips where its library is missing."""
    A = np.ascontiguousarray(A)
    columns = None if A.ndim == 1 else list(names[: A.shape[1]])
    if kind == "numpy":
        return A
    if kind == DASK_FRAME:
        return dask_frames().from_pandas(given(A, "pandas", names), npartitions=3)
    module = pytest.importorskip(kind, reason=f"{kind} is not installed")
    if kind == "pandas":
        index = np.arange(len(A)) + 100
        return (
            module.Series(A, index=index, name="y")
            if A.ndim == 1
            else module.DataFrame(A, index=index, columns=columns)
        )
    if kind == "polars":
        return module.Series("y", A) if A.ndim == 1 else module.DataFrame(A, schema=columns)
    if kind == "torch":
        return module.from_numpy(A)
    if kind == "jax":
        return jax_array(A)
    dask = pytest.importorskip("dask.array", reason="dask.array is not installed")
    return dask.from_array(A, chunks=(7, *(2,) * (A.ndim - 1)))


def dask_frames():
    try:
        import dask.dataframe
    except ImportError as error:  # dask itself, or a pyarrow that this NumPy can use
        pytest.skip(f"no dask.dataframe: {error}")
    return dask.dataframe


def jax_array(A):
    import jax

    with jax.enable_x64(True) if hasattr(jax, "enable_x64") else jax.experimental.enable_x64(True):
        return jax.device_put(A)


def as_numpy(A):
    return np.asarray(A.to_numpy() if hasattr(A, "to_numpy") else A)


def same(A, B):
    """Equal up to the rounding that the layout of X makes in one and the same algorithm."""
    A, B = as_numpy(A), as_numpy(B)
    np.testing.assert_allclose(A, B, rtol=0, atol=1e4 * np.finfo(B.dtype).eps * max(1.0, np.abs(B).max()))
