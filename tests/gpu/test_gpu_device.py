"""Checks on a real device: `python -m pytest -m gpu tests/gpu`, a few minutes.

`FASTMTL_GPU_STANDIN=1` runs the same checks over the stand-in, to try the checks themselves where there is no device.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import standin
import test_designs as laws_of_designs
import test_gpu_designs as designs
import test_gpu_fit as fits
import test_gpu_kernels as kernels
import test_gpu_resident as resident
import test_laws as laws
from gpu_cases import ALL_SHAPES, DTYPES, quadratic_of, shrink_of, to_device, to_host

import fastmtl
from fastmtl import _cost, backend

pytestmark = pytest.mark.gpu
IS_STANDIN = bool(os.environ.get("FASTMTL_GPU_STANDIN"))
ANY_ORDER = SimpleNamespace(seed=0)
"""Stands where the tests of the kernels set the order of threads: a device has its own."""


@pytest.fixture(scope="module")
def real() -> Iterator[Any]:
    """`fastmtl_kernels.gpu` on the device."""
    if IS_STANDIN:
        standin.DEVICE.reset()
        standin.install()
    try:
        from fastmtl_kernels import gpu

        found = gpu.probe()
        if not found.usable:
            pytest.skip(found.reason)
        yield gpu
    finally:
        if IS_STANDIN:
            standin.remove()


@pytest.fixture
def always_there(real, monkeypatch):
    """Every descent of a fit on the device, however small."""
    from fastmtl_kernels.gpu import hosted

    monkeypatch.setattr(hosted, "SWEEP_WORK", 0)
    monkeypatch.setattr(hosted, "SHRINK_WORK", 0)
    return real


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", ALL_SHAPES[:: 9 if IS_STANDIN else 1], ids=str)
def test_blockwise(real, shape, dtype):
    kernels._blockwise(real, ANY_ORDER, shape, dtype, (0, 1))
    kernels._tridiagonal(real, ANY_ORDER, *shape, dtype, (0,))


@pytest.mark.parametrize("own", [False, True], ids=["one gram", "a gram each"])
@pytest.mark.parametrize("method", ["cyclic", "accelerated"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", kernels.SWEEPS, ids=str)
def test_sweep(real, monkeypatch, shape, dtype, method, own):
    kernels._descends(real, ANY_ORDER, monkeypatch, shape, dtype, method, own, (0, 1, 2))


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csc"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_columns(real, dtype, sparse):
    for shape in ((33, 4, 1), (70, 3, 33), (5, 6, 300), (2100, 2, 3)):
        kernels.test_columns(real, ANY_ORDER, shape, dtype, sparse, True)
        kernels.test_columns(real, ANY_ORDER, shape, dtype, sparse, False)


@pytest.mark.parametrize("options", fits.OPTIONS)
@pytest.mark.parametrize("penalty", fits.PENALTIES)
def test_fits_agree_with_the_cpu(always_there, penalty, options):
    X, Y = fits._data()
    wanted, found = (
        fastmtl.fit(X, Y, fits.PENALTIES[penalty], tol=1e-10, backend=where, **fits.OPTIONS[options])
        for where in ("cpu", "gpu")
    )
    assert found.backend == "gpu"
    assert found.certificate.primal == pytest.approx(wanted.certificate.primal, rel=1e-9)
    single = X.astype(np.float32)
    wanted, found = (
        fastmtl.fit(single, Y, fits.PENALTIES[penalty], backend=where, **fits.OPTIONS[options])
        for where in ("cpu", "gpu")
    )
    assert found.certificate.primal == pytest.approx(wanted.certificate.primal, rel=1e-5)


@pytest.mark.parametrize("penalty", ["l21", "trace"])
@pytest.mark.parametrize("loss", ["logistic", "huber", "poisson"])
def test_other_losses_agree_with_the_cpu(always_there, loss, penalty):
    X, Y = fits._data()
    Y = Y if loss == "huber" else (Y > 0) * 1.0
    wanted, found = (
        fastmtl.fit(X, Y, penalty, alpha=0.05, loss=loss, backend=where) for where in ("cpu", "gpu")
    )
    assert found.backend == "gpu"
    fits._agree(found, wanted, 1e-6)


@pytest.mark.parametrize("over", laws_of_designs.OVER)
@pytest.mark.parametrize("base", designs.BASES)
def test_designs(real, base, over):
    made = (
        laws_of_designs.OVER[over](designs.BASES[base](laws_of_designs.X, real)),
        laws_of_designs.MEANT[over],
    )
    laws_of_designs.test_products(made)
    laws_of_designs.test_columns(made)
    laws_of_designs.test_inner_products_of_columns(made, laws_of_designs.WEIGHT)
    laws_of_designs.test_moments(made, True)


@pytest.mark.parametrize("options", fits.OPTIONS)
@pytest.mark.parametrize("form", ["csc", "csr", "coo", "own"])
def test_sparse_x(always_there, form, options):
    fits.test_sparse_x(always_there, form, options)


@pytest.mark.parametrize("penalty", ["l21", "l1", "trace"])
@pytest.mark.parametrize("loss", ["squared", "logistic", "multinomial"])
def test_tasks_with_an_x_of_their_own(always_there, monkeypatch, loss, penalty):
    fits.test_tasks_with_an_x_of_their_own(always_there, monkeypatch, loss, penalty, False)


@pytest.mark.parametrize("penalty", ["l21", "trace"])
def test_paths_agree_with_the_cpu(always_there, penalty):
    X, Y = fits._data()
    wanted, found = (
        fastmtl.fit_path(X, Y, penalty, n_alphas=10, eps=0.05, tol=1e-10, backend=where)
        for where in ("cpu", "gpu")
    )
    for a, b in zip(found, wanted, strict=True):
        assert a.certificate.primal == pytest.approx(b.certificate.primal, rel=1e-9)


@pytest.mark.parametrize("name", laws.LAWS)
def test_law(always_there, monkeypatch, name):
    """The whole law suite, with every fit on the device that can be served there."""
    monkeypatch.setattr(backend, "NOTHING", 0.0)
    monkeypatch.setattr(backend, "WORTH_A_LOOK", 0.0)
    monkeypatch.setattr(_cost.Constants, "gpu_seconds", lambda *_, **__: 0.0)
    laws._run(name, (2 if IS_STANDIN else 30) * len(laws.LAWS))


@pytest.mark.parametrize("penalty", resident.PENALTIES)
def test_certificates_agree_with_the_host(real, penalty):
    for weights in (False, True):
        resident.agrees(real, penalty, True, weights)


@pytest.mark.parametrize("method", ["cyclic", "accelerated"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_repeated_runs_are_bitwise_equal(real, monkeypatch, dtype, method):
    monkeypatch.setattr(real._sweep, "DESCEND_ROWS", 512 if method == "cyclic" else 0)
    quadratic, shrink = quadratic_of(64, 40, "sparse_group", np.random.default_rng(0), dtype=dtype)
    penalty, seen = to_device(real.xp, shrink), set()
    for _ in range(3 if IS_STANDIN else 50):
        there = to_device(real.xp, quadratic)
        real.sweep(there, penalty, 1e-5 * quadratic.constant, 200)
        seen.add(to_host(there.coef).tobytes())
    assert len(seen) == 1


def test_repeated_fits_are_bitwise_equal(always_there):
    X, Y = fits._data(300, 200, 10)
    seen = {
        fastmtl.fit(X, Y, alpha=0.05, backend="gpu").coef.tobytes() for _ in range(3 if IS_STANDIN else 50)
    }
    assert len(seen) == 1


def test_a_stream_of_the_callers(always_there):
    X, Y = fits._data()
    with always_there.xp.cuda.Stream(non_blocking=True):
        there = always_there.xp.asarray(X)
        found = fastmtl.fit(there, Y, alpha=0.1, tol=1e-10)
        primal = found.certificate.primal
    wanted = fastmtl.fit(X, Y, alpha=0.1, tol=1e-10, backend="cpu")
    assert primal == pytest.approx(wanted.certificate.primal, rel=1e-9)


def test_streamed_products(real, monkeypatch):
    X = np.random.default_rng(0).standard_normal((500, 300 if IS_STANDIN else 3000))
    monkeypatch.setattr(real._products, "PANEL_BYTES", X.nbytes // 7)
    for order in "CF":
        host = np.asarray(X, order=order)
        for t in (1, 40):
            R, W = np.ones((X.shape[0], t)), np.ones((X.shape[1], t))
            np.testing.assert_allclose(to_host(real.correlate(host, R)), X.T @ R, atol=1e-10)
            np.testing.assert_allclose(to_host(real.predict(host, W)), X @ W, atol=1e-10)


def test_more_than_two_to_the_31_elements(real):
    rows, tasks = (2**31 // 64 + 7, 64) if not IS_STANDIN else (71, 64)
    need = 3 * 4 * rows * tasks
    if real.probe().free < need:
        pytest.skip(f"needs {need / 2**30:.0f} GiB of device memory")
    xp = real.xp
    V = xp.zeros((rows, tasks), dtype=np.float32)
    V[-1] = 2.0
    shrink = shrink_of("rows", 1, np.random.default_rng(0))
    ones = xp.ones(rows)
    penalty = shrink._replace(
        ptr=xp.arange(rows + 1, dtype=np.int64), l1=xp.zeros(rows), l2=ones, ridge=xp.zeros(rows)
    )
    W = real.prox(V, 1.0, penalty)
    assert float(W[-1, -1]) == pytest.approx(2.0 * (1 - 1 / 16), rel=1e-6)
    assert float(real.block_scores(V, penalty)[-1]) == pytest.approx(16.0)
    assert real.penalty_value(V, penalty) == pytest.approx(16.0)
    assert not bool(W[: rows - 1].any())


SANITIZED = """
import sys
sys.path[:0] = {path!r}
import numpy as np
from types import SimpleNamespace
from fastmtl_kernels import gpu
import test_gpu_kernels as kernels
device = SimpleNamespace(seed=0)
for shape in ((33, 70), (1, 1)):
    kernels._blockwise(gpu, device, shape, np.float64, (0,))
    kernels._tridiagonal(gpu, device, *shape, np.float64, (0,))
class Patch:
    setattr = staticmethod(setattr)
for method in ("cyclic", "accelerated"):
    kernels._descends(gpu, device, Patch, (40, 33), np.float64, method, False, (0, 1))
for sparse in (False, True):
    kernels.test_columns(gpu, device, (70, 3, 33), np.float64, sparse, True)
"""


@pytest.mark.skipif(
    shutil.which("compute-sanitizer") is None, reason="compute-sanitizer is not here; it comes with CUDA"
)
@pytest.mark.parametrize("tool", ["memcheck", "racecheck", "initcheck", "synccheck"])
def test_sanitizer(real, tool):
    path = [p for p in sys.path if p]
    command = [
        "compute-sanitizer",
        "--tool",
        tool,
        "--error-exitcode",
        "9",
        sys.executable,
        "-c",
        SANITIZED.format(path=path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
