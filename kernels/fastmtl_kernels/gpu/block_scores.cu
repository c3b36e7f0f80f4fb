// scores[b] = |S(V_b, l1)|_F / l2, or the largest |v| / l1 where l2 = 0 (inf for an unpenalised row): above 1 the block
// must leave zero.
// Launch: one warp a penalty block, blockDim.x a multiple of 32, any grid.
extern "C" __global__ void block_scores(const real *V, double *scores, const index_t *ptr, const double *l1,
                                        const double *l2, index_t blocks, index_t tasks, int positive)
{
    const Shrink shrink = {ptr, l1, l2, nullptr, blocks, positive};
    const index_t warps = index_t(gridDim.x) * (blockDim.x >> 5);
    for (index_t b = index_t(blockIdx.x) * (blockDim.x >> 5) + (threadIdx.x >> 5); b < blocks; b += warps) {
        double score = 0.0;
        if (l2[b] > 0.0) {
            score = warp_block_norm(V, shrink, b, tasks, 1.0) / l2[b];
        } else {
            const index_t low = ptr[b], cells = (ptr[b + 1] - low) * tasks;
            for (Cells at(threadIdx.x & 31, 32, tasks); at.cell < cells; at.next()) {
                const double v = V[low * tasks + at.cell], strength = l1[low + at.row];
                const double size = positive ? fmax(v, 0.0) : fabs(v);
                // 1 / 0 for an unpenalised row; under W >= 0 its 0 / 0 is dropped by fmax.
                score = fmax(score, (strength == 0.0 && !positive ? 1.0 : size) / strength);
            }
            score = warp_max(score);
        }
        if ((threadIdx.x & 31) == 0) scores[b] = score;
    }
}
