// Duality gap of 1/2 |Y - XW|^2 + penalty(W) from the compact form, with the residual R as dual direction:
// <Y, R> = 2 constant - <linear, W> and |R|^2 = <Y, R> - <gradient, W>. The same on every thread of the block.
__device__ inline double compact_gap(const real *linear, const real *gradient, const real *coef, double constant,
                                     const Shrink &shrink, index_t rows, index_t tasks)
{
    const index_t warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
    double cross = 0.0, inner = 0.0;
    for (index_t e = threadIdx.x; e < rows * tasks; e += blockDim.x) {
        cross += double(linear[e]) * double(coef[e]);
        inner += double(gradient[e]) * double(coef[e]);
    }
    cross = 2.0 * constant - block_sum(cross);
    inner = block_sum(inner);
    const double square = fmax(cross - inner, 0.0);
    double penalty = 0.0;
    for (index_t b = warp; b < shrink.blocks; b += warps) penalty += warp_block_value(coef, shrink, b, tasks);
    const bool leader = (threadIdx.x & 31) == 0;
    const double primal = 0.5 * square + block_sum(leader ? penalty : 0.0);
    if (!(cross > 0.0)) return cross == cross ? primal : cross;
    const double start = square > 1e-300 * cross ? cross / square : 1e300;
    double scale = start;
    for (index_t b = warp; b < shrink.blocks; b += warps)
        scale = fmin(scale, warp_block_scale(gradient, shrink, b, tasks, start));
    scale = -block_max(-scale);
    double conjugate = 0.0, unscaled = 0.0;
    for (index_t b = warp; b < shrink.blocks; b += warps) {
        if (!(shrink.ridge[b] > 0.0)) continue;
        const double excess = fmax(warp_block_norm(gradient, shrink, b, tasks, scale) - shrink.l2[b], 0.0);
        conjugate += excess * excess / (2.0 * shrink.ridge[b]);
        if (scale > 1.0) {
            const double other = fmax(warp_block_norm(gradient, shrink, b, tasks, 1.0) - shrink.l2[b], 0.0);
            unscaled += other * other / (2.0 * shrink.ridge[b]);
        }
    }
    conjugate = block_sum(leader ? conjugate : 0.0);
    unscaled = block_sum(leader ? unscaled : 0.0);
    double best = fmax(scale * cross - 0.5 * scale * scale * square - conjugate, 0.0);
    if (scale > 1.0) best = fmax(best, cross - 0.5 * square - unscaled);
    return primal - best;
}
