"""A dumped problem is the problem: it runs again to the same bits, and tells nothing but numbers."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from engine_cases import PENALTIES, regression

import fastmtl
from fastmtl.cli import main
from fastmtl.losses import Huber
from fastmtl.penalties import L21, Group, Penalty
from fastmtl.replay import load_problem, replay

X, Y = regression()


def check_same(file, X, Y, penalty="l21", **settings):
    fastmtl.dump_problem(file, X, Y, penalty, **settings)
    first, again = fastmtl.fit(X, Y, penalty, **settings), replay(file)
    assert np.array_equal(first.coef, again.coef) and np.array_equal(first.intercept, again.intercept)
    assert first.certificate == again.certificate


@pytest.mark.parametrize(
    "form",
    [
        np.ascontiguousarray, np.asfortranarray, lambda A: np.repeat(np.repeat(A, 2, 0), 2, 1)[::2, ::2],
        lambda A: A.astype(np.float32), lambda A: A.astype(">f8"), sp.csr_matrix, sp.csc_array, sp.coo_matrix,
    ],
    ids=["c", "f", "strided", "float32", "big_endian", "csr", "csc_array", "coo"],
)  # fmt: skip
def test_every_form_of_x(tmp_path, form):
    check_same(tmp_path / "case.npz", form(X), Y, alpha=0.1)


@pytest.mark.parametrize("name", PENALTIES)
def test_every_penalty(tmp_path, name):
    check_same(tmp_path / "case.npz", X, Y, PENALTIES[name].with_alpha(0.2))


def test_every_setting(tmp_path):
    gaps = np.where(np.arange(120).reshape(Y.shape) % 7 == 0, np.nan, Y)
    check_same(
        tmp_path / "case.npz", X, gaps, alpha=np.float64(0.1), loss=["squared", Huber(0.5), "huber"],
        sample_weight=np.linspace(1, 2, 40), task_weight=[1.0, 2.0, 3.0], offset=0.1 * Y, standardize=True, tol=1e-8,
        scale="sum", fit_intercept=False, max_iter=50,
    )  # fmt: skip
    start = fastmtl.fit(X, Y, alpha=0.2)
    check_same(tmp_path / "case.npz", [X, X[:30]], [Y[:, 0], Y[:30, 1]], alpha=0.1)
    fastmtl.dump_problem(tmp_path / "case.npz", X, Y, alpha=0.1, warm_start=start, verbose=True)
    assert np.array_equal(load_problem(tmp_path / "case.npz")[0]["warm_start"], start.coef)


def test_no_names(tmp_path):
    pandas = pytest.importorskip("pandas", reason="frames need pandas")
    secret = [f"secret{j}" for j in range(12)]
    file = tmp_path / "case.npz"
    words = np.where(Y[:, 0] > 2, "secret_ill", "secret_well")
    penalty = Group(groups=["secret_a", "secret_b"] * 6)
    fastmtl.dump_problem(
        file, pandas.DataFrame(X, columns=secret), words, penalty, alpha=0.01, loss="multinomial"
    )
    with np.load(file, allow_pickle=False) as stored:
        assert all("secret" not in str(stored[name]) and "secret" not in name for name in stored.files)
    expected = fastmtl.fit(X, words, penalty, alpha=0.01, loss="multinomial")
    np.testing.assert_allclose(replay(file).coef, expected.coef, atol=1e-6)


def test_the_command(tmp_path, capsys):
    file = tmp_path / "case.npz"
    fastmtl.dump_problem(file, X, Y, L21(0.1))
    assert main(["replay", str(file)]) == 0
    out = capsys.readouterr().out
    assert f"written with fastmtl {fastmtl.__version__}" in out and "optimal" in out
    np.savez(file, X=X)
    assert main(["replay", str(file)]) == 1
    assert "dump_problem" in capsys.readouterr().err


def test_what_cannot_be_dumped(tmp_path):
    class Mine(Penalty):
        name = "l21"

        def value(self, W):
            return 0.0

        def prox(self, W, step):
            return W

        def conjugate(self, V):
            return 0.0

    with pytest.raises(TypeError, match="Mine"):
        fastmtl.dump_problem(tmp_path / "case.npz", X, Y, Mine(0.1))
    with pytest.raises(TypeError, match="X has dtype"):
        fastmtl.dump_problem(tmp_path / "case.npz", X.astype(complex), Y, alpha=0.1)
    with pytest.raises(OSError):
        fastmtl.dump_problem(tmp_path / "missing" / "case.npz", X, Y, alpha=0.1)
