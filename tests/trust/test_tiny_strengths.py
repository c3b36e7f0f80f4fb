"""Strengths that are rounding beside the scores: fits end, at the optimum, with a proof."""

from __future__ import annotations

import numpy as np
import pytest

import fastmtl
from fastmtl.penalties import L1, L21, Group, SparseGroup, Trace

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 12))
Y = X[:, :3] @ RNG.standard_normal((3, 4)) + 0.1 * RNG.standard_normal((40, 4))
FIRST = np.r_[1e20, np.ones(11)]


@pytest.mark.parametrize("alpha", [1e-10, 1e-13, 1e-16, 1e-30, 1e-200, 1e-300])
@pytest.mark.parametrize(
    "penalty", [L21(), L1(), Group(groups=[3] * 4), SparseGroup(tau=0.5), Trace()], ids=lambda one: one.name
)
def test_alpha(penalty, alpha):
    """No dual point could be brought within such a strength; the trace norm's square underflowed."""
    result = fastmtl.fit(X, Y, penalty, alpha=alpha)
    without = fastmtl.fit(X, Y, alpha=0.0).certificate
    assert result.status == "optimal"
    assert result.certificate.dual <= without.primal * (1 + 1e-12) + alpha * 100.0
    again = fastmtl.certify(X, Y, result.coef, result.intercept, penalty, alpha=alpha, dual=result.dual)
    assert again.relative_gap <= 1e-6


@pytest.mark.parametrize("by", ["column", "weight"])
def test_one_feature(by):
    """One feature is all but unpenalised; the others have the strength they were given."""
    penalty = L21(feature_weights=[1e-30] + [1.0] * 11) if by == "weight" else L21()
    result = fastmtl.fit(X * FIRST if by == "column" else X, Y, penalty, alpha=0.05)
    free = fastmtl.fit(X, Y, L21(feature_weights=[0.0] + [1.0] * 11), alpha=0.05)
    assert result.status == free.status == "optimal"
    assert result.certificate.primal == pytest.approx(free.certificate.primal, rel=1e-9)
    path = fastmtl.fit_path(X * FIRST if by == "column" else X, Y, penalty, alphas=[0.1, 0.05])
    assert all(one.status == "optimal" for one in path)


def test_an_intercept_beside_a_large_feature():
    """The pseudo-inverse of `[1, x]` dropped the ones beside an unpenalised x of 1e20."""
    free = L21(0.05, feature_weights=[0.0] + [1.0] * 11)
    large, plain = fastmtl.fit(X * FIRST, Y + 3.0, free), fastmtl.fit(X, Y + 3.0, free)
    assert large.status == "optimal"
    np.testing.assert_allclose(large.intercept, plain.intercept, rtol=1e-6)


def test_targets_that_differ_by_160_digits():
    result = fastmtl.fit(X, Y * np.r_[1e160, 1.0, 1.0, 1.0], alpha=0.05)
    assert result.status == "optimal" and not np.isnan(result.certificate.primal)
