"""Cyclic block coordinate descent on compact problems: exact block steps, everything in cache.

`sweep_chunk` serves many tasks: it works on a chunk of some 64 rows, looking left (the gradient of a row is rebuilt from
the moves made so far in the chunk), so that the moves leave the chunk as one matrix product.
`sweep_tasks` serves few tasks and Gram matrices that differ by task: it looks right, one contiguous Gram row a move.
"""

from __future__ import annotations

import numpy as np

from ._jit import jit
from ._shrink import duality_gap, threshold

GROUP_STEPS = 4
"""Inner steps on a block of several features: cheap beside the update of everything outside the block."""


@jit
def _row_gradient(G, j, Z, D, touched, count, out):
    """`out = Z[j] - sum_i G[j, i] D[i]` over the touched rows, four at a time so that `out` stays in registers longer."""
    t = Z.shape[1]
    for c in range(t):
        out[c] = Z[j, c]
    i = 0
    while i + 4 <= count:
        a, b, d, e = touched[i], touched[i + 1], touched[i + 2], touched[i + 3]
        ga, gb, gd, ge = G[j, a], G[j, b], G[j, d], G[j, e]
        for c in range(t):
            out[c] -= ga * D[a, c] + gb * D[b, c] + gd * D[d, c] + ge * D[e, c]
        i += 4
    while i < count:
        a = touched[i]
        ga = G[j, a]
        for c in range(t):
            out[c] -= ga * D[a, c]
        i += 1


@jit
def sweep_chunk(G, Z, W, ptr, l1, l2, ridge, curvature, positive, passes, tol, D, touched, size, base, work):
    """`passes` cyclic passes over the blocks of one chunk, W in place.

    Parameters
    ----------
    G : (b, b) Gram matrix of the chunk.
    Z : (b, t) negative gradient at entry; read only.
    W : (b, t), C-contiguous; modified in place.
    ptr, l1, l2, ridge : the penalty on the rows of the chunk.
    curvature : (B,) largest eigenvalue of each diagonal block of G.
    tol : float
        A pass whose largest squared move (in the metric of the curvature) is at most this ends the loop.
    D : (b, t) work; holds the total move of every touched row at return.
    touched : (b,) int64 work; its first `count` entries list the moved rows at return.
    size, base : (b,) work; norms of the moves and of the rows of Z.
    work : (largest block, t) work.

    Returns
    -------
    count : int
        Number of moved rows.
    moved : float
        Largest squared move of the last pass.
    """
    b, t = W.shape
    count = 0
    for j in range(b):
        total = 0.0
        for c in range(t):
            D[j, c] = 0.0
            total += Z[j, c] * Z[j, c]
        base[j] = np.sqrt(total)
        size[j] = -1.0  # not touched yet
    moved = 0.0
    for _ in range(passes):
        moved = 0.0
        for g in range(len(ptr) - 1):
            low, high = ptr[g], ptr[g + 1]
            L = curvature[g]
            if L <= 0.0:
                continue
            if high - low == 1 and size[low] < 0.0 and l1[low] == 0.0:
                # A zero row whose gradient provably stays below the bound needs no exact gradient.
                zero = True
                for c in range(t):
                    if W[low, c] != 0.0:
                        zero = False
                        break
                if zero:
                    bound = base[low]
                    for i in range(count):
                        bound += abs(G[low, touched[i]]) * size[touched[i]]
                    if bound * (1.0 + 1e-12) <= l2[g]:
                        continue
            for _inner in range(1 if high - low == 1 else GROUP_STEPS):
                norm = 0.0
                for j in range(low, high):
                    row = work[j - low]
                    _row_gradient(G, j, Z, D, touched, count, row)
                    strength = l1[j]
                    if strength == 0.0 and not positive:
                        for c in range(t):
                            row[c] += L * W[j, c]
                            norm += row[c] * row[c]
                    else:
                        for c in range(t):
                            row[c] = threshold(row[c] + L * W[j, c], strength, positive)
                            norm += row[c] * row[c]
                norm = np.sqrt(norm)
                factor = (1.0 - l2[g] / norm) / (L + ridge[g]) if norm > l2[g] else 0.0
                change = 0.0
                for j in range(low, high):
                    row = work[j - low]
                    delta = 0.0
                    for c in range(t):
                        new = factor * row[c]
                        move = new - W[j, c]
                        delta += move * move
                        row[c] = new
                    if delta > 0.0:
                        if size[j] < 0.0:
                            touched[count] = j
                            count += 1
                        total = 0.0
                        for c in range(t):
                            D[j, c] += row[c] - W[j, c]
                            W[j, c] = row[c]
                            total += D[j, c] * D[j, c]
                        size[j] = np.sqrt(total)
                        change += delta
                moved = max(moved, L * change)
                if L * change <= tol:
                    break
        if moved <= tol:
            break
    return count, moved


@jit
def norm_root(U, rows, curvature, l2, ridge):
    """Root r of `sum_jc u_jc^2 / ((curvature_c + ridge) r + l2)^2 = 1`: the norm of the minimising block.

    With curvatures that differ by column the step `w = u r / ((curvature + ridge) r + l2)` is exact once r is known.
    Newton on `1/sqrt(h) - 1`, which is concave in r, approaches the root monotonically after its first step.
    """
    total = 0.0
    top = 0.0
    t = U.shape[1]
    for c in range(t):
        top = max(top, curvature[c] + ridge)
    for j in range(rows):
        for c in range(t):
            total += U[j, c] * U[j, c]
    r = (np.sqrt(total) - l2) / top
    for _ in range(100):
        h = 0.0
        slope = 0.0
        for c in range(t):
            m = curvature[c] + ridge
            d = m * r + l2
            square = 0.0
            for j in range(rows):
                square += U[j, c] * U[j, c]
            square /= d * d
            h += square
            slope += square * m / d
        if slope <= 0.0:
            break
        step = (1.0 - 1.0 / np.sqrt(h)) * h / slope
        r += step
        if abs(step) <= 1e-14 * r:
            break
    return 0.0 if r < 0.0 else r  # by rounding, where the norm is hardly above l2


