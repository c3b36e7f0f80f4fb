"""Data files: a problem from whatever X and Y were stored in."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._archive import read_arrays, reading

SUFFIXES = (".npz", ".npy", ".csv", ".parquet", ".mat")
PARTS = ("data", "indices", "indptr", "shape")
"""Arrays of a sparse matrix in a `.npz` file; `format` may say csr (the default) or csc."""


class Table(NamedTuple):
    """Named columns of numbers."""

    values: np.ndarray
    columns: list[str]


class Data(NamedTuple):
    """X and Y of a problem, and the names of their columns where the file has them."""

    X: Any
    Y: Any
    features: list[str] | None = None
    tasks: list[str] | None = None


def read_problem(paths: Sequence[str], x: str = "X", y: str = "Y", targets: str | None = None) -> Data:
    """Read a problem from one file with both, or from one file each.

    Parameters
    ----------
    paths : sequence of str
        One file, or X's and Y's.
    x, y : str
        Names inside `.npz` and `.mat` files.
    targets : str, optional
        Columns of a table that are Y: names separated by commas, or how many of the last ones.

    Raises
    ------
    ValueError
        An unknown kind of file, or one without what was asked for; the message names what the file holds.
    OSError
        A file that cannot be read.
    ImportError
        A kind of file that needs a package which is not installed.
    """
    files = [Path(path) for path in paths]
    if len(files) > 2:
        raise ValueError(f"{len(files)} files were given; pass one that holds X and Y, or two: X, then Y")
    if len(files) == 1:
        return _both(files[0], x, y, targets)
    if targets is not None:
        raise ValueError(
            "--targets picks columns of one table, but two files were given; leave it out or pass one file"
        )
    X, features = _single(files[0], x)
    Y, tasks = _single(files[1], y)
    return Data(X, Y, features, tasks)


def _both(file: Path, x: str, y: str, targets: str | None) -> Data:
    kind = _suffix(file)
    if kind == ".npy":
        raise ValueError(f"{file} holds one array; pass two files: X, then Y")
    if kind in (".csv", ".parquet"):
        return _split(_table(file, kind), file, targets)
    if targets is not None:
        raise ValueError(
            f"--targets picks columns of a .csv or .parquet file; {file} has named arrays: use --x and --y"
        )
    arrays = _arrays(file, kind)
    names = [_names(arrays, key) for key in ("feature_names", "task_names")]
    return Data(_pick(arrays, x, file, "--x"), _pick(arrays, y, file, "--y"), *names)


def _single(file: Path, name: str) -> tuple[Any, list[str] | None]:
    """The one array of a file, and the names of its columns."""
    kind = _suffix(file)
    if kind == ".npy":
        with reading(file):
            return np.load(file, mmap_mode="r", allow_pickle=False), None
    if kind in (".csv", ".parquet"):
        table = _table(file, kind)
        return table.values, table.columns
    arrays = _arrays(file, kind)
    if name not in arrays and all(part in arrays for part in PARTS):
        return _sparse(arrays, file), None
    if name not in arrays and len(arrays) == 1:
        return next(iter(arrays.values())), None
    return _pick(arrays, name, file, f"--{name.lower()}"), None


def _suffix(file: Path) -> str:
    kind = file.suffix.lower()
    if kind not in SUFFIXES:
        raise ValueError(f"{file} has the ending {kind!r}; files of {', '.join(SUFFIXES)} can be read")
    if not file.is_file():
        raise FileNotFoundError(f"{file} does not exist, or is not a file")
    return kind


def _arrays(file: Path, kind: str) -> Mapping[str, Any]:
    if kind == ".npz":
        return read_arrays(file)
    from scipy.io import loadmat

    with reading(file):
        try:
            found = loadmat(file)
        except NotImplementedError:
            raise ValueError("a MATLAB 7.3 file, which is not supported; save it with -v7") from None
    return {name: _cells(value) for name, value in found.items() if not name.startswith("__")}


def _cells(value: Any) -> Any:
    """A cell array as a list of its arrays, anything else as it is."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [np.asarray(cell) for cell in value.ravel()]
    return value


def _pick(arrays: Mapping[str, Any], name: str, file: Path, option: str) -> Any:
    if name in arrays:
        return arrays[name]
    if option == "--x" and all(part in arrays for part in PARTS):
        return _sparse(arrays, file)
    raise ValueError(
        f"{file} has no array {name!r}; it holds {', '.join(sorted(arrays)) or 'nothing'}: choose with {option}"
    )


