"""A judge of fits that shares no line with the package: primal and dual values in extended precision.

`judge` recomputes the objective of the README and a dual bound in `numpy.longdouble`, whose exponents reach 1e4932, from
the data as given and the public settings of a penalty. What it calls the relative gap is a proof, up to its own rounding
(about 1e-19 a term), of how far coefficients are from the optimum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

L = np.longdouble
EPS = float(np.finfo(L).eps)
EQUALITY = 1e-12
"""What may be left of a dual equality constraint, relative to the norms of its two factors."""


class Judgement(NamedTuple):
    """Exact objective, the better of the dual bounds, P(0), the gap over it, and the size of what residuals are made of.

    `magnitude` is the root mean square of `|X| |W| + |b| + |Y| + |offset|`: residuals in float64 carry its rounding.
    `terms` is the sum of the absolute terms that the loss is summed from.
    """

    primal: Any
    dual: Any
    null: Any
    relative_gap: float
    magnitude: Any
    terms: Any


class Blocks(NamedTuple):
    """`l1 |w|_1 + l2 |W_b|_F + ridge/2 |W_b|_F^2` over blocks of rows; inf in l1 or l2 excludes."""

    rows: list[np.ndarray]
    l1: np.ndarray
    l2: np.ndarray
    ridge: np.ndarray
    positive: bool


def longdouble(A: Any) -> np.ndarray:
    """A dense array in extended precision, whatever it is stored as."""
    if hasattr(A, "toarray"):
        A = A.toarray()
    if hasattr(A, "to_numpy"):
        A = A.to_numpy()
    return np.asarray(A).astype(L)


def judge(X: Any, Y: Any, coef: Any, intercept: Any, penalty: Any, **problem: Any) -> Judgement:
    """Judge coefficients (p, t) and intercepts (t,) in the units of X; keywords as in `fastmtl.fit`."""
    with np.errstate(all="ignore"):
        return _judge(_Data(X, Y, **problem), longdouble(coef), longdouble(intercept), penalty, problem)


def objective(X: Any, Y: Any, coef: Any, intercept: Any, penalty: Any, **problem: Any) -> Judgement:
    """The primal value alone, as `judge` computes it; the dual is zero and the gap inf."""
    with np.errstate(all="ignore"):
        data, W, b = _Data(X, Y, **problem), longdouble(coef), longdouble(intercept)
        primal, null = data.loss(data.X @ (W * data.divisor[:, None]) + b), data.null()
        primal = primal + penalty_terms(penalty, len(W)).value(W * data.divisor[:, None])
        return Judgement(primal, L(0), null, float("inf"), *data.sizes(W * data.divisor[:, None], b))


def _judge(data: _Data, W: np.ndarray, b: np.ndarray, penalty: Any, problem: dict[str, Any]) -> Judgement:
    terms = penalty_terms(penalty, W.shape[0])
    W = W * data.divisor[:, None]
    fitted = data.X @ W
    primal = data.loss(fitted + b) + terms.value(W)
    null = data.null()
    points = [data.dual_point(fitted, terms, W)]
    if problem.get("dual") is not None:
        points.append(data.made_feasible(longdouble(problem["dual"]).reshape(data.Y.shape), terms, W))
    dual = max([L(0)] + [data.dual_value(theta, terms) for theta in points])
    gap = max(primal - dual, L(0))
    relative = gap / null if null > 0 else (L(0) if not W.any() else L(np.inf))
    return Judgement(primal, dual, null, float(relative), *data.sizes(W, b))


class _Data:
    """X, Y and weights in extended precision, standardised if asked for."""

    def __init__(
        self,
        X: Any,
        Y: Any,
        *,
        loss: str = "squared",
        sample_weight: Any = None,
        task_weight: Any = None,
        offset: Any = None,
        fit_intercept: bool = True,
        standardize: bool = False,
        scale: str = "mean",
        delta: float = 1.35,
        dual: Any = None,
    ) -> None:
        self.X, self.delta, self.fit_intercept = longdouble(X), L(delta), fit_intercept
        n = len(self.X)
        s = np.ones(n, dtype=L) if sample_weight is None else longdouble(sample_weight)
        self.kind = loss
        if loss == "multinomial":
            labels = np.unique(np.asarray(Y))
            self.Y = (np.asarray(Y)[:, None] == labels).astype(L)
        else:
            self.Y = longdouble(Y).reshape(n, -1)
        gaps = np.isnan(self.Y)
        self.Y = np.where(gaps, 0, self.Y)
        weight = np.where(gaps, 0, s.reshape(n, -1))
        totals = weight.sum(axis=0) if scale == "mean" else np.ones(self.Y.shape[1], dtype=L)
        c = 1 if task_weight is None else longdouble(task_weight)
        self.omega = c * weight / np.where(totals > 0, totals, 1)
        self.offset = L(0) if offset is None else longdouble(offset).reshape(n, -1)
        self.divisor = np.ones(self.X.shape[1], dtype=L)
        if standardize:
            total = self.omega.sum(axis=1)
            share = total / total.sum()
            centred = self.X - share @ self.X
            deviation = np.sqrt(share @ centred**2)
            size = np.abs(self.X).max(axis=0)
            constant = deviation <= 8 * np.finfo(np.float64).eps * size
            self.divisor = np.where(constant, L(1), deviation)
            self.X = self.X / self.divisor

    def null(self) -> Any:
        """P(0)."""
        zero = np.zeros(self.Y.shape, dtype=L)
        return self.loss(zero + self.best_intercepts(zero))

    def sizes(self, W: np.ndarray, b: np.ndarray) -> tuple[Any, Any]:
        """`magnitude` and `terms` of a judgement."""
        size = np.abs(self.X) @ np.abs(W) + np.abs(b) + np.abs(self.Y) + np.abs(self.offset)
        Z = self.X @ W + b + self.offset
        terms = self._value(Z)
        if self.kind == "poisson":
            terms = np.exp(Z) + np.abs(self.Y * Z) + np.abs(_xlogx(self.Y)) + self.Y
        if self.kind in ("logistic", "multinomial"):
            terms = 1 + np.abs(Z)
        return np.sqrt((self.omega * size**2).sum()), (self.omega * np.abs(terms)).sum()

    def loss(self, Z: np.ndarray) -> Any:
        Z = Z + self.offset
        return (self.omega * self._value(Z)).sum()

    def _value(self, Z: np.ndarray) -> np.ndarray:
        Y = self.Y
        if self.kind == "squared":
            return (Y - Z) ** 2 / 2
        if self.kind == "huber":
            size = np.abs(Y - Z)
            return np.where(size <= self.delta, size**2 / 2, self.delta * size - self.delta**2 / 2)
        if self.kind == "logistic":
            margin = (2 * Y - 1) * Z
            return np.log1p(np.exp(-np.abs(margin))) + np.maximum(-margin, 0)
        if self.kind == "poisson":
            return np.exp(Z) - Y * Z + _xlogx(Y) - Y
        top = Z.max(axis=1, keepdims=True)
        rest = np.log(np.exp(Z - top).sum(axis=1, keepdims=True)) + top
        return rest / Y.shape[1] - Y * Z

    def _slope(self, Z: np.ndarray) -> np.ndarray:
        Z, Y = Z + self.offset, self.Y
        if self.kind == "squared":
            return Z - Y
        if self.kind == "huber":
            return np.clip(Z - Y, -self.delta, self.delta)
        if self.kind == "logistic":
            return 1 / (1 + np.exp(-Z)) - Y
        if self.kind == "poisson":
            return np.exp(Z) - Y
        e = np.exp(Z - Z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True) - Y

    def _conjugate(self, U: np.ndarray) -> np.ndarray:
        Y = self.Y
        if self.kind == "squared":
            return U * U / 2 + U * Y
        if self.kind == "huber":
            return np.where(np.abs(U) <= self.delta * (1 + 4 * EPS), U * U / 2 + U * Y, np.inf)
        v = Y + U
        if self.kind == "logistic":
            inside = (v >= -4 * EPS) & (v <= 1 + 4 * EPS)
            v = np.clip(v, 0, 1)
            return np.where(inside, _xlogx(v) + _xlogx(1 - v), np.inf)
        if self.kind == "poisson":
            return np.where(v >= -4 * EPS * (1 + Y), _xlogx(np.maximum(v, 0)) - v - _xlogx(Y) + Y, np.inf)
        return np.where(v >= -4 * EPS, _xlogx(np.maximum(v, 0)), np.inf)

    def best_intercepts(self, Z: np.ndarray) -> np.ndarray:
        """Intercepts that minimise the loss beside Z, by bisection on its slope; gradient steps for a multinomial."""
        t, w = self.Y.shape[1], self.omega / _positive(self.omega.sum(axis=0))
        if not self.fit_intercept:
            return np.zeros(t, dtype=L)
        if self.kind == "squared":
            return (w * (self.Y - self.offset - Z)).sum(axis=0)
        if self.kind == "multinomial":
            b = np.zeros(t, dtype=L)
            for _ in range(20000):
                step = (w * self._slope(Z + b)).sum(axis=0)
                b = b - 2 * step
                if np.abs(step).max() < 1e-18:
                    break
            return b - b.mean()
        reach = (
            L(1) + np.abs(Z + self.offset).max() + (np.abs(self.Y).max() if self.kind == "huber" else L(0))
        )
        low, high = np.full(t, -60 * reach), np.full(t, 60 * reach)
        for _ in range(150):
            middle = (low + high) / 2
            up = (w * self._slope(Z + middle)).sum(axis=0) > 0
            low, high = np.where(up, low, middle), np.where(up, middle, high)
        return (low + high) / 2

    def dual_point(self, fitted: np.ndarray, terms: Any, W: np.ndarray) -> np.ndarray:
        """`-loss'` at the best intercepts, moved into the equality constraints."""
        theta = -self._slope(fitted + self.best_intercepts(fitted))
        return self.made_feasible(theta, terms, W)

    def made_feasible(self, theta: np.ndarray, terms: Any, W: np.ndarray) -> np.ndarray:
        """A dual point moved into the equality constraints."""
        free = terms.unpenalised(self.X.shape[1])
        if self.kind == "squared":
            root = np.sqrt(self.omega)
            theta = np.where(root > 0, theta, 0)
            for t in range(theta.shape[1]):
                columns = [np.ones(len(theta), dtype=L)] if self.fit_intercept else []
                columns += [self.X[:, j] for j in free if not terms.positive or W[j, t] > 0]
                basis = orthonormal([root[:, t] * c for c in columns])
                safe = np.where(root[:, t] > 0, root[:, t], 1)
                theta[:, t] = project_off((root * theta)[:, [t]], basis)[:, 0] / safe
        elif self.fit_intercept:
            theta = theta - (self.omega * theta).sum(axis=0) / _positive(self.omega.sum(axis=0))
            # What that moved out of the domain is rounding, and within what `dual_value` allows the constraints.
            if self.kind == "huber":
                theta = np.clip(theta, -self.delta, self.delta)
            if self.kind == "logistic":
                theta = self.Y - np.clip(self.Y - theta, 0, 1)
            if self.kind == "poisson":
                theta = np.minimum(theta, self.Y)
            if self.kind == "multinomial":
                theta = theta * (1 - 8 * EPS)
        return theta

    def dual_value(self, theta: np.ndarray, terms: Any) -> Any:
        """The best dual value along theta; -inf when an equality constraint is broken by more than rounding."""
        weighted = self.omega * theta
        if (
            self.fit_intercept
            and (np.abs(weighted.sum(axis=0)) > EQUALITY * np.abs(weighted).sum(axis=0)).any()
        ):
            return L(-np.inf)
        V = self.X.T @ weighted
        free = terms.unpenalised(self.X.shape[1])
        size = np.sqrt((self.X[:, free] ** 2).sum(axis=0))[:, None] * np.sqrt((weighted**2).sum(axis=0))
        left = np.maximum(V[free], 0) if terms.positive else np.abs(V[free])
        if (left > EQUALITY * size).any():
            return L(-np.inf)
        V = V.copy()
        V[free] = 0
        limit, penalty = terms.limit(V), terms.conjugate_along(V)
        if self.kind == "squared":
            target = self.Y - self.offset
            cross, square = (weighted * target).sum(), (weighted * theta).sum()
            if square <= 0:
                return L(0)
            top = min(limit, cross / square)
            return best_of(lambda a: a * cross - a * a * square / 2 - penalty(a), top)
        top = min(limit, L(1))

        def value(a: Any) -> Any:
            conjugate = (self.omega * self._conjugate(-a * theta)).sum()
            return -conjugate - (a * weighted * self.offset).sum() - penalty(a)

        return best_of(value, top)


def best_of(value: Callable[[Any], Any], top: Any) -> Any:
    """Largest value of a concave function over (0, top]."""
    low, high = L(0), L(top)
    found = value(high)
    for _ in range(120):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        a, b = value(left), value(right)
        found = max(found, a, b)
        low, high = (left, high) if a < b else (low, right)
    return found


class _BlockTerms:
    def __init__(self, blocks: Blocks) -> None:
        self.blocks, self.positive = blocks, blocks.positive

    def value(self, W: np.ndarray) -> Any:
        total, blocks = L(0), self.blocks
        if blocks.positive and (W < 0).any():
            return L(np.inf)
        for b, rows in enumerate(blocks.rows):
            part = W[rows]
            if not part.any():
                continue
            norm = np.sqrt((part**2).sum())
            sums = np.abs(part).sum(axis=1)
            total += (blocks.l1[rows][sums > 0] * sums[sums > 0]).sum()
            total += blocks.l2[b] * norm + blocks.ridge[b] * norm**2 / 2
        return total

    def unpenalised(self, p: int) -> np.ndarray:
        blocks = self.blocks
        bare = [
            j for b, rows in enumerate(blocks.rows) for j in rows
            if blocks.l1[j] == 0 and blocks.l2[b] == 0 and blocks.ridge[b] == 0
        ]  # fmt: skip
        return np.array(sorted(bare), dtype=int)

    def _excess(self, V: np.ndarray, b: int) -> Any:
        rows, blocks = self.blocks.rows[b], self.blocks
        part = V[rows] if blocks.positive else np.abs(V[rows])
        l1 = blocks.l1[rows][:, None]
        over = np.where(np.isinf(l1), L(0), np.maximum(part - np.where(np.isinf(l1), 0, l1), 0))
        return np.sqrt((over**2).sum()) - blocks.l2[b]

    def limit(self, V: np.ndarray) -> Any:
        """Largest a for which no hard block is broken at aV, found from below."""
        hard = [b for b in range(len(self.blocks.rows)) if self.blocks.ridge[b] == 0]
        inside = lambda a: all(self._excess(a * V, b) <= 0 for b in hard)  # noqa: E731
        below, above = -13000, 13000
        if not V.any() or inside(np.ldexp(L(1), above)):
            return L(np.inf)
        while above - below > 1:
            exponent = (below + above) // 2
            below, above = (exponent, above) if inside(np.ldexp(L(1), exponent)) else (below, exponent)
        low, high = np.ldexp(L(1), below), np.ldexp(L(1), above)
        if not inside(low):
            return L(0)
        for _ in range(80):
            middle = (low + high) / 2
            low, high = (middle, high) if inside(middle) else (low, middle)
        return low

    def conjugate_along(self, V: np.ndarray) -> Callable[[Any], Any]:
        return lambda a: self._conjugate(a * V)

    def _conjugate(self, V: np.ndarray) -> Any:
        total, blocks = L(0), self.blocks
        for b in range(len(blocks.rows)):
            if blocks.ridge[b] > 0:
                total += max(self._excess(V, b), L(0)) ** 2 / (2 * blocks.ridge[b])
        return total


class _TraceTerms:
    positive = False

    def __init__(self, alpha: float, ridge: float) -> None:
        self.alpha, self.ridge = L(alpha), L(ridge)

    def value(self, W: np.ndarray) -> Any:
        return self.alpha * singular_values(W).sum() + self.ridge * (W**2).sum() / 2

    def unpenalised(self, p: int) -> np.ndarray:
        return np.arange(p if self.alpha == 0 and self.ridge == 0 else 0)

    def limit(self, V: np.ndarray) -> Any:
        top = singular_values(V).max()
        return L(np.inf) if self.ridge > 0 or top == 0 else self.alpha / top

    def conjugate_along(self, V: np.ndarray) -> Callable[[Any], Any]:
        if self.ridge == 0:
            return lambda a: L(0)
        sizes = singular_values(V)
        return lambda a: (np.maximum(a * sizes - self.alpha, 0) ** 2).sum() / (2 * self.ridge)


def penalty_terms(penalty: Any, p: int) -> Any:
    """A penalty's mathematics from its public settings."""
    if penalty.name == "trace":
        return _TraceTerms(penalty.alpha, penalty.ridge)
    groups = getattr(penalty, "groups", None)
    rows = [np.array([j]) for j in range(p)] if groups is None else group_rows(groups, p)
    alpha, ratio = L(penalty.alpha), L(getattr(penalty, "l1_ratio", 1.0))
    v = getattr(penalty, "feature_weights", None)
    v = np.ones(p, dtype=L) if v is None else np.array(v, dtype=L)
    g = getattr(penalty, "group_weights", None)
    g = np.array([np.sqrt(L(len(r))) for r in rows]) if isinstance(g, str) else g
    g = np.ones(len(rows), dtype=L) if g is None else np.array(g, dtype=L)
    none = np.zeros(p, dtype=L)
    times = lambda c, w: np.where(np.isinf(w), np.inf, c * np.where(np.isinf(w), 0, w))  # noqa: E731
    finite = lambda w: np.where(np.isinf(w), 0, w)  # noqa: E731
    if penalty.name == "l21":
        form = none, times(alpha * ratio, v), alpha * (1 - ratio) * finite(v)
    elif penalty.name == "l1":
        form = times(alpha * ratio, v), np.where(np.isinf(v), np.inf, none), alpha * (1 - ratio) * finite(v)
    elif penalty.name == "group":
        form = none, times(alpha * ratio, g), alpha * (1 - ratio) * finite(g)
    else:
        tau = L(penalty.tau)
        form = times(alpha * tau, v), times(alpha * (1 - tau), g), np.zeros(len(rows), dtype=L)
    l1, l2, ridge = (np.asarray(part, dtype=L) for part in form)
    return _BlockTerms(Blocks(rows, l1, l2, ridge, penalty.positive))


