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
from pathlib import Path
from typing import Any

import numpy as np

from ._archive import read_arrays
from ._arrays import is_sparse
from ._version import __version__
from .losses import NAMED as LOSSES
from .losses import Loss
from .penalties import NAMES as PENALTIES
from .penalties import Penalty

FORMAT = 1
PACKAGES = ("numpy", "numba", "scipy", "threadpoolctl")
DATA = ("sample_weight", "task_weight", "offset", "warm_start")
"""Settings of a fit that are numbers a sample, a task or a feature."""
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
    TypeError
        A penalty or loss of your own, or an argument that is not numbers.
    OSError
        The file cannot be written.
    """
    arrays: dict[str, np.ndarray] = {}
    settings = {k: v for k, v in settings.items() if k not in ("callback", "verbose") and v is not None}
    if hasattr(settings.get("warm_start"), "coef"):
        settings["warm_start"] = settings["warm_start"].coef
    header: dict[str, Any] = {"format": FORMAT, "kind": "problem", **_origin()}
    header["X"], header["Y"] = _stored(X, "X", arrays), _stored(_coded(Y), "Y", arrays)
    header["penalty"] = penalty if isinstance(penalty, str) else _described(penalty, PENALTIES)
    for name, value in settings.items():
        if name == "task":
            settings[name] = _stored(_coded(value), name, arrays)
        elif name in DATA:
            settings[name] = _stored(value, name, arrays)
        elif name == "loss":
            several = isinstance(value, (list, tuple))
            settings[name] = [_loss(one) for one in value] if several else _loss(value)
        elif not isinstance(value, (str, bool, int, float)):
            settings[name] = float(value)
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
    arguments = {name: _restored(header[name], name, arrays) for name in ("X", "Y")}
    arguments["penalty"] = _made(header["penalty"], PENALTIES)
    for name, value in header["settings"].items():
        if name in DATA or name == "task":
            value = _restored(value, name, arrays)
        elif name == "loss":
            value = [_made(one, LOSSES) for one in value] if isinstance(value, list) else _made(value, LOSSES)
        arguments[name] = value
    return arguments, {key: header[key] for key in ("versions", "machine")}


def replay(path: Any) -> Any:
    """The fit of a dumped problem, a `FitResult`."""
    from .api import fit

    return fit(**load_problem(path)[0])


def _origin() -> dict[str, Any]:
    versions = {"fastmtl": __version__, "python": platform.python_version()}
    versions |= {package: metadata.version(package) for package in PACKAGES}
    return {"versions": versions, "machine": f"{platform.system()} {platform.machine()}"}


def _coded(labels: Any) -> Any:
    """Targets as they are; labels in words as numbers in their order."""
    if _is_one_a_task(labels):
        return [_coded(one) for one in labels]
    values = np.asarray(labels.to_numpy() if hasattr(labels, "to_numpy") else labels)
    return np.unique(values, return_inverse=True)[1] if values.dtype.kind in "OUS" else labels


def _stored(A: Any, name: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Put the numbers of A into `arrays`; how to put them together again."""
    if _is_one_a_task(A):
        return {"list": [_stored(part, f"{name}.{i}", arrays) for i, part in enumerate(A)]}
    if is_sparse(A):
        A = A if A.format in ("csc", "csr") else A.tocsc()
        arrays.update({f"{name}.{part}": getattr(A, part) for part in PARTS})
        return {"sparse": A.format, "shape": list(A.shape), "is_array": not hasattr(A, "getH")}
    values = np.asarray(A.to_numpy() if hasattr(A, "to_numpy") else A)
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{name} has dtype {values.dtype}; numbers are needed to dump a problem")
    arrays[name] = values
    flags = values.flags
    return {"layout": "c" if flags.c_contiguous else "f" if flags.f_contiguous else "strided"}


def _is_one_a_task(A: Any) -> bool:
    """Whether A is a list of arrays, and not one array written as nested lists."""
    if not isinstance(A, (list, tuple)) or not len(A):
        return False
    return is_sparse(A[0]) or hasattr(A[0], "shape") or np.ndim(A[0]) == 2


def _restored(how: dict[str, Any], name: str, arrays: dict[str, np.ndarray]) -> Any:
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
    """The name and settings of a penalty or loss of ours."""
    if known.get(thing.name) is not type(thing):
        raise TypeError(f"{type(thing).__name__} is not part of fastmtl; its code cannot be put into a file")
    return {"name": thing.name, **{f.name: _plain(getattr(thing, f.name)) for f in fields(thing)}}


def _plain(value: Any) -> Any:
    """Settings as JSON has them; labels of groups as numbers."""
    if isinstance(value, (str, bool, int, float)) or value is None:
        return value
    if isinstance(value, (Sequence, np.ndarray)):
        if len(value) and isinstance(value[0], str):
            return np.unique(np.asarray(value), return_inverse=True)[1].tolist()
        return [_plain(one) for one in value]
    return value.item()


def _loss(loss: str | Loss) -> Any:
    return loss if isinstance(loss, str) else _described(loss, LOSSES)


def _made(what: Any, known: dict[str, Any]) -> Any:
    if isinstance(what, str):
        return what
    return known[what["name"]](**{name: value for name, value in what.items() if name != "name"})
