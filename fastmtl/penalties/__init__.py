"""Penalties: one file each, and the names the doors know them by."""

from __future__ import annotations

from typing import Any

from ._base import Lowered, Penalty
from ._restricted import Restricted, restrict
from .group import Group
from .l1 import L1
from .l21 import L21
from .sparse_group import SparseGroup
from .trace import Trace

__all__ = [
    "L1",
    "L21",
    "Group",
    "Lowered",
    "Penalty",
    "Restricted",
    "SparseGroup",
    "Trace",
    "as_penalty",
    "restrict",
]

NAMES: dict[str, type[Penalty]] = {
    "l21": L21,
    "l1": L1,
    "group": Group,
    "sparse_group": SparseGroup,
    "trace": Trace,
    "nuclear": Trace,
}


def as_penalty(penalty: str | Penalty, alpha: float | None, *, need_alpha: bool = True) -> Any:
    """A penalty object from the two arguments of a door.

    Parameters
    ----------
    penalty : str or Penalty
        A name in `NAMES` (defaults for everything but alpha) or an object.
    alpha : float or None
        The strength, if it is not in the object.
    need_alpha : bool
        Whether a strength must come from one of the two.

    Raises
    ------
    ValueError
        An unknown name; alpha given twice, or not at all where it is needed.
    TypeError
        Neither a name nor a Penalty.
    """
    if isinstance(penalty, str):
        if penalty not in NAMES:
            raise ValueError(f"penalty is {penalty!r}; known names are {', '.join(sorted(NAMES))}")
        if penalty == "group":
            raise ValueError(
                "penalty='group' needs its groups; pass penalty=fastmtl.penalties.Group(groups=...)"
            )
        made: Penalty = NAMES[penalty]()
    elif isinstance(penalty, Penalty):
        made = penalty
    else:
        raise TypeError(
            f"penalty is {penalty!r}; pass a name ({', '.join(sorted(NAMES))}) or a fastmtl.penalties object"
        )
    if alpha is not None and made.alpha is not None:
        raise ValueError(f"alpha is given twice: {alpha} and in {made}; give it in one place")
    if alpha is not None:
        made = made.with_alpha(alpha)
    if need_alpha and made.alpha is None:
        raise ValueError(
            "alpha is missing; pass alpha=..., for instance a fraction of fastmtl.alpha_max(X, Y, ...)"
        )
    return made
