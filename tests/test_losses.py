"""Laws that every loss obeys: convex duality, derivatives, normalisation, intercepts."""

from __future__ import annotations

import numpy as np
import pytest
from cases import LOSSES, LossCase

from fastmtl.losses import Huber, Logistic, Multinomial, Poisson, Squared, resolve

EPS = np.finfo(float).eps

every_loss = pytest.mark.parametrize("case", LOSSES, ids=lambda c: c.loss.name)


def encoded(case: LossCase) -> np.ndarray:
    return case.loss.encode(case.targets, "y")


def predictions(case: LossCase, seed: int, scale: float = 2.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).standard_normal(encoded(case).shape)


def inner(a: np.ndarray, b: np.ndarray, joint: bool) -> np.ndarray:
    return np.sum(a * b, axis=-1) if joint else a * b


@every_loss
def test_fenchel_young_holds_with_equality_at_the_gradient(case):
    loss, y = case.loss, encoded(case)
    z, other = predictions(case, 1), predictions(case, 2)
    u = loss.gradient(y, z)
    value, conjugate = loss.value(y, z), loss.conjugate(y, u)
    size = 1.0 + np.abs(value) + np.abs(conjugate) + np.abs(inner(np.abs(u), np.abs(z), loss.joint))
    np.testing.assert_array_less(np.abs(value + conjugate - inner(u, z, loss.joint)), 32 * EPS * size)
    slack = loss.value(y, other) + conjugate - inner(u, other, loss.joint)
    np.testing.assert_array_less(-32 * EPS * (size + np.abs(slack)), slack)


@every_loss
def test_gradient_and_hessian_are_the_derivatives(case):
    loss, y, z = case.loss, encoded(case), predictions(case, 3)
    step = 1e-6
    gradient, hessian = loss.gradient(y, z), loss.hessian(y, z)
    columns = range(z.shape[1]) if loss.joint else [None]
    for k in columns:
        move = np.zeros_like(z)
        move[..., k if k is not None else slice(None)] = step
        numeric = (loss.value(y, z + move) - loss.value(y, z - move)) / (2 * step)
        exact = gradient[:, k] if k is not None else gradient
        np.testing.assert_allclose(numeric, exact, atol=1e-7 * (1 + np.abs(exact).max()))
    if not loss.joint:
        numeric = (loss.gradient(y, z + step) - loss.gradient(y, z - step)) / (2 * step)
        smooth = np.abs(np.abs(z - y) - getattr(loss, "delta", np.inf)) > 1e-4
        np.testing.assert_allclose(numeric[smooth], hessian[smooth], atol=1e-6 * (1 + np.abs(hessian).max()))
    if np.isfinite(loss.curvature):
        assert (hessian <= loss.curvature * (1 + 4 * EPS)).all()
    assert (hessian >= 0).all()


@every_loss
def test_hessian_majorises_along_any_direction(case):
    loss, y, z = case.loss, encoded(case), predictions(case, 4)
    move = 1e-3 * predictions(case, 5)
    if isinstance(loss, Huber):
        move[np.abs(np.abs(z - y) - loss.delta) < 0.1] = 0.0
    model = inner(loss.gradient(y, z), move, loss.joint) + 0.5 * inner(
        move, loss.hessian(y, z) * move, loss.joint
    )
    change = loss.value(y, z + move) - loss.value(y, z)
    cubic = 1e-8 * (1 + np.abs(loss.hessian(y, z)).max())
    assert (change <= model + cubic).all()


@every_loss
def test_least_value_is_zero(case):
    loss, y = case.loss, encoded(case)
    assert (loss.value(y, predictions(case, 6)) >= 0).all()
    # conj(0) = -inf_z loss
    np.testing.assert_allclose(loss.conjugate(y, np.zeros_like(y, dtype=float)), 0.0, atol=1e-15)


