"""The only place where compilation flags are written, and the guard around the disk cache.

Numba stores compiled code on disk for functions whose arguments are arrays, scalars and named tuples. Losing that
cache (unwritable folder, full disk, truncated or garbage file) must cost a compilation, never a fit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba.core.caching import FunctionCache

# Sums may be reordered and fused; NaN and inf keep their meaning (no "nnan", "ninf"), so a NaN is never optimised away.
FASTMATH = {"reassoc", "contract", "nsz"}


class _TolerantCache(FunctionCache):
    """Numba's function cache in which every failure reads as a miss."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # any damage to a cache file, whatever it raises, is a miss
            self._drop()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception:  # read-only folder, full disk, damaged index
            self._drop()

    def _drop(self) -> None:
        try:
            self.flush()
        except Exception:  # the folder cannot be written: nothing left to do, and nothing lost
            return


def jit(function: Callable[..., Any]) -> Any:
    """Compile `function` without Python objects, releasing the GIL, cached on disk where that is possible."""
    compiled: Any = numba.njit(nogil=True, fastmath=FASTMATH, error_model="numpy")(function)
    if hasattr(compiled, "py_func"):  # plain Python under NUMBA_DISABLE_JIT
        try:
            compiled._cache = _TolerantCache(compiled.py_func)
        except Exception:  # no folder that could hold a cache exists
            return compiled
    return compiled


def cache_folder() -> str | None:
    """Where compiled kernels are kept between processes, None when no folder can hold them."""
    try:
        return str(_TolerantCache(cache_folder).cache_path)
    except Exception:  # Numba found no folder that it can write
        return None
