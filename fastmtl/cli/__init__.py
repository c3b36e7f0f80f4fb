"""The command line: `python -m fastmtl demo | fit | path | info | warmup | replay`."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from .._status import ConvergenceWarning, FitInterrupted
from .._version import __version__

FAILED = 1
"""Exit code of a command that could not be carried out; argparse itself exits with 2 on bad options."""
NOT_CONVERGED = 3
"""Exit code of a fit that ended before its gap reached the tolerance; its model is saved all the same."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

FILES = """data files:
  One file that holds both X and Y, or two: first X, then Y.
    .npz      arrays X and Y (other names: --x, --y); sparse X as CSR parts data, indices, indptr, shape,
              or a file of scipy.sparse.save_npz; feature_names and task_names are used
    .npy      one array; give two files
    .csv      a header line and numbers; --targets says which columns are Y
    .parquet  the same, through pandas
    .mat      variables X and Y, dense or sparse (other names: --x, --y)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Words after the program's name; those of the process when left out.

    Returns
    -------
    int
        Exit code: 0 done, 1 failed with a sentence on stderr, 3 saved but not converged, 130 interrupted.
    """
    options = _parser().parse_args(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        warnings.simplefilter("always", ConvergenceWarning)
        try:
            return options.run(options)
        except FitInterrupted as stop:
            _complain(str(stop))
            return INTERRUPTED
        except KeyboardInterrupt:
            return INTERRUPTED
        except (ValueError, TypeError, OSError, ImportError, RuntimeError, MemoryError) as error:
            _complain(f"{type(error).__name__}: {error}" if not str(error) else str(error))
            return FAILED


def _complain(text: str) -> None:
    print(f"fastmtl: {text}", file=sys.stderr)


def _show_warning(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
    prefix = "" if issubclass(category, ConvergenceWarning) else f"{category.__name__}: "
    _complain(f"{prefix}{message}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fastmtl", description="Certified, fast convex multi-task learning."
    )
    parser.add_argument("--version", action="version", version=f"fastmtl {__version__}")
    commands = parser.add_subparsers(
        title="commands", required=True, metavar="demo | fit | path | info | warmup | replay"
    )
    _demo(commands)
    _fit(commands)
    _path(commands)
    info = _simple(commands, "info", "versions, threads, GPU and the folder of compiled code", _run_info)
    info.add_argument(
        "--calibrate",
        action="store_true",
        help="measure the speeds by which backend='auto' decides, and store them",
    )
    _simple(commands, "warmup", "compile the kernels now, so that the first fit does not wait", _run_warmup)
    again = _simple(commands, "replay", "run a problem again that fastmtl.dump_problem wrote", _run_replay)
    again.add_argument("problem", metavar="PROBLEM.npz", help="the file")
    return parser


def _simple(
    commands: Any, name: str, text: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def _demo(commands: Any) -> None:
    parser = _simple(
        commands, "demo", "handwritten digits: ten tasks fitted together against ten separate fits", _run_demo
    )
    parser.add_argument(
        "--splits", type=_positive, default=10, metavar="N", help="random splits to average over (10)"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _fit(commands: Any) -> None:
    parser = _simple(commands, "fit", "fit one model to a data file and certify it", _run_fit)
    parser.epilog = FILES
    _data_options(parser)
    strength = parser.add_mutually_exclusive_group(required=True)
    strength.add_argument("--alpha", type=float, help="strength of the penalty")
    strength.add_argument(
        "--alpha-ratio", type=float, metavar="R", help="strength as a fraction of alpha_max"
    )
    _problem_options(parser)
    parser.add_argument(
        "-o", "--output", metavar="MODEL.npz", help="save the model; fastmtl.FitResult.load reads it"
    )


def _path(commands: Any) -> None:
    parser = _simple(commands, "path", "fit a decreasing sequence of strengths, each certified", _run_path)
    parser.epilog = FILES
    _data_options(parser)
    parser.add_argument(
        "--n-alphas", type=_positive, default=100, metavar="N", help="number of strengths (100)"
    )
    parser.add_argument(
        "--eps", type=float, default=1e-2, help="last strength as a fraction of alpha_max (0.01)"
    )
    parser.add_argument(
        "--alphas", type=_numbers, metavar="A,B,...", help="strengths, instead of --n-alphas and --eps"
    )
    _problem_options(parser)
    parser.add_argument(
        "-o", "--output", metavar="PATH.npz", help="save the whole path; fastmtl.PathResult.load reads it"
    )
    parser.add_argument(
        "--model", metavar="MODEL.npz", help="save one model of it; fastmtl.FitResult.load reads it"
    )
    parser.add_argument(
        "--at", type=int, default=-1, metavar="I", help="which one --model saves, counted from 0 (the last)"
    )


def _data_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", nargs="+", metavar="FILE", help="one file with X and Y, or two: X, then Y")
    parser.add_argument("--x", default="X", metavar="NAME", help="name of X inside a .npz or .mat file (X)")
    parser.add_argument("--y", default="Y", metavar="NAME", help="name of Y inside a .npz or .mat file (Y)")
    parser.add_argument(
        "--targets",
        metavar="A,B,... | N",
        help="columns of a .csv or .parquet file that are Y: their names, or the last N",
    )


def _problem_options(parser: argparse.ArgumentParser) -> None:
    problem = parser.add_argument_group("problem")
    problem.add_argument(
        "--loss", default="squared", help="squared (the default), logistic, multinomial, huber or poisson"
    )
    problem.add_argument(
        "--penalty", default="l21", help="l21 (the default), l1, group, sparse_group or another name"
    )
    problem.add_argument(
        "--l1-ratio", type=float, metavar="R", help="share of the norm against the ridge, in [0, 1] (1)"
    )
    problem.add_argument(
        "--tau", type=float, help="sparse_group: share of the elementwise part, in [0, 1] (0.5)"
    )
    problem.add_argument(
        "--groups",
        metavar="SIZES | FILE",
        help="group, sparse_group: sizes as 3,2,5, or a .npy file with a label a feature",
    )
    problem.add_argument("--positive", action="store_true", help="no negative coefficient")
    problem.add_argument("--no-intercept", action="store_true", help="fit no intercept")
    problem.add_argument(
        "--standardize", action="store_true", help="penalise in units of standard deviations"
    )
    problem.add_argument(
        "--scale", choices=("mean", "sum"), default="mean", help="loss averaged over samples, or summed"
    )
    run = parser.add_argument_group("run")
    run.add_argument("--tol", type=float, default=1e-6, help="bound on the relative duality gap (1e-6)")
    run.add_argument("--max-iter", type=int, default=1000, help="bound on outer iterations (1000)")
    run.add_argument("--time-limit", type=float, metavar="SECONDS", help="stop then, with the best so far")
    run.add_argument("--threads", type=_positive, metavar="N", help="threads of the linear algebra")
    run.add_argument("--backend", choices=("auto", "cpu", "gpu"), default="auto", help="where to run (auto)")
    run.add_argument("-v", "--verbose", action="store_true", help="show progress")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number >= 1")
    return value


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers separated by commas") from None


# The commands live in files of their own, loaded when asked for: `--help` must not wait for NumPy.


def _run_demo(options: argparse.Namespace) -> int:
    from .demo import run

    return run(options.splits, quiet=options.quiet)


def _run_fit(options: argparse.Namespace) -> int:
    from .models import fit

    return 0 if fit(options) else NOT_CONVERGED


def _run_path(options: argparse.Namespace) -> int:
    from .models import path

    return 0 if path(options) else NOT_CONVERGED


def _run_info(options: argparse.Namespace) -> int:
    from .info import calibrate, report

    if options.calibrate:
        print(calibrate())
    print(report())
    return 0


def _run_warmup(_: argparse.Namespace) -> int:
    from .warmup import run

    return run()


def _run_replay(options: argparse.Namespace) -> int:
    from ..replay import load_problem, replay

    for name, version in load_problem(options.problem)[1]["versions"].items():
        print(f"written with {name} {version}")
    result = replay(options.problem)
    print(result)
    return 0 if result.status.converged else NOT_CONVERGED
