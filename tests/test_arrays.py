"""Arrays of every kind in and out: X decides the kind, the device and the dtype of what comes back."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from array_kinds import DASK_FRAME, FRAMES, KINDS, TENSORS, as_numpy, given, jax_array, same

import fastmtl
from fastmtl._kinds import kind_of


def data(dtype=np.float64, n=40, p=6, t=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    Y = X[:, :2] @ rng.standard_normal((2, t)) + 0.1 * rng.standard_normal((n, t)) + 1.0
    return X.astype(dtype), Y.astype(dtype)


@pytest.fixture(autouse=True)
def narrow_jax():
    """JAX with 32 bits, as it comes, after every test that has widened it."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].config.update("jax_enable_x64", False)


def wide(kind):
    if kind == "jax":
        pytest.importorskip("jax", reason="jax is not installed").config.update("jax_enable_x64", True)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
@pytest.mark.parametrize("kind", KINDS)
def test_x_decides_the_kind_and_the_dtype_of_what_comes_back(kind, dtype):
    wide(kind)
    X, Y = data(dtype)
    plain = fastmtl.fit(X, Y, alpha=0.05)
    result = fastmtl.fit(given(X, kind), Y, alpha=0.05)
    floating = np.float32 if dtype == np.float32 else np.float64
    for mine, theirs in ((result.coef, plain.coef), (result.intercept, plain.intercept)):
        assert kind_of(mine) == (kind if kind in TENSORS else None)
        assert as_numpy(mine).dtype == floating
        same(mine, theirs)
    Z = result.predict(given(X, kind))
    assert kind_of(Z) == (None if kind == "numpy" else kind)
    assert as_numpy(Z).dtype == plain.predict(X).dtype
    same(Z, plain.predict(X))


LABELS = np.array(["u", "v"])[np.arange(40) % 2]
FORMS = {
    "table": (lambda X: X, lambda Y: Y, {}),
    "list": (lambda X: [X, X[:25]], lambda Y: [Y[:, 0], Y[:25, 1]], {}),
    "labels": (lambda X: X, lambda Y: Y[:, 0], {"task": LABELS}),
}
"""Ways to state a problem from a table: X, Y, and what goes with them."""
DOORS = {
    "fit": lambda X, Y, **form: fastmtl.fit(X, Y, alpha=0.05, **form),
    "fit_path": lambda X, Y, **form: fastmtl.fit_path(X, Y, alphas=[0.1, 0.05], **form)[1],
    "cross_validate": lambda X, Y, **form: (
        fastmtl.cross_validate(X, Y, alphas=[0.1, 0.05], cv=2, **form).best
    ),
}


def listed(A):
    return A if isinstance(A, list) else [A]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [*KINDS, DASK_FRAME])
def test_every_door_answers_every_form_of_x_in_its_kind(kind, form, door):
    wide(kind)
    X, Y = data()
    stated, targets, extra = FORMS[form]
    plain_X = stated(X)
    there = [given(x, kind) for x in plain_X] if form == "list" else given(X, kind)
    plain = DOORS[door](plain_X, targets(Y), **extra)
    found = DOORS[door](there, targets(Y), **extra)
    assert kind_of(found.coef) == kind_of(found.intercept) == (kind if kind in TENSORS else None)
    same(found.coef, plain.coef)
    assert type(found.host) is fastmtl.FitResult and type(found.host.coef) is np.ndarray
    if found.dual is not None:  # paths keep none
        assert {kind_of(part) for part in listed(found.dual)} == {kind_of(found.coef)}
    wanted = plain.predict(plain_X, **extra)
    for model in (found, plain):  # X decides, not what the model was made from
        for answer, right, x in zip(
            listed(model.predict(there, **extra)), listed(wanted), listed(there), strict=True
        ):
            assert kind_of(answer) == kind_of(x)
            same(answer, right)
    assert all(type(answer) is np.ndarray for answer in listed(found.predict(plain_X, **extra)))
    if form != "labels":
        assert found.score(there, targets(Y)) == pytest.approx(plain.score(plain_X, targets(Y)))


