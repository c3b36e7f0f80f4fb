"""`demo`: ten tasks on real data, fitted together and one by one, compared on data that neither has seen."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

import fastmtl

N_TRAIN, N_VALIDATION = 60, 60
SHADES = " .:-=+*#@"


@dataclass(frozen=True)
class Score:
    """How one way of fitting did on held-out digits."""

    r2: float
    accuracy: float
    pixels: int


@dataclass(frozen=True)
class Trial:
    """Both ways on one random split, the joint model itself, and the size (64,) of what each pixel adds to it."""

    joint: Score
    separate: Score
    model: Any
    alpha_ratio: float
    weight: np.ndarray


def run(n_splits: int = 10, *, quiet: bool = False) -> int:
    """Run the comparison and print what it found."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ImportError("the demo uses the digits of scikit-learn; pip install 'fastmtl[demo]'") from None
    images, labels = load_digits(return_X_y=True)
    X, labels = np.asarray(images) / 16.0, np.asarray(labels)
    print(f"Data: {len(X)} handwritten digits of 8 x 8 pixels (UCI, shipped with scikit-learn).")
    print("Ten tasks, one a digit: is this image a 0, a 1, ... a 9? All read the same 64 pixels.")
    print(f"Labels are scarce: {N_TRAIN} images to fit, {N_VALIDATION} to choose alpha; the other")
    print(
        f"{len(X) - N_TRAIN - N_VALIDATION} are held out. Compiling kernels, if this is the first run ...",
        flush=True,
    )
    started = time.perf_counter()
    trials = [trial(X, labels, seed) for seed in _progress(n_splits, quiet)]
    print(_report(trials, time.perf_counter() - started))
    return 0


def trial(X: np.ndarray, labels: np.ndarray, seed: int) -> Trial:
    """Fit ten tasks together and one by one on a random split."""
    order = np.random.default_rng(seed).permutation(len(X))
    fitted, chosen, held = np.split(order, [N_TRAIN, N_TRAIN + N_VALIDATION])
    Y = (labels[:, None] == np.arange(10)).astype(float)
    joint, ratio = best_of_path(X[fitted], Y[fitted], X[chosen], Y[chosen])
    ones = [best_of_path(X[fitted], Y[fitted, t], X[chosen], Y[chosen, t])[0] for t in range(10)]
    used = set().union(*(one.support.tolist() for one in ones))
    apart = np.stack([one.predict(X[held]) for one in ones], axis=1)
    return Trial(
        _score(joint.predict(X[held]), Y[held], Y[fitted], joint.n_active),
        _score(apart, Y[held], Y[fitted], len(used)),
        joint,
        ratio,
        np.linalg.norm(joint.coef, axis=1) * X[fitted].std(axis=0),
    )


def best_of_path(X: np.ndarray, Y: np.ndarray, X_new: np.ndarray, Y_new: np.ndarray) -> tuple[Any, float]:
    """The model of a path with the least squared error on validation data, and its alpha over alpha_max."""
    path = fastmtl.fit_path(X, Y, "l21", n_alphas=30, eps=1e-2, standardize=True)
    errors = [float(np.mean((model.predict(X_new) - Y_new) ** 2)) for model in path]
    best = int(np.argmin(errors))
    # A digit that was not drawn has no variance: its path is the one alpha 0, and its model predicts the mean.
    return path[best], float(path.alphas[best] / (path.alphas[0] or 1.0))


def _score(Z: np.ndarray, Y: np.ndarray, Y_fitted: np.ndarray, pixels: int) -> Score:
    """Share of variance explained over all tasks, and the share of digits read correctly."""
    r2 = 1.0 - np.sum((Y - Z) ** 2) / np.sum((Y - Y_fitted.mean(axis=0)) ** 2)
    return Score(float(r2), float(np.mean(Z.argmax(axis=1) == Y.argmax(axis=1))), pixels)


def _progress(n_splits: int, quiet: bool) -> Any:
    if quiet or not sys.stderr.isatty():
        return range(n_splits)
    try:
        from tqdm import tqdm
    except ImportError:
        return range(n_splits)
    return tqdm(range(n_splits), desc="random splits", leave=False)


def _report(trials: list[Trial], seconds: float) -> str:
    last = trials[-1]
    rows = [(name, [getattr(t, name) for t in trials]) for name in ("separate", "joint")]
    lines = ["", f"Held-out digits, mean over {len(trials)} random splits"]
    lines.append(f"{'':<26}{'R^2':>7} {'read right':>11} {'pixels used':>12}")
    for name, scores in rows:
        label = "ten separate Lasso fits" if name == "separate" else "one multi-task fit (l21)"
        r2, accuracy, pixels = (
            np.mean([getattr(s, key) for s in scores]) for key in ("r2", "accuracy", "pixels")
        )
        lines.append(f"{label:<26}{r2:>7.3f} {accuracy:>11.1%} {pixels:>12.1f}")
    gain = np.array([t.joint.r2 - t.separate.r2 for t in trials])
    wins = f"{np.sum(gain > 0)} of {len(trials)} splits"
    lines.append(f"The multi-task fit explains more in {wins} (R^2 {gain.mean():+.3f} on average).")
    lines += [
        "",
        f"The last multi-task model (alpha = {last.alpha_ratio:.2g} alpha_max): what each pixel adds, all digits together",
    ]
    lines += [f"    {row}" for row in _picture(last.weight)]
    certificate = last.model.certificate
    lines += [
        f"Certified: objective {certificate.primal:.6f}, at most {certificate.gap:.1e} above the optimum "
        f"(relative gap {certificate.relative_gap:.1e}).",
        f"{11 * 30 * len(trials)} fits in {seconds:.1f} s.",
    ]
    return "\n".join(lines)


def _picture(weight: np.ndarray) -> list[str]:
    """Sixty-four sizes as an 8 x 8 picture, blank where zero."""
    shade = np.ceil(weight.reshape(8, 8) / (weight.max() or 1.0) * (len(SHADES) - 1)).astype(int)
    return ["".join(2 * SHADES[k] for k in row) for row in shade]
