"""Problems in a file: what a fit was given, without names, so that one command runs it again elsewhere.

    fastmtl.dump_problem("case.npz", X, Y, penalty="l21", alpha=0.1)
    python -m fastmtl replay case.npz

The file holds the numbers, their dtypes and layouts, the settings, and the versions and machine that wrote it; no names of
features, tasks or files, no labels (classes and tasks become numbers), nothing pickled.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import fields
from importlib import metadata
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from ._archive import read_arrays, reading
from ._arrays import as_ndarray, is_sparse
from ._given import is_list_of_designs, read_labels, to_host
from ._targets import as_vector, is_list_of_targets, read_losses, table_columns
from ._version import __version__
from .losses import NAMED as LOSSES
from .losses import Loss, Multinomial
from .penalties import NAMES as PENALTIES
from .penalties import Penalty
from .penalties.group import coded_groups

FORMAT = 1
PACKAGES = ("numpy", "numba", "scipy", "threadpoolctl")
BY_SAMPLE = ("sample_weight", "offset")
DATA = (*BY_SAMPLE, "task_weight", "warm_start")
"""Settings of a fit that are numbers a sample, a task or a feature."""
NUMBERS = "biuf"
PARTS = ("data", "indices", "indptr")


def dump_problem(path: Any, X: Any, Y: Any, penalty: str | Penalty = "l21", **settings: Any) -> None:
    """Write the arguments of a fit to an `.npz` file that `python -m fastmtl replay` runs again.

    Parameters
    ----------
    path : str or path
    X, Y, penalty
        As in `fit`: arrays of any real dtype, sparse matrices, frames (their names are left out), lists with one a task.
    **settings
        The keywords of `fit`; `callback` and `verbose` are left out, a `warm_start` result is kept as its coefficients.

    Raises
    ------
    TypeError, ValueError
        A keyword that `fit` does not have, a penalty or loss of your own, or an argument that is not numbers.
    OSError
        The file cannot be written.
    """
    from .api import fit

    signature(fit).bind(X, Y, penalty, **settings)
    settings = {k: v for k, v in settings.items() if k not in ("callback", "verbose") and v is not None}
    is_own, task, loss = is_list_of_designs(X), settings.get("task"), settings.get("loss", "squared")
    arrays: dict[str, np.ndarray] = {}
    header: dict[str, Any] = {"format": FORMAT, "kind": "problem", **_origin()}
    header["X"] = _stored(list(X) if is_own else X, "X", arrays, several=is_own)
    Y = _coded_targets(Y, loss, is_own, task)
    header["Y"] = _stored(Y, "Y", arrays, several=isinstance(Y, list))
    header["penalty"] = penalty if isinstance(penalty, str) else _described(penalty, PENALTIES)
    for name, value in settings.items():
        if name == "task":
            settings[name] = _stored(read_labels(value, name)[1], name, arrays)
        elif name in DATA:
            value = getattr(value, "coef", value)
            settings[name] = _stored(value, name, arrays, several=is_own and name in BY_SAMPLE)
        elif name == "loss":
            settings[name] = (
                [_loss(one) for one in value] if isinstance(value, (list, tuple)) else _loss(value)
            )
        else:
            settings[name] = _plain(value, name)
    header["settings"] = settings
    with Path(path).open("wb") as file:
        np.savez_compressed(file, **{"header": np.array(json.dumps(header)), **arrays})  # pyright: ignore[reportArgumentType]


def load_problem(path: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what `dump_problem` wrote: the keywords of `fit`, X, Y and penalty among them, and who wrote them.

    Raises
    ------
    ValueError
        The file holds something else.
    """
    arrays = read_arrays(path)
    header = json.loads(str(arrays.pop("header", "{}")))
    if header.get("kind") != "problem" or header.get("format") != FORMAT:
        raise ValueError(f"{path} holds no problem of format {FORMAT}; fastmtl.dump_problem writes them")
    with reading(path):
        return _arguments(header, arrays), {key: header[key] for key in ("versions", "machine")}