@pytest.mark.parametrize("kind", [*FRAMES, DASK_FRAME])
def test_frames_are_answered_with_their_rows_and_names_by_any_model(kind):
    X, Y = data()
    frame, low = given(X, kind), given(X, "pandas") if kind != "polars" else None
    classes = np.array(["high", "low", "middle"])[np.digitize(Y[:, 0], [0.5, 1.5])]
    models = {
        "012": (fastmtl.fit(X, Y, alpha=0.05).decision_function, {}),
        "uvw": (fastmtl.fit(X, given(Y, "pandas", "uvw"), alpha=0.05).predict, {}),
        "high low middle": (fastmtl.fit(X, classes, alpha=0.02, loss="multinomial").predict_proba, {}),
        "y": (fastmtl.fit(X, given(Y[:, 0], "pandas"), alpha=0.05).predict, {}),
        None: (fastmtl.fit(X, Y[:, 0], alpha=0.05, task=LABELS).predict, {"task": LABELS}),
    }
    for names, (ask, extra) in models.items():
        answer = ask(frame, **extra)
        if kind == DASK_FRAME:
            answer = answer.compute()
            if names is None:  # labels go with an array
                continue
        if low is not None:
            assert (answer.index == low.index).all()
        if names is None or names == "y":
            assert answer.name in (names, "")  # a series of polars is never without a name
        else:
            columns = names.split() if " " in names else list(names)
            assert [str(c) for c in answer.columns] == columns
    parts = fastmtl.fit(X, Y[:, 0], alpha=0.05, task=LABELS).predict([frame, frame])
    assert [part.name for part in parts] == ["u", "v"]


def test_names_that_polars_cannot_hold_are_numbered():
    X, Y = data()
    twice = fastmtl.fit(X, given(Y, "pandas", "uuv"), alpha=0.05)
    assert twice.predict(given(X, "polars")).columns == ["0", "1", "2"]


def test_designs_of_several_kinds_give_numpy_coefficients_and_predictions_each_in_its_own():
    X, Y = data()
    mixed = [given(X, "pandas"), X]
    result = fastmtl.fit([given(X, "polars"), given(X, "pandas")], list(Y.T[:2]), alpha=0.05)
    assert type(result) is fastmtl.FitResult
    assert [kind_of(Z) for Z in result.predict(mixed)] == ["pandas", None]


def test_predictions_for_a_jax_array_of_32_bits_are_of_32_bits():
    pytest.importorskip("jax", reason="jax is not installed")
    X, Y = data()
    result = fastmtl.fit(X, Y, alpha=0.05)
    Z = result.predict(jax_array(X.astype(np.float32)))
    assert Z.dtype == np.float32
    np.testing.assert_allclose(Z, result.predict(X), atol=1e-5)


@pytest.mark.parametrize("kind", [*KINDS, DASK_FRAME])
def test_what_goes_with_x_may_be_of_any_kind(kind):
    wide(kind)
    X, Y = data()
    beside = {"sample_weight": np.linspace(0.5, 1.5, len(X)), "offset": 0.1 * Y}
    plain = fastmtl.fit(X, Y, alpha=0.05, **beside)
    there = {name: given(A, kind) for name, A in beside.items()}
    result = fastmtl.fit(X, given(Y, kind), alpha=0.05, **there)
    assert type(result.coef) is np.ndarray
    same(result.coef, plain.coef)
    assert result.task_names == (list("abc") if kind in (*FRAMES, DASK_FRAME) else None)
    by_label = fastmtl.fit(X, given(Y[:, 0], kind), alpha=0.05, task=given(np.arange(40) % 2, kind))
    assert [one.name for one in by_label.tasks] == ["0", "1"]
    answer = by_label.predict(X, task=given(np.arange(40) % 2, kind))
    np.testing.assert_array_equal(answer, by_label.predict(X, task=np.arange(40) % 2))


@pytest.mark.parametrize("loss", ["logistic", "poisson", "multinomial"])
@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_on_the_scale_of_the_response(kind, loss):
    wide(kind)
    X, Y = data()
    y = np.digitize(Y[:, 0], [0.5, 1.5]) if loss == "multinomial" else (Y > 1).astype(float)
    plain = fastmtl.fit(X, y, alpha=0.02, loss=loss)
    result = fastmtl.fit(given(X, kind), y, alpha=0.02, loss=loss)
    there = given(X, kind)
    same(result.predict(there), plain.predict(X))
    np.testing.assert_allclose(
        as_numpy(result.decision_function(there)), plain.decision_function(X), rtol=1e-9
    )
    assert result.score(there, y) == pytest.approx(plain.score(X, y))
    if loss != "poisson":
        same(result.predict_proba(there), plain.predict_proba(X))


@pytest.mark.parametrize("kind", KINDS)
def test_a_vector_gives_vectors_and_paths_give_the_kind_as_well(kind):
    wide(kind)
    X, Y = data()
    path = fastmtl.fit_path(given(X, kind), given(Y[:, 0], kind), n_alphas=4)
    assert isinstance(path.coefs, np.ndarray) and path.coefs.shape == (4, 6, 1)
    fit = path[-1]
    assert kind_of(fit.coef) == (kind if kind in TENSORS else None)
    Z = fit.predict(given(X, kind))
    assert kind_of(Z) == (None if kind == "numpy" else kind) and Z.shape == (40,)
    again = pickle.loads(pickle.dumps(fit))
    np.testing.assert_array_equal(as_numpy(again.predict(given(X, kind))), as_numpy(Z))


