"""How many small faults the tests notice: a random sample of mutants, each in a copy of the tree, judged in two stages.

    python tests/trust/mutants.py --seed 1 --count 60 [part ...]

First a few files that take seconds; what they let pass is judged by the fits, paths and problems of `WIDE`, whose kernels are
compiled into a folder of the copy. Needs `cosmic-ray`, whose operators make the mutants, and runs for about a quarter of an
hour a part. Survivors are printed as they are found, a table at the end; the order is random, so that a run that is cut short
is a sample as well. A mutant that runs three times as long as the tests do without it counts as killed.
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
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[2]


class Part(NamedTuple):
    """Sources that are mutated, as patterns, and what judges them first, as arguments of pytest; `jit` compiles the kernels."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]
    jit: bool = True


TRUST = "tests/trust/test"
PARTS = {
    "kernels": Part(
        ("kernels/fastmtl_kernels/cpu/_[st]*.py", "kernels/fastmtl_kernels/cpu/__init__.py",
         "kernels/fastmtl_kernels/*reference*.py", "kernels/fastmtl_kernels/_svd.py"),
        ("tests/kernels", f"{TRUST}_kernel_laws.py", "-k", "not minimum[ and not residual_form and not columns_reach"),
        jit=False,
    ),
    "certificates": Part(
        ("fastmtl/certificate.py", "fastmtl/task_certificate.py", "fastmtl/nuisance.py"),
        (f"{TRUST}_certificates.py", f"{TRUST}_nuisance.py", f"{TRUST}_interpolation.py",
         f"{TRUST}_tightness.py", f"{TRUST}_small_print.py", f"{TRUST}_found.py"),
    ),
    "losses": Part(
        ("fastmtl/losses/*.py",),
        ("tests/test_losses.py", f"{TRUST}_small_print.py", f"{TRUST}_nuisance.py", f"{TRUST}_found.py"),
    ),
    "penalties": Part(
        ("fastmtl/penalties/*.py",),
        ("tests/test_penalties.py", "tests/test_penalty_defaults.py", f"{TRUST}_tightness.py", f"{TRUST}_small_print.py",
         f"{TRUST}_nasty_errors.py"),
    ),
}  # fmt: skip

WIDE = (
    "tests/test_fit_losses.py", "tests/test_path.py", "tests/test_second_order.py", "tests/test_trace_weights.py",
    f"{TRUST}_golden.py", f"{TRUST}_interpolation.py", f"{TRUST}_injected.py", f"{TRUST}_null_fit.py", f"{TRUST}_found.py",
    "tests/test_trace_core.py", "tests/test_trace.py", "tests/test_fit.py", "tests/test_tasks.py",
)  # fmt: skip
"""What judges a mutant that the files of its part let pass, in some minutes."""

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
    """The syntax tree without annotations, which are never evaluated, and the ways that arguments may be passed."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
        elif isinstance(node, ast.arguments):
            # `*` in a signature is no multiplication.
            node.args = node.posonlyargs + node.args + node.kwonlyargs
            node.posonlyargs, node.kwonlyargs = [], []
            node.defaults, node.kw_defaults = node.defaults + [one for one in node.kw_defaults if one], []
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
    return ast.dump(tree)


def places(path: Path) -> list[tuple[str, int]]:
    """Every operator of cosmic-ray that applies to a file, with the number of the place it applies to."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    nodes, out = list(ast_nodes(get_ast(path.read_text()))), []
    for name in sorted(operator_names()):
        if not LEFT_OUT.search(name):
            operator = get_operator(name)()
            out += [
                (name, k) for k in range(sum(len(list(operator.mutation_positions(node))) for node in nodes))
            ]
    return out


def made(path: Path, name: str, k: int) -> Mutant | None:
    """One mutant of a file; None where it does not parse or says the same."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    text = path.read_text()
    changed = mutate_code(text, get_operator(name)(), k)
    try:
        if changed is None or meaning(changed) == meaning(text):
            return None
    except SyntaxError:
        return None
    pairs = list(zip(text.splitlines(), changed.splitlines(), strict=False))
    line = next(i for i, (before, after) in enumerate(pairs) if before != after)
    before, after = (one.strip() for one in pairs[line])
    return Mutant(str(path.relative_to(ROOT)), line + 1, before, after, changed)


def sample(part: Part, count: int, seed: int) -> list[Mutant]:
    """About `count` mutants, as many of every file as its share of the places, two at least; in random order."""
    files = sorted({path for pattern in part.sources for path in ROOT.glob(pattern)})
    found = [places(path) for path in files]
    total, rng, out = sum(map(len, found)), np.random.default_rng(seed), []
    for path, every in zip(files, found, strict=True):
        drawn = (made(path, *every[i]) for i in rng.permutation(len(every)))
        size = max(2, round(count * len(every) / total))
        out += islice((mutant for mutant in drawn if mutant), size)
    return [out[i] for i in rng.permutation(len(out))]


def judge(tests: tuple[str, ...], tree: Path, limit: float, *, jit: bool) -> bool:
    """Whether some tests pass in a tree; False as well beyond the limit (seconds)."""
    environment = {
        "NUMBA_CACHE_DIR": str(tree / "compiled"), **os.environ, "NUMBA_DISABLE_JIT": str(int(not jit)),
        "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "FASTMTL_KERNEL_EXAMPLES": "10",
        "PYTHONPATH": f"{tree}{os.pathsep}{tree / 'kernels'}",
    }  # fmt: skip
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def stages(part: Part, tree: Path) -> list[Callable[[], bool]]:
    """What judges a mutant of a part, the quick tests before the others, each with three times its time without a mutant."""
    out = []
    for tests, jit in ((part.tests, part.jit), (WIDE, True)):
        start = time.monotonic()
        if not judge(tests, tree, 1200.0, jit=jit):
            raise SystemExit(f"These tests fail without any mutant: {' '.join(tests)}")
        out.append(partial(judge, tests, tree, 10.0 + 3.0 * (time.monotonic() - start), jit=jit))
    return out


def run(name: str, count: int, seed: int) -> tuple[int, int]:
    """Judge the sample of one part; how many were run and how many survived."""
    part, survived = PARTS[name], 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for item in ("fastmtl", "kernels", "tests"):
            shutil.copytree(ROOT / item, tree / item, ignore=shutil.ignore_patterns("__pycache__"))
        for item in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / item, tree)
        chosen, judges = sample(part, count, seed), stages(part, tree)
        for k, mutant in enumerate(chosen):
            print(f"{name}: {k} of {len(chosen)} judged, {survived} survived", file=sys.stderr)
            place = tree / mutant.path
            kept = place.read_text()
            place.write_text(mutant.text)
            if all(passes() for passes in judges):
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