def _arguments(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """The keywords of `fit` from the header and the arrays of a file."""
    arguments = {name: _restored(header[name], name, arrays) for name in ("X", "Y")}
    arguments["penalty"] = _made(header["penalty"], PENALTIES)
    for name, value in header["settings"].items():
        if name in DATA or name == "task":
            value = _restored(value, name, arrays)
        elif name == "loss":
            value = [_made(one, LOSSES) for one in value] if isinstance(value, list) else _made(value, LOSSES)
        arguments[name] = value
    return arguments


def replay(path: Any) -> Any:
    """The fit of a dumped problem, a `FitResult`."""
    from .api import fit

    return fit(**load_problem(path)[0])


def _origin() -> dict[str, Any]:
    versions = {"fastmtl": __version__, "python": platform.python_version()}
    versions |= {package: metadata.version(package) for package in PACKAGES}
    return {"versions": versions, "machine": f"{platform.system()} {platform.machine()}"}


def _coded_targets(Y: Any, loss: Any, is_own: bool, task: Any) -> Any:
    """Targets in numbers: one array, or a list with a vector a task."""
    if task is not None:
        y, (names, place) = as_vector(Y, "Y"), read_labels(task, "task")
        return _coded_rows(y, read_losses(loss, len(names)), place)
    if is_own or (isinstance(loss, (list, tuple)) and is_list_of_targets(Y, len(loss))):
        vectors = [as_vector(y, f"Y[{t}]") for t, y in enumerate(Y)]
        return [_coded(y, one, "Y") for y, one in zip(vectors, read_losses(loss, len(Y)), strict=True)]
    names, columns, is_1d = table_columns(Y)
    columns = [
        _coded(as_vector(y, name), one, name)
        for y, name, one in zip(columns, names, read_losses(loss, len(columns)), strict=True)
    ]
    return columns[0] if is_1d else np.column_stack(columns)


def _coded_rows(y: np.ndarray, losses: Sequence[Loss], place: np.ndarray) -> np.ndarray:
    """Targets (n,) of tasks that lie side by side in a table."""
    if y.dtype.kind in NUMBERS:
        return y
    out = np.empty(len(y), dtype=np.int64)
    for t, loss in enumerate(losses):
        out[place == t] = _coded(y[place == t], loss, "Y")
    return out


def _coded(y: np.ndarray, loss: Loss, name: str) -> np.ndarray:
    """Numbers as they are; classes in words by their place among those of their loss."""
    if y.dtype.kind in NUMBERS:
        return y
    if not isinstance(loss, Multinomial):
        raise TypeError(f"{name} has dtype {y.dtype}; the {loss.name} loss needs numbers")
    return loss.encode(y, name).argmax(axis=1)


def _stored(A: Any, name: str, arrays: dict[str, np.ndarray], *, several: bool = False) -> Any:
    """Put the numbers of A, or with `several` of a list with one a task, into `arrays`; how to put them together again."""
    if A is None:
        return None
    if several:
        return {"list": [_stored(part, f"{name}.{i}", arrays) for i, part in enumerate(A)]}
    if is_sparse(A):
        A = A if A.format in ("csc", "csr") else A.tocsc()
        arrays.update({f"{name}.{part}": getattr(A, part) for part in PARTS})
        return {"sparse": A.format, "shape": list(A.shape), "is_array": not hasattr(A, "getH")}
    values = as_ndarray(to_host(A), name)
    arrays[name] = values
    flags = values.flags
    return {"layout": "c" if flags.c_contiguous else "f" if flags.f_contiguous else "strided"}


def _restored(how: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    if how is None:
        return None
    if "list" in how:
        return [_restored(part, f"{name}.{i}", arrays) for i, part in enumerate(how["list"])]
    if "sparse" in how:
        import scipy.sparse

        kind = how["sparse"] + ("_array" if how["is_array"] else "_matrix")
        parts = tuple(arrays[f"{name}.{part}"] for part in PARTS)
        return getattr(scipy.sparse, kind)(parts, shape=tuple(how["shape"]))
    values = arrays[name]
    if how["layout"] != "strided":
        return values
    wide = np.zeros(tuple(2 * size for size in values.shape), dtype=values.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in values.shape)]
    view[...] = values
    return view


def _described(thing: Any, known: dict[str, Any]) -> dict[str, Any]:
    """The name and settings of a penalty or loss of ours, labels of groups as numbers."""
    name = getattr(thing, "name", None)
    if known.get(str(name)) is not type(thing):
        raise TypeError(f"{type(thing).__name__} is not part of fastmtl; its code cannot be put into a file")
    settings = {field.name: getattr(thing, field.name) for field in fields(thing)}
    if settings.get("groups") is not None:
        settings["groups"] = coded_groups(settings["groups"])
    return {"name": name, **{key: _plain(value, key) for key, value in settings.items()}}


def _plain(value: Any, name: str) -> Any:
    """A setting as JSON has it."""
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, (tuple, list)):
        return [_plain(one, name) for one in value]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise TypeError(f"{name} is {value!r}; a number, a word or a flag is needed to dump a problem")


def _loss(loss: str | Loss) -> Any:
    """What stands for a loss, its classes by their places when they are words."""
    if isinstance(loss, str):
        return loss
    classes = loss.classes if isinstance(loss, Multinomial) else None
    if classes is not None and np.asarray(classes).dtype.kind not in NUMBERS:
        loss = Multinomial(tuple(range(len(classes))))
    return _described(loss, LOSSES)


def _made(what: Any, known: dict[str, Any]) -> Any:
    if isinstance(what, str):
        return what
    return known[what["name"]](**{name: value for name, value in what.items() if name != "name"})
