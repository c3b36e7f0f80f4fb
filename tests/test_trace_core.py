"""The reduced trace-norm problem on its own: reduction, Newton, certificate, edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastmtl.designs import DenseDesign
from fastmtl.penalties import Trace
from fastmtl.problem import Problem
from fastmtl.solvers.spectral._eigen import count_above, top_eigenpairs, tridiagonalise
from fastmtl.solvers.spectral.data import Data
from fastmtl.solvers.spectral.mixed import Judged, solve_judged
from fastmtl.solvers.spectral.model import Model, orthogonalise
from fastmtl.solvers.spectral.newton_system import NewtonSystem, alternate
from fastmtl.solvers.spectral.newton_system import evaluate as eliminate
from fastmtl.solvers.spectral.omega_newton import Retraction
from fastmtl.solvers.spectral.polar import feasible_scale
from fastmtl.solvers.spectral.reduced import Reduced, cold_start, solve_reduced, warm_start
from fastmtl.solvers.spectral.reduction import Reduction, reduce
from fastmtl_kernels import cpu

EPS = np.finfo(float).eps
TOL = 1e-9


def low_rank(n: int, p: int, t: int, *, rank: int = 3, noise: float = 1.0, seed: int = 0) -> tuple[Any, Any]:
    """X and Y = X W + noise with W of low rank, signal and noise of about equal size per entry."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    W = rng.standard_normal((p, rank)) @ rng.standard_normal((rank, t)) / np.sqrt(p * rank)
    return X, X @ W + noise * rng.standard_normal((n, t))


def true_gap(reduction: Reduction, found: Reduced, alpha: float, theta: Any = None) -> float:
    """Relative gap of a solution in original coordinates, from full SVDs and nothing of the solver's but its points.

    The dual point (that of the reduced certificate by default) is projected onto the intercepts' constraints and
    scaled into the ball of radius alpha.
    """
    data, ridge = reduction.data, reduction.model.ridge * reduction.x_unit**2
    design: Any = data.design
    X, Y = design.X, data.targets
    c = np.ones(Y.shape[1]) if data.task_weight is None else data.task_weight
    weight = data.weights[:, None] * c
    factors = reduction.factors(found.A, found.V)
    W = factors.U @ factors.V.T
    R = Y - X @ W - factors.intercept
    theta = reduction.dual_point(R, found.bound) if theta is None else theta
    centre, null = 0.0, Y
    if data.fit_intercept:
        share = data.weights / data.weights.sum()
        theta = theta - share @ theta
        centre, null = share @ X, Y - share @ Y
    primal = 0.5 * np.sum(weight * R * R) + 0.5 * ridge * np.sum(W * W)
    primal += alpha * np.linalg.svd(W, compute_uv=False).sum()
    s = np.linalg.svd((X - centre).T @ (weight * theta), compute_uv=False)
    if ridge:
        conjugate = np.sum(np.maximum(s - alpha, 0.0) ** 2) / (2 * ridge)
    else:
        theta, conjugate = theta * min(1.0, alpha / s[0]) if s[0] > 0 else theta, 0.0
    dual = np.sum(weight * theta * Y) - 0.5 * np.sum(weight * theta * theta) - conjugate
    return (primal - dual) / (0.5 * np.sum(weight * null * null))


def solve(X: Any, Y: Any, fraction: float, **options: Any) -> tuple[Reduction, Reduced, float]:
    """Reduce and solve at a fraction of alpha_max."""
    ridge, omega = options.pop("ridge", 0.0), options.pop("omega", 1.0 / len(X))
    reduction = reduce(Data(DenseDesign(X), Y, omega, **options), cpu, ridge=ridge, single=False)
    alpha = fraction * reduction.alpha_max()
    found = solve_reduced(reduction.model, reduction.to_model(alpha), TOL * reduction.worth)
    return reduction, found, alpha


def solve_on_data(
    X: Any, Y: Any, fraction: float, *, single: bool, ridge: float = 0.0, tol: float = TOL, **options: Any
) -> tuple[Problem, Reduction, Judged | None]:
    """Solve a model of either precision and judge it by the data."""
    omega, fit_intercept = options.get("omega", 1.0 / len(X)), options.get("fit_intercept", True)
    design = DenseDesign(X)
    reduction = reduce(Data(design, Y, omega, None, fit_intercept), cpu, ridge=ridge, single=single)
    alpha = fraction * reduction.alpha_max()
    problem = Problem(design, Y, Trace(alpha, ridge=ridge), omega, fit_intercept)
    enough = tol * problem.null_value
    target = 0.5 * tol * reduction.worth
    return problem, reduction, solve_judged(problem, reduction, reduction.to_model(alpha), target, enough)


