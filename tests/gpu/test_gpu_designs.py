"""The laws of designs over those on a device: dense, streamed and sparse."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import test_designs as laws
from test_designs import (  # noqa: F401
    test_columns,
    test_inner_products_of_columns,
    test_moments,
    test_products,
)

from fastmtl.designs import DeviceDesign, SparseDesign, SparseDeviceDesign


def twice(A):
    """A with every entry stored in two halves, out of order."""
    at = sp.coo_matrix(A)
    halves = np.concatenate([at.data, at.data])[::-1] / 2.0
    return sp.csr_matrix((halves, (np.tile(at.row, 2)[::-1], np.tile(at.col, 2)[::-1])), shape=A.shape)


BASES = {
    "columns": lambda A, gpu: DeviceDesign(gpu.xp.asarray(np.asfortranarray(A)), gpu),
    "rows": lambda A, gpu: DeviceDesign(gpu.xp.asarray(np.ascontiguousarray(A)), gpu),
    "float32": lambda A, gpu: DeviceDesign(gpu.xp.asarray(A.astype(np.float32)), gpu),
    "int8": lambda A, gpu: DeviceDesign(gpu.xp.asarray(A.astype(np.int8)), gpu),
    "streamed": lambda A, gpu: DeviceDesign(A, gpu),
    "csc": lambda A, gpu: SparseDeviceDesign(sp.csc_matrix(A), gpu),
    "csr float32": lambda A, gpu: SparseDeviceDesign(sp.csr_matrix(A.astype(np.float32)), gpu),
    "csc int8": lambda A, gpu: SparseDeviceDesign(sp.csc_array(A.astype(np.int8)), gpu),
    "twice": lambda A, gpu: SparseDeviceDesign(twice(A), gpu),
    "csr there": lambda A, gpu: SparseDeviceDesign(gpu.sparse().csr_matrix(sp.csr_matrix(A)), gpu),
}


@pytest.fixture(params=[(base, over) for base in BASES for over in laws.OVER], ids="-".join)
def made(gpu, request):
    base, over = request.param
    return laws.OVER[over](BASES[base](laws.X, gpu)), laws.MEANT[over]


@pytest.mark.parametrize("base", BASES)
def test_home_again(gpu, device, base):
    design = BASES[base](laws.X, gpu).on_host()
    assert not isinstance(design, DeviceDesign)
    np.testing.assert_array_equal(design.take(np.arange(laws.P)), laws.X.T)
    assert design.dtype == (np.float32 if "float32" in base else np.float64)
    assert isinstance(design, SparseDesign) == (
        base in ("csc", "csr float32", "csc int8", "twice", "csr there")
    )


@pytest.mark.parametrize("base", [name for name in BASES if "int8" not in name])
def test_bad_values_are_found(gpu, device, base):
    A = laws.X.copy()
    BASES[base](A, gpu).check_finite()
    A[3, 2] = np.nan
    with pytest.raises(ValueError, match="table holds nan"):
        BASES[base](A, gpu).check_finite("table")


def test_what_was_given_is_not_written_to(gpu, device):
    there = gpu.sparse().csr_matrix(twice(laws.X))
    before = [part.get() for part in (there.data, there.indices, there.indptr)]
    design = SparseDeviceDesign(there, gpu)
    design.correlate(np.ones((laws.N, 1)))
    for part, wanted in zip((there.data, there.indices, there.indptr), before, strict=True):
        np.testing.assert_array_equal(part.get(), wanted)
