"""Every kernel compiles for every architecture without a warning, and stays within its budget of registers."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import nvrtc
import pytest

from fastmtl_kernels.gpu import _modules

BUDGET = Path(__file__).with_name("budget.json")
REPORT = re.compile(
    r"(\d+) bytes spill stores, (\d+) bytes spill loads.*?Used (\d+) registers(?:.*?(\d+) bytes smem)?", re.S
)
DTYPES = ("float32", "float64")

needs_nvrtc = pytest.mark.skipif(
    nvrtc.library() is None, reason="libnvrtc is not here; pip install nvidia-cuda-nvrtc"
)
needs_nvcc = pytest.mark.skipif(
    shutil.which("nvcc") is None, reason="nvcc is not here; it comes with the CUDA toolkit"
)


def _compile(name: str, dtype: str, architecture: int) -> None:
    if not nvrtc.supports(architecture):
        pytest.skip(f"NVRTC {'.'.join(map(str, nvrtc.version()))} does not know sm_{architecture}")
    assert (
        nvrtc.compile_text(_modules.source(name), f"{name}.cu", _modules.compile_options(dtype), architecture)
        > 0
    )


@needs_nvrtc
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", _modules.names())
def test_compiles(name, dtype):
    _compile(name, dtype, 90)


@needs_nvrtc
@pytest.mark.slow
@pytest.mark.parametrize("architecture", nvrtc.ARCHITECTURES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", _modules.names())
def test_compiles_everywhere(name, dtype, architecture):
    _compile(name, dtype, architecture)


@needs_nvrtc
@pytest.mark.parametrize(
    "old, new",
    [
        ("double total = 0.0;", "double total = 0.0; int unused;"),
        ("double total = 0.0;", "double total = 0.0"),
    ],
    ids=["a warning", "a syntax error"],
)
def test_a_bad_kernel_is_refused(old, new):
    text = _modules.source("sum")
    assert old in text
    with pytest.raises(nvrtc.CompileError, match=r"prelude\.cuh"):
        nvrtc.compile_text(text.replace(old, new), "sum.cu", _modules.compile_options("float64"), 90)


@needs_nvcc
@pytest.mark.skipif(
    nvrtc.library() is not None, reason="NVRTC, which is here, compiles each kernel by itself"
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_compiles_with_nvcc(dtype, tmp_path):
    """All kernels in one call: without NVRTC, nvcc alone must do, and every call of it costs seconds."""
    path = tmp_path / "all.cu"
    headers = "".join((_modules.FOLDER / name).read_text() for name in _modules.HEADERS)
    path.write_text(
        headers + "".join((_modules.FOLDER / f"{name}.cu").read_text() for name in _modules.names())
    )
    command = ["nvcc", "-cubin", "-arch=sm_90", "-Werror", "all-warnings", *_modules.compile_options(dtype)]
    done = subprocess.run(
        [*command, str(path), "-o", str(tmp_path / "out.cubin")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def report(name: str, dtype: str, folder: Path) -> dict[str, int]:
    """Registers, spilled bytes and static shared memory of a kernel on sm_90, as ptxas reports them."""
    path = folder / f"{name}.cu"
    path.write_text(_modules.source(name))
    command = [
        "nvcc",
        "-cubin",
        "-arch=sm_90",
        "-Xptxas",
        "-v",
        "-Werror",
        "all-warnings",
        *_modules.compile_options(dtype),
    ]
    done = subprocess.run(
        [*command, str(path), "-o", str(folder / "out.cubin")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = REPORT.search(done.stderr)
    assert found, done.stderr
    stores, loads, registers, shared = found.groups(default="0")
    return {"registers": int(registers), "spills": int(stores) + int(loads), "shared": int(shared)}


@needs_nvcc
@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", _modules.names())
def test_stays_within_budget(name, dtype, tmp_path):
    """`FASTMTL_WRITE_BUDGET=1` writes what is measured as the new budget."""
    found = report(name, dtype, tmp_path)
    budget = json.loads(BUDGET.read_text()) if BUDGET.exists() else {}
    key = f"{name} {dtype}"
    if os.environ.get("FASTMTL_WRITE_BUDGET"):
        BUDGET.write_text(json.dumps({**budget, key: found}, indent=1, sort_keys=True) + "\n")
        return
    assert key in budget, "a new kernel needs a budget: run this test with FASTMTL_WRITE_BUDGET=1"
    over = {what: (value, budget[key][what]) for what, value in found.items() if value > budget[key][what]}
    assert not over, f"(now, budget): {over}"


@pytest.mark.parametrize("name", _modules.names())
def test_obeys_the_rules_of_the_house(name):
    text = (_modules.FOLDER / f"{name}.cu").read_text()
    assert "atomic" not in text, "results must repeat bit for bit"
    assert re.search(r"^// Launch: ", text, re.M), "a line states the launch shape"
    assert text.count("__global__") == 1, "one thing a kernel"
    for kind, label in re.findall(r"\b(int|unsigned|size_t) (\w+)[,)]", text.split("{", 1)[0]):
        assert kind == "int" and label in ("positive", "even"), f"{label}: sizes and indices are index_t"
