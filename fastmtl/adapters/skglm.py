"""skglm: a solver for its `GeneralizedLinearEstimator`.

    from skglm import GeneralizedLinearEstimator
    from skglm.datafits import QuadraticMultiTask
    from skglm.penalties import L2_1

    model = GeneralizedLinearEstimator(QuadraticMultiTask(), L2_1(0.1), solver=fastmtl.adapters.skglm.Solver())

Datafits and penalties are read, not called, so nothing is compiled for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..api import fit
from ..losses import Huber
from ..penalties import L1, L21, Group, Penalty, SparseGroup


@dataclass
class Solver:
    """Solve what skglm's datafits and penalties state, to a certified duality gap.

    Datafits: Quadratic, WeightedQuadratic, QuadraticMultiTask, QuadraticGroup, Logistic, LogisticGroup, Huber, Poisson,
    PoissonGroup. Penalties: L1, L1_plus_L2, WeightedL1, L2_1, WeightedGroupL2, WeightedL1GroupL2.

    Parameters
    ----------
    tol : float
        Bound on the duality gap, relative to the loss of the best constant prediction (zero without an intercept).
    max_iter : int
        Bound on outer iterations.
    fit_intercept, warm_start : bool
        As for skglm's own solvers.
    """

    tol: float = 1e-6
    max_iter: int = 1000
    fit_intercept: bool = True
    warm_start: bool = False

    def solve(
        self,
        X: Any,
        y: Any,
        datafit: Any,
        penalty: Any,
        w_init: Any = None,
        Xw_init: Any = None,
        *,
        run_checks: bool = True,
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Minimise `datafit + penalty`.

        Parameters
        ----------
        X : ndarray or CSC matrix of shape (n, p)
        y : ndarray of shape (n,) or (n, t)
            Labels of a logistic datafit are -1 and 1.
        datafit, penalty
            skglm's.
        w_init : ndarray of shape (p + fit_intercept,) or (p + fit_intercept, t), optional
            Where to start; the last row holds intercepts.
        Xw_init, run_checks
            Not needed.

        Returns
        -------
        coefs : ndarray, shaped as `w_init`
        objective : ndarray of shape (n_iter,)
            After every outer iteration; where the start is the answer, its own.
        gap : float
            Duality gap at the end, relative as `tol`.

        Raises
        ------
        TypeError
            A datafit or a penalty that is not in the lists above.
        """
        p = X.shape[1]
        loss, weight = _loss_of(datafit)
        start = None if w_init is None or not np.any(w_init) else np.reshape(w_init[:p], (p, -1))
        objectives: list[float] = []

        def record(report: dict[str, Any]) -> None:
            if report["iteration"] == 0:  # a run that starts again, on scaled columns, is another one
                objectives.clear()
            objectives.append(report["primal"])

        found = fit(
            X, (y > 0).astype(np.float64) if loss == "logistic" else y, _penalty_of(penalty, p), loss=loss,
            sample_weight=weight, fit_intercept=self.fit_intercept, tol=self.tol, max_iter=self.max_iter,
            warm_start=start, callback=record,
        )  # fmt: skip
        values = np.array(objectives[1:] or objectives)
        values[-1] = found.certificate.primal  # of the coefficients as they are returned
        W = np.vstack([found.coef, found.intercept]) if self.fit_intercept else found.coef
        return (W[:, 0] if y.ndim == 1 else W), values, found.certificate.relative_gap


def _loss_of(datafit: Any) -> tuple[Any, Any]:
    """Our loss and sample weights for one of skglm's datafits."""
    name = type(datafit).__name__
    if name in ("Quadratic", "QuadraticMultiTask", "QuadraticGroup"):
        return "squared", None
    if name == "WeightedQuadratic":
        return "squared", datafit.sample_weights
    if name in ("Logistic", "LogisticGroup"):
        return "logistic", None
    if name in ("Poisson", "PoissonGroup"):
        return "poisson", None
    if name == "Huber":
        return Huber(datafit.delta), None
    raise TypeError(f"the datafit {name} has no convex loss of fastmtl; one of skglm's solvers serves it")


def _groups(penalty: Any) -> list[Any]:
    ptr = penalty.grp_ptr
    return [penalty.grp_indices[low:high] for low, high in zip(ptr[:-1], ptr[1:], strict=True)]


PENALTIES: dict[str, Callable[[Any, int], Penalty]] = {
    "L1": lambda s, p: L1(s.alpha, positive=s.positive),
    "L1_plus_L2": lambda s, p: L1(s.alpha, l1_ratio=s.l1_ratio, positive=s.positive),
    "WeightedL1": lambda s, p: L1(s.alpha, feature_weights=s.weights, positive=s.positive),
    "L2_1": lambda s, p: L21(s.alpha),
    "WeightedGroupL2": lambda s, p: Group(
        s.alpha, groups=_groups(s), group_weights=s.weights, positive=s.positive
    ),
    # alpha (|u o W|_1 + sum_g v_g |W_g|) is our 2 alpha (1/2 |u o W|_1 + 1/2 sum_g v_g |W_g|).
    "WeightedL1GroupL2": lambda s, p: SparseGroup(
        2.0 * s.alpha,
        tau=0.5,
        groups=_groups(s),
        group_weights=s.weights_groups,
        feature_weights=s.weights_features,
    ),
}


def _penalty_of(penalty: Any, p: int) -> Penalty:
    """Our penalty for one of skglm's."""
    name = type(penalty).__name__
    if name not in PENALTIES:
        raise TypeError(
            f"the penalty {name} is not among {', '.join(PENALTIES)}; one of skglm's solvers serves it"
        )
    return PENALTIES[name](penalty, p)
