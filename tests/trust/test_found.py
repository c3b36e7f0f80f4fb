"""Faults that the laws have found, each as a small case of its own."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fastmtl
from fastmtl.losses import Huber, Multinomial
from fastmtl.penalties import L21, Group, Penalty, SparseGroup, Trace
from fastmtl.solvers.row_newton import row_newton
from fastmtl_kernels._interface import BlockShrink, Quadratic

RNG = np.random.default_rng(0)
X = RNG.standard_normal((21, 8))
Y = X[:, :4] + RNG.standard_normal((21, 4))
TARGETS = {"huber": Y, "logistic": (Y > 0).astype(float), "poisson": np.round(np.exp(np.clip(Y, -2, 2)))}


@pytest.mark.parametrize("loss", TARGETS)
@pytest.mark.parametrize(
    "penalty",
    [
        Group(groups=[1, 0, 0, 0, 1, 1, 1, 0]),
        SparseGroup(groups=[1, 0, 0, 0, 1, 1, 1, 0]),
        L21(feature_weights=[1.0] * 4 + [0.0] + [1.0] * 3),
    ],
    ids=["group", "sparse_group", "l21_free"],
)
def test_all_features_in_another_order(loss, penalty):
    """A working set of all features was taken for X itself, whatever order its groups came in."""
    keywords = {"loss": Huber(1.35) if loss == "huber" else loss}
    alpha = 0.1 * fastmtl.alpha_max(X, TARGETS[loss], penalty, **keywords)
    for data, targets in ((X, TARGETS[loss]), ([X] * 4, list(TARGETS[loss].T))):
        result = fastmtl.fit(data, targets, penalty, alpha=alpha, **keywords)
        assert result.status == "optimal"


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_one_unpenalised_column_of_zeros(fit_intercept):
    """The pseudo-inverse of a single zero column was 0 / 0."""
    result = fastmtl.fit([[0.0], [0.0]], [1.0, 3.0], alpha=0.0, fit_intercept=fit_intercept)
    assert result.status == "optimal" and not result.coef.any()


@pytest.mark.parametrize("loss", ["logistic", "poisson"])
def test_one_class_in_every_task(loss):
    """What intercepts are clipped at was taken for a loss to be explained; the fit stalled at a gap of one."""
    result = fastmtl.fit([[0.8], [0.1]], [0.0, 0.0], alpha=0.1, loss=loss)
    assert result.status == "optimal" and not result.coef.any()
    assert result.certificate.relative_gap == 0.0


def test_a_penalty_of_ones_own_with_a_ridge():
    """The edge of a conjugate that is finite everywhere was where its squares overflowed, and alpha_max its inverse."""

    class Elastic(Penalty):
        def value(self, W):
            return L21(self.alpha, l1_ratio=0.5).value(W)

        def prox(self, W, step):
            return L21(self.alpha, l1_ratio=0.5).prox(W, step)

        def conjugate(self, V):
            return L21(self.alpha, l1_ratio=0.5).conjugate(V)

    assert Elastic(1.0).dual_scale(X.T @ Y) == np.inf
    top = fastmtl.alpha_max(X, Y, Elastic())
    assert top == pytest.approx(fastmtl.alpha_max(X, Y, L21(l1_ratio=0.5)), rel=1e-12)
    assert not fastmtl.fit(X, Y, Elastic(), alpha=top).coef.any()
    assert fastmtl.fit(X, Y, Elastic(), alpha=0.5 * top).coef.any()


@pytest.mark.parametrize("size", [50.0, 5000.0])
def test_intercepts_of_classes_beside_large_offsets(size):
    """Newton's method met a Hessian of rounding and stopped far from the optimum."""
    rng = np.random.default_rng(0)
    y, offset = np.eye(3)[rng.integers(0, 3, 40)], size * rng.standard_normal((40, 3))
    loss, weights = Multinomial(), rng.uniform(0.1, 2.0, 40)
    slope = weights @ loss.gradient(y, offset + loss.intercept(y, weights, offset))
    assert np.abs(slope).max() <= 1e-12 * weights.sum()


