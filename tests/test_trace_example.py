"""The example of the guide runs and shows what it says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "low_rank_network.py"


def test_no_trained_network_beats_the_certified_fit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    spec = importlib.util.spec_from_file_location("low_rank_network", EXAMPLE)
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    monkeypatch.setattr(example, "STEPS", 2000)
    monkeypatch.setattr(example, "REPORT", (100, 2000))
    example.main()  # asserts for every network that it is not below the convex optimum
    text = capsys.readouterr().out
    assert "simulated" in text and text.count("above the convex fit") == 6 and "rank 2" in text
