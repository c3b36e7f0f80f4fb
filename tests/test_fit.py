"""Laws of a fit: certified, optimal, the same whatever the layout, equal to closed forms and to scikit-learn."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
from engine_cases import LAYOUTS, PENALTIES, P, regression

import fastmtl
from fastmtl.penalties import L1, L21, Group, Penalty

CASES = [pytest.param(penalty, id=name) for name, penalty in PENALTIES.items()]


@pytest.mark.parametrize("penalty", CASES)
@pytest.mark.parametrize("t", [1, 3, 9])
@pytest.mark.parametrize("share", [0.5, 0.05])
@pytest.mark.parametrize("weighted", [False, True])
def test_gap_is_below_tol(penalty, t, share, weighted):
    X, Y = regression(t=t)
    options = {"sample_weight": np.random.default_rng(7).uniform(0, 2, len(X))} if weighted else {}
    alpha = share * fastmtl.alpha_max(X, Y, penalty, **options)
    fit = fastmtl.fit(X, Y, penalty, alpha=alpha, tol=1e-9, **options)
    assert fit.status.converged
    assert fit.certificate.relative_gap <= 1e-9
    again = fastmtl.certify(X, Y, fit.coef, fit.intercept, penalty, alpha=alpha, dual=fit.dual, **options)
    assert again.relative_gap <= 1e-9
    assert again.primal == pytest.approx(fit.certificate.primal, rel=1e-13)
    assert again.dual <= again.primal + 1e-12 * abs(again.primal)
    assert not fit.coef[penalty.excluded(P)].any()
    if getattr(penalty, "positive", False):
        assert (fit.coef >= 0).all()


PROBLEM = dict(
    alpha=None, loss="squared", sample_weight=None, task_weight=None, offset=None, task=None, fit_intercept=True,
    standardize=False, scale="mean",
)  # fmt: skip
"""The keywords of a problem, and their defaults, at every door."""


def test_doors_take_the_same_keywords():
    for door in (
        fastmtl.fit, fastmtl.fit_path, fastmtl.alpha_max, fastmtl.certify, fastmtl.cross_validate,
        fastmtl.stability_selection, fastmtl.path_criteria,
    ):  # fmt: skip
        taken = inspect.signature(door).parameters
        assert {name: taken[name].default for name in PROBLEM} == PROBLEM, door.__name__
        assert taken["penalty"].default == "l21"


def test_one_alpha_is_ignored_where_there_are_many():
    X, Y = regression()
    given, plain = dict(n_alphas=3, eps=0.1), dict(alpha=0.2)
    assert fastmtl.alpha_max(X, Y, **plain) == fastmtl.alpha_max(X, Y) == fastmtl.alpha_max(X, Y, L21(0.2))
    one, other = fastmtl.fit_path(X, Y, **plain, **given), fastmtl.fit_path(X, Y, **given)
    np.testing.assert_array_equal(one.coefs, other.coefs)
    criteria = fastmtl.path_criteria(one, X, Y, **plain)
    np.testing.assert_array_equal(criteria.bic, fastmtl.path_criteria(one, X, Y).bic)
    chosen = fastmtl.cross_validate(X, Y, **plain, **given)
    assert chosen.best_alpha == fastmtl.cross_validate(X, Y, **given).best_alpha
    stable = fastmtl.stability_selection(X, Y, **plain, **given, n_pairs=2)
    np.testing.assert_array_equal(
        stable.frequencies, fastmtl.stability_selection(X, Y, **given, n_pairs=2).frequencies
    )
    for door in (fastmtl.alpha_max, fastmtl.fit_path, fastmtl.cross_validate):
        with pytest.raises(ValueError, match="alpha is given twice"):
            door(X, Y, L21(0.1), alpha=0.2)


@pytest.mark.parametrize("penalty", CASES)
@pytest.mark.parametrize("intercept", [True, False])
def test_alpha_max_is_tight(penalty, intercept):
    X, Y = regression()
    top = fastmtl.alpha_max(X, Y, penalty, fit_intercept=intercept)
    bound = ~penalty.free(P)
    at = fastmtl.fit(X, Y, penalty, alpha=top, fit_intercept=intercept, tol=1e-10)
    below = fastmtl.fit(X, Y, penalty, alpha=0.999 * top, fit_intercept=intercept, tol=1e-12)
    assert not at.coef[bound].any()
    assert below.coef[bound].any()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("standardize", [False, True])
def test_layouts_agree(layout, standardize):
    X, Y = regression()
    X[np.abs(X) < 0.4] = 0.0
    given = LAYOUTS[layout](X)
    want = fastmtl.fit(X, Y, alpha=0.1, tol=1e-10, standardize=standardize)
    fit = fastmtl.fit(given, Y, alpha=0.1, tol=1e-10, standardize=standardize)
    assert (
        abs(fit.certificate.primal - want.certificate.primal)
        <= fit.certificate.gap + want.certificate.gap + 1e-12
    )
    np.testing.assert_allclose(fit.coef, want.coef, atol=1e-5)
    np.testing.assert_allclose(np.asarray(fit.predict(given)), want.predict(X), atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.int64, np.uint8, bool, np.longdouble])
def test_dtypes(dtype):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2 if dtype is bool else 5, (40, 8)).astype(dtype)
    Y = rng.standard_normal((40, 2))
    fit = fastmtl.fit(X, Y, alpha=0.05)
    assert fit.coef.dtype == (np.float32 if dtype in (np.float32, np.float16) else np.float64)
    assert fit.status.converged
    want = fastmtl.fit(X.astype(np.float64), Y, alpha=0.05)
    assert fit.certificate.primal == pytest.approx(want.certificate.primal, rel=1e-5)


def test_memory_mapped_input_is_read_in_place(tmp_path):
    X, Y = regression(n=60)
    mapped = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.float64, shape=X.shape)
    mapped[:] = X
    mapped.flush()
    fit = fastmtl.fit(np.load(tmp_path / "x.npy", mmap_mode="r"), Y, alpha=0.1)
    np.testing.assert_array_equal(fit.coef, fastmtl.fit(X, Y, alpha=0.1).coef)


def test_inputs_are_not_written():
    X, Y = regression()
    weight, before = np.linspace(0, 1, len(X)), (X.copy(), Y.copy())
    fastmtl.fit(X, Y, alpha=0.1, sample_weight=weight, offset=np.ones_like(Y), standardize=True)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(Y, before[1])
    np.testing.assert_array_equal(weight, np.linspace(0, 1, len(X)))


@pytest.mark.parametrize("penalty", [L21(0.05), L1(0.05), Group(0.05, groups=[4, 4, 4])])
def test_weights_are_repetitions(penalty):
    X, Y = regression()
    times = np.random.default_rng(3).integers(0, 4, len(X))
    by_weight = fastmtl.fit(X, Y, penalty, sample_weight=times, tol=1e-12)
    by_row = fastmtl.fit(np.repeat(X, times, axis=0), np.repeat(Y, times, axis=0), penalty, tol=1e-12)
    assert by_weight.certificate.primal == pytest.approx(by_row.certificate.primal, rel=1e-11)
    np.testing.assert_allclose(by_weight.coef, by_row.coef, atol=1e-6)
    np.testing.assert_allclose(by_weight.intercept, by_row.intercept, atol=1e-6)
    np.testing.assert_array_equal(by_weight.n_observed, (times > 0).sum())


def test_offset_is_subtracted():
    X, Y = regression()
    o = np.random.default_rng(4).standard_normal(Y.shape)
    a, b = fastmtl.fit(X, Y, alpha=0.1, offset=o), fastmtl.fit(X, Y - o, alpha=0.1)
    np.testing.assert_array_equal(a.coef, b.coef)


def test_scale_sum_is_n_times_mean():
    X, Y = regression()
    a = fastmtl.fit(X, Y, alpha=0.1 * len(X), scale="sum", tol=1e-10)
    b = fastmtl.fit(X, Y, alpha=0.1, tol=1e-10)
    assert a.certificate.primal == pytest.approx(len(X) * b.certificate.primal, rel=1e-10)


def test_standardize_penalises_deviations():
    X, Y = regression()
    X *= np.logspace(-2, 2, P)
    deviation = X.std(axis=0)
    a = fastmtl.fit(X, Y, alpha=0.1, standardize=True, tol=1e-12)
    b = fastmtl.fit(X / deviation, Y, alpha=0.1, tol=1e-12)
    np.testing.assert_allclose(a.coef * deviation[:, None], b.coef, atol=1e-6)
    assert fastmtl.alpha_max(X, Y, standardize=True) == pytest.approx(
        fastmtl.alpha_max(X / deviation, Y), rel=1e-12
    )


def test_orthonormal_design_is_one_prox():
    rng = np.random.default_rng(0)
    X = np.linalg.qr(rng.standard_normal((30, 8)))[0]
    Y = rng.standard_normal((30, 5))
    fit = fastmtl.fit(X, Y, alpha=0.02, fit_intercept=False, scale="sum", tol=1e-14)
    np.testing.assert_allclose(fit.coef, L21(0.02).prox(X.T @ Y, 1.0), atol=1e-12)


def test_alpha_zero_is_least_squares():
    X, Y = regression()
    fit = fastmtl.fit(X, Y, alpha=0.0, tol=1e-12)
    A = np.column_stack([X, np.ones(len(X))])
    want = np.linalg.lstsq(A, Y, rcond=None)[0]
    np.testing.assert_allclose(np.vstack([fit.coef, fit.intercept]), want, atol=1e-8)
    assert fit.status.converged


def test_more_tasks_than_samples_rotates_exactly():
    X, Y = regression(n=12, t=40)
    fit = fastmtl.fit(X, Y, alpha=0.2 * fastmtl.alpha_max(X, Y), tol=1e-9)
    assert fit.certificate.relative_gap <= 1e-9
    Q = np.linalg.qr(np.random.default_rng(1).standard_normal((40, 40)))[0]
    other = fastmtl.fit(X, Y @ Q, alpha=0.2 * fastmtl.alpha_max(X, Y), tol=1e-9)
    assert other.certificate.primal == pytest.approx(fit.certificate.primal, rel=1e-8)


def test_one_task_is_a_lasso_whatever_the_name():
    X, y = regression(t=1)
    fits = [fastmtl.fit(X, y[:, 0], name, alpha=0.1, tol=1e-11) for name in ("l21", "l1")]
    np.testing.assert_allclose(fits[0].coef, fits[1].coef, atol=1e-9)
    assert fits[0].coef.shape == (P, 1)
    assert fits[0].predict(X).shape == (len(X),)


@pytest.mark.parametrize("shape", [(1, 5, 2), (30, 1, 2), (30, 5, 1), (1, 1, 1), (2, 40, 3)])
def test_small_shapes(shape):
    n, p, t = shape
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((n, p)), rng.standard_normal((n, t))
    for intercept in (True, False):
        top = fastmtl.alpha_max(X, Y, fit_intercept=intercept)
        fit = fastmtl.fit(X, Y, alpha=0.1 * top, fit_intercept=intercept)
        assert fit.status.converged


@pytest.mark.parametrize("column", ["zero", "constant", "duplicate", "huge", "tiny"])
@pytest.mark.parametrize("penalty", ["l21", "l1", "sparse_group"])
def test_awkward_columns(column, penalty):
    X, Y = regression()
    X[:, 2] = {
        "zero": 0.0,
        "constant": 3.0,
        "duplicate": X[:, 1],
        "huge": X[:, 2] * 1e150,
        "tiny": X[:, 2] * 1e-150,
    }[column]
    for standardize in (False, True):
        alpha = 0.1 * fastmtl.alpha_max(X, Y, penalty, standardize=standardize)
        fit = fastmtl.fit(X, Y, penalty, alpha=alpha, standardize=standardize)
        assert fit.status.converged
        assert np.isfinite(fit.coef).all()


def test_targets_without_variation():
    X, Y = regression()
    for targets in (np.zeros_like(Y), np.full_like(Y, 7.3)):
        fit = fastmtl.fit(X, targets, alpha=0.1)
        assert not fit.coef.any()
        assert fit.certificate.relative_gap == 0.0
        np.testing.assert_allclose(fit.intercept, targets[0], rtol=1e-14)


def test_warm_start_ends_at_once_and_cold_equals_warm():
    X, Y = regression(p=30)
    cold = fastmtl.fit(X, Y, alpha=0.05, tol=1e-9)
    warm = fastmtl.fit(X, Y, alpha=0.05, tol=1e-9, warm_start=cold)
    assert warm.n_iter == 0
    far = fastmtl.fit(
        X, Y, alpha=0.05, tol=1e-9, warm_start=np.random.default_rng(0).standard_normal((30, 3))
    )
    assert (
        abs(far.certificate.primal - cold.certificate.primal)
        <= far.certificate.gap + cold.certificate.gap + 1e-12
    )


def test_repeated_runs_are_bitwise_equal():
    X, Y = regression(n=80, p=200, t=10)
    fits = [fastmtl.fit(X, Y, alpha=0.05, tol=1e-8) for _ in range(3)]
    for fit in fits[1:]:
        np.testing.assert_array_equal(fit.coef, fits[0].coef)


@pytest.mark.parametrize("ratio", [1.0, 0.3])
@pytest.mark.parametrize("intercept", [True, False])
def test_agrees_with_scikit_learn(ratio, intercept):
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, Y = regression(n=50, p=80, t=4)
    alpha = 0.1 * fastmtl.alpha_max(X, Y, L21(l1_ratio=ratio))
    fit = fastmtl.fit(X, Y, L21(alpha, l1_ratio=ratio), fit_intercept=intercept, tol=1e-10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = linear_model.MultiTaskElasticNet(
            alpha=alpha, l1_ratio=ratio, fit_intercept=intercept, tol=1e-10, max_iter=100_000
        ).fit(X, Y)
    theirs = fastmtl.certify(
        X, Y, other.coef_.T, other.intercept_, L21(alpha, l1_ratio=ratio), fit_intercept=intercept
    )  # fmt: skip
    ours = fit.certificate
    assert abs(ours.primal - theirs.primal) <= ours.gap + theirs.gap + 1e-12 * ours.primal


@pytest.mark.oracle
@pytest.mark.parametrize(
    "name", ["group_sizes", "group_weights", "sparse_group", "sparse_group_positive", "l1_weights_positive"]
)
def test_agrees_with_cvxpy(name):
    cp = pytest.importorskip("cvxpy")
    penalty = PENALTIES[name]
    X, Y = regression(n=25, t=2)
    alpha = 0.2 * fastmtl.alpha_max(X, Y, penalty)
    fit = fastmtl.fit(X, Y, penalty, alpha=alpha, tol=1e-9)
    form = penalty.with_alpha(alpha).lower(P)
    order = np.arange(P) if form.order is None else form.order
    W, b = cp.Variable((P, 2)), cp.Variable((1, 2))
    value = cp.sum_squares(Y - X @ W - np.ones((len(X), 1)) @ b) / (2 * len(X))
    constraints = [W >= 0] if form.positive else []
    for g in range(len(form.l2)):
        rows = order[form.ptr[g] : form.ptr[g + 1]]
        if np.isinf(form.l2[g]):
            constraints.append(W[rows] == 0)
            continue
        value += form.l2[g] * cp.norm(W[rows], "fro") + 0.5 * form.ridge[g] * cp.sum_squares(W[rows])
        for j, strength in zip(rows, form.l1[form.ptr[g] : form.ptr[g + 1]], strict=True):
            if np.isinf(strength):
                constraints.append(W[[j]] == 0)
            else:
                value += strength * cp.norm1(W[j])
    problem = cp.Problem(cp.Minimize(value), constraints)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "may be inaccurate" comes at tolerances this tight
        problem.solve(solver=cp.CLARABEL, tol_gap_rel=1e-9, tol_gap_abs=1e-9, tol_feas=1e-9)
    assert fit.certificate.primal == pytest.approx(problem.value, rel=1e-7)


@pytest.mark.parametrize("penalty", CASES)
def test_no_row_is_rounding(penalty):
    X, Y = regression(t=3)
    for share in (0.5, 0.05, 0.005):
        alpha = share * fastmtl.alpha_max(X, Y, penalty)
        fit = fastmtl.fit(X, Y, penalty, alpha=alpha, tol=1e-12)
        part = np.linalg.norm(fit.coef, axis=1) * np.linalg.norm(X, axis=0)
        tiny = (part > 0) & (part < np.finfo(float).eps * np.linalg.norm(Y - Y.mean(axis=0)))
        assert not (tiny & ~penalty.with_alpha(alpha).free(P)).any()


class Rows(Penalty):
    """The row norms of `L21` by value, prox and conjugate alone: `dual_scale` is left to bisection."""

    name = "rows"

    def value(self, W):
        return self.alpha * np.linalg.norm(W, axis=1).sum()

    def prox(self, W, step):
        norms = np.linalg.norm(W, axis=1, keepdims=True)
        return W * np.maximum(1.0 - step * self.alpha / np.maximum(norms, 1e-300), 0.0)

    def conjugate(self, V):
        return 0.0 if np.linalg.norm(V, axis=1).max(initial=0.0) <= self.alpha * (1 + 1e-12) else np.inf


@pytest.mark.parametrize("exponents", [(0, 0), (300, -200), (-400, 100), (0, 400)], ids=str)
def test_own_penalties_at_any_size(exponents):
    """X times 2^k and Y times 2^m are the same problem at alpha times 2^(k + m), for a penalty that knows nothing of it."""
    k, m = exponents
    X, Y = regression(n=30, p=8, t=3, active=3)
    alpha = 0.2 * fastmtl.alpha_max(X, Y)
    expected = fastmtl.fit(X, Y, alpha=alpha, tol=1e-10)
    A, B, strength = np.ldexp(X, k), np.ldexp(Y, m), float(np.ldexp(alpha, k + m))
    assert fastmtl.alpha_max(A, B, Rows()) == pytest.approx(5.0 * strength, rel=1e-9)
    found = fastmtl.fit(A, B, Rows(), alpha=strength, tol=1e-8)
    assert found.status == "optimal" and np.ldexp(found.certificate.primal, -2 * m) == pytest.approx(
        expected.certificate.primal, rel=1e-7
    )
    path = fastmtl.fit_path(A, B, Rows(), alphas=[5.0 * strength, strength], tol=1e-8)
    assert all(status == "optimal" for status in path.statuses) and not path[0].coef.any()
    assert path[1].certificate.primal == pytest.approx(found.certificate.primal, rel=1e-7)


def test_early_stops_are_honest():
    X, Y = regression(n=60, p=300, t=5)
    with pytest.warns(fastmtl.ConvergenceWarning, match="max_iter"):
        fit = fastmtl.fit(X, Y, alpha=0.01, tol=1e-12, max_iter=1)
    assert fit.status is fastmtl.Status.MAX_ITER
    assert fit.certificate.relative_gap > 1e-12
    with pytest.warns(fastmtl.ConvergenceWarning, match="time limit"):
        fit = fastmtl.fit(X, Y, alpha=0.01, tol=1e-12, time_limit=0.0)
    assert fit.status is fastmtl.Status.TIME_LIMIT
    with pytest.warns(fastmtl.ConvergenceWarning, match="callback"):
        fit = fastmtl.fit(X, Y, alpha=0.01, tol=1e-12, callback=lambda report: report["iteration"] >= 1)
    assert fit.status is fastmtl.Status.INTERRUPTED
    assert fit.n_iter == 1


@pytest.mark.parametrize("size", [1.0, 2.0**300, 1e-200])
def test_a_callback_is_told_of_the_objective_as_the_caller_states_it(size):
    X, Y = regression(n=60, p=300, t=5)
    reports = []
    fit = fastmtl.fit(X, size * Y, alpha=0.01 * size, tol=1e-9, callback=reports.append)
    assert reports[-1]["primal"] == fit.certificate.primal and reports[-1]["gap"] == fit.certificate.gap
    assert reports[0]["primal"] >= reports[-1]["primal"]
    assert set(reports[0]) == {"iteration", "primal", "gap", "relative_gap", "n_active", "seconds"}


def test_interrupt_keeps_the_best_so_far():
    X, Y = regression(n=60, p=300, t=5)

    def press(report):
        if report["iteration"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(fastmtl.FitInterrupted) as caught:
        fastmtl.fit(X, Y, alpha=0.01, tol=1e-12, callback=press)
    partial = caught.value.result
    assert partial.status is fastmtl.Status.INTERRUPTED
    assert partial.coef.any()
    assert np.isfinite(partial.certificate.relative_gap)


def test_verbose_speaks_on_stderr_only(capsys):
    X, Y = regression()
    fastmtl.fit(X, Y, alpha=0.1)
    assert capsys.readouterr() == ("", "")
    fastmtl.fit(X, Y, alpha=0.1, verbose=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "gap" in err


def test_certify_judges_any_coefficients():
    X, Y = regression()
    zero = fastmtl.certify(X, Y, np.zeros((P, 3)), Y.mean(axis=0), alpha=0.1)
    fit = fastmtl.fit(X, Y, alpha=0.1, tol=1e-10)
    assert zero.gap >= zero.primal - fit.certificate.primal - 1e-12
    assert zero.dual <= fit.certificate.primal
    with_dual = fastmtl.certify(X, Y, np.zeros((P, 3)), Y.mean(axis=0), alpha=0.1, dual=fit.dual)
    assert with_dual.dual >= zero.dual
    nonsense = fastmtl.certify(X, Y, fit.coef, fit.intercept, alpha=0.1, dual=1e3 * np.ones_like(Y))
    assert nonsense.dual <= fit.certificate.primal + 1e-12


GOOD_X, GOOD_Y = regression(n=10, p=4, t=2)


def _with(array: np.ndarray, value: float) -> np.ndarray:
    array = array.copy()
    array[1, 1] = value
    return array


REFUSED = {
    "nan in X": (dict(X=_with(GOOD_X, np.nan)), "X"),
    "inf in X": (dict(X=_with(GOOD_X, np.inf)), "X"),
    "inf in Y": (dict(Y=_with(GOOD_Y, np.inf)), "Y"),
    "gap in Y": (dict(Y=_with(GOOD_Y, np.nan)[:, 1]), "Y"),
    "rows": (dict(Y=GOOD_Y[:9]), "rows are samples"),
    "no sample": (dict(X=np.empty((0, 4)), Y=np.empty((0, 2))), "X"),
    "no feature": (dict(X=np.empty((10, 0))), "X"),
    "no task": (dict(Y=np.empty((10, 0))), "Y"),
    "complex": (dict(X=GOOD_X + 1j), "X"),
    "object": (dict(X=GOOD_X.astype(object)), "X"),
    "strings": (dict(X=GOOD_X.astype(str)), "X"),
    "masked": (dict(X=np.ma.masked_array(GOOD_X)), "X"),
    "one-dimensional X": (dict(X=GOOD_X[:, 0]), "X"),
    "three-dimensional Y": (dict(Y=GOOD_Y[:, :, None]), "Y"),
    "negative alpha": (dict(alpha=-1.0), "alpha"),
    "nan alpha": (dict(alpha=np.nan), "alpha"),
    "string alpha": (dict(alpha="auto"), "alpha"),
    "no alpha": (dict(alpha=None), "alpha_max"),
    "two alphas": (dict(penalty=L21(1.0)), "alpha"),
    "penalty": (dict(penalty="lasso"), "penalty"),
    "weights length": (dict(sample_weight=np.ones(9)), "sample_weight"),
    "negative weight": (dict(sample_weight=-np.ones(10)), "sample_weight"),
    "nan weight": (dict(sample_weight=np.full(10, np.nan)), "sample_weight"),
    "no weight": (dict(sample_weight=np.zeros(10)), "sample_weight"),
    "offset": (dict(offset=np.ones(3)), "offset"),
    "scale": (dict(scale="n"), "scale"),
    "tol": (dict(tol=-1.0), "tol"),
    "max_iter": (dict(max_iter=1.5), "max_iter"),
    "time_limit": (dict(time_limit=-1), "time_limit"),
    "n_threads": (dict(n_threads=0), "n_threads"),
    "callback": (dict(callback=3), "callback"),
    "backend": (dict(backend="tpu"), "backend"),
    "solver": (dict(solver="fista"), "solver"),
    "warm_start": (dict(warm_start=np.ones((3, 2))), "warm_start"),
    "groups": (dict(penalty=Group(groups=[3, 3])), "groups"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_by_name(case):
    arguments, word = REFUSED[case]
    settings = {"X": GOOD_X, "Y": GOOD_Y, "alpha": 0.1} | arguments
    with pytest.raises((ValueError, TypeError), match=word):
        fastmtl.fit(settings.pop("X"), settings.pop("Y"), **settings)