@pytest.mark.parametrize("delta", [0.05, 0.2])
def test_unpenalised_features_under_a_small_huber_threshold(delta):
    """Newton's method on the null fit ended where most samples were in the tails, or left for infinity; alpha_max with it."""
    penalty = L21(feature_weights=[0.0] * 3 + [1.0] * 5)
    top = fastmtl.alpha_max(X, Y, penalty, loss=Huber(delta))
    above = fastmtl.fit(X, Y, penalty, alpha=1.001 * top, loss=Huber(delta))
    below = fastmtl.fit(X, Y, penalty, alpha=0.95 * top, loss=Huber(delta))
    assert above.status == "optimal" and not above.coef[3:].any() and below.coef[3:].any()


@pytest.mark.parametrize("fitted", [int, np.int8, float])
@pytest.mark.parametrize("scored", [int, np.float32, float])
def test_labels_in_another_dtype(fitted, scored):
    """Labels are kept as text, and 2.0 was not the 2 of the fit."""
    labels = np.digitize(Y[:, 0], [-0.5, 0.5])
    result = fastmtl.fit(X, labels.astype(fitted), alpha=0.01, loss="multinomial")
    right = (result.predict_proba(X).argmax(axis=1) == labels).mean()
    assert result.score(X, labels.astype(scored), metric="accuracy") == right > 0.5


@pytest.mark.parametrize("seed", [8, 19])
def test_tasks_of_very_different_curvature(seed):
    """The weight of a splitting fell to where the Gram matrix of a task with one sample could not be inverted."""
    rng = np.random.default_rng(seed)
    p = int(rng.integers(1, 7))
    X = [rng.standard_normal((1, p)), rng.standard_normal((2, p))]
    Y = [rng.standard_normal(1), rng.standard_normal(2) * 3]
    keywords = {"loss": ["squared", "huber"], "fit_intercept": False}
    alpha = 0.3 * fastmtl.alpha_max(X, Y, "trace", **keywords)
    assert fastmtl.fit(X, Y, "trace", alpha=alpha, tol=1e-8, **keywords).status == "optimal"


def test_signs_beside_unpenalised_features_of_tasks():
    """`alpha_max` gave a number that belonged to another problem; `fit` refuses it."""
    penalty = L21(positive=True, feature_weights=[0.0] + [1.0] * 7)
    for door in (fastmtl.alpha_max, lambda *a: fastmtl.fit(*a, alpha=0.1)):
        with pytest.raises(ValueError, match="positive=True and leaves features unpenalised"):
            door([X, X], [Y[:, 0], Y[:, 1]], penalty)


@pytest.mark.parametrize("size", [1e100, 1e160, 1e200, 1e300])
@pytest.mark.parametrize(
    "penalty", ["l21", "l1", "trace", L21(l1_ratio=0.5), L21(feature_weights=[0.0] + [1.0] * 7)]
)
def test_coefficients_that_overflow(size, penalty):
    """A ridge of zero times an infinite norm was NaN."""
    W = fastmtl.fit(X, Y, alpha=0.1).coef * size
    with_gap = Y.copy()
    with_gap[0, 0] = np.nan
    for targets in (Y, with_gap):
        proof = fastmtl.certify(X, targets, W, penalty=penalty, alpha=0.1)
        assert proof.primal >= 1e190 and proof.relative_gap > 1e180 and not np.isnan(proof.scale)


