"""The documentation keeps its word: its Python blocks run, page by page, and its reference has every public name."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import fastmtl

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
BLOCK = re.compile(r"(?:^<!-- needs: (\w+) -->\n)?^```(\w*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
ASIDE = {"low_rank"}
"""Pages that speak of the reader's own X and Y, and of a task i."""


def reader():
    """What a page that speaks of the reader's data has at hand."""
    rng = np.random.default_rng(0)
    X, W = rng.standard_normal((60, 8)), rng.standard_normal((8, 2)) @ rng.standard_normal((2, 5))
    return {"X": X, "Y": X @ W + 0.1 * rng.standard_normal((60, 5)), "i": 0}


def meets(need):
    """Whether what a block needs is here: a package, for CuPy a device as well."""
    if need == "cupy":
        from fastmtl_kernels import gpu

        return gpu.probe().usable
    try:
        __import__(need)
    except ImportError:
        return False
    return True


@pytest.mark.parametrize("page", [p for p in PAGES if "```" in p.read_text()], ids=lambda p: p.stem)
def test_python_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = reader() if page.stem in ASIDE else {}
    skipped = []
    for number, (need, language, code) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8"))):
        assert language == "python", f"a block of {language or 'nothing'} that no test runs"
        if need and not meets(need):
            skipped.append(need)
            continue
        with warnings.catch_warnings():
            if need:
                warnings.simplefilter("ignore")  # those of another package
            exec(compile(code, f"{page.name}, block {number}", "exec"), namespace)
    print("skipped blocks that need", sorted(set(skipped)))


def test_the_reference_has_every_public_name():
    text = "\n".join(page.read_text() for page in (DOCS / "api").glob("*.md"))
    whole = re.findall(r"^::: ([\w.]+)$", text, flags=re.MULTILINE)
    shown = {name.rpartition(".")[2] for name in whole}
    bases = (fastmtl.penalties.Penalty, fastmtl.losses.Loss)
    for module in (fastmtl, fastmtl.penalties, fastmtl.losses):
        for name in module.__all__:
            thing = getattr(module, name)
            if module is not fastmtl and not (
                isinstance(thing, type) and issubclass(thing, bases) and name != "Restricted"
            ):
                continue
            held = getattr(thing, "__module__", "").startswith("fastmtl.model_selection")
            assert name in shown or held or not callable(thing), f"{name} is missing in docs/api"
    assert {"fastmtl.model_selection", "fastmtl.estimators", "fastmtl.embed"} <= set(whole)


def test_every_page_is_in_the_navigation():
    listed = set(re.findall(r"[\w/]+\.md", (DOCS.parent / "mkdocs.yml").read_text()))
    assert listed == {str(page.relative_to(DOCS)) for page in PAGES}
