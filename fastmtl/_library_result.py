"""A fit whose arrays are of the library, and on the device, of the X that it was made from."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from .backend import ON_DEVICE, like
from .result import FitResult


@dataclass(frozen=True, eq=False, repr=False)
class LibraryFitResult(FitResult):
    """A `FitResult` for an X that is no NumPy array.

    `coef`, `intercept` and the dual point are arrays of X's library on X's device; for frames and dask arrays, which are
    tables of NumPy arrays, they stay NumPy arrays.

    Attributes
    ----------
    host : FitResult
        The same fit in host memory; whatever needs more than a product is computed there.
    library : str
        As `backend.library_of` names it: "pandas", "polars", "dask", "torch", "jax", or "cuda:" and "cupy", "torch", "jax".
    """

    host: Any = None
    library: str = ON_DEVICE + "cupy"

    @classmethod
    def of(cls, host: FitResult, library: str) -> LibraryFitResult:
        """Move a result to where X is."""
        moved = ("coef", "intercept", "dual", "low_rank")
        kept = {f.name: getattr(host, f.name) for f in fields(FitResult) if f.name not in moved}
        return cls(
            like(host.coef, library),
            like(host.intercept, library),
            **kept,
            dual=_moved(host.dual, library),
            host=host,
            library=library,
        )

    def factors(self) -> tuple[Any, Any]:
        """Balanced factors, see `FitResult.factors`, as arrays of X's library."""
        U, V = self.host.factors()
        return like(U, self.library), like(V, self.library)


def _moved(dual: Any, library: str) -> Any:
    """A dual point, or the list of those of tasks with designs of their own."""
    if isinstance(dual, list):
        return [like(part, library) for part in dual]
    return None if dual is None else like(dual, library)