@pytest.mark.parametrize("size", [1e-290, 1e-200, 1e200, 1e290])
@pytest.mark.parametrize("name", ["l21", "l1", "trace", "sparse_group"])
def test_alpha_max_follows_the_size_of_x(name, size):
    """It was zero for columns of 1e-200."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((20, 6)), rng.standard_normal((20, 3))
    assert fastmtl.alpha_max(size * X, Y, name) == pytest.approx(
        size * fastmtl.alpha_max(X, Y, name), rel=1e-9
    )


@pytest.mark.parametrize("sizes", [(1e-200, 1.0), (1.0, 1e-200)])
@pytest.mark.parametrize("kind", ["gaps", "by_task", "own", "huber"])
def test_sizes_whose_squares_are_lost_are_refused_where_columns_are_not_scaled(kind, sizes):
    """Zero coefficients were called optimal."""
    rng = np.random.default_rng(0)
    X, Y = sizes[0] * rng.standard_normal((20, 6)), sizes[1] * rng.standard_normal((20, 3))
    settings = {}
    if kind == "gaps":
        Y[0, 0] = np.nan
    elif kind == "by_task":
        settings["sample_weight"] = np.ones((20, 3))
    elif kind == "own":
        X, Y = [X] * 3, list(Y.T)
    else:
        settings["loss"] = "huber"
    for door in (
        lambda: fastmtl.alpha_max(X, Y, **settings),
        lambda: fastmtl.fit(X, Y, alpha=0.1, **settings),
    ):
        with pytest.raises(ValueError, match="scale X or Y up"):
            door()


def test_a_start_far_off_is_left_for_the_null_fit():
    """Its exponentials overflow, and X was blamed."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((12, 3)), rng.poisson(2.0, (12, 2)).astype(float)
    cold = fastmtl.fit(X, Y, alpha=0.05, loss="poisson")
    far = fastmtl.fit(X, Y, alpha=0.05, loss="poisson", warm_start=np.full((3, 2), 1e4))
    assert (
        far.status == "optimal"
        and far.certificate.primal <= cold.certificate.primal + 2e-6 * far.certificate.scale
    )


@pytest.mark.parametrize("seed", [0, 3, 6])
def test_columns_far_from_zero_beside_unpenalised_ones(seed):
    """With weights by task, Gram matrices of deviations lost their sign, and coefficients grew without end."""
    rng = np.random.default_rng(seed)
    n, p, t = (20, 24, 6) if seed % 2 else (31, 31, 37)
    X = rng.standard_normal((n, p)) + 1e3 * rng.standard_normal(p)
    Y = 1e3 + rng.standard_normal((n, t))
    weights = np.where(rng.random(p) < 0.15, 0.0, rng.choice([0.5, 1, 2], p))
    settings = {"sample_weight": rng.uniform(0.5, 2.0, (n, t)), "scale": "sum"}
    penalty = L21(feature_weights=weights.tolist())
    alpha = 1e-3 * fastmtl.alpha_max(X, Y, penalty, **settings)
    fit = fastmtl.fit(X, Y, penalty, alpha=alpha, **settings)
    assert fit.status == "optimal" and fit.certificate.relative_gap <= 1e-6


@pytest.mark.parametrize("penalty", ["l21", "l1", "trace"])
@pytest.mark.parametrize("kind", ["gaps", "by_task", "own", "huber", "logistic", "poisson"])
def test_columns_far_from_zero_are_fitted_as_columns_about_it(kind, penalty):
    """Deviations drowned in the rounding of Gram matrices, and fits stalled."""
    rng = np.random.default_rng(2)
    n, p, t = 20, 24, 5
    about, Y, settings = rng.standard_normal((n, p)), rng.standard_normal((n, t)), {}
    X = np.round(about * 2**20) / 2**20 + np.round(1e4 * rng.standard_normal(p))  # exact sums
    about = X - np.round(X.mean(axis=0))
    if kind == "gaps":
        Y[0, 0] = np.nan
    elif kind == "by_task":
        settings["sample_weight"] = rng.uniform(0.5, 2.0, (n, t))
    elif kind == "own":
        X, about, Y = [X] * t, [about] * t, list(Y.T)
    else:
        settings["loss"] = kind
        Y = {"huber": Y, "logistic": Y > 0, "poisson": rng.poisson(2.0, Y.shape).astype(float)}[kind]
    alpha = 1e-2 * fastmtl.alpha_max(about, Y, penalty, **settings)
    far, near = (fastmtl.fit(A, Y, penalty, alpha=alpha, **settings) for A in (X, about))
    assert far.status == near.status == "optimal"
    slack = (far.certificate.relative_gap + near.certificate.relative_gap + 1e-9) * near.certificate.scale
    assert abs(far.certificate.primal - near.certificate.primal) <= slack


