"""Laws of a path: every alpha certified, equal to single fits, cached gaps true to the data."""

from __future__ import annotations

import numpy as np
import pytest
from engine_cases import PENALTIES, regression

import fastmtl
from fastmtl.penalties import L21

CASES = [pytest.param(penalty, id=name) for name, penalty in PENALTIES.items()]


@pytest.mark.parametrize("penalty", CASES)
@pytest.mark.parametrize("t", [1, 9])
def test_path_equals_single_fits(penalty, t):
    X, Y = regression(t=t)
    path = fastmtl.fit_path(X, Y, penalty, n_alphas=8, tol=1e-8)
    assert len(path) == 8
    assert all(status.converged for status in path.statuses)
    bound = ~penalty.free(X.shape[1])
    assert not path[0].coef[bound].any()
    for i in (2, 7):
        single = fastmtl.fit(X, Y, penalty, alpha=float(path.alphas[i]), tol=1e-8)
        ours, theirs = path.certificates[i], single.certificate
        assert abs(ours.primal - theirs.primal) <= ours.gap + theirs.gap + 1e-11 * abs(ours.primal)


@pytest.mark.parametrize("shape", [(60, 30, 3), (40, 200, 12), (20, 50, 30), (30, 300, 1)])
@pytest.mark.parametrize("weighted", [False, True])
def test_cached_gaps_hold_on_the_data(shape, weighted):
    n, p, t = shape
    X, Y = regression(n=n, p=p, t=t)
    weight = np.random.default_rng(0).uniform(0, 2, n) if weighted else None
    path = fastmtl.fit_path(X, Y, n_alphas=20, tol=1e-7, sample_weight=weight)
    for alpha, fit in zip(path.alphas, path, strict=True):
        again = fit.certify(X, Y, alpha=float(alpha), sample_weight=weight)
        assert again.relative_gap <= fit.certificate.relative_gap + 1e-11
        assert again.relative_gap <= 1e-7 + 1e-11
        assert again.primal == pytest.approx(fit.certificate.primal, rel=1e-9)


def test_columns_far_from_zero_cost_a_path_no_digits():
    X, Y = regression(n=72, p=3, t=3)
    path = fastmtl.fit_path(X + 1e7, Y, n_alphas=5, eps=0.1, tol=1e-9)
    near = fastmtl.fit_path(X, Y, alphas=path.alphas, tol=1e-9)
    for far, one in zip(path, near, strict=True):
        assert far.status.converged
        np.testing.assert_allclose(far.coef, one.coef, rtol=1e-3, atol=1e-4)


def test_given_alphas_are_sorted_and_kept():
    X, Y = regression()
    path = fastmtl.fit_path(X, Y, alphas=[0.1, 0.5, 0.0])
    np.testing.assert_array_equal(path.alphas, [0.5, 0.1, 0.0])
    assert path.coefs.shape == (3, *path[0].coef.shape)
    np.testing.assert_array_equal(path.n_active, [len(fit.support) for fit in path])


def test_path_survives_saving(tmp_path):
    X, Y = regression()
    path = fastmtl.fit_path(X, Y, L21(l1_ratio=0.5), n_alphas=5)
    path.save(tmp_path / "path.npz")
    again = fastmtl.PathResult.load(tmp_path / "path.npz")
    np.testing.assert_array_equal(again.coefs, path.coefs)
    assert again.certificates == path.certificates


def test_slices_are_paths_and_places_count_from_the_end():
    X, Y = regression()
    path = fastmtl.fit_path(X, Y, n_alphas=5, eps=0.1)
    for part in (slice(1, 3), slice(None, None, 2), slice(-2, None), slice(None, None, -1), slice(9, None)):
        some = path[part]
        assert isinstance(some, fastmtl.PathResult) and some.n_features == path.n_features
        np.testing.assert_array_equal(some.alphas, path.alphas[part])
        for fit, i in zip(some, range(5)[part], strict=True):
            np.testing.assert_array_equal(fit.coef, path[i].coef)
            assert fit.certificate == path.certificates[i]
    np.testing.assert_array_equal(path[-1].coef, path[np.int64(4)].coef)
    np.testing.assert_array_equal(path[1:3].coefs, path.coefs[1:3])
    for place in (5, -6):
        with pytest.raises(IndexError, match="5 alphas"):
            path[place]
    for place in ("a", 1.0, None, [0, 1], np.array([0]), (0, 1)):
        with pytest.raises(TypeError, match="a slice was expected"):
            path[place]


@pytest.mark.parametrize("kind", [fastmtl.FitResult, fastmtl.PathResult])
@pytest.mark.parametrize("content", [b"garbage", b"", b"PK\x03\x04 and no more", "array", "arrays"])
def test_other_files_are_refused(tmp_path, kind, content):
    file = tmp_path / "model.npz"
    if content == "array":
        with file.open("wb") as out:
            np.save(out, np.ones(3))
    elif content == "arrays":
        np.savez(file, coef=np.ones(3))
    else:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.npz (cannot be read|is not a model)"):
        kind.load(file)
    with pytest.raises(FileNotFoundError):
        kind.load(tmp_path / "none.npz")


def test_interrupted_path_keeps_what_is_done():
    X, Y = regression(p=60)
    calls = []

    def press(report):
        calls.append(report)
        if len(calls) == 12:
            raise KeyboardInterrupt

    with pytest.raises(fastmtl.FitInterrupted) as caught:
        fastmtl.fit_path(X, Y, n_alphas=50, callback=press)
    assert 0 < len(caught.value.path) < 50


def test_time_limit_cuts_a_path_short():
    X, Y = regression(p=60)
    with pytest.warns(fastmtl.ConvergenceWarning):
        path = fastmtl.fit_path(X, Y, n_alphas=50, time_limit=0.0)
    assert len(path) < 50


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        (dict(alphas=[]), "alphas"),
        (dict(alphas=[-1.0]), "alphas"),
        (dict(alphas=[np.nan]), "alphas"),
        (dict(n_alphas=0), "n_alphas"),
        (dict(eps=0.0), "eps"),
        (dict(eps=1.0), "eps"),
        (dict(penalty=L21(l1_ratio=0.0)), "l1_ratio"),
    ],
)
def test_bad_settings_are_refused_by_name(settings, word):
    X, Y = regression()
    with pytest.raises((ValueError, TypeError), match=word):
        fastmtl.fit_path(X, Y, **settings)
