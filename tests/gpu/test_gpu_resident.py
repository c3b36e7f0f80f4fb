"""Certificates from residuals and scores that stay on the device are those of the arrays in host memory."""

from __future__ import annotations

import gc
from dataclasses import replace

import numpy as np
import pytest

from fastmtl.certificate import evaluate
from fastmtl.designs import DenseDesign, DeviceDesign, ScaledDesign
from fastmtl.designs.power_scaled import PowerScaledDesign
from fastmtl.penalties import L1, L21, Group, SparseGroup
from fastmtl.problem import Problem
from fastmtl.solvers._resident import Resident

EPS = float(np.finfo(np.float64).eps)
PENALTIES = {
    "l21": L21(0.3),
    "ridge": L21(0.3, l1_ratio=0.5),
    "free rows": L21(0.3, feature_weights=[0.0, 0.0, *[1.0] * 10]),
    "excluded rows": L21(0.3, feature_weights=[np.inf, *[1.0] * 11]),
    "groups out of order": Group(0.3, groups=[[0, 5, 7], [1, 2], [3, 11], [4], [6, 8, 9, 10]]),
    "signs": L21(0.3, l1_ratio=0.5, positive=True),
    "l1": L1(0.1, feature_weights=[np.inf, 0.0, *np.linspace(0.5, 2.0, 10)]),
    "l1 and signs": L1(0.1, positive=True),
    "sparse groups": SparseGroup(
        0.2, groups=[4, 4, 4], group_weights=[1.0, 0.0, 2.0], feature_weights=[np.inf, *[1.0] * 11]
    ),
    "sparse groups out of order": SparseGroup(
        0.3, tau=0.2, groups=[[0, 5, 7], [1, 2], [3, 11], [4], [6, 8, 9, 10]]
    ),
    "sparse groups and signs": SparseGroup(0.2, tau=0.7, groups=[4, 4, 4], positive=True),
    "free group": Group(0.3, groups=[4, 4, 4], group_weights=[1.0, 0.0, 2.0]),
}


def problems(gpu, penalty, weights, *, intercept=True, poison=None):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((30, 12)) + 1.0, rng.standard_normal((30, 5))
    if poison is not None:
        X[poison] = np.nan
    omega = rng.random(30) if weights else 1.0 / 30
    there = DeviceDesign(gpu.xp.asarray(X), gpu)
    return tuple(Problem(design, Y, penalty, omega, intercept) for design in (DenseDesign(X), there))


def close(a, b, size):
    np.testing.assert_allclose(a, b, rtol=0, atol=200 * EPS * size)


def agrees(gpu, penalty, intercept, weights, counted=None):
    """The check on the device is that in host memory, and one read-back where they are `counted`."""
    here, there = problems(gpu, PENALTIES[penalty], weights, intercept=intercept)
    if weights:
        scale = np.linspace(0.5, 2.0, 12)
        here, there = (replace(at, design=ScaledDesign(at.design, scale)) for at in (here, there))
    rng, rows = np.random.default_rng(1), np.array([2, 4, 9])
    resident = Resident.of(there)
    for coef in (np.zeros((3, 5)), rng.standard_normal((3, 5))):
        coef = np.abs(coef) if getattr(here.penalty, "positive", False) else coef
        shift = rng.standard_normal(5) * intercept
        wanted = evaluate(here, coef, shift, rows)
        before = 0 if counted is None else counted.read_backs
        found = resident.check(there, coef, shift, rows)
        assert counted is None or counted.read_backs == before + 1
        size = wanted.certificate.scale * here.null_value + np.abs(wanted.scores).max()
        for name in ("primal", "dual", "gap", "infeasibility"):
            close(getattr(found.certificate, name), getattr(wanted.certificate, name), size)
        if wanted.norms is not None:
            close(found.norms, wanted.norms, size)
        close(np.asarray(found.scores), wanted.scores, size)
        close(found.scores[rows], wanted.scores[rows], size)
        close(found.scores.peaks(), np.abs(wanted.scores).max(axis=1), size)
        close(np.asarray(found.direction), wanted.direction, size)


@pytest.mark.parametrize("weights", [False, True], ids=["even", "weights and scaled columns"])
@pytest.mark.parametrize("intercept", [False, True], ids=["no intercept", "intercept"])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_agrees_with_the_check_in_host_memory(gpu, device, penalty, intercept, weights):
    agrees(gpu, penalty, intercept, weights, device)


@pytest.mark.parametrize(
    "penalty",
    [L1(0.1, l1_ratio=0.5), L21(0.1, positive=True, feature_weights=[0.0, *[1.0] * 11])],
    ids=["l1 beside a ridge", "signs of free rows"],
)
def test_penalties_of_more_than_block_norms_are_checked_in_host_memory(gpu, device, penalty):
    assert Resident.of(problems(gpu, penalty, False)[1]) is None


def test_columns_scaled_by_powers_of_two_are_checked_in_host_memory(gpu, device):
    _, there = problems(gpu, L21(0.1), False)
    exponents = np.arange(12)
    assert Resident.of(replace(there, design=PowerScaledDesign(there.design, exponents))) is None


def test_numbers_that_are_not_finite_are_left_to_the_host(gpu, device):
    _, there = problems(gpu, L21(0.1), False, poison=(3, 7))
    assert Resident.of(there).check(there, np.zeros((0, 5)), np.zeros(5), np.zeros(0, dtype=int)) is None
    _, there = problems(gpu, L21(0.1), False)
    resident = Resident.of(there)
    device.poison_launch = device.launches + 1
    assert resident.check(there, np.zeros((0, 5)), np.zeros(5), np.zeros(0, dtype=int)) is None


def test_memory_goes_with_the_check(gpu, device):
    _, there = problems(gpu, L21(0.1), False)
    gc.collect()
    before = device.live
    check = Resident.of(there).check(there, np.zeros((0, 5)), np.zeros(5), np.zeros(0, dtype=int))
    gc.collect()
    # The two arrays that may still be asked for, V (p, t) and the direction (n, t).
    assert check is not None and device.live - before == 8 * (12 + 30) * 5
    del check
    assert device.live == before
