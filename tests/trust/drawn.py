"""Random problems for the laws: everything about one follows from a few drawn words and a seed."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from exact import L, judge, longdouble, objective
from hypothesis import strategies as st

import fastmtl
from fastmtl.losses import Huber
from fastmtl.penalties import L1, L21, Group, SparseGroup, Trace

TOL = 1e-6
EPS = float(np.finfo(np.float64).eps)
TINY = 16.0 * float(np.finfo(np.float64).tiny)


class Drawn(NamedTuple):
    """A problem: arrays as drawn, the penalty without a strength, its strength, and the keywords of `fit`."""

    X: Any
    Y: np.ndarray
    penalty: Any
    alpha: float
    keywords: dict[str, Any]

    @property
    def dense(self) -> np.ndarray:
        """X as a plain array."""
        return np.asarray(self.X.toarray() if sp.issparse(self.X) else self.X)

    @property
    def made(self) -> Any:
        """The penalty with its strength."""
        return self.penalty.with_alpha(self.alpha)


def penalties(p: int, rng: np.random.Generator) -> dict[str, Any]:
    """Penalties over p features, with weights, ridges and signs of their own."""
    weights = rng.choice([0.5, 1.0, 2.0], p)
    some_free = np.where(rng.random(p) < 0.15, 0.0, weights)
    some_out = np.where(rng.random(p) < 0.15, np.inf, weights)
    labels = rng.integers(0, max(1, p // 3), p).tolist()
    return {
        "l21": L21(),
        "l21_ridge": L21(l1_ratio=float(rng.choice([0.1, 0.5, 0.9]))),
        "l21_weights": L21(feature_weights=weights.tolist()),
        "l21_free": L21(feature_weights=some_free.tolist()),
        "l21_out": L21(feature_weights=some_out.tolist()),
        "l21_positive": L21(positive=True),
        "l1": L1(),
        "l1_ridge": L1(l1_ratio=0.7),
        "l1_weights": L1(feature_weights=some_out.tolist()),
        "l1_positive": L1(positive=True),
        "group": Group(groups=labels),
        "group_sqrt": Group(groups=labels, group_weights="sqrt", l1_ratio=0.8),
        "group_positive": Group(groups=labels, positive=True),
        "sparse_group": SparseGroup(groups=labels, tau=float(rng.choice([0.1, 0.5, 0.9]))),
        "sparse_group_rows": SparseGroup(tau=0.3),
        "trace": Trace(),
        "trace_ridge": Trace(ridge=0.05),
    }


PENALTY_NAMES = tuple(penalties(4, np.random.default_rng(0)))
SHAPES = (
    "gaussian",
    "correlated",
    "whole_numbers",
    "duplicates",
    "zeros",
    "low_rank",
    "large_means",
    "sizes_apart",
)
TARGETS = ("linear", "noise", "rank_one", "large_mean", "zero_task")
WEIGHTS = ("none", "uniform", "zeros", "wide", "by_task")
RATIOS = (1e-3, 0.02, 0.1, 0.3, 0.7, 0.99, 1.2)
LAYOUTS = ("c", "f", "strided", "reversed", "float32", "big_endian", "csc", "csr")


def features(kind: str, n: int, p: int, rng: np.random.Generator) -> np.ndarray:
    """X of one of the `SHAPES`."""
    X = rng.standard_normal((n, p))
    if kind == "correlated":
        for j in range(1, p):
            X[:, j] = 0.95 * X[:, j - 1] + 0.3 * X[:, j]
    if kind == "whole_numbers":
        X = np.round(X)
    if kind == "duplicates":
        X = X[:, rng.integers(0, max(1, p // 2), p)]
    if kind == "zeros":
        X = X * (rng.random(p) < 0.7) * (rng.random((n, p)) < 0.5)
    if kind == "low_rank":
        X = X[:, :1] @ rng.standard_normal((1, p)) + 1e-3 * X
    if kind == "large_means":
        X = X + 1e3 * rng.standard_normal(p)
    if kind == "sizes_apart":
        X = X * 2.0 ** rng.integers(-8, 9, p)
    return X


def targets(kind: str, X: np.ndarray, t: int, rng: np.random.Generator) -> np.ndarray:
    """Y of one of the `TARGETS`."""
    n, p = X.shape
    W = rng.standard_normal((p, t)) * (rng.random(p) < 0.4)[:, None]
    Y = X @ W / max(1.0, float(np.abs(X).max())) + 0.5 * rng.standard_normal((n, t))
    if kind == "noise":
        Y = rng.standard_normal((n, t))
    if kind == "rank_one":
        Y = np.outer(rng.standard_normal(n), rng.standard_normal(t))
    if kind == "large_mean":
        Y = Y + 1e3
    if kind == "zero_task":
        Y = Y * (np.arange(t) > 0)
    return Y


def for_loss(loss: Any, Y: np.ndarray) -> np.ndarray:
    """Real targets turned into those of a loss."""
    if loss == "logistic":
        return (np.median(Y) < Y).astype(float)
    if loss == "poisson":
        return np.minimum(np.round(np.exp(np.clip(Y, -3.0, 3.0))), 30.0)
    return Y


def stored(X: np.ndarray, layout: str) -> Any:
    """X in one of the `LAYOUTS`; float32 rounds its values."""
    if layout == "strided":
        wide = np.zeros((2 * X.shape[0], 2 * X.shape[1]))
        wide[::2, 1::2] = X
        return wide[::2, 1::2]
    makers = {
        "c": np.ascontiguousarray,
        "f": np.asfortranarray,
        "reversed": lambda A: np.ascontiguousarray(A[::-1, ::-1])[::-1, ::-1],
        "float32": lambda A: A.astype(np.float32),
        "big_endian": lambda A: A.astype(">f8"),
        "csc": sp.csc_matrix,
        "csr": sp.csr_matrix,
    }
    return makers[layout](X)


def sample_weights(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray | None:
    """Sample weights of one of the `WEIGHTS`."""
    n = shape[0]
    if kind == "uniform":
        return rng.uniform(0.5, 2.0, n)
    if kind == "zeros":
        return np.where(rng.random(n) < 0.3, 0.0, 1.0) + (np.arange(n) == 0)
    if kind == "wide":
        return 10.0 ** rng.uniform(-3, 3, n)
    if kind == "by_task":
        return rng.uniform(0.5, 2.0, shape)
    return None


@st.composite
def problems(
    draw: Any,
    losses: tuple[str, ...] = ("squared",),
    layouts: tuple[str, ...] = LAYOUTS,
    weights: tuple[str, ...] = WEIGHTS,
    names: tuple[str, ...] = PENALTY_NAMES,
    scales: bool = True,
    ratios: tuple[float, ...] = RATIOS,
) -> Drawn:
    """Draw a problem; `alpha` is one of the `ratios` times alpha_max."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = st.one_of(*[st.integers(1, 5)] * 5, st.integers(1, 40))
    n, p, t = draw(size), draw(size), draw(size)
    loss = draw(st.sampled_from(losses))
    X = features(draw(st.sampled_from(SHAPES)), n, p, rng)
    Y = for_loss(loss, targets(draw(st.sampled_from(TARGETS)), X, t, rng))
    weighted = draw(st.sampled_from(weights))
    if scales and loss == "squared" and weighted != "by_task":  # weights by task have no scaling of columns
        X = np.ldexp(X, draw(st.sampled_from([0, 0, 0, -40, 40, -300, 300])))
        Y = np.ldexp(Y, draw(st.sampled_from([0, 0, 0, -40, 40, -300, 300])))
    layout = draw(st.sampled_from(layouts))
    sizes = [float(np.abs(A).max(initial=0.0)) for A in (X, Y)]
    if layout == "float32" and not all(size == 0.0 or 1e-9 < size < 1e9 for size in sizes):
        layout = "c"  # coefficients would not fit
    keywords: dict[str, Any] = {"loss": Huber(1.35) if loss == "huber" else loss}
    keywords["fit_intercept"] = draw(st.booleans())
    keywords["standardize"] = draw(st.sampled_from([False, False, True]))
    keywords["scale"] = draw(st.sampled_from(["mean", "sum"]))
    s = sample_weights(weighted, Y.shape, rng)
    if s is not None:
        keywords["sample_weight"] = s
    penalty = penalties(p, rng)[draw(st.sampled_from(names))]
    X = stored(X, layout)
    ratio = draw(st.sampled_from(ratios))
    top = fastmtl.alpha_max(X, Y, penalty, **keywords)
    # Where nothing is penalised, or Y is constant, any strength serves.
    return Drawn(X, Y, penalty, ratio * top if top > 0 else 1.0, keywords)


