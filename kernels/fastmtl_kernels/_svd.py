"""A singular value decomposition that does not give up."""

from __future__ import annotations

import numpy as np

from ._interface import Array


def svd(A: Array) -> tuple[Array, Array, Array]:
    """Thin singular value decomposition U (m, k), s (k,), Vt (k, n) of a finite matrix, in the dtype of A.

    LAPACK's divide and conquer, as some builds thread it, now and then does not converge on matrices of low rank; the
    transpose is then tried, and the QR algorithm, which is slower.

    Raises
    ------
    numpy.linalg.LinAlgError
        A holds NaN or inf.
    """
    try:
        return np.linalg.svd(A, full_matrices=False)
    except np.linalg.LinAlgError:
        if not np.isfinite(A).all():
            raise
    try:
        V, s, Ut = np.linalg.svd(A.T, full_matrices=False)
        return Ut.T, s, V.T
    except np.linalg.LinAlgError:
        from scipy.linalg import svd as decompose

        return decompose(A, full_matrices=False, lapack_driver="gesvd")
