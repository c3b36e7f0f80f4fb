// LDL' of scales_j T + shift I for every j: inverse pivots and multipliers (q, k), row 0 of the multipliers zero.
// Launch: one thread a system j, so that neighbouring threads read neighbouring columns; any grid and block.
extern "C" __global__ void tridiagonal_factor(const real *diagonal, const real *off, const real *scales, real shift,
                                              real *pivots, real *multipliers, index_t q, index_t k)
{
    const index_t stride = index_t(gridDim.x) * blockDim.x;
    for (index_t j = index_t(blockIdx.x) * blockDim.x + threadIdx.x; j < k; j += stride) {
        const real scale = scales[j];
        real pivot = real(1) / (scale * diagonal[0] + shift);
        pivots[j] = pivot;
        multipliers[j] = real(0);
        for (index_t i = 1; i < q; ++i) {
            const real coupling = scale * off[i - 1], ratio = coupling * pivot;
            pivot = real(1) / (scale * diagonal[i] + shift - ratio * coupling);
            multipliers[i * k + j] = ratio;
            pivots[i * k + j] = pivot;
        }
    }
}
