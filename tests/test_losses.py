"""Laws that every loss obeys: convex duality, derivatives, normalisation, intercepts."""

from __future__ import annotations

import numpy as np
import pytest
from cases import LOSSES, LossCase

from fastmtl.losses import Huber, Logistic, Loss, Multinomial, Poisson, Squared, monotone_root, resolve
from fastmtl.losses._base import log_mean_exp

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
    if np.isfinite(loss.curvature):
        # It is attained where the classes of a target are even, and where a real prediction is right.
        even = np.zeros_like(z) if loss.name in ("logistic", "multinomial") else y
        pair = (np.eye(2), np.zeros((2, 2))) if loss.joint else (y, even)
        assert loss.hessian(*pair).max() == loss.curvature


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
    for scale in (0.5, 50.0):
        u = predictions(case, 9, scale=scale)
        nearest = loss.project_dual(y, u)
        assert np.isfinite(loss.conjugate(y, nearest)).all()
        # Nearest: what separates u from it makes an obtuse angle with every way into the domain.
        for inner_point in (inside, 0.5 * inside, 0.0 * inside):
            angle = inner(u - nearest, inner_point - nearest, loss.joint)
            size = inner(np.abs(u - nearest), np.abs(inner_point - nearest), loss.joint)
            np.testing.assert_array_less(angle, 16 * EPS * (1.0 + size))


@every_loss
def test_any_leading_shape(case):
    loss, y, z = case.loss, encoded(case), predictions(case, 11)
    shape = (2, 20, *y.shape[1:])
    for method in (loss.value, loss.gradient, loss.hessian, loss.conjugate, loss.project_dual):
        flat = method(y, z)
        np.testing.assert_array_equal(
            method(y.reshape(shape), z.reshape(shape)), flat.reshape(2, 20, *flat.shape[1:])
        )
        np.testing.assert_array_equal(method(y[3], z[3]), flat[3])
    np.testing.assert_array_equal(loss.inverse_link(z.reshape(shape)), loss.inverse_link(z).reshape(shape))


@every_loss
def test_samples_without_weight_do_not_count(case):
    """Neither for the intercept, whatever their offsets, nor for whether there is one."""
    loss, y = case.loss, encoded(case)
    weights, offset = np.ones(40), np.random.default_rng(12).standard_normal(y.shape)
    weights[25:] = 0.0
    offset[25:] = 700.0
    b = loss.intercept(y, weights, offset)
    np.testing.assert_allclose(b, loss.intercept(y[:25], weights[:25], offset[:25]), rtol=1e-12, atol=1e-14)
    assert loss.attained(y, 0 * weights) and not np.any(loss.intercept(y, 0 * weights, offset))
    alone = y[..., 0] == y[0, 0] if loss.joint else y == y[0]
    assert loss.attained(y, alone.astype(float)) == (
        isinstance(loss, (Squared, Huber, Poisson)) and y.flat[0] != 0
    )
    assert np.isfinite(loss.intercept(y, alone.astype(float), offset)).all()


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
    assert loss.inverse_link(b)[2] == pytest.approx(EPS, rel=1e-6, abs=0.0)
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
    y, z = np.array([0.0, 1.0, 0.0]), np.array([3.0, 50.0, 1.0])
    assert Multinomial().value(y, z) == pytest.approx(np.exp(-47.0) + np.exp(-49.0), rel=1e-13)
    assert Multinomial().gradient(y, z)[1] == pytest.approx(-np.exp(-47.0) - np.exp(-49.0), rel=1e-13)
    count = np.array(1e9)
    near = np.log(count) + 1e-7
    assert Poisson().value(count, near) == pytest.approx(0.5e9 * 1e-14, rel=1e-5)


def test_names_resolve():
    assert resolve("huber") == Huber()
    with pytest.raises(ValueError, match="expected one of"):
        resolve("hinge")


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("loss", [Logistic(), Poisson()])
def test_clipped_intercepts_beside_large_offsets(loss, sign):
    """The mean loss is eps at the clipped intercept, no less than a thousandth of it: b is not further than needed."""
    y = np.full(5, float(sign > 0 and isinstance(loss, Logistic)))
    offset, weights = sign * np.array([0.0, 300.0, -200.0, 1.0, 5.0]), np.array([1.0, 0.5, 2.0, 0.0, 1.0])
    b = loss.intercept(y, weights, offset)
    mean = weights @ loss.value(y, offset + b) / weights.sum()
    assert 1e-3 * EPS <= mean <= EPS * (1 + 1e-9)


@pytest.mark.parametrize("loss", [Logistic(), Poisson()])
def test_conjugates_within_rounding_of_their_end(loss):
    """What rounding brought outside counts as the end itself."""
    y = np.array([0.0, 1.0])
    for outward, end in ((-1.0, -y), (1.0, 1.0 - y)) if isinstance(loss, Logistic) else ((-1.0, -y),):
        beyond = end + 2 * EPS * outward * (1.0 if isinstance(loss, Logistic) else y)
        np.testing.assert_allclose(loss.conjugate(y, beyond), loss.conjugate(y, end), rtol=4 * EPS, atol=0.0)


