"""Laws of real multi-task data: a design a task, gaps, weights by task, losses mixed across tasks."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import fastmtl
from fastmtl.losses import Huber
from fastmtl.penalties import L1, L21, Group, Penalty, SparseGroup

P, T, N = 7, 3, 30
LOSSES = ["squared", "logistic", "huber", "poisson", "multinomial"]
PENALTIES: dict[str, Penalty | str] = {
    "l21": L21(),
    "ridge": L21(l1_ratio=0.5),
    "free": L21(feature_weights=[0.0] + [1.0] * (P - 1)),
    "l1": L1(),
    "positive": L1(positive=True),
    "group": Group(groups=[3, 4]),
    "sparse_group": SparseGroup(groups=[4, 3]),
    "trace": "trace",
}
TOL = 1e-9


def targets(loss: str, Z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One target a row from linear predictions (n,)."""
    if loss == "logistic":
        return (Z + rng.logistic(size=Z.shape) > 0).astype(int)
    if loss == "poisson":
        return rng.poisson(np.exp(0.4 * Z))
    if loss == "multinomial":
        return np.digitize(Z + rng.standard_normal(Z.shape), [-0.7, 0.7])
    return Z + rng.standard_normal(Z.shape)


def own_data(
    loss: str, sizes: tuple[int, ...] = (30, 18, 24), seed: int = 0
) -> tuple[list[Any], list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((P, len(sizes))) * (np.arange(P) < 3)[:, None]
    X = [rng.standard_normal((n, P)) for n in sizes]
    return X, [targets(loss, x @ w + 0.3, rng) for x, w in zip(X, W.T, strict=True)]


def shared_data(loss: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N, P))
    Z = X[:, :3] @ rng.standard_normal((3, T)) + 0.3
    return X, np.stack([targets(loss, z, rng) for z in Z.T], axis=1)


def agree(a: fastmtl.FitResult, b: fastmtl.FitResult) -> None:
    """Two certified fits of one problem: their objectives differ by no more than their gaps and rounding."""
    assert a.status.converged
    assert b.status.converged
    slack = a.certificate.gap + b.certificate.gap + 1e-12 * abs(a.certificate.primal)
    assert abs(a.certificate.primal - b.certificate.primal) <= slack


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=list(PENALTIES))
@pytest.mark.parametrize("intercept", [True, False])
def test_own_designs_are_certified_and_alpha_max_is_tight(loss, penalty, intercept):
    X, Y = own_data(loss)
    X[1] = sp.csr_array(X[1])
    options: dict[str, Any] = {"loss": loss, "fit_intercept": intercept}
    top = fastmtl.alpha_max(X, Y, penalty, **options)
    fit = fastmtl.fit(X, Y, penalty, alpha=0.2 * top, tol=TOL, **options)
    assert fit.status.converged
    again = fastmtl.certify(X, Y, fit.coef, fit.intercept, penalty, alpha=0.2 * top, dual=fit.dual, **options)
    assert again.relative_gap <= TOL
    bare = L21(feature_weights=[0.0] + [1.0] * (P - 1)) == penalty
    assert not fastmtl.fit(X, Y, penalty, alpha=top, **options).coef[int(bare) :].any()
    assert fastmtl.fit(X, Y, penalty, alpha=0.98 * top, tol=TOL, **options).coef[int(bare) :].any()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("penalty", ["l21", "l1", "trace"])
def test_a_list_of_one_design_is_a_shared_design(loss, penalty):
    X, Y = shared_data(loss)
    a = fastmtl.fit(X, Y, penalty, alpha=0.05, loss=loss, tol=TOL)
    b = fastmtl.fit([X.copy() for _ in range(T)], list(Y.T), penalty, alpha=0.05, loss=loss, tol=TOL)
    agree(a, b)
    np.testing.assert_allclose(a.predict(X), np.column_stack(b.predict([X] * T)), atol=1e-3)


@pytest.mark.parametrize("loss", ["squared", "huber"])
@pytest.mark.parametrize("penalty", ["l21", "l1", "trace"])
@pytest.mark.parametrize("sparse", [False, True])
def test_gaps_are_tasks_with_fewer_rows(loss, penalty, sparse):
    X, Y = shared_data(loss)
    Y = Y.astype(float)
    Y[20:, 1] = np.nan
    Y[::3, 2] = np.nan
    seen = ~np.isnan(Y)
    a = fastmtl.fit(sp.csc_array(X) if sparse else X, Y, penalty, alpha=0.05, loss=loss, tol=TOL)
    rows = [np.flatnonzero(s) for s in seen.T]
    b = fastmtl.fit(
        [X[r] for r in rows], [Y[r, t] for t, r in enumerate(rows)], penalty, alpha=0.05, loss=loss, tol=TOL
    )
    agree(a, b)
    np.testing.assert_array_equal(a.n_observed, seen.sum(axis=0))
    assert np.isfinite(a.score(X, Y))


def test_gaps_in_labels_and_counts():
    X, Y = shared_data("logistic")
    Y = Y.astype(float)
    Y[3:9, 0] = np.nan
    keep = ~np.isnan(Y[:, 0])
    agree(
        fastmtl.fit(X, Y, alpha=0.02, loss="logistic", tol=TOL),
        fastmtl.fit([X[keep], X, X], [Y[keep, 0], Y[:, 1], Y[:, 2]], alpha=0.02, loss="logistic", tol=TOL),
    )


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("penalty", ["l21", "sparse_group", "trace"])
@pytest.mark.parametrize("own", [False, True])
def test_weights_are_repeated_rows_and_zero_is_a_dropped_row(loss, penalty, own):
    penalty = PENALTIES[penalty]
    rng = np.random.default_rng(2)
    if own:
        X, Y = own_data(loss)
        times = [rng.integers(0, 3, len(y)) for y in Y]
        for one in times:
            one[:8] = 1
        repeated = [np.repeat(x, k, axis=0) for x, k in zip(X, times, strict=True)]
        again = [np.repeat(y, k) for y, k in zip(Y, times, strict=True)]
    else:
        X, Y = shared_data(loss)
        times = rng.integers(0, 3, (N, T))
        times[:8] = 1
        repeated = [np.repeat(X, k, axis=0) for k in times.T]
        again = [np.repeat(y, k) for y, k in zip(Y.T, times.T, strict=True)]
    a = fastmtl.fit(X, Y, penalty, alpha=0.05, loss=loss, sample_weight=times, tol=TOL)
    agree(a, fastmtl.fit(repeated, again, penalty, alpha=0.05, loss=loss, tol=TOL))


@pytest.mark.parametrize("own", [False, True])
def test_task_weights_weigh_the_terms(own):
    X, Y = own_data("squared") if own else shared_data("squared")
    c = np.array([2.0, 0.5, 1.0])
    fit = fastmtl.fit(X, Y, alpha=0.05, task_weight=c, tol=TOL)
    Z = [y - z for y, z in zip(Y, fit.predict(X), strict=True)] if own else list((Y - fit.predict(X)).T)
    value = sum(k * 0.5 * np.mean(r**2) for k, r in zip(c, Z, strict=True))
    assert fit.certificate.primal == pytest.approx(
        value + 0.05 * np.linalg.norm(fit.coef, axis=1).sum(), rel=1e-12
    )
    everywhere = fastmtl.fit(X, Y, alpha=0.1, task_weight=[2, 2, 2], tol=TOL)
    agree_up_to(everywhere, fastmtl.fit(X, Y, alpha=0.05, tol=TOL), 2.0)


def agree_up_to(a: fastmtl.FitResult, b: fastmtl.FitResult, factor: float) -> None:
    slack = a.certificate.gap + factor * b.certificate.gap + 1e-12 * abs(a.certificate.primal)
    assert abs(a.certificate.primal - factor * b.certificate.primal) <= slack


def test_a_task_without_a_row_is_set_by_the_penalty_alone():
    X, Y = own_data("squared")
    for penalty in ("l21", "l1", "trace"):
        a = fastmtl.fit([*X, np.empty((0, P))], [*Y, np.empty(0)], penalty, alpha=0.05, tol=TOL)
        b = fastmtl.fit(X, Y, penalty, alpha=0.05, tol=TOL)
        agree(a, b)
        np.testing.assert_allclose(a.coef[:, 3], 0.0, atol=1e-6)
        assert a.n_observed[3] == 0
    Y2 = np.full((N, 2), np.nan)
    Y2[:, 0] = np.arange(N)
    fit = fastmtl.fit(shared_data("squared")[0], Y2, alpha=0.1)
    assert fit.status.converged
    assert not fit.coef[:, 1].any()