def _sparse(arrays: Mapping[str, Any], file: Path) -> Any:
    from scipy import sparse

    with reading(file):
        layout = arrays.get("format", np.array("csr")).item()
        layout = layout.decode() if isinstance(layout, bytes) else layout
        if layout not in ("csr", "csc"):
            raise ValueError(f"the sparse matrix is stored as {layout}; save it as csr or csc")
        make = sparse.csr_matrix if layout == "csr" else sparse.csc_matrix
        shape = tuple(int(size) for size in arrays["shape"])
        return make((arrays["data"], arrays["indices"], arrays["indptr"]), shape=shape)


def _names(arrays: Mapping[str, Any], key: str) -> list[str] | None:
    return [str(name) for name in np.ravel(arrays[key])] if key in arrays else None


def _table(file: Path, kind: str) -> Table:
    try:
        import pandas

        with reading(file):
            frame = pandas.read_csv(file) if kind == ".csv" else pandas.read_parquet(file)
    except ImportError:  # of pandas, or of pyarrow by pandas
        if kind == ".csv":
            return _plain_csv(file)
        raise ImportError(
            f"{file}: reading .parquet needs pandas and pyarrow; pip install pandas pyarrow"
        ) from None
    texts = [str(name) for name in frame.columns if not pandas.api.types.is_numeric_dtype(frame[name])]
    if texts:
        raise ValueError(
            f"{file} has columns that are not numbers: {_some(texts)}; encode them as numbers or drop them"
        )
    return Table(frame.to_numpy(dtype=np.float64), [str(name) for name in frame.columns])


def _plain_csv(file: Path) -> Table:
    """A table without pandas: a header line, then numbers; an empty cell is NaN."""
    with reading(file), file.open(newline="", encoding="utf-8-sig") as text:
        rows = [row for row in csv.reader(text) if row]
    if not rows:
        raise ValueError(f"{file} is empty; a header line and numbers were expected")
    header, body = rows[0], rows[1:]
    values = np.empty((len(body), len(header)))
    for i, row in enumerate(body):
        if len(row) != len(header):
            raise ValueError(
                f"{file} has {len(row)} cells in line {i + 2}, {len(header)} were expected as in the header"
            )
        for j, cell in enumerate(row):
            try:
                values[i, j] = float(cell) if cell.strip() else np.nan
            except ValueError:
                raise ValueError(
                    f"{file} has {cell!r} in line {i + 2}, column {header[j]}; numbers were expected"
                ) from None
    return Table(values, header)


def _split(table: Table, file: Path, targets: str | None) -> Data:
    """Targets and features of a table."""
    if targets is None:
        raise ValueError(
            f"{file} is a table; say which columns are Y: --targets name,name or --targets 2 for the last two"
        )
    columns = table.columns
    wanted = [part.strip() for part in targets.split(",") if part.strip()]
    if not wanted:
        raise ValueError(f"--targets is {targets!r}; columns of {file} or a number of them were expected")
    if len(wanted) == 1 and wanted[0] not in columns and wanted[0].isdigit():
        count = int(wanted[0])
        if not 0 < count < len(columns):
            raise ValueError(f"--targets {count} does not leave a feature: {file} has {len(columns)} columns")
        at = list(range(len(columns) - count, len(columns)))
    else:
        at = _places(wanted, columns, file)
    rest = [j for j in range(len(columns)) if j not in set(at)]
    if not rest:
        raise ValueError(f"--targets takes every column of {file}; at least one feature must be left")
    return Data(
        table.values[:, rest], table.values[:, at], [columns[j] for j in rest], [columns[j] for j in at]
    )


def _places(wanted: list[str], columns: list[str], file: Path) -> list[int]:
    """Where the columns named are, each of them once."""
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise ValueError(f"{file} has no column {_some(missing)}; it has {_some(columns)}")
    repeated = [name for name in dict.fromkeys(wanted) if columns.count(name) > 1 or wanted.count(name) > 1]
    if repeated:
        raise ValueError(f"--targets names {_some(repeated)}, which {file} or --targets has more than once")
    return [columns.index(name) for name in wanted]


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown
