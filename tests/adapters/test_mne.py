"""MNE-Python with our mixed-norm solver inside: its own tests, and its own measure of the gap."""

from __future__ import annotations

import importlib.util
import inspect
import os
import warnings
from pathlib import Path

import numpy as np
import pytest

from fastmtl.adapters import mne as adapter

mne = pytest.importorskip("mne", reason="MNE-Python is not installed")
from mne.inverse_sparse import mxne_optim  # noqa: E402  (after the skip)

OWN = Path("inverse_sparse") / "tests" / "test_mxne_optim.py"
APPLY = [
    "test_l21_mxne",
    "test_non_convergence",
    "test_tf_mxne_vs_mxne",
    "test_iterative_reweighted_mxne",
]
"""MNE's tests that reach `mixed_norm_solver`; the others are about the time-frequency solver, which is MNE's still."""


def own_tests():
    """MNE's own test file: beside the package, or in the source tree that FASTMTL_MNE_TESTS names (wheels after 1.6 lack it)."""
    named = os.environ.get("FASTMTL_MNE_TESTS")
    for file in ([Path(named)] if named else []) + [Path(mne.__file__).parent / OWN]:
        if file.is_file():
            return file
    return None


def problem(n=40, p=120, t=15, seed=0):
    rng = np.random.default_rng(seed)
    G = rng.standard_normal((n, p)) + 0.5 * rng.standard_normal((n, 1))
    X = np.zeros((p, t))
    X[[3, 4, 5, 60]] = rng.standard_normal((4, t))
    return G @ X + 0.3 * rng.standard_normal((n, t)), G


def strength(M, G, n_orient, share):
    return share * mxne_optim.norm_l2inf(G.T @ M, n_orient)


def test_the_signature_is_theirs():
    theirs = inspect.signature(mxne_optim.mixed_norm_solver).parameters
    ours = inspect.signature(adapter.mixed_norm_solver).parameters
    assert list(theirs) == list(ours)
    assert [p.default for p in theirs.values()] == [p.default for p in ours.values()]


@pytest.mark.parametrize("n_orient", [1, 2, 3])
@pytest.mark.parametrize("share", [0.5, 0.05])
def test_mne_measures_the_gap_that_we_report(n_orient, share):
    M, G = problem()
    alpha = strength(M, G, n_orient, share)
    X, active, E, gap = adapter.mixed_norm_solver(
        M, G, alpha, tol=1e-6, n_orient=n_orient, debias=False, return_gap=True
    )
    assert gap <= 1e-6 and active.shape == (120,) and active.sum() == len(X) and len(X) % n_orient == 0
    theirs, cost, _, _ = mxne_optim.dgap_l21(M, G, X, active, alpha, n_orient)
    rounding = 1e3 * np.finfo(float).eps * cost
    assert abs(E[-1] - cost) <= rounding and theirs <= 1e-6 + rounding


@pytest.mark.parametrize("n_orient", [1, 3])
@pytest.mark.parametrize("debias", [False, True])
def test_sources_agree_with_theirs(n_orient, debias):
    M, G = problem()
    alpha = strength(M, G, n_orient, 0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = mxne_optim.mixed_norm_solver(
            M, G, alpha, tol=1e-9, n_orient=n_orient, debias=debias, solver="bcd", verbose=False
        )
    ours = adapter.mixed_norm_solver(M, G, alpha, tol=1e-9, n_orient=n_orient, debias=debias)
    np.testing.assert_array_equal(ours[1], theirs[1])
    # Strong convexity on the support turns two gaps into a distance: |X - X'| <= sum of sqrt(2 gap / mu).
    mu = np.linalg.eigvalsh(G[:, ours[1]].T @ G[:, ours[1]])[0]
    far = 2 * np.sqrt(2 * 1e-9 / mu) * (1.0 if not debias else 20.0) + (1e-5 if debias else 0.0)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5, atol=far)


