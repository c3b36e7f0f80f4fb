"""Settings as a user gives them: flags, whole numbers and numbers, or an error that names the argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def check_flag(value: Any, name: str) -> bool:
    """True or False; words and numbers raise, because every word is true."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is {value!r}; True or False was expected")
    return bool(value)


def check_count(value: Any, name: str, least: int = 1) -> int:
    """A whole number from `least` on."""
    expected = f"a whole number >= {least} was expected"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} is {value!r}; {expected}")
    if value < least:
        raise ValueError(f"{name} is {value}; {expected}")
    return int(value)


def check_number(value: Any, name: str, expected: str, holds: Callable[[float], bool]) -> float:
    """A real number for which `holds` is true; `expected` says of which kind that is."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} is {value!r}; {expected} was expected")
    if not holds(float(value)):
        raise ValueError(f"{name} is {value}; {expected} was expected")
    return float(value)
