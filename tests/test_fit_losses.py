"""Laws of fits with losses other than the squared one, on a shared design."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

import fastmtl
from fastmtl.losses import Huber, Loss
from fastmtl.penalties import L1, L21, Group, Penalty, SparseGroup

P = 8


def data(loss: str, n: int = 40, t: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, P))
    Z = X[:, :3] @ rng.standard_normal((3, t)) + 0.5
    if loss == "logistic":
        return X, (Z + rng.logistic(size=Z.shape) > 0).astype(int)
    if loss == "poisson":
        return X, rng.poisson(np.exp(0.5 * Z))
    if loss == "multinomial":
        return X, np.argmax(Z + rng.gumbel(size=Z.shape), axis=1)
    return X, Z + rng.standard_t(2, size=Z.shape)


LOSSES = ["logistic", "huber", "poisson", "multinomial"]
PENALTIES: dict[str, Penalty | str] = {
    "l21": L21(),
    "ridge": L21(l1_ratio=0.5),
    "l1": L1(),
    "group": Group(groups=[3, 5]),
    "sparse_group": SparseGroup(groups=[4, 4]),
    "positive": L1(positive=True),
    "trace": "trace",
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=list(PENALTIES))
@pytest.mark.parametrize("intercept", [True, False])
def test_gap_is_below_tol_and_alpha_max_is_tight(loss, penalty, intercept):
    X, Y = data(loss)
    weight = np.random.default_rng(1).integers(0, 3, len(X))
    options: dict[str, Any] = {"loss": loss, "fit_intercept": intercept, "sample_weight": weight}
    top = fastmtl.alpha_max(X, Y, penalty, **options)
    fit = fastmtl.fit(X, Y, penalty, alpha=0.2 * top, tol=1e-8, **options)
    assert fit.status.converged
    assert fit.certificate.relative_gap <= 1e-8
    again = fastmtl.certify(X, Y, fit.coef, fit.intercept, penalty, alpha=0.2 * top, dual=fit.dual, **options)
    assert again.relative_gap <= 1e-8
    assert again.dual <= again.primal + 1e-12
    assert not fastmtl.fit(X, Y, penalty, alpha=top, **options).coef.any()
    assert fastmtl.fit(X, Y, penalty, alpha=0.98 * top, tol=1e-9, **options).coef.any()


@pytest.mark.parametrize("loss", LOSSES)
def test_weights_are_repetitions(loss):
    X, Y = data(loss)
    times = np.random.default_rng(1).integers(0, 3, len(X))
    times[:3] = 1
    a = fastmtl.fit(X, Y, alpha=0.02, loss=loss, sample_weight=times, tol=1e-8)
    b = fastmtl.fit(np.repeat(X, times, axis=0), np.repeat(Y, times, axis=0), alpha=0.02, loss=loss, tol=1e-8)
    assert a.certificate.primal == pytest.approx(b.certificate.primal, rel=1e-7)


def test_huber_with_a_wide_middle_is_least_squares():
    X, Y = data("huber")
    a = fastmtl.fit(X, Y, alpha=0.1, loss=Huber(1e6), tol=1e-10)
    b = fastmtl.fit(X, Y, alpha=0.1, tol=1e-10)
    assert a.certificate.primal == pytest.approx(b.certificate.primal, rel=1e-9)


def test_offset_of_the_intercept_changes_nothing_else():
    X, Y = data("poisson")
    a = fastmtl.fit(X, Y, alpha=0.05, loss="poisson", tol=1e-10)
    b = fastmtl.fit(X, Y, alpha=0.05, loss="poisson", tol=1e-10, offset=np.full(Y.shape, 0.7))
    assert a.certificate.primal == pytest.approx(b.certificate.primal, rel=1e-7)
    np.testing.assert_allclose(a.intercept, b.intercept + 0.7, atol=1e-4)


def test_labels_in_every_notation_agree():
    X, Y = data("logistic")
    fits = [fastmtl.fit(X, labels, alpha=0.02, loss="logistic") for labels in (Y, 2 * Y - 1, Y.astype(bool))]
    for fit in fits[1:]:
        np.testing.assert_array_equal(fit.coef, fits[0].coef)


def test_one_class_has_a_clipped_intercept_and_a_certificate():
    X, Y = data("logistic")
    Y[:, 1] = 1
    fit = fastmtl.fit(X, Y, alpha=0.02, loss="logistic")
    assert fit.status.converged
    assert np.isfinite(fit.intercept).all()
    np.testing.assert_allclose(fit.coef[:, 1], 0.0, atol=1e-12)


def test_one_class_alone_leaves_nothing_to_explain():
    X, Y = data("multinomial")
    fit = fastmtl.fit(X, Y, alpha=0.05, loss="multinomial", sample_weight=(Y == 1).astype(float))
    assert fit.status.converged
    assert not fit.coef.any()


def test_predictions_are_on_the_scale_of_the_response():
    X, Y = data("multinomial")
    fit = fastmtl.fit(X, Y, alpha=0.02, loss="multinomial")
    assert abs(fit.intercept.sum()) <= 1e-14 * np.abs(fit.intercept).max()
    probabilities = fit.predict(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert (probabilities.argmax(axis=1) == Y).mean() > 0.5
    assert fit.task_names == ["0", "1", "2"]
    X, Y = data("poisson")
    fit = fastmtl.fit(X, Y, alpha=0.02, loss="poisson")
    np.testing.assert_allclose(fit.predict(X), np.exp(fit.decision_function(X)))


@pytest.mark.parametrize("loss", LOSSES)
def test_path_is_certified_at_every_alpha(loss):
    X, Y = data(loss)
    path = fastmtl.fit_path(X, Y, loss=loss, n_alphas=6, eps=0.1, tol=1e-7)
    assert all(status.converged for status in path.statuses)
    assert max(certificate.relative_gap for certificate in path.certificates) <= 1e-7


def test_agrees_with_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, Y = data("logistic", t=1)
    alpha = 0.1 * fastmtl.alpha_max(X, Y[:, 0], "l1", loss="logistic", fit_intercept=False)
    fit = fastmtl.fit(X, Y[:, 0], "l1", alpha=alpha, loss="logistic", fit_intercept=False, tol=1e-10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = linear_model.LogisticRegression(
            penalty="l1",
            C=1 / (len(X) * alpha),
            solver="liblinear",
            fit_intercept=False,
            tol=1e-10,
            max_iter=10_000,
        ).fit(X, Y[:, 0])
    np.testing.assert_allclose(fit.coef, other.coef_.T, atol=1e-5)


@pytest.mark.oracle
@pytest.mark.parametrize("loss", ["huber", "poisson"])
def test_agrees_with_cvxpy(loss):
    cp = pytest.importorskip("cvxpy")
    X, Y = data(loss, n=25)
    fit = fastmtl.fit(X, Y, alpha=0.05, loss=loss, tol=1e-9)
    W, b = cp.Variable((P, 3)), cp.Variable((1, 3))
    Z = X @ W + np.ones((len(X), 1)) @ b
    if loss == "huber":
        value = cp.sum(cp.huber(Y - Z, Huber().delta)) / 2
    else:
        logs = np.where(Y > 0, Y * np.log(np.maximum(Y, 1)) - Y, 0.0)
        value = cp.sum(cp.exp(Z) - cp.multiply(Y, Z)) + logs.sum()
    problem = cp.Problem(cp.Minimize(value / len(X) + 0.05 * cp.sum(cp.norm(W, 2, axis=1))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem.solve(solver=cp.CLARABEL)
    assert fit.certificate.primal == pytest.approx(problem.value, rel=1e-5)


@dataclass(frozen=True)
class LogCosh(Loss):
    """log cosh(y - z), a smooth absolute value, as a user would write it; its conjugate is the binary entropy."""

    name: ClassVar[str] = "log_cosh"
    curvature: ClassVar[float] = 1.0

    def value(self, y, z):
        r = np.abs(y - z)
        return r + np.log1p(np.exp(-2 * r)) - np.log(2)

    def gradient(self, y, z):
        return np.tanh(z - y)

    def conjugate(self, y, u):
        inside = np.abs(u) <= 1
        a, b = (np.where(inside, 1 + s * u, 1.0) for s in (1, -1))
        entropy = 0.5 * (a * np.log(np.where(a > 0, a, 1)) + b * np.log(np.where(b > 0, b, 1)))
        return np.where(inside, entropy + u * y, np.inf)

    def project_dual(self, y, u):
        return np.clip(u, -1, 1)


def test_a_loss_of_the_user_fits_with_a_certificate():
    X, Y = data("huber")
    top = fastmtl.alpha_max(X, Y, loss=LogCosh())
    fit = fastmtl.fit(X, Y, alpha=0.2 * top, loss=LogCosh(), tol=1e-8)
    assert fit.status.converged
    assert fit.certificate.relative_gap <= 1e-8
    assert not fastmtl.fit(X, Y, alpha=top, loss=LogCosh()).coef.any()


@pytest.mark.parametrize(
    ("loss", "bad", "word"),
    [
        ("logistic", np.arange(40) % 3, "Y"),
        ("poisson", -np.ones(40), "Y"),
        ("squash", np.ones(40), "loss"),
        (["logistic", "huber"], np.ones(40), "loss"),
        ("multinomial", np.ones((40, 2, 2)), "Y"),
    ],
)
def test_targets_outside_the_domain_are_refused(loss, bad, word):
    with pytest.raises((ValueError, TypeError), match=word):
        fastmtl.fit(data("huber")[0], bad, alpha=0.1, loss=loss)


@pytest.mark.parametrize("loss", LOSSES)
def test_unpenalised_features_are_an_equality_of_the_dual(loss):
    X, Y = data(loss)
    penalty = L21(feature_weights=[0.0] + [1.0] * (P - 1))
    top = fastmtl.alpha_max(X, Y, penalty, loss=loss)
    null = fastmtl.fit(X, Y, penalty, alpha=top, loss=loss, tol=1e-8)
    assert null.coef[0].any()
    assert not null.coef[1:].any()
    fit = fastmtl.fit(X, Y, penalty, alpha=0.2 * top, loss=loss, tol=1e-8)
    assert fit.status.converged
    assert fit.coef[1:].any()
    assert fit.certificate.infeasibility <= 1e-12


@pytest.mark.parametrize("penalty", ["l21", "l1", "trace"])
def test_classes_that_are_nearly_separated_are_certified(penalty):
    rng = np.random.default_rng(119)
    X = rng.standard_normal((13, 33))
    y = np.digitize(X @ rng.standard_normal(33), [-2.0, 2.0])
    alpha = 0.01 * fastmtl.alpha_max(X, y, penalty, loss="multinomial")
    assert fastmtl.fit(X, y, penalty, alpha=alpha, loss="multinomial").status.converged


def test_a_task_without_an_optimum_spoils_no_other():
    rng = np.random.default_rng(0)
    X = 1.0 + rng.random((30, P))
    Y = rng.poisson(np.exp(0.3 * X[:, :3]))
    Y[:, 1] = 0  # the unpenalised first feature takes its predictions to minus infinity
    penalty = L21(feature_weights=[0.0] + [1.0] * (P - 1))
    options: dict[str, Any] = {"loss": "poisson", "fit_intercept": False}
    top = fastmtl.alpha_max(X, Y, penalty, **options)
    assert top == pytest.approx(fastmtl.alpha_max(X, Y[:, [0, 2]], penalty, **options), rel=1e-6)
    assert fastmtl.fit(X, Y, penalty, alpha=0.2 * top, **options).status.converged


def test_positive_beside_unpenalised_features_is_refused_with_a_remedy():
    X, Y = data("logistic")
    penalty = L1(0.1, positive=True, feature_weights=[0.0] + [1.0] * (P - 1))
    with pytest.raises(ValueError, match="small weight"):
        fastmtl.fit(X, Y, penalty, loss="logistic")