def test_one_row_a_task():
    X, Y = own_data("squared", sizes=(1, 1, 12))
    fit = fastmtl.fit(X, Y, alpha=0.01, tol=TOL)
    assert fit.status.converged


@pytest.mark.parametrize("kind", ["array", "sparse", "pandas", "categorical"])
def test_labels_of_tasks_are_lists_of_designs(kind):
    X, Y = own_data("squared")
    rows = np.random.default_rng(0).permutation(sum(map(len, Y)))
    table, y = np.concatenate(X)[rows], np.concatenate(Y)[rows]
    task = np.repeat(["b", "a", "c"], [len(one) for one in Y])[rows]
    given: Any = table
    if kind == "sparse":
        given = sp.csr_array(table)
    elif kind == "pandas":
        pandas = pytest.importorskip("pandas")
        given = pandas.DataFrame(table, columns=[f"x{j}" for j in range(P)])
        y, task = pandas.Series(y), pandas.Series(task)
    elif kind == "categorical":
        task = pytest.importorskip("pandas").Categorical(task)
    a = fastmtl.fit(given, y, alpha=0.05, task=task, tol=TOL)
    agree(a, fastmtl.fit([X[1], X[0], X[2]], [Y[1], Y[0], Y[2]], alpha=0.05, tol=TOL))
    assert list(a.task_columns) == ["a", "b", "c"]
    Z = a.predict(given, task=task)
    for name, column in a.task_columns.items():
        own = np.asarray(task) == name
        np.testing.assert_allclose(Z[own], table[own] @ a.coef[:, column][:, 0] + a.intercept[column])
    with pytest.raises(ValueError, match="'z'"):
        a.predict(given, task=np.full(len(table), "z"))


class TestMixedLosses:
    """A classification, a regression, counts and classes over one X."""

    @staticmethod
    def data() -> tuple[np.ndarray, list[np.ndarray], list[Any]]:
        rng = np.random.default_rng(5)
        X = rng.standard_normal((40, P))
        Z = X[:, :3] @ rng.standard_normal((3, 4)) + 0.2
        losses = ["multinomial", "squared", "poisson", "logistic"]
        Y = [targets(loss, z, rng) for loss, z in zip(losses, Z.T, strict=True)]
        Y[0] = np.array(["low", "mid", "top"])[Y[0]]
        return X, Y, losses

    @pytest.mark.parametrize("penalty", PENALTIES.values(), ids=list(PENALTIES))
    def test_certified_on_a_shared_design_and_on_own_ones(self, penalty):
        X, Y, losses = self.data()
        a = fastmtl.fit(X, Y, penalty, alpha=0.03, loss=losses, tol=TOL)
        b = fastmtl.fit([X] * 4, Y, penalty, alpha=0.03, loss=losses, tol=TOL)
        agree(a, b)
        assert a.coef.shape == (P, 6)
        assert a.loss == "mixed"
        assert a.task_names is not None
        assert len(a.task_names) == 6

    def test_columns_are_found_by_name(self):
        pandas = pytest.importorskip("pandas")
        X, Y, losses = self.data()
        frame = pandas.DataFrame(dict(zip(["grade", "dose", "visits", "cured"], Y, strict=True)))
        fit = fastmtl.fit(X, frame, alpha=0.03, loss=losses)
        assert fit.task_columns == {
            "grade": slice(0, 3), "dose": slice(3, 4), "visits": slice(4, 5), "cured": slice(5, 6)
        }  # fmt: skip
        assert fit.task_names == ["grade:low", "grade:mid", "grade:top", "dose", "visits", "cured"]

    def test_predictions_and_scores(self, tmp_path):
        X, Y, losses = self.data()
        fit = fastmtl.fit(X, Y, alpha=0.01, loss=losses)
        Z = fit.decision_function(X)
        out = fit.predict(X)
        np.testing.assert_allclose(out[:, :3].sum(axis=1), 1.0)
        np.testing.assert_array_equal(out[:, 3], Z[:, 3])
        np.testing.assert_allclose(out[:, 4], np.exp(Z[:, 4]))
        np.testing.assert_allclose(out[:, 5], 1 / (1 + np.exp(-Z[:, 5])))
        with pytest.raises(ValueError, match="predict_proba"):
            fit.predict_proba(X)
        scores = fit.score(X, Y, per_task=True)
        assert scores.shape == (4,)
        assert (scores > 0).all()
        with pytest.raises(ValueError, match="accuracy"):
            fit.score(X, Y, metric="accuracy")
        fit.save(tmp_path / "model.npz")
        again = fastmtl.FitResult.load(tmp_path / "model.npz")
        np.testing.assert_array_equal(again.predict(X), out)
        assert again.task_columns == fit.task_columns
        np.testing.assert_array_equal(again.score(X, Y, per_task=True), scores)

    @pytest.mark.oracle
    @pytest.mark.parametrize("penalty", ["l21", "trace"])
    def test_agrees_with_cvxpy(self, penalty):
        cp = pytest.importorskip("cvxpy")
        X, Y, losses = self.data()
        n, ones = len(X), np.ones((len(X), 1))
        fit = fastmtl.fit(X, Y, penalty, alpha=0.03, loss=losses, tol=1e-10)
        W, b = cp.Variable((P, 6)), cp.Variable((1, 6))
        Z = X @ W + ones @ b
        onehot = (Y[0][:, None] == np.array(["low", "mid", "top"])).astype(float)
        logs = np.where(Y[2] > 0, Y[2] * np.log(np.maximum(Y[2], 1)) - Y[2], 0.0).sum()
        sign = 2.0 * Y[3] - 1.0
        value = (
            cp.sum(cp.log_sum_exp(Z[:, :3], axis=1)) - cp.sum(cp.multiply(onehot, Z[:, :3]))
            + cp.sum_squares(Y[1] - Z[:, 3]) / 2
            + cp.sum(cp.exp(Z[:, 4]) - cp.multiply(Y[2], Z[:, 4])) + logs
            + cp.sum(cp.logistic(-cp.multiply(sign, Z[:, 5])))
        )  # fmt: skip
        omega = cp.sum(cp.norm(W, 2, axis=1)) if penalty == "l21" else cp.normNuc(W)
        problem = cp.Problem(cp.Minimize(value / n + 0.03 * omega))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            problem.solve(solver=cp.CLARABEL)
        assert fit.certificate.relative_gap <= 1e-8
        assert fit.certificate.primal == pytest.approx(problem.value, rel=2e-6)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("penalty", ["l21", "l1", "trace"])
