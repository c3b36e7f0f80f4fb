"""Where a fit goes: what `auto` weighs, what an explicit request asks for, what calibration stores."""

from __future__ import annotations

import sys

import pytest
import scipy.sparse as sparse
from engine_cases import regression
from standin import DEVICE

import fastmtl
from fastmtl import _cost, backend


def test_auto_does_not_look_for_a_gpu_for_small_work(on_device, monkeypatch):
    X, Y = regression()
    fit = fastmtl.fit  # loaded before a name that it imports is replaced
    monkeypatch.setattr(backend, "gpu_module", lambda: pytest.fail("a GPU was looked for"))
    found = fit(X, Y, alpha=0.1)
    assert found.backend == "cpu"
    assert "too few for a GPU" in found.backend_reason


def test_auto_looks_earlier_for_a_gpu_where_cupy_is_imported(on_device, monkeypatch):
    monkeypatch.setattr(_cost, "cores", lambda: 16)
    work = _cost.Work(5000, 20_000, 50)
    seconds = _cost.Constants().cpu_seconds(work, 16)
    assert backend.WORTH_A_LOOK_WARM < seconds < backend.WORTH_A_LOOK
    assert "stand-in" in backend.choose_backend("auto", work).reason
    monkeypatch.delitem(sys.modules, "cupy")
    assert "looked for from 2 s" in backend.choose_backend("auto", work).reason


@pytest.mark.parametrize(
    "work, wanted",
    [
        (_cost.Work(100, 50, 5), "cpu"),
        (_cost.Work(2000, 500, 50), "cpu"),
        (_cost.Work(20_000, 20_000, 100), "gpu"),
        (_cost.Work(100_000, 2000, 500, kind="path"), "gpu"),
        (_cost.Work(50_000, 2000, 300, has_moments=True), "gpu"),
    ],
    ids=str,
)
def test_auto_weighs_the_work(on_device, monkeypatch, work, wanted):
    monkeypatch.setattr(_cost, "cores", lambda: 16)
    monkeypatch.setattr(backend, "WORTH_A_LOOK", 0.5)
    monkeypatch.setattr(
        _cost, "load", lambda: _cost.Constants(gpu_start=0.1, bus_bytes=2.5e10, gpu_flops=5e13)
    )
    found = backend.choose_backend("auto", work)
    assert found.name == wanted, found.reason


def test_auto_says_what_is_missing(on_device, monkeypatch):
    work = _cost.Work(20_000, 200_000, 100)
    DEVICE.failure = on_device.xp.cuda.runtime.CUDARuntimeError(35)
    assert "driver" in backend.choose_backend("auto", work).reason
    DEVICE.failure = None
    DEVICE.total = DEVICE.live + 1000
    assert "too few" in backend.choose_backend("auto", work).reason
    monkeypatch.delitem(sys.modules, "cupy")
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: None)
    assert "CuPy is not installed" in backend.choose_backend("auto", work).reason


def test_an_explicit_request_that_cannot_be_met_raises(on_device):
    X, Y = regression()
    DEVICE.failure = on_device.xp.cuda.runtime.CUDARuntimeError(35)
    with pytest.raises(RuntimeError, match="driver is missing or too old"):
        fastmtl.fit(X, Y, alpha=0.1, backend="gpu")
    DEVICE.failure = None
    DEVICE.total = DEVICE.live + 1000
    with pytest.raises(RuntimeError, match="GiB of device memory are needed"):
        fastmtl.fit(X, Y, alpha=0.1, backend="gpu")
    with pytest.raises(RuntimeError, match="sparse X, which is not streamed"):
        fastmtl.fit(sparse.csc_matrix(X), Y, alpha=0.1, backend="gpu")


def test_calibration_is_stored_and_read(gpu, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert _cost.load() == _cost.Constants()
    monkeypatch.setattr(backend, "CALIBRATION_SIZE", 64)
    from fastmtl.cli import main

    assert main(["info", "--calibrate"]) == 0
    assert _cost.load() != _cost.Constants()
    (tmp_path / "fastmtl" / "speeds.json").write_text("{broken")
    assert _cost.load() == _cost.Constants()
