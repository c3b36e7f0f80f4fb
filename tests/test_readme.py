"""The README keeps its word: its Python blocks run in order, its commands are the ones that CI runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parent.parent / "README.md"
TEXT = README.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def namespace():
    return {}


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_python_blocks_run(number, namespace, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for earlier in range(number):
        if f"ran {earlier}" not in namespace:
            exec(compile(BLOCKS[earlier], f"README block {earlier}", "exec"), namespace)
            namespace[f"ran {earlier}"] = True
    exec(compile(BLOCKS[number], f"README block {number}", "exec"), namespace)
    namespace[f"ran {number}"] = True


@pytest.mark.parametrize("mark", ["demo", "tests", "checks"])
def test_marked_commands_are_there_for_ci(mark):
    assert len(re.findall(rf"^<!-- ci: {mark} -->\n```bash\n[^`]+```$", TEXT, flags=re.MULTILINE)) == 1


def test_named_files_exist():
    for name in re.findall(r"`((?:fastmtl|tests|benches|kernels|\.ci)/[\w./]*)`", TEXT):
        assert (README.parent / name).exists(), name


def test_every_public_name_of_the_penalty_table_exists():
    import fastmtl

    for name in ("L21", "L1", "Group", "SparseGroup", "Trace"):
        assert f"`{name}" in TEXT and hasattr(fastmtl.penalties, name)
