"""Fits against bounds of 50 digits."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from golden import COUNT, FILE, arrays, problem

import fastmtl

STORED = json.loads(FILE.read_text(encoding="utf-8"))
EPS = 2.0**-52


@pytest.mark.parametrize("number", range(COUNT))
def test_against_fifty_digits(number):
    one = STORED[number]
    assert {key: one[key] for key in problem(number)} == problem(number), "golden.py writes another problem"
    primal, dual = Fraction(one["primal"]), Fraction(one["dual"])
    assert abs(primal - dual) <= abs(primal) * Fraction(1, 10**47)
    X, Y, penalty = arrays(one)
    for tol in (1e-4, 1e-8, 1e-12):
        result = fastmtl.fit(X, Y, penalty, tol=tol, loss=one["loss"], fit_intercept=one["fit_intercept"])
        found = result.certificate
        rounding = Fraction(
            8 * sum(X.shape) * EPS * found.scale * found.gap / found.relative_gap if found.gap else 64 * EPS
        )
        assert Fraction(found.primal) >= primal - rounding, "below the optimum"
        assert Fraction(found.dual) <= primal + rounding, "a bound above the optimum"
        assert Fraction(found.primal) - primal <= Fraction(found.gap) + rounding
        assert result.status.converged