def edge_cases() -> dict[str, tuple[Any, Any, float, dict[str, Any]]]:
    """Everything that the theory calls degenerate, named."""
    rng = np.random.default_rng(1)
    X, Y = low_rank(120, 40, 15)
    bare = {"fit_intercept": False}
    orthonormal = np.linalg.qr(rng.standard_normal((60, 20)))[0]
    weights = rng.uniform(0, 2, 120)
    weights[:10] = 0.0
    near = X.copy()
    near[:, 5], near[:, 7], near[:, 10] = 0.0, 3.0, X[:, 11] + 1e-9 * X[:, 12]
    signal = X @ rng.standard_normal((40, 2)) @ rng.standard_normal((2, 15))
    square_X, square_Y = low_rank(50, 50, 15, seed=3)
    ties = np.zeros((60, 12))
    ties[:12] = np.eye(12)
    return {
        "above alpha_max": (X, Y, 1.5, {}),
        "at alpha_max": (X, Y, 1.0, {}),
        "just below": (X, Y, 0.999, {}),
        "high rank": (X, Y, 0.001, {}),
        "n < p": (X[:30], Y[:30], 0.1, {}),
        "n = p": (square_X, square_Y, 0.05, {}),
        "n = p, no intercept": (square_X, square_Y, 0.05, bare),
        "t = 1": (X, Y[:, :1], 0.2, {}),
        "t = 1, n < p": (X[:20], Y[:20, :1], 0.2, {}),
        "p = 1": (X[:, :1], Y, 0.2, {}),
        "p = 2": (X[:, :2], Y, 0.2, {}),
        "p = 1, t = 1": (X[:, :1], Y[:, :1], 0.2, {}),
        "n = 1": (X[:1], Y[:1], 0.3, bare),
        "n = 2": (X[:2], Y[:2], 0.3, {}),
        "t > p": (X[:, :8], Y, 0.1, {}),
        "t > n": (X[:9], Y[:9], 0.1, {}),
        "duplicated columns": (np.hstack([X, X[:, :15]]), Y, 0.05, {}),
        "duplicated rows, n < p": (np.repeat(rng.standard_normal((15, 60)), 2, axis=0), Y[:30], 0.1, {}),
        "zero, constant and nearly equal columns": (near, Y, 0.05, {}),
        "column scales 1e-3 to 1e3": (X * np.logspace(-3, 3, 40), Y, 0.05, {}),
        "column scales, small alpha": (X * np.logspace(-3, 3, 40), Y, 0.002, {}),
        "far from the origin": (X + 1e4, Y + 1e4, 0.05, {}),
        "far from the origin, n < p": (X[:30] + 1e4, Y[:30] - 1e3, 0.05, {}),
        "one huge mean": (X + np.r_[1e6, np.zeros(39)], Y, 0.05, {}),
        "noiseless, tiny alpha": (X, signal, 1e-6, {}),
        "identical tasks": (X, np.tile(Y[:, :1], (1, 15)), 0.1, {}),
        "ties": (np.sqrt(60) * np.eye(60)[:, :30], np.sqrt(60) * ties, 0.6, bare),
        "orthonormal X": (orthonormal, rng.standard_normal((60, 20)), 0.4, bare),
        "sample weights": (X, Y, 0.05, {"omega": weights / weights.sum()}),
        "sample weights, n < p": (X[:30], Y[:30], 0.05, {"omega": weights[:30]}),
        "task weights": (X, Y, 0.05, {"task_weight": rng.uniform(0.2, 5, 15)}),
        "task weights, n < p": (X[:30], Y[:30], 0.05, {"task_weight": rng.uniform(0.2, 5, 15)}),
        "ridge": (X, Y, 0.05, {"ridge": 0.3}),
        "tiny ridge, n < p": (X[:30], Y[:30], 0.05, {"ridge": 1e-5}),
        "ridge, n < p": (X[:30], Y[:30], 0.05, {"ridge": 0.3}),
        "units of X": (X * 1e9, Y, 0.05, {}),
        "tiny units": (X * 1e-40, Y * 1e30, 0.05, {}),
        "units, n < p": (X[:30] * 1e40, Y[:30] * 1e-30, 0.05, {}),
    }


