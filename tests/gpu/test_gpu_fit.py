"""Whole fits on the GPU backend over the stand-in: answers and transfers."""

from __future__ import annotations

import gc
import itertools
import warnings

import numpy as np
import pytest
import scipy.sparse as sparse
from gpu_cases import quadratic_of
from standin import DEVICE

import fastmtl
from fastmtl import _cost, backend
from fastmtl.losses import Huber, Logistic, Multinomial, Poisson
from fastmtl.penalties import L1, L21, Group, SparseGroup, Trace

GROUPS = [[0, 1, 2], [3], [4, 5, 6, 7], [8, 9], [10, 11, 12, 13], [14, 15, 16, 17, 18, 19]]
PENALTIES = {
    "l21": L21(0.1),
    "l21 free rows": L21(0.1, feature_weights=np.r_[0.0, np.ones(19)]),
    "elastic": L21(0.1, l1_ratio=0.5),
    "positive": L21(0.05, positive=True),
    "l1": L1(0.05),
    "group": Group(0.1, groups=GROUPS),
    "sparse_group": SparseGroup(0.1, tau=0.3),
    "trace": Trace(0.2),
}
OPTIONS = {
    "plain": {},
    "no intercept": {"fit_intercept": False},
    "weights": {"sample_weight": np.r_[np.zeros(3), np.linspace(0.5, 2.0, 37)]},
    "standardize": {"standardize": True},
}


def _data(n=40, p=20, t=4, dtype=np.float64, order="F"):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)) + 1.0
    Y = X[:, :3] @ rng.standard_normal((3, t)) + 0.3 * rng.standard_normal((n, t))
    return np.asarray(X, dtype=dtype, order=order), Y


def _agree(found, wanted, tol):
    assert found.status.converged
    assert found.certificate.relative_gap <= tol
    assert (
        abs(found.certificate.primal - wanted.certificate.primal)
        <= found.certificate.gap + wanted.certificate.gap + 1e-12
    )


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_fits_agree_with_the_cpu(on_device, penalty, options):
    X, Y = _data()
    wanted = fastmtl.fit(X, Y, PENALTIES[penalty], tol=1e-9, backend="cpu", **OPTIONS[options])
    launches = DEVICE.launches
    found = fastmtl.fit(X, Y, PENALTIES[penalty], tol=1e-9, backend="gpu", **OPTIONS[options])
    assert found.backend == "gpu"
    assert isinstance(found.coef, np.ndarray)
    assert isinstance(found.intercept, np.ndarray)
    assert DEVICE.launches > launches or penalty == "trace"
    _agree(found, wanted, 1e-9)


@pytest.mark.parametrize("penalty", ["l21", "trace"])
@pytest.mark.parametrize(
    "loss", [Logistic(), Huber(1.35), Poisson(), Multinomial()], ids=lambda loss: loss.name
)
def test_other_losses_agree_with_the_cpu(on_device, loss, penalty):
    X, Y = _data(t=3)
    X -= 1.0
    Y = (
        np.digitize(Y[:, 0], [-1.0, 1.0])
        if loss.name == "multinomial"
        else Y
        if loss.name == "huber"
        else (Y > 0) * 1
    )
    wanted, found = (
        fastmtl.fit(X, Y, penalty, alpha=0.05, loss=loss, backend=where) for where in ("cpu", "gpu")
    )
    assert found.backend == "gpu"
    _agree(found, wanted, 1e-6)


OWN_OPTIONS: dict[str, dict] = {
    "plain": {},
    "no intercept": {"fit_intercept": False},
    "weights": {"sample_weight": np.linspace(0.0, 2.0, 120).reshape(40, 3), "task_weight": [1.0, 2.0, 0.5]},
    "standardize": {"standardize": True},
    "offset": {"offset": np.linspace(-1.0, 1.0, 120).reshape(40, 3)},
    "free rows": {"penalty": L21(0.05, feature_weights=np.r_[0.0, np.ones(19)])},
    "entries": {"penalty": L1(0.05)},
    "groups": {"penalty": SparseGroup(0.05, groups=GROUPS)},
    "trace": {"penalty": "trace", "alpha": 0.2},
    "far columns": {},
}