@jit
def sweep_tasks(
    gram,
    scale,
    linear,
    gradient,
    W,
    constant,
    ptr,
    l1,
    l2,
    ridge,
    curvature,
    positive,
    tol,
    epochs,
    work,
    local,
    old,
):
    """Cyclic descent with a Gram matrix and a factor per task, until the duality gap is at most `tol`.

    Parameters
    ----------
    gram : (k, s, s), k = 1 or t.
    scale : (t,) factor on the Gram matrix of each task.
    linear, gradient, W : (s, t), Fortran-contiguous; `gradient` and `W` modified in place.
    curvature : (k, B) largest eigenvalue of each diagonal block of each Gram matrix, without `scale`.
    work, local, old : (largest block, t) work.

    Returns
    -------
    gap : float
    epoch : int
    """
    s, t = W.shape
    k = gram.shape[0]
    bend = np.empty(t)
    gap = np.inf
    epoch = 0
    check = 1
    while epoch < epochs:
        epoch += 1
        moved = 0.0
        for g in range(len(ptr) - 1):
            low, high = ptr[g], ptr[g + 1]
            rows = high - low
            top, least = 0.0, np.inf
            for c in range(t):
                bend[c] = scale[c] * curvature[c if k > 1 else 0, g]
                top = max(top, bend[c])
                least = min(least, bend[c])
            if top <= 0.0:
                continue
            even = top == least or l2[g] == 0.0
            for j in range(rows):
                for c in range(t):
                    local[j, c] = gradient[low + j, c]
                    old[j, c] = W[low + j, c]
            for inner in range(1 if rows == 1 else GROUP_STEPS):
                norm = 0.0
                for j in range(rows):
                    for c in range(t):
                        u = threshold(local[j, c] + bend[c] * W[low + j, c], l1[low + j], positive)
                        work[j, c] = u
                        norm += u * u
                norm = np.sqrt(norm)
                r = 0.0
                if norm > l2[g] and not even:
                    r = norm_root(work, rows, bend, l2[g], ridge[g])
                change = 0.0
                for j in range(rows):
                    for c in range(t):
                        new = 0.0
                        if norm > l2[g] and bend[c] + ridge[g] > 0.0:
                            if even:
                                new = work[j, c] * (1.0 - l2[g] / norm) / (bend[c] + ridge[g])
                            else:
                                new = work[j, c] * r / ((bend[c] + ridge[g]) * r + l2[g])
                        move = new - W[low + j, c]
                        W[low + j, c] = new
                        change += bend[c] * move * move
                        if rows > 1 and move != 0.0 and inner < GROUP_STEPS - 1:
                            G = gram[c if k > 1 else 0]
                            for i in range(rows):
                                local[i, c] -= scale[c] * G[low + j, low + i] * move
                moved = max(moved, change)
                if change <= 0.0:
                    break
            for j in range(rows):
                for c in range(t):
                    move = W[low + j, c] - old[j, c]
                    if move != 0.0:
                        row = gram[c if k > 1 else 0, low + j]
                        move *= scale[c]
                        for i in range(s):
                            gradient[i, c] -= row[i] * move
        if epoch >= check or epoch == epochs or moved <= 0.0:
            gap = duality_gap(linear, gradient, W, constant, ptr, l1, l2, ridge, positive)
            check = epoch + 1 + epoch // 4
            if gap <= tol or moved <= 0.0:
                break
    return gap, epoch


@jit
def sweep_few(data, residual, W, ptr, l1, l2, ridge, curvature, positive, epochs, work):
    """Cyclic passes in residual form for few tasks, one contiguous column of X a step.

    Parameters
    ----------
    data : (s, n), one feature a row.
    residual : (t, n), one task a contiguous row; modified in place.
    W : (s, t); modified in place.
    curvature : (B,) largest eigenvalue of the Gram matrix of each block.
    work : (largest block, t) work.

    Returns
    -------
    moved : float
        Largest squared move of the last pass, in the metric of the curvature.
    """
    t, n = residual.shape
    moved = 0.0
    for _ in range(epochs):
        moved = 0.0
        for g in range(len(ptr) - 1):
            low, high = ptr[g], ptr[g + 1]
            L = curvature[g]
            if L <= 0.0:
                continue
            norm = 0.0
            for j in range(low, high):
                x = data[j]
                for c in range(t):
                    r = residual[c]
                    total = 0.0
                    for i in range(n):
                        total += x[i] * r[i]
                    u = threshold(total + L * W[j, c], l1[j], positive)
                    work[j - low, c] = u
                    norm += u * u
            norm = np.sqrt(norm)
            factor = (1.0 - l2[g] / norm) / (L + ridge[g]) if norm > l2[g] else 0.0
            change = 0.0
            for j in range(low, high):
                x = data[j]
                for c in range(t):
                    move = factor * work[j - low, c] - W[j, c]
                    if move != 0.0:
                        W[j, c] += move
                        change += move * move
                        r = residual[c]
                        for i in range(n):
                            r[i] -= move * x[i]
            moved = max(moved, L * change)
        if moved <= 0.0:
            break
    return moved
