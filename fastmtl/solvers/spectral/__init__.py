"""Trace norm, squared loss, shared design: exact reduction, Newton on Omega = V V', polar certificate."""

from __future__ import annotations

from .solver import Spectral

__all__ = ["Spectral"]
