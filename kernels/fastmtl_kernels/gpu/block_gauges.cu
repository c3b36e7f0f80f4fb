// gauges[b] = 1 / a for the largest a with |S(a V_b, l1)|_F <= l2, that is |a v| <= l1 for every entry where l2 = 0: above 1
// the block must leave zero. 0 where no a is too large, and for a block without any penalty.
// Launch: one warp a penalty block, blockDim.x a multiple of 32, any grid.
extern "C" __global__ void block_gauges(const real *V, double *gauges, const index_t *ptr, const double *l1,
                                        const double *l2, const double *ridge, index_t blocks, index_t tasks,
                                        int positive)
{
    const Shrink shrink = {ptr, l1, l2, ridge, blocks, positive};
    const index_t warps = index_t(gridDim.x) * (blockDim.x >> 5);
    for (index_t b = index_t(blockIdx.x) * (blockDim.x >> 5) + (threadIdx.x >> 5); b < blocks; b += warps) {
        const index_t low = ptr[b], cells = (ptr[b + 1] - low) * tasks;
        double square = 0.0, slack = 0.0;
        for (Cells at(threadIdx.x & 31, 32, tasks); at.cell < cells; at.next()) {
            const double v = V[low * tasks + at.cell], strength = l1[low + at.row];
            if (isinf(strength)) continue;
            square += positive && v < 0.0 ? 0.0 : v * v;
            slack += strength * strength;
        }
        const double size = sqrt(warp_sum(square)), allowed = l2[b] + sqrt(warp_sum(slack));
        double gauge = allowed > 0.0 || !(size > 0.0) ? size : 0.0;  // NaN stays NaN
        // |S(a v, l1)| >= a |v| - |l1|: no root is beyond allowed / size.
        if (gauge > 0.0) gauge = 1.0 / warp_block_scale(V, shrink, b, tasks, allowed / size);
        if ((threadIdx.x & 31) == 0) gauges[b] = gauge;
    }
}