@every_loss
@pytest.mark.parametrize("shifted", [False, True])
def test_intercept_is_stationary(case, shifted):
    loss, y = case.loss, encoded(case)
    rng = np.random.default_rng(7)
    weights = rng.uniform(0.0, 2.0, len(y))
    weights[::7] = 0.0
    offset = rng.standard_normal(y.shape) if shifted else np.zeros(y.shape)
    b = loss.intercept(y, weights, offset)
    assert loss.attained(y, weights)
    w = weights[:, None] if loss.joint else weights
    gradient = w * loss.gradient(y, offset + b)
    assert np.abs(gradient.sum(axis=0)).max() <= 64 * EPS * np.abs(gradient).sum()
    if loss.joint:
        assert abs(np.sum(b)) <= 16 * EPS * np.abs(b).max()


@every_loss
def test_projection_enters_the_domain_and_keeps_it(case):
    loss, y = case.loss, encoded(case)
    inside = loss.gradient(y, predictions(case, 8))
    np.testing.assert_allclose(loss.project_dual(y, inside), inside, atol=8 * EPS * (1 + np.abs(y).max()))
    far = loss.project_dual(y, predictions(case, 9, scale=50.0))
    assert np.isfinite(loss.conjugate(y, far)).all()


@every_loss
def test_large_predictions_stay_finite_or_infinite_never_nan(case):
    loss, y = case.loss, encoded(case)
    for scale in (1e2, 1e4):
        z = predictions(case, 10, scale=scale)
        for result in (loss.value(y, z), loss.gradient(y, z), loss.hessian(y, z)):
            assert not np.isnan(result).any()


@pytest.mark.parametrize(
    ("loss", "y", "gone"),
    [(Logistic(), np.ones(5), 0.0), (Logistic(), np.zeros(5), 0.0), (Poisson(), np.zeros(5), 0.0)],
)
def test_an_intercept_that_is_not_attained_is_clipped_where_the_mean_loss_is_eps(loss, y, gone):
    offset = np.linspace(-1, 1, 5)
    assert not loss.attained(y, np.ones(5))
    b = loss.intercept(y, np.ones(5), offset)
    assert np.isfinite(b)
    assert loss.value(y, offset + b).mean() <= EPS * (1 + 1e-12)


def test_absent_class_gets_eps_of_the_probability():
    loss = Multinomial(classes=(0, 1, 2))
    y = loss.encode([0, 0, 1, 1], "y")
    b = loss.intercept(y, np.ones(4), 0.0)
    assert not loss.attained(y, np.ones(4))
    assert loss.inverse_link(b)[2] == pytest.approx(EPS, rel=1e-6)
    assert b.sum() == pytest.approx(0.0, abs=1e-13)


def test_logistic_labels_are_recoded():
    expected = np.array([0.0, 1.0, 1.0])
    for y in ([-1, 1, 1], [False, True, True], [0.0, 1.0, 1.0]):
        np.testing.assert_array_equal(Logistic().encode(np.array(y), "y"), expected)


@pytest.mark.parametrize(
    ("loss", "y", "said"),
    [
        (Logistic(), [0, 1, 2], "task 'a' has the labels 0, 1, 2"),
        (Poisson(), [1, -2], "task 'a' holds -2"),
        (Squared(), [1.0, np.nan], "task 'a' contains NaN"),
        (Multinomial(classes=(0, 1)), [0, 5], "task 'a' has the label"),
    ],
)
def test_targets_outside_the_domain_are_named(loss, y, said):
    with pytest.raises(ValueError, match=said):
        loss.encode(np.array(y), "task 'a'")


def test_well_fitted_samples_keep_their_digits():
    loss = Logistic()
    assert loss.gradient(np.array(1.0), np.array(50.0)) == pytest.approx(-np.exp(-50.0), rel=1e-14)
    count = np.array(1e9)
    near = np.log(count) + 1e-7
    assert Poisson().value(count, near) == pytest.approx(0.5e9 * 1e-14, rel=1e-5)


def test_names_resolve():
    assert resolve("huber") == Huber()
    with pytest.raises(ValueError, match="expected one of"):
        resolve("hinge")
