"""The kernels in CUDA through CuPy: the same contract as `reference` and `cpu`, arrays on the device.

Importing this package without CuPy works; `probe()` then says what is missing, and anything else fails.
"""

from __future__ import annotations

from ._columns import prepare_columns, sweep_columns
from ._cupy import Probe, out_of_memory, probe, sparse
from ._cupy import cupy as xp
from ._products import correlate, predict
from ._shrink import block_gauges, block_scores, duality_gap, penalty_value, prox
from ._spectral import singular_shrink
from ._sweep import sweep, sweep_batch
from ._tridiagonal import tridiagonal_factor, tridiagonal_multiply, tridiagonal_solve

__all__ = [
    "Probe",
    "block_gauges",
    "block_scores",
    "correlate",
    "duality_gap",
    "out_of_memory",
    "penalty_value",
    "predict",
    "prepare_columns",
    "probe",
    "prox",
    "singular_shrink",
    "sparse",
    "sweep",
    "sweep_batch",
    "sweep_columns",
    "tridiagonal_factor",
    "tridiagonal_multiply",
    "tridiagonal_solve",
    "xp",
]
