"""What cannot be served raises before the first iteration, and the message names the argument."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from inputs import BINARY, COUNTS, LABELS, X, Y, put

import fastmtl
from fastmtl.losses import Huber, Multinomial
from fastmtl.penalties import L1, L21, Group, SparseGroup, Trace

NAN, INF = np.nan, np.inf
NOT_FINITE = {"nan": NAN, "inf": INF, "minus_inf": -INF}


def fit(X: Any = X, Y: Any = Y, penalty: Any = "l21", alpha: Any = 0.1, **settings: Any) -> Any:
    return fastmtl.fit(X, Y, penalty, alpha=alpha, **settings)


def certify(coef: Any, intercept: Any = None, **settings: Any) -> Any:
    return fastmtl.certify(X, Y, coef, intercept, alpha=0.1, **settings)


def path(**settings: Any) -> Any:
    return fastmtl.fit_path(X, Y, **settings)


def not_finite() -> Iterator[tuple[str, str, Callable[[], Any]]]:
    ones = np.ones(len(Y))
    for name, value in NOT_FINITE.items():
        bad, zero = put(X, (3, 3), value), np.zeros((12, 3))
        yield f"X_{name}-first", "X", lambda v=value: fit(put(X, (0, 0), v))
        yield f"X_{name}-last", "X", lambda v=value: fit(put(X, (-1, -1), v))
        yield f"X_{name}-float32", "X", lambda A=bad: fit(A.astype(np.float32))
        yield f"X_{name}-csc", "X", lambda A=bad: fit(sp.csc_matrix(A))
        yield f"X_{name}-csr-l1", "X", lambda A=bad: fit(sp.csr_matrix(A), penalty="l1")
        yield f"X_{name}-list", "X", lambda A=bad: fit(A.tolist())
        yield f"X_{name}-group", "X", lambda A=bad: fit(A, penalty=Group(groups=[6, 6]))
        yield f"X_{name}-sparse_group", "X", lambda A=bad: fit(A, penalty="sparse_group")
        yield f"X_{name}-trace", "X", lambda A=bad: fit(A, penalty="trace")
        yield f"X_{name}-logistic", "X", lambda A=bad: fit(A, BINARY, loss="logistic")
        yield f"X_{name}-poisson", "X", lambda A=bad: fit(A, COUNTS, loss="poisson")
        yield f"X_{name}-gaps", "X", lambda A=bad: fit(A, put(Y, (1, 1), NAN))
        yield f"X_{name}-weighted", "X", lambda A=bad: fit(A, sample_weight=ones)
        yield f"X_{name}-path", "X", lambda A=bad: fastmtl.fit_path(A, Y, n_alphas=3)
        yield f"X_{name}-cv", "X", lambda A=bad: fastmtl.cross_validate(A, Y, n_alphas=3)
        yield f"Y_{name}-vector", "Y", lambda v=value: fit(Y=put(Y[:, 0], 3, v))
        yield f"Y_{name}-multinomial", "Y", lambda v=value: fit(Y=put(LABELS, 3, v), loss="multinomial")
        yield f"sample_weight_{name}", "sample_weight", lambda v=value: fit(sample_weight=put(ones, 5, v))
        yield (
            f"sample_weight_{name}-2d",
            "sample_weight",
            lambda v=value: fit(sample_weight=put(np.ones(Y.shape), (5, 1), v)),
        )
        yield f"task_weight_{name}", "task_weight", lambda v=value: fit(task_weight=[1.0, 1.0, v])
        yield f"offset_{name}", "offset", lambda v=value: fit(offset=put(Y, (2, 1), v))
        yield f"warm_start_{name}", "warm_start", lambda v=value: fit(warm_start=np.full((12, 3), v))
        yield f"certify_W_{name}", "W", lambda v=value: certify(np.full((12, 3), v))
        yield f"certify_intercept_{name}", "intercept", lambda v=value, W=zero: certify(W, np.full(3, v))
        yield f"X_{name}-standardize", "X", lambda A=bad: fit(A, standardize=True)
        yield f"X_{name}-alpha_max", "X", lambda A=bad: fastmtl.alpha_max(A, Y)
        yield f"certify_dual_{name}", "dual", lambda v=value, W=zero: certify(W, dual=np.full(Y.shape, v))
        yield f"alpha_{name}", "alpha", lambda v=value: fit(alpha=v)
        yield f"alphas_{name}", "alphas", lambda v=value: path(alphas=[1.0, v])
        yield f"tol_{name}", "tol", lambda v=value: fit(tol=v)
        yield f"eps_{name}", "eps", lambda v=value: path(eps=v)
        yield f"l1_ratio_{name}", "l1_ratio", lambda v=value: L21(l1_ratio=v)
        yield f"tau_{name}", "tau", lambda v=value: SparseGroup(tau=v)
        yield f"ridge_{name}", "ridge", lambda v=value: Trace(ridge=v)
        yield f"delta_{name}", "delta", lambda v=value: Huber(v)
        if value != INF:
            yield f"feature_weights_{name}", "feature_weights", lambda v=value: L1(feature_weights=[1.0, v])
            yield (
                f"group_weights_{name}",
                "group_weights",
                lambda v=value: Group(groups=[6, 6], group_weights=[1.0, v]),
            )
            yield f"time_limit_{name}", "time_limit", lambda v=value: fit(time_limit=v)
        if not np.isnan(value):
            yield f"Y_{name}", "Y", lambda v=value: fit(Y=put(Y, (3, 1), v))
            yield f"Y_{name}-logistic", "Y", lambda v=value: fit(Y=put(BINARY, (1, 1), v), loss="logistic")
            yield f"Y_{name}-poisson", "Y", lambda v=value: fit(Y=put(COUNTS, (1, 1), v), loss="poisson")


def wrong_shapes() -> Iterator[tuple[str, str, Callable[[], Any]]]:
    yield "X_scalar", "X", lambda: fit(3.0)
    yield "X_vector", "X", lambda: fit(X[:, 0])
    yield "X_vector-remedy", r"X\.reshape\(-1, 1\)", lambda: fit(X[:, 0])
    yield (
        "X_3d-shape",
        r"features\) was expected$",
        lambda: fit(X[:, :, None]),
    )
    yield "X_3d", "X", lambda: fit(X[:, :, None])
    yield "X_no_rows", "X", lambda: fit(X[:0], Y[:0])
    yield "X_no_columns", "X", lambda: fit(X[:, :0])
    yield "X_no_columns-sparse", "X", lambda: fit(sp.csr_matrix((40, 0)))
    yield "X_empty_list", "X", lambda: fit([])
    yield "X_ragged", "X", lambda: fit([[1.0, 2.0], [3.0]], [1.0, 2.0])
    yield "Y_scalar", "Y", lambda: fit(Y=1.0)
    yield "Y_3d", "Y", lambda: fit(Y=Y[:, :, None])
    yield "Y_no_tasks", "Y", lambda: fit(Y=Y[:, :0])
    yield "Y_too_short", "Y", lambda: fit(Y=Y[:-1])
    yield "Y_transposed", "Y", lambda: fit(Y=Y.T)
    yield "Y_too_long-vector", "Y", lambda: fit(Y=np.arange(41.0))
    yield "Y_ragged", "Y", lambda: fit(Y=[[1.0]] * 39 + [[1.0, 2.0]])
    yield "sample_weight_long", "sample_weight", lambda: fit(sample_weight=np.ones(41))
    yield "sample_weight_scalar", "sample_weight", lambda: fit(sample_weight=1.0)
    yield "sample_weight_wide", "sample_weight", lambda: fit(sample_weight=np.ones((40, 2)))
    yield "task_weight_long", "task_weight", lambda: fit(task_weight=np.ones(4))
    yield "offset_short", "offset", lambda: fit(offset=Y[:-1])
    yield "offset_wide", "offset", lambda: fit(offset=np.ones((40, 4)))
    yield "warm_start_transposed", "warm_start", lambda: fit(warm_start=np.zeros((3, 12)))
    yield "warm_start_of_another_fit", "warm_start", lambda: fit(warm_start=fit(X[:, :5]))
    yield "feature_weights_short", "feature_weights", lambda: fit(penalty=L21(feature_weights=[1.0] * 11))
    yield "feature_weights_2d", "feature_weights", lambda: L21(feature_weights=np.ones((3, 4)).tolist())
    yield "groups_short", "group", lambda: fit(penalty=Group(groups=[6, 5]))
    yield "groups_long", "group", lambda: fit(penalty=Group(groups=[6, 7]))
    yield "groups_overlap", "group", lambda: fit(penalty=Group(groups=[[0, 1, 2], list(range(2, 12))]))
    yield (
        "groups_out_of_range",
        "group",
        lambda: fit(penalty=Group(groups=[list(range(6)), list(range(6, 13))])),
    )
    yield "groups_empty_one", "group", lambda: fit(penalty=Group(groups=[12, 0]))
    yield (
        "group_weights_short",
        "group_weights",
        lambda: fit(penalty=Group(groups=[6, 6], group_weights=[1.0])),
    )
    yield "certify_W_transposed", "W", lambda: certify(np.zeros((3, 12)))
    yield "certify_intercept_long", "intercept", lambda: certify(np.zeros((12, 3)), np.zeros(4))
    yield "certify_dual_short", "dual", lambda: certify(np.zeros((12, 3)), dual=Y[:-1])
    yield "task_short", "task", lambda: fit(Y=Y[:, 0], task=np.zeros(39))
    yield "designs_uneven", "X", lambda: fit([X, X[:, :11]], [Y[:, 0], Y[:, 1]])
    yield "designs_one_Y", "Y", lambda: fit([X, X], [Y[:, 0]])
    yield "designs_Y_short", "Y", lambda: fit([X, X], [Y[:, 0], Y[:-1, 1]])
    yield "alphas_2d", "alphas", lambda: path(alphas=[[1.0, 0.5]])
    yield "alphas_empty", "alphas", lambda: path(alphas=[])


def wrong_types() -> Iterator[tuple[str, str, Callable[[], Any]]]:
    structured = np.zeros(40, dtype=[("a", float), ("b", float)])
    for name, A in (("X", X), ("Y", Y)):
        put_in = {"X": lambda A: fit(A), "Y": lambda A: fit(Y=A)}[name]
        yield f"{name}_complex", name, lambda A=A, f=put_in: f(A + 0j)
        yield f"{name}_object", name, lambda A=A, f=put_in: f(A.astype(object))
        yield f"{name}_string", name, lambda A=A, f=put_in: f(A.astype(str))
        yield f"{name}_bytes", name, lambda A=A, f=put_in: f(A.astype(bytes))
        yield f"{name}_structured", name, lambda f=put_in: f(structured)
        yield f"{name}_masked", name, lambda A=A, f=put_in: f(np.ma.masked_greater(A, 1.0))
        yield (
            f"{name}_masked_row",
            name,
            lambda A=A, f=put_in: f([np.ma.masked_greater(row, 1.0) for row in A]),
        )
        yield f"{name}_dates", name, lambda A=A, f=put_in: f(A.astype("datetime64[s]"))
        yield f"{name}_None", f"{name} is of type NoneType", lambda f=put_in: f(None)
        yield f"{name}_dict", f"{name} is of type dict", lambda A=A, f=put_in: f({"a": A})
        yield f"{name}_words", name, lambda f=put_in: f("data.csv")
        yield f"{name}_generator", name, lambda A=A, f=put_in: f(row for row in A)
    for loss in ("logistic", "multinomial", "huber", "poisson", ["squared"] * 3):
        wide = isinstance(loss, list)
        masked = np.ma.masked_equal(BINARY.astype(float) if wide else BINARY[:, 0], 1)
        some = sp.csr_matrix(BINARY if wide else BINARY[:, :1])
        yield f"Y_masked-{loss}", "Y is a masked array", lambda A=masked, loss=loss: fit(Y=A, loss=loss)
        yield f"Y_sparse-{loss}", "Y is sparse", lambda A=some, loss=loss: fit(Y=A, loss=loss)
    masked = np.ma.masked_greater(Y, 1.0)
    names = np.arange(40) % 2
    yield "X_masked-remedy", r"X\.filled\(value\)", lambda: fit(np.ma.masked_greater(X, 1.0))
    yield "Y_masked-remedy", r"Y\.filled\(nan\) for gaps", lambda: fit(Y=masked)
    yield "Y_masked-task", "Y is a masked array", lambda: fit(Y=masked[:, 0], task=names)
    yield "Y_masked-list", r"Y\[1\] is a masked array", lambda: fit([X, X], [Y[:, 0], masked[:, 1]])
    yield (
        "Y_masked-losses",
        r"Y\[1\] is a masked array",
        lambda: fit(Y=[Y[:, 0], masked[:, 1]], loss=["huber"] * 2),
    )
    yield (
        "Y_words_in_a_list",
        r"Y\[1\] ",
        lambda: fit(Y=[Y[:, 0], ["a", "b"] * 20], loss=["squared", "logistic"]),
    )
    yield "Y_words_in_a_frame", r"Y\['a'\] ", lambda: fit(Y=_words(), loss=["logistic", "multinomial"])
    yield (
        "sample_weight_masked",
        "sample_weight",
        lambda: fit(sample_weight=np.ma.masked_less(np.ones(40), 0)),
    )
    yield (
        "sample_weight_masked-task",
        "sample_weight",
        lambda: fit(Y=Y[:, 0], task=names, sample_weight=np.ma.masked_less(np.ones(40), 0)),
    )
    yield "task_masked", "task is a masked array", lambda: fit(Y=Y[:, 0], task=np.ma.masked_equal(names, 1))
    yield "task_None", r"task holds None at \[0\]", lambda: fit(Y=Y[:, 0], task=[None] * 40)
    yield (
        "task_mixed",
        "task holds labels of types",
        lambda: fit(Y=Y[:, 0], task=np.array([1, "a"] * 20, dtype=object)),
    )
    yield "X_1d-sparse", r"X has shape \(40,\)", lambda: fit(sp.coo_array(X[:, 0]))
    yield "X_sparse_complex", "X", lambda: fit(sp.csr_matrix(X + 0j))
    yield "Y_sparse", "Y", lambda: fit(Y=sp.csr_matrix(Y))
    yield "X_frame_of_words", "X", lambda: fit(_words())
    yield "sample_weight_words", "sample_weight", lambda: fit(sample_weight=["a"] * 40)
    yield "sample_weight_complex", "sample_weight", lambda: fit(sample_weight=np.ones(40) * 1j)
    yield "offset_object", "offset", lambda: fit(offset=Y.astype(object))
    for value in ("0.1", "auto", None, True, 0.1j, [0.1], np.array([0.1, 0.2])):
        yield f"alpha_{value!r}", "alpha", lambda v=value: fit(alpha=v)
    for value in ("no", "yes", 0, 1.0, None):
        for name in ("fit_intercept", "standardize", "verbose"):
            yield f"{name}_{value!r}", f"{name} is", lambda v=value, name=name: fit(**{name: v})
        yield f"positive_{value!r}", "positive is", lambda v=value: L21(positive=v)
        yield f"positive_{value!r}-group", "positive is", lambda v=value: Group(groups=[12], positive=v)
        yield f"positive_{value!r}-sparse", "positive is", lambda v=value: SparseGroup(positive=v)
    for name in ("tol", "max_iter", "n_threads", "time_limit"):
        yield f"{name}_True", f"{name} is True", lambda name=name: fit(**{name: True})
        yield f"{name}_complex", f"{name} is", lambda name=name: fit(**{name: np.complex128(1.0)})
    yield "eps_word", "eps is 'a'", lambda: path(eps="a")
    yield "n_alphas_word", "n_alphas is 'a'", lambda: path(n_alphas="a")
    yield "alpha_negative", "alpha", lambda: fit(alpha=-1e-9)
    yield "alpha_twice", "alpha", lambda: fit(penalty=L21(0.2))
    yield "alphas_negative", "alphas", lambda: path(alphas=[1.0, -0.1])
    yield "alphas_words", "alphas", lambda: path(alphas=["a"])
    yield "n_alphas_0", "n_alphas", lambda: path(n_alphas=0)
    yield "n_alphas_float", "n_alphas", lambda: path(n_alphas=2.5)
    yield "eps_1", "eps", lambda: path(eps=1.0)
    yield "eps_0", "eps", lambda: path(eps=0.0)
    yield "l1_ratio_2", "l1_ratio", lambda: L21(l1_ratio=2.0)
    yield "l1_ratio_0-alpha_max", "l1_ratio", lambda: fastmtl.alpha_max(X, Y, L21(l1_ratio=0.0))
    yield "tau_negative", "tau", lambda: SparseGroup(tau=-0.1)
    yield "ridge_negative", "ridge", lambda: Trace(ridge=-1.0)
    yield "feature_weights_negative", "feature_weights", lambda: L1(feature_weights=[-1.0])
    yield (
        "group_weights_word",
        "group_weights",
        lambda: fit(penalty=Group(groups=[6, 6], group_weights="root")),
    )
    yield "groups_missing", "groups", lambda: fit(penalty="group")
    for name, groups in {
        "None": [None] * 6 + ["a"] * 6,
        "nan": [NAN] * 12,
        "mixed": [1] * 6 + ["a"] * 6,
        "dict": {"a": [0]},
        "number": 3,
        "word": "aabbccddeeff",
        "masks": [np.arange(12) < 6, np.arange(12) >= 6],
        "floats": [6.0, 6.0],
    }.items():
        yield f"groups_{name}", "groups", lambda groups=groups: fit(penalty=Group(groups=groups))
    yield "group_weights_words", "group_weights has dtype", lambda: Group(groups=[12], group_weights=["a"])
    yield "feature_weights_word", "feature_weights has dtype", lambda: L21(feature_weights="a")
    yield "feature_weights_None", "feature_weights has dtype", lambda: L1(feature_weights=[None, 1.0])
    yield "ridge_inf-remedy", "a finite number >= 0 was expected$", lambda: Trace(ridge=INF)
    yield "delta_word", "delta is 'a'", lambda: Huber("a")
    yield "delta_True", "delta is True", lambda: Huber(True)
    yield "classes_word", "classes is 'abc'", lambda: Multinomial("abc")
    yield "classes_twice", "classes is", lambda: Multinomial(("a", "b", "a"))
    for value in (None, NAN):
        words = np.array(["a", "b"] * 19 + [value, "b"], dtype=object)
        yield f"Y_{value}-words", "Y holds", lambda words=words: fit(Y=words, loss="multinomial")
    yield (
        "Y_mixed",
        "Y holds labels of types",
        lambda: fit(Y=np.array([1, "b"] * 20, dtype=object), loss="multinomial"),
    )
    yield "penalty_unknown", "penalty", lambda: fit(penalty="l22")
    yield "penalty_number", "penalty", lambda: fit(penalty=3)
    yield "penalty_class", "penalty", lambda: fit(penalty=L21)
    yield "loss_unknown", "loss", lambda: fit(loss="hinge")
    yield "loss_number", "loss", lambda: fit(loss=3)
    yield "losses_too_few", "loss", lambda: fit(loss=["squared", "huber"])
    yield "logistic_targets", "Y", lambda: fit(loss="logistic")
    yield "poisson_targets", "Y", lambda: fit(Y=-COUNTS, loss="poisson")
    yield "sample_weight_negative", "sample_weight", lambda: fit(sample_weight=put(np.ones(40), 3, -1e-300))
    yield "sample_weight_all_zero", "weight", lambda: fit(sample_weight=np.zeros(40))
    yield "sample_weight_sum_overflows", "sample_weight", lambda: fit(sample_weight=np.full(40, 1e308))
    yield "task_weight_negative", "task_weight", lambda: fit(task_weight=[1.0, 1.0, -1.0])
    yield "task_weight_all_zero", "weight", lambda: fit(task_weight=np.zeros(3))
    yield "scale_unknown", "scale", lambda: fit(scale="median")
    yield "solver_unknown", "solver", lambda: fit(solver="magic")
    yield "backend_unknown", "backend", lambda: fit(backend="tpu")
    yield "tol_negative", "tol", lambda: fit(tol=-1e-9)
    yield "tol_word", "tol", lambda: fit(tol="small")
    yield "max_iter_negative", "max_iter", lambda: fit(max_iter=-1)
    yield "max_iter_float", "max_iter", lambda: fit(max_iter=1.5)
    yield "time_limit_negative", "time_limit", lambda: fit(time_limit=-1.0)
    yield "n_threads_0", "n_threads", lambda: fit(n_threads=0)
    yield "callback_number", "callback", lambda: fit(callback=3)
    yield "warm_start_path", "warm_start", lambda: fit(warm_start=path(n_alphas=2))
    yield "warm_start_word", "warm_start", lambda: fit(warm_start="cold")
    yield (
        "intercept_unwanted",
        "intercept",
        lambda: certify(np.zeros((12, 3)), np.ones(3), fit_intercept=False),
    )
    yield "cv_1", "folds", lambda: fastmtl.cross_validate(X, Y, cv=1)
    yield "cv_41", "folds", lambda: fastmtl.cross_validate(X, Y, cv=41)
    yield "cv_rule", "rule", lambda: fastmtl.cross_validate(X, Y, rule="best")
    yield "cv_score", "score", lambda: fastmtl.cross_validate(X, Y, score="r3", n_alphas=3)
    yield "cv_n_jobs", "n_jobs", lambda: fastmtl.cross_validate(X, Y, n_jobs=0)
    yield "csc_row_too_large", "X", lambda: fit(_broken_index(40))
    yield "csc_row_negative", "X", lambda: fit(_broken_index(-1))
    yield "csc_pointer_too_large", "X", lambda: fit(_broken_pointer(10**9))
    yield "csc_pointer_descends", "X", lambda: fit(_broken_pointer(0))
    yield "csc_data_too_short", "X", lambda: fit(_short_data())


def _words() -> Any:
    pandas = pytest.importorskip("pandas", reason="frames need pandas")
    return pandas.DataFrame({"a": ["x"] * 40, "b": np.ones(40)})


def _broken_index(value: int) -> Any:
    out = sp.csc_matrix(X)
    out.indices[7] = value
    return out


def _broken_pointer(value: int) -> Any:
    out = sp.csc_matrix(X)
    out.indptr[5] = value
    return out


def _short_data() -> Any:
    out = sp.csc_matrix(X)
    out.data = out.data[:-7]
    return out


CASES = {name: (named, call) for name, named, call in [*not_finite(), *wrong_shapes(), *wrong_types()]}


@pytest.mark.parametrize("name", CASES)
def test_error_names_the_argument(name):
    named, call = CASES[name]
    with pytest.raises((ValueError, TypeError), match=named) as caught:
        call()
    assert len(str(caught.value)) > len(named) + 12, "a sentence, not a name"


def test_flags_of_numpy_are_flags():
    fit(fit_intercept=np.True_, standardize=np.False_, verbose=np.False_, penalty=L21(positive=np.True_))
