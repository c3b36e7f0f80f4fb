"""`fit` and `path`: a model from a data file."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import fastmtl

from .._archive import reading
from .files import Data, read_problem

SHOWN = 12
"""Lines of the table of a path."""
REAL = ("squared", "huber")
"""Losses whose predictions are on the scale of Y, so that R^2 says something."""


def fit(options: argparse.Namespace) -> bool:
    """Fit, print the summary, save; tells whether the run converged."""
    data = read_problem(options.data, options.x, options.y, options.targets)
    penalty, problem = _penalty(options), _problem(options)
    _writable(options.output)
    alpha = options.alpha
    if alpha is None:
        alpha = options.alpha_ratio * fastmtl.alpha_max(data.X, data.Y, penalty, **problem)
    result = _named(fastmtl.fit(data.X, data.Y, penalty, alpha=alpha, **problem, **_controls(options)), data)
    print(result.summary())
    if options.loss in REAL:
        print(f"R^2 on these data {result.score(data.X, data.Y):.4f} (mean over the tasks)")
    _save(result, options.output, "FitResult")
    return result.status.converged


def path(options: argparse.Namespace) -> bool:
    """Fit a path, print its table, save; tells whether every alpha converged."""
    data = read_problem(options.data, options.x, options.y, options.targets)
    penalty, problem = _penalty(options), _problem(options)
    _writable(options.output)
    _writable(options.model)
    found = fastmtl.fit_path(
        data.X, data.Y, penalty, alphas=options.alphas, n_alphas=options.n_alphas, eps=options.eps, **problem,
        **_controls(options),
    )  # fmt: skip
    if not -len(found) <= options.at < len(found):
        raise ValueError(f"--at {options.at} is outside the {len(found)} alphas of the path")
    print(repr(found))
    print(_table(found, data, with_score=options.loss in REAL))
    _save(found, options.output, "PathResult")
    if options.model:
        _save(_named(found[options.at], data), options.model, "FitResult")
    return len(found) > 0 and all(status.converged for status in found.statuses)


def _table(found: fastmtl.PathResult, data: Data, *, with_score: bool) -> str:
    lines = [f"{'alpha':>12} {'active rows':>12} {'relative gap':>13}" + with_score * f" {'R^2':>8}"]
    for i in np.unique(np.linspace(0, len(found) - 1, min(SHOWN, len(found))).round().astype(int)):
        result = found[int(i)]
        score = f" {result.score(data.X, data.Y):>8.4f}" if with_score else ""
        gap = result.certificate.relative_gap
        lines.append(f"{found.alphas[i]:>12.5g} {result.n_active:>12} {gap:>13.2e}{score}")
    return "\n".join(lines)


def _penalty(options: argparse.Namespace) -> Any:
    """The name itself when nothing but alpha is set, else the object."""
    settings: dict[str, Any] = {
        "l1_ratio": options.l1_ratio,
        "tau": options.tau,
        "groups": None if options.groups is None else _groups(options.groups),
        "positive": options.positive or None,
    }
    settings = {name: value for name, value in settings.items() if value is not None}
    if not settings:
        return options.penalty
    classes = {"l21": "L21", "l1": "L1", "group": "Group", "sparse_group": "SparseGroup"}
    if options.penalty not in classes:
        raise ValueError(f"penalty {options.penalty!r} takes none of {_options(settings)}; leave them out")
    try:
        return getattr(fastmtl.penalties, classes[options.penalty])(**settings)
    except TypeError as error:
        raise ValueError(
            f"penalty {options.penalty!r} does not take all of {_options(settings)}: {error}"
        ) from error


def _options(settings: dict[str, Any]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in settings)


def _groups(text: str) -> Any:
    if Path(text).suffix.lower() == ".npy":
        with reading(text):
            return np.load(text, allow_pickle=False).ravel().tolist()
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(
            f"--groups {text!r} is neither sizes such as 3,2,5 nor a .npy file of labels"
        ) from None


def _problem(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "loss": options.loss,
        "fit_intercept": not options.no_intercept,
        "standardize": options.standardize,
        "scale": options.scale,
    }


def _controls(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "tol": options.tol,
        "max_iter": options.max_iter,
        "time_limit": options.time_limit,
        "n_threads": options.threads,
        "backend": options.backend,
        "verbose": options.verbose,
    }


def _named(result: fastmtl.FitResult, data: Data) -> fastmtl.FitResult:
    """The result with the column names of the file, where they match."""
    p, t = result.coef.shape
    features = (
        data.features if data.features is not None and len(data.features) == p else result.feature_names
    )
    tasks = data.tasks if data.tasks is not None and len(data.tasks) == t else result.task_names
    return replace(result, feature_names=features, task_names=tasks)


def _writable(output: str | None) -> None:
    """Refuse an output that cannot be written before time goes into the fit."""
    if output is not None and not Path(output).resolve().parent.is_dir():
        raise FileNotFoundError(f"the folder of {output} does not exist; make it first")


def _save(result: Any, output: str | None, kind: str) -> None:
    if output is None:
        print("Nothing was saved; --output FILE.npz does.")
    else:
        result.save(output)
        print(f"Saved to {output}; fastmtl.{kind}.load({output!r}) reads it.")
