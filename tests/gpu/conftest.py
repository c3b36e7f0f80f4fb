"""Fixtures for the GPU backend without a GPU: the stand-in for CuPy in place of the real one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import standin


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