def test_path_is_single_fits(loss, penalty):
    X, Y = own_data(loss)
    path = fastmtl.fit_path(X, Y, penalty, loss=loss, n_alphas=5, eps=0.1, tol=1e-8)
    for i, alpha in enumerate(path.alphas):
        one = fastmtl.fit(X, Y, penalty, alpha=alpha, loss=loss, tol=1e-8)
        agree(path[i], one)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("step", [0.0, 1e6, 1e12], ids=["apart", "as is cheaper", "together"])
@pytest.mark.parametrize("seed", range(5))
def test_separable_tasks_are_fits_of_their_own(loss, step, seed, monkeypatch):
    from fastmtl.solvers import task_working_set

    monkeypatch.setattr(task_working_set, "STEP", step)
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((60, 200))
    # Tasks from easy to hard: some are done while others still grow.
    Z = X[:, :20] @ (rng.standard_normal((20, 10)) * (np.arange(20)[:, None] < 1 + 2 * np.arange(10)))
    Y = np.column_stack([targets(loss, z, rng) for z in Z.T])
    weights = 0.5 + rng.random(Y.shape)
    options: dict[str, Any] = {"alpha": 0.05, "loss": loss, "tol": 1e-3}
    fit = fastmtl.fit(X, Y, "l1", sample_weight=weights, **options)
    assert fit.status.converged
    apart = [fastmtl.fit(X, y, "l1", sample_weight=w, **options) for y, w in zip(Y.T, weights.T, strict=True)]
    slack = fit.certificate.gap + sum(one.certificate.gap for one in apart)
    assert abs(fit.certificate.primal - sum(one.certificate.primal for one in apart)) <= slack


