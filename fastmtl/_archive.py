"""Files of arrays, whole or damaged."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

ZIP = b"PK"
"""What an `.npz` file begins with; NumPy takes what begins otherwise for one array, or for a pickled object."""


@contextlib.contextmanager
def reading(file: Any) -> Iterator[None]:
    """Turn whatever a damaged file makes its reader raise into one sentence with the name of the file.

    Raises
    ------
    ValueError
        The body raised anything but a lack of memory or of a package, or what the system says of a file by its name.
    """
    try:
        yield
    except Exception as error:  # zip, zlib, csv, SciPy and Arrow each have errors of their own
        if isinstance(error, (ImportError, MemoryError)) or getattr(error, "filename", None):
            raise
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        reason = f"it has no {reason}" if isinstance(error, KeyError) else reason
        raise ValueError(f"{file} cannot be read: {reason}") from error


def read_arrays(file: Any) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by name.

    Raises
    ------
    ValueError
        A damaged file, or one of another kind.
    OSError
        A file that is not there or may not be read.
    """
    # NumPy leaves a file that it opened itself open when it is damaged.
    with reading(file), open(file, "rb") as source:
        if source.read(2) != ZIP:
            raise ValueError("it is no .npz file of arrays with names; it holds one array, or something else")
        source.seek(0)
        with np.load(source, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
