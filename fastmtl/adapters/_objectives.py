"""The objective along a run, which other libraries return beside the coefficients."""

from __future__ import annotations

from .._status import Status
from ..certificate import Certificate
from ..solvers import Monitor


class Objectives(Monitor):
    """Keeps the objective at the start and after every outer iteration, in the units of the problem that is solved."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []

    def __call__(self, iteration: int, certificate: Certificate, n_active: int) -> Status | None:
        if iteration == 0:  # a run that starts again, on scaled columns or another backend, is another one
            self.values.clear()
        self.values.append(certificate.primal)
        return super().__call__(iteration, certificate, n_active)
