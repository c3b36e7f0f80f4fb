// values[b] = penalty of block b at W, the sign constraint aside.
// Launch: one warp a penalty block, blockDim.x a multiple of 32, any grid.
extern "C" __global__ void block_values(const real *W, double *values, const index_t *ptr, const double *l1,
                                        const double *l2, const double *ridge, index_t blocks, index_t tasks)
{
    const Shrink shrink = {ptr, l1, l2, ridge, blocks, 0};
    const index_t warps = index_t(gridDim.x) * (blockDim.x >> 5);
    for (index_t b = index_t(blockIdx.x) * (blockDim.x >> 5) + (threadIdx.x >> 5); b < blocks; b += warps) {
        const double value = warp_block_value(W, shrink, b, tasks);
        if ((threadIdx.x & 31) == 0) values[b] = value;
    }
}
