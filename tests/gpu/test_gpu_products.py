"""Products, and an X that stays in host memory: panels, buffers, streams."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from gpu_cases import to_host


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1, 1), (70, 33, 4), (5, 0, 2), (0, 5, 2)], ids=str)
def test_products_on_the_device(gpu, device, shape, dtype):
    n, p, t = shape
    rng = np.random.default_rng(0)
    X, R, W = (rng.standard_normal(s).astype(dtype) for s in ((n, p), (n, t), (p, t)))
    before = device.read_backs
    correlated, predicted = (
        gpu.correlate(gpu.xp.array(X), gpu.xp.array(R)),
        gpu.predict(gpu.xp.array(X), gpu.xp.array(W)),
    )
    assert device.read_backs == before
    np.testing.assert_allclose(to_host(correlated), X.T @ R, rtol=1e-4 if dtype == np.float32 else 1e-12)
    np.testing.assert_allclose(to_host(predicted), X @ W, rtol=1e-4 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("order", ["C", "F", "strided"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
@pytest.mark.parametrize("panels", [1, 2, 3, 7])
def test_streamed_products(gpu, device, monkeypatch, panels, dtype, order):
    """Copies of the stand-in happen as late as CUDA allows, so that a missing wait reads NaN or the next panel."""
    n, p, t = 21, 14, 3
    rng = np.random.default_rng(1)
    X = (10 * rng.standard_normal((n, p))).astype(dtype)
    X = {"C": X, "F": np.asfortranarray(X), "strided": np.repeat(X, 2, axis=1)[:, ::2]}[order]
    R, W = rng.standard_normal((n, t)), rng.standard_normal((p, t))
    slow, fast = (n, p) if order == "C" else (p, n)
    monkeypatch.setattr(
        gpu._products, "PANEL_BYTES", -(-slow // panels) * fast * (4 if dtype == np.float32 else 8)
    )
    before = device.transfers
    correlated, predicted = gpu.correlate(X, gpu.xp.array(R)), gpu.predict(X, gpu.xp.array(W))
    assert device.transfers - before == 2 * panels + 2
    np.testing.assert_allclose(
        to_host(correlated), X.T @ R, rtol=1e-4 if dtype == np.float32 else 1e-12, atol=1e-9
    )
    np.testing.assert_allclose(
        to_host(predicted), X @ W, rtol=1e-4 if dtype == np.float32 else 1e-12, atol=1e-9
    )


def test_a_streamed_product_needs_two_panels_not_x(gpu, device, monkeypatch):
    monkeypatch.setattr(gpu._products, "PANEL_BYTES", 8 * 50 * 4)
    X = np.random.default_rng(0).standard_normal((50, 400))
    R = gpu.xp.array(np.ones((50, 1)))
    device.total = device.live + X.nbytes // 4
    np.testing.assert_allclose(to_host(gpu.correlate(np.asfortranarray(X), R)), X.sum(axis=0)[:, None])


def test_a_failure_in_mid_stream_leaves_nothing_behind(gpu, device, monkeypatch):
    monkeypatch.setattr(gpu._products, "PANEL_BYTES", 8 * 20 * 4)
    X, R = np.ones((20, 40), order="F"), gpu.xp.array(np.ones((20, 2)))
    wanted = device.live
    for k in range(1, 40):
        device.reset()
        device.fail_allocation = k
        try:
            total = float(gpu.correlate(X, R).sum())
        except gpu.out_of_memory():
            pass
        else:
            assert total == 20 * 40 * 2
            break
        gc.collect()
        assert device.live == wanted
    else:
        pytest.fail("the product never got through")
    assert k > 5