@pytest.mark.parametrize("loss", ["huber", "logistic", "poisson"])
def test_trace_norm_of_more_features_than_samples(loss):
    """Gram matrices in float32 were indefinite by their rounding, and an inverse of them infinite."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((60, 140)), rng.standard_normal((60, 4))
    Y = {"huber": Y, "logistic": Y > 0, "poisson": rng.poisson(2.0, Y.shape)}[loss]
    alpha = 1e-3 * fastmtl.alpha_max(X, Y, "trace", loss=loss)
    assert fastmtl.fit(X, Y, "trace", alpha=alpha, loss=loss).status == "optimal"


def test_a_dual_point_is_zero_where_a_sample_has_no_weight():
    """It left the domain of Huber's conjugate there, and who summed weight times conjugate got NaN."""
    rng = np.random.default_rng(0)
    X, Y, weight = (
        rng.standard_normal((8, 5)),
        5.0 * rng.standard_normal((8, 2)),
        np.array([2.0, 1, 1, 0] * 2),
    )
    Y[5, 1] = np.nan
    fit = fastmtl.fit(X, Y, "trace", alpha=1.0, loss="huber", sample_weight=weight, scale="sum")
    empty = (weight[:, None] == 0) | np.isnan(Y)
    assert not fit.dual[empty].any() and np.abs(fit.dual).max() <= 1.35 * (1 + 1e-15)


def test_unpenalised_features_where_intercepts_explain_everything():
    """Counts that are all zero have no best intercept: nothing is to be fitted beside the one that is taken."""
    X, Y = np.array([[-0.3, 0.8, 0.4, -0.7]]), np.array([[1.0, 0.0]])
    fit = fastmtl.fit(X, Y, L21(feature_weights=[0.0, 0.5, 0.0, 1.0]), alpha=1.0, loss="poisson")
    assert fit.status == "optimal" and not fit.coef.any() and fit.certificate.relative_gap == 0.0


def test_a_gram_matrix_that_rounding_has_left_indefinite():
    """Newton on block norms starts from sweeps, and gives them back where no factor exists."""
    gram = np.array([[[1.0, 1.0], [1.0, 1.0 - 1e-7]]]) * np.ones((2, 1, 1)) * 1e8
    shrink = BlockShrink(np.arange(3), np.zeros(2), np.ones(2), np.zeros(2), False)
    W = np.ones((2, 2))
    linear = np.ones((2, 2))
    quadratic = Quadratic(gram, np.array([1.0, 2.0]), linear, linear.copy(), W.copy(), 1.0)
    np.testing.assert_array_equal(row_newton(quadratic, shrink), W)


@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_means_that_overflow_under_the_trace_norm(ridge):
    """Eigenvalues of a matrix that is not finite ended in a LinAlgError."""
    penalty, far = Trace(0.1, ridge=ridge), np.full((8, 4), 1e6)
    assert fastmtl.fit(X, TARGETS["poisson"], penalty, loss="poisson", warm_start=far).status == "optimal"
    with pytest.raises(ValueError, match="overflows"):
        fastmtl.certify(X, TARGETS["poisson"], far, penalty=penalty, loss="poisson")


@pytest.mark.parametrize("penalty", ["l21", "trace"])
@pytest.mark.parametrize("loss", ["squared", "huber"])
def test_the_certificate_is_of_the_coefficients_returned(penalty, loss):
    """Those in float32 are rounded once more on the way from standard deviations to the units of X."""
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((40, 15)) * 10.0 ** rng.uniform(-2, 2, 15)).astype(np.float32)
    settings = {"loss": loss, "standardize": True}
    alpha = 0.1 * fastmtl.alpha_max(X, Y := rng.standard_normal((40, 3)), penalty, **settings)
    fit = fastmtl.fit(X, Y, penalty, alpha=alpha, tol=1e-3, **settings)
    proof = fastmtl.certify(X, Y, fit.coef, fit.intercept, penalty=penalty, alpha=alpha, **settings)
    assert fit.coef.dtype == np.float32 and fit.certificate.primal == proof.primal


