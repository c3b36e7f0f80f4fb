"""The lists that everything enrols in: one entry here and a thing inherits the laws."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastmtl.losses import Huber, Logistic, Loss, Multinomial, Poisson, Squared


class LossCase(NamedTuple):
    """A loss and targets to try it on."""

    loss: Loss
    targets: np.ndarray


_rng = np.random.default_rng(0)

LOSSES = [
    LossCase(Squared(), 3.0 * _rng.standard_normal(40)),
    LossCase(Logistic(), _rng.integers(0, 2, 40)),
    LossCase(Huber(0.7), 3.0 * _rng.standard_normal(40)),
    LossCase(Poisson(), _rng.poisson(2.0, 40)),
    LossCase(Multinomial(), _rng.integers(0, 3, 40)),
]
