"""Which functions has a gene? Fourteen logistic regressions over the same features, in one fit.

    python examples/yeast_labels.py --data PATH/yeast.npz

A gene of yeast has several of 14 functional classes at once; 103 features describe it. With the l1 norm each class picks
features of its own, with the l2,1 norm all classes share theirs, and the trace norm lets them share hidden directions. All
three are certified; the strength is chosen on one fifth of the genes, the area under the ROC curve is measured on another.

The data are the multi-label benchmark `yeast` of Mulan (2417 genes).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import fastmtl

DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data" / "yeast.npz"


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Fit, choose, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DEFAULT)
    file = np.load(parser.parse_args(arguments).data, allow_pickle=True)
    X, Y = np.asarray(file["X"], dtype=np.float64), np.asarray(file["Y"], dtype=np.int64)
    rows = np.random.default_rng(0).permutation(len(X))
    train, tune, test = np.split(rows, [3 * len(X) // 5, 4 * len(X) // 5])
    print(f"{len(train)} genes to fit on, {len(test)} held out, {X.shape[1]} features, {Y.shape[1]} classes")

    found = {}
    for penalty in ("l1", "l21", "trace"):
        path = fastmtl.fit_path(X[train], Y[train], penalty, loss="logistic", n_alphas=8, eps=0.03, tol=1e-4)
        assert all(status.converged for status in path.statuses)
        model = max(path, key=lambda fit: fit.score(X[tune], Y[tune], metric="auc"))
        found[penalty] = model.score(X[test], Y[test], metric="auc")
        used = f"{np.count_nonzero(model.coef)} coefficients, rank {model.rank}"
        print(f"  {penalty:6} mean area under the ROC curve {found[penalty]:.3f} with {used}")
    return found


if __name__ == "__main__":
    main()
