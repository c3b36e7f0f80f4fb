// residual -= X_b move for `height` dense columns from `first`; nothing to do when moved[1] is zero.
// Launch: one thread a cell of the residual, any grid and block.
extern "C" __global__ void column_update(const real *X, const real *move, const double *moved, real *residual, index_t n,
                                         index_t tasks, index_t first, index_t height)
{
    if (!(moved[1] > 0.0)) return;
    const index_t start = index_t(blockIdx.x) * blockDim.x + threadIdx.x;
    for (Cells at(start, index_t(gridDim.x) * blockDim.x, tasks); at.cell < n * tasks; at.next()) {
        double sum = 0.0;
        for (index_t j = 0; j < height; ++j)
            sum += double(X[(first + j) * n + at.row]) * double(move[j * tasks + at.task]);
        residual[at.cell] = real(residual[at.cell] - sum);
    }
}
