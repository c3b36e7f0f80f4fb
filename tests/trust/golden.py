"""Thirty small problems with primal and dual bounds of 50 digits; run this file to write `golden.json` (needs mpmath).

Data are quarters of whole numbers, so that every reader of the file has the same problem. A fit gives the pattern of zeros;
Newton's method in 70 digits on the entries that are not zero gives the optimum, and `-loss'` there, scaled by 1 - 1e-60, a
dual point. Nothing of the package takes part in the bounds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from exact import penalty_terms

from fastmtl.penalties import L1, L21, Group, SparseGroup

FILE = Path(__file__).with_name("golden.json")
COUNT = 30


def penalty_of(kind: int, p: int) -> Any:
    """One of six penalties over p features."""
    sizes = [p // 2, p - p // 2]
    return [
        L21(), L1(), L21(l1_ratio=0.75), Group(groups=sizes, group_weights=[1.0, 2.0]),
        SparseGroup(groups=sizes, tau=0.5), L1(l1_ratio=0.5),
    ][kind]  # fmt: skip


def problem(number: int) -> dict[str, Any]:
    """Data and settings of one problem."""
    rng = np.random.default_rng(1000 + number)
    n, p, t = int(rng.integers(6, 13)), int(rng.integers(3, 7)), int(rng.integers(1, 4))
    X = rng.integers(-8, 9, (n, p))
    W = rng.integers(-2, 3, (p, t)) * (rng.random(p) < 0.5)[:, None]
    Y = X @ W + rng.integers(-6, 7, (n, t))
    loss = "logistic" if number % 5 == 4 else "squared"
    Y = np.greater(Y, 0).astype(int) if loss == "logistic" else Y
    alpha = float(rng.choice([0.25, 0.5, 1.0])) * (0.125 if loss == "logistic" else 1.0)
    return {
        "X4": X.tolist(), "Y4": Y.tolist(), "kind": number % 6, "alpha": alpha, "loss": loss,
        "fit_intercept": number % 3 > 0,
    }  # fmt: skip


def arrays(one: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, Any]:
    """X, Y and the penalty of a problem as stored."""
    X, Y = np.array(one["X4"]) / 4.0, np.array(one["Y4"]) / (1.0 if one["loss"] == "logistic" else 4.0)
    return X, Y, penalty_of(one["kind"], X.shape[1]).with_alpha(one["alpha"])


def bounds(one: dict[str, Any]) -> tuple[str, str]:
    """Primal and dual bound in 50 digits."""
    import mpmath as mp

    import fastmtl

    mp.mp.dps = 70
    X, Y, penalty = arrays(one)
    (n, p), t = X.shape, Y.shape[1]
    keywords = {"loss": one["loss"], "fit_intercept": one["fit_intercept"]}
    start = fastmtl.fit(X, Y, penalty, tol=1e-13, **keywords)
    blocks = penalty_terms(penalty, p).blocks
    block_of = {int(j): b for b, rows in enumerate(blocks.rows) for j in rows}
    l1, l2, ridge = ([mp.mpf(float(v)) for v in part] for part in (blocks.l1, blocks.l2, blocks.ridge))
    entries = [(j, k) for j in range(p) for k in range(t) if start.coef[j, k] != 0]
    intercepts = list(range(t)) if one["fit_intercept"] else []
    x = [[mp.mpf(float(v)) for v in row] for row in X]
    y = [[mp.mpf(float(v)) for v in row] for row in Y]

    def fitted(v: Any) -> Any:
        Z = [[mp.mpf(0)] * t for _ in range(n)]
        for i in range(n):
            for (j, k), w in zip(entries, v, strict=False):
                Z[i][k] += x[i][j] * w
            for k in intercepts:
                Z[i][k] += v[len(entries) + k]
        return Z

    def slope(z: Any, target: Any) -> Any:
        return z - target if one["loss"] == "squared" else 1 / (1 + mp.exp(-z)) - target

    def norms(v: Any) -> list[Any]:
        squares = [mp.mpf(0)] * len(l2)
        for (j, _), w in zip(entries, v, strict=False):
            squares[block_of[j]] += w * w
        return [mp.sqrt(s) for s in squares]

    def gradient(*v: Any) -> list[Any]:
        Z, size = fitted(v), norms(v)
        G = [[slope(Z[i][k], y[i][k]) / n for k in range(t)] for i in range(n)]
        out = []
        for (j, k), w in zip(entries, v, strict=False):
            b = block_of[j]
            data = sum(x[i][j] * G[i][k] for i in range(n))
            out.append(data + l1[j] * mp.sign(w) + l2[b] * w / size[b] + ridge[b] * w)
        return out + [sum(G[i][k] for i in range(n)) for k in intercepts]

    v = [mp.mpf(float(start.coef[e])) for e in entries] + [
        mp.mpf(float(start.intercept[k])) for k in intercepts
    ]
    if v:
        v = list(mp.findroot(gradient, v, tol=mp.mpf(10) ** -110, maxsteps=30, multidimensional=True))
    Z, size = fitted(v), norms(v)
    primal = sum(ridge[b] * size[b] ** 2 / 2 + l2[b] * size[b] for b in range(len(l2)))
    primal += sum(l1[j] * abs(w) for (j, _), w in zip(entries, v, strict=False))
    shrink = 1 - mp.mpf(10) ** -60
    dual = mp.mpf(0)
    theta = [[-shrink * slope(Z[i][k], y[i][k]) / n for k in range(t)] for i in range(n)]
    for i in range(n):
        for k in range(t):
            z, target, u = Z[i][k], y[i][k], -n * theta[i][k]
            if one["loss"] == "squared":
                primal += (z - target) ** 2 / 2 / n
                dual -= (u * u / 2 + u * target) / n
            else:
                primal += (mp.log(1 + mp.exp(z)) - target * z) / n
                q = target + u
                dual -= (q * mp.log(q) + (1 - q) * mp.log(1 - q)) / n
    for b, rows in enumerate(blocks.rows):
        over = mp.mpf(0)
        for j in rows:
            for k in range(t):
                V = abs(sum(x[i][j] * theta[i][k] for i in range(n)))
                over += max(V - l1[j], 0) ** 2
        excess = mp.sqrt(over) - l2[b]
        if ridge[b] > 0:
            dual -= max(excess, 0) ** 2 / (2 * ridge[b])
        elif excess > mp.mpf(10) ** -65:
            raise ArithmeticError(f"block {b} is infeasible by {mp.nstr(excess, 5)}")
    for k in intercepts:
        if abs(sum(theta[i][k] for i in range(n))) > mp.mpf(10) ** -60:
            raise ArithmeticError("the dual point breaks the constraint of an intercept")
    return mp.nstr(primal, 50), mp.nstr(dual, 50)


def write() -> None:
    """Write `golden.json`."""
    out = []
    for number in range(COUNT):
        one = problem(number)
        one["primal"], one["dual"] = bounds(one)
        print(number, one["loss"], one["kind"], one["primal"][:20], one["dual"][:20], flush=True)
        out.append(one)
    lines = ",\n".join(json.dumps(one) for one in out)
    FILE.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    write()
