"""`X' R` and `X W` through cuBLAS; an X that stays in host memory is streamed through the device in panels.

Host panels go through two pinned buffers each for host and device: while one panel is multiplied, the next one is copied.
Two panels, not the whole of X, is all that the device must hold.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .._interface import Array
from ._cupy import cupy

PANEL_BYTES = 1 << 28
"""One streamed panel: large enough that copying hides the launch of a product, small beside any device memory."""


def correlate(X: Array, R: Array) -> Array:
    """`X' R` (p, t) for dense X (n, p), on the device or in host memory, and R (n, t)."""
    R = cupy.asarray(R)
    if not isinstance(X, np.ndarray):
        return X.T @ R
    out = cupy.zeros((X.shape[1], R.shape[1]), dtype=R.dtype)
    for rows, cols, panel in _panels(X):
        if cols is None:
            out += panel.T @ R[rows]
        else:
            out[cols] = panel.T @ R
    return out


def predict(X: Array, W: Array) -> Array:
    """`X W` (n, t) for dense X (n, p), on the device or in host memory, and W (p, t)."""
    W = cupy.asarray(W)
    if not isinstance(X, np.ndarray):
        return X @ W
    out = cupy.zeros((X.shape[0], W.shape[1]), dtype=W.dtype)
    for rows, cols, panel in _panels(X):
        if cols is None:
            out[rows] = panel @ W
        else:
            out += panel @ W[cols]
    return out


def _panels(X: np.ndarray) -> Iterator[tuple[slice | None, slice | None, Array]]:
    """Panels of a host X on the device, as (rows, None, panel) or (None, columns, panel), along X's slow axis."""
    if X.size == 0:
        return
    by_rows = X.flags.c_contiguous and not X.flags.f_contiguous
    stored = X if by_rows else X.T
    dtype = np.dtype(np.float32) if X.dtype == np.float32 else np.dtype(np.float64)
    width = stored.shape[1]
    height = max(1, min(len(stored), PANEL_BYTES // (dtype.itemsize * width)))
    copies, compute = cupy.cuda.Stream(non_blocking=True), cupy.cuda.get_current_stream()
    host = [_pinned((height, width), dtype) for _ in range(2)]
    device = [cupy.empty((height, width), dtype=dtype) for _ in range(2)]
    arrived, used = [cupy.cuda.Event() for _ in range(2)], [cupy.cuda.Event() for _ in range(2)]
    # The pool may have handed out memory that work queued on the compute stream still uses.
    used[0].record(compute)
    copies.wait_event(used[0])

    def send(turn: int, low: int) -> slice:
        part = slice(low, min(low + height, len(stored)))
        count = part.stop - low
        arrived[turn].synchronize()  # the last copy out of this host buffer is over
        host[turn][:count] = stored[part]
        copies.wait_event(used[turn])  # and so is the last product with this device buffer
        device[turn][:count].set(host[turn][:count], stream=copies)
        arrived[turn].record(copies)
        return part

    try:
        part = send(0, 0)
        for step, low in enumerate(range(0, len(stored), height)):
            turn, here = step % 2, part
            if low + height < len(stored):
                part = send(1 - turn, low + height)
            compute.wait_event(arrived[turn])
            panel = device[turn][: here.stop - here.start]
            yield (here, None, panel) if by_rows else (None, here, panel.T)
            used[turn].record(compute)
    finally:
        # Pinned and device buffers must outlive every copy, also when the consumer stops early or fails.
        copies.synchronize()


def _pinned(shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    count = shape[0] * shape[1]
    memory = cupy.cuda.alloc_pinned_memory(count * dtype.itemsize)
    return np.frombuffer(memory, dtype, count).reshape(shape)
