"""Faults of the device below the solvers: memory, launches, kernels that write NaN, and what is missing at the start."""

from __future__ import annotations

import gc
import math

import numpy as np
import pytest
from gpu_cases import quadratic_of, to_device


def _problem(gpu):
    quadratic, shrink = quadratic_of(12, 3, "rows", np.random.default_rng(0))
    return to_device(gpu.xp, quadratic), to_device(gpu.xp, shrink), 1e-9 * quadratic.constant


@pytest.mark.parametrize("rows", [512, 0], ids=["cyclic", "accelerated"])
def test_memory_errors_at_every_allocation(gpu, device, monkeypatch, rows):
    monkeypatch.setattr(gpu._sweep, "DESCEND_ROWS", rows)
    quadratic, shrink, tol = _problem(gpu)
    gc.collect()
    live, device.allocations = device.live, 0
    gpu.sweep(quadratic, shrink, tol, 2)
    count = device.allocations
    for k in range(1, count + 1):
        quadratic.coef[...] = 0.0
        quadratic.gradient[...] = quadratic.linear
        device.reset()
        device.fail_allocation = k
        with pytest.raises(gpu.out_of_memory()):
            gpu.sweep(quadratic, shrink, tol, 2)
        gc.collect()
        assert device.live == live, f"allocation {k} of {count} left memory behind"
    assert count > 5


@pytest.mark.parametrize("rows", [512, 0], ids=["cyclic", "accelerated"])
def test_launch_failures_are_raised(gpu, device, monkeypatch, rows):
    monkeypatch.setattr(gpu._sweep, "DESCEND_ROWS", rows)
    quadratic, shrink, tol = _problem(gpu)
    for k in (1, 2):
        device.reset()
        device.fail_launch = k
        with pytest.raises(gpu.xp.cuda.driver.CUDADriverError, match="launch failure"):
            gpu.sweep(quadratic, shrink, tol, 64)


@pytest.mark.parametrize("rows", [512, 0], ids=["cyclic", "accelerated"])
def test_nan_ends_a_sweep_and_is_reported(gpu, device, monkeypatch, rows):
    monkeypatch.setattr(gpu._sweep, "DESCEND_ROWS", rows)
    quadratic, shrink, tol = _problem(gpu)
    quadratic.linear[3, 1] = math.nan
    quadratic.gradient[...] = quadratic.linear
    found = gpu.sweep(quadratic, shrink, tol, 10_000)
    assert math.isnan(found.gap)
    assert found.epochs <= 64


def test_probe_names_the_device(gpu, device):
    found = gpu.probe()
    assert found.usable
    assert found.name == "stand-in"
    assert 0 < found.free <= found.total


@pytest.mark.parametrize(
    "status, words",
    [(35, "driver is missing or too old for CUDA 13"), (100, "no CUDA device"), (999, "runtime failed")],
)
def test_probe_says_what_is_missing(gpu, device, status, words):
    device.failure = gpu.xp.cuda.runtime.CUDARuntimeError(status)
    found = gpu.probe()
    assert not found.usable
    assert words in found.reason


@pytest.mark.parametrize(
    "name, answer, words",
    [
        ("getDeviceCount", lambda: 0, "no CUDA device is visible"),
        ("memGetInfo", lambda: 1 / 0, "cannot be used"),
    ],
)
def test_probe_of_a_device_that_does_not_answer(gpu, device, monkeypatch, name, answer, words):
    monkeypatch.setattr(gpu.xp.cuda.runtime, name, answer)
    found = gpu.probe()
    assert not found.usable and words in found.reason


def test_probe_names_missing_libraries(gpu, device, monkeypatch):
    monkeypatch.delattr(gpu.xp.cuda, "cublas")
    found = gpu.probe()
    assert not found.usable
    assert found.reason.startswith("cuBLAS cannot be loaded")


def test_probe_without_cupy(gpu, monkeypatch):
    monkeypatch.setattr(gpu._cupy, "cupy", None)
    monkeypatch.setattr(gpu._cupy, "_failure", "ModuleNotFoundError: No module named 'cupy'")
    found = gpu.probe()
    assert not found.usable
    assert "fastmtl[gpu]" in found.reason
