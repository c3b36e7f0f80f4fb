"""The estimators: scikit-learn's contract, and the promises that go beyond it."""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the estimators are an optional extra that needs scikit-learn")

import sklearn
import sklearn.linear_model as theirs
from array_kinds import DASK_FRAME, KINDS, given
from estimator_cases import CLASSES, VECTOR, contract, yes_or_no
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification
from sklearn.feature_selection import SelectFromModel
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastmtl
from fastmtl import estimators as ours

DROP_INS = (ours.Lasso, ours.ElasticNet, ours.MultiTaskLasso, ours.MultiTaskElasticNet)
MATRIX = tuple(c for c in CLASSES if c not in VECTOR)
"""Estimators of a matrix y."""


@contract([make() for make in CLASSES])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.mark.slow
@contract([make(alpha=0.01) for make in CLASSES])
def test_scikit_learn_contract_with_coefficients(estimator, check):
    """At alpha=1, the default of most, few coefficients are left."""
    check(estimator)


@pytest.fixture(scope="module")
def data():
    return yes_or_no()


def made(make, **settings):
    return make(**({"alpha": 0.02} | settings))


@pytest.mark.parametrize("make", DROP_INS)
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
def test_same_model_as_scikit_learn(make, fit_intercept, weighted, data):
    """Both objectives are within the bound that `tol` gives, so each is near the other's."""
    X, Y = data
    y = Y if make in MATRIX else Y[:, 0]
    settings = {"alpha": 0.02, "fit_intercept": fit_intercept, "tol": 1e-10, "max_iter": 10**5}
    weights = np.random.default_rng(1).uniform(0.5, 2, len(X)) if weighted else None
    if weighted and make in MATRIX and "sample_weight" not in theirs.MultiTaskLasso.fit.__code__.co_varnames:
        pytest.skip("this scikit-learn's multi-task models take no sample_weight")
    mine = make(**settings).fit(X, y, sample_weight=weights)
    extra = {} if weights is None else {"sample_weight": weights}
    other = getattr(theirs, make.__name__)(**settings).fit(X, y, **extra)
    assert mine.coef_.shape == other.coef_.shape
    assert np.shape(mine.intercept_) == np.shape(other.intercept_)
    np.testing.assert_allclose(mine.coef_, other.coef_, atol=1e-4)
    np.testing.assert_allclose(mine.predict(X), other.predict(X), atol=1e-4)
    np.testing.assert_allclose(mine.sparse_coef_.toarray(), np.atleast_2d(mine.coef_))


@pytest.mark.parametrize("make", DROP_INS)
def test_same_parameters_as_scikit_learn(make):
    mine, other = make().get_params(), getattr(theirs, make.__name__)().get_params()
    assert mine == other


@pytest.mark.parametrize("make", DROP_INS)
@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-8])
def test_tol_bounds_the_gap_as_scikit_learn_states_it(make, tol, data):
    X, Y = data
    y = Y if make in MATRIX else Y[:, 0]
    model = made(make, tol=tol).fit(X, y)
    centred = y - y.mean(axis=0)
    assert 0 <= model.dual_gap_ <= tol * (centred**2).sum() / len(X)


@pytest.mark.parametrize("make", CLASSES)
def test_certificate_is_that_of_the_coefficients(make, data):
    X, Y = data
    y = Y if make in MATRIX else Y[:, 0]
    model = made(make).fit(X, y)
    loss = "logistic" if make is ours.MultiTaskClassifier else "squared"
    again = fastmtl.certify(
        X, y, np.atleast_2d(model.coef_).T, model.intercept_, model._penalty(30, 0.02), loss=loss
    )
    assert again.relative_gap <= 2 * model._relative_tol()
    assert again.primal == pytest.approx(model.certificate_.primal, rel=1e-12)


