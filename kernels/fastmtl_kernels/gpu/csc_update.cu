// residual[indices] -= x move for one CSC column, whose row indices are distinct; nothing to do when moved[1] is zero.
// `row` is the place of the column in `move` (height, tasks).
// Launch: one thread a pair (stored entry, task), any grid and block.
extern "C" __global__ void csc_update(const real *data, const index_t *indices, const index_t *indptr, const real *move,
                                      const double *moved, real *residual, index_t tasks, index_t column, index_t row)
{
    if (!(moved[1] > 0.0)) return;
    const index_t begin = indptr[column], cells = (indptr[column + 1] - begin) * tasks;
    const index_t start = index_t(blockIdx.x) * blockDim.x + threadIdx.x;
    for (Cells at(start, index_t(gridDim.x) * blockDim.x, tasks); at.cell < cells; at.next()) {
        const index_t i = indices[begin + at.row];
        residual[i * tasks + at.task] =
            real(residual[i * tasks + at.task] - double(data[begin + at.row]) * double(move[row * tasks + at.task]));
    }
}
