"""The GPU kernels for iterates that live in host memory.

The large array of a fit is X; it stays on the device (`fastmtl.designs.DeviceDesign`). Iterates and scores are small beside
it, and what is done to them once an outer iteration is bound by memory, so that a trip over the bus costs more than it
saves. What remains is the descent on compact problems and the decomposition for singular values: those go to the device
once they are large, and to the CPU kernels otherwise.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from .. import cpu
from .._interface import Array, BlockShrink, Descent, Quadratic
from ..cpu import (
    block_scores,
    correlate,
    duality_gap,
    penalty_value,
    predict,
    prepare_columns,
    prox,
    sweep_columns,
    tridiagonal_factor,
    tridiagonal_multiply,
    tridiagonal_solve,
)
from . import _cupy, _spectral, _sweep
from ._cupy import cupy
from ._shrink import on_device

__all__ = [
    "block_scores", "correlate", "duality_gap", "penalty_value", "predict", "prepare_columns", "prox", "singular_shrink",
    "sweep", "sweep_batch", "sweep_columns", "tridiagonal_factor", "tridiagonal_multiply", "tridiagonal_solve", "xp",
]  # fmt: skip

xp: Any = np

EPOCHS_A_CALL = 256
"""Epochs that a sweep should be asked for at a time: it stops by itself, and every call crosses the bus."""

SWEEP_WORK = 5_000_000
"""Multiplications of one epoch, s^2 t, from which a descent goes to the device: below, a CPU core is through before the
latency of a few hundred dependent steps is paid."""

SHRINK_WORK = 100_000_000
"""Multiplications, p t min(p, t), from which singular values are thresholded on the device."""


class DeviceFault(RuntimeError):
    """The device gave a result that cannot be: not a number from finite input."""


class _Grams:
    """The device copy of the Gram matrix used last: a restricted problem is swept several times."""

    def __init__(self) -> None:
        self.host: Any = lambda: None
        self.copy: Any = None

    def of(self, gram: np.ndarray) -> Any:
        """The device copy of a C-contiguous Gram matrix."""
        base = gram if gram.base is None else gram.base
        if self.host() is not base or self.copy.shape != gram.shape:
            self.forget()
            self.copy = cupy.asarray(np.ascontiguousarray(gram, dtype=np.float64))
            self.host = weakref.ref(base, lambda _: self.forget())
        return self.copy

    def forget(self) -> None:
        """Free the copy."""
        self.host, self.copy = (lambda: None), None


_grams = _Grams()


def forget() -> None:
    """Free everything that is kept on the device between calls."""
    _grams.forget()
    cupy.get_default_memory_pool().free_all_blocks()


def sweep(quadratic: Quadratic, shrink: BlockShrink, tol: float, max_epochs: int) -> Descent:
    """Descend on `quadratic + penalty` in place until its duality gap is at most `tol` (absolute).

    Raises
    ------
    DeviceFault
        The gap of a finite problem came back as NaN.
    """
    s, t = quadratic.coef.shape
    if s * s * t < SWEEP_WORK or quadratic.coef.size == 0:
        return cpu.sweep(quadratic, shrink, tol, max_epochs)
    there = Quadratic(
        _grams.of(quadratic.gram),
        np.asarray(quadratic.scale, dtype=np.float64),
        cupy.asarray(np.ascontiguousarray(quadratic.linear, dtype=np.float64)),
        cupy.asarray(np.ascontiguousarray(quadratic.gradient, dtype=np.float64)),
        cupy.asarray(np.ascontiguousarray(quadratic.coef, dtype=np.float64)),
        quadratic.constant,
    )
    if s <= _sweep.DESCEND_ROWS:
        report = _sweep.launch_descend(
            [there], [on_device(shrink)], np.array([tol], dtype=np.float64), max_epochs
        )
        # One trip over the bus for the report and the iterate.
        back = cupy.concatenate([there.coef.ravel(), there.gradient.ravel(), report.ravel()]).get()
        coef, gradient = back[:-2].reshape(2, s, t)
        found = _sweep.as_descent(*back[-2:])
    else:
        found = _sweep.sweep(there, shrink, tol, max_epochs)
        coef, gradient = cupy.stack([there.coef, there.gradient]).get()
    if not (np.isfinite(found.gap) and np.isfinite(coef).all()):
        raise DeviceFault("a descent on the device ended in NaN")
    quadratic.coef[...], quadratic.gradient[...] = coef, gradient
    return found


def sweep_batch(
    quadratics: list[Quadratic], shrinks: list[BlockShrink], tols: Array, max_epochs: int
) -> list[Descent]:
    """`sweep` for many small problems."""
    return [sweep(q, s, float(tol), max_epochs) for q, s, tol in zip(quadratics, shrinks, tols, strict=True)]


def singular_shrink(W: Array, threshold: float) -> tuple[Array, Array, Array]:
    """Singular value soft-thresholding: factors U (p, r), s (r,), Vt (r, t) of the result, s > 0."""
    if W.size * min(W.shape) < SHRINK_WORK:
        return cpu.singular_shrink(W, threshold)
    return tuple(A.get() for A in _spectral.singular_shrink(W, threshold))  # type: ignore[return-value]


def faults() -> tuple[type[BaseException], ...]:
    """What a failing device raises: out of memory, launch failures, impossible results."""
    return (*_cupy.faults(), DeviceFault)
