"""Laws of fits on fits: concave penalties fall with every fit and end where theory says, support refits are least squares."""

from __future__ import annotations

import numpy as np
import pytest
from engine_cases import regression

import fastmtl
from fastmtl.losses import Huber
from fastmtl.model_selection import adaptive, concave, debias, fit_reweighted
from fastmtl.model_selection.concave import MCP, SCAD, Capped, LogSum, SquareRoot
from fastmtl.penalties import L21, Group

CONCAVE = [SquareRoot(), LogSum(0.3), MCP(), SCAD(), Capped(0.25)]


@pytest.mark.parametrize("shape", CONCAVE, ids=str)
@pytest.mark.parametrize("alpha", [0.1, 2.0])
def test_slopes_are_derivatives_that_never_rise(shape, alpha):
    norms = np.linspace(0.01, 8 * alpha, 301) + 1e-3
    step = 1e-6 * norms
    difference = (shape.value(norms + step, alpha) - shape.value(norms - step, alpha)) / (2 * step)
    np.testing.assert_allclose(shape.slope(norms, alpha), difference, atol=1e-6)
    assert (np.diff(shape.slope(norms, alpha)) <= 1e-15).all() and (shape.slope(norms, alpha) >= 0).all()
    assert shape.value(np.zeros(1), alpha)[0] == 0.0


@pytest.mark.parametrize("shape", CONCAVE, ids=str)
@pytest.mark.parametrize(
    ("penalty", "settings"),
    [
        ("l21", {}),
        (L21(feature_weights=[0.0, np.inf, 2.0] + [1.0] * 27), {}),
        (L21(positive=True), dict(fit_intercept=False)),
        (Group(groups=[3] * 10, group_weights="sqrt"), dict(standardize=True)),
        ("l21", dict(loss=Huber(1.0))),
    ],
    ids=["rows", "weights", "positive", "groups", "huber"],
)
def test_the_objective_falls_with_every_fit(shape, penalty, settings):
    X, Y = regression(n=40, p=30, t=3)
    alpha = 0.2 * fastmtl.alpha_max(X, Y, penalty, **settings)
    result = fit_reweighted(X, Y, shape, alpha=alpha, penalty=penalty, **settings)
    assert result.converged and (np.diff(result.objectives) < 0).all()
    assert result.objectives[-1] == pytest.approx(
        objective(X, Y, result.coef, result.fit, shape, alpha, penalty, settings), rel=1e-9
    )


def objective(X, Y, coef, fit, shape, alpha, penalty, settings):
    """The non-convex objective, from its definition."""
    residual = Y - fit.decision_function(X)
    if "loss" in settings:
        loss = np.where(np.abs(residual) <= 1.0, residual**2 / 2, np.abs(residual) - 0.5).sum() / len(X)
    else:
        loss = (residual**2).sum() / (2 * len(X))
    W = coef * X.std(axis=0)[:, None] if settings.get("standardize") else coef
    if isinstance(penalty, Group):
        norms, weights = np.linalg.norm(W.reshape(10, -1), axis=1), np.full(10, np.sqrt(3))
    else:
        norms, weights = np.linalg.norm(W, axis=1), getattr(penalty, "feature_weights", None)
        weights = np.ones(len(W)) if weights is None else np.array(weights)
    kept = norms > 0
    return loss + alpha * (weights[kept] @ shape.value(norms[kept], alpha))


def orthonormal(n=20, p=8):
    rng = np.random.default_rng(0)
    X = np.linalg.qr(rng.standard_normal((n, p)))[0]
    return X, X @ np.linspace(0.05, 4, p)


