"""The examples on real data run, and show what they say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
DATA = EXAMPLES.parents[1] / "shared" / "data"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def needs(file: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not (DATA / file).exists(), reason="the folder of shared data is absent")


@needs("school.mat")
def test_schools_fitted_together_predict_better_than_apart():
    apart, rows, trace = example("school_exams").main([]).values()
    assert apart < rows < trace


@needs("yeast.npz")
def test_labels_of_genes_are_learned():
    found = example("yeast_labels").main([])
    assert list(found) == ["l1", "l21", "trace"]
    assert min(found.values()) > 0.6


def test_digits_are_classified_and_measured_in_one_fit():
    pytest.importorskip("sklearn")
    found = example("mixed_digits").main()
    assert found["digit"] > 0.8
    assert min(found["ink"], found["height"], found["spread"]) > 0.1
