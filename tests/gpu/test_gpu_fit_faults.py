"""Faults of the device in mid-fit: each ends in the right answer or a clean error, with nothing left on the device."""

from __future__ import annotations

import gc
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sparse
from standin import DEVICE

import fastmtl
from fastmtl import _cost
from fastmtl.penalties import L1

ALL = pytest.mark.slow
TOL = 1e-7
KINDS: dict[str, dict[str, Any]] = {
    "l21": {"alpha": 0.1},
    "sparse groups": {"penalty": "sparse_group", "alpha": 0.1},
    "host scores": {"penalty": L1(0.1, l1_ratio=0.5)},
    "trace": {"penalty": "trace", "alpha": 0.3},
    "logistic": {"alpha": 0.05, "loss": "logistic"},
    "poisson entries": {"penalty": "l1", "alpha": 0.05, "loss": "poisson"},
    "weights by task": {"alpha": 0.1, "task_weight": [1.0, 2.0, 1.0]},
    "huber trace": {"penalty": "trace", "alpha": 0.3, "loss": "huber"},
    "path": {"n_alphas": 3, "eps": 0.2},
    "path of traces": {"penalty": "trace", "n_alphas": 2, "eps": 0.5},
    "streamed": {"alpha": 0.1},
    "on the device": {"alpha": 0.1},
    "sparse": {"alpha": 0.1},
    "sparse on the device": {"penalty": "sparse_group", "alpha": 0.1},
    "standardised on the device": {"alpha": 0.1, "standardize": True},
    "own designs on the device": {"alpha": 0.1, "standardize": True, "task": np.arange(30) % 2},
    "own designs": {"alpha": 0.1, "task": np.arange(30) % 2},
}


@pytest.fixture
def fits(eager, monkeypatch):
    """Runs a kind of fit with a fault, and gives its fits."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 12))
    Y = X[:, :3] @ rng.standard_normal((3, 3)) + 0.3 * rng.standard_normal((30, 3))

    def run(kind, where, fault=None, k=None):
        given, keywords = X, {"penalty": "l21", **KINDS[kind]}
        if kind == "streamed":
            monkeypatch.setattr(_cost.Work, "x_bytes", property(lambda self: 2.0**60))
            monkeypatch.setattr(_cost.Work, "device_bytes", property(lambda self: 0.0))
        if kind.startswith("sparse") and kind != "sparse groups":
            given = sparse.csr_matrix(X)
        if kind.endswith("on the device") and where != "cpu":
            DEVICE.reset()
            given = eager.xp.asarray(X) if given is X else eager.sparse().csr_matrix(given)
        targets = (
            (Y > 0) * 1.0
            if keywords.get("loss") in ("logistic", "poisson")
            else Y[:, 0]
            if "task" in keywords
            else Y
        )
        DEVICE.reset()
        if fault is not None:
            setattr(DEVICE, fault, k)
        door = fastmtl.fit_path if "n_alphas" in keywords else fastmtl.fit
        found = door(given, targets, tol=TOL, backend=where, **keywords)
        found = list(found) if "n_alphas" in keywords else [found]
        return [getattr(fit, "host", fit) for fit in found]

    return run


def _right(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        assert a.status.converged
        slack = a.certificate.gap + b.certificate.gap + 1e-12
        assert abs(a.certificate.primal - b.certificate.primal) <= slack


def _emptied():
    from fastmtl_kernels.gpu import hosted

    hosted.forget()
    gc.collect()
    return DEVICE.live


def _places(count, every):
    """All places of a fault, or some of them with both ends."""
    assert count > 0
    return range(1, count + 1) if every else sorted({1, count // 2, count})


EVERY = pytest.mark.parametrize("every", [False, pytest.param(True, marks=ALL)], ids=["some", "all"])


@EVERY
@pytest.mark.parametrize("kind", KINDS)
def test_memory_errors(fits, kind, every):
    wanted = fits(kind, "cpu")
    _right(fits(kind, "auto"), wanted)
    count, live = DEVICE.allocations, _emptied()
    assert count > 10
    for k in _places(count, every):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = fits(kind, "auto", "fail_allocation", k)
        fell_back = any("starts again on the CPU" in str(w.message) for w in caught)
        if fell_back:
            assert found[0].backend == "cpu" and "device failed" in found[0].backend_reason
        else:
            # Handing results back to the device makes room for them and tries again.
            assert kind.endswith("on the device") and k > count - 3
        _right(found, wanted)
        del found
        assert _emptied() == live, f"allocation {k} of {count} left memory behind"
        if fell_back:
            with pytest.raises(MemoryError, match="backend='auto'"):
                fits(kind, "gpu", "fail_allocation", k)
        assert _emptied() == live, f"allocation {k} of {count} left memory behind"


@EVERY
@pytest.mark.parametrize(
    "kind",
    ["l21", "sparse groups", "host scores", "logistic", "path", "huber trace", "own designs", "sparse"],
)
def test_launch_failures(fits, kind, every):
    wanted = fits(kind, "cpu")
    fits(kind, "gpu")
    count, live = DEVICE.launches, _emptied()
    for k in _places(count, every) if count else ():
        with pytest.warns(RuntimeWarning, match="launch failure"):
            _right(fits(kind, "auto", "fail_launch", k), wanted)
        with pytest.raises(RuntimeError, match="launch failure"):
            fits(kind, "gpu", "fail_launch", k)
        assert _emptied() == live


@EVERY
@pytest.mark.parametrize(
    "kind",
    ["l21", "sparse groups", "host scores", "logistic", "path", "on the device", "own designs", "sparse"],
)
def test_kernels_that_write_nan(fits, kind, every):
    """The right answer, from the CPU where need be; under an explicit request that or an error that names the NaN."""
    wanted = fits(kind, "cpu")
    fits(kind, "gpu")
    count, live, refused = DEVICE.launches, _emptied(), 0
    for k in _places(count, every):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            _right(fits(kind, "auto", "poison_launch", k), wanted)
        fell_back = any("NaN" in str(w.message) for w in caught)
        try:
            _right(fits(kind, "gpu", "poison_launch", k), wanted)
        except RuntimeError as error:
            assert fell_back and "NaN" in str(error)
            refused += 1
        assert _emptied() == live
    assert refused or not every