def test_mean_of_exponentials_without_overflow():
    x, weights = np.array([1000.0, 999.0, 5000.0, -4000.0]), np.array([1.0, 2.0, 0.0, 1.0])
    assert log_mean_exp(x, weights) == pytest.approx(1000.0 + np.log((1 + 2 / np.e) / 4), rel=1e-15)
    assert log_mean_exp(0.25, weights) == pytest.approx(0.25, rel=1e-15)


def test_roots_are_found_fast_and_from_far_away():
    """Newton where it works, few steps more where the function is flat on one side, a bracket where it has kinks."""
    roots = np.array([3.0, -40.0, 0.0, 1e6, -1e-3])
    shapes = (
        (lambda d: np.expm1(np.minimum(d, 700)), lambda d: np.exp(np.minimum(d, 700)), 60),
        (lambda d: np.arctan(d), lambda d: 1 / (1 + d * d), 45),
        (
            lambda d: np.sign(d) * np.sqrt(np.abs(d)),
            lambda d: 0.5 / np.sqrt(np.maximum(np.abs(d), 1e-300)),
            130,
        ),
        (lambda d: d, lambda d: np.ones_like(d), 12),
    )
    for function, derivative, most in shapes:
        for start in (np.zeros(5), np.full(5, 100.0), roots.copy()):
            calls = []

            def slope(b, function=function, derivative=derivative, calls=calls):
                calls.append(b)
                with np.errstate(over="ignore"):
                    return function(b - roots), derivative(b - roots)

            found = monotone_root(slope, start)
            np.testing.assert_allclose(found, roots, rtol=1e-13, atol=1e-15)
            assert len(calls) <= (most if start is not roots else 2)


def test_a_root_out_of_reach_is_the_end_of_the_bracket():
    start = np.array([4.0, -9.0])
    for sign in (1.0, -1.0):
        found = monotone_root(lambda b, s=sign: (s * np.ones(2), np.zeros(2)), start, reach=10.0)
        np.testing.assert_array_equal(found, start - sign * 10.0 * (1.0 + np.abs(start)))


def test_columns_and_labels_of_classes():
    loss, given = Multinomial(), Multinomial(classes=("b", "c", "a"))
    y = np.array(["a", "b", "a"])
    assert loss.labels(y).tolist() == ["a", "b"] and given.labels(y).tolist() == ["b", "c", "a"]
    assert loss.n_columns(y) == 2 and given.n_columns(y) == 3 and loss.n_columns(np.eye(4)) == 4
    np.testing.assert_array_equal(given.encode(y, "y"), [[0, 0, 1], [1, 0, 0], [0, 0, 1]])
    assert Logistic().labels(y) is None and Logistic().n_columns(y) == 1


def test_settings_are_checked_and_kept():
    for delta in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="delta"):
            Huber(delta)

    class Own(Loss):
        value = gradient = conjugate = lambda self, y, z: z

    assert Own() == Own() and Huber(2.0) != Huber(1.0)


def test_targets_are_taken_as_they_are():
    for dtype in (np.float32, np.float64):
        y = np.array([1.0, 2.0], dtype=dtype)
        assert Squared().encode(y, "y") is y
    assert Squared().encode(np.array([1, 2]), "y").dtype == np.float64
    assert Poisson().encode(np.empty(0), "y").size == 0
    for loss in (Squared(), Huber(), Logistic(), Poisson()):
        for y in (np.array([1j]), np.array(["a"]), np.array([None])):
            with pytest.raises(TypeError, match="target has dtype"):
                loss.encode(y, "target")
        with pytest.raises(ValueError, match="target contains NaN"):
            loss.encode(np.array([1.0, np.inf]), "target")
    with pytest.raises(ValueError, match=r"labels 0, 1, 2, 3, 4, \.\.\.;"):
        Logistic().encode(np.arange(6), "y")
    with pytest.raises(ValueError, match="labels 0, 1, 2, 3, 4;"):
        Logistic().encode(np.arange(5), "y")
    with pytest.raises(ValueError, match=r"y holds nan at \[1\]"):
        Multinomial().encode(np.array([1.0, np.nan]), "y")


@pytest.mark.parametrize("missing", ["value", "gradient", "conjugate"])
def test_a_loss_needs_its_three_methods(missing):
    given = {name: lambda self, *rest: 0.0 for name in ("value", "gradient", "conjugate") if name != missing}
    with pytest.raises(TypeError, match=missing):
        type("Own", (Loss,), given)()


def test_a_root_among_rounding():
    """Steps at rounding never reach the last bit of a small root: they went on for 200 evaluations."""
    rng, calls = np.random.default_rng(0), []

    def slope(b):
        calls.append(1)
        return np.tanh(b - ROOTS) + 1e-16 * rng.standard_normal(3), np.cosh(b - ROOTS) ** -2

    ROOTS = np.array([0.04, -1e-3, 0.3])
    np.testing.assert_allclose(monotone_root(slope, np.zeros(3)), ROOTS, atol=1e-15)
    assert len(calls) <= 12
