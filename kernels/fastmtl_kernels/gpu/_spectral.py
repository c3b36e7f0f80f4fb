"""Singular value thresholding through the smaller Gram eigenproblem, never a full decomposition of the long side."""

from __future__ import annotations

from .._interface import Array
from ._cupy import cupy

EXACT_BELOW = 1e-5
"""Threshold over largest singular value under which squaring W would cost digits that the result needs: a singular
value s found through a Gram matrix carries an error of eps * s_1^2 / s."""


def singular_shrink(W: Array, threshold: float) -> tuple[Array, Array, Array]:
    """Singular value soft-thresholding: `U diag(s) Vt` minimises `1/2 |Z - W|^2 + threshold |Z|_*`.

    Reads two numbers back: the rank of the result and the largest singular value.

    Parameters
    ----------
    W : array of shape (p, t)
        Worked on in float64.
    threshold : float
        Non-negative.

    Returns
    -------
    U (p, r), s (r,), Vt (r, t) : float64 arrays on the device
        Shrunk singular values, positive, descending.
    """
    W = cupy.asarray(W, dtype=cupy.float64)
    if W.shape[0] < W.shape[1]:
        V, s, Ut = singular_shrink(W.T, threshold)
        return Ut.T, s, V.T
    if W.size == 0:
        return cupy.zeros((W.shape[0], 0)), cupy.zeros(0), cupy.zeros((0, W.shape[1]))
    squares, V = cupy.linalg.eigh(W.T @ W)
    s = cupy.sqrt(cupy.maximum(squares, 0.0))[::-1]
    rank, top = cupy.stack([(s > threshold).sum().astype(s.dtype), s[0]]).get()
    if threshold < EXACT_BELOW * top:
        return _through_qr(W, threshold)
    rank = int(rank)
    V = V[:, ::-1][:, :rank]
    return (W @ V) / s[:rank], s[:rank] - threshold, cupy.ascontiguousarray(V.T)


def _through_qr(W: Array, threshold: float) -> tuple[Array, Array, Array]:
    Q, R = cupy.linalg.qr(W)
    U, s, Vt = cupy.linalg.svd(R, full_matrices=False)
    rank = int((s > threshold).sum())
    return Q @ U[:, :rank], s[:rank] - threshold, Vt[:rank]