def solve(drawn: Drawn, **changes: Any) -> Any:
    """The fit of a drawn problem; one that ends early is judged by the gap it states."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fastmtl.ConvergenceWarning)
        return fastmtl.fit(drawn.X, drawn.Y, drawn.made, tol=TOL, **{**drawn.keywords, **changes})


def judged(drawn: Drawn, coef: np.ndarray, intercept: np.ndarray, dual: Any = None) -> Any:
    """The judgement of coefficients for a drawn problem."""
    return judge(drawn.X, drawn.Y, coef, intercept, drawn.made, dual=dual, **_exact_keywords(drawn))


def _exact_keywords(drawn: Drawn) -> dict[str, Any]:
    loss = drawn.keywords["loss"]
    huber = {"loss": "huber", "delta": loss.delta} if isinstance(loss, Huber) else {}
    return {**drawn.keywords, **huber}


def largest_score(drawn: Drawn) -> float:
    """A bound of the gradient of a penalised feature at zero over its weight, by the sizes of X and Y alone."""
    X, s = longdouble(drawn.X), longdouble(drawn.keywords.get("sample_weight", np.ones(len(drawn.Y))))
    s = s.reshape(len(s), -1) / (s.sum(axis=0) if drawn.keywords["scale"] == "mean" else 1)
    Y = longdouble(drawn.Y) if drawn.keywords["loss"] == "squared" else np.ones(drawn.Y.shape, dtype=L)
    size = (
        np.abs(X).max() if not drawn.keywords["standardize"] else np.sqrt(L(len(X))) * np.sqrt(spread(drawn))
    )
    return float(10 * size * (s * np.abs(Y)).sum())


def spread(drawn: Drawn) -> float:
    """Largest mean over standard deviation of a column, squared: what deviations in float64 lose digits by."""
    if not drawn.keywords["standardize"]:
        return 1.0
    X, s = longdouble(drawn.X), longdouble(drawn.keywords.get("sample_weight", np.ones(len(drawn.Y))))
    share = s.reshape(len(s), -1).sum(axis=1) / s.sum()
    mean = share @ X
    mean, deviation = np.abs(mean), np.sqrt(share @ (X - mean) ** 2)
    seen = deviation > 1e-12 * mean
    return float((mean[seen] / deviation[seen]).max(initial=L(1))) ** 2


def rounding(drawn: Drawn, judgement: Any, scale: float = 1.0) -> Any:
    """What float64 may lose in values of a problem: sums of n + p terms, and residuals that are differences."""
    terms = sum(np.shape(drawn.X))
    residual = np.sqrt(2.0 * max(judgement.primal, judgement.null, 0.0)) * judgement.magnitude
    largest = (max(scale, 1.0) * judgement.null + judgement.primal + judgement.terms) * spread(drawn)
    return 4.0 * terms * EPS * (residual + largest) + (terms * EPS * judgement.magnitude) ** 2 + TINY


def agree(drawn: Drawn, first: Any, coef: np.ndarray, intercept: np.ndarray, gap: float) -> None:
    """Coefficients found another way are as good for the problem as its fit, up to both relative gaps.

    `coef` and `intercept` are in the coordinates of `drawn`, `gap` is the relative gap that they were certified with.
    """
    keywords = _exact_keywords(drawn)
    here = objective(drawn.X, drawn.Y, first.coef, first.intercept, drawn.made, **keywords)
    there = objective(drawn.X, drawn.Y, coef, intercept, drawn.made, **keywords)
    allowed = max(first.certificate.relative_gap, gap) * longdouble(here.null)
    slack = rounding(drawn, here, first.certificate.scale) + rounding(drawn, there)
    if first.coef.dtype == np.float32:
        slack = slack * (np.finfo(np.float32).eps / EPS)
    assert abs(here.primal - there.primal) <= allowed + slack
