"""Generated problems against other people's solvers: both answers are certified, and what they differ by is in the gaps.

40 problems by default, 300 under `slow`; a solver that is not installed, or does not serve a problem, is left out.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import fastmtl
from fastmtl.penalties import L1, L21, Group, SparseGroup, Trace

DEFAULT, ALL = 40, 300
TOL = 1e-8
EPS = float(np.finfo(float).eps)


class Made(NamedTuple):
    """A generated problem."""

    X: np.ndarray
    Y: np.ndarray
    penalty: Any
    loss: str
    fit_intercept: bool


def made(seed: int) -> Made:
    """Problem number `seed`: shapes, correlation, penalty and loss follow from it."""
    rng = np.random.default_rng(seed)
    n, p, t = int(rng.integers(5, 40)), int(rng.integers(2, 30)), int(rng.integers(1, 6))
    X = rng.standard_normal((n, p))
    if seed % 3 == 0:
        X = X @ np.linalg.cholesky(0.8 ** np.abs(np.subtract.outer(np.arange(p), np.arange(p)))).T
    W = rng.standard_normal((p, t)) * (rng.random(p) < 0.4)[:, None]
    Y = X @ W + rng.standard_normal((n, t)) + 1.0
    sizes = [p // 2, p - p // 2]
    weights = rng.choice([0.5, 1.0, 2.0], p).tolist()
    choices = [
        L21(), L1(), L21(l1_ratio=0.6), L1(l1_ratio=0.6), Group(groups=sizes, group_weights="sqrt"), L21(positive=True),
        SparseGroup(groups=sizes, tau=0.4), L21(feature_weights=weights), L1(positive=True), Trace(), Trace(ridge=0.1),
    ]  # fmt: skip
    loss = "logistic" if seed % 5 == 4 else "squared"
    Y = np.greater(Y, np.median(Y)).astype(float) if loss == "logistic" else Y
    penalty = choices[seed % len(choices)]
    fit_intercept = seed % 3 == 1
    top = fastmtl.alpha_max(X, Y, penalty, loss=loss, fit_intercept=fit_intercept)
    alpha = float(rng.choice([0.02, 0.1, 0.4])) * top or 1.0  # nothing may be there to explain
    return Made(X, Y, penalty.with_alpha(alpha), loss, fit_intercept)


def by_cvxpy(one: Made) -> tuple[np.ndarray, np.ndarray]:
    """Clarabel, an interior-point method, on the problem written out."""
    cp = pytest.importorskip("cvxpy", reason="the general convex solver")
    X, Y, penalty = one.X, one.Y, one.penalty
    (n, p), t, alpha = X.shape, Y.shape[1], penalty.alpha
    W, b = cp.Variable((p, t)), cp.Variable((1, t))
    Z = X @ W + np.ones((n, 1)) @ b
    loss = cp.sum_squares(Y - Z) / 2 if one.loss == "squared" else cp.sum(cp.logistic(Z) - cp.multiply(Y, Z))
    value, constraints = loss / n, [] if one.fit_intercept else [b == 0]
    if getattr(penalty, "positive", False):
        constraints.append(W >= 0)
    ratio = getattr(penalty, "l1_ratio", 1.0)
    v = np.ones(p) if getattr(penalty, "feature_weights", None) is None else np.array(penalty.feature_weights)
    if penalty.name == "trace":
        value += alpha * cp.normNuc(W) + 0.5 * penalty.ridge * cp.sum_squares(W)
    elif penalty.name == "l1":
        value += alpha * (
            ratio * cp.sum(cp.multiply(v[:, None], cp.abs(W))) + (1 - ratio) / 2 * cp.sum_squares(W)
        )
    else:
        sizes = [1] * p if penalty.name == "l21" else penalty.groups
        ends = np.cumsum(sizes)
        names = {"l21": v, "group": np.sqrt(sizes), "sparse_group": np.ones(len(sizes))}
        for g, (end, size) in enumerate(zip(ends, sizes, strict=True)):
            part, weight = W[int(end - size) : int(end)], names[penalty.name][g]
            share = 1 - penalty.tau if penalty.name == "sparse_group" else ratio
            value += alpha * share * weight * cp.norm(part, "fro")
            if ratio < 1:
                value += alpha * (1 - ratio) / 2 * weight * cp.sum_squares(part)
        if penalty.name == "sparse_group":
            value += alpha * penalty.tau * cp.sum(cp.abs(W))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "may be inaccurate": its answer is certified here
        cp.Problem(cp.Minimize(value), constraints).solve(solver=cp.CLARABEL)
    coef = np.maximum(W.value, 0.0) if getattr(penalty, "positive", False) else W.value
    return coef, b.value[0] * one.fit_intercept


def by_sklearn(one: Made) -> tuple[np.ndarray, np.ndarray] | None:
    """Coordinate descent of scikit-learn, a task at a time for the l1 norm."""
    linear = pytest.importorskip("sklearn.linear_model", reason="scikit-learn's solvers")
    penalty, t = one.penalty, one.Y.shape[1]
    plain = one.loss == "squared" and penalty.name in ("l21", "l1") and penalty.feature_weights is None
    if not plain or (penalty.positive and penalty.name == "l21" and t > 1):
        return None
    settings: Any = dict(
        alpha=penalty.alpha,
        l1_ratio=penalty.l1_ratio,
        fit_intercept=one.fit_intercept,
        tol=1e-10,
        max_iter=100_000,
    )
    if penalty.name == "l21" and t > 1:
        model = linear.MultiTaskElasticNet(**settings).fit(one.X, one.Y)
        return model.coef_.T, np.broadcast_to(model.intercept_, t)
    models = [linear.ElasticNet(positive=penalty.positive, **settings).fit(one.X, y) for y in one.Y.T]
    return np.stack([m.coef_ for m in models], axis=1), np.array([float(m.intercept_) for m in models])


def by_skglm(one: Made) -> tuple[np.ndarray, np.ndarray] | None:
    """Working sets of skglm."""
    skglm = pytest.importorskip("skglm", reason="skglm's solver")
    penalty = one.penalty
    if one.loss != "squared" or type(penalty) is not L21 or one.fit_intercept or one.Y.shape[1] == 1:
        return None
    if penalty.feature_weights is not None or penalty.positive or penalty.l1_ratio < 1:
        return None
    model = skglm.MultiTaskLasso(alpha=penalty.alpha, tol=1e-9, fit_intercept=False, max_iter=1000)
    coef = model.fit(np.asfortranarray(one.X), np.asfortranarray(one.Y)).coef_.T
    return coef, np.zeros(one.Y.shape[1])


def by_adelie(one: Made) -> tuple[np.ndarray, np.ndarray] | None:
    """Group coordinate descent of adelie, on tasks taken as one group a feature."""
    adelie = pytest.importorskip("adelie", reason="adelie's solver")
    penalty, t = one.penalty, one.Y.shape[1]
    if one.loss != "squared" or type(penalty) is not L21 or one.fit_intercept or t == 1:
        return None
    if penalty.feature_weights is not None or penalty.positive or penalty.l1_ratio < 1:
        return None
    state = adelie.grpnet(
        np.asfortranarray(one.X), adelie.glm.multigaussian(y=np.asfortranarray(one.Y), dtype=np.float64),
        penalty=np.ones(one.X.shape[1]), lmda_path=np.array([penalty.alpha / t]), intercept=False, tol=1e-12,
        early_exit=False, progress_bar=False, n_threads=1,
    )  # fmt: skip
    return state.betas[0].toarray().reshape(one.X.shape[1], t), np.zeros(t)


PEERS: dict[str, Callable[[Made], Any]] = {
    "cvxpy": by_cvxpy,
    "sklearn": by_sklearn,
    "skglm": by_skglm,
    "adelie": by_adelie,
}


def check(name: str, seed: int) -> bool:
    """Compare with one peer; False when it does not serve the problem."""
    one = made(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = PEERS[name](one)
    if theirs is None:
        return False
    problem = {"loss": one.loss, "fit_intercept": one.fit_intercept}
    ours = fastmtl.fit(one.X, one.Y, one.penalty, tol=TOL, **problem)
    coef, intercept = (np.array(A, dtype=float) for A in theirs)
    certificate = fastmtl.certify(one.X, one.Y, coef, intercept, one.penalty, dual=ours.dual, **problem)
    rounding = 100 * EPS * sum(one.X.shape) * ours.certificate.primal
    assert ours.status == "optimal"
    # With our dual point their gap is their distance from a lower bound of the optimum: a peer that is wrong shows here.
    assert (
        abs(ours.certificate.primal - certificate.primal) <= ours.certificate.gap + certificate.gap + rounding
    )
    assert ours.certificate.primal <= certificate.primal + ours.certificate.gap + rounding
    assert certificate.relative_gap <= 1e-4, f"{name} is far from the optimum"
    return True


@pytest.mark.oracle
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "skglm" else name for name in PEERS]
)
def test_agrees(name):
    """The first 40 problems; skglm, which compiles for half a minute in every process, waits for `slow`."""
    assert sum(check(name, seed) for seed in range(DEFAULT)) >= 3


@pytest.mark.slow
@pytest.mark.oracle
@pytest.mark.parametrize("name", PEERS)
def test_agrees_on_all(name):
    assert sum(check(name, seed) for seed in range(DEFAULT, ALL)) >= 8
