"""One picture of every kind that `fastmtl.plotting` draws.

    python examples/gallery.py [folder]

The data are SIMULATED: 12 tasks, 60 features of which 6 matter, one task in three noisier than the others.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fastmtl
from fastmtl import plotting
from fastmtl.model_selection import fit_reweighted

Picture = Callable[[], Any]


def simulate(n: int = 120, p: int = 60, t: int = 12, seed: int = 0) -> tuple[Any, Any]:
    """X (n, p) and Y (n, t), frames with names where pandas is installed."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    X[:, 1::2] = 0.7 * X[:, ::2] + 0.7 * X[:, 1::2]
    W = np.zeros((p, t))
    W[:12:2] = rng.standard_normal((6, 2)) @ rng.standard_normal((2, t))
    noise = np.where(np.arange(t) % 3, 1.0, 2.5)
    Y = X @ W + noise * rng.standard_normal((n, t))
    try:
        import pandas as pd
    except ImportError:
        return X, Y
    return (
        pd.DataFrame(X, columns=[f"gene {j}" for j in range(p)]),
        pd.DataFrame(Y, columns=[f"tissue {c}" for c in range(t)]),
    )


def pictures() -> dict[str, Picture]:
    """What draws each picture on a new figure, by file name."""
    X, Y = simulate()
    top = fastmtl.alpha_max(X, Y)
    path = fastmtl.fit_path(X, Y, eps=0.02)
    cv = fastmtl.cross_validate(X, Y, eps=0.02, l1_ratios=[0.5, 1.0], rule="1se")
    lasso = fastmtl.fit(X, Y, "l1", alpha=0.15 * fastmtl.alpha_max(X, Y, "l1"))
    concave = fit_reweighted(X, Y, "mcp", alpha=0.2 * top).fit
    tight = {f"alpha_max / {k}": fastmtl.fit(X, Y, alpha=top / k, tol=1e-12) for k in (5, 20, 80)}
    trace = {
        f"alpha_max / {k}": fastmtl.fit(X, Y, "trace", alpha=fastmtl.alpha_max(X, Y, "trace") / k)
        for k in (2, 5, 20)
    }
    stable = fastmtl.stability_selection(X, Y, n_features=8, n_pairs=20)
    return {
        "path": lambda: plotting.plot_path(path),
        "path_of_one_task": lambda: plotting.plot_path(path, task=1),
        "cv": lambda: plotting.plot_cv(cv),
        "coef": lambda: plotting.plot_coef(cv.best),
        "convergence": lambda: plotting.plot_convergence(tight),
        "singular_values": lambda: plotting.plot_singular_values(trace),
        "supports": lambda: plotting.plot_supports({"l21": cv.best, "l1": lasso, "mcp": concave}),
        "stability": lambda: plotting.plot_stability(stable),
    }


def main(folder: Path) -> None:
    """Write every picture to `folder` as PNG."""
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in pictures().items():
        figure = draw().figure
        figure.savefig(folder / f"{name}.png", dpi=110)
        pyplot.close(figure)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "gallery"))
