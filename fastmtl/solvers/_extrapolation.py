"""Anderson acceleration of fixed-point iterations."""

from __future__ import annotations

import numpy as np

from .._arrays import Array

MEMORY = 10
"""Steps that the extrapolation looks back on."""
RIDGE = 1e-13
"""Regularisation of its least squares, as a share of their squared size."""
TINY = float(np.finfo(np.float64).tiny)


class Extrapolation:
    """Anderson acceleration (type II) of a fixed-point map, started anew whenever the residual grows.

    References
    ----------
    Walker, Ni (2011), "Anderson acceleration for fixed-point iterations", section 2; Zhang, O'Donoghue, Boyd (2020),
    "Globally convergent type-I Anderson acceleration", on safeguards.
    """

    def __init__(self, size: int) -> None:
        self._changes = np.empty((2, MEMORY, size))
        self.forget()

    def forget(self) -> None:
        """Drop all that was seen."""
        self._seen = 0
        self._last: tuple[Array, Array] | None = None
        self.best = np.inf

    def __call__(self, image: Array, move: Array) -> Array:
        """The next point, from the image of the present one under the map and the move to it."""
        size = float(np.linalg.norm(move))
        if size > 2.0 * self.best:
            self.forget()
        self.best = min(self.best, size)
        images, moves = self._changes
        if self._last is not None:
            place = self._seen % MEMORY
            images[place] = (image - self._last[0]).ravel()
            moves[place] = (move - self._last[1]).ravel()
            self._seen += 1
        self._last = image, move
        known = min(self._seen, MEMORY)
        if known == 0:
            return image
        normal = moves[:known] @ moves[:known].T
        normal[np.diag_indices(known)] += RIDGE * float(np.trace(normal)) + TINY
        share = np.linalg.solve(normal, moves[:known] @ move.ravel())
        return image - (share @ images[:known]).reshape(image.shape)