def test_mcp_is_firm_thresholding_and_scad_its_rule_on_an_orthonormal_design():
    X, y = orthonormal()
    z, alpha = X.T @ y, 0.7
    settings = dict(fit_intercept=False, scale="sum", tol=1e-13, max_fits=200)
    firm = np.where(z <= 3 * alpha, np.maximum(z - alpha, 0) / (1 - 1 / 3), z)
    mcp = fit_reweighted(X, y, "mcp", alpha=alpha, **settings)
    np.testing.assert_allclose(mcp.coef[:, 0], firm, atol=1e-5)
    scad = np.where(z <= 3.7 * alpha, (2.7 * z - 3.7 * alpha) / 1.7, z)
    scad = np.where(z <= 2 * alpha, np.maximum(z - alpha, 0), scad)
    found = fit_reweighted(X, y, "scad", alpha=alpha, **settings)
    np.testing.assert_allclose(found.coef[:, 0], scad, atol=1e-5)


def test_rows_that_are_zero_stay_zero_under_the_square_root():
    X, Y = regression(n=40, p=30, t=3)
    alpha = 0.1 * fastmtl.alpha_max(X, Y)
    first = fastmtl.fit(X, Y, alpha=alpha)
    last = fit_reweighted(X, Y, alpha=alpha)
    assert set(last.fit.support) < set(first.support)
    assert np.isinf(last.weights[first.coef.any(axis=1) == 0]).all()


def test_adaptive_weights_are_inverse_powers_of_norms():
    X, Y = regression(n=40, p=12, t=3)
    pilot = fastmtl.fit(X, Y, alpha=0.3 * fastmtl.alpha_max(X, Y))
    norms = np.linalg.norm(pilot.coef, axis=1)
    made = adaptive(pilot, power=2.0)
    np.testing.assert_allclose(
        np.array(made.feature_weights)[norms > 0], norms[norms > 0] ** -2.0, rtol=1e-12
    )
    path = fastmtl.fit_path(X, Y, made, n_alphas=5)
    assert not path.coefs[:, norms == 0].any()
    groups = adaptive(pilot, Group(groups=[4, 4, 4], group_weights=[0.0, 1.0, 2.0]))
    by_group = np.linalg.norm(pilot.coef.reshape(3, -1), axis=1)
    expected = np.array([0.0, 1.0, 2.0]) / np.where(by_group > 0, by_group, 0.0 * by_group + 1e-300)
    kept = by_group > 0
    np.testing.assert_allclose(np.array(groups.group_weights)[kept], expected[kept])


def test_debiased_fits_are_least_squares_on_the_support():
    X, Y = regression(n=40, p=30, t=3)
    fit = fastmtl.fit(X, Y, alpha=0.2 * fastmtl.alpha_max(X, Y))
    refit = debias(fit, X, Y)
    design = np.column_stack([np.ones(40), X[:, fit.support]])
    expected = np.linalg.lstsq(design, Y, rcond=None)[0]
    np.testing.assert_allclose(refit.coef[fit.support], expected[1:], atol=1e-9)
    np.testing.assert_allclose(refit.intercept, expected[0], atol=1e-9)
    np.testing.assert_array_equal(refit.support, fit.support)
    assert refit.status.converged


def test_debiased_fits_take_a_ridge_and_other_losses():
    X, Y = regression(n=40, p=30, t=3)
    fit = fastmtl.fit(X, Y, alpha=0.2 * fastmtl.alpha_max(X, Y))
    C, R = X[:, fit.support] - X[:, fit.support].mean(axis=0), Y - Y.mean(axis=0)
    expected = np.linalg.solve(C.T @ C / 40 + 0.3 * np.eye(C.shape[1]), C.T @ R / 40)
    found = debias(fit, X, Y, ridge=0.3, tol=1e-12).coef[fit.support]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    huber = debias(fit, X, Y, loss="huber")
    assert huber.status.converged and huber.certificate.primal > 0


def test_the_first_fit_starts_where_it_is_told():
    X, Y = regression(n=40, p=30, t=3)
    plain = fit_reweighted(X, Y, "mcp", alpha=0.1)
    started = fit_reweighted(X, Y, "mcp", alpha=0.1, warm_start=fastmtl.fit(X, Y, alpha=0.1))
    np.testing.assert_allclose(started.objectives[0], plain.objectives[0], rtol=1e-5)