@pytest.mark.parametrize("name", edge_cases())
def test_every_edge_certifies_in_original_coordinates(name):
    X, Y, fraction, options = edge_cases()[name]
    reduction, found, alpha = solve(X, Y, fraction, **options)
    assert found.finished
    assert true_gap(reduction, found, alpha) <= 2 * TOL
    if fraction >= 1.0:
        assert found.rank == 0


def data_cases() -> dict[str, tuple[Any, Any, dict[str, Any]]]:
    """Where the certificate on the data takes another road: sides, weights, compression, far means."""
    X, Y = low_rank(120, 40, 15)
    weights = np.random.default_rng(2).uniform(0, 2, 120)
    weights[:10] = 0.0
    return {
        "n > p": (X, Y, {}),
        "no intercept": (X, Y, {"fit_intercept": False}),
        "weights": (X, Y, {"omega": weights / weights.sum()}),
        "duplicated columns": (np.hstack([X, X[:, :15]]), Y, {}),
        "far from the origin": (X + 100.0, Y, {}),
        "t > p": (X[:, :8], Y, {}),
        "ridge": (X, Y, {"ridge": 0.1}),
        "n < p": (X[:30], Y[:30], {}),
        "n < p, ridge": (X[:30], Y[:30], {"ridge": 0.1}),
        "n < p, weights": (X[:30], Y[:30], {"omega": weights[:30] / weights[:30].sum()}),
        "t > n": (X[:9], Y[:9], {}),
    }


@pytest.mark.parametrize("tol", [1e-4, TOL])
@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("name", data_cases())
def test_the_thin_certificate_is_the_gap_of_the_data(name, single, tol):
    """What it claims holds for the dual point that it hands out, recomputed from full SVDs."""
    X, Y, options = data_cases()[name]
    problem, reduction, judged = solve_on_data(X, Y, 0.05, single=single, tol=tol, **options)
    assert judged is not None
    claimed = judged.thin.certificate.relative_gap
    assert claimed <= tol
    theta = judged.thin.dual_point(problem)
    assert true_gap(reduction, judged.found, float(problem.penalty.alpha or 0.0), theta) <= claimed + 1e-12


def test_a_float32_model_that_is_too_coarse_says_so():
    X, Y = low_rank(120, 40, 15)
    assert solve_on_data(X * np.logspace(-4, 4, 40), Y, 1e-4, single=True)[2] is None


def away_from_the_optimum(model: Model, alpha: float, rng: np.random.Generator) -> Any:
    """A right factor with orthogonal columns at which no gradient vanishes."""
    V = cold_start(model, alpha)
    return orthogonalise(V + 0.3 * np.abs(V).max() * rng.standard_normal(V.shape))[0]


@pytest.mark.parametrize(("n", "p"), [(40, 12), (9, 30)])
@pytest.mark.parametrize("ridge", [0.0, 0.4])
def test_gradient_and_curvature_match_differences_of_the_value(n, p, ridge):
    """phi along a line in V: first difference against the gradient, second against the Hessian and gradient terms."""
    X, Y = low_rank(n, p, 7)
    reduction = reduce(Data(DenseDesign(X), Y, 1.0 / n), cpu, ridge=ridge, single=False)
    model = reduction.model
    alpha = 0.3 * reduction.alpha_max()
    rng = np.random.default_rng(5)
    V = away_from_the_optimum(model, alpha, rng)
    P = rng.standard_normal(V.shape)

    def value(h: float) -> float:
        squares, O = np.linalg.eigh((V + h * P).T @ (V + h * P))
        W = (V + h * P) @ O
        return eliminate(model, alpha, W, model.target @ W, squares).value

    system = NewtonSystem(model, alpha, eliminate(model, alpha, V, model.target @ V, np.sum(V * V, axis=0)))
    system.prepare()
    h = 1e-4
    slope = (value(h) - value(-h)) / (2 * h)
    assert abs(slope - np.vdot(system.gradient, P)) <= 1e-6 * np.linalg.norm(
        system.gradient
    ) * np.linalg.norm(P)
    s = system.iterate.scales
    M = (V.T @ P) / s[:, None]
    Z = P - V @ M
    # Second derivative in V = Omega-Hessian + the gradient's term on span(V), which the system leaves out.
    left_out = np.vdot(P, system.gradient @ M) + np.vdot(P, V @ ((system.gradient.T @ Z) / s[:, None]))
    curvature = (value(h) - 2 * value(0) + value(-h)) / h**2
    expected = np.vdot(P, system.multiply(P, model.target @ P)) + left_out
    assert abs(curvature - expected) <= 1e-5 * abs(expected) + 1e-6


