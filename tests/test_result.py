"""What a fit returns: predictions, scores, files, texts, names."""

from __future__ import annotations

import json
import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import scipy.sparse as sp

import fastmtl
from fastmtl import Certificate, FitInterrupted, FitResult, PathResult, Status

EPS = np.finfo(float).eps


def made(**changes) -> FitResult:
    """A small model, written down by hand: three features, two tasks, the middle feature unused."""
    settings = {
        "coef": np.array([[1.0, 0.0], [0.0, 0.0], [2.0, -1.0]]),
        "intercept": np.array([0.5, -0.5]),
        "penalty": "l21(alpha=0.1)",
        "status": Status.OPTIMAL,
        "certificate": Certificate(1.0, 0.999999, 1e-6, 5e-7, 0.0, 3.0),
        "n_iter": 3,
        "n_observed": np.array([4, 4]),
        "backend": "cpu",
        "backend_reason": "the arrays are in host memory",
        "seconds": 0.01,
        "feature_names": ["a", "b", "c"],
        "task_names": ["u", "v"],
        "history": ((0.001, 0.5, 1), (0.002, 5e-7, 2)),
        "dual": np.arange(8.0).reshape(4, 2),
    }
    return FitResult(**(settings | changes))


def same(a: FitResult, b: FitResult) -> None:
    for name in ("coef", "intercept", "n_observed", "dual"):
        left, right = getattr(a, name), getattr(b, name)
        assert (left is None) == (right is None)
        if left is not None:
            np.testing.assert_array_equal(left, right)
            assert left.dtype == right.dtype
    for name in (
        "penalty",
        "status",
        "certificate",
        "n_iter",
        "backend",
        "seconds",
        "feature_names",
        "task_names",
        "is_1d",
    ):
        assert getattr(a, name) == getattr(b, name)
    assert [tuple(entry) for entry in a.history] == [tuple(entry) for entry in b.history]


def problem(n: int = 30, p: int = 12, t: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    return X, X[:, :3] @ rng.standard_normal((3, t)) + 0.1 * rng.standard_normal((n, t))


def test_prediction_is_the_affine_map():
    X = np.array([[1.0, 9.0, 2.0], [0.0, 9.0, -1.0]])
    np.testing.assert_array_equal(made().predict(X), [[5.5, -2.5], [-1.5, 0.5]])


@pytest.mark.parametrize("dtype", [bool, np.int8, np.float16, np.float32, np.float64])
def test_prediction_takes_any_real_dtype(dtype):
    X = np.array([[1, 1, 0], [0, 1, 1]]).astype(dtype)
    np.testing.assert_array_equal(made().predict(X), [[1.5, -0.5], [2.5, -1.5]])


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csc_matrix, sp.csr_array, sp.coo_matrix])
def test_prediction_takes_sparse_input(kind):
    X = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]])
    Z = made().predict(kind(X))
    assert type(Z) is np.ndarray
    np.testing.assert_array_equal(Z, made().predict(X))


def test_prediction_takes_frames_and_checks_their_names():
    pandas = pytest.importorskip("pandas")
    X = np.array([[1.0, 9.0, 2.0], [0.0, 9.0, -1.0]])
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    np.testing.assert_array_equal(made().predict(frame), made().predict(X))
    with pytest.raises(ValueError, match="columns"):
        made().predict(frame[["c", "b", "a"]])
    with pytest.raises(ValueError, match="'d'"):
        made().predict(frame.rename(columns={"b": "d"}))


def test_a_vector_of_targets_gives_a_vector_of_predictions():
    X, Y = problem()
    result = fastmtl.fit(X, Y[:, 0], alpha=0.1)
    assert result.coef.shape == (12, 1) and result.intercept.shape == (1,)
    assert result.predict(X).shape == (30,)
    assert fastmtl.fit(X, Y[:, :1], alpha=0.1).predict(X).shape == (30, 1)
    assert np.isfinite(result.score(X, Y[:, 0]))


