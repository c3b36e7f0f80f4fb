"""The stand-in refuses what CuPy refuses, and offers nothing that CuPy has not."""

from __future__ import annotations

import gc
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
import standin

import fastmtl
import fastmtl.designs


def test_no_silent_copies(gpu, device):
    A = gpu.xp.array(np.ones(3))
    with pytest.raises(TypeError, match="Implicit conversion"):
        np.asarray(A)
    with pytest.raises(TypeError, match="Unsupported type"):
        A + np.ones(3)
    with pytest.raises(TypeError, match="Unsupported type"):
        np.ones(3) * A
    with pytest.raises(TypeError, match="Unsupported type"):
        A[:] = np.ones(3)
    with pytest.raises(TypeError, match="Unsupported type"):
        gpu.xp.maximum(A, np.ones(3))
    with pytest.raises(TypeError, match="Unsupported type"):
        np.concatenate([A, np.ones(3)])
    assert device.read_backs == 0


def test_read_backs_are_counted(gpu, device):
    A = gpu.xp.array(np.ones(3))
    float(A.sum()), int(A[0]), bool(A.any()), A.get(), A.tolist(), A[1].item(), gpu.xp.asnumpy(A)
    assert device.read_backs == 7
    assert device.read_bytes == 4 * 8 + 3 * 24 - 7, "a boolean is one byte"


def test_memory_is_counted(gpu, device):
    before = device.live
    A = gpu.xp.zeros((10, 10))
    view = A[2:5].T
    assert device.live - before == 800
    del A
    assert device.live - before == 800, "a view keeps its memory"
    del view
    gc.collect()
    assert device.live == before


def test_numpy_functions_are_dispatched(gpu):
    A = gpu.xp.array(np.arange(6.0).reshape(2, 3))
    for out in (
        np.sqrt(A),
        np.einsum("ij,ij->i", A, A),
        np.where(A > 1, A, 0.0),
        np.zeros_like(A),
        A @ A.T,
        np.maximum(A, 0.0),
    ):
        assert isinstance(out, gpu.xp.ndarray)


def test_fresh_memory_is_poisoned(gpu):
    assert np.isnan(gpu.xp.empty(3).get()).all()
    assert np.isnan(gpu.xp.empty_like(gpu.xp.zeros(3)).get()).all()


@pytest.mark.skipif(
    importlib.util.find_spec("cupy") is None, reason="CuPy is not installed; pip install cupy-cuda13x"
)
def test_every_name_that_the_backend_uses_is_cupys(gpu):
    """All of `cupy.a.b` and `xp.a.b` in the sources of the GPU backend exists in the real package."""
    standin.remove()
    try:
        import cupy

        designs = Path(fastmtl.designs.__file__).parent
        for path in [*sorted(gpu._modules.FOLDER.glob("*.py")), *sorted(designs.glob("*.py"))]:
            for chain in re.findall(r"\b(?:cupy|xp)((?:\.[A-Za-z_]\w*)+)", path.read_text()):
                found = cupy
                for part in chain.split(".")[1:]:
                    found = getattr(found, part)
    finally:
        standin.install()