@pytest.mark.parametrize("own", [False, True])
def test_offsets_join_the_prediction(own):
    X, Y = own_data("poisson") if own else shared_data("poisson")
    shift = [np.full(len(y), 0.5 + t) for t, y in enumerate(Y)] if own else np.tile([0.5, 1.5, 2.5], (N, 1))
    a = fastmtl.fit(X, Y, alpha=0.05, loss="poisson", offset=shift, tol=TOL)
    b = fastmtl.fit(X, Y, alpha=0.05, loss="poisson", tol=TOL)
    agree(a, b)
    np.testing.assert_allclose(b.intercept - a.intercept, [0.5, 1.5, 2.5], atol=1e-3)


@pytest.mark.parametrize("own", [False, True])
def test_standardisation_is_that_of_the_rows_with_weight(own):
    X, Y = own_data("squared") if own else shared_data("squared")
    scaled = [5.0 * np.asarray(x) + 3.0 for x in X] if own else 5.0 * np.asarray(X) + 3.0
    a = fastmtl.fit(scaled, Y, alpha=0.05, standardize=True, tol=TOL)
    agree(a, fastmtl.fit(X, Y, alpha=0.05, standardize=True, tol=TOL))


def test_sums_and_means():
    X, Y = own_data("squared", sizes=(20, 20, 20))
    a = fastmtl.fit(X, Y, alpha=1.0, scale="sum", tol=TOL)
    agree_up_to(a, fastmtl.fit(X, Y, alpha=0.05, tol=TOL), 20.0)


def test_float32_is_kept():
    X, Y = own_data("logistic")
    fit = fastmtl.fit([x.astype(np.float32) for x in X], Y, alpha=0.02, loss="logistic")
    assert fit.coef.dtype == np.float32
    assert fit.status.converged


def test_warm_start_and_time_limit():
    X, Y = own_data("logistic")
    cold = fastmtl.fit(X, Y, alpha=0.01, loss="logistic", tol=1e-8)
    warm = fastmtl.fit(X, Y, alpha=0.01, loss="logistic", tol=1e-8, warm_start=cold)
    assert warm.n_iter == 0
    with pytest.warns(fastmtl.ConvergenceWarning):
        stopped = fastmtl.fit(X, Y, alpha=0.001, loss="logistic", tol=1e-12, time_limit=0.0)
    assert not stopped.status.converged
    assert np.isfinite(stopped.certificate.gap)


def test_many_features_and_few_rows_stay_matrix_free(monkeypatch):
    from fastmtl.solvers import prox_newton

    X, Y = own_data("logistic")
    for penalty in ("l21", "trace"):
        expected = fastmtl.fit(X, Y, penalty, alpha=0.02, loss="logistic", tol=1e-7)
        with monkeypatch.context() as patch:
            patch.setattr(prox_newton, "GRAM_LIMIT", 0)
            agree(fastmtl.fit(X, Y, penalty, alpha=0.02, loss="logistic", tol=1e-7), expected)


def test_separable_classes_and_huge_counts_end_in_a_certificate():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, P))
    labels = (X[:, 0] > 0).astype(int)
    fit = fastmtl.fit([X, X], [labels, 1 - labels], alpha=1e-5, loss="logistic", tol=1e-7)
    assert fit.status.converged
    counts = rng.poisson(np.exp(10.0 + X[:, 0]))
    fit = fastmtl.fit([X, X], [counts, counts], alpha=1.0, loss="poisson", tol=1e-7)
    assert fit.status.converged


def test_multinomial_agrees_with_adelie():
    adelie = pytest.importorskip("adelie")
    X, Y = shared_data("multinomial")
    y = Y[:, 0]
    k = len(np.unique(y))
    fit = fastmtl.fit(X, y, alpha=0.04, loss="multinomial", tol=1e-10)
    onehot = (y[:, None] == np.unique(y)).astype(float)
    # Its loss carries 1/K, so that its strength is ours over K; its groups hold all classes of a feature.
    state = adelie.grpnet(
        X=np.asfortranarray(X), glm=adelie.glm.multinomial(onehot), lmda_path=[0.04 / k], early_exit=False,
        penalty=np.ones(P), tol=1e-12, irls_tol=1e-12, progress_bar=False,
    )  # fmt: skip
    W = np.asarray(state.betas[-1].todense()).reshape(P, k)
    b = np.asarray(state.intercepts[-1]).ravel()
    other = fastmtl.certify(X, y, W, b, alpha=0.04, loss="multinomial")
    assert other.dual <= fit.certificate.primal + 1e-12
    assert fit.certificate.primal <= other.primal + fit.certificate.gap
    assert other.relative_gap < 1e-4
    np.testing.assert_allclose(fit.coef, W, atol=2e-3)