@pytest.mark.parametrize("kind", KINDS)
def test_every_door_takes_every_kind(kind):
    wide(kind)
    X, Y = data()
    there, targets = given(X, kind), given(Y, kind)
    fit, path = fastmtl.fit(there, targets, alpha=0.05), fastmtl.fit_path(there, targets, n_alphas=4)
    assert fastmtl.alpha_max(there, targets) == pytest.approx(fastmtl.alpha_max(X, Y))
    gap = fit.certificate.relative_gap + 1e-12
    assert fastmtl.certify(there, targets, fit.coef, fit.intercept, alpha=0.05).relative_gap <= gap
    assert fastmtl.fit(there, targets, alpha=0.05, warm_start=fit.coef).n_iter <= fit.n_iter
    assert kind_of(fastmtl.cross_validate(there, targets, n_alphas=4, cv=3).best.coef) == kind_of(fit.coef)
    assert fastmtl.path_criteria(path, there, targets).df.shape == (4,)
    same(fastmtl.debias(fit, there, targets).coef, fastmtl.debias(fastmtl.fit(X, Y, alpha=0.05), X, Y).coef)
    apart = fastmtl.fit([there, there], [given(Y[:, 0], kind), given(Y[:, 1], kind)], alpha=0.05)
    assert apart.coef.shape == (6, 2)
    assert fit.score(there, targets) > 0.5 and fit.summary() and fit.rank <= 3


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_keep_rows_and_names(kind):
    X, Y = data()
    frame = given(X, kind)
    result = fastmtl.fit(frame, given(Y, kind, "uvw"), alpha=0.05)
    assert result.feature_names == list("abcdef") and result.task_names == list("uvw")
    Z = result.predict(frame)
    assert list(Z.columns) == list("uvw")
    vector = fastmtl.fit(frame, given(Y[:, 0], kind), alpha=0.05).predict(frame)
    assert vector.name == "y"
    if kind == "pandas":
        assert (Z.index == frame.index).all() and (vector.index == frame.index).all()
    with pytest.raises(ValueError, match="order"):
        result.predict(frame[list("fedcba")])


def test_missing_targets_in_frames_are_gaps():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    polars = pytest.importorskip("polars", reason="polars is not installed")
    X, Y = data()
    holes = Y.copy()
    holes[::3, 1] = np.nan
    plain = fastmtl.fit(X, holes, alpha=0.05)
    boxed = pandas.DataFrame(holes).astype("Float64").mask(np.isnan(holes))
    assert boxed.isna().to_numpy().sum() == 14
    nulls = polars.DataFrame(holes).fill_nan(None)
    for table in (boxed, nulls):
        same(fastmtl.fit(X, table, alpha=0.05).coef, plain.coef)


def test_frames_of_several_dtypes():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    polars = pytest.importorskip("polars", reason="polars is not installed")
    X, Y = data()
    columns = {"a": X[:, 0], "b": X[:, 1] > 0, "c": np.arange(40), "d": X[:, 2].astype(np.float32)}
    plain = fastmtl.fit(np.stack([c.astype(float) for c in columns.values()], axis=1), Y, alpha=0.05)
    for table in (
        pandas.DataFrame(columns),
        polars.DataFrame(columns),
        pandas.DataFrame(columns).convert_dtypes(),
    ):
        same(fastmtl.fit(table, Y, alpha=0.05).coef, plain.coef)


def test_a_dask_array_is_answered_lazily_and_by_chunks_of_rows():
    dask = pytest.importorskip("dask.array", reason="dask.array is not installed")
    X, Y = data()
    there = dask.from_array(X, chunks=(7, 2))
    result = fastmtl.fit(there, dask.from_array(Y, chunks=5), alpha=0.05)
    Z = result.predict(there)
    assert Z.chunks == (there.chunks[0], (3,)) and Z.dtype == np.float64
    unknown = there[there[:, 0] > -np.inf]  # its number of rows is not known before it is computed
    same(fastmtl.fit(unknown, Y, alpha=0.05).coef, result.coef)


