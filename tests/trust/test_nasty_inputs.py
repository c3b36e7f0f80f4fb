"""Whatever comes in: the right answer, judged in extended precision, or an error that names the argument."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.sparse as sp
from exact import judge
from inputs import (
    ALL_PENALTIES,
    BINARY,
    COUNTS,
    DTYPES,
    FORMS,
    TARGETS,
    X,
    Y,
    collinear,
    column_times,
    put,
)

import fastmtl
from fastmtl.penalties import L21

TOL = 1e-6
EPS = float(np.finfo(np.float64).eps)
TINY = 16.0 * np.finfo(np.float64).tiny
PROBLEM = ("loss", "sample_weight", "offset", "fit_intercept", "standardize", "scale")
NAN, INF = np.nan, np.inf


class Case(NamedTuple):
    """Arguments of `fit`; `ratio` is the strength over alpha_max where no alpha is given."""

    X: Any = X
    Y: Any = Y
    penalty: Any = L21()
    ratio: float = 0.2
    keywords: Mapping[str, Any] = MappingProxyType({})


def strength(case: Case) -> Any:
    if "alpha" in case.keywords:
        return case.keywords["alpha"]
    shared = {key: value for key, value in case.keywords.items() if key in PROBLEM}
    return case.ratio * fastmtl.alpha_max(case.X, case.Y, case.penalty, **shared)


def check_right(case: Case, *, ends: str | None = None) -> None:
    """The fit is optimal by the judge, and its certificate says what the judge says."""
    penalty = case.penalty.with_alpha(strength(case))
    keywords = {key: value for key, value in case.keywords.items() if key != "alpha"}
    with warnings.catch_warnings():
        if ends is not None:
            warnings.simplefilter("ignore", fastmtl.ConvergenceWarning)
        result = fastmtl.fit(case.X, case.Y, penalty, tol=TOL, **keywords)
    if ends:
        assert result.status == ends or result.status.converged
    check_judged(result, case.X, case.Y, penalty, {k: v for k, v in keywords.items() if k in PROBLEM})


def check_judged(result: Any, X: Any, Y: Any, penalty: Any, problem: dict[str, Any]) -> None:
    """Coefficients, status and certificate of a fit hold in extended precision."""
    certificate = result.certificate
    assert np.isfinite(result.coef).all() and np.isfinite(result.intercept).all()
    judged = judge(X, Y, result.coef, result.intercept, penalty, dual=result.dual, **problem)
    # Values are sums of at most n + p terms; residuals carry the rounding of what they are differences of.
    terms = sum(X.shape) if hasattr(X, "shape") else sum(np.shape(X))
    residual = np.sqrt(2.0 * max(judged.primal, judged.null)) * judged.magnitude
    largest = max(certificate.scale, 1.0) * judged.null
    slack = 4.0 * terms * EPS * (residual + largest) + (terms * EPS * judged.magnitude) ** 2 + TINY
    if judged.primal < np.finfo(np.float64).max:
        assert abs(certificate.primal - judged.primal) <= slack
    else:
        assert np.isinf(certificate.primal)
    assert certificate.dual <= judged.primal + slack or judged.primal > np.finfo(np.float64).max
    allowed = slack / judged.null if judged.null > 0 else 0.0
    if result.status == "optimal":
        assert judged.relative_gap <= TOL + allowed
    elif result.status == "optimal_to_precision":
        eps = float(np.finfo(result.coef.dtype).eps)
        assert judged.relative_gap <= 64.0 * eps * certificate.scale + allowed
    else:
        assert certificate.relative_gap > TOL


def right_cases() -> Iterator[tuple[str, Case]]:
    for name, penalty in ALL_PENALTIES.items():
        yield f"plain-{name}", Case(penalty=penalty)
        yield f"offsets_1e6-{name}", Case(X + 1e6, Y + 1e6, penalty)
        yield f"tesla-{name}", Case(Y=Y * 1e-12, penalty=penalty)
    for name in (
        "l21",
        "l21_ridge",
        "l1",
        "group_labels",
        "group_sizes",
        "sparse_group",
        "trace",
        "trace_ridge",
    ):
        penalty = ALL_PENALTIES[name]
        for factor in (1e-300, 1e-155, 1e155, 1e300):
            yield f"Y_times_{factor:g}-{name}", Case(Y=Y * factor, penalty=penalty)
            if factor > 1e-200:
                yield f"X_times_{factor:g}-{name}", Case(X * factor, penalty=penalty)
            yield f"column_times_{factor:g}-{name}", Case(column_times(factor), penalty=penalty)
        yield f"collinear-{name}", Case(collinear(1e12), penalty=penalty)
        yield f"duplicates-{name}", Case(np.repeat(X[:, :6], 2, axis=1), penalty=penalty)
        yield f"zero_columns-{name}", Case(X * (np.arange(12) % 3 > 0), penalty=penalty)
        yield f"constant_columns-{name}", Case(put(X, (slice(None), [0, 5]), 7.0), penalty=penalty)
        yield f"interpolation-{name}", Case(X[:5], Y[:5], penalty, 1e-3)
        yield f"alpha_tiny-{name}", Case(penalty=penalty, ratio=1e-9)
        yield f"alpha_zero-{name}", Case(penalty=penalty, ratio=0.0)
    yield "X_times_1e-300", Case(X * 1e-300, Y)
    yield "subnormal_X_and_Y", Case(X * 1e-310, Y * 1e-310)
    yield "subnormal_Y", Case(Y=Y * 1e-310)
    yield "subnormal_column", Case(column_times(1e-310))
    yield "X_and_Y_times_1e150", Case(X * 1e150, Y * 1e150)
    yield "columns_of_all_sizes", Case(X * 10.0 ** np.linspace(-150, 150, 12))
    yield (
        "columns_of_all_sizes-standardize",
        Case(X * 10.0 ** np.linspace(-150, 150, 12), keywords={"standardize": True}),
    )
    yield "X_1e-300-standardize", Case(X * 1e-300, keywords={"standardize": True})
    yield "X_1e300-standardize", Case(X * 1e300, keywords={"standardize": True})
    yield "constant-standardize", Case(put(X, (slice(None), 2), -3.0), keywords={"standardize": True})
    yield "offsets_1e6-standardize", Case(X + 1e6, Y, keywords={"standardize": True})
    yield "Y_constant", Case(Y=np.full_like(Y, 3.1))
    yield "Y_zero", Case(Y=np.zeros_like(Y), keywords={"alpha": 1.0})
    yield "Y_nearly_constant", Case(Y=1e6 + 1e-9 * Y)
    yield "X_zero", Case(np.zeros_like(X), keywords={"alpha": 1.0})
    yield "X_constant", Case(np.full_like(X, 2.0), keywords={"alpha": 1e-3})
    yield "one_sample", Case(X[:1], Y[:1], keywords={"alpha": 0.1})
    yield "one_sample-no_intercept", Case(X[:1], Y[:1], keywords={"fit_intercept": False})
    yield "two_samples", Case(X[:2], Y[:2])
    yield "one_feature", Case(X[:, :1], Y)
    yield "one_task", Case(Y=Y[:, 0])
    yield "one_task_column", Case(Y=Y[:, :1])
    yield "one_of_each", Case(X[:1, :1], Y[:1, 0], keywords={"fit_intercept": False})
    yield "more_tasks_than_samples", Case(X[:8], np.tile(Y[:8], (1, 8)))
    yield "many_more_features", Case(np.random.default_rng(1).standard_normal((10, 400)), Y[:10], ratio=1e-2)
    yield "all_tasks_equal", Case(Y=np.repeat(Y[:, :1], 4, axis=1))
    for ratio in (1.0, 1.0 - 1e-9, 1.0 + 1e-9, 2.0, 1e12):
        yield f"alpha_at_{ratio!r}", Case(ratio=ratio)
    yield "alpha_huge", Case(keywords={"alpha": 1e308})
    yield "alpha_numpy_scalar", Case(keywords={"alpha": np.float32(0.1)})
    yield "alpha_int", Case(keywords={"alpha": 1})
    for name in DTYPES:
        yield f"X_{name}", Case(_as(name, X))
        yield f"Y_{name}", Case(Y=_as(name, Y))
    for name, form in FORMS.items():
        yield f"X_as_{name}", Case(form(X))
    for name in (
        "big_endian",
        "strided",
        "reversed",
        "read_only",
        "misaligned",
        "memmap",
        "frame",
        "broadcast",
        "list",
    ):
        yield f"Y_as_{name}", Case(Y=FORMS[name](Y))
    s = np.linspace(0.5, 2.0, len(Y))
    yield "weights_zero", Case(keywords={"sample_weight": put(s, slice(0, 20), 0.0)})
    yield "weights_one_positive", Case(keywords={"sample_weight": np.eye(40)[3], "alpha": 0.1})
    for factor in (1e-300, 1e-12, 1e12, 1e300):
        yield f"weights_times_{factor:g}", Case(keywords={"sample_weight": s * factor})
    yield "weights_uneven", Case(keywords={"sample_weight": 10.0 ** np.linspace(-12, 12, 40)})
    yield "weights_int", Case(keywords={"sample_weight": np.arange(40)})
    yield "weights_bool", Case(keywords={"sample_weight": np.arange(40) % 3 > 0})
    yield "weights-scale_sum", Case(keywords={"sample_weight": s, "scale": "sum"})
    yield "weights-standardize", Case(keywords={"sample_weight": s, "standardize": True})
    yield "weights_zero-sparse", Case(sp.csc_matrix(X), keywords={"sample_weight": put(s, slice(0, 20), 0.0)})
    yield "offset_1e6", Case(keywords={"offset": np.full(Y.shape, 1e6)})
    yield "offset_is_Y", Case(keywords={"offset": Y, "alpha": 0.1})
    for name in ("huber", "logistic", "poisson", "multinomial"):
        for penalty in ("l21", "l1_ridge", "group_sizes", "sparse_group", "trace"):
            yield (
                f"{name}-{penalty}",
                Case(Y=TARGETS[name], penalty=ALL_PENALTIES[penalty], keywords={"loss": name}),
            )
        plain = Case(Y=TARGETS[name], keywords={"loss": name})
        yield f"{name}-interpolation", plain._replace(X=X[:6], Y=TARGETS[name][:6], ratio=0.05)
        yield f"{name}-collinear", plain._replace(X=collinear(1e12))
        yield f"{name}-at_alpha_max", plain._replace(ratio=1.0)
        yield f"{name}-X_times_1e-12", plain._replace(X=X * 1e-12)
        yield f"{name}-X_times_1e12", plain._replace(X=X * 1e12)
        yield f"{name}-sparse", plain._replace(X=sp.csr_matrix(X))
        yield f"{name}-no_intercept", plain._replace(keywords={"loss": name, "fit_intercept": False})
    yield "huber-offsets_1e4", Case(X, Y + 1e4, keywords={"loss": "huber"})
    yield "huber-offsets_1e9", Case(X, Y + 1e9, keywords={"loss": "huber"})
    yield "huber-offsets_1e4-at_alpha_max", Case(X, Y + 1e4, ratio=1.0, keywords={"loss": "huber"})
    yield "logistic-one_class", Case(Y=put(BINARY, (slice(None), 1), 1.0), keywords={"loss": "logistic"})
    yield "poisson-all_zero", Case(Y=put(COUNTS, (slice(None), 1), 0.0), keywords={"loss": "poisson"})
    yield "poisson-large_counts", Case(Y=1e6 * COUNTS, keywords={"loss": "poisson"})


def _as(name: str, A: np.ndarray) -> np.ndarray:
    kind = np.dtype(name).kind
    if kind == "b":
        return A > 0
    if kind in "iu":
        return np.clip(np.round(10 * A), 0 if kind == "u" else -127, 127).astype(name)
    return A.astype(name)


RIGHT = dict(right_cases())


@pytest.mark.parametrize("name", RIGHT)
def test_right_answer(name):
    check_right(RIGHT[name])


def honest_cases() -> Iterator[tuple[str, Case, str]]:
    """Problems that cannot or need not be solved: what the certificate says must hold all the same."""
    for name, penalty in ALL_PENALTIES.items():
        one = {"max_iter": 1}
        yield (
            f"max_iter_1-{name}",
            Case(collinear(1e3), penalty=penalty, ratio=1e-3, keywords=one),
            "max_iter",
        )
    for name in ("huber", "logistic", "poisson", "multinomial"):
        case = Case(Y=TARGETS[name], ratio=1e-3, keywords={"loss": name, "max_iter": 1})
        yield f"max_iter_1-{name}", case, "max_iter"
    yield "time_limit_tiny", Case(collinear(1e6), ratio=1e-4, keywords={"time_limit": 1e-9}), "time_limit"
    stop = {"callback": lambda progress: True}
    yield "callback_stops", Case(collinear(1e6), ratio=1e-4, keywords=stop), "interrupted"
    # Coefficients of 1e-600 are zero in float64: the answer in it is W = 0, far from the optimum, and says so.
    yield "coefficients_underflow", Case(X * 1e300, Y * 1e-300), "stalled"
    # All but absolute deviations: thousands of times the delta of the loss.
    yield "huber-Y_times_1e6", Case(Y=1e6 * Y, keywords={"loss": "huber", "max_iter": 2}), ""


HONEST = {name: (case, ends) for name, case, ends in honest_cases()}


@pytest.mark.parametrize("name", HONEST)
def test_certificate_is_honest(name):
    case, ends = HONEST[name]
    check_right(case, ends=ends)


@pytest.mark.parametrize("name", ["l21_ridge", "group_sizes", "l1_ridge"])
def test_a_tiny_ridge_does_not_spoil_the_bound(name):
    check_right(Case(X * 1e50, penalty=ALL_PENALTIES[name]))
    V = X.T @ Y
    penalty = ALL_PENALTIES[name].with_alpha(0.3)
    edge = penalty.free_scale(V)
    assert penalty.conjugate(edge * V) == 0.0
    assert penalty.conjugate(1.001 * edge * V) > 0.0


GAPS = np.where(np.random.default_rng(2).random(Y.shape) < 0.3, np.nan, Y)
BY_TASK = np.random.default_rng(3).uniform(0.5, 2.0, Y.shape)
OWN = {
    "gaps": {"Y": GAPS},
    "gaps_a_whole_task": {"Y": put(Y, (slice(None), 1), np.nan)},
    "gaps_whole_rows": {"Y": put(Y, slice(0, 9), np.nan)},
    "gaps_all_but_one": {"Y": put(np.full_like(Y, np.nan), (3, 0), 1.0)},
    "weights_by_task": {"sample_weight": BY_TASK},
    "weights_by_task_with_gaps": {"Y": GAPS, "sample_weight": BY_TASK},
    "weights_by_task_with_zeros": {"sample_weight": np.where(BY_TASK > 1.2, BY_TASK, 0.0)},
    "task_weight": {"task_weight": [1.0, 5.0, 0.1]},
    "task_weight_zero": {"task_weight": [1.0, 0.0, 2.0]},
    "task_weight_huge": {"task_weight": [1.0, 1e6, 1e-6]},
    "gaps_standardize": {"Y": GAPS, "standardize": True},
    "gaps_scale_sum": {"Y": GAPS, "scale": "sum"},
    "gaps_no_intercept": {"Y": GAPS, "fit_intercept": False},
    "gaps_offset": {"Y": GAPS, "offset": 1.0 + Y[:, ::-1]},
}


@pytest.mark.parametrize("penalty", ["l21", "l1_ridge", "group_labels", "sparse_group", "trace"])
@pytest.mark.parametrize("name", OWN)
def test_tasks_of_their_own(name, penalty):
    """Gaps and weights that differ by task, for the judge a matter of weights alone."""
    settings = dict(OWN[name])
    targets = settings.pop("Y", Y)
    made = ALL_PENALTIES[penalty]
    made = made.with_alpha(0.2 * fastmtl.alpha_max(X, targets, made, **settings))
    result = fastmtl.fit(X, targets, made, tol=TOL, **settings)
    assert result.status.converged
    check_judged(result, X, targets, made, settings)


@pytest.mark.parametrize("penalty", ["l21", "group_labels", "sparse_group"])
@pytest.mark.parametrize("sizes", [(30, 7, 1), (5, 5, 5), (40, 0, 12)], ids=str)
def test_designs_of_their_own(sizes, penalty):
    """One design a task is, for the judge, all rows together with gaps everywhere but in the own task."""
    made, rng = ALL_PENALTIES[penalty], np.random.default_rng(sum(sizes))
    designs = [rng.standard_normal((n, 12)) for n in sizes]
    targets = [A[:, 0] + rng.standard_normal(len(A)) for A in designs]
    made = made.with_alpha(0.2 * fastmtl.alpha_max(designs, targets, made))
    result = fastmtl.fit(designs, targets, made, tol=TOL)
    assert result.status.converged
    rows, wide = np.repeat(np.arange(3), sizes), np.full((sum(sizes), 3), np.nan)
    wide[np.arange(len(rows)), rows] = np.concatenate(targets)
    found = judge(np.concatenate(designs), wide, result.coef, result.intercept, made)
    assert found.relative_gap <= TOL * 1.01 and result.certificate.primal == pytest.approx(
        float(found.primal), rel=1e-12
    )


@pytest.mark.parametrize("factor", [1.0, 1e-12, 1e155, 1e-300])
@pytest.mark.parametrize("penalty", ["l21", "l1", "group_sizes", "sparse_group", "trace"])
def test_paths_of_all_sizes(penalty, factor):
    made = ALL_PENALTIES[penalty]
    path = fastmtl.fit_path(X, Y * factor, made, n_alphas=4, eps=0.05, tol=TOL)
    for alpha, one in zip(path.alphas, path, strict=True):
        assert one.status == "optimal"
        found = judge(X, Y * factor, one.coef, one.intercept, made.with_alpha(float(alpha)))
        # Along a path the judge has no dual point of the solver's: its own is good to some hundred times the gap.
        assert found.relative_gap <= (1e-3 if penalty in ("trace", "group_sizes") else 1e-5)


@pytest.mark.parametrize(
    "form", ["strided", "read_only", "list", "csc", "csr_holes", "frame", "memmap", "big_endian"]
)
def test_cross_validation_of_every_form(form):
    plain = fastmtl.cross_validate(np.asarray(_dense(FORMS[form](X))), Y, n_alphas=5, cv=3, n_jobs=1)
    found = fastmtl.cross_validate(FORMS[form](X), Y, n_alphas=5, cv=3, n_jobs=1)
    np.testing.assert_allclose(found.alphas, plain.alphas, rtol=1e-9)
    np.testing.assert_allclose(found.scores, plain.scores, rtol=1e-3, atol=1e-6 * plain.scores.max())


def _dense(A: Any) -> Any:
    return A.toarray() if sp.issparse(A) else A


ESTIMATORS = (
    "MultiTaskLasso",
    "MultiTaskElasticNet",
    "TraceNormRegressor",
    "SparseGroupLasso",
    "MultiTaskGLM",
)


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize(
    "form", ["strided", "read_only", "reversed", "list", "frame", "big_endian", "memmap", "broadcast"]
)
def test_estimators_of_every_form(name, form):
    """An estimator on an unusual array is the estimator on a plain one, and writes to neither."""
    estimators = pytest.importorskip("fastmtl.estimators", reason="estimators need scikit-learn")
    A = FORMS[form](X)
    before = np.array(_dense(A))
    plain = getattr(estimators, name)(alpha=0.2).fit(np.ascontiguousarray(np.asarray(A, dtype=float)), Y)
    found = getattr(estimators, name)(alpha=0.2).fit(A, Y)
    assert np.array_equal(before, np.asarray(A))
    np.testing.assert_allclose(found.coef_, plain.coef_, atol=1e-3 * np.abs(plain.coef_).max())


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("bad", ["nan", "inf", "complex", "short", "empty", "three"])
def test_estimators_refuse(name, bad):
    estimators = pytest.importorskip("fastmtl.estimators", reason="estimators need scikit-learn")
    A = {
        "nan": put(X, (0, 0), np.nan), "inf": put(X, (0, 0), np.inf), "complex": X + 1j, "short": X[:-1],
        "empty": X[:0], "three": X[:, :, None],
    }[bad]  # fmt: skip
    with pytest.raises((ValueError, TypeError)):
        getattr(estimators, name)(alpha=0.2).fit(A, Y)