def group_rows(groups: Any, p: int) -> list[np.ndarray]:
    """Rows of each group: index lists, labels in sorted order, or sizes."""
    if np.ndim(groups[0]) == 1:
        return [np.array(g) for g in groups]
    if len(groups) == p:
        return [np.array([j for j in range(p) if groups[j] == label]) for label in sorted(set(groups))]
    ends = np.cumsum(groups)
    return [np.arange(end - size, end) for end, size in zip(ends, groups, strict=True)]


def orthonormal(columns: list[np.ndarray]) -> list[np.ndarray]:
    """Gram-Schmidt, twice; dependent columns are dropped."""
    basis: list[np.ndarray] = []
    for column in columns:
        rest = column
        for _ in range(3):
            for q in basis:
                rest = rest - q * (q @ rest)
        size, whole = np.sqrt(rest @ rest), np.sqrt(column @ column)
        if size > 1e3 * EPS * whole:
            basis.append(rest / size)
    return basis


def project_off(A: np.ndarray, basis: list[np.ndarray]) -> np.ndarray:
    for _ in range(3):
        for q in basis:
            A = A - np.outer(q, q @ A)
    return A


def singular_values(W: np.ndarray) -> np.ndarray:
    """Singular values by one-sided Jacobi rotations, in extended precision."""
    A = (W if W.shape[0] >= W.shape[1] else W.T).copy()
    for _ in range(60):
        off = L(0)
        for i in range(A.shape[1] - 1):
            for j in range(i + 1, A.shape[1]):
                a, b, c = A[:, i] @ A[:, i], A[:, j] @ A[:, j], A[:, i] @ A[:, j]
                size = np.sqrt(a * b)
                if c == 0 or abs(c) <= EPS * size:
                    continue
                off = max(off, abs(c) / size)
                zeta = (b - a) / (2 * c)
                tangent = (1 if zeta >= 0 else -1) / (abs(zeta) + np.sqrt(1 + zeta * zeta))
                cosine = 1 / np.sqrt(1 + tangent * tangent)
                x = A[:, i].copy()
                A[:, i], A[:, j] = (
                    cosine * (x - tangent * A[:, j]),
                    cosine * (tangent * x + A[:, j]),
                )
        if off <= 4 * EPS:
            break
    return np.sqrt((A**2).sum(axis=0))


def _xlogx(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x * np.log(np.where(x > 0, x, 1)), 0)


def _positive(totals: np.ndarray) -> np.ndarray:
    return np.where(totals > 0, totals, 1)
