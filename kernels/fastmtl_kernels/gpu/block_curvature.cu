// An upper bound of the largest eigenvalue of each diagonal block of each Gram matrix, out (k, blocks): the smaller of
// the largest absolute row sum and the Frobenius norm; exact for single rows.
// Launch: one warp a pair (matrix, block), blockDim.x a multiple of 32, any grid.
extern "C" __global__ void block_curvature(const real *gram, double *out, const index_t *ptr, index_t matrices,
                                           index_t rows, index_t blocks)
{
    const index_t warps = index_t(gridDim.x) * (blockDim.x >> 5);
    const int lane = threadIdx.x & 31;
    for (index_t at = index_t(blockIdx.x) * (blockDim.x >> 5) + (threadIdx.x >> 5); at < matrices * blocks; at += warps) {
        const index_t low = ptr[at % blocks], high = ptr[at % blocks + 1];
        const real *G = gram + (at / blocks) * rows * rows;
        double top = 0.0, square = 0.0;
        for (index_t i = low; i < high; ++i) {
            double row = 0.0;
            for (index_t j = low + lane; j < high; j += 32) {
                const double g = G[i * rows + j];
                row += fabs(g);
                square += g * g;
            }
            top = fmax(top, warp_sum(row));
        }
        const double frobenius = sqrt(warp_sum(square));
        // A one-row block is its own eigenvalue; taking the root of its square would round it.
        if (lane == 0) out[at] = high - low == 1 ? top : fmin(top, frobenius * (1.0 + 1e-12));
    }
}