@pytest.mark.parametrize("priced", [False, True])
@pytest.mark.parametrize(("n", "p"), [(40, 12), (9, 30)])
def test_an_alternating_sweep_only_descends_and_rests_at_the_optimum(n, p, priced):
    X, Y = low_rank(n, p, 7)
    weights = np.linspace(0.5, 2.0, 7) if priced else None
    reduction = reduce(Data(DenseDesign(X), Y, 1.0 / n, weights), cpu)
    model, alpha = reduction.model, reduction.to_model(0.3 * reduction.alpha_max())

    def at(V: Any) -> float:
        return eliminate(model, alpha, V, model.target @ V, np.sum(V * V, axis=0)).value

    V = away_from_the_optimum(model, alpha, np.random.default_rng(3))
    for _ in range(5):
        swept = alternate(model, alpha, V)
        assert at(swept) < at(V)
        V = swept
    best = solve_reduced(model, alpha, 1e-14 * reduction.worth).V
    moved = alternate(model, alpha, best)
    np.testing.assert_allclose(moved @ moved.T, best @ best.T, atol=1e-6 * np.abs(best).max() ** 2)


def test_rotations_of_the_factor_are_null_directions():
    X, Y = low_rank(60, 20, 10)
    reduction = reduce(Data(DenseDesign(X), Y, 1.0 / 60), cpu)
    alpha = 0.2 * reduction.alpha_max()
    model = reduction.model
    V = cold_start(model, alpha)
    system = NewtonSystem(model, alpha, eliminate(model, alpha, V, model.target @ V, np.sum(V * V, axis=0)))
    system.prepare()
    K = np.random.default_rng(0).standard_normal((V.shape[1], V.shape[1]))
    turn = V @ (K - K.T)
    product = system.multiply(turn, model.target @ turn)
    scale = np.abs(system.K).max() * np.linalg.norm(turn)
    assert abs(np.vdot(product, turn)) <= 1e-12 * scale * np.linalg.norm(turn)
    assert abs(np.vdot(system.gradient, turn)) <= 1e-12 * np.linalg.norm(system.gradient) * np.linalg.norm(
        turn
    )


def test_retraction_moves_omega_to_first_order_and_keeps_columns_orthogonal():
    X, Y = low_rank(60, 20, 10)
    reduction = reduce(Data(DenseDesign(X), Y, 1.0 / 60), cpu)
    model, alpha = reduction.model, 0.2 * reduction.alpha_max()
    V = cold_start(model, alpha)
    iterate = eliminate(model, alpha, V, model.target @ V, np.sum(V * V, axis=0))
    P = np.random.default_rng(0).standard_normal(V.shape)
    retract = Retraction(iterate, P, model.target @ P)
    for h in (1e-3, 1e-4):
        moved = retract(h)
        assert moved is not None
        W, BW, scales = moved
        np.testing.assert_allclose(W.T @ W, np.diag(scales), atol=64 * EPS * scales.max())
        np.testing.assert_allclose(BW, model.target @ W, atol=1e-12)
        error = W @ W.T - V @ V.T - h * (V @ P.T + P @ V.T)
        assert np.linalg.norm(error) <= 50 * h**2 * np.linalg.norm(P) ** 2


@pytest.mark.parametrize("shape", [(80, 25), (20, 50)])
def test_warm_starts_reach_the_same_optimum_in_fewer_steps(shape):
    X, Y = low_rank(shape[0], shape[1], 12)
    reduction = reduce(Data(DenseDesign(X), Y, 1.0 / shape[0]), cpu, single=False)
    model, top = reduction.model, reduction.alpha_max()
    target = TOL * reduction.worth
    previous = solve_reduced(model, 0.2 * top, target)
    for fraction in (0.17, 0.15, 0.4):
        start, near = warm_start(model, fraction * top, previous)
        warm = solve_reduced(model, fraction * top, target, start=start, near=near)
        cold = solve_reduced(model, fraction * top, target)
        assert warm.finished and cold.finished
        assert abs(warm.bound.primal - cold.bound.primal) <= 2 * target
        previous = warm


def test_orthonormal_columns_take_one_step():
    """With X'X = n I the solution is the singular value thresholding of X'Y / n."""
    rng = np.random.default_rng(0)
    X = np.linalg.qr(rng.standard_normal((50, 8)))[0] * np.sqrt(50)
    Y = rng.standard_normal((50, 6))
    reduction, found, alpha = solve(X, Y, 0.4, fit_intercept=False)
    factors = reduction.factors(found.A, found.V)
    U, s, Vt = np.linalg.svd(X.T @ Y / 50, full_matrices=False)
    np.testing.assert_allclose(factors.U @ factors.V.T, (U * np.maximum(s - alpha, 0)) @ Vt, atol=1e-13)
    assert found.rounds == 1 and found.counts.conjugate == 0


