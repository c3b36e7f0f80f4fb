"""How many small faults the tests notice: a random sample of mutants, each in a copy of the tree, against a few test files.

    python tests/trust/mutants.py --seed 1 --count 60 [part ...]

Needs `cosmic-ray`, whose operators make the mutants, and runs for about a quarter of an hour a part. Survivors are printed
as they are found, a table at the end. A mutant that runs three times as long as the tests do without it counts as killed.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[2]


class Part(NamedTuple):
    """Sources that are mutated, as patterns, and the arguments of pytest that judge them; `jit` compiles the kernels."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]
    jit: bool = True


PRINT = "tests/trust/test_small_print.py"
PARTS = {
    "kernels": Part(
        ("kernels/fastmtl_kernels/cpu/*.py", "kernels/fastmtl_kernels/*reference*.py", "kernels/fastmtl_kernels/_svd.py"),
        ("tests/kernels", "tests/trust/test_kernel_laws.py", "-k", "not minimum[ and not residual_form"),
        jit=False,
    ),
    "certificates": Part(
        ("fastmtl/certificate.py", "fastmtl/task_certificate.py", "fastmtl/nuisance.py"),
        (PRINT, "tests/test_fit_losses.py", "tests/test_tasks.py", "tests/trust/test_found.py"),
    ),
    "losses": Part(("fastmtl/losses/*.py",), ("tests/test_losses.py", PRINT, "tests/test_fit_losses.py")),
    "penalties": Part(
        ("fastmtl/penalties/*.py",),
        ("tests/test_penalties.py", PRINT, "tests/trust/test_nasty_errors.py"),
    ),
}  # fmt: skip

LEFT_OUT = re.compile(
    r"Binary.*_(LShift|RShift)_"  # never written here
    r"|Binary.*_(Add|Sub|Mul|Div|FloorDiv|Mod|Pow)_(LShift|RShift|BitOr|BitAnd|BitXor)$"  # a TypeError on floats
    r"|Binary.*_Bit(Or|And|Xor)_(Add|Sub|Mul|Div|FloorDiv|Mod|Pow|LShift|RShift)$"  # the same, or a TypeError, on masks
    r"|Unary.*_(USub|Not)_Invert$"  # a TypeError on floats
    r"|Comparison.*_(Eq|NotEq|Lt|LtE|Gt|GtE)_(Is|IsNot)$"  # identity of numbers is an accident
    r"|Variable"  # needs names by hand
)


class Mutant(NamedTuple):
    """A changed text of a file, and what was changed."""

    path: str
    line: int
    before: str
    after: str
    text: str


def meaning(text: str) -> str:
    """The syntax tree without annotations, which are never evaluated."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
    return ast.dump(tree)


def mutants(path: Path) -> list[Mutant]:
    """All mutants of one file that parse and differ from it."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    text, out = path.read_text(), []
    nodes, lines, same = list(ast_nodes(get_ast(text))), text.splitlines(), meaning(text)
    for name in sorted(operator_names()):
        if LEFT_OUT.search(name):
            continue
        operator = get_operator(name)()
        for k in range(sum(len(list(operator.mutation_positions(node))) for node in nodes)):
            changed = mutate_code(text, operator, k)
            try:
                if changed is None or meaning(changed) == same:
                    continue
            except SyntaxError:
                continue
            line = next(
                i for i, (a, b) in enumerate(zip(lines, changed.splitlines(), strict=False)) if a != b
            )
            after = changed.splitlines()[line].strip()
            out.append(Mutant(str(path.relative_to(ROOT)), line + 1, lines[line].strip(), after, changed))
    return out


def sample(part: Part, count: int, seed: int) -> list[Mutant]:
    """About `count` mutants, as many of every file as its share of them, two at least."""
    files = sorted({path for pattern in part.sources for path in ROOT.glob(pattern)})
    found = [mutants(path) for path in files]
    total, rng = sum(map(len, found)), np.random.default_rng(seed)
    out = []
    for every in found:
        size = min(len(every), max(2, round(count * len(every) / total)))
        out += [every[i] for i in sorted(rng.choice(len(every), size, replace=False))] if every else []
    return out


def judge(part: Part, tree: Path, limit: float) -> bool:
    """Whether the tests of a part pass in a tree; False as well beyond the limit (seconds)."""
    environment = {
        **os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "NUMBA_DISABLE_JIT": str(int(not part.jit)),
        "PYTHONPATH": f"{tree}{os.pathsep}{tree / 'kernels'}",
    }  # fmt: skip
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *part.tests]
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def run(name: str, count: int, seed: int) -> tuple[int, int]:
    """Judge the sample of one part; how many were run and how many survived."""
    part, survived = PARTS[name], 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for item in ("fastmtl", "kernels", "tests"):
            shutil.copytree(ROOT / item, tree / item, ignore=shutil.ignore_patterns("__pycache__"))
        for item in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / item, tree)
        start = time.monotonic()
        if not judge(part, tree, 600.0):
            raise SystemExit(f"The tests of {name} fail without any mutant.")
        limit = 10.0 + 3.0 * (time.monotonic() - start)
        chosen = sample(part, count, seed)
        for mutant in chosen:
            place = tree / mutant.path
            kept = place.read_text()
            place.write_text(mutant.text)
            if judge(part, tree, limit):
                survived += 1
                print(f"{mutant.path}:{mutant.line}\n  - {mutant.before}\n  + {mutant.after}", flush=True)
            place.write_text(kept)
    return len(chosen), survived


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("parts", nargs="*", default=list(PARTS))
    arguments.add_argument("--count", type=int, default=50, help="mutants a part, about")
    arguments.add_argument("--seed", type=int, default=1)
    asked = arguments.parse_args()
    rows = [(name, *run(name, asked.count, asked.seed)) for name in asked.parts]
    for name, done, survived in rows:
        print(f"| {name} | {done} | {done - survived} | {survived} |")


if __name__ == "__main__":
    main()