SCHOOL = Path(__file__).resolve().parents[2] / "shared" / "data" / "school.mat"


@pytest.mark.skipif(not SCHOOL.exists(), reason="the folder of shared data is absent")
@pytest.mark.parametrize(
    ("penalty", "alpha", "optimum"),
    [
        ("l21", 1000.0, 1086795.828290),
        ("l21", 100.0, 714277.409910),
        ("trace", 1000.0, 999912.193496),
        ("trace", 100.0, 704454.524540),
    ],
)
def test_school_has_its_known_optimum(penalty, alpha, optimum):
    X, Y = school()
    fit = fastmtl.fit(X, Y, penalty, alpha=alpha, fit_intercept=False, scale="sum", tol=1e-10)
    assert fit.status.converged
    assert abs(fit.certificate.primal - optimum) <= fit.certificate.gap + 1e-6


def school() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """139 schools: columns centred and scaled within each, a column of ones at the end."""
    from scipy.io import loadmat

    file = loadmat(SCHOOL)
    X, Y = [], []
    for x, y in zip(file["X"].ravel(), file["Y"].ravel(), strict=True):
        x = x - x.mean(axis=0)
        deviation = x.std(axis=0, ddof=1)
        x = x / np.where(deviation > 1e-12, deviation, 1.0)
        X.append(np.column_stack([x, np.ones(len(x))]))
        Y.append(np.asarray(y, dtype=float).ravel())
    return X, Y


X3, Y3 = own_data("squared")


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((X3, Y3[:2]), {}, ["Y", "2 entries", "3 designs"]),
        (([X3[0], X3[1][:, :5], X3[2]], Y3), {}, [r"X\[1\]", "5 features"]),
        ((X3, [Y3[0], Y3[1][:4], Y3[2]]), {}, [r"Y\[1\]", "4 rows"]),
        ((X3, [Y3[0], np.arange(18) % 3, Y3[2]]), {"loss": ["squared", "logistic", "squared"]}, [r"Y\[1\]", "0, 1, 2"]),
        ((X3, [Y3[0], np.arange(18) - 3, Y3[2]]), {"loss": ["squared", "poisson", "squared"]}, [r"Y\[1\]", "-3"]),
        ((X3, Y3), {"loss": ["squared"]}, ["loss has 1 entries", "3 tasks"]),
        ((X3, Y3), {"task_weight": [1.0, -1.0, 1.0]}, ["task_weight", "-1"]),
        ((X3, Y3), {"task_weight": [1.0, np.nan, 1.0]}, ["task_weight", "nan"]),
        ((X3, Y3), {"task_weight": [1.0, 2.0]}, ["task_weight", r"\(3,\)"]),
        ((X3, Y3), {"task_weight": [0, 0, 0]}, ["weight"]),
        ((X3, Y3), {"sample_weight": [np.zeros(len(y)) for y in Y3]}, ["weight"]),
        ((X3, Y3), {"sample_weight": [np.ones(30), -np.ones(18), np.ones(24)]}, [r"sample_weight\[1\]", "-1"]),
        ((X3, Y3), {"sample_weight": np.ones(72)}, ["sample_weight", "list"]),
        ((X3, [Y3[0], np.full(18, np.nan), Y3[2]]), {}, [r"Y\[1\]", "NaN"]),
        ((X3[0], np.full((30, 2), np.nan)), {}, ["no sample has any weight"]),
        ((X3[0], Y3[0]), {"task": np.zeros(7)}, ["task", r"\(30,\)"]),
        ((X3, Y3), {"task": np.zeros(72)}, ["task", "list"]),
        ((X3, Y3), {"backend": "gpu"}, ["backend"]),
        ((X3, Y3), {"loss": [Huber(), "squash", "squared"]}, ["squash"]),
    ],
)  # fmt: skip
def test_errors_name_the_task_and_the_remedy(arguments, options, words):
    with pytest.raises((ValueError, TypeError, RuntimeError)) as caught:
        fastmtl.fit(*arguments, alpha=0.1, **options)
    for word in words:
        assert re.search(word, str(caught.value)), (word, str(caught.value))
