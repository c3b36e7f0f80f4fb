"""Singular value thresholding through the smaller Gram eigenproblem."""

from __future__ import annotations

import numpy as np

from .._interface import Array
from .._svd import svd

EXACT_BELOW = 1e-5
"""Threshold over largest singular value under which squaring W would cost digits that the result needs: the
eigenvalues of a Gram matrix are good to eps * s_1^2, so a singular value s carries an error of eps * s_1^2 / s."""


def singular_shrink(W: Array, threshold: float) -> tuple[Array, Array, Array]:
    """Singular value soft-thresholding: `U diag(s) Vt` minimises `1/2 |Z - W|^2 + threshold |Z|_*`.

    Never a full decomposition of the long side: eigenvectors of the smaller of `W'W` and `WW'` that belong to
    singular values above the threshold, one product for the other side.

    Parameters
    ----------
    W : ndarray of shape (p, t)
    threshold : float
        Non-negative.

    Returns
    -------
    U : ndarray of shape (p, r)
    s : ndarray of shape (r,)
        Shrunk singular values, positive, descending.
    Vt : ndarray of shape (r, t)
    """
    W = np.asarray(W, dtype=np.float64)
    if W.shape[0] < W.shape[1]:
        V, s, Ut = singular_shrink(W.T, threshold)
        return Ut.T, s, V.T
    squares, V = np.linalg.eigh(W.T @ W)
    s = np.sqrt(np.maximum(squares, 0.0))[::-1]
    if threshold < EXACT_BELOW * s[0]:
        U, s, Vt = svd(W)
        keep = s > threshold
        return U[:, keep], s[keep] - threshold, Vt[keep]
    rank = int(np.count_nonzero(s > threshold))
    V = V[:, ::-1][:, :rank]
    return (W @ V) / s[:rank], s[:rank] - threshold, np.ascontiguousarray(V.T)