@pytest.mark.parametrize("make", CLASSES)
def test_sparse_and_other_layouts_give_the_same_model(make, data):
    X, Y = data
    X = np.where(np.abs(X) > 0.7, X, 0.0)
    y = Y if make in MATRIX else Y[:, 0]
    model = made(make, tol=1e-10).fit(X, y)
    for other in (sparse.csr_matrix(X), sparse.csc_matrix(X), sparse.csr_array(X), np.asfortranarray(X)):
        again = made(make, tol=1e-10).fit(other, y)
        # Two objectives within 2 tol P(0) of the optimum; a coefficient of the fitted data moves by its root.
        np.testing.assert_allclose(again.coef_, model.coef_, atol=1e-4)
        np.testing.assert_allclose(again.predict(other), model.predict(X), atol=1e-3)


@pytest.mark.parametrize("make", CLASSES)
def test_clone_and_pickle(make, data):
    X, Y = data
    y = Y if make in MATRIX else Y[:, 0]
    model = made(make).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict(X), model.predict(X))
    assert np.array_equal(clone(model).fit(X, y).coef_, model.coef_)


@pytest.mark.parametrize("make", CLASSES)
def test_warm_start_from_the_answer_needs_no_iteration(make, data):
    X, Y = data
    y = Y if make in MATRIX else Y[:, 0]
    model = made(make, warm_start=True).fit(X, y)
    assert model.n_iter_ > 0
    assert model.fit(X, y).n_iter_ <= 1
    assert model.set_params(warm_start=False).fit(X, y).n_iter_ > 1 or model.n_iter_ == 1


@pytest.mark.parametrize("make", CLASSES)
def test_a_fit_of_another_shape_starts_cold(make, data):
    X, Y = data
    y = Y if make in MATRIX else Y[:, 0]
    warm = made(make, warm_start=True).fit(X, y)
    fewer = (X[:, :20], y), (X[:, :20], y[:, :2] if y.ndim == 2 else np.stack([y, 1 - y], axis=1))
    for part in fewer if make is not ours.MultiTaskClassifier else (*fewer, (X, Y.sum(axis=1)), (X, Y[:, 0])):
        cold = made(make).fit(*part)
        np.testing.assert_array_equal(warm.fit(*part).coef_, cold.coef_)