@pytest.mark.parametrize("order", ["C", "F"])
def test_read_only_arrays_are_taken_and_left_alone(order):
    X, Y = data()
    X, Y = np.array(X, order=order), np.array(Y, order=order)
    before = X.copy(), Y.copy()
    for A in (X, Y):
        A.flags.writeable = False
    result = fastmtl.fit(X, Y, alpha=0.05)
    result.predict(X)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(Y, before[1])
    torch = pytest.importorskip("torch", reason="torch is not installed")
    assert fastmtl.fit(torch.from_numpy(before[0]), Y, alpha=0.05).coef.is_contiguous()


def test_a_tensor_with_a_gradient_is_read_and_no_gradient_comes_back():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    X, Y = data()
    there = torch.from_numpy(X).requires_grad_()
    result = fastmtl.fit(there, torch.from_numpy(Y), alpha=0.05)
    assert not result.coef.requires_grad and not result.predict(there).requires_grad
    same(result.coef, fastmtl.fit(X, Y, alpha=0.05).coef)


def refusals():
    """(kind, how it is made, what the message must name)."""
    return [
        ("torch", lambda m, X: m.from_numpy(X).bfloat16(), r"X\.float\(\)"),
        ("torch", lambda m, X: m.from_numpy(X).to_sparse(), r"X\.to_dense\(\)"),
        ("torch", lambda m, X: m.empty(X.shape, device="meta"), r"X\.cpu\(\)"),
        ("torch", lambda m, X: m.from_numpy(X).to(m.complex128), "complex"),
        ("polars", lambda m, X: m.DataFrame(X).lazy(), r"X\.collect\(\)"),
        ("polars", lambda m, X: m.DataFrame({"a": X[:, 0], "b": ["x"] * len(X)}), "not numbers: b"),
        ("pandas", lambda m, X: m.DataFrame({"a": X[:, 0], "b": ["x"] * len(X)}), "not numbers: b"),
        (
            "pandas",
            lambda m, X: m.DataFrame({"a": X[:, 0], "b": m.Categorical(["x"] * len(X))}),
            "not numbers: b",
        ),
        ("jax", lambda m, X: m.numpy.ones((40, 3), dtype="int32"), "astype"),
        ("jax", lambda m, X: m.experimental.sparse.BCOO.fromdense(m.numpy.ones((40, 3))), "todense"),
        ("dask", lambda m, X: m.array.from_array(X).map_blocks(sparse_block, dtype=float), r"X\.compute\(\)"),
    ]


def sparse_block(block):
    from scipy.sparse import csr_matrix

    return csr_matrix(block)


@pytest.mark.parametrize(
    "place", range(len(refusals())), ids=[f"{r[0]}-{i}" for i, r in enumerate(refusals())]
)
def test_what_cannot_be_exact_is_refused_with_its_remedy(place):
    kind, make, said = refusals()[place]
    module = pytest.importorskip(kind, reason=f"{kind} is not installed")
    for extra in {"dask": ["dask.array"], "jax": ["jax.experimental.sparse"]}.get(kind, []):
        pytest.importorskip(extra, reason=f"{extra} is not installed")
    X, Y = data()
    with pytest.raises(TypeError, match=said) as caught:
        fastmtl.fit(make(module, X), Y, alpha=0.05)
    assert str(caught.value).startswith("X ") and "\n" not in str(caught.value)


def test_a_traced_array_is_refused():
    jax = pytest.importorskip("jax", reason="jax is not installed")
    X, Y = data(np.float32)

    @jax.jit
    def traced(A):
        return fastmtl.fit(A, Y, alpha=0.05).coef

    with pytest.raises(TypeError, match="pure_callback"):
        traced(X)


@pytest.mark.parametrize(
    "kind", ["numpy", "pandas", *(pytest.param(k, marks=pytest.mark.slow) for k in KINDS[2:])]
)
def test_nothing_is_imported_that_the_caller_has_not(kind):
    if kind != "numpy":
        pytest.importorskip("dask.array" if kind == "dask" else kind, reason=f"{kind} is not installed")
    code = textwrap.dedent(
        f"""
        import sys
        sys.path[:0] = {sys.path!r}
        import numpy as np
        sys.path.append({str(__file__).rsplit("/", 1)[0]!r})
        import fastmtl, scipy.sparse, numba, pytest, threadpoolctl
        from array_kinds import given, as_numpy
        from test_arrays import data, wide
        wide({kind!r})
        X, Y = data()
        there = given(X, {kind!r})
        before = set(sys.modules)
        result = fastmtl.fit(there, Y, alpha=0.05)
        as_numpy(result.predict(there)); as_numpy(result.coef)
        new = {{m.partition(".")[0] for m in set(sys.modules) - before}}
        others = {{"pandas", "polars", "torch", "jax", "dask", "cupy", "sklearn", "matplotlib", "pyarrow"}}
        print(sorted(new & others - {{{kind!r}}}))
        """
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
