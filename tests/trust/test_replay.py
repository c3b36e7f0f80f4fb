"""A dumped problem is the problem: it runs again to the same bits, and tells nothing but numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.sparse as sp
from engine_cases import PENALTIES, regression

import fastmtl
from fastmtl.cli import main
from fastmtl.losses import Huber, Multinomial
from fastmtl.penalties import L21, Group, Penalty, SparseGroup
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


RNG = np.random.default_rng(0)
YES = np.where(RNG.random(40) < 0.5, "yes", "no")
CITY = np.array(["rome", "oslo", "bern", "bonn"])[RNG.integers(0, 4, 40)]
PAIR = ["squared", "multinomial"]
GAPS = np.where(RNG.random(Y.shape) < 0.2, np.nan, Y)
COUNTS = RNG.poisson(2.0, (40, 2))
CITIES = Multinomial(("rome", "bonn", "bern", "oslo", "ulm"))
HALVES = [X[:25], X[15:]]


def frame(**columns):
    pandas = pytest.importorskip("pandas", reason="frames need pandas")
    return pandas.DataFrame(columns)


def polar(A):
    return pytest.importorskip("polars", reason="frames need polars").DataFrame(A)


FORMS = {
    "Y_list": lambda: dict(Y=Y.tolist()),
    "Y_list_vector": lambda: dict(Y=Y[:, 0].tolist()),
    "Y_column": lambda: dict(Y=Y[:, :1]),
    "Y_float32": lambda: dict(Y=Y.astype(np.float32)),
    "Y_integers": lambda: dict(Y=COUNTS),
    "Y_gaps": lambda: dict(Y=GAPS),
    "Y_flags": lambda: dict(Y=Y > 0, loss="logistic"),
    "Y_signs": lambda: dict(Y=np.sign(Y), loss="logistic"),
    "Y_counts": lambda: dict(Y=COUNTS, loss="poisson"),
    "Y_classes": lambda: dict(Y=RNG.choice([2, 5, 9], 40), loss="multinomial"),
    "Y_words": lambda: dict(Y=CITY, loss="multinomial"),
    "Y_words_in_objects": lambda: dict(Y=CITY.astype(object), loss="multinomial"),
    "Y_words_in_bytes": lambda: dict(Y=CITY.astype(bytes), loss="multinomial"),
    "Y_words_in_two_columns": lambda: dict(Y=np.stack([CITY, YES], axis=1), loss="multinomial"),
    "Y_words_of_classes": lambda: dict(Y=CITY, loss=CITIES),
    "Y_numbers_of_classes": lambda: dict(Y=RNG.choice([2, 5], 40), loss=Multinomial((9, 2, 5))),
    "Y_list_of_columns": lambda: dict(Y=[Y[:, 0], CITY], loss=PAIR),
    "Y_list_of_lists": lambda: dict(Y=[Y[:, 0].tolist(), CITY.tolist()], loss=PAIR),
    "Y_list_of_columns_with_classes": lambda: dict(Y=[Y[:, 0], CITY], loss=("squared", CITIES)),
    "Y_frame": lambda: dict(Y=frame(a=Y[:, 0], b=COUNTS[:, 0], c=YES == "yes")),
    "Y_frame_of_flags": lambda: dict(Y=frame(a=Y[:, 0], b=YES == "yes"), loss=["squared", "logistic"]),
    "Y_frame_of_words": lambda: dict(Y=frame(a=GAPS[:, 0], b=CITY), loss=PAIR),
    "Y_frame_polars": lambda: dict(Y=polar(Y)),
    "X_list": lambda: dict(X=X.tolist()),
    "X_float16": lambda: dict(X=X.astype(np.float16)),
    "X_longdouble": lambda: dict(X=X.astype(np.longdouble)),
    "X_integers": lambda: dict(X=np.round(3 * X).astype(np.int8)),
    "X_flags": lambda: dict(X=X > 0),
    "X_backwards": lambda: dict(X=X[::-1]),
    "X_broadcast": lambda: dict(X=np.broadcast_to(X[:1], X.shape)),
    "X_frame": lambda: dict(X=frame(a=X[:, 0], b=COUNTS[:, 0], c=YES == "yes")),
    "X_frame_polars": lambda: dict(X=polar(X)),
    "lists": lambda: dict(X=HALVES, Y=[Y[:25, 0], Y[15:, 1]], offset=[Y[:25, 1], None]),
    "lists_tuples": lambda: dict(X=tuple(HALVES), Y=(Y[:25, 0].tolist(), Y[15:, 1].tolist())),
    "lists_sparse": lambda: dict(
        X=[sp.csr_matrix(HALVES[0]), HALVES[1]], Y=[Y[:25, 0], Y[15:, 1]], sample_weight=[None, np.ones(25)]
    ),
    "lists_words": lambda: dict(X=HALVES, Y=[CITY[:25], YES[15:]], loss=["multinomial"] * 2),
    "task_words": lambda: dict(Y=Y[:, 0], task=CITY, sample_weight=np.linspace(1, 2, 40)),
    "task_numbers": lambda: dict(Y=Y[:, :1], task=RNG.choice([7.5, -3.0], 40), task_weight=[1.0, 2.0]),
    "task_of_words": lambda: dict(Y=CITY, task=YES, loss="multinomial"),
    "groups_words": lambda: dict(penalty=Group(groups=list("ccbbaaddeeff"), group_weights=range(6))),
    "groups_pairs": lambda: dict(penalty=Group(groups=[("a", 1)] * 6 + [("a", 0)] * 6)),
    "groups_lists": lambda: dict(penalty=Group(groups=[range(6, 12), np.arange(6)], group_weights="sqrt")),
    "groups_sizes": lambda: dict(penalty=SparseGroup(groups=np.array([4, 8]), tau=np.float32(0.25))),
    "weights_inf": lambda: dict(penalty=L21(feature_weights=[np.inf, 0.0] + [1.0] * 10)),
    "numbers_of_numpy": lambda: dict(
        max_iter=np.int64(30), tol=np.float32(1e-4), n_threads=np.int32(1), fit_intercept=np.False_
    ),
    "limits": lambda: dict(time_limit=np.inf, sample_weight=None, callback=lambda seen: False),
    "huber": lambda: dict(loss=[Huber(np.float64(0.3))] * 3),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_input(tmp_path, name):
    given = dict(X=X, Y=Y, alpha=0.05) | FORMS[name]()
    check_same(tmp_path / "case.npz", **given)


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
    for Z in (Y.astype(object), Y.astype(str), np.ma.masked_greater(Y, 1.0), [Y[:, 0], CITY]):
        with pytest.raises((TypeError, ValueError), match="Y"):
            fastmtl.dump_problem(tmp_path / "case.npz", X, Z, alpha=0.1)
    with pytest.raises(TypeError, match="'alhpa'"):
        fastmtl.dump_problem(tmp_path / "case.npz", X, Y, alhpa=0.1)
    with pytest.raises(TypeError, match="max_iter is"):
        fastmtl.dump_problem(tmp_path / "case.npz", X, Y, max_iter={1})
    with pytest.raises(OSError):
        fastmtl.dump_problem(tmp_path / "missing" / "case.npz", X, Y, alpha=0.1)


@pytest.mark.parametrize("missing", ["X", "settings"])
def test_a_part_of_a_problem_is_told_in_a_sentence(missing, tmp_path):
    """A missing array or entry was a bare KeyError."""
    fastmtl.dump_problem(tmp_path / "case.npz", X, Y, alpha=0.1)
    with np.load(tmp_path / "case.npz") as archive:
        arrays = {name: archive[name] for name in archive}
    header = json.loads(str(arrays.pop("header")))
    arrays.pop(missing, None)
    header.pop(missing)
    np.savez(tmp_path / "part.npz", **arrays, header=np.array(json.dumps(header)))
    with pytest.raises(ValueError, match=rf"part\.npz cannot be read: it has no '{missing}'"):
        replay(tmp_path / "part.npz")
