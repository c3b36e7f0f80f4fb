// Momentum with adaptive restart: Y = next + beta (next - coef), coef = next, momentum theta in `before`, `after`.
// Every thread block folds the B partial sums of `proximal_step` itself, in the same order, so that no second launch is
// needed; only the first writes the new theta, to another place than the one all blocks read.
// Does nothing but carry theta on once state[1] ("done") is up.
// Launch: any grid, blockDim.x a multiple of 32 up to 1024.
extern "C" __global__ void extrapolate(real *Y, real *coef, const real *next, const double *advance,
                                       const double *before, double *after, const double *state, index_t blocks,
                                       index_t cells)
{
    double sum = 0.0;
    for (index_t b = threadIdx.x; b < blocks; b += blockDim.x) sum += advance[b];
    sum = block_sum(sum);
    const bool restart = sum > 0.0;
    const double theta = restart ? 1.0 : before[0];
    const double grown = 0.5 * (1.0 + sqrt(1.0 + 4.0 * theta * theta));
    const double beta = restart ? 0.0 : (theta - 1.0) / grown;
    if (blockIdx.x == 0 && threadIdx.x == 0) after[0] = grown;
    if (state[1] > 0.0) return;
    const index_t stride = index_t(gridDim.x) * blockDim.x;
    for (index_t e = index_t(blockIdx.x) * blockDim.x + threadIdx.x; e < cells; e += stride) {
        const double w = next[e];
        Y[e] = real(w + beta * (w - coef[e]));
        coef[e] = next[e];
    }
}
