"""The command line: every kind of data file, models that load again, errors in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

import fastmtl
from fastmtl import cli
from fastmtl.cli import demo, files, info
from fastmtl.cli.files import read_problem

ROOT = Path(__file__).resolve().parent.parent
NAMES = ["a", "b", "c", "d", "e"]
TASKS = ["u", "v"]


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 5)).round(3)
    return X, (X[:, :2] @ rng.standard_normal((2, 2)) + 0.1 * rng.standard_normal((40, 2))).round(3)


def write(kind: str, folder: Path, X: np.ndarray, Y: np.ndarray) -> list[str]:
    """The problem in one of the ways it may be stored, as the words of a command."""
    file = folder / f"data.{kind.split('-')[0]}"
    if kind == "npz":
        np.savez(file, X=X, Y=Y, feature_names=NAMES, task_names=TASKS)
    elif kind == "npz-other":
        np.savez(file, features=X, targets=Y)
        return [str(file), "--x", "features", "--y", "targets"]
    elif kind == "npz-csr":
        A = sp.csr_matrix(X)
        np.savez(file, data=A.data, indices=A.indices, indptr=A.indptr, shape=A.shape, Y=Y)
    elif kind == "npz-two":
        sp.save_npz(file, sp.csc_matrix(X))
        np.save(folder / "Y.npy", Y)
        return [str(file), str(folder / "Y.npy")]
    elif kind == "npz-one":
        np.savez(file, anything=X)
        np.save(folder / "Y.npy", Y)
        return [str(file), str(folder / "Y.npy")]
    elif kind == "npy":
        np.save(file, X)
        np.save(folder / "Y.npy", Y)
        return [str(file), str(folder / "Y.npy")]
    elif kind == "csv":
        np.savetxt(file, np.hstack([X, Y]), "%.3f", ",", header=",".join(NAMES + TASKS), comments="")
        return [str(file), "--targets", "u,v"]
    elif kind == "csv-last":
        np.savetxt(file, np.hstack([X, Y]), "%.3f", ",", header=",".join(NAMES + TASKS), comments="")
        return [str(file), "--targets", "2"]
    elif kind == "csv-two":
        np.savetxt(file, X, "%.3f", ",", header=",".join(NAMES), comments="")
        np.savetxt(folder / "Y.csv", Y, "%.3f", ",", header=",".join(TASKS), comments="")
        return [str(file), str(folder / "Y.csv")]
    elif kind == "parquet":
        pandas = pytest.importorskip("pandas")
        pytest.importorskip("pyarrow")
        pandas.DataFrame(np.hstack([X, Y]), columns=NAMES + TASKS).to_parquet(file)
        return [str(file), "--targets", "u,v"]
    elif kind == "mat":
        scipy.io.savemat(file, {"X": X, "Y": Y})
    elif kind == "mat-sparse":
        scipy.io.savemat(file, {"X": sp.csc_matrix(X), "Y": Y})
    return [str(file)]


KINDS = [
    "npz",
    "npz-other",
    "npz-csr",
    "npz-two",
    "npz-one",
    "npy",
    "csv",
    "csv-last",
    "csv-two",
    "parquet",
    "mat",
    "mat-sparse",
]


@pytest.mark.parametrize("kind", KINDS)
def test_fit_reads_every_kind_of_file(kind, data, tmp_path, capsys):
    X, Y = data
    words = ["fit", *write(kind, tmp_path, X, Y), "--alpha-ratio", "0.1", "-o", str(tmp_path / "model.npz")]
    assert cli.main(words) == 0
    model = fastmtl.FitResult.load(tmp_path / "model.npz")
    expected = fastmtl.fit(X, Y, alpha=0.1 * fastmtl.alpha_max(X, Y))
    # Both answers are within their gap of the optimum; the ridge-free objective is strongly convex here (n > p).
    np.testing.assert_allclose(model.coef, expected.coef, atol=1e-3 * np.abs(expected.coef).max())
    if kind in ("npz", "csv", "csv-last", "csv-two", "parquet"):
        assert model.feature_names == NAMES and model.task_names == TASKS
    printed = capsys.readouterr().out
    assert "optimal" in printed and "FitResult.load" in printed


@pytest.mark.parametrize("has_pandas", [True, False])
def test_csv_reads_alike_with_and_without_pandas(has_pandas, data, tmp_path, monkeypatch):
    if has_pandas:
        pytest.importorskip("pandas")
    else:
        monkeypatch.setitem(sys.modules, "pandas", None)
    X, Y = data
    path, *_ = write("csv", tmp_path, X, Y)
    found = read_problem([path], targets="v,u")
    np.testing.assert_array_equal(found.X, X)
    np.testing.assert_array_equal(found.Y, Y[:, ::-1])
    assert (found.features, found.tasks) == (NAMES, TASKS[::-1])


DAMAGE = {
    "empty": lambda whole: b"",
    "noise": lambda whole: np.random.default_rng(0).bytes(4096),
    "other": lambda whole: b"hello, world\n1\n",
    "head": lambda whole: whole[:10],
    "half": lambda whole: whole[: len(whole) // 2],
}


HARMFUL = [(kind, damage) for kind in ("npz", "npy", "mat", "parquet", "csv") for damage in DAMAGE]
HARMFUL.remove(("csv", "half"))  # half a table is one


@pytest.mark.parametrize(("kind", "damage"), HARMFUL)
@pytest.mark.parametrize("has_pandas", [True, False])
def test_a_damaged_file_is_told_in_a_sentence(kind, damage, has_pandas, data, tmp_path, monkeypatch, capsys):
    """Each reader has errors of its own, of zip files, of an early end, of SciPy, of Arrow."""
    X, Y = data
    words = write(kind, tmp_path, X, Y)
    if not has_pandas:
        monkeypatch.setitem(sys.modules, "pandas", None)
    file = Path(words[0])
    file.write_bytes(DAMAGE[damage](file.read_bytes()))
    assert cli.main(["fit", *words, "--alpha", "0.1"]) == cli.FAILED
    said = capsys.readouterr().err
    assert said.startswith("fastmtl: ") and len(said.splitlines()) == 1
    assert str(file) in said


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_problem_is_told_in_a_sentence(damage, data, tmp_path, capsys):
    file = tmp_path / "case.npz"
    fastmtl.dump_problem(file, *data, alpha=0.1)
    file.write_bytes(DAMAGE[damage](file.read_bytes()))
    assert cli.main(["replay", str(file)]) == cli.FAILED
    said = capsys.readouterr().err
    assert said.startswith(f"fastmtl: {file}") and len(said.splitlines()) == 1


@pytest.mark.parametrize("hidden", ["pandas", "pyarrow"])
def test_parquet_says_what_to_install(hidden, data, tmp_path, monkeypatch):
    """pandas alone cannot read it either."""
    pytest.importorskip("pandas")
    monkeypatch.setitem(sys.modules, hidden, None)
    (tmp_path / "a.parquet").write_bytes(b"")
    with pytest.raises(ImportError, match="pip install pandas pyarrow"):
        read_problem([str(tmp_path / "a.parquet")], targets="1")


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_parquet_of_every_kind_of_number(library, tmp_path):
    """Truth, whole numbers and halves, with gaps where there are; anything else is named."""
    frames, _ = pytest.importorskip(library), pytest.importorskip("pyarrow")
    columns = {"a": [True, False], "b": [1, None], "c": [0.5, 1.5]}
    write = "to_parquet" if library == "pandas" else "write_parquet"
    getattr(frames.DataFrame(columns), write)(tmp_path / "a.parquet")
    found = read_problem([str(tmp_path / "a.parquet")], targets="b")
    np.testing.assert_array_equal(found.X, [[1.0, 0.5], [0.0, 1.5]])
    np.testing.assert_array_equal(found.Y, [[1.0], [np.nan]])
    getattr(frames.DataFrame({**columns, "d": ["x", "y"]}), write)(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a\.parquet has columns that are not numbers: d;"):
        read_problem([str(tmp_path / "a.parquet")], targets="b")


@pytest.mark.parametrize("has_pandas", [True, False])
def test_the_last_columns_are_taken_by_place(has_pandas, tmp_path, monkeypatch):
    """Two columns of one name: the first of them was read twice as Y, and the second left among the features."""
    if has_pandas:
        pytest.importorskip("pandas")
    else:
        monkeypatch.setitem(sys.modules, "pandas", None)
    file = tmp_path / "a.csv"
    file.write_text("x,u,u\n1,2,3\n4,5,6\n")
    found = read_problem([str(file)], targets="2")
    np.testing.assert_array_equal(found.X, [[1.0], [4.0]])
    np.testing.assert_array_equal(found.Y, [[2.0, 3.0], [5.0, 6.0]])
    for targets in ("x,x", *([] if has_pandas else ["u"])):  # pandas gives the second u another name
        with pytest.raises(ValueError, match="more than once"):
            read_problem([str(file)], targets=targets)


def test_an_empty_cell_is_a_gap(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("a,b\n1,\n2,3\n")
    for hidden in (False, True):
        if hidden:
            monkeypatch.setitem(sys.modules, "pandas", None)
        np.testing.assert_array_equal(
            read_problem([str(tmp_path / "a.csv")], targets="b").Y, [[np.nan], [3.0]]
        )


def test_a_newer_matlab_file_is_named(tmp_path):
    """Version 7.3 is HDF5 behind a header of 128 bytes."""
    (tmp_path / "new.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(512))
    with pytest.raises(ValueError, match=r"new\.mat.*-v7"):
        read_problem([str(tmp_path / "new.mat")])


def test_one_array_is_no_problem(tmp_path, capsys):
    with (tmp_path / "case.npz").open("wb") as file:
        np.save(file, np.ones(3))
    assert cli.main(["replay", str(tmp_path / "case.npz")]) == cli.FAILED
    assert "it holds one array" in capsys.readouterr().err


def test_cell_arrays_are_one_design_a_task(tmp_path):
    X = np.empty((1, 2), dtype=object)
    X[0, 0], X[0, 1] = np.ones((3, 2)), np.zeros((4, 2))
    scipy.io.savemat(tmp_path / "cells.mat", {"X": X, "Y": X})
    found = read_problem([str(tmp_path / "cells.mat")])
    assert [x.shape for x in found.X] == [(3, 2), (4, 2)]


def test_path_saves_itself_and_one_model(data, tmp_path, capsys):
    X, Y = data
    words = ["path", *write("npz", tmp_path, X, Y), "--n-alphas", "6", "--eps", "0.05", "--at", "3"]
    assert cli.main([*words, "-o", str(tmp_path / "path.npz"), "--model", str(tmp_path / "model.npz")]) == 0
    path = fastmtl.PathResult.load(tmp_path / "path.npz")
    model = fastmtl.FitResult.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(model.coef, path[3].coef)
    assert model.feature_names == NAMES
    assert len(capsys.readouterr().out.splitlines()) < 20
    assert cli.main([*words, "--alphas", "0.5,0.1"]) == 1
    assert "--at 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        ["--penalty", "l1", "--l1-ratio", "0.5"],
        ["--penalty", "group", "--groups", "2,3"],
        ["--penalty", "sparse_group", "--tau", "0.3", "--groups", "2,3"],
        ["--positive", "--no-intercept", "--scale", "sum"],
        [
            "--standardize",
            "--tol",
            "1e-9",
            "--max-iter",
            "50",
            "--time-limit",
            "60",
            "--threads",
            "1",
            "--backend",
            "cpu",
        ],
    ],
)
def test_options_reach_the_fit(options, data, tmp_path):
    X, Y = data
    assert cli.main(["fit", *write("npz", tmp_path, X, Y), "--alpha-ratio", "0.2", *options]) == 0


@pytest.mark.parametrize("loss", ["logistic", "huber", "poisson", "multinomial"])
def test_losses_are_known_by_name(loss, data, tmp_path, capsys):
    X, Y = data
    targets = {"huber": Y, "multinomial": np.digitize(Y[:, 0], [-0.5, 0.5])}.get(loss, (Y > 0).astype(int))
    np.savez(tmp_path / "data.npz", X=X, Y=targets)
    words = [str(tmp_path / "data.npz"), "--loss", loss]
    assert cli.main(["fit", *words, "--alpha-ratio", "0.5", "-o", str(tmp_path / "model.npz")]) == 0
    assert fastmtl.FitResult.load(tmp_path / "model.npz").loss == loss
    assert cli.main(["path", *words, "--n-alphas", "4", "--eps", "0.1"]) == 0
    assert ("R^2" in capsys.readouterr().out) == (loss == "huber")


def test_group_labels_come_from_a_file(data, tmp_path):
    X, Y = data
    np.save(tmp_path / "labels.npy", np.array([0, 1, 0, 1, 1]))
    words = ["fit", *write("npz", tmp_path, X, Y), "--alpha-ratio", "0.2", "--penalty", "group", "--groups"]
    assert cli.main([*words, str(tmp_path / "labels.npy"), "-o", str(tmp_path / "model.npz")]) == 0
    penalty = fastmtl.penalties.Group(groups=[0, 1, 0, 1, 1])
    expected = fastmtl.fit(X, Y, penalty, alpha=0.2 * fastmtl.alpha_max(X, Y, penalty))
    np.testing.assert_array_equal(fastmtl.FitResult.load(tmp_path / "model.npz").coef, expected.coef)


def test_an_early_stop_is_saved_and_told(data, tmp_path, capsys):
    X, Y = data
    words = ["fit", *write("npz", tmp_path, X, Y), "--alpha-ratio", "0.01", "--time-limit", "0"]
    assert cli.main([*words, "-o", str(tmp_path / "model.npz")]) == cli.NOT_CONVERGED
    assert "relative gap" in capsys.readouterr().err
    assert fastmtl.FitResult.load(tmp_path / "model.npz").status is fastmtl.Status.TIME_LIMIT


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing.npz"], "missing.npz"),
        (["data.txt"], ".txt"),
        (["data.npz", "--x", "Z"], "it holds X, Y"),
        (["data.npz", "--targets", "u"], "--targets"),
        (["data.npy"], "two files"),
        (["data.npy", "data.npy", "data.npy"], "3 files"),
        (["table.csv"], "--targets"),
        (["table.csv", "--targets", "w"], "no column w"),
        (["table.csv", "--targets", "9"], "--targets 9"),
        (["table.csv", "--targets", "a,b"], "at least one feature"),
        (["text.csv", "--targets", "a"], "text.csv"),
        (["empty.csv", "--targets", "a"], "empty"),
        (["ragged.csv", "--targets", "a"], "ragged.csv"),
        (["data.npz", "--penalty", "nonsense"], "nonsense"),
        (["data.npz", "--penalty", "l21", "--tau", "0.5"], "--tau"),
        (["data.npz", "--penalty", "group", "--groups", "x"], "--groups"),
        (["data.npz", "--penalty", "group", "--groups", "empty.npy"], "empty.npy cannot be read"),
        (["data.npz", "--penalty", "trace", "--tau", "0.5"], "takes none of --tau"),
        (["table.csv", "data.npz", "--targets", "a"], "two files"),
        (["two.npz", "data.npy"], "--x"),
        (["blocks.npz", "data.npy"], "csr or csc"),
        (["shape.npz", "data.npy"], "shape.npz cannot be read"),
        (["table.csv", "--targets", ","], "--targets is ','"),
        (["data.npz", "--tol", "-1"], "tol"),
        (["data.npz", "-o", "nowhere/model.npz"], "nowhere"),
    ],
)
@pytest.mark.parametrize("has_pandas", [True, False])
def test_mistakes_are_told_in_a_sentence(words, said, has_pandas, data, tmp_path, monkeypatch, capsys):
    if has_pandas:
        pytest.importorskip("pandas")
    else:
        monkeypatch.setitem(sys.modules, "pandas", None)
    X, Y = data
    monkeypatch.chdir(tmp_path)
    np.savez("data.npz", X=X, Y=Y)
    np.save("data.npy", X)
    np.savez("two.npz", A=X, B=Y)
    sp.save_npz("blocks.npz", sp.bsr_matrix(X))
    np.savez("shape.npz", data=[1.0], indices=[0], indptr=[0, 1], shape=[-1, 3])
    Path("data.txt").touch()
    Path("table.csv").write_text("a,b\n1,2\n3,4\n")
    Path("text.csv").write_text("a,b\n1,red\n3,blue\n")
    Path("empty.csv").touch()
    Path("empty.npy").touch()
    Path("ragged.csv").write_text("a,b\n1,2\n1,2,3\n")
    assert cli.main(["fit", *words, "--alpha", "0.1"]) == cli.FAILED
    printed = capsys.readouterr()
    assert said in printed.err and printed.err.startswith("fastmtl: ") and "Traceback" not in printed.err
    assert not printed.out


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["fit"],
        ["fit", "data.npz"],
        ["fit", "d.npz", "--alpha", "x"],
        ["path", "d.npz", "--alphas", "1,x"],
        ["demo", "--splits", "0"],
    ],
)
def test_bad_options_exit_with_2(words, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_info_says_what_a_report_needs(capsys):
    assert cli.main(["info"]) == 0
    printed = capsys.readouterr().out
    for word in (
        "fastmtl",
        "numpy",
        "numba",
        "processors",
        "threads",
        "gpu",
        "cache folder",
        os.environ["NUMBA_CACHE_DIR"],
    ):
        assert word in printed


def test_info_names_what_is_missing(monkeypatch, capsys):
    """A package that is not installed, a CuPy whose kernels cannot be imported, no way to ask for processors."""
    monkeypatch.setattr(info, "PACKAGES", ("numpy", "no-such-package"))
    monkeypatch.setattr(info.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "fastmtl_kernels.gpu", None)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert cli.main(["info"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["no-such-package"] == "not installed" and lines["gpu"].startswith("none: ")
    assert int(lines["processors"]) == os.cpu_count()


@pytest.mark.parametrize(
    "stop", [KeyboardInterrupt(), fastmtl.FitInterrupted("stopped at gap 0.1", lambda: None)]
)
def test_an_interrupt_exits_as_shells_have_it(stop, data, tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise stop

    monkeypatch.setattr(fastmtl, "fit", interrupted)
    words = write("npz", tmp_path, *data)
    assert cli.main(["fit", *words, "--alpha", "0.1"]) == cli.INTERRUPTED == 130
    said = capsys.readouterr().err
    assert said == (f"fastmtl: {stop}\n" if str(stop) else "")


def test_the_module_runs():
    path = os.pathsep.join([str(ROOT), str(ROOT / "kernels")])
    done = subprocess.run(
        [sys.executable, "-m", "fastmtl", "--version"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        check=True,
        timeout=120,
    )
    assert done.stdout.strip() == f"fastmtl {fastmtl.__version__}"


def test_demo_compares_on_held_out_data(capsys):
    pytest.importorskip("sklearn")
    assert cli.main(["demo", "--splits", "1"]) == 0
    printed = capsys.readouterr().out
    assert "ten separate" in printed and "multi-task" in printed and "relative gap" in printed


def test_demo_without_its_packages(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    for has_tqdm in (True, False):
        if has_tqdm:
            pytest.importorskip("tqdm")
        else:
            monkeypatch.setitem(sys.modules, "tqdm", None)
        assert list(demo._progress(3, quiet=False)) == [0, 1, 2]
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert cli.main(["demo"]) == cli.FAILED
    assert "fastmtl[demo]" in capsys.readouterr().err


def test_demo_takes_a_digit_that_was_not_drawn():
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    X, labels = rng.uniform(0, 1, (200, 64)), rng.integers(0, 9, 200)  # no nine
    found = demo.trial(X, labels, 0)
    assert np.isfinite([found.joint.r2, found.separate.r2, found.joint.accuracy]).all()


def test_warmup_reaches_every_penalty(capsys):
    assert cli.main(["warmup"]) == 0
    printed = capsys.readouterr().out
    for word in ("sparse", "groups", "path", "cache folder"):
        assert word in printed


def test_supported_endings_are_documented():
    assert all(suffix in cli.FILES for suffix in files.SUFFIXES)
