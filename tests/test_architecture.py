"""The house rules that a machine can check: import direction, light import, file size, names, no printing."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "fastmtl"
KERNELS = ROOT / "kernels" / "fastmtl_kernels"

LAYERS = [
    {"fastmtl_kernels"},
    {"_version", "_kinds", "_archive", "_settings"},
    {"_status", "_arrays", "_progress", "_cost", "_threads"},
    {"backend"},
    {"designs", "losses", "penalties"},
    {"problem", "task_problem", "_tasks", "_given"},
    {"nuisance", "certificate", "_low_rank", "_scores", "_targets"},
    {"task_certificate", "easing", "_scaling", "_standardize", "_predictions"},
    {"result"},
    {"_door", "_library_result"},
    {"solvers"},
    {"_run"},
    {"path"},
    {"api"},
    {"model_selection", "replay"},
    {"embed"},
    {"adapters"},
    {"estimators", "plotting", "cli"},
    {"__init__", "__main__"},
]
"""Each layer imports from those above it; modules of one layer, except parts of one package, not from each other."""

HEAVY = {
    "numba",
    "llvmlite",
    "cupy",
    "scipy",
    "sklearn",
    "pandas",
    "polars",
    "torch",
    "jax",
    "matplotlib",
    "tqdm",
}
MAX_LINES = 450
VAGUE = {"utils", "helpers", "common", "misc"}


class Import(NamedTuple):
    """One imported module as a dotted absolute name, and whether it is loaded with the file or inside a function."""

    module: str
    line: int
    at_load: bool


def sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def imports(file: Path, root: Path) -> Iterator[Import]:
    """Every import of a file; `if TYPE_CHECKING:` blocks are left out, they load nothing."""
    package = file.relative_to(root).with_suffix("").parts[:-1]

    def visit(node: ast.AST, at_load: bool) -> Iterator[Import]:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            at_load = False
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, at_load) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            name = ".".join([*base, *(node.module.split(".") if node.module else [])])
            for alias in node.names:
                yield Import(f"{name}.{alias.name}" if node.module is None else name, node.lineno, at_load)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, at_load)

    yield from visit(ast.parse(file.read_text(encoding="utf-8")), True)


def unit_of(module: str) -> str:
    """The part of the house that a module belongs to."""
    parts = module.split(".")
    if parts[0] == "fastmtl_kernels":
        return "fastmtl_kernels"
    return parts[1] if len(parts) > 1 else "__init__"


def layer_of(unit: str) -> int:
    return next((i for i, layer in enumerate(LAYERS) if unit in layer), -1)


def test_every_module_has_a_layer():
    units = {file.relative_to(PACKAGE).parts[0].removesuffix(".py") for file in sources(PACKAGE)}
    assert not {unit for unit in units if layer_of(unit) < 0}, "add the module to LAYERS, where it belongs"


@pytest.mark.parametrize("file", sources(PACKAGE), ids=lambda f: str(f.relative_to(PACKAGE)))
def test_imports_go_one_way(file):
    own = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    wrong = []
    for found in imports(file, ROOT):
        if found.module.split(".")[0] not in ("fastmtl", "fastmtl_kernels"):
            continue
        unit = unit_of(found.module)
        # A method may go through the public door: `import fastmtl` inside a function binds to no layer.
        through_door = unit == "__init__" and not found.at_load
        is_front = own in ("cli", "estimators", "plotting")
        if unit == own or through_door or (is_front and unit == "__init__"):
            continue
        if layer_of(unit) >= layer_of(own):
            wrong.append(f"line {found.line}: {own} imports {found.module}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("file", sources(PACKAGE), ids=lambda f: str(f.relative_to(PACKAGE)))
def test_heavy_packages_are_imported_where_they_belong(file):
    own = {"sklearn"} if "estimators" in file.parts else set()
    loaded = {found.module.split(".")[0] for found in imports(file, ROOT) if found.at_load} - own
    inside = {found.module.split(".")[0] for found in imports(file, ROOT)}
    assert not loaded & HEAVY, "import it inside the function that needs it"
    assert not inside & {"numba", "cupy"}, "numba and cupy belong to the kernels"


@pytest.mark.parametrize("file", sources(KERNELS), ids=lambda f: str(f.relative_to(KERNELS)))
def test_kernels_stand_alone(file):
    tops = {found.module.split(".")[0] for found in imports(file, KERNELS.parent)}
    where = file.relative_to(KERNELS).parts
    assert "fastmtl" not in tops, "kernels never import fastmtl"
    assert "numba" not in tops or where[0] == "cpu", "numba is imported under cpu/ alone"
    assert "cupy" not in tops or where == ("gpu", "_cupy.py"), "cupy is imported in gpu/_cupy.py alone"


@pytest.mark.parametrize(
    "file", [*sources(PACKAGE), *sources(KERNELS)], ids=lambda f: str(f.relative_to(ROOT))
)
def test_files_hold_one_idea(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= MAX_LINES, "split the file by idea"
    assert not VAGUE & {part.removesuffix(".py") for part in file.parts}, "name the thing"


@pytest.mark.parametrize(
    "file",
    [f for f in [*sources(PACKAGE), *sources(KERNELS)] if "cli" not in f.parts],
    ids=lambda f: str(f.relative_to(ROOT)),
)
def test_the_library_does_not_print(file):
    calls = [
        node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
    ]
    assert not [c.lineno for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"]


def fresh_process(code: str) -> str:
    path = [str(ROOT), str(ROOT / "kernels")]
    lines = f"import sys; sys.path[:0] = {path!r}\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", lines], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_loads_nothing_heavy():
    loaded = json.loads(fresh_process("import json, fastmtl; print(json.dumps(sorted(sys.modules)))"))
    assert not {name.split(".")[0] for name in loaded} & HEAVY


def test_public_names_exist():
    fresh_process("import fastmtl\nfor name in fastmtl.__all__: getattr(fastmtl, name)")


def test_version_is_the_package_metadata():
    import fastmtl

    assert fastmtl.__version__.count(".") == 2
