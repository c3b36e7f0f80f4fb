"""Accelerated proximal steps in reduced coordinates: what goes on where Newton's method stops short."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..._arrays import Array
from ..proximal_gradient import accelerate
from .model import Model, orthogonalise

STEPS = 300
"""Proximal steps before Newton's method is tried again."""


class DiagonalTerm:
    """The data term in coordinates M (q, t) of W in which the Gram matrix is diagonal and lengths are those of W.

    `f(M) = 1/2 <M, (d + ridge) M> - <linear, M>` + const, with T = Z diag(d) Z': W = Q Z M on the feature side, W =
    X~'Q Z d^{-1/2} M on the sample side.
    """

    def __init__(self, model: Model) -> None:
        from scipy.linalg import eigh_tridiagonal

        d, self.Z = eigh_tridiagonal(model.diagonal, model.off, check_finite=False)
        self.d = np.maximum(d, 0.0)
        self.root = np.sqrt(self.d) if model.on_samples else np.ones_like(d)
        self.linear = self.root[:, None] * (self.Z.T @ model.target)
        self.ridge = model.ridge

    def value_and_gradient(self, W: Array) -> tuple[float, Array]:
        product = (self.d + self.ridge)[:, None] * W
        return float(np.vdot(W, 0.5 * product - self.linear)), product - self.linear

    def value(self, W: Array) -> float:
        return self.value_and_gradient(W)[0]

    def curvature(self) -> float:
        return float(self.d.max()) + self.ridge

    def coordinates(self, model: Model, A: Array, V: Array) -> Array:
        """M of the factors A, V."""
        return (self.root[:, None] * (self.Z.T @ A)) @ V.T


def proximal_steps(
    model: Model,
    alpha: float,
    A: Array,
    V: Array,
    late: Callable[[], bool] = lambda: False,
    steps: int = STEPS,
) -> Array:
    """A right factor after some proximal steps from the factors A (q, k), V (t, k); no task prices."""
    smooth = DiagonalTerm(model)

    def prox(M: Array, step: float) -> Array:
        U, s, Vt = model.kernels.singular_shrink(M, step * alpha)
        return (U * s) @ Vt

    M = accelerate(smooth, prox, smooth.coordinates(model, A, V), max_iter=steps, stop=lambda _, __: late())
    _, s, Vt = model.kernels.singular_shrink(M, 0.0)
    keep = s > 1e-9 * s.max(initial=0.0)
    return np.ascontiguousarray(orthogonalise(Vt[keep].T * np.sqrt(s[keep]))[0])
