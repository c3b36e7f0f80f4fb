// Forward and backward substitution with the factors of `tridiagonal_factor`, B (q, k) column by column.
// Launch: one thread a system j; any grid and block.
extern "C" __global__ void tridiagonal_solve(const real *pivots, const real *multipliers, const real *B, real *out,
                                             index_t q, index_t k)
{
    const index_t stride = index_t(gridDim.x) * blockDim.x;
    for (index_t j = index_t(blockIdx.x) * blockDim.x + threadIdx.x; j < k; j += stride) {
        real last = B[j];
        out[j] = last;
        for (index_t i = 1; i < q; ++i) {
            last = B[i * k + j] - multipliers[i * k + j] * last;
            out[i * k + j] = last;
        }
        last *= pivots[(q - 1) * k + j];
        out[(q - 1) * k + j] = last;
        for (index_t i = q - 2; i >= 0; --i) {
            last = out[i * k + j] * pivots[i * k + j] - multipliers[(i + 1) * k + j] * last;
            out[i * k + j] = last;
        }
    }
}
