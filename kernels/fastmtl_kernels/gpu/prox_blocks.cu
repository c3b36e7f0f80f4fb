// W = argmin 1/2 |W - V|^2 + step * penalty(W): soft threshold, then shrink the norm of each penalty block.
// Launch: one warp a penalty block, blockDim.x a multiple of 32, any grid.
extern "C" __global__ void prox_blocks(const real *V, real *W, const index_t *ptr, const double *l1, const double *l2,
                                       const double *ridge, double step, index_t blocks, index_t tasks, int positive)
{
    const index_t warps = index_t(gridDim.x) * (blockDim.x >> 5);
    for (index_t b = index_t(blockIdx.x) * (blockDim.x >> 5) + (threadIdx.x >> 5); b < blocks; b += warps) {
        const index_t low = ptr[b], cells = (ptr[b + 1] - low) * tasks;
        double square = 0.0;
        for (Cells at(threadIdx.x & 31, 32, tasks); at.cell < cells; at.next()) {
            const double u = threshold(V[low * tasks + at.cell], step * l1[low + at.row], positive);
            square += u * u;
        }
        const double norm = sqrt(warp_sum(square)), bound = step * l2[b];
        const double factor = norm > bound ? (1.0 - bound / norm) / (1.0 + step * ridge[b]) : 0.0;
        for (Cells at(threadIdx.x & 31, 32, tasks); at.cell < cells; at.next()) {
            const double u = threshold(V[low * tasks + at.cell], step * l1[low + at.row], positive);
            W[low * tasks + at.cell] = real(factor * u);
        }
    }
}
