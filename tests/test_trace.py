"""The trace norm behind the doors: certified, right, and the same however it is asked for."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from low_rank_problems import draw

import fastmtl
from fastmtl.penalties import L21, Trace
from fastmtl.penalties.trace import singular_values, spectral_norm

EPS = np.finfo(float).eps
SHAPES = [(60, 20, 8), (20, 60, 8), (30, 30, 5), (40, 6, 12), (25, 10, 1)]


def fitted(X: Any, Y: Any, fraction: float, **options: Any) -> Any:
    """Fit at a fraction of alpha_max."""
    problem = {
        k: v
        for k, v in options.items()
        if k in ("sample_weight", "fit_intercept", "standardize", "scale", "offset")
    }
    alpha = fraction * fastmtl.alpha_max(X, Y, penalty="trace", **problem)
    return fastmtl.fit(
        X, Y, penalty=Trace(alpha, ridge=options.pop("ridge", 0.0)), **{"tol": 1e-9, **options}
    )


# --- the penalty ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ridge", [0.0, 0.7])
@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (3, 7), (20, 1)])
def test_moreau_and_fenchel_young(shape, ridge):
    """`V = prox + step * (the dual part)`, and `value(W) + conjugate(Z) = <W, Z>` at that pair."""
    V, penalty, step = np.random.default_rng(0).standard_normal(shape), Trace(0.6, ridge=ridge), 0.8
    W = penalty.prox(V, step)
    Z = (V - W) / step
    shrunk = Z if ridge else Z * min(1.0, penalty.dual_scale(Z))
    scale = 1.0 + np.vdot(V, V)
    assert abs(penalty.value(W) + penalty.conjugate(shrunk) - np.vdot(W, Z)) <= 64 * EPS * max(shape) * scale


def test_singular_values_without_a_decomposition():
    rng = np.random.default_rng(0)
    low = rng.standard_normal((50, 3)) @ rng.standard_normal((3, 20))
    graded = rng.standard_normal((40, 10)) * np.logspace(0, -15, 10)
    for W in (low, graded, graded.T, np.zeros((4, 3)), 1e-180 * low, 1e180 * low, low[:1], low[:, :1]):
        expected = np.linalg.svd(W, compute_uv=False)
        top = expected[0] if expected[0] > 0 else 1.0
        np.testing.assert_allclose(singular_values(W) / top, expected / top, atol=1e-12)
        assert abs(spectral_norm(W) - expected[0]) <= 64 * EPS * top


def test_dual_scale_is_the_edge_of_the_conjugates_domain():
    V, penalty = np.random.default_rng(0).standard_normal((12, 7)), Trace(0.3)
    a = penalty.dual_scale(V)
    assert penalty.conjugate(a * V) == 0.0
    assert penalty.conjugate(a * (1 + 1e-12) * V) == np.inf
    assert penalty.dual_scale(0 * V) == np.inf and Trace(0.3, ridge=0.1).dual_scale(V) == np.inf
    limit, along = Trace(0.3, ridge=0.1).conjugate_along(V)
    assert limit == np.inf and abs(along(0.7) - Trace(0.3, ridge=0.1).conjugate(0.7 * V)) <= 1e-12 * along(
        0.7
    )


def test_value_of_factors_is_the_value_of_their_product():
    rng = np.random.default_rng(0)
    U, V = rng.standard_normal((30, 4)), rng.standard_normal((9, 4))
    for penalty in (Trace(0.3), Trace(0.3, ridge=0.5), L21(0.2)):
        assert abs(penalty.value_of_factors(U, V) - penalty.value(U @ V.T)) <= 1e-12 * penalty.value(U @ V.T)
    assert Trace(0.3).value_of_factors(np.empty((5, 0)), np.empty((3, 0))) == 0.0


@pytest.mark.parametrize("arguments", [{"alpha": -1.0}, {"alpha": np.nan}, {"alpha": 1.0, "ridge": -0.1}])
def test_settings_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match="finite number >= 0"):
        Trace(**arguments)


# --- fits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fraction", [0.5, 0.05])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_fits_certify_and_certify_again_from_their_dual_point(shape, fraction, ridge):
    X, Y = draw(*shape)
    res = fitted(X, Y, fraction, ridge=ridge)
    assert res.status is fastmtl.Status.OPTIMAL and res.certificate.relative_gap <= 1e-9
    alpha = fraction * fastmtl.alpha_max(X, Y, penalty="trace")
    again = fastmtl.certify(X, Y, res.coef, res.intercept, penalty=Trace(alpha, ridge=ridge), dual=res.dual)
    assert again.relative_gap <= 1e-9 + 1e-13


TABLE = [(2000, 500, 50, 5), (500, 2000, 50, 5), (300, 5000, 20, 5)]
LARGE = [(5000, 200, 200, 10), (1000, 1000, 300, 10), (20000, 1000, 100, 10)]


@pytest.mark.parametrize(
    "case", [*TABLE[2:], *(pytest.param(c, marks=pytest.mark.slow) for c in TABLE[:2] + LARGE)], ids=str
)
@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_the_table_of_shapes_certifies_to_1e_9(case, correlation):
    n, p, t, rank = case
    X, Y = draw(n, p, t, correlation=correlation, rank=rank)
    top = fastmtl.alpha_max(X, Y, penalty="trace")
    for fraction in (0.5, 0.1, 0.02):
        res = fastmtl.fit(X, Y, penalty="nuclear", alpha=fraction * top, tol=1e-9)
        check = fastmtl.certify(
            X, Y, res.coef, res.intercept, penalty="trace", alpha=fraction * top, dual=res.dual
        )
        assert check.relative_gap <= 1e-9 + 1e-13


@pytest.mark.oracle
@pytest.mark.parametrize("shape", [(25, 8, 5), (8, 15, 4)])
@pytest.mark.parametrize("ridge", [0.0, 0.2])
def test_agrees_with_a_general_convex_solver(shape, ridge):
    cvxpy = pytest.importorskip("cvxpy")
    X, Y = draw(*shape)
    alpha = 0.2 * fastmtl.alpha_max(X, Y, penalty="trace")
    W, b = cvxpy.Variable((shape[1], shape[2])), cvxpy.Variable((1, shape[2]))
    loss = cvxpy.sum_squares(Y - X @ W - np.ones((shape[0], 1)) @ b) / (2 * shape[0])
    problem = cvxpy.Problem(
        cvxpy.Minimize(loss + alpha * cvxpy.normNuc(W) + ridge / 2 * cvxpy.sum_squares(W))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem.solve(solver="SCS", eps=1e-9, max_iters=200_000)
    res = fastmtl.fit(X, Y, penalty=Trace(alpha, ridge=ridge), tol=1e-11)
    assert abs(res.certificate.primal - problem.value) <= 1e-6 * problem.value
    np.testing.assert_allclose(res.coef, W.value, atol=2e-4 * np.abs(res.coef).max())


def test_one_task_is_the_norm_of_one_vector():
    """T = 1: |W|_* = |w|_2, the single group of the group Lasso."""
    X, Y = draw(30, 12, 1)
    alpha = 0.3 * fastmtl.alpha_max(X, Y, penalty="trace")
    res = fastmtl.fit(X, Y[:, 0], penalty="trace", alpha=alpha, tol=1e-12)
    group = fastmtl.fit(
        X, Y[:, 0], penalty=fastmtl.penalties.Group(alpha, groups=[list(range(12))]), tol=1e-12
    )
    np.testing.assert_allclose(res.coef, group.coef, atol=1e-6 * np.abs(res.coef).max())
    assert res.predict(X).shape == (30,) and res.rank == 1


@pytest.mark.parametrize("shape", [(60, 20, 8), (20, 60, 8)])
def test_rotating_the_tasks_rotates_the_solution(shape):
    X, Y = draw(*shape)
    Q = np.linalg.qr(np.random.default_rng(1).standard_normal((shape[2], shape[2])))[0]
    plain, turned = fitted(X, Y, 0.1, tol=1e-12), fitted(X, Y @ Q, 0.1, tol=1e-12)
    np.testing.assert_allclose(turned.coef, plain.coef @ Q, atol=1e-5 * np.abs(plain.coef).max())
    assert abs(turned.certificate.primal - plain.certificate.primal) <= 1e-11 * plain.certificate.primal


def test_alpha_max_is_the_edge_of_zero():
    X, Y = draw(60, 20, 8)
    top = fastmtl.alpha_max(X, Y, penalty="trace")
    centred = (X - X.mean(axis=0)).T @ (Y - Y.mean(axis=0)) / 60
    assert abs(top / np.linalg.norm(centred, 2) - 1) <= 1e-13
    assert fastmtl.fit(X, Y, penalty="trace", alpha=top).rank == 0
    assert fastmtl.fit(X, Y, penalty="trace", alpha=0.99 * top, tol=1e-12).rank == 1


def test_integer_sample_weights_are_repeated_rows():
    X, Y = draw(40, 10, 5)
    weights = np.random.default_rng(0).integers(0, 4, 40)
    alpha = 0.1 * fastmtl.alpha_max(X, Y, penalty="trace", sample_weight=weights)
    weighted = fastmtl.fit(X, Y, penalty="trace", alpha=alpha, sample_weight=weights, tol=1e-12)
    repeated = fastmtl.fit(
        np.repeat(X, weights, axis=0), np.repeat(Y, weights, axis=0), penalty="trace", alpha=alpha, tol=1e-12
    )
    np.testing.assert_allclose(weighted.coef, repeated.coef, atol=1e-6 * np.abs(repeated.coef).max())
    np.testing.assert_allclose(weighted.intercept, repeated.intercept, atol=1e-6)


@pytest.mark.parametrize("shape", [(60, 20, 8), (20, 60, 8)])
@pytest.mark.parametrize(
    "options", [{}, {"standardize": True}, {"fit_intercept": False}, {"scale": "sum"}], ids=str
)
def test_every_kind_of_design_gives_the_same_fit(shape, options, tmp_path):
    import scipy.sparse as sparse

    X, Y = draw(*shape)
    X[np.abs(X) < 0.3] = 0.0
    np.save(tmp_path / "x.npy", X)
    reference = fitted(X, Y, 0.1, **options)
    alike = [
        np.asfortranarray(X),
        sparse.csr_matrix(X),
        sparse.csc_matrix(X),
        np.load(tmp_path / "x.npy", mmap_mode="r"),
    ]
    for other in [*alike, np.repeat(X, 2, axis=1)[:, ::2]]:
        res = fitted(other, Y, 0.1, **options)
        assert res.status is fastmtl.Status.OPTIMAL
        bound = res.certificate.gap + reference.certificate.gap + 1e-13 * reference.certificate.primal
        assert abs(res.certificate.primal - reference.certificate.primal) <= bound


@pytest.mark.parametrize("shape", [(60, 20, 8), (20, 60, 8)])
def test_float32_comes_back_as_float32_certified_in_float64(shape):
    X, Y = draw(*shape)
    res = fitted(X.astype(np.float32), Y, 0.1, tol=1e-6)
    assert res.coef.dtype == np.float32 and res.certificate.relative_gap <= 1e-6
    assert all(factor.dtype == np.float32 for factor in res.factors())


@pytest.mark.parametrize("shape", [(60, 20, 8), (20, 60, 8)])
def test_a_path_is_its_single_fits(shape):
    X, Y = draw(*shape)
    path = fastmtl.fit_path(X, Y, penalty="trace", n_alphas=7, eps=0.02, tol=1e-9)
    assert path[0].rank == 0
    for alpha, on_path in zip(path.alphas, path, strict=True):
        single = fastmtl.fit(X, Y, penalty="trace", alpha=alpha, tol=1e-9)
        assert on_path.certificate.relative_gap <= 1e-9
        gaps = single.certificate.gap + on_path.certificate.gap + 1e-13 * single.certificate.primal
        assert abs(single.certificate.primal - on_path.certificate.primal) <= gaps
        check = fastmtl.certify(X, Y, on_path.coef, on_path.intercept, penalty="trace", alpha=alpha)
        assert abs(check.primal - on_path.certificate.primal) <= 1e-12 * check.primal


def test_warm_starts_and_zero_alpha():
    X, Y = draw(60, 20, 8)
    first = fitted(X, Y, 0.2)
    for start in (first, first.coef, np.zeros_like(first.coef)):
        assert fitted(X, Y, 0.15, warm_start=start).certificate.relative_gap <= 1e-9
    for ridge in (0.0, 0.5):
        res = fastmtl.fit(X, Y, penalty=Trace(0.0, ridge=ridge), tol=1e-9)
        Xc, Yc = X - X.mean(axis=0), Y - Y.mean(axis=0)
        expected = np.linalg.solve(Xc.T @ Xc / 60 + ridge * np.eye(20), Xc.T @ Yc / 60)
        np.testing.assert_allclose(res.coef, expected, atol=1e-10)
        assert res.status.converged


def test_constant_targets_need_no_coefficients():
    X, _ = draw(20, 5, 1)
    res = fastmtl.fit(X, np.full((20, 3), 2.5), penalty="trace", alpha=0.1)
    assert not res.coef.any() and res.certificate.relative_gap == 0.0
    np.testing.assert_allclose(res.intercept, 2.5)
    assert len(fastmtl.fit_path(X, np.ones((20, 3)), penalty="trace", alphas=[0.1, 0.2])) == 2


def test_a_callback_and_a_time_limit_end_the_run_with_a_certificate():
    """Columns of very different scales take several rounds, so that the first is not the last."""
    X, Y = draw(120, 40, 15)
    X = X * np.logspace(-4, 4, 40)
    seen: list[dict[str, Any]] = []

    def stop(report: dict[str, Any]) -> bool:
        seen.append(report)
        return len(seen) == 2

    with pytest.warns(fastmtl.ConvergenceWarning, match="callback"):
        res = fitted(X, Y, 1e-3, callback=stop)
    assert len(seen) == 2 and res.status is fastmtl.Status.INTERRUPTED
    assert 1e-9 < res.certificate.relative_gap < 1.0
    with pytest.warns(fastmtl.ConvergenceWarning, match="time limit"):
        res = fitted(X, Y, 1e-3, time_limit=0.0)
    assert res.status is fastmtl.Status.TIME_LIMIT and np.isfinite(res.certificate.relative_gap)
    with pytest.warns(fastmtl.ConvergenceWarning, match="iteration limit"):
        assert fitted(X, Y, 1e-3, max_iter=1).status is fastmtl.Status.MAX_ITER
    assert fitted(X, Y, 1e-3).status is fastmtl.Status.OPTIMAL


@pytest.mark.parametrize("solver", ["spectral", "matrix-free", "proximal gradient"])
@pytest.mark.parametrize("after", [1, 2])
def test_an_interrupt_keeps_the_best_iterate(solver, after, monkeypatch):
    from fastmtl.solvers.proximal_gradient import ProximalGradient
    from fastmtl.solvers.spectral import left_subspace

    if solver == "matrix-free":
        monkeypatch.setattr(left_subspace, "SQUARE_BYTES", 0)
    if solver == "proximal gradient":
        monkeypatch.setattr("fastmtl.api.choose", lambda problem, settings: ProximalGradient(settings))
    X, Y = draw(120, 40, 15)
    calls: list[int] = []

    def interrupt(report: dict[str, Any]) -> None:
        calls.append(1)
        if len(calls) == after:
            raise KeyboardInterrupt

    with pytest.raises(fastmtl.FitInterrupted) as caught:
        fitted(X * np.logspace(-4, 4, 40), Y, 1e-3, callback=interrupt)
    res = caught.value.result
    assert res.status is fastmtl.Status.INTERRUPTED and np.isfinite(res.certificate.relative_gap)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("shape", [(60, 20, 8), (20, 60, 8)])
def test_what_is_not_finite_is_named(shape, bad):
    X, Y = draw(*shape)
    X[7, 3] = bad
    with pytest.raises(ValueError, match=r"X.*\[7, 3\]"):
        fastmtl.fit(X, Y, penalty="trace", alpha=0.1)


@pytest.mark.parametrize("shape", [(60, 20, 8), (20, 60, 8)])
@pytest.mark.parametrize("ridge", [0.0, 0.2])
def test_proximal_steps_carry_on_where_newton_cannot(shape, ridge, monkeypatch):
    """Without a line search no Newton step is ever accepted."""
    from fastmtl.solvers.spectral import omega_newton

    X, Y = draw(*shape)
    monkeypatch.setattr(omega_newton, "HALVINGS", 0)
    assert fitted(X, Y, 0.2, ridge=ridge, tol=1e-8).status is fastmtl.Status.OPTIMAL


# --- what comes back -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fraction", [0.4, 0.001, 2.0])
def test_factors_are_balanced_and_multiply_to_the_coefficients(fraction, tmp_path):
    X, Y = draw(60, 30, 20)
    res = fitted(X, Y, fraction)
    U, V = res.factors()
    assert U.shape == (30, res.rank) and V.shape == (20, res.rank)
    top = res.singular_values.max(initial=1.0)
    np.testing.assert_allclose(U @ V.T, res.coef, atol=1e-13 * top)
    for factor in (U, V):
        np.testing.assert_allclose(factor.T @ factor, np.diag(res.singular_values), atol=1e-13 * top)
    np.testing.assert_allclose(res.predict(X), X @ res.coef + res.intercept, atol=1e-12)
    res.save(tmp_path / "fit.npz")
    for copy in (pickle.loads(pickle.dumps(res)), fastmtl.FitResult.load(tmp_path / "fit.npz")):
        np.testing.assert_array_equal(copy.coef, res.coef)
        assert copy.rank == res.rank and (copy.low_rank is None) == (res.low_rank is None)


def test_only_thin_factors_are_kept_in_place_of_the_coefficients():
    X, Y = draw(60, 30, 20)
    assert fitted(X, Y, 0.4).low_rank is not None
    assert fitted(X, Y, 0.001).low_rank is None


def test_a_row_sparse_fit_has_factors_too():
    X, Y = draw(60, 30, 20)
    res = fastmtl.fit(X, Y, penalty="l21", alpha=0.5 * fastmtl.alpha_max(X, Y))
    U, V = res.factors()
    np.testing.assert_allclose(U @ V.T, res.coef, atol=1e-12)
    assert res.rank <= res.n_active


# --- the other solvers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "penalty", [Trace(1.0), Trace(1.0, ridge=0.1), L21(1.0), fastmtl.penalties.L1(1.0)], ids=str
)
@pytest.mark.parametrize("shape", [(40, 15, 6), (15, 30, 4)])
def test_proximal_gradient_agrees_with_the_special_solvers(penalty, shape):
    from fastmtl._door import open_problem
    from fastmtl.solvers import Settings, choose
    from fastmtl.solvers.proximal_gradient import ProximalGradient
    from fastmtl_kernels import cpu

    X, Y = draw(*shape)
    penalty = penalty.with_alpha(0.1 * fastmtl.alpha_max(X, Y, penalty=penalty.with_alpha(1.0)))
    problem = open_problem(X, Y, penalty).problem
    settings = Settings(cpu, 1e-8)
    general, special = ProximalGradient(settings).run(problem), choose(problem, settings).run(problem)
    assert general.certificate.relative_gap <= 1e-8
    bound = general.certificate.gap + special.certificate.gap
    assert abs(general.certificate.primal - special.certificate.primal) <= bound


@pytest.mark.parametrize(
    "options", [{}, {"ridge": 0.2}, {"fit_intercept": False}, {"sample_weight": True}], ids=str
)
@pytest.mark.parametrize("fraction", [1.5, 0.4, 0.1])
def test_the_matrix_free_solver_agrees(options, fraction, monkeypatch):
    from fastmtl.solvers.spectral import left_subspace

    X, Y = draw(90, 120, 5, correlation=0.5)
    if options.get("sample_weight"):
        options = {"sample_weight": np.random.default_rng(0).uniform(0, 2, 90)}
    plain = fitted(X, Y, fraction, **options)
    monkeypatch.setattr(left_subspace, "SQUARE_BYTES", 0)
    free = fitted(X, Y, fraction, **{**options, "tol": 1e-8})
    assert free.certificate.relative_gap <= 1e-8
    assert free.n_iter >= plain.n_iter
    bound = free.certificate.gap + plain.certificate.gap + 1e-13
    assert abs(free.certificate.primal - plain.certificate.primal) <= bound
    assert (
        fitted(X, Y, fraction, warm_start=free, **{**options, "tol": 1e-8}).certificate.relative_gap <= 1e-8
    )


def test_the_matrix_free_solver_compresses_a_crowded_subspace(monkeypatch):
    from fastmtl.solvers.spectral import left_subspace

    X, Y = draw(90, 120, 5, correlation=0.9)
    monkeypatch.setattr(left_subspace, "SQUARE_BYTES", 0)
    monkeypatch.setattr(left_subspace, "CROWDED", 5)
    assert fitted(X, Y, 0.1, tol=1e-7).certificate.relative_gap <= 1e-7


@pytest.mark.parametrize(
    "shape", [(1500, 300, 20), (300, 1500, 20), (2000, 80, 120), (600, 600, 30), (1500, 620, 10)]
)
@pytest.mark.parametrize("fraction", [0.5, 0.02])
def test_memory_is_two_square_matrices_and_a_few_thin_ones(shape, fraction):
    """Array memory of a fit beside its input: at most two q x q, one t x t and 4 (n + p) t; one panel on top of it.

    The last shape is reduced in float32.
    """
    import tracemalloc

    from fastmtl.designs.dense import SQUARE_PANEL_BYTES

    n, p, t = shape
    X, Y = draw(*shape)
    alpha = fraction * fastmtl.alpha_max(X, Y, penalty="trace")
    fastmtl.fit(X, Y, penalty="trace", alpha=alpha)
    tracemalloc.start()
    try:
        fastmtl.fit(X, Y, penalty="trace", alpha=alpha)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 8 * (2 * min(n, p) ** 2 + t**2 + 4 * (n + p) * t) + SQUARE_PANEL_BYTES
