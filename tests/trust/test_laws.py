"""Laws over random problems: what must hold whatever is fitted.

`FASTMTL_EXAMPLES=100000 pytest tests/trust/test_laws.py -m slow` runs that many in all; the slow mark alone runs 2000, the
default run 500.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from drawn import (
    EPS,
    LAYOUTS,
    PENALTY_NAMES,
    TOL,
    Drawn,
    agree,
    judged,
    largest_score,
    penalties,
    problems,
    rounding,
    solve,
    stored,
)
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

import fastmtl
from fastmtl import _arrays
from fastmtl.penalties import L1, L21, Group, SparseGroup

ANY: Any = list(HealthCheck)
DOUBLE = tuple(layout for layout in LAYOUTS if layout != "float32")
PLAIN = ("none", "uniform", "zeros", "wide")
LOSSES = ("squared", "squared", "huber", "logistic", "poisson")
UNSIGNED = tuple(name for name in PENALTY_NAMES if "positive" not in name and "trace" not in name)


def by_task(drawn: Drawn) -> bool:
    """Whether sample weights differ by task."""
    return getattr(drawn.keywords.get("sample_weight"), "ndim", 1) == 2


def may_stall(drawn: Drawn) -> bool:
    """Losses other than the squared one where data nearly interpolate, and strengths near zero but not zero, say so."""
    if drawn.keywords["loss"] != "squared":
        return True
    top = fastmtl.alpha_max(drawn.X, drawn.Y, drawn.penalty, **drawn.keywords)
    return 0.0 < drawn.alpha < 1e-6 * top


def certified(drawn: Drawn) -> None:
    """Status, certificate and the judge agree, and the fit is optimal."""
    result = solve(drawn)
    found = judged(drawn, result.coef, result.intercept, result.dual)
    slack = rounding(drawn, found, result.certificate.scale)
    assert abs(result.certificate.primal - found.primal) <= slack
    assert result.certificate.dual <= found.primal + slack
    if not result.status.converged:
        assert may_stall(drawn) and result.certificate.relative_gap > TOL
        return
    eps = float(np.finfo(result.coef.dtype).eps)
    bound = TOL if result.status == "optimal" else 64.0 * eps * result.certificate.scale
    size = found.terms
    if drawn.keywords["loss"] in ("logistic", "poisson"):
        # One class, or counts all zero, in every task: an intercept of minus infinity is clipped where the mean loss is eps.
        n, t = drawn.Y.shape
        weights = np.asarray(drawn.keywords.get("sample_weight", np.ones(n))).reshape(n, -1)
        size = max(size, t if drawn.keywords["scale"] == "mean" else np.broadcast_to(weights, (n, t)).sum())
    if found.null > 8.0 * EPS * size:
        assert found.relative_gap <= bound + slack / found.null


def stationary(drawn: Drawn) -> None:
    """A proximal gradient step of length 1/L moves W by at most sqrt(2 gap / L)."""
    drawn = drawn._replace(keywords={**drawn.keywords, "standardize": False})
    result = solve(drawn)
    X, Y = drawn.dense.astype(float), drawn.Y
    n, t = len(X), Y.shape[1]
    s = np.ones(n) if (w := drawn.keywords.get("sample_weight")) is None else w
    omega = np.broadcast_to(s.reshape(n, -1), Y.shape)
    omega = omega / omega.sum(axis=0) if drawn.keywords["scale"] == "mean" else omega
    L = max(np.linalg.norm(np.sqrt(omega[:, [c]]) * X, 2) ** 2 for c in range(t)) * (1 + 1e-9)
    if not 1e-290 < L < 1e290:
        return
    W, b = result.coef.astype(float), result.intercept.astype(float)
    slope = X.T @ (omega * (X @ W + b - Y))
    excluded = drawn.made.excluded(len(W))
    moved = drawn.made.prox(W - slope / L, 1.0 / L)
    moved[excluded] = 0.0
    found = judged(drawn, W, b)
    gap = result.certificate.gap + float(rounding(drawn, found, result.certificate.scale))
    if np.isfinite(gap):
        rest = 1e3 * EPS * (np.linalg.norm(W) + np.linalg.norm(slope / L))
        assert np.linalg.norm(moved - W) <= np.sqrt(2.0 * gap / L) + rest


def zero_at_alpha_max(drawn: Drawn) -> None:
    """At alpha_max nothing penalised is active; a little below something is, however small the gap of zero there."""
    top = fastmtl.alpha_max(drawn.X, drawn.Y, drawn.penalty, **drawn.keywords)
    if top == 0:
        return  # nothing to explain: without a penalty any coefficients may do
    penalised = ~drawn.penalty.with_alpha(1.0).free(drawn.dense.shape[1])
    rounding_of_scores = 64.0 * EPS * largest_score(drawn)
    at = top if rounding_of_scores < 1e-10 * top else top + rounding_of_scores
    for alpha in (at, 2.0 * at):
        assert not solve(drawn._replace(alpha=alpha)).coef[penalised].any()
    ridge = max((1.0 - getattr(drawn.penalty, "l1_ratio", 1.0)) * top, getattr(drawn.penalty, "ridge", 0.0))
    square = float(np.abs(drawn.dense).max()) ** 2
    if ridge > 0.0 and not (1e-12 < square < 1e12 and ridge < 1e4 * square):
        return  # the ridge keeps what would be active at rounding
    if top > 1e-9 * largest_score(drawn):  # else the gradient at zero is rounding
        assert solve(drawn._replace(alpha=0.999 * top)).coef[penalised].any()


def permuted_rows(drawn: Drawn) -> None:
    """The order of samples does not matter."""
    order = np.random.default_rng(0).permutation(len(drawn.Y))
    keywords = dict(drawn.keywords)
    if "sample_weight" in keywords:
        keywords["sample_weight"] = keywords["sample_weight"][order]
    other = solve(drawn._replace(X=drawn.X[order], Y=drawn.Y[order], keywords=keywords))
    agree(drawn, solve(drawn), other.coef, other.intercept, other.certificate.relative_gap)


def permuted_columns(drawn: Drawn) -> None:
    """The order of features does not matter, nor that of tasks."""
    rng = np.random.default_rng(0)
    p, t = drawn.dense.shape[1], drawn.Y.shape[1]
    order, tasks = rng.permutation(p), rng.permutation(t)
    changes = {}
    for name in ("feature_weights", "groups"):
        values = getattr(drawn.penalty, name, None)
        if values is not None:
            changes[name] = [values[j] for j in order]
    if getattr(drawn.penalty, "group_weights", None) is not None and "groups" in changes:
        assert isinstance(drawn.penalty.group_weights, str)
    penalty = _with(drawn.penalty, **changes)
    keywords = dict(drawn.keywords)
    if by_task(drawn):
        keywords["sample_weight"] = keywords["sample_weight"][:, tasks]
    other = solve(
        drawn._replace(X=drawn.X[:, order], Y=drawn.Y[:, tasks], penalty=penalty, keywords=keywords)
    )
    coef, intercept = np.empty_like(other.coef), np.empty_like(other.intercept)
    coef[np.ix_(order, tasks)], intercept[tasks] = other.coef, other.intercept
    agree(drawn, solve(drawn), coef, intercept, other.certificate.relative_gap)


def scaled_by_powers_of_two(drawn: Drawn) -> None:
    """Y in other units gives W in those units, X in other units the inverse ones."""
    if (
        drawn.keywords["standardize"]
        or getattr(drawn.penalty, "l1_ratio", 1.0) < 1
        or drawn.penalty.name == "trace"
    ):
        return  # a ridge, or a standard deviation, is on a scale of its own
    here = solve(drawn)
    for a, b in ((0, 30), (30, 0), (-60, 20)):
        moved = drawn._replace(
            X=drawn.X * 2.0**a, Y=np.ldexp(drawn.Y, b), alpha=float(np.ldexp(drawn.alpha, a + b))
        )
        other = solve(moved)
        coef = np.ldexp(other.coef.astype(float), a - b)
        agree(drawn, here, coef, np.ldexp(other.intercept, -b), other.certificate.relative_gap)


def rotated_tasks(drawn: Drawn) -> None:
    """An orthogonal change of tasks changes W by it, for row norms, group norms and the trace norm."""
    if not drawn.made.is_rotation_invariant or by_task(drawn):
        return
    t = drawn.Y.shape[1]
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((t, t)))[0]
    other = solve(drawn._replace(Y=drawn.Y @ Q))
    agree(drawn, solve(drawn), other.coef @ Q.T, other.intercept @ Q.T, other.certificate.relative_gap)


def doubled_rows(drawn: Drawn) -> None:
    """A repeated sample counts as one of twice the weight."""
    n = len(drawn.Y)
    twice = np.random.default_rng(0).random(n) < 0.5
    rows = np.concatenate([np.arange(n), np.flatnonzero(twice)])
    s = drawn.keywords.get("sample_weight", np.ones(n))
    factor = (1.0 + twice).reshape((n,) + (1,) * (np.ndim(s) - 1))
    weighted = drawn._replace(keywords={**drawn.keywords, "sample_weight": s * factor})
    repeated = drawn._replace(
        X=drawn.X[rows], Y=drawn.Y[rows], keywords={**drawn.keywords, "sample_weight": s[rows]}
    )
    other = solve(repeated)
    agree(weighted, solve(weighted), other.coef, other.intercept, other.certificate.relative_gap)


def dropped_rows(drawn: Drawn) -> None:
    """A sample of weight zero counts as none, whatever stands in it."""
    n = len(drawn.Y)
    out = (np.random.default_rng(0).random(n) < 0.4) & (np.arange(n) > 0)
    s = drawn.keywords.get("sample_weight", np.ones(n))
    if not s[~out].any():
        return
    kept = drawn._replace(
        X=drawn.X[~out], Y=drawn.Y[~out], keywords={**drawn.keywords, "sample_weight": s[~out]}
    )
    zero = np.where(out.reshape((n,) + (1,) * (np.ndim(s) - 1)), 0.0, s)
    other = solve(drawn._replace(keywords={**drawn.keywords, "sample_weight": zero}))
    agree(kept, solve(kept), other.coef, other.intercept, other.certificate.relative_gap)


def warm_is_cold(drawn: Drawn) -> None:
    """Where a fit starts does not matter, nor that it starts at its own answer."""
    cold = solve(drawn)
    near = solve(drawn._replace(alpha=1.3 * drawn.alpha))
    for start in (near, cold if getattr(drawn.penalty, "positive", False) else -near.coef):
        other = solve(drawn, warm_start=start)
        agree(drawn, cold, other.coef, other.intercept, other.certificate.relative_gap)


def path_is_single_fits(drawn: Drawn) -> None:
    """Every fit of a path is a fit."""
    alphas = [4.0 * drawn.alpha, 2.0 * drawn.alpha, drawn.alpha]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fastmtl.ConvergenceWarning)
        path = fastmtl.fit_path(drawn.X, drawn.Y, drawn.penalty, alphas=alphas, tol=TOL, **drawn.keywords)
    for alpha, one in zip(path.alphas, path, strict=True):
        at = drawn._replace(alpha=float(alpha))
        agree(at, solve(at), one.coef, one.intercept, one.certificate.relative_gap)


def sparse_is_dense(drawn: Drawn) -> None:
    """How X is stored does not matter."""
    dense = drawn.dense.astype(drawn.dense.dtype.newbyteorder("="))
    here = solve(drawn._replace(X=dense))
    form = sp.csc_matrix if len(dense) % 2 else sp.csr_array
    other = solve(drawn._replace(X=form(dense)))
    agree(drawn, here, other.coef, other.intercept, other.certificate.relative_gap)


def chunked_is_whole(drawn: Drawn) -> None:
    """X read a few rows or columns at a time gives what it gives at once."""
    whole = solve(drawn)
    budget = _arrays.panels.__defaults__
    _arrays.panels.__defaults__ = (1 << 9,)
    try:
        other = solve(drawn)
    finally:
        _arrays.panels.__defaults__ = budget
    agree(drawn, whole, other.coef, other.intercept, other.certificate.relative_gap)


def one_task_is_lasso(drawn: Drawn) -> None:
    """With one task row norms are absolute values."""
    one = drawn._replace(Y=drawn.Y[:, :1])
    if by_task(one):
        one = one._replace(keywords={**one.keywords, "sample_weight": one.keywords["sample_weight"][:, :1]})
    rows = one._replace(penalty=L21(l1_ratio=0.9))
    entries = one._replace(penalty=L1(l1_ratio=0.9))
    other = solve(rows)
    agree(entries, solve(entries), other.coef, other.intercept, other.certificate.relative_gap)


def singletons_are_lasso(drawn: Drawn) -> None:
    """Groups of one row are rows, and the two ends of the sparse group penalty are its parts."""
    p = drawn.dense.shape[1]
    pairs = [
        (L21(), Group(groups=[[j] for j in range(p)])),
        (L21(), SparseGroup(tau=0.0)),
        (L1(), SparseGroup(tau=1.0)),
    ]
    one, two = pairs[(p + len(drawn.Y)) % len(pairs)]
    at = drawn._replace(penalty=one)
    other = solve(drawn._replace(penalty=two))
    agree(at, solve(at), other.coef, other.intercept, other.certificate.relative_gap)


def inputs_are_kept(drawn: Drawn) -> None:
    """Nothing that came in is written to, and the same call gives the same bits."""
    parts = [drawn.X.data, drawn.X.indices, drawn.X.indptr] if sp.issparse(drawn.X) else [drawn.X]
    parts += [drawn.Y, *([s] if (s := drawn.keywords.get("sample_weight")) is not None else [])]
    before = [part.copy() for part in parts]
    first, second = solve(drawn), solve(drawn)
    assert all(np.array_equal(a, b) for a, b in zip(before, parts, strict=True))
    assert np.array_equal(first.coef, second.coef) and np.array_equal(first.intercept, second.intercept)
    assert first.certificate == second.certificate


def nothing_is_an_error(sizes: tuple[int, int, int, str, str]) -> None:
    """No samples, no features or no tasks: an error that names the argument, wherever it comes in."""
    n, p, t, layout, name = sizes
    X, Y = stored(np.ones((n, p)), layout), np.ones((n, t))
    named = "X" if n == 0 or p == 0 else "Y"
    for door in (fastmtl.fit, fastmtl.fit_path, fastmtl.alpha_max, fastmtl.cross_validate):
        strength: Any = {"alpha": 0.1} if door is fastmtl.fit else {}
        with pytest.raises(ValueError, match=named):
            door(X, Y, penalties(max(p, 1), np.random.default_rng(0))[name], **strength)


def _empty_sizes() -> Any:
    size = st.integers(0, 3)
    words = st.sampled_from(LAYOUTS), st.sampled_from(PENALTY_NAMES)
    return st.tuples(size, size, size, *words).filter(lambda drawn: 0 in drawn[:3])


LAWS: dict[str, tuple[Any, Any]] = {
    "certified": (certified, problems(losses=LOSSES, weights=PLAIN)),
    "certified_unpenalised": (
        certified,
        problems(weights=PLAIN, names=UNSIGNED, scales=False, ratios=(0.0, 1e-9), layouts=DOUBLE),
    ),
    "stationary": (stationary, problems(scales=False)),
    "zero_at_alpha_max": (zero_at_alpha_max, problems(losses=LOSSES)),
    "permuted_rows": (permuted_rows, problems(losses=LOSSES)),
    "permuted_columns": (permuted_columns, problems(losses=LOSSES)),
    "scaled_by_powers_of_two": (scaled_by_powers_of_two, problems(scales=False)),
    "rotated_tasks": (
        rotated_tasks,
        problems(names=("l21", "l21_free", "l21_ridge", "group", "trace", "trace_ridge")),
    ),
    "doubled_rows": (doubled_rows, problems(losses=LOSSES)),
    "dropped_rows": (dropped_rows, problems(losses=LOSSES)),
    "warm_is_cold": (warm_is_cold, problems(losses=LOSSES)),
    "path_is_single_fits": (path_is_single_fits, problems(losses=LOSSES)),
    "sparse_is_dense": (sparse_is_dense, problems(losses=LOSSES)),
    "chunked_is_whole": (chunked_is_whole, problems(losses=LOSSES)),
    "one_task_is_lasso": (one_task_is_lasso, problems(losses=LOSSES)),
    "singletons_are_lasso": (singletons_are_lasso, problems(losses=LOSSES)),
    "inputs_are_kept": (inputs_are_kept, problems(losses=LOSSES)),
    "nothing_is_an_error": (nothing_is_an_error, _empty_sizes()),
}


def _with(penalty: Any, **changes: Any) -> Any:
    """A penalty with some settings replaced."""
    settings_of = {
        "l21": ("l1_ratio", "feature_weights", "positive"),
        "l1": ("l1_ratio", "feature_weights", "positive"),
        "group": ("groups", "group_weights", "l1_ratio", "positive"),
        "sparse_group": ("tau", "groups", "group_weights", "feature_weights", "positive"),
        "trace": ("ridge",),
    }[penalty.name]
    return type(penalty)(**{name: changes.get(name, getattr(penalty, name)) for name in settings_of})


def _run(name: str, total: int) -> None:
    law, strategy = LAWS[name]
    examples = -(-total // len(LAWS))

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize="FASTMTL_SEED" not in os.environ,
        suppress_health_check=ANY, print_blob=False,
    )  # fmt: skip
    @given(drawn=strategy)
    def check(drawn: Any) -> None:
        law(drawn)

    if "FASTMTL_SEED" in os.environ:
        check = seed(int(os.environ["FASTMTL_SEED"]))(check)
    check()


DEFAULT, LONG = 500, int(os.environ.get("FASTMTL_EXAMPLES", "2000"))


@pytest.mark.parametrize("name", LAWS)
def test_law(name):
    _run(name, DEFAULT)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAWS)
def test_law_at_length(name):
    _run(name, LONG)
