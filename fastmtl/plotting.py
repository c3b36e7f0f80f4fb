"""Pictures of paths, cross-validations and fits.

Every function draws on the Axes it is given, or on that of a new figure, and returns it. matplotlib is loaded by the first call;
`pip install fastmtl[plot]` brings it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ._given import to_host
from .model_selection import CVResult, StabilityResult
from .path import PathResult
from .result import FitResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Told apart by readers of any colour vision (Okabe, Ito 2008)."""
FAINT = "#B8B8B8"


def plot_path(path: PathResult, ax: Axes | None = None, *, task: int | None = None, n_named: int = 6) -> Axes:
    """Coefficients along a path: one line a feature, the strongest of them in colour.

    Parameters
    ----------
    path : PathResult
    ax : Axes, optional
    task : int, optional
        Column of W to show; left out, the norm of each row over all tasks.
    n_named : int
        How many features get a colour and an entry in the legend: those that are largest anywhere on the path.
    """
    ax = _axes(ax)
    coefs = path.coefs if task is None else path.coefs[:, :, task : task + 1]
    values = np.linalg.norm(coefs, axis=2) if task is None else coefs[:, :, 0]
    peak = np.abs(values).max(axis=0)
    order = np.argsort(-peak, kind="stable")[: int((peak > 0).sum())]
    names = path.fits[0].feature_names
    for j in order[n_named:][::-1]:
        ax.plot(path.alphas, values[:, j], color=FAINT, linewidth=0.8, zorder=1)
    for colour, j in zip(_colours(n_named), order[:n_named], strict=False):
        ax.plot(path.alphas, values[:, j], color=colour, linewidth=1.8, label=_name(names, j), zorder=2)
    _strength_axis(ax, path.alphas)
    ax.axhline(0.0, color="black", linewidth=0.6, zorder=0)
    ax.set_ylabel(
        "row norm" if task is None else f"coefficient, {_name(path.fits[0].task_names, task, 'task')}"
    )
    if len(order):
        ax.legend(frameon=False, fontsize="small")
    return ax


def plot_cv(cv: CVResult, ax: Axes | None = None) -> Axes:
    """Mean error over the folds against alpha, within one standard error, and where the rules "min" and "1se" choose.

    With several l1_ratios each has a line; the band and the rules are those of the best.
    """
    ax = _axes(ax)
    ratio, best = cv.index("min")
    for row in range(len(cv.alphas)):
        if row != ratio:
            ax.plot(cv.alphas[row], cv.mean[row], color=FAINT, linewidth=1.0)
            end = cv.alphas[row, -1], cv.mean[row, -1]
            ax.annotate(
                _ratio(cv, row), end, (0, 3), textcoords="offset points", ha="right", fontsize="small"
            )
    alphas, mean, se = cv.alphas[ratio], cv.mean[ratio], cv.se[ratio]
    ax.fill_between(
        alphas, mean - se, mean + se, color=COLOURS[0], alpha=0.2, linewidth=0, label="± 1 standard error"
    )
    ax.plot(alphas, mean, color=COLOURS[0], linewidth=1.8, label=f"mean error{_ratio(cv, ratio, ', ')}")
    _, sparse = cv.index("1se")
    for i, rule, style in ((best, "min", "-"), (sparse, "1se", "--")):
        label = f"{rule}: alpha {alphas[i]:.3g}"
        ax.axvline(alphas[i], color=COLOURS[1], linewidth=1.2, linestyle=style, label=label)
    _strength_axis(ax, cv.alphas.ravel())
    ax.set_ylabel(f"{cv.score} on {cv.scores.shape[2]} folds")
    ax.legend(frameon=False, fontsize="small")
    return ax