SETTINGS = itertools.product(
    ["squared", "huber", "logistic", "poisson", "multinomial", "mixed"], OWN_OPTIONS, ["dense", "sparse"]
)


@pytest.mark.parametrize(
    "loss, options, form",
    [pytest.param(*s, marks=pytest.mark.slow if i % 7 else ()) for i, s in enumerate(SETTINGS)],
)
def test_losses_in_every_setting_agree_with_the_cpu(on_device, loss, options, form):
    """Squared loss with gaps; one class only in a column of the logistic one."""
    X, Y = _data(t=3)
    if form == "sparse":
        X[np.random.default_rng(1).random(X.shape) < 0.5] = 1.0
    X += 1000.0 if options == "far columns" else -1.0
    Y = Y - Y.mean(axis=0)
    labels = (Y > 0) * 1.0
    labels[:, 1] = 1.0
    columns = np.stack([Y[:, 0], labels[:, 1], (Y[:, 2] > 0) * 3.0], axis=1)
    columns, given = {
        "squared": (np.where(Y > 2.0, np.nan, Y), loss),
        "huber": (Y, loss),
        "logistic": (labels, loss),
        "poisson": (np.round(np.exp(Y / 3.0)), loss),
        "multinomial": (np.digitize(Y[::-1, 0], [-1.0, 1.0]), loss),
        "mixed": (columns, ["huber", "logistic", "poisson"]),
    }[loss]
    X = sparse.csr_matrix(X) if form == "sparse" else X
    extra = {"penalty": "l21", "alpha": 0.05, **OWN_OPTIONS[options]}
    extra = {**extra, "alpha": None} if isinstance(extra["penalty"], (L21, L1, SparseGroup)) else extra
    if loss == "multinomial" and "sample_weight" in extra:
        extra |= {"sample_weight": extra["sample_weight"][:, 0], "task_weight": None}
    wanted, found = (fastmtl.fit(X, columns, loss=given, backend=where, **extra) for where in ("cpu", "gpu"))
    assert found.backend == "gpu"
    _agree(found, wanted, 1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_dtypes_and_layouts(on_device, dtype, order):
    X, Y = _data(dtype=dtype, order=order)
    wanted = fastmtl.fit(X, Y, alpha=0.1, backend="cpu")
    found = fastmtl.fit(X, Y, alpha=0.1, backend="gpu")
    assert found.coef.dtype == wanted.coef.dtype
    # Coefficients rounded to single precision may end "optimal to precision", above tol.
    _agree(found, wanted, 1e-6 if X.dtype != np.float32 else 1e-5)


@pytest.mark.parametrize("shape", [(40, 20, 1), (10, 60, 4), (3, 5, 8), (1, 1, 1)], ids=str)
def test_shapes(on_device, shape):
    X, Y = _data(max(shape[0], 3), max(shape[1], 3), shape[2])
    X, Y = X[: shape[0], : shape[1]], Y[: shape[0]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wanted, found = (fastmtl.fit(X, Y, alpha=0.05, backend=where) for where in ("cpu", "gpu"))
    _agree(found, wanted, 1e-6)


def test_more_active_rows_than_one_block_of_threads_takes(on_device, monkeypatch):
    """The accelerated descent takes over, and both arrays come back in one trip."""
    monkeypatch.setattr(on_device._sweep, "DESCEND_ROWS", 4)
    X, Y = _data()
    found = fastmtl.fit(X, Y, L21(0.1), backend="gpu")
    assert found.n_active > 4
    _agree(found, fastmtl.fit(X, Y, L21(0.1), backend="cpu"), 1e-6)


def test_batches_are_single_descents(on_device):
    from fastmtl_kernels.gpu import hosted

    def problems():
        rng = np.random.default_rng(0)
        return [quadratic_of(5, 3, kind, rng) for kind in ("rows", "groups", "l1", "ridge")]

    together, alone = problems(), problems()
    found = hosted.sweep_batch([q for q, _ in together], [s for _, s in together], np.full(4, 1e-10), 500)
    for one, (batched, _), (single, shrink) in zip(found, together, alone, strict=True):
        assert one == hosted.sweep(single, shrink, 1e-10, 500) and one.gap <= 1e-10
        np.testing.assert_array_equal(batched.coef, single.coef)


@pytest.mark.parametrize("penalty", ["l21", "l1", "trace"])
def test_paths_agree_with_the_cpu(on_device, penalty):
    X, Y = _data()
    wanted, found = (
        fastmtl.fit_path(X, Y, penalty, n_alphas=5, eps=0.1, backend=where) for where in ("cpu", "gpu")
    )
    np.testing.assert_allclose(found.alphas, wanted.alphas, rtol=1e-12)
    for a, b in zip(found, wanted, strict=True):
        assert a.backend == "gpu"
        _agree(a, b, 1e-6)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("penalty", ["l21", "trace"])
def test_x_larger_than_the_device_is_streamed(on_device, monkeypatch, penalty, order):
    X, Y = _data(60, 400, 2, order=order)
    monkeypatch.setattr(on_device._products, "PANEL_BYTES", X.nbytes // 16)
    monkeypatch.setattr(fastmtl.designs.device, "PANEL_BYTES", X.nbytes // 16)
    monkeypatch.setattr(_cost.Work, "device_bytes", property(lambda self: 8.0 * 60 * 70))
    DEVICE.total = DEVICE.live + X.nbytes
    found = fastmtl.fit(X, Y, penalty, alpha=0.5, backend="gpu")
    assert "streamed" in found.backend_reason
    _agree(found, fastmtl.fit(X, Y, penalty, alpha=0.5, backend="cpu"), 1e-6)


def test_device_arrays_in_and_out(on_device):
    X, Y = _data(dtype=np.float32)
    there, targets = on_device.xp.asarray(X), on_device.xp.asarray(Y)
    found = fastmtl.fit(there, targets, alpha=0.1)
    assert (found.backend, found.backend_reason) == ("gpu", "X is on the device")
    assert isinstance(found.coef, on_device.xp.ndarray)
    assert isinstance(found.intercept, on_device.xp.ndarray)
    assert found.coef.dtype == np.float32
    predicted = found.predict(there)
    assert isinstance(predicted, on_device.xp.ndarray)
    wanted = fastmtl.fit(X, Y, alpha=0.1, backend="cpu")
    np.testing.assert_allclose(predicted.get(), wanted.predict(X), atol=1e-2)
    np.testing.assert_allclose(found.predict(X), wanted.predict(X), atol=1e-2)
    assert found.score(there, targets) == pytest.approx(wanted.score(X, Y), abs=1e-4)
    assert fastmtl.alpha_max(there, targets) == pytest.approx(fastmtl.alpha_max(X, Y), rel=1e-6)
    again = fastmtl.certify(there, targets, found.coef, found.intercept, "l21", alpha=0.1, dual=found.dual)
    assert again.relative_gap == pytest.approx(found.certificate.relative_gap, rel=1e-6)
    assert "gpu" in repr(found)
    assert found.summary().startswith("FitResult")
    warm = fastmtl.fit(there, targets, alpha=0.1, warm_start=found)
    assert warm.n_iter <= found.n_iter
    path = fastmtl.fit_path(there, targets, n_alphas=3, eps=0.3)
    assert isinstance(path[1].coef, on_device.xp.ndarray)
    assert path.coefs.shape == (3, 20, 4)


@pytest.mark.parametrize("loss", ["logistic", "poisson", "multinomial", "squared"])
def test_predictions_on_the_device_are_on_the_scale_of_the_response(on_device, loss):
    X, Y = _data(t=3)
    Y = np.digitize(Y[:, 0], [-1.0, 1.0]) if loss == "multinomial" else (Y > 0) * 1.0
    there = on_device.xp.asarray(X)
    found = fastmtl.fit(there, Y, alpha=0.02, loss=loss)
    for name in ("predict", "decision_function") + (("predict_proba",) if loss[0] in "lm" else ()):
        answer = getattr(found, name)(there)
        assert isinstance(answer, on_device.xp.ndarray)
        np.testing.assert_allclose(answer.get(), getattr(found.host, name)(X), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("loss", ["squared", "multinomial"])
def test_lists_labels_and_models_of_numpy_arrays_are_answered_on_the_device(on_device, loss):
    X, Y = _data(t=2)
    Y = np.digitize(Y, [-1.0, 1.0]) if loss == "multinomial" else Y
    there, task = on_device.xp.asarray(X), np.arange(len(X)) % 2
    forms = [
        (X, there, Y[:, 0], {}),
        ([X, X[:20]], [there, there[:20]], [Y[:, 0], Y[:20, 1]], {}),
        (X, there, Y[:, 0], {"task": task}),
    ]
    for plain_X, X_there, targets, extra in forms:
        plain = fastmtl.fit(plain_X, targets, alpha=0.05, loss=loss, **extra)
        found = fastmtl.fit(X_there, targets, alpha=0.05, loss=loss, **extra)
        assert isinstance(found.coef, on_device.xp.ndarray)
        for model in (plain, found):
            answers, right = model.predict(X_there, **extra), model.predict(plain_X, **extra)
            if not isinstance(answers, list):
                answers, right = [answers], [right]
            for answer, wanted in zip(answers, right, strict=True):
                assert isinstance(answer, on_device.xp.ndarray)
                np.testing.assert_allclose(answer.get(), wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("form", ["csc", "csr", "coo", "own"])
def test_sparse_x(on_device, form, options):
    """Taken to the device, or used there: the same fit, and an answer where X was."""
    X, Y = _data()
    X[np.random.default_rng(1).random(X.shape) < 0.7] = 0.0
    X, extra = sparse.coo_matrix(X).asformat("csr" if form == "own" else form), {}
    there = on_device.sparse().csr_matrix(X)
    if form == "own":
        X, there, Y, extra = [X, X[:30]], [there, there[:30]], [Y[:, 0], Y[:30, 1]], {"penalty": "l1"}
    extra |= {} if form == "own" and options == "weights" else OPTIONS[options]
    wanted = fastmtl.fit(X, Y, alpha=0.05, tol=1e-9, backend="cpu", **extra)
    found = fastmtl.fit(X, Y, alpha=0.05, tol=1e-9, backend="gpu", **extra)
    assert (wanted.backend, found.backend) == ("cpu", "gpu") and isinstance(found.coef, np.ndarray)
    _agree(found, wanted, 1e-9)
    answer = fastmtl.fit(there, Y, alpha=0.05, tol=1e-9, **extra)
    assert answer.backend == "gpu" and isinstance(answer.coef, on_device.xp.ndarray)
    _agree(answer, wanted, 1e-9)
    at_home = fastmtl.fit(there, Y, alpha=0.05, tol=1e-9, backend="cpu", **extra)
    assert at_home.backend == "cpu"
    _agree(at_home, wanted, 1e-9)
    predicted, right = answer.predict(there), wanted.predict(X)
    for a, b in zip(*((predicted, right) if form == "own" else ([predicted], [right])), strict=True):
        assert isinstance(a, on_device.xp.ndarray)
        np.testing.assert_allclose(a.get(), b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "place, value, words", [("indices", 40, "outside 0..39"), ("indptr", 3, "do not ascend")], ids=str
)
def test_broken_sparse_matrices_on_the_device_are_refused(on_device, place, value, words):
    X, Y = _data()
    there = on_device.sparse().csc_matrix(sparse.csc_matrix(X))
    getattr(there, place)[0] = value
    with pytest.raises(ValueError, match=words):
        fastmtl.fit(there, Y, alpha=0.1)


def test_auto_weighs_sparse_work(on_device, monkeypatch):
    monkeypatch.setattr(_cost, "cores", lambda: 16)
    few, many = (_cost.Work(10**6, 10**5, 10, stored=stored) for stored in (10**5, 10**9))
    assert backend.choose_backend("auto", few).name == "cpu"
    assert backend.choose_backend("auto", many).name == "gpu"
    DEVICE.total = DEVICE.live + int(many.x_bytes)
    assert "too few" in backend.choose_backend("auto", many).reason


@pytest.mark.parametrize(
    "streamed", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["moved", "streamed"]
)
@pytest.mark.parametrize("penalty", ["l21", "l1", "trace"])
@pytest.mark.parametrize("loss", ["squared", "logistic", "multinomial"])
def test_tasks_with_an_x_of_their_own(on_device, monkeypatch, loss, penalty, streamed):
    X, Y = _data(t=3)
    X -= 1.0
    Y = np.digitize(Y, [-1.0, 1.0]) if loss == "multinomial" else (Y > 0) * 1.0 if loss == "logistic" else Y
    designs, targets = [X, X[:30], X[5:]], [Y[:, 0], Y[:30, 1], Y[5:, 2]]
    if streamed:
        monkeypatch.setattr(_cost.Work, "x_bytes", property(lambda self: 2.0**60))
    wanted, found = (
        fastmtl.fit(designs, targets, penalty, alpha=0.05, loss=loss, backend=where, standardize=True)
        for where in ("cpu", "gpu")
    )
    assert (found.backend, wanted.backend) == ("gpu", "cpu")
    assert ("streamed" in found.backend_reason) == streamed
    _agree(found, wanted, 1e-6)


def test_tasks_whose_x_are_in_different_places(on_device):
    X, Y = _data(t=2)
    there = on_device.xp.asarray(X)
    found = fastmtl.fit([there, X[:30]], [Y[:, 0], Y[:30, 1]], alpha=0.05)
    assert found.backend == "gpu" and isinstance(found.coef, np.ndarray)
    at_home = fastmtl.fit([there, X[:30]], [Y[:, 0], Y[:30, 1]], alpha=0.05, backend="cpu")
    assert at_home.backend == "cpu"
    _agree(found, at_home, 1e-6)


FOUR_TRIPS = [
    L21(0.4),
    L21(0.4, l1_ratio=0.5),
    L21(0.4, positive=True),
    Group(2.0, groups=[4] * 150),
    L1(0.4),
    L1(0.4, positive=True),
    SparseGroup(0.5, groups=[4] * 150),
]


@pytest.mark.parametrize("form", ["dense", "sparse"])
@pytest.mark.parametrize("penalty", FOUR_TRIPS, ids=str)
def test_an_outer_iteration_reads_four_small_arrays_back(on_device, penalty, form):
    """Sums and block norms, the scores of the working set, its new Gram matrix, the iterate; nothing of the size of Y or W."""
    X, Y = _data(300, 600, 40)
    there, seen = on_device.xp.asarray(X), []
    if form == "sparse":
        there = on_device.sparse().csc_matrix(sparse.csc_matrix(X))

    def watch(report):
        seen.append((DEVICE.read_backs, DEVICE.largest))

    DEVICE.reset()
    found = fastmtl.fit(there, Y, penalty, callback=watch)
    assert found.status.converged
    assert len(seen) == found.n_iter + 1 >= 2
    counts = [count for count, _ in seen]
    # Indices of a sparse X are checked once; a number comes back from each of three gathers of its columns.
    checks, gathers = (5, 3) if form == "sparse" else (0, 0)
    # The Gram matrix of a first working set takes one product more, of the column of ones.
    assert counts[0] == 1 + checks and counts[1] - counts[0] <= 5 + gathers
    assert all(after - before <= 4 + gathers for before, after in itertools.pairwise(counts[1:]))
    assert seen[-1][1] < min(Y.nbytes, 8 * 600 * 40)
    _agree(found, fastmtl.fit(X, Y, penalty, backend="cpu"), 1e-6)


@pytest.mark.parametrize("form", ["dense", "sparse"])
@pytest.mark.parametrize("loss", ["squared", "huber", "logistic", "poisson", "multinomial"])
def test_predictions_gradients_and_curvature_stay_on_the_device(on_device, monkeypatch, loss, form):
    """Under any loss (the squared one with weights by task) what comes home is of the size of W or of Gram matrices."""
    X, Y = _data(600, 30, 40)
    Y = {"logistic": (Y > 0) * 1.0, "poisson": np.round(np.exp(Y / 10.0))}.get(loss, Y)
    one = loss == "multinomial"
    Y = np.argmax(Y, axis=1) if one else Y
    there, sizes = on_device.xp.asarray(X), []
    there = on_device.sparse().csc_matrix(sparse.csc_matrix(X)) if form == "sparse" else there
    alpha = 0.2 * fastmtl.alpha_max(X, Y, loss=loss)
    monkeypatch.setattr(DEVICE, "read_back", sizes.append)
    weight = None if one else np.linspace(1.0, 2.0, 40)
    found = fastmtl.fit(there, Y, "l21", alpha=alpha, loss=loss, task_weight=weight)
    assert found.n_iter >= 1 and 0 < found.n_active < 20
    dual = 8 * 600 * found.coef.shape[1]
    assert max(sizes) == dual and sizes.count(dual) == 1, "the dual point of the result"
    assert sorted(sizes)[-2] < dual / 10


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_so_they_do_where_tasks_have_an_x_of_their_own(on_device, monkeypatch, loss):
    X, Y = _data(600, 30, 4)
    Y = (Y > 0) * 1.0 if loss == "logistic" else Y
    targets, sizes = [Y[:400, 0], Y[:, 1], Y[200:, 2], Y[:0, 3]], []
    there = on_device.xp.asarray(X)
    designs = [there[:400], there, on_device.sparse().csc_matrix(sparse.csc_matrix(X[200:])), there[:0]]
    monkeypatch.setattr(DEVICE, "read_back", sizes.append)
    found = fastmtl.fit(designs, targets, "l21", alpha=0.1, loss=loss)
    assert found.backend == "gpu" and found.n_iter >= 1
    assert max(sizes) == 8 * 1400 and sizes.count(8 * 1400) == 1, "the dual points of the result"
    assert sorted(sizes)[-2] <= 8 * 4 * 16**2


def test_of_arrays_like_y_two_come_home(on_device, monkeypatch):
    """Y itself, to be checked, and the dual point of the result."""
    X, Y = _data(300, 60, 40)
    there, targets, sizes = on_device.xp.asarray(X), on_device.xp.asarray(Y), []
    monkeypatch.setattr(DEVICE, "read_back", sizes.append)
    found = fastmtl.fit(there, targets, L21(0.8))
    assert found.n_iter >= 1 and sorted(sizes)[-2:] == [Y.nbytes] * 2
    assert sorted(sizes)[-3] < Y.nbytes / 2


def test_x_in_host_memory_is_moved_once(on_device):
    X, Y = _data(400, 30, 2)
    DEVICE.reset()
    before = DEVICE.live
    found = fastmtl.fit(X, Y, alpha=0.1, backend="gpu")
    assert DEVICE.transfers <= 25 * (found.n_iter + 1)
    from fastmtl_kernels.gpu import hosted

    hosted.forget()
    gc.collect()
    assert DEVICE.live == before


def test_asking_for_the_cpu_takes_device_arrays_home(on_device):
    X, Y = _data()
    found = fastmtl.fit(on_device.xp.asarray(X), Y, alpha=0.1, backend="cpu")
    assert found.backend == "cpu"
    assert isinstance(found.coef, on_device.xp.ndarray)


def test_bad_values_on_the_device_are_named(on_device):
    X, Y = _data()
    X[3, 7] = np.nan
    for given in (X, on_device.xp.asarray(X)):
        with pytest.raises(ValueError, match=r"X holds nan at \[3, 7\]"):
            fastmtl.fit(given, Y, alpha=0.1, backend="gpu")
    with pytest.raises(TypeError, match="complex"):
        fastmtl.fit(on_device.xp.asarray(np.ones((3, 2), dtype=complex)), Y[:3], alpha=0.1)
