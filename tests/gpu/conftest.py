"""Fixtures for the GPU backend without a GPU: the stand-in for CuPy in place of the real one."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "trust"))
sys.path.insert(0, str(Path(__file__).parent))

import standin

from fastmtl import _cost, backend


@pytest.fixture
def device() -> Iterator[Any]:
    """The pretended device, without faults; a test that leaks memory on it fails."""
    standin.DEVICE.reset()
    before = standin.DEVICE.live
    yield standin.DEVICE
    standin.DEVICE.reset()
    assert standin.DEVICE.live == before, "device memory was leaked"


@pytest.fixture(scope="module")
def gpu() -> Iterator[Any]:
    """`fastmtl_kernels.gpu` over the stand-in."""
    standin.install()
    try:
        from fastmtl_kernels import gpu

        yield gpu
    finally:
        standin.remove()


@pytest.fixture
def on_device(gpu: Any, device: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The GPU backend with every descent on the device, and constants that are not this machine's."""
    from fastmtl_kernels.gpu import hosted

    # The emulator takes its time thread by thread; the tests of the kernels run whole blocks.
    monkeypatch.setattr(hosted._sweep, "THREADS", 32)
    monkeypatch.setattr(hosted, "SWEEP_WORK", 0)
    monkeypatch.setattr(hosted, "SHRINK_WORK", 0)
    monkeypatch.setattr(_cost, "load", _cost.Constants)
    yield gpu
    hosted.forget()
    gc.collect()


@pytest.fixture
def eager(on_device: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`auto` takes the GPU for the smallest of problems."""
    monkeypatch.setattr(backend, "NOTHING", 0.0)
    monkeypatch.setattr(backend, "WORTH_A_LOOK", 0.0)
    monkeypatch.setattr(_cost.Constants, "gpu_seconds", lambda *_, **__: 0.0)
    return on_device