@pytest.mark.parametrize("X", [np.zeros((2, 4)), np.zeros(3)])
def test_prediction_refuses_another_shape(X):
    with pytest.raises(ValueError, match="3 features"):
        made().predict(X)


def test_score_is_the_coefficient_of_determination():
    X = np.random.default_rng(0).standard_normal((20, 3))
    model = made()
    Z = model.predict(X)
    assert model.score(X, Z) == 1.0
    np.testing.assert_allclose(
        model.score(X, np.column_stack([Z[:, 0], 2 * Z[:, 1].mean() - Z[:, 1]]), per_task=True), [1, -3]
    )
    with pytest.raises(ValueError, match="shape"):
        model.score(X, Z[:, :1])


def test_score_of_constant_targets():
    model = made(coef=np.zeros((3, 2)))
    X = np.ones((5, 3))
    np.testing.assert_array_equal(model.score(X, np.tile([0.5, 1.0], (5, 1)), per_task=True), [1.0, 0.0])


def classes(loss: str) -> tuple[np.ndarray, np.ndarray, FitResult]:
    """Samples with equal rows among them, so that some predictions tie; their labels; a fit."""
    rng = np.random.default_rng(0)
    X = rng.integers(-1, 2, (40, 3)).astype(float)
    noisy = X[:, 0] + rng.standard_normal(40)
    labels = (noisy > 0).astype(int) if loss == "logistic" else np.digitize(noisy, [-0.5, 0.7])
    return X, labels, fastmtl.fit(X, labels, alpha=0.01, loss=loss)


@pytest.mark.parametrize("loss", ["logistic", "multinomial"])
def test_area_under_the_curve_is_the_share_of_pairs_in_order(loss):
    """One of the class against one of the rest; a tie counts half; several classes count alike."""
    X, labels, fit = classes(loss)
    scores = fit.predict_proba(X)
    areas = []
    for k in [1] if loss == "logistic" else range(3):
        score = scores if scores.ndim == 1 else scores[:, k]
        above = score[labels == k][:, None] - score[labels != k]
        areas.append(np.mean((above > 0) + 0.5 * (above == 0)))
    assert fit.score(X, labels, metric="auc") == pytest.approx(np.mean(areas), abs=40 * EPS)
    assert np.mean(areas) > 0.6


@pytest.mark.parametrize("loss", ["logistic", "multinomial"])
def test_accuracy_is_the_share_of_right_classes(loss):
    X, labels, fit = classes(loss)
    P = fit.predict_proba(X)
    guess = (P > 0.5).astype(int) if P.ndim == 1 else P.argmax(axis=1)
    assert fit.score(X, labels, metric="accuracy") == np.mean(guess == labels)


@pytest.mark.parametrize("loss", ["logistic", "multinomial"])
def test_a_class_without_samples_has_no_area(loss):
    X, labels, fit = classes(loss)
    with np.errstate(all="raise"):
        assert np.isnan(fit.score(X[labels == 1], labels[labels == 1], metric="auc", per_task=True)).all()
        two = labels != 2
        assert np.isfinite(fit.score(X[two], labels[two], metric="auc"))


def test_a_task_without_observed_targets_has_no_score():
    X, Y = problem()
    fit = fastmtl.fit(X, Y, alpha=0.1)
    Y[:, 1] = np.nan
    scores = fit.score(X, Y, per_task=True)
    np.testing.assert_array_equal(np.isnan(scores), [False, True, False])
    assert fit.score(X, Y) == np.mean(scores[[0, 2]])


@pytest.mark.parametrize(
    ("loss", "metric", "said"),
    [
        ("logistic", "f1", "metric is 'f1'"),
        ("logistic", "r2", "does not apply"),
        ("squared", "auc", "applies to classifications"),
    ],
)
def test_scores_that_do_not_apply_are_refused(loss, metric, said):
    X, labels, _ = classes("logistic")
    with pytest.raises(ValueError, match=said):
        fastmtl.fit(X, labels, alpha=0.1, loss=loss).score(X, labels, metric=metric)


