"""Block shrinkage: prox, value, scores and the duality gap of the compact problem."""

from __future__ import annotations

import numpy as np

from ._jit import jit


@jit
def threshold(value, l1, positive):
    """Soft threshold of one number; its positive part alone when `positive`."""
    if value > l1:
        return value - l1
    if not positive and value < -l1:
        return value + l1
    return 0.0


@jit
def block_norm(V, low, high, scale, l1, positive):
    """`|S(scale * V[low:high], l1)|_F`."""
    total = 0.0
    t = V.shape[1]
    for j in range(low, high):
        strength = l1[j]
        if strength == 0.0 and not positive:
            for c in range(t):
                total += scale * V[j, c] * (scale * V[j, c])
        else:
            for c in range(t):
                u = threshold(scale * V[j, c], strength, positive)
                total += u * u
    return np.sqrt(total)


@jit
def prox(V, step, ptr, l1, l2, ridge, positive, out):
    """`argmin_W 1/2 |W - V|^2 + step * penalty(W)` into `out`."""
    t = V.shape[1]
    for b in range(len(ptr) - 1):
        total = 0.0
        for j in range(ptr[b], ptr[b + 1]):
            for c in range(t):
                u = threshold(V[j, c], step * l1[j], positive)
                out[j, c] = u
                total += u * u
        norm = np.sqrt(total)
        bound = step * l2[b]
        factor = (1.0 - bound / norm) / (1.0 + step * ridge[b]) if norm > bound else 0.0
        for j in range(ptr[b], ptr[b + 1]):
            for c in range(t):
                out[j, c] *= factor


@jit
def penalty_value(W, ptr, l1, l2, ridge):
    """The penalty at W, the sign constraint aside."""
    value = 0.0
    t = W.shape[1]
    for b in range(len(ptr) - 1):
        squares = 0.0
        for j in range(ptr[b], ptr[b + 1]):
            total = 0.0
            for c in range(t):
                squares += W[j, c] * W[j, c]
                total += abs(W[j, c])
            if total > 0.0:
                value += l1[j] * total
        if squares > 0.0:
            value += l2[b] * np.sqrt(squares) + 0.5 * ridge[b] * squares
    return value


@jit
def block_scores(V, ptr, l1, l2, positive, out):
    """How far each block of the gradient is from moving away from zero: above 1 it must.

    `|S(V_b, l1)|_F / l2`, or the largest `|v| / l1` where l2 = 0; 0 for an excluded block, inf for an unpenalised one.
    """
    t = V.shape[1]
    for b in range(len(ptr) - 1):
        if l2[b] > 0.0:
            out[b] = block_norm(V, ptr[b], ptr[b + 1], 1.0, l1, positive) / l2[b]
        else:
            top = 0.0
            for j in range(ptr[b], ptr[b + 1]):
                if l1[j] == 0.0:
                    top = np.inf if not positive or V[j].max() > 0.0 else top
                    continue
                for c in range(t):
                    size = V[j, c] if positive else abs(V[j, c])
                    if size > top * l1[j]:
                        top = size / l1[j]
            out[b] = top


@jit
def _feasible_scale(V, ptr, l1, l2, ridge, positive, start):
    """Largest a <= start with `|S(a V_b, l1)|_F <= l2_b` in every penalised block without ridge.

    Each block's function of a is convex and increasing, so Newton from a point that violates it comes down
    monotonically to the root.
    """
    a = start
    t = V.shape[1]
    for b in range(len(ptr) - 1):
        if ridge[b] > 0.0 or (l2[b] == 0.0 and l1[ptr[b]] == 0.0):
            continue
        for _ in range(60):
            norm = block_norm(V, ptr[b], ptr[b + 1], a, l1, positive)
            if norm <= l2[b]:
                break
            slope = 0.0
            for j in range(ptr[b], ptr[b + 1]):
                for c in range(t):
                    slope += threshold(a * V[j, c], l1[j], positive) * V[j, c]
            if slope <= 0.0:
                break
            if l2[b] == 0.0:
                # No smooth root at zero norm: the largest entry sets the scale.
                top = 0.0
                for j in range(ptr[b], ptr[b + 1]):
                    for c in range(t):
                        size = V[j, c] if positive else abs(V[j, c])
                        if size > 0.0 and (top == 0.0 or l1[j] / size < top):
                            top = l1[j] / size
                a = min(a, top)
                break
            step = (norm - l2[b]) * norm / slope
            a -= step
            if step <= 1e-15 * a:
                break
    return a


@jit
def _conjugate(V, a, ptr, l1, l2, ridge, positive):
    """Conjugate of the penalty at aV over the blocks that have a ridge."""
    value = 0.0
    for b in range(len(ptr) - 1):
        if ridge[b] > 0.0:
            excess = block_norm(V, ptr[b], ptr[b + 1], a, l1, positive) - l2[b]
            if excess > 0.0:
                value += excess * excess / (2.0 * ridge[b])
    return value


@jit
def duality_gap(linear, gradient, W, constant, ptr, l1, l2, ridge, positive):
    """Duality gap of `1/2 |Y - XW|^2 + penalty(W)` from its compact form, with the residual as dual direction.

    `<Y, R> = 2 constant - <linear, W>` and `|R|^2 = <Y, R> - <gradient, W>`.
    """
    lw = 0.0
    gw = 0.0
    for j in range(W.shape[0]):
        for c in range(W.shape[1]):
            lw += linear[j, c] * W[j, c]
            gw += gradient[j, c] * W[j, c]
    cross = 2.0 * constant - lw
    square = max(cross - gw, 0.0)
    primal = 0.5 * square + penalty_value(W, ptr, l1, l2, ridge)
    best = 0.0
    if cross > 0.0:
        start = cross / square if square > 1e-300 * cross else 1e300
        a = _feasible_scale(gradient, ptr, l1, l2, ridge, positive, start)
        best = a * cross - 0.5 * a * a * square - _conjugate(gradient, a, ptr, l1, l2, ridge, positive)
        if a > 1.0:
            best = max(best, cross - 0.5 * square - _conjugate(gradient, 1.0, ptr, l1, l2, ridge, positive))
    return primal - max(best, 0.0)