@pytest.mark.parametrize(("n", "p"), [(120, 40), (30, 60)])
def test_spare_steps_make_the_plain_residual_good_enough(n, p):
    X, Y = low_rank(n, p, 15)
    reduction = reduce(Data(DenseDesign(X), Y, 1.0 / n), cpu, single=False)
    alpha, target = reduction.to_model(0.1 * reduction.alpha_max()), 1e-7 * reduction.worth
    short = solve_reduced(reduction.model, alpha, target)
    found = solve_reduced(reduction.model, alpha, target, spare=lambda rank: 1000)
    assert found.finished and found.bound.correction is None and found.bound.scale < 1.0
    assert found.counts.conjugate >= short.counts.conjugate
    assert true_gap(reduction, found, 0.1 * reduction.alpha_max()) <= 1e-7


def test_a_feasible_scale_is_feasible_and_within_its_room():
    Theta = np.random.default_rng(0).standard_normal((40, 12))
    gram, norm = Theta.T @ Theta, float(np.linalg.norm(Theta, 2))
    for excess in (-1e-3, 1e-14, 1e-9, 1e-4):
        alpha = norm / (1.0 + excess)
        scale = feasible_scale(gram, alpha, 1e-3, 1.0)
        assert scale is not None and scale * norm <= alpha * (1 + 64 * EPS)
        assert (1.0 - scale) * 1.0 <= 1e-3
    assert feasible_scale(gram, 0.99 * norm, 1e-3, 1.0) is None
    assert feasible_scale(gram, 2.0 * norm, 0.0, 1.0) is None


def test_a_monitor_ends_the_solve_with_its_best_iterate():
    X, Y = low_rank(60, 20, 10)
    reduction = reduce(Data(DenseDesign(X), Y, 1.0 / 60), cpu)
    alpha = 0.01 * reduction.alpha_max()
    found = solve_reduced(reduction.model, alpha, 0.0, monitor=lambda found: True)
    assert found.interrupted and found.rounds == 1 and np.isfinite(found.bound.gap)
    found = solve_reduced(reduction.model, alpha, 0.0, interrupted=lambda: True)
    assert found.interrupted and found.counts.newton == 1


def test_an_unreachable_target_ends_without_progress_not_in_a_loop():
    X, Y = low_rank(60, 20, 10)
    reduction = reduce(Data(DenseDesign(X), Y, 1.0 / 60), cpu)
    found = solve_reduced(reduction.model, 0.05 * reduction.alpha_max(), -1.0)
    assert not found.finished and not found.interrupted
    assert found.bound.gap <= 1e-12 * reduction.worth


@pytest.mark.parametrize("q", [1, 2, 3, 40])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tridiagonal_form_has_an_orthogonal_q_in_either_precision(q, dtype):
    root = np.random.default_rng(0).standard_normal((q, q))
    S = root @ root.T
    diagonal, off, reflectors = tridiagonalise(np.array(S, dtype=dtype, order="F"))
    Q = reflectors.unrotate(np.eye(q))
    np.testing.assert_allclose(Q.T @ Q, np.eye(q), atol=32 * q * EPS)
    np.testing.assert_allclose(reflectors.rotate(Q), np.eye(q), atol=32 * q * EPS)
    T = np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1)
    np.testing.assert_allclose(Q @ T @ Q.T, S, atol=32 * q * np.finfo(dtype).eps * np.abs(S).max())


@pytest.mark.parametrize("t", [1, 5, 64, 100])
def test_top_eigenpairs_are_those_above_the_floor(t):
    root = np.random.default_rng(0).standard_normal((2 * t, t)) * np.logspace(0, -3, t)
    S = root.T @ root
    values = np.linalg.eigvalsh(S)
    for kept in {1, t // 10, t // 2, t}:
        floor = (
            0.0 if kept == t else float(0.5 * (values[-kept - 1] + values[-kept]) if kept else 2 * values[-1])
        )
        found, vectors = top_eigenpairs(S, floor)
        assert len(found) == kept
        np.testing.assert_allclose(S @ vectors, vectors * found, atol=1e-13 * values[-1])
        diagonal, off, _ = tridiagonalise(np.array(S, order="F"))
        assert count_above(diagonal, off, floor) == kept
