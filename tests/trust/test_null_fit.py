"""The null fit is the answer at alpha_max, and just below it is not, however small its gap."""

from __future__ import annotations

import numpy as np
import pytest

import fastmtl
from fastmtl.penalties import L1, L21, Group, Penalty, SparseGroup, Trace

N, P, T = 24, 6, 3


class Own(Penalty):
    """A row norm that the package knows nothing about."""

    def value(self, W):
        return L21(self.alpha).value(W)

    def prox(self, W, step):
        return L21(self.alpha).prox(W, step)

    def conjugate(self, V):
        return L21(self.alpha).conjugate(V)


PENALTIES = {
    "l21": L21(),
    "l1": L1(),
    "group": Group(groups=[0, 0, 1, 1, 2, 2]),
    "sparse_group": SparseGroup(tau=0.3),
    "positive": L21(positive=True),
    "ridge": L21(l1_ratio=0.5),
    "free": L21(feature_weights=[0.0] + [1.0] * 5),
    "trace": Trace(),
    "own": Own(),
}
LOSSES = ("squared", "gaps", "huber", "logistic", "poisson", "multinomial", "designs")


def drawn(loss: str, seed: int):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N, P))
    Y = X[:, :1] + rng.standard_normal((N, T))
    if loss == "gaps":
        Y[0, 0] = np.nan
    if loss == "designs":
        return [X[:10], X[10:]], [Y[:10, 0], Y[10:, 1]], "squared"
    targets = {
        "logistic": (Y > 0).astype(float),
        "poisson": np.round(np.exp(np.clip(Y, -3.0, 3.0))),
        "multinomial": np.arange(N) % T,
    }
    return X, targets.get(loss, Y), "squared" if loss == "gaps" else loss


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("seed", [0, 1])
def test_zero_exactly_from_alpha_max(name, loss, seed):
    """At 0.999 alpha_max the gap of zero is about 1e-6 P(0), within the default tolerance."""
    (X, Y, loss), penalty = drawn(loss, seed), PENALTIES[name]
    penalised = ~penalty.with_alpha(1.0).free(P)
    top = fastmtl.alpha_max(X, Y, penalty, loss=loss)
    alphas = [2.0 * top, top, 0.999 * top, 0.99 * top]
    fits = [fastmtl.fit(X, Y, penalty, alpha=alpha, loss=loss) for alpha in alphas]
    path = fastmtl.fit_path(X, Y, penalty, alphas=alphas, loss=loss)
    for found in (fits, path):
        assert [bool(one.coef[penalised].any()) for one in found] == [False, False, True, True]
    assert all(one.status == "optimal" for one in fits)


def test_no_step_was_allowed():
    X, Y, _ = drawn("squared", 0)
    result = fastmtl.fit(X, Y, alpha=0.9999 * fastmtl.alpha_max(X, Y), max_iter=0)
    assert result.status == "optimal" and not result.coef.any()