def test_a_start_nothing_active_and_bad_input():
    M, G = problem()
    alpha = strength(M, G, 1, 0.3)
    X, active, E = adapter.mixed_norm_solver(M, G, alpha, debias=False)
    start = np.zeros((120, 15))
    start[active] = X
    again = adapter.mixed_norm_solver(M, G, alpha, tol=1e-6, debias=False, X_init=start)
    assert len(again[2]) == 1 and abs(again[2][0] - E[-1]) <= 1e-6
    X, active, E = adapter.mixed_norm_solver(M, G, strength(M, G, 1, 1.0001))
    assert X.shape == (0, 15) and not active.any()
    with pytest.raises(ValueError, match="Wrong dim"):
        adapter.mixed_norm_solver(M, G, alpha, X_init=start[:-1])
    with pytest.raises(ValueError, match="solver"):
        adapter.mixed_norm_solver(M, G, alpha, solver="prox")
    with pytest.warns(RuntimeWarning, match="NOT converge"):
        adapter.mixed_norm_solver(M, G, 0.01 * alpha, maxit=1, tol=1e-13)


def test_installed_is_undone():
    before = mxne_optim.mixed_norm_solver
    with pytest.raises(ZeroDivisionError), adapter.installed():
        assert mxne_optim.mixed_norm_solver is adapter.mixed_norm_solver
        raise ZeroDivisionError
    assert mxne_optim.mixed_norm_solver is before


def recording():
    """64 electrodes on a sphere, the field of a source in it for 0.2 s, and noise: evoked, forward, noise_cov."""
    montage = mne.channels.make_standard_montage("biosemi64")
    info = mne.create_info(montage.ch_names, 200.0, "eeg").set_montage(montage)
    sphere = mne.make_sphere_model("auto", "auto", info, verbose=False)
    space = mne.setup_volume_source_space(sphere=sphere, pos=25.0, exclude=30.0, verbose=False)
    forward = mne.make_forward_solution(info, None, space, sphere, eeg=True, meg=False, verbose=False)
    field = np.outer(forward["sol"]["data"][:, 30:33] @ [1.0, 0.5, 0.2], np.sin(np.arange(40) / 5)) * 1e-8
    field += 0.02 * field.std() * np.random.default_rng(0).standard_normal(field.shape)
    evoked = mne.EvokedArray(field, info, verbose=False).set_eeg_reference(projection=True, verbose=False)
    return evoked, forward, mne.make_ad_hoc_cov(info, verbose=False)


@pytest.mark.slow  # MNE loads much for a forward solution
def test_sources_of_a_whole_inverse_solution_agree_with_theirs():
    """From a recording to sources through `mne.inverse_sparse.mixed_norm`: whitening, depth, orientations, reweighting."""
    data = recording()
    for n_mxne_iter in (1, 3):
        options = dict(
            alpha=40.0, loose=1.0, depth=0.5, tol=1e-10, debias=False, n_mxne_iter=n_mxne_iter, verbose=False
        )
        theirs = mne.inverse_sparse.mixed_norm(*data, **options)
        with adapter.installed():
            ours = mne.inverse_sparse.mixed_norm(*data, **options)
        for one, other in zip(ours.vertices, theirs.vertices, strict=True):
            np.testing.assert_array_equal(one, other)
        # Both are within a gap of 1e-10 of the optimum; sources are off by a root of that at most.
        np.testing.assert_allclose(ours.data, theirs.data, atol=1e-5 * np.abs(theirs.data).max())


@pytest.mark.parametrize("name", APPLY)
def test_mne_s_own_tests_pass_with_our_solver_inside(name, pytestconfig):
    file = own_tests()
    if file is None:
        pytest.skip("this MNE ships no tests; FASTMTL_MNE_TESTS can name its test_mxne_optim.py")
    for mark in ("slowtest", "timeout"):
        pytestconfig.addinivalue_line("markers", f"{mark}: one of MNE's own")
    with adapter.installed(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec = importlib.util.spec_from_file_location("mne_own_tests", file)
        assert spec is not None and spec.loader is not None
        theirs = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(theirs)
        assert theirs.mixed_norm_solver is adapter.mixed_norm_solver
        getattr(theirs, name)()
