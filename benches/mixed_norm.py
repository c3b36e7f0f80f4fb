"""MNE-Python's mixed-norm estimate with its default solver and with ours, through MNE's own public functions.

    python benches/mixed_norm.py                       # 300 sensors, 7500 sources, 180 samples; one thread
    python benches/mixed_norm.py --sources 1500

`arrays` calls `mixed_norm_solver` on a gain with AR(0.97) columns, `sphere` calls `mne.inverse_sparse.mixed_norm` on an EEG
forward model of a sphere with free orientations (three columns a position, depth weighted and whitened by MNE). Both
solvers get the same arguments and the same absolute tolerance; the gap of an answer is MNE's own `dgap_l21`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

for pool in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(pool, "1")

import numpy as np

SENSORS, SAMPLES = 300, 180


def simulate(gain: np.ndarray, n_active: int, rng: np.random.Generator) -> np.ndarray:
    """Measurements (sensors, samples) of a few sources with smooth time courses, at a signal-to-noise ratio of 3."""
    chosen = rng.choice(gain.shape[1], n_active, replace=False)
    times = np.linspace(0.0, 1.0, SAMPLES)
    courses = np.sin(
        2 * np.pi * (rng.uniform(1, 5, (n_active, 1)) * times + rng.uniform(0, 1, (n_active, 1)))
    )
    signal = gain[:, chosen] @ courses
    noise = rng.standard_normal(signal.shape)
    return signal + noise * np.linalg.norm(signal) / (3.0 * np.linalg.norm(noise))


def correlated_gain(sources: int, rng: np.random.Generator) -> np.ndarray:
    """Columns of an AR(0.97) process over sources."""
    rows = rng.standard_normal((sources, SENSORS))
    for j in range(1, sources):
        rows[j] = 0.97 * rows[j - 1] + np.sqrt(1 - 0.97**2) * rows[j]
    return rows.T


def timed(
    call: Callable[[], Any], inside: Callable[[], AbstractContextManager[None]], repeats: int
) -> tuple[float, Any]:
    """Median processor seconds, and what came back."""
    seconds, found = [], None
    with inside(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(repeats):
            begun = time.process_time()
            found = call()
            seconds.append(time.process_time() - begun)
    return float(np.median(seconds)), found


def arrays(sources: int, repeats: int) -> None:
    """`mixed_norm_solver` for fixed and free orientations, to two tolerances."""
    from mne.inverse_sparse import mxne_optim

    from fastmtl.adapters.mne import installed

    rng = np.random.default_rng(0)
    G = correlated_gain(sources, rng)
    M = simulate(G, 10, rng)
    square = float((M * M).sum())
    print("arrays     n_orient  alpha   tol/|M|^2   MNE s   ours s   ratio   MNE gap   our gap  active")
    for n_orient, share, tol in [(o, s, t) for o in (1, 3) for s in (0.5, 0.3, 0.1) for t in (1e-4, 1e-6)]:
        alpha = share * mxne_optim.norm_l2inf(G.T @ M, n_orient)

        def call(alpha: float = alpha, n_orient: int = n_orient, tol: float = tol) -> Any:
            return mxne_optim.mixed_norm_solver(
                M, G, alpha, tol=tol * square, n_orient=n_orient, debias=False, verbose=False
            )

        ours, found = timed(call, installed, repeats)
        theirs, peer = timed(call, nullcontext, 1 if share < 0.3 else min(3, repeats))
        gaps = [mxne_optim.dgap_l21(M, G, X, on, alpha, n_orient)[0] / square for X, on, _ in (peer, found)]
        print(
            f"{'':10} {n_orient:8d} {share:6.2f} {tol:11.0e} {theirs:7.2f} {ours:8.3f} {theirs / ours:7.1f} "
            f"{gaps[0]:9.1e} {gaps[1]:9.1e} {found[1].sum() // n_orient:7d}",
            flush=True,
        )


def sphere(sources: int, repeats: int) -> None:
    """`mne.inverse_sparse.mixed_norm` at its defaults, apart from a fixed alpha (in percent)."""
    from fastmtl.adapters.mne import installed

    mne: Any = importlib.import_module("mne")  # its stubs lag behind its own examples

    rng = np.random.default_rng(0)
    evoked, forward, covariance = simulated_evoked(sources, rng)
    print(f"sphere     {forward['sol']['data'].shape[1]} columns; the whole call, and the solver inside it")
    print("            alpha   MNE s   ours s   ratio   MNE solver s   our solver s   ratio")
    for alpha in (50.0, 30.0, 10.0):
        inner: list[float] = []

        def call(alpha: float = alpha, inner: list[float] = inner) -> Any:
            with clocked(inner):
                return mne.inverse_sparse.mixed_norm(
                    evoked, forward, covariance, alpha=alpha, verbose="ERROR"
                )

        ours, _ = timed(call, installed, repeats)
        our_solver = float(np.median(inner))
        inner.clear()
        theirs, _ = timed(call, nullcontext, 1 if alpha < 30 else min(3, repeats))
        solver = float(np.median(inner))
        print(
            f"{'':10} {alpha:6.0f} {theirs:7.2f} {ours:8.3f} {theirs / ours:7.1f} "
            f"{solver:14.2f} {our_solver:14.3f} {solver / our_solver:7.1f}",
            flush=True,
        )


@contextmanager
def clocked(seconds: list[float]) -> Iterator[None]:
    """Note the processor seconds of every `mixed_norm_solver` that `mixed_norm` calls."""
    from mne.inverse_sparse import mxne_inverse

    home: Any = mxne_inverse
    inside = home.mixed_norm_solver

    def solver(*arguments: Any, **options: Any) -> Any:
        begun = time.process_time()
        found = inside(*arguments, **options)
        seconds.append(time.process_time() - begun)
        return found

    home.mixed_norm_solver = solver
    try:
        yield
    finally:
        home.mixed_norm_solver = inside


def simulated_evoked(sources: int, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    """An evoked response, a forward model and a noise covariance on a sphere, without any recorded data."""
    mne: Any = importlib.import_module("mne")
    directions = rng.standard_normal((SENSORS, 3))
    directions[:, 2] = np.abs(directions[:, 2])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    names = [f"EEG{i:03d}" for i in range(1, SENSORS + 1)]
    montage = mne.channels.make_dig_montage(
        dict(zip(names, 0.095 * directions, strict=True)),
        nasion=[0, 0.095, 0], lpa=[-0.095, 0, 0], rpa=[0.095, 0, 0],
    )  # fmt: skip
    info = mne.create_info(names, 200.0, "eeg")
    info.set_montage(montage)
    sphere = mne.make_sphere_model((0.0, 0.0, 0.0), 0.095, verbose="ERROR")
    places = rng.standard_normal((sources // 3, 3))
    places *= (rng.uniform(0.02, 0.07, (len(places), 1))) / np.linalg.norm(places, axis=1, keepdims=True)
    pos = {"rr": places, "nn": np.tile([0.0, 0.0, 1.0], (len(places), 1))}
    volume = mne.setup_volume_source_space(pos=pos, sphere=sphere, verbose="ERROR")
    forward = mne.make_forward_solution(info, None, volume, sphere, meg=False, verbose="ERROR")
    M = simulate(forward["sol"]["data"], 10, rng)
    evoked = mne.EvokedArray(1e-6 * M / np.abs(M).max(), info, tmin=0.0, verbose="ERROR")
    evoked.set_eeg_reference(projection=True, verbose="ERROR")
    covariance = mne.make_ad_hoc_cov(evoked.info, std={"eeg": 0.2e-6}, verbose="ERROR")
    return evoked, forward, covariance


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sources", type=int, default=7500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=("arrays", "sphere"))
    options = parser.parse_args()
    if options.only != "sphere":
        arrays(options.sources, options.repeats)
    if options.only != "arrays":
        sphere(options.sources, options.repeats)