def plot_coef(fit: FitResult, ax: Axes | None = None, *, max_features: int = 40) -> Axes:
    """Heat map of the non-zero rows of W, features down and tasks across.

    Parameters
    ----------
    fit : FitResult
    ax : Axes, optional
        A colour bar takes a part of it.
    max_features : int
        The rows with the largest norms are shown, in their order in X.
    """
    ax = _axes(ax)
    W = np.asarray(to_host(fit.coef), dtype=np.float64)
    rows = np.flatnonzero(W.any(axis=1))
    if len(rows) > max_features:
        norms = np.linalg.norm(W[rows], axis=1)
        rows = np.sort(rows[np.argsort(-norms, kind="stable")[:max_features]])
    if not len(rows):
        return _say(ax, "all coefficients are zero")
    limit = float(np.abs(W[rows]).max())
    image = ax.imshow(W[rows], cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    _ticks(ax.yaxis, [_name(fit.feature_names, int(j)) for j in rows])
    _ticks(ax.xaxis, [_name(fit.task_names, c, "task") for c in range(W.shape[1])], turn=True)
    shown = "" if len(rows) == fit.n_active else f" (largest {len(rows)} of {fit.n_active} active rows)"
    ax.set_title(f"coefficients{shown}", fontsize="medium")
    ax.figure.colorbar(image, ax=ax, fraction=0.05, pad=0.03)
    return ax


def plot_convergence(fits: FitResult | Mapping[str, FitResult], ax: Axes | None = None) -> Axes:
    """Relative duality gap against time, one line a fit.

    Parameters
    ----------
    fits : FitResult, or a mapping from names to those
    ax : Axes, optional
    """
    ax = _axes(ax)
    least = np.inf
    for colour, (name, fit) in zip(_colours(len(_named(fits))), _named(fits).items(), strict=True):
        seconds = [entry[0] for entry in fit.history] + [fit.seconds]
        gaps = np.array([entry[1] for entry in fit.history] + [fit.certificate.relative_gap])
        least = min(least, gaps[gaps > 0].min(initial=np.inf))
        ax.plot(seconds, np.where(gaps > 0, gaps, np.nan), "o-", color=colour, markersize=4, label=name)
        if gaps[-1] <= 0:
            ax.plot(seconds[-1], 1.0, marker="v", color=colour, transform=ax.get_xaxis_transform())
    if np.isfinite(least):
        ax.set_yscale("log")
    ax.set_xlabel("seconds")
    ax.set_ylabel("relative duality gap")
    if len(_named(fits)) > 1:
        ax.legend(frameon=False, fontsize="small")
    return _plain(ax)


def plot_singular_values(fits: FitResult | Mapping[str, FitResult], ax: Axes | None = None) -> Axes:
    """Singular values of W, in decreasing order, one line a fit.

    Parameters
    ----------
    fits : FitResult, or a mapping from names to those
    ax : Axes, optional
    """
    ax, longest = _axes(ax), 0
    for colour, (name, fit) in zip(_colours(len(_named(fits))), _named(fits).items(), strict=True):
        values = fit.singular_values
        longest = max(longest, len(values))
        label = f"{name}, rank {fit.rank}" if name else f"rank {fit.rank}"
        ax.plot(np.arange(1, len(values) + 1), values, "o-", color=colour, markersize=5, label=label)
    ax.set_xticks(np.unique(np.linspace(1, max(longest, 2), min(max(longest, 2), 10)).round()))
    ax.set_ylim(bottom=0.0)
    ax.set_xlabel("number")
    ax.set_ylabel("singular value of W")
    ax.legend(frameon=False, fontsize="small")
    return _plain(ax)


def plot_supports(fits: Mapping[str, FitResult], ax: Axes | None = None, *, max_features: int = 40) -> Axes:
    """Which features each fit uses, side by side; the darker, the more of the tasks.

    Parameters
    ----------
    fits : mapping from names to FitResult
    ax : Axes, optional
    max_features : int
        Of the features that any fit uses, those with the largest rows are shown, in their order in X.
    """
    ax = _axes(ax)
    named = _named(fits)
    coefs = [np.asarray(to_host(fit.coef), dtype=np.float64) for fit in named.values()]
    share = np.column_stack([(W != 0).mean(axis=1) for W in coefs])
    rows = np.flatnonzero(share.any(axis=1))
    if not len(rows):
        return _say(ax, "all coefficients are zero")
    total = len(rows)
    if total > max_features:
        peak = np.max([np.linalg.norm(W[rows], axis=1) / max(np.abs(W).max(), 1e-300) for W in coefs], axis=0)
        rows = np.sort(rows[np.argsort(-peak, kind="stable")[:max_features]])
    used = np.ma.masked_equal(share[rows], 0.0)  # left white
    ax.imshow(used, cmap="Blues", vmin=-0.2, vmax=1.2, aspect="auto", interpolation="nearest")
    ax.set_xticks(np.arange(len(named) - 1) + 0.5, minor=True)
    ax.set_yticks(np.arange(len(rows) - 1) + 0.5, minor=True)
    ax.grid(which="minor", color="#D8D8D8", linewidth=0.8)
    ax.tick_params(which="minor", length=0)
    names = next(iter(named.values())).feature_names
    _ticks(ax.yaxis, [_name(names, int(j)) for j in rows])
    _ticks(ax.xaxis, [f"{name}\n{fit.n_active} active" for name, fit in named.items()])
    shown = "features in use" if total == len(rows) else f"largest {len(rows)} of {total} features in use"
    ax.set_title(f"{shown}, darker for more tasks", fontsize="medium")
    return ax


def plot_stability(result: StabilityResult, ax: Axes | None = None) -> Axes:
    """Share of the halves that choose each feature by each alpha; the selected ones in colour."""
    ax = _axes(ax)
    chosen = result.selected[np.argsort(-result.probability[result.selected], kind="stable")]
    rest = np.setdiff1d(np.flatnonzero(result.probability), chosen)
    if len(rest):
        ax.plot(result.alphas, result.frequencies[:, rest], color=FAINT, linewidth=0.8, zorder=1)
    for i, (colour, j) in enumerate(zip(_colours(len(chosen)), chosen, strict=True)):
        label = _name(result.names, int(j)) if i < 8 else None
        ax.plot(result.alphas, result.frequencies[:, j], color=colour, linewidth=1.8, label=label, zorder=2)
    ax.axhline(result.threshold, color="black", linewidth=0.8, linestyle="--", label="threshold")
    _strength_axis(ax, result.alphas)
    ax.set_ylim(-0.02, 1.02)
    ax.set_ylabel(f"share of {result.n_halves} halves")
    ax.legend(edgecolor="none", fontsize="small", loc="center right")
    return ax


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError("pictures need matplotlib; install it with: pip install 'fastmtl[plot]'") from None
    return pyplot.subplots(layout="constrained")[1]


def _colours(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]


def _name(names: list[str] | None, i: int, kind: str = "feature") -> str:
    return f"{kind} {i}" if names is None else names[i]


def _named(fits: FitResult | Mapping[str, FitResult]) -> Mapping[str, FitResult]:
    return fits if isinstance(fits, Mapping) else {"": fits}


def _ratio(cv: CVResult, row: int, before: str = "") -> str:
    return "" if cv.l1_ratios is None else f"{before}l1_ratio {cv.l1_ratios[row]:.3g}"


def _strength_axis(ax: Axes, alphas: np.ndarray) -> None:
    """Alpha falling from left to right, as a path is followed."""
    if (alphas > 0).all() and alphas.max() > alphas.min():
        from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

        ax.set_xscale("log")
        ax.set_xlim(alphas.max(), alphas.min())
        steps = (1.0, 2.0, 5.0) if alphas.max() < 1e3 * alphas.min() else (1.0,)
        ax.xaxis.set_major_locator(LogLocator(subs=steps, numticks=12))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("alpha")
    _plain(ax)


def _plain(ax: Axes) -> Axes:
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _ticks(axis: Any, labels: list[str], turn: bool = False) -> None:
    """A label at every cell, at every other, ... so that at most 40 are drawn."""
    step = -(-len(labels) // 40)
    axis.set_ticks(range(0, len(labels), step), labels=labels[::step])
    if turn and max(map(len, labels)) * len(labels[::step]) > 60:
        axis.set_tick_params(rotation=90)


def _say(ax: Axes, text: str) -> Axes:
    ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes)
    ax.set_axis_off()
    return ax