def test_a_pilot_of_one_task_may_be_a_vector():
    pilot = np.array([0.0, 2.0, -4.0])
    assert adaptive(pilot) == adaptive(pilot[:, None]) == L21(feature_weights=[np.inf, 0.5, 0.25])


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda X, Y: fit_reweighted(X, Y, "bridge", alpha=0.1), "bridge"),
        (lambda X, Y: fit_reweighted(X, Y, 3, alpha=0.1), "concave is 3"),
        (lambda X, Y: fit_reweighted(X, Y, "mcp"), "alpha is missing"),
        (lambda X, Y: fit_reweighted(X, Y, "scad", alpha=0.0), "alpha is 0"),
        (lambda X, Y: fit_reweighted(X, Y, alpha=0.1, penalty="l1"), "blocks"),
        (lambda X, Y: fit_reweighted(X, Y, alpha=0.1, penalty=L21(l1_ratio=0.5)), "l1_ratio"),
        (lambda X, Y: fit_reweighted(X, Y, alpha=0.1, max_fits=0), "max_fits"),
        (lambda X, Y: adaptive(np.ones((3, 2)), power=0), "power"),
        (lambda X, Y: fit_reweighted(X, Y, alpha=0.1, max_fits="a"), "max_fits is 'a'"),
        (lambda X, Y: fit_reweighted(X, Y, alpha=0.1, max_fits=2.5), "max_fits is 2.5"),
        (lambda X, Y: adaptive(np.ones((3, 2)), power="a"), "power is 'a'"),
        (lambda X, Y: adaptive(np.ones((3, 2, 2))), "pilot has shape"),
        (lambda X, Y: adaptive(np.full((3, 2), np.nan)), "pilot holds nan"),
        (lambda X, Y: adaptive("ridge"), "pilot"),
        (lambda X, Y: adaptive(np.ones((3, 2)), L21(feature_weights=[1.0])), "feature_weights"),
        (lambda X, Y: debias(fastmtl.fit(X, Y, alpha=0.1), X, Y, ridge="a"), "ridge is 'a'"),
        (lambda X, Y: debias(fastmtl.fit(X, Y, alpha=0.1), X, Y, ridge=-1.0), "ridge is -1"),
        (lambda X, Y: debias(fastmtl.fit(X, Y, alpha=0.1), X, Y, alpha=0.1), "debias takes no alpha"),
        (lambda X, Y: debias(fastmtl.fit(X, Y, alpha=0.1), X[:, :5], Y), "X has 5 features"),
        (lambda X, Y: debias(np.ones((3, 2)), X, Y), "result is of type ndarray"),
        (lambda X, Y: MCP(gamma=0), "gamma"),
        (lambda X, Y: SCAD(a=2), "a is 2"),
        (lambda X, Y: Capped(threshold=-1), "threshold"),
    ],
)
def test_bad_settings_are_refused_by_name(make, word):
    X, Y = regression()
    with pytest.raises((ValueError, TypeError), match=word):
        make(X, Y)


@pytest.mark.parametrize("name", ["mcp", "scad"])
def test_signs_beside_tasks_of_their_own(name):
    """Rows above the bend lost their weight, and what no penalty but a sign holds was refused in the middle of a run."""
    X, Y = regression()
    problem = dict(alpha=0.05 * fastmtl.alpha_max(X, Y), penalty=L21(positive=True))
    shared = fit_reweighted(X, Y, name, **problem)
    own = fit_reweighted([X] * Y.shape[1], list(Y.T), name, **problem)
    assert own.converged and (own.weights < 1e-7).any()
    assert own.objectives[-1] == pytest.approx(shared.objectives[-1], rel=1e-4)


def test_names_stand_for_defaults():
    assert all(isinstance(concave.as_concave(name), kind) for name, kind in concave.NAMED.items())
