"""Our solvers behind other libraries' own signatures: `mne`, `skglm` and `sklearn_path`.

An adapter loads its client inside the functions that need it, so that importing one costs nothing where the client is
missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import mne, skglm, sklearn_path

__all__ = ["mne", "skglm", "sklearn_path"]


def __getattr__(name: str) -> Any:
    """Load an adapter when it is first used."""
    from importlib import import_module

    if name in __all__:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