def test_a_label_that_the_fit_did_not_see_is_refused():
    X, labels, fit = classes("multinomial")
    with pytest.raises(ValueError, match="label"):
        fit.score(X, labels + 1)


def test_support_is_the_non_zero_rows():
    np.testing.assert_array_equal(made().support, [0, 2])
    assert made().n_active == 2
    assert made(coef=np.zeros((3, 2))).n_active == 0


@pytest.mark.parametrize(
    "changes", [{}, {"feature_names": None, "dual": None, "history": ()}, {"is_1d": True}]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_models_survive_files_and_pickles(tmp_path, changes, dtype):
    model = made(coef=made().coef.astype(dtype), **changes)
    model.save(tmp_path / "model.npz")
    same(model, FitResult.load(tmp_path / "model.npz"))
    same(model, FitResult.load(str(tmp_path / "model.npz")))
    same(model, pickle.loads(pickle.dumps(model)))


def test_a_fitted_model_survives(tmp_path):
    X, Y = problem()
    model = fastmtl.fit(X, Y, alpha=0.2)
    model.save(tmp_path / "model.npz")
    back = FitResult.load(tmp_path / "model.npz")
    same(model, back)
    np.testing.assert_array_equal(back.predict(X), model.predict(X))


def test_files_hold_no_pickles(tmp_path):
    made().save(tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz", allow_pickle=False) as file:
        assert json.loads(str(file["header"]))["kind"] == "FitResult"
        assert all(file[name].dtype != object for name in file.files)


def test_other_files_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", X=np.zeros(3))
    with pytest.raises(ValueError, match="not a model"):
        FitResult.load(tmp_path / "other.npz")
    fastmtl.fit_path(*problem(), n_alphas=3).save(tmp_path / "path.npz")
    with pytest.raises(ValueError, match="PathResult"):
        FitResult.load(tmp_path / "path.npz")
    with pytest.raises(FileNotFoundError):
        FitResult.load(tmp_path / "missing.npz")


def test_results_are_frozen():
    with pytest.raises(FrozenInstanceError):
        made().n_iter = 4  # pyright: ignore[reportAttributeAccessIssue]  (that it is refused is the point)
    assert replace(made(), n_iter=4).n_iter == 4


def test_texts_fit_one_screen_and_say_what_matters():
    text = repr(made())
    assert len(text.splitlines()) <= 10 and max(map(len, text.splitlines())) <= 110
    for word in ("optimal", "5.00e-07", "3 features", "2 tasks", "cpu"):
        assert word in text
    summary = made().summary()
    assert Status.OPTIMAL.sentence in summary
    assert summary.index("c ") < summary.index("a ")
    assert "<pre>" in made()._repr_html_()
    assert "<b>" not in made(penalty="<b>")._repr_html_()


def test_every_status_has_a_sentence():
    for status in Status:
        assert status.sentence.endswith(".")
        assert str(status) == status.value == status
    assert {s for s in Status if s.converged} == {Status.OPTIMAL, Status.OPTIMAL_TO_PRECISION}


def test_names_come_from_frames():
    pandas = pytest.importorskip("pandas")
    X, Y = problem()
    frame = pandas.DataFrame(X, columns=[f"x{j}" for j in range(12)])
    targets = pandas.DataFrame(Y, columns=["u", "v", "w"])
    result = fastmtl.fit(frame, targets, alpha=0.1)
    assert result.feature_names == list(frame.columns) and result.task_names == ["u", "v", "w"]
    np.testing.assert_allclose(result.predict(frame), result.predict(X), atol=1e-9)
    np.testing.assert_allclose(result.coef, fastmtl.fit(X, Y, alpha=0.1).coef, atol=1e-9)


def test_a_fit_certifies_itself_again():
    X, Y = problem()
    result = fastmtl.fit(X, Y, alpha=0.1)
    again = result.certify(X, Y, alpha=0.1)
    assert again.relative_gap <= result.certificate.relative_gap + 64 * EPS * result.certificate.scale
    assert result.certify(X, Y, alpha=0.2).gap > result.certificate.gap


def test_a_path_is_a_sequence_of_fits(tmp_path):
    X, Y = problem()
    path = fastmtl.fit_path(X, Y, n_alphas=7)
    assert len(path) == len(list(path)) == 7
    assert path.coefs.shape == (7, 12, 3) and path.intercepts.shape == (7, 3)
    assert len(path.certificates) == len(path.statuses) == 7
    for i in (0, 3, 6, -1):
        assert isinstance(path[i], FitResult)
        np.testing.assert_array_equal(path[i].coef, path.coefs[i])
        assert path[i].n_active == path.n_active[i]
    with pytest.raises(IndexError):
        path[7]
    assert path[3].certify(X, Y, alpha=float(path.alphas[3])).relative_gap <= 1e-6
    path.save(tmp_path / "path.npz")
    for back in (PathResult.load(tmp_path / "path.npz"), pickle.loads(pickle.dumps(path))):
        np.testing.assert_array_equal(back.coefs, path.coefs)
        np.testing.assert_array_equal(back.alphas, path.alphas)
        same(back[4], path[4])
    assert "7 alphas" in repr(path)


def test_an_interrupt_makes_its_result_when_asked():
    calls = []
    stop = FitInterrupted("stopped", lambda: calls.append(1) or made())
    assert isinstance(stop, KeyboardInterrupt) and not calls
    assert stop.result is stop.result and stop.path is None
    assert len(calls) == 1
    assert FitInterrupted("stopped", lambda: "p", is_path=True).path == "p"


@pytest.mark.parametrize("missing", ["coef_0", "alphas"])
def test_a_part_of_a_file_is_told_in_a_sentence(missing, tmp_path):
    """A missing array was a bare KeyError."""
    X = np.random.default_rng(0).standard_normal((20, 4))
    fastmtl.fit_path(X, X[:, :2], n_alphas=3).save(tmp_path / "path.npz")
    with np.load(tmp_path / "path.npz") as archive:
        np.savez(tmp_path / "part.npz", **{name: archive[name] for name in archive if name != missing})
    with pytest.raises(ValueError, match=r"part\.npz cannot be read"):
        PathResult.load(tmp_path / "part.npz")


def test_targets_without_any_observed_entry_have_no_score():
    """The mean over no task was a warning of NumPy."""
    X = np.arange(12.0).reshape(4, 3)
    assert np.isnan(made().score(X, np.full((4, 2), np.nan)))


def test_scores_of_lists_of_columns():
    """Targets (n_t, 1), which a fit takes, were scored as matrices."""
    rng = np.random.default_rng(0)
    X = [rng.standard_normal((n, 3)) for n in (9, 12)]
    Y = [x[:, :1] + 0.1 * rng.standard_normal((len(x), 1)) for x in X]
    result = fastmtl.fit(X, Y, alpha=0.01)
    assert result.score(X, Y) == result.score(X, [y[:, 0] for y in Y]) > 0.9


def test_scores_of_a_frame_of_several_types():
    """Columns of one kind of object were all that was left of them."""
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 3))
    Y = pandas.DataFrame({"real": X[:, 0], "word": np.where(X[:, 1] > 0, "a", "b"), "flag": X[:, 2] > 0})
    result = fastmtl.fit(X, Y, alpha=0.01, loss=["squared", "multinomial", "logistic"])
    assert (result.score(X, Y, per_task=True) > 0.5).all()
    with pytest.raises(ValueError, match="Y has shape"):
        made().score(X, np.zeros((1, 30, 2)))