@pytest.mark.parametrize("make", DROP_INS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_small_print_of_scikit_learn(make, weighted, fit_intercept, data):
    X, Y = data
    y = Y if make in MATRIX else Y[:, 0]
    original = getattr(theirs, make.__name__)
    weights = np.random.default_rng(1).uniform(size=60) if weighted else None
    settings = dict(alpha=0.02, fit_intercept=fit_intercept)
    model, other = make(**settings).fit(X, y, weights), original(**settings).fit(X, y, weights)
    assert model.l1_ratio == other.l1_ratio
    if hasattr(other, "eps_"):
        assert model.eps_ == pytest.approx(other.eps_, rel=1e-12)
        assert 60 * model.dual_gap_ <= model.eps_
    with pytest.raises(ValueError, match="selection"):
        make(**settings, selection="foo").fit(X, y)
    found, wanted = (
        make.path(X, y, alphas=[0.1, 0.02], tol=1e-8),
        original.path(X, y, alphas=[0.1, 0.02], tol=1e-8),
    )
    np.testing.assert_array_equal(found[0], wanted[0])
    np.testing.assert_allclose(found[1], wanted[1], atol=1e-4)
    assert found[2].shape == wanted[2].shape


@pytest.mark.parametrize("make", CLASSES)
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_keep_their_names(make, library, data):
    frames = pytest.importorskip(library, reason=f"{library} is not installed")
    X, Y = data
    features, tasks = [f"gene{j}" for j in range(30)], ["a", "b", "c"]
    table = frames.DataFrame(dict(zip(features, X.T, strict=True)))
    if not hasattr(StandardScaler().fit(table), "feature_names_in_"):
        pytest.skip(f"this version of scikit-learn does not read names from this version of {library}")
    if make in MATRIX:
        targets = frames.DataFrame(dict(zip(tasks, Y.T, strict=True)))
    else:
        targets, tasks = (
            frames.Series("a", Y[:, 0]) if library == "polars" else frames.Series(Y[:, 0], name="a"),
            ["a"],
        )
    model = made(make).fit(table, targets)
    assert model.feature_names_in_.tolist() == features
    assert model.task_names_in_.tolist() == tasks
    plain = made(make).fit(table.to_numpy(), np.asarray(targets))
    assert np.array_equal(model.predict(table), plain.predict(table.to_numpy()))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(table[features[::-1]])


@pytest.mark.parametrize("make", CLASSES)
def test_pipeline_grid_search_and_set_output(make, data):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    X, Y = data
    y = Y if make in MATRIX else Y[:, 0]
    pipe = make_pipeline(StandardScaler(), made(make)).set_output(transform="pandas")
    name = make.__name__.lower()
    search = GridSearchCV(pipe, {f"{name}__alpha": [0.5, 0.01]}, cv=3)
    search.fit(pandas.DataFrame(X, columns=[f"x{j}" for j in range(30)]), y)
    assert search.best_params_ == {f"{name}__alpha": 0.01}
    assert search.best_estimator_[-1].feature_names_in_[0] == "x0"


@pytest.mark.parametrize("make", [ours.MultiTaskLasso, ours.MultiTaskClassifier, ours.MultiTaskLassoCV])
@pytest.mark.parametrize("kind", [*KINDS, DASK_FRAME])
def test_arrays_of_every_kind_are_taken_and_answered_in_numpy(kind, make, data):
    X, Y = data
    table, targets = given(X[:, :6], kind), given(Y, kind)
    settings = {"alphas": [0.1, 0.02], "cv": 2} if make is ours.MultiTaskLassoCV else {"alpha": 0.02}
    plain = make(**settings).fit(X[:, :6], Y)
    model = make(**settings).fit(table, targets, sample_weight=given(np.ones(len(X)), kind))
    np.testing.assert_allclose(model.coef_, plain.coef_, atol=1e-6)
    assert type(model.predict(table)) is np.ndarray
    np.testing.assert_allclose(model.predict(table), plain.predict(X[:, :6]), atol=1e-6)
    assert model.score(table, targets) == pytest.approx(plain.score(X[:, :6], Y), abs=1e-6)
    if kind in ("pandas", DASK_FRAME):
        assert list(model.feature_names_in_) == list("abcdef") and list(model.task_names_in_) == list("abc")
    if kind != DASK_FRAME:  # scikit-learn divides these
        search = GridSearchCV(make(**settings), {"max_iter": [100, 1000]}, cv=2).fit(table, targets)
        assert search.best_estimator_.coef_.shape == (3, 6)


@pytest.mark.parametrize("name", ["X", "y"])
def test_what_numpy_cannot_hold_is_refused_with_its_remedy(name, data):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    polars = pytest.importorskip("polars", reason="polars is not installed")
    for wrong, remedy in (
        (lambda A: torch.from_numpy(A).bfloat16(), "float"),
        (lambda A: torch.from_numpy(A).to_sparse(), "to_dense"),
        (lambda A: polars.DataFrame(A).lazy(), "collect"),
    ):
        X, Y = (wrong(A) if called == name else A for A, called in zip(data, "Xy", strict=True))
        with pytest.raises(TypeError, match=rf"^{name} is .*{name}\.{remedy}\(\)"):
            ours.GroupLasso().fit(X, Y)


def test_selection_of_features(data):
    X, Y = data
    model = made(ours.MultiTaskLasso, alpha=0.08).fit(X, Y)
    kept = SelectFromModel(model, prefit=True, threshold=1e-12).get_support()
    assert np.array_equal(np.flatnonzero(kept), np.flatnonzero(model.coef_.any(axis=0)))


@pytest.mark.parametrize("make", CLASSES)
def test_metadata_routing(make, data):
    """A weight of zero that a grid search routes to the estimator drops the sample."""
    X, Y = data
    y = Y if make in MATRIX else Y[:, 0]
    weights = np.ones(len(X))
    weights[::4] = 0.0
    with sklearn.config_context(enable_metadata_routing=True):
        # The search scores with its estimator's method, which need not take the weights.
        model = made(make).set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        search = GridSearchCV(model, {"alpha": [0.02]}, cv=2).fit(X, y, sample_weight=weights)
    alone = made(make).fit(X[weights > 0], y[weights > 0])
    np.testing.assert_allclose(search.best_estimator_.coef_, alone.coef_, atol=1e-3)


@pytest.mark.parametrize(
    "make", [c for c in CLASSES if c is not ours.TraceNormRegressor]
)  # its solver needs no iteration
def test_convergence_warning_is_caught_under_both_names(make, data):
    X, Y = data
    y = Y if make in MATRIX else Y[:, 0]
    model = made(make, max_iter=0)
    for category in (fastmtl.ConvergenceWarning, sklearn.exceptions.ConvergenceWarning):
        with pytest.warns(category, match="did not converge.*relative gap"):
            model.fit(X, y)


def test_inputs_are_left_alone(data):
    X, Y = (a.copy() for a in data)
    X.flags.writeable = Y.flags.writeable = False
    for make in CLASSES:
        made(make).fit(X, Y if make in MATRIX else Y[:, 0])


def test_float32_stays_float32(data):
    X, Y = data
    for make in CLASSES:
        model = made(make).fit(X.astype(np.float32), Y if make in MATRIX else Y[:, 0])
        assert model.coef_.dtype == np.float32
        assert np.asarray(model.intercept_).dtype == np.float32


def test_group_lasso_keeps_or_drops_whole_groups(data):
    X, Y = data
    labels = np.repeat(np.arange(10), 3)
    model = made(ours.GroupLasso, groups=labels, alpha=0.1).fit(X, Y)
    rows = model.coef_.any(axis=0).reshape(10, 3)
    assert (rows.all(axis=1) == rows.any(axis=1)).all() and 0 < rows.all(axis=1).sum() < 10


def test_trace_norm_lowers_the_rank(data):
    X, Y = data
    top = fastmtl.alpha_max(X, Y, "trace")
    ranks = [ours.TraceNormRegressor(share * top).fit(X, Y).rank_ for share in (1e-3, 0.9, 1.0)]
    assert ranks == [3, 1, 0]


class TestClassifier:
    def test_multilabel(self):
        X, Y = make_multilabel_classification(200, 20, n_classes=4, random_state=0)
        model = ours.MultiTaskClassifier(0.01, standardize=True).fit(X, Y)
        assert model.coef_.shape == (4, 20) and model.classes_.tolist() == [0, 1, 2, 3]
        assert np.array_equal(model.predict(X), model.predict_proba(X) > 0.5)
        assert ((model.predict(X) == Y).mean(axis=0) > np.maximum(Y.mean(0), 1 - Y.mean(0))).all()
        again = ours.MultiTaskClassifier(0.01, standardize=True).fit(X, sparse.csr_matrix(Y))
        assert np.array_equal(again.coef_, model.coef_)

    @pytest.mark.parametrize("labels", [["no", "yes"], ["low", "middle", "high"]])
    @pytest.mark.parametrize("loss", ["auto", "multinomial"])
    def test_labels(self, labels, loss, data):
        X, Y = data
        y = np.array(labels)[Y[:, : len(labels) - 1].sum(axis=1).astype(int)]
        model = ours.MultiTaskClassifier(0.01, loss=loss).fit(X, y)
        P = model.predict_proba(X)
        assert model.classes_.tolist() == sorted(labels)
        np.testing.assert_allclose(P.sum(axis=1), 1.0, rtol=1e-12)
        assert np.array_equal(model.classes_[P.argmax(axis=1)], model.predict(X))
        assert model.score(X, y) > 0.9
        if len(model.intercept_) > 1:
            assert abs(model.intercept_.sum()) <= 1e-14 * np.abs(model.intercept_).sum() + 1e-15

    def test_one_class_and_too_many(self, data):
        X, Y = data
        with pytest.raises(ValueError, match="one class only"):
            ours.MultiTaskClassifier().fit(X, np.zeros(60))
        with pytest.raises(ValueError, match="3 classes"):
            ours.MultiTaskClassifier(loss="logistic").fit(X, np.arange(60) % 3)
        with pytest.raises(ValueError, match="'auto', 'logistic' or 'multinomial'"):
            ours.MultiTaskClassifier(loss="hinge").fit(X, Y)
        for labels in (np.where(Y > 0, "yes", "no"), np.arange(180).reshape(60, 3) % 4):
            with pytest.raises(ValueError, match="must hold: one yes-no task a column"):
                ours.MultiTaskClassifier().fit(X, labels)


class TestGLM:
    @pytest.mark.parametrize("loss", ["squared", "huber", "logistic", "poisson", fastmtl.losses.Huber(0.5)])
    def test_predicts_means(self, loss, data):
        X, Y = data
        model = ours.MultiTaskGLM(0.01, loss=loss).fit(X, Y)
        direct = fastmtl.fit(X, Y, alpha=0.01, loss=loss)
        assert np.array_equal(model.coef_, direct.coef.T)
        np.testing.assert_allclose(model.predict(X), direct.predict(X), rtol=1e-12)
        assert 0.3 < model.score(X, Y) < 1
        flat = ours.MultiTaskGLM(1e3, loss=loss).fit(X, Y)
        assert flat.score(X, Y) == pytest.approx(0, abs=1e-9)

    def test_score_of_squared_loss_is_r2(self, data):
        X, Y = data
        model = ours.MultiTaskGLM(0.01).fit(X, Y)
        assert model.score(X, Y) == pytest.approx(sklearn.metrics.r2_score(Y, model.predict(X)), rel=1e-12)
        weights = np.random.default_rng(2).uniform(size=60)
        wanted = sklearn.metrics.r2_score(Y, model.predict(X), sample_weight=weights)
        assert model.score(X, Y, weights) == pytest.approx(wanted, rel=1e-12)

    def test_labels_belong_to_the_classifier(self, data):
        with pytest.raises(ValueError, match="MultiTaskClassifier"):
            ours.MultiTaskGLM(loss="multinomial").fit(*data)


def test_vector_for_a_matrix_is_refused(data):
    X, Y = data
    with pytest.raises(ValueError, match="use ElasticNet, or pass"):
        ours.MultiTaskElasticNet().fit(X, Y[:, 0])


def test_ridge_with_weights_by_task():
    """The closed form of ridge regression, which takes one weight a sample, was asked for all the same."""
    X, Y = yes_or_no()
    weights = np.random.default_rng(3).uniform(0.5, 2.0, Y.shape)
    model = ours.MultiTaskElasticNet(0.1, l1_ratio=0.0, tol=1e-10).fit(X, Y, weights)
    alone = ours.MultiTaskElasticNet(0.1, l1_ratio=0.0).fit(X, Y[:, :1], weights[:, 0])
    np.testing.assert_allclose(model.coef_[:1], alone.coef_, atol=1e-4)


def test_task_without_weight():
    """The bound `eps_` was NaN, with a warning from NumPy."""
    X, Y = yes_or_no()
    weights = np.ones(Y.shape)
    weights[:, 0] = 0.0
    model = ours.MultiTaskLasso(0.01).fit(X, Y, weights)
    assert not model.coef_[0].any()
    assert model.eps_ == pytest.approx(ours.MultiTaskLasso(0.01).fit(X, Y[:, 1:]).eps_, rel=1e-12)


def test_no_warning_in_ordinary_use(data):
    X, Y = data
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for make in CLASSES:
            made(make).fit(X, Y if make in MATRIX else Y[:, 0]).predict(X)


def test_fresh_process_without_a_warning():
    """From the import to a cross-validated fit, with warnings as errors from the start."""
    code = (
        "import numpy as np, fastmtl.estimators as ours; rng = np.random.default_rng(0); "
        "X = rng.standard_normal((40, 9)); Y = X[:, :2] + 0.1 * rng.standard_normal((40, 2)); "
        "model = ours.MultiTaskLassoCV(alphas=5, cv=3).fit(X, Y); assert model.score(X, Y) > 0.9"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_missing_scikit_learn_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.delitem(sys.modules, "fastmtl.estimators")
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'fastmtl\[estimators\]'"):
        importlib.import_module("fastmtl.estimators")
