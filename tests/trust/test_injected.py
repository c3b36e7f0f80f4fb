"""Parts that lie, put in place of ours: the answer is right all the same, or says that it is not."""

from __future__ import annotations

import ctypes
import mmap
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from engine_cases import regression
from exact import judge

import fastmtl
from fastmtl.designs import DenseDesign
from fastmtl.penalties import L21, Trace
from fastmtl.solvers import descend, working_set
from fastmtl_kernels import cpu

TOL = 1e-6
X, Y = regression(n=60, p=120, t=4, active=10)
ALPHA = 0.1 * fastmtl.alpha_max(X, Y)


def fit(penalty: Any = None, **settings: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fastmtl.ConvergenceWarning)
        return fastmtl.fit(X, Y, penalty or L21(ALPHA), tol=TOL, **settings)


def check_honest(result: Any, penalty: Any = None, *, must_converge: bool) -> None:
    """What the certificate says holds, by the judge."""
    found = judge(X, Y, result.coef, result.intercept, penalty or L21(ALPHA), dual=result.dual)
    assert np.isfinite(result.coef).all()
    if must_converge:
        assert result.status == "optimal"
    if result.status.converged:
        assert found.relative_gap <= TOL * (1 + 1e-6)
    else:
        assert not result.certificate.relative_gap <= TOL


class Liar:
    """A function that is replaced by `lie(*args)` on some of its calls."""

    def __init__(self, truth: Any, lie: Any, when: Any) -> None:
        self.truth, self.lie, self.when, self.calls, self.lies = truth, lie, when, 0, 0

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        self.calls += 1
        if self.when(self.calls):
            self.lies += 1
            return self.lie(*args, **keywords)
        return self.truth(*args, **keywords)


@pytest.mark.parametrize("first", [1, 2, 3])
@pytest.mark.parametrize("name", ["correlate", "predict"])
def test_a_blas_that_returns_nan(monkeypatch, name, first):
    """From some call on every product is NaN: no fit may call itself optimal, and none may hang."""
    truth = getattr(DenseDesign, name)
    lie = Liar(truth, lambda *a, **k: np.full_like(truth(*a, **k), np.nan), lambda call: call >= first)
    monkeypatch.setattr(DenseDesign, name, lambda self, *a, **k: lie(self, *a, **k))
    try:
        result = fit(max_iter=5)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
        assert lie.lies and str(error)
        return
    if lie.lies:
        assert not result.status.converged
        assert not result.certificate.relative_gap <= TOL


def test_one_product_of_nan(monkeypatch):
    """A single failure in mid-run is overcome or reported."""
    truth = DenseDesign.correlate
    lie = Liar(truth, lambda *a, **k: np.full_like(truth(*a, **k), np.nan), lambda call: call == 2)
    monkeypatch.setattr(DenseDesign, "correlate", lambda self, *a, **k: lie(self, *a, **k))
    try:
        check_honest(fit(), must_converge=False)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
        assert str(error)
    assert lie.lies == 1


def test_a_bad_extrapolation_is_turned_down(monkeypatch):
    """Steps far off go through the same door as good ones, which lets only those in that lower the objective."""
    turned_down = []

    def wild(form: Any, history: Any) -> bool:
        coef = form.coef + 1e3 * np.random.default_rng(len(turned_down)).standard_normal(form.coef.shape)
        taken = descend.attempt(form, coef, form.follow(coef), form.value(*form.state()))
        turned_down.append(not taken)
        return taken

    monkeypatch.setattr(descend, "extrapolate", wild)
    monkeypatch.setattr(descend, "MOST", 1)  # epochs a call, so that it comes to extrapolations
    monkeypatch.setattr(descend, "finish_cost", lambda shrink: lambda *_: np.inf)
    result = fit(max_iter=100)
    check_honest(result, must_converge=True)
    assert turned_down and all(turned_down)


@pytest.mark.parametrize("consistent", [True, False])
def test_an_extrapolation_past_the_door(monkeypatch, consistent):
    """A state forced on the descent, even one whose gradient does not belong to it, costs time but no truth."""
    count = [0]

    def forced(form: Any, history: Any) -> bool:
        count[0] += 1
        if count[0] > 3:
            return False
        coef = form.coef + 0.5
        form.restore(coef, form.follow(coef if consistent else form.coef))
        return True

    monkeypatch.setattr(descend, "extrapolate", forced)
    monkeypatch.setattr(descend, "MOST", 1)  # epochs a call, so that it comes to extrapolations
    monkeypatch.setattr(descend, "finish_cost", lambda shrink: lambda *_: np.inf)
    check_honest(fit(max_iter=200), must_converge=consistent)


@pytest.mark.parametrize("calls", [1, 3, 10**9])
def test_a_wrongly_screened_feature(monkeypatch, calls):
    """A feature of the support whose score is hidden comes back, or its absence shows in the gap."""
    right = fit()
    hidden = int(np.argmax(np.abs(right.coef).sum(axis=1)))
    truth = working_set._Run._scores

    def scores(self: Any, check: Any) -> Any:
        lie.calls += 1
        out = np.array(truth(self, check))
        if lie.calls <= calls:
            out[hidden] = 0.0
        return out

    lie = Liar(truth, None, None)
    monkeypatch.setattr(working_set._Run, "_scores", scores)
    result = fit(max_iter=30)
    assert lie.calls
    check_honest(result, must_converge=calls <= 3)
    if result.status.converged:
        assert hidden in result.support


def test_a_sweep_that_does_nothing(monkeypatch):
    """Kernels that claim a gap of zero without moving are found out by the certificate."""
    from fastmtl_kernels._interface import Descent

    monkeypatch.setattr(cpu, "sweep", lambda *a: Descent(0.0, 1))
    monkeypatch.setattr(cpu, "sweep_columns", lambda *a: 0.0)
    check_honest(fit(max_iter=20), must_converge=False)


@contextmanager
def flushed_to_zero() -> Iterator[None]:
    """The floating-point unit as a library built with fast-math leaves it: subnormal numbers read and written as zero."""
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\x0f\xae\x17\xc3" + b"\x0f\xae\x1f\xc3")  # ldmxcsr [rdi]; ret   stmxcsr [rdi]; ret
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    load, store = kind(address), kind(address + 4)
    word = ctypes.c_uint32()
    store(ctypes.byref(word))
    before, after = ctypes.c_uint32(word.value), ctypes.c_uint32(word.value | 0x8040)
    load(ctypes.byref(after))
    try:
        yield
    finally:
        load(ctypes.byref(before))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="sets the control word of an x86-64 unit")
@pytest.mark.parametrize("factor", [1.0, 1e-150, 1e150, 1e-300])
@pytest.mark.parametrize("penalty", [L21(), Trace()], ids=["l21", "trace"])
def test_flush_to_zero(factor, penalty):
    """Another library may have told the processor to treat tiny numbers as zero."""
    made = penalty.with_alpha(0.1 * fastmtl.alpha_max(X, Y * factor, penalty))
    with warnings.catch_warnings(), flushed_to_zero():
        # NumPy notices on import-time checks of its own; what it says is not at stake here.
        warnings.filterwarnings("ignore", message="The value of the smallest subnormal")
        assert np.float64(1e-310) * 1.0 == 0.0
        result = fastmtl.fit(X, Y * factor, made, tol=TOL)
    found = judge(X, Y * factor, result.coef, result.intercept, made, dual=result.dual)
    assert result.status == "optimal" and found.relative_gap <= TOL * (1 + 1e-6)
