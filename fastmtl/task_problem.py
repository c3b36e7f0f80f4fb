"""The problem with any losses: shared X or one a task, gaps, weights by sample and task, losses mixed across tasks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ._arrays import Array
from .designs import TaskDesign
from .losses import Loss, monotone_root
from .penalties import Penalty

EPS = float(np.finfo(np.float64).eps)


class Part(NamedTuple):
    """Neighbouring columns under one loss, and where their entries are in flat arrays."""

    loss: Loss
    columns: slice
    entries: slice

    def view(self, A: Array) -> Array:
        """The entries of this part as its loss takes them: (n, classes) when it is joint, else flat."""
        A = A[self.entries]
        return A.reshape(self.columns.stop - self.columns.start, -1).T if self.loss.joint else A


@dataclass(frozen=True, eq=False)
class TaskProblem:
    """`sum_i omega_i loss_i(y_i, o_i + z_i) + penalty(W)` over W (p, t) and, if asked, b (t,), with z the flat predictions.

    Attributes
    ----------
    design : TaskDesign
        Maps W (p, t) to the predictions (N,), column after column.
    parts : tuple of Part
        Columns by loss, in order.
    y : ndarray of shape (N,)
        Targets as the losses encode them; any legal value at a gap.
    omega : ndarray of shape (N,)
        Weight `c_t s_ti / N_t` of every entry, zero at a gap.
    penalty : Penalty
        With its alpha set.
    fit_intercept : bool
    offset : ndarray of shape (N,) or None
    is_joint : bool
        Whether columns that nothing ties together are handled as one component all the same.
    """

    design: TaskDesign
    parts: tuple[Part, ...]
    y: Array
    omega: Array
    penalty: Penalty
    fit_intercept: bool = True
    offset: Array | None = None
    is_joint: bool = False

    DATA_ONLY: ClassVar[tuple[str, ...]] = ("weight", "unbounded", "null_intercepts", "null_value")
    """What is computed from the data, whatever the penalty."""

    @property
    def n_tasks(self) -> int:
        """Number of columns of W."""
        return self.design.t

    @cached_property
    def free(self) -> Array:
        """Indices of features that the penalty never touches."""
        return np.flatnonzero(self.penalty.free(self.design.p))

    @cached_property
    def weight(self) -> Array:
        """Sum of omega over every column (t,)."""
        return self.design.sums(self.omega)

    @property
    def is_quadratic(self) -> bool:
        """Whether every loss is the squared one, so that its Hessian never changes."""
        return all(part.loss.name == "squared" for part in self.parts)

    @cached_property
    def components(self) -> tuple[tuple[slice, TaskProblem], ...]:
        """Columns that penalty or losses tie together, each with their problem: all, unless the penalty sums over entries."""
        form = self.penalty.lower(self.design.p)
        everything = slice(0, self.n_tasks)
        if self.is_joint or form is None or form.l2[np.isfinite(form.l2)].any():
            return ((everything, self),)
        ranges = []
        for part in self.parts:
            step = part.columns.stop - part.columns.start if part.loss.joint else 1
            ranges += [slice(c, c + step) for c in range(part.columns.start, part.columns.stop, step)]
        features = np.arange(self.design.p)
        return tuple((c, self.restricted(features, self.penalty, c.start, c.stop)) for c in ranges)

    def entries(self, columns: slice) -> slice:
        """Where the entries of some columns are in flat arrays."""
        return slice(int(self.design.ptr[columns.start]), int(self.design.ptr[columns.stop]))

    @property
    def is_majorised(self) -> bool:
        """Whether some loss gives an upper bound for its Hessian: those of several columns, which have a full one."""
        return any(
            part.loss.joint or (type(part.loss).hessian is Loss.hessian and np.isfinite(part.loss.curvature))
            for part in self.parts
        )

    def shifted(self, Z: Array) -> Array:
        """Z plus the offsets."""
        return Z if self.offset is None else Z + self.offset

    def loss_value(self, Z: Array) -> float:
        """`sum omega loss(y, o + Z)`."""
        return self._total("value", self.shifted(Z))

    def loss_gradient(self, Z: Array) -> Array:
        """Derivative (N,) of the loss of every entry in Z, before weighting."""
        return self._map("gradient", self.shifted(Z))

    def loss_hessian(self, Z: Array) -> Array:
        """Second derivative (N,) likewise; of a joint loss a diagonal that bounds it."""
        return self._map("hessian", self.shifted(Z))

    def loss_conjugate(self, U: Array) -> float:
        """`sum omega loss*(U; y)`."""
        return self._total("conjugate", U)

    def project_dual(self, theta: Array) -> Array:
        """The nearest point at which the conjugate of the losses, at -theta, is finite."""
        return -self._map("project_dual", -theta)

    def _views(self, *arrays: Array) -> Iterator[tuple[Any, ...]]:
        for part in self.parts:
            yield part, *(part.view(A) for A in (self.y, *arrays))

    def _map(self, method: str, A: Array) -> Array:
        out = np.empty_like(A)
        for part, y, a in self._views(A):
            out[part.entries] = np.ravel(getattr(part.loss, method)(y, a), order="F")
        return out

    def _total(self, method: str, A: Array) -> float:
        total = 0.0
        for part, y, a in self._views(A):
            values = getattr(part.loss, method)(y, a)
            weight = part.view(self.omega)[:, 0] if part.loss.joint else self.omega[part.entries]
            sum_ = float(weight @ values)
            # An infinite value without weight counts nothing.
            total += sum_ if np.isfinite(sum_) else float(np.where(weight > 0, weight * values, 0.0).sum())
        return total

    def best_intercepts(self, Z: Array, start: Array | None = None) -> Array:
        """Intercepts (t,) that minimise the loss beside Z; finite even where no minimum is attained."""
        b = np.zeros(self.n_tasks)
        if not self.fit_intercept:
            return b
        Z = self.shifted(Z)
        if self.is_quadratic:
            missed = self.design.sums(self.omega * (self.y - Z))
            return np.divide(missed, self.weight, out=b, where=self.weight > 0)
        design, settled = self.design, (self.weight == 0) | self.unbounded
        for part, y, z in self._views(Z):
            if part.loss.joint:
                b[part.columns] = design.home(part.loss.intercept(y, part.view(self.omega)[:, 0], z))
                settled[part.columns] = True
                continue
            for c in np.flatnonzero(self.unbounded[part.columns]) + part.columns.start:
                one = slice(design.ptr[c], design.ptr[c + 1])
                b[c] = part.loss.intercept(self.y[one], self.omega[one], Z[one])

        def slope(trial: Array) -> tuple[Array, Array]:
            at = Z + design.spread(trial)
            gradient = design.sums(self.omega * self._map("gradient", at))
            curvature = design.sums(self.omega * self._map("hessian", at))
            return np.where(settled, 0.0, gradient), curvature

        if settled.all():
            return b
        return monotone_root(slope, b if start is None else np.where(settled, b, start))

    @cached_property
    def unbounded(self) -> Array:
        """Mask (t,) of columns whose intercept has no finite optimum (one class only, counts all zero)."""
        out = np.zeros(self.n_tasks, dtype=bool)
        for part in self.parts:
            if not self.fit_intercept or part.loss.joint or type(part.loss).attained is Loss.attained:
                continue
            for c in range(part.columns.start, part.columns.stop):
                one = slice(self.design.ptr[c], self.design.ptr[c + 1])
                out[c] = not part.loss.attained(self.y[one], self.omega[one])
        return out

    @cached_property
    def null_intercepts(self) -> Array:
        """Intercepts of the null fit."""
        return self.best_intercepts(self.design.spread(np.zeros(self.n_tasks)))

    @cached_property
    def null_value(self) -> float:
        """P(0): the least loss over intercepts at W = 0, zero when it is rounding of the targets alone."""
        value = self.loss_value(self.design.spread(self.null_intercepts))
        if not self.is_quadratic:
            # Intercepts without a finite optimum are clipped where the mean loss is about eps: that is none.
            clipped = self.unbounded.copy()
            for part in self.parts:
                clipped[part.columns.start] |= part.loss.joint
            return 0.0 if value <= 2.0 * EPS * float(self.weight[clipped].sum()) else value
        scale = 0.5 * float(self.omega @ np.square(self.y))
        noise = (8.0 * EPS) ** 2 * self.design.shape[0]
        return 0.0 if value <= noise * scale else value

    def correlate(self, theta: Array) -> Array:
        """`V = X' (omega theta)` (p, t)."""
        return self.design.correlate(self.omega * theta)

    def restricted(
        self, features: Array, penalty: Penalty, low: int, high: int, *, is_joint: bool = False
    ) -> TaskProblem:
        """The problem of some features and the columns `low:high`, which must not cut a joint loss apart."""
        entries = self.entries(slice(low, high))
        parts = []
        for part in self.parts:
            first, last = max(part.columns.start, low), min(part.columns.stop, high)
            if first < last:
                bounds = slice(
                    int(self.design.ptr[first]) - entries.start, int(self.design.ptr[last]) - entries.start
                )
                parts.append(Part(part.loss, slice(first - low, last - low), bounds))
        out = TaskProblem(
            self.design.part(features, low, high),
            tuple(parts),
            self.y[entries],
            self.omega[entries],
            penalty,
            self.fit_intercept,
            None if self.offset is None else self.offset[entries],
            is_joint,
        )
        for name in ("weight", "unbounded", "null_intercepts"):
            if name in self.__dict__:
                out.__dict__[name] = self.__dict__[name][low:high]
        return out
