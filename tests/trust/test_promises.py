"""The promises of the README name tests that exist and run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SECTION = (ROOT / "README.md").read_text(encoding="utf-8").split("## Promises")[1].split("\n## ")[0]
LINES = [line.strip("| ").split(" | ") for line in SECTION.splitlines() if line.startswith("|")][2:]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[0][:40])
def test_a_promise_has_tests(line):
    promise, named = line
    names = re.findall(r"`([\w/]+\.py)`", named)
    assert promise and names
    for name in names:
        text = (ROOT / "tests" / name).read_text(encoding="utf-8")
        assert re.search(r"^def test_\w+", text, re.MULTILINE)


def test_every_file_of_the_folder_is_promised_or_found():
    promised = {name for _, named in LINES for name in re.findall(r"trust/(\w+)\.py", named)}
    files = {file.stem for file in Path(__file__).parent.glob("test_*.py")}
    assert files - promised <= {
        "test_promises", "test_found", "test_small_print", "test_certificates", "test_nuisance",
        "test_tightness",
    }  # fmt: skip
