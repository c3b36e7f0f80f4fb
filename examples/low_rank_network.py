"""A linear network with one shared hidden layer, fitted twice: by gradient descent, and as the convex problem it is.

    python examples/low_rank_network.py

A linear network o = V (U' x) + b with weight decay on both layers minimises

    1/(2n) |Y - X U V' - 1b'|^2 + alpha/2 (|U|^2 + |V|^2)

over U (p, k), V (t, k). Its two layers only ever appear as W = U V', and the least weight decay that a given W costs is
its trace norm: min over U V' = W of (|U|^2 + |V|^2)/2 = |W|_*. So training the network is minimising

    1/(2n) |Y - X W - 1b'|^2 + alpha |W|_*

over W of rank at most k, which `fastmtl.fit(X, Y, penalty="trace", alpha=alpha)` solves with a certificate: no learning
rate, no random start, and a number that says how far from the optimum any training run ended.

The data are the classic textbook example, two inputs (age and its square) and two outputs (height and weight); they are
SIMULATED below from a smooth growth curve with noise, and stand for no real children.
"""

from __future__ import annotations

import numpy as np

import fastmtl

HIDDEN = 2
ALPHA = 0.02
LEARNING_RATE = 0.2
STEPS = 20_000
REPORT = (100, 1000, STEPS)


def simulate(n: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Simulated ages 2 to 18, heights in cm and weights in kg; everything is then standardised, (n, 2) each."""
    rng = np.random.default_rng(seed)
    age = rng.uniform(2.0, 18.0, n)
    height = 80.0 + 8.5 * age - 0.14 * age**2 + 5.0 * rng.standard_normal(n)
    weight = 10.0 + 1.2 * age + 0.12 * age**2 + 4.0 * rng.standard_normal(n)
    X, Y = np.column_stack([age, age**2]), np.column_stack([height, weight])
    return (X - X.mean(axis=0)) / X.std(axis=0), (Y - Y.mean(axis=0)) / Y.std(axis=0)


def objective(X: np.ndarray, Y: np.ndarray, W: np.ndarray, b: np.ndarray) -> float:
    """The convex objective at coefficients W and intercept b."""
    residual = Y - X @ W - b
    return 0.5 * float(np.vdot(residual, residual)) / len(X) + ALPHA * float(
        np.linalg.svd(W, compute_uv=False).sum()
    )


def train(X: np.ndarray, Y: np.ndarray, seed: int) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Gradient descent on both layers and the bias from a small random start; (step, W, b) at `REPORT`."""
    rng = np.random.default_rng(seed)
    U, V = 0.1 * rng.standard_normal((X.shape[1], HIDDEN)), 0.1 * rng.standard_normal((Y.shape[1], HIDDEN))
    b, seen = np.zeros(Y.shape[1]), []
    for step in range(1, STEPS + 1):
        error = (X @ U @ V.T + b - Y) / len(X)
        down_U, down_V = X.T @ error @ V + ALPHA * U, error.T @ X @ U + ALPHA * V
        U, V, b = (
            U - LEARNING_RATE * down_U,
            V - LEARNING_RATE * down_V,
            b - LEARNING_RATE * error.sum(axis=0),
        )
        if step in REPORT:
            seen.append((step, U @ V.T, b))
    return seen


def main() -> None:
    """Fit both ways and compare."""
    X, Y = simulate()
    res = fastmtl.fit(X, Y, penalty="trace", alpha=ALPHA, tol=1e-12)
    best = res.certificate.primal
    print("simulated data: age, age^2 -> height, weight (standardised)\n")
    print(f"convex fit   objective {best:.12f}, certified within {res.certificate.gap:.1e} of the optimum")
    for seed in range(3):
        for step, W, b in train(X, Y, seed):
            excess = objective(X, Y, W, b) - best
            print(f"network {seed}    {step:6d} steps: {excess:+.2e} above the convex fit")
            # The certificate proves this for every network and every training run.
            assert excess >= -res.certificate.gap - 1e-14
    U, V = res.factors()
    print(f"\nrank {res.rank}; hidden units, read off factors():")
    for k in range(res.rank):
        print(
            f"  unit {k}: {U[0, k]:+.3f} age {U[1, k]:+.3f} age^2  ->  {V[0, k]:+.3f} height, {V[1, k]:+.3f} weight"
        )
    print(f"\nR^2 {res.score(X, Y):.4f}")


if __name__ == "__main__":
    main()
