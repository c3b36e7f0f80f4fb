"""Which columns of W belong to which task, and under which loss: what a result needs to read its predictions."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from .losses import NAMED, Loss


@dataclass(frozen=True)
class TaskColumns:
    """One task.

    Attributes
    ----------
    name : str
    first, last : int
        Its columns of W are `first:last`.
    loss : str
        Name of its loss.
    settings : dict
        Settings of the loss.
    labels : list of str or None
        Classes, for a classification: one a column for a multinomial, two for a logistic task.
    is_named : bool
        Whether the name came with the data.
    """

    name: str
    first: int
    last: int
    loss: str = "squared"
    settings: dict[str, Any] = field(default_factory=dict)
    labels: list[str] | None = None
    is_named: bool = False

    @classmethod
    def of(
        cls, name: str, first: int, width: int, loss: Loss, labels: list[str] | None, is_named: bool
    ) -> TaskColumns:
        """The columns of a task under a loss object."""
        # Classes are in `labels` already, and may be of types that no file takes.
        settings = {key: value for key, value in asdict(loss).items() if key != "classes"}
        known = loss.name in NAMED
        return cls(name, first, first + width, loss.name, settings if known else {}, labels, is_named)

    @property
    def columns(self) -> slice:
        """Columns of W."""
        return slice(self.first, self.last)

    @property
    def is_classification(self) -> bool:
        """Whether predictions are probabilities of classes."""
        return self.loss in ("logistic", "multinomial")

    def loss_object(self) -> Loss | None:
        """The loss, None for one of the user's own."""
        return NAMED[self.loss](**self.settings) if self.loss in NAMED else None