@pytest.mark.parametrize("loss", TARGETS)
def test_a_path_that_ends_without_a_penalty(loss):
    """At alpha = 0 some rows of a group are free and some excluded: a block that was neither ended in a ValueError of NumPy."""
    penalty = SparseGroup(tau=0.3, groups=[0, 0, 0, 1, 1, 1, 1, 0], feature_weights=[np.inf, 1.0] + [1.0] * 6)
    for data, targets in ((X, TARGETS[loss]), ([X] * 4, list(TARGETS[loss].T))):
        path = fastmtl.fit_path(data, targets, penalty, alphas=[0.1, 0.02, 0.0], loss=loss)
        last = fastmtl.fit(data, targets, penalty, alpha=0.0, loss=loss)
        assert not path.coefs[:, 0].any() and path[2].coef[1:].all()
        gaps = path[2].certificate.gap + last.certificate.gap
        assert abs(path[2].certificate.primal - last.certificate.primal) <= gaps + 1e-12


def test_signs_without_a_penalty_are_refused_along_a_path_as_in_a_fit():
    """The path began, and ended stalled."""
    with pytest.raises(ValueError, match="positive=True and leaves features unpenalised"):
        fastmtl.fit_path(X, TARGETS["logistic"], L21(positive=True), alphas=[0.1, 0.05, 0.0], loss="logistic")


def test_unpenalised_signs_along_a_path():
    """A check by cached products was asked for the direction of its bound, which it does not have."""
    rng = np.random.default_rng(277)
    data = rng.standard_normal((30, 5))
    targets = data @ rng.standard_normal((5, 3)) + rng.standard_normal((30, 3))
    penalty = L21(feature_weights=[0.0, 1.0, 1.0, 1.0, 0.0], positive=True)
    path = fastmtl.fit_path(data, targets, penalty, alphas=[0.3, 0.1, 0.05, 0.01, 0.003])
    assert all(status == "optimal" for status in path.statuses)


def test_tasks_without_weight_on_centred_deviations():
    """Second moments of weights that are all zero divided by them."""
    rng = np.random.default_rng(0)
    data = [rng.standard_normal((n, 12)) + 1e4 for n in (9, 8)]
    targets = [x[:, 0] - 1e4 + rng.standard_normal(len(x)) for x in data]
    result = fastmtl.fit(data, targets, alpha=0.1, task_weight=[1.0, 0.0])
    assert result.status == "optimal" and not result.coef[:, 1].any()


def test_alpha_max_where_unpenalised_features_fit_some_counts_in_the_limit_alone():
    """One task had no dual point, its scores counted as zero, and alpha_max was that of the others."""
    rng = np.random.default_rng(1)
    X, Y = rng.standard_normal((12, 10)), rng.poisson(0.6, (12, 3)).astype(float)
    penalty = L21(feature_weights=[0.0] * 5 + [1.0] * 5)
    top = fastmtl.alpha_max(X, Y, penalty, loss="poisson")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fastmtl.ConvergenceWarning)
        at, below = (fastmtl.fit(X, Y, penalty, alpha=a * top, loss="poisson").coef for a in (1.0, 0.99))
    assert not at[5:].any() and below[5:].any()


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e12])
def test_alpha_max_where_unpenalised_features_interpolate(size):
    """What rounding leaves of targets of any size is no gradient."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((6, 10)), size * rng.standard_normal((6, 2))
    penalty = L21(feature_weights=[0.0] * 7 + [1.0] * 3)
    assert fastmtl.alpha_max(X, Y, penalty, loss="huber") == 0.0


def test_rounded_coefficients_keep_their_factors():
    """Those of a low rank lost them where float32 rounds them on the way from standard deviations."""
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((300, 120)) * 10.0 ** rng.uniform(-2, 2, 120)).astype(np.float32)
    Y = X @ rng.standard_normal((120, 2)) @ rng.standard_normal((2, 60))
    alpha = 0.3 * fastmtl.alpha_max(X, Y, "trace", standardize=True)
    fit = fastmtl.fit(X, Y, "trace", alpha=alpha, standardize=True)
    assert fit.low_rank is not None and fit.rank <= 2
    U, V = fit.factors()
    np.testing.assert_allclose(U @ V.T, fit.coef, rtol=0, atol=1e-5 * np.abs(fit.coef).max())
