"""MNE-Python: the mixed-norm solver behind `mne.inverse_sparse.mixed_norm`, with its signature and meaning.

    min_X  1/2 |M - G X|_F^2 + alpha sum_b |X_b|_F

over sources X (n_dipoles, n_times), a block being the `n_orient` orientations at one position.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .._status import Status
from ..certificate import Certificate
from ..embed import blocks, solve
from ..solvers import Monitor

SOLVERS = ("auto", "cd", "bcd")


class Objectives(Monitor):
    """Keeps the objective at the start and after every outer iteration."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []

    def __call__(self, iteration: int, certificate: Certificate, n_active: int) -> Status | None:
        if iteration == 0:  # a run that starts again, on scaled columns or another backend, is another one
            self.values.clear()
        self.values.append(certificate.primal)
        return super().__call__(iteration, certificate, n_active)


def mixed_norm_solver(
    M: Any,
    G: Any,
    alpha: float,
    maxit: int = 3000,
    tol: float = 1e-8,
    verbose: Any = None,
    active_set_size: int | None = 50,
    debias: bool = True,
    n_orient: int = 1,
    solver: str = "auto",
    return_gap: bool = False,
    dgap_freq: int = 10,
    active_set_init: Any = None,
    X_init: Any = None,
) -> tuple[Any, ...]:
    """Solve the mixed-norm inverse problem in place of `mne.inverse_sparse.mxne_optim.mixed_norm_solver`.

    Parameters
    ----------
    M : ndarray of shape (n_sensors, n_times)
        Measurements.
    G : ndarray of shape (n_sensors, n_dipoles)
        Gain.
    alpha : float
        Strength, in the units of `G'M`.
    maxit : int
        Bound on outer iterations.
    tol : float
        Bound on the absolute duality gap.
    debias : bool
        Rescale the sources by `mne.inverse_sparse.mxne_debiasing.compute_bias`.
    n_orient : int
        Rows a block: 1 for fixed orientations, 3 for free or loose ones.
    solver : {"auto", "cd", "bcd"}
        One solver serves all three; "cd" with `n_orient > 1` warns as upstream does.
    return_gap : bool
        Return the gap as well, as it is before debiasing.
    X_init : ndarray of shape (n_dipoles, n_times), optional
        Where to start.
    verbose, active_set_size, dgap_freq, active_set_init
        Taken for the sake of the signature and not needed: nothing is logged, the working set chooses itself.

    Returns
    -------
    X : ndarray of shape (n_active, n_times)
        Sources with a time course that is not zero.
    active_set : ndarray of bool, shape (n_dipoles,)
        Which they are.
    E : list of float
        Objective at each outer iteration.
    gap : float
        If `return_gap`.

    Warns
    -----
    RuntimeWarning
        The gap is not below `tol`; "cd" was asked for with free orientations.

    References
    ----------
    Gramfort, Kowalski, Hämäläinen (2012), "Mixed-norm estimates for the M/EEG inverse problem using accelerated gradient
    methods", for the problem.
    """
    if solver not in SOLVERS:
        raise ValueError(f"solver is {solver!r}; expected one of {', '.join(SOLVERS)}")
    if solver == "cd" and n_orient > 1:
        warnings.warn(
            "Coordinate descent is for fixed orientations; block descent is used with n_orient > 1",
            RuntimeWarning,
            stacklevel=2,
        )
    M, G = np.asarray(M), np.asarray(G)
    shape = (G.shape[1], M.shape[1])
    if X_init is not None and np.shape(X_init) != shape:
        raise ValueError(f"Wrong dim for initialized coefficients: {np.shape(X_init)}, expected {shape}")
    costs = Objectives()
    found = solve(
        G, M, blocks(shape[0], float(alpha), size=n_orient), coef=X_init, tol=tol, relative=False, max_iter=maxit,
        monitor=costs,
    )  # fmt: skip
    if not found.converged:
        warnings.warn(
            f"Did NOT converge! (gap: {found.gap:.3g} > {tol:.3g}); raise maxit, or tol where rounding is the limit",
            RuntimeWarning,
            stacklevel=2,
        )
    active_set = np.repeat(found.active, n_orient)
    X = found.coef[active_set]
    if debias and len(X):
        from mne.inverse_sparse.mxne_debiasing import compute_bias

        X *= compute_bias(M, G[:, active_set], X, n_orient=n_orient)[:, None]
    return (X, active_set, costs.values, found.gap) if return_gap else (X, active_set, costs.values)


@contextmanager
def installed() -> Iterator[None]:
    """Let MNE use this solver while the body runs: in `mixed_norm`, and in the reweighted solver built on it.

    The names are exchanged in MNE's modules, for all threads of the process.

        with fastmtl.adapters.mne.installed():
            stc = mne.inverse_sparse.mixed_norm(evoked, forward, noise_cov)
    """
    from mne.inverse_sparse import mxne_inverse, mxne_optim

    homes: tuple[Any, ...] = (mxne_inverse, mxne_optim)
    before = [home.mixed_norm_solver for home in homes]
    for home in homes:
        home.mixed_norm_solver = mixed_norm_solver
    try:
        yield
    finally:
        for home, function in zip(homes, before, strict=True):
            home.mixed_norm_solver = function
