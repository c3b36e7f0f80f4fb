"""A classification and three regressions over the same pixels, in one fit.

    python examples/mixed_digits.py

From the left half of a handwritten digit (32 pixels) predict which digit it is, and three things about the half that is not
shown: how much ink it has, where that ink lies, and how far it spreads. One list of losses makes this one convex problem: a
pixel enters for all four tasks, its ten logits and three slopes together, or for none.

The images are the digits that come with scikit-learn.
"""

from __future__ import annotations

import numpy as np

import fastmtl

TASKS = ("digit", "ink", "height", "spread")
LOSSES = ("multinomial", "squared", "squared", "huber")


def load() -> tuple[np.ndarray, list[np.ndarray]]:
    """Left halves (n, 32) in [0, 1], and the four targets: labels, and three standardised quantities."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = digits.images / 16.0
    left, right = images[:, :, :4], images[:, :, 4:]
    ink = right.sum(axis=(1, 2)) + 1e-9
    rows = np.arange(8.0)
    height = (right.sum(axis=2) @ rows) / ink
    spread = np.sqrt(np.maximum((right.sum(axis=2) @ rows**2) / ink - height**2, 0.0))
    numbers = [(v - v.mean()) / v.std() for v in (ink, height, spread)]
    return left.reshape(len(left), -1), [digits.target, *numbers]


def main() -> dict[str, float]:
    """Fit a path, choose a strength, print scores on images that were not fitted."""
    X, Y = load()
    rows = np.random.default_rng(0).permutation(len(X))
    train, test = rows[: len(X) // 2], rows[len(X) // 2 :]
    data = [y[train] for y in Y]
    top = fastmtl.alpha_max(X[train], data, "l21", loss=list(LOSSES))
    found = {}
    print("alpha/max  pixels  digit: right   ink: R^2   height: R^2   spread: R^2   relative gap")
    for share in (0.5, 0.2, 0.05, 0.01):
        model = fastmtl.fit(X[train], data, "l21", alpha=share * top, loss=list(LOSSES), tol=1e-5)
        assert model.status.converged
        Z = model.predict(X[test])
        columns = list(model.task_columns.values())
        right = float((Z[:, columns[0]].argmax(axis=1) == Y[0][test]).mean())
        scores = model.score(X[test], [y[test] for y in Y], per_task=True)
        found = {name: float(score) for name, score in zip(TASKS, [right, *scores[1:]], strict=True)}
        figures = "".join(f"{v:13.3f}" for v in found.values())
        print(f"{share:9.2f} {model.n_active:7d} {figures} {model.certificate.relative_gap:14.1e}")
    return found


if __name__ == "__main__":
    main()
