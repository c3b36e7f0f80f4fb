// out = T B for the symmetric tridiagonal T and B (q, k); out does not overlap B.
// Launch: one thread a cell, any grid and block.
extern "C" __global__ void tridiagonal_multiply(const real *diagonal, const real *off, const real *B, real *out,
                                                index_t q, index_t k)
{
    const index_t first = index_t(blockIdx.x) * blockDim.x + threadIdx.x;
    for (Cells at(first, index_t(gridDim.x) * blockDim.x, k); at.cell < q * k; at.next()) {
        real value = diagonal[at.row] * B[at.cell];
        if (at.row > 0) value += off[at.row - 1] * B[at.cell - k];
        if (at.row + 1 < q) value += off[at.row] * B[at.cell + k];
        out[at.cell] = value;
    }
}
