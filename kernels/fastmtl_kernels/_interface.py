"""The whole contract between the solvers and a kernel module, on one page.

A kernel module (`reference`, `cpu`, `gpu`) offers the functions of `Kernels`. Records are plain
named tuples of arrays and scalars, so that compiled code can take them as they are.

Symbols: `s` rows of the compact problem (features of the working set), `t` task columns, `k` number of
Gram matrices (1, or `t` when every task has its own), `B` penalty blocks, `n` samples.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

Array = Any
"""An array of the kernel module's namespace (`xp`): NumPy for `reference` and `cpu`, CuPy for `gpu`."""


class BlockShrink(NamedTuple):
    """A block-separable penalty on the rows of W (s, t), rows already permuted so that blocks are contiguous.

    `sum_b [ sum_{j in b} l1_j |w_j|_1 + l2_b |W_b|_F + ridge_b/2 |W_b|_F^2 ]`, plus `W >= 0` when
    `positive`. Block `b` holds the rows `ptr[b]:ptr[b + 1]`. Strengths are finite and non-negative.
    """

    ptr: Array  # (B + 1,) int64
    l1: Array  # (s,) float64
    l2: Array  # (B,) float64
    ridge: Array  # (B,) float64
    positive: bool


class Quadratic(NamedTuple):
    """The compact smooth problem `1/2 sum_t c_t w_t' G_t w_t - <linear, W> + constant`, descended on in place.

    `gradient = linear - c * (G W)` is the negative gradient and is kept consistent with `W`.
    `constant` is half the weighted squared norm of the (working) targets, so the value is a
    half squared residual and never negative.
    """

    gram: Array  # (k, s, s) C-contiguous, symmetric, k = 1 or t
    scale: Array  # (t,) positive factors c_t on the Gram matrix of each task
    linear: Array  # (s, t)
    gradient: Array  # (s, t), modified in place
    coef: Array  # (s, t), modified in place
    constant: float


class Panel(NamedTuple):
    """A run of neighbouring blocks that is swept in cache: its place, its Gram matrix and its block curvatures."""

    low: int  # first row
    high: int  # one past the last row
    first: int  # first block
    last: int  # one past the last block
    gram: Array  # (high - low, high - low)
    curvature: Array  # (last - first,) largest eigenvalue of each diagonal block


class Columns(NamedTuple):
    """Columns of a gathered design for the residual form; dense when `indices` is empty, CSC otherwise.

    Dense: `data` is (s, n), one feature a contiguous row. CSC: `data` (nnz,), `indices` (nnz,) int64,
    `indptr` (s + 1,) int64. `center` (s,) is subtracted lazily from every CSC column (zeros when dense).
    `panels` is what `prepare_columns` computed once for all later sweeps.
    """

    data: Array
    indices: Array
    indptr: Array
    center: Array
    panels: tuple[Panel, ...] = ()


class Descent(NamedTuple):
    """What a sweep reports: the duality gap of the compact problem it reached and the epochs it took."""

    gap: float
    epochs: int


class Kernels(Protocol):
    """Operations every backend supplies. All arrays live in the backend's namespace `xp`."""

    xp: Any

    def correlate(self, X: Array, R: Array) -> Array:
        """`X' R` of shape (p, t) for dense X (n, p) and R (n, t), in the faster orientation."""
        ...

    def predict(self, X: Array, W: Array) -> Array:
        """`X W` of shape (n, t)."""
        ...

    def prox(self, V: Array, step: float, shrink: BlockShrink) -> Array:
        """`argmin_W 1/2 |W - V|^2 + step * penalty(W)` as a new (s, t) array."""
        ...

    def penalty_value(self, W: Array, shrink: BlockShrink) -> float:
        """The penalty at W, without the sign constraint."""
        ...

    def sweep(self, quadratic: Quadratic, shrink: BlockShrink, tol: float, max_epochs: int) -> Descent:
        """Descend on `quadratic + penalty` in place until its duality gap is at most `tol` (absolute)."""
        ...

    def sweep_batch(
        self, quadratics: list[Quadratic], shrinks: list[BlockShrink], tols: Array, max_epochs: int
    ) -> list[Descent]:
        """`sweep` for many small problems in one call."""
        ...

    def prepare_columns(self, data: Array, shrink: BlockShrink, t: int) -> Columns:
        """Columns of a dense gathered design (s, n), with whatever the sweeps of t tasks reuse from epoch to epoch."""
        ...

    def block_scores(self, V: Array, shrink: BlockShrink) -> Array:
        """`|S(V_b, l1)|_F / l2_b` (B,), the largest `|v| / l1` where l2 = 0: above 1 the block must leave zero."""
        ...

    def duality_gap(
        self, linear: Array, gradient: Array, W: Array, constant: float, shrink: BlockShrink
    ) -> float:
        """Duality gap of the compact problem, see `Quadratic`, with the scaled residual as dual point."""
        ...

    def sweep_columns(
        self, columns: Columns, residual: Array, coef: Array, weight: Array, shrink: BlockShrink, epochs: int
    ) -> float:
        """`epochs` cyclic passes of exact block steps in residual form, `residual` and `coef` in place.

        Minimises `1/2 sum_it weight_it r_it^2 + penalty(W)` with `r = y - X W`; `weight` is (n, 1) or (n, t).
        Returns the largest squared move in the metric of the block curvatures in the last pass.
        """
        ...

    def singular_shrink(self, W: Array, threshold: float) -> tuple[Array, Array, Array]:
        """Singular value soft-thresholding: factors U (p, r), s (r,), Vt (r, t) of the result, s > 0."""
        ...

    def tridiagonal_factor(
        self, diagonal: Array, off: Array, scales: Array, shift: float
    ) -> tuple[Array, Array]:
        """LDL' of `scales_j T + shift I` for every j: inverse pivots (q, k) and multipliers (q, k)."""
        ...

    def tridiagonal_solve(self, pivots: Array, multipliers: Array, B: Array) -> Array:
        """Solve the factored shifted systems column by column for B (q, k)."""
        ...

    def tridiagonal_multiply(self, diagonal: Array, off: Array, B: Array) -> Array:
        """`T B` for the symmetric tridiagonal T and B (q, k)."""
        ...
