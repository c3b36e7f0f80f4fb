"""The laws of `tests/trust` over the GPU backend: what holds whatever is fitted holds wherever it is fitted."""

from __future__ import annotations

import pytest
import test_laws as laws
from standin import DEVICE

FEW, MANY = 3 * len(laws.LAWS), 15 * len(laws.LAWS)
AWAY = {"nothing_is_an_error", "chunked_is_whole"}
"""Laws that may be served without a device."""


def _holds(name: str, examples: int) -> None:
    laws._run(name, examples)
    assert DEVICE.read_backs or name in AWAY, "the law never met the device"


@pytest.mark.parametrize("name", laws.LAWS)
def test_law(eager, name):
    _holds(name, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("name", laws.LAWS)
def test_law_at_length(eager, name):
    _holds(name, MANY)
