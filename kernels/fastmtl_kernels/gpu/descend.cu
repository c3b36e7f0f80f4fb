// Cyclic block coordinate descent on many compact problems at once, one thread block a problem, until the duality gap
// of each is at most its tolerance.
//
// Arrays of all problems lie behind one another; row i of `layout` holds, for problem i: rows s, tasks t, Gram matrices
// k, penalty blocks B, and where its parts begin in gram, l1 (rows), linear/gradient/coef (cells), ptr, l2/ridge
// (blocks), scale (tasks), curvature, scratch; then positive, even (one curvature for all tasks), staged (the Gram
// matrix is copied to shared memory), and the cells of its largest block. Sums and steps run in double.
// scratch: three times the largest block, report (problems, 2): gap reached, epochs.
// Launch: one thread block a problem, blockDim.x a multiple of 32 up to 1024; shared memory for the staged matrix.

// Inner steps on a block of several rows: cheap beside the update of everything outside the block.
#define GROUP_STEPS 4

extern "C" __global__ void descend(const real *gram, const double *scale, const real *linear, real *gradient,
                                   real *coef, const double *constant, const index_t *ptr, const double *l1,
                                   const double *l2, const double *ridge, const double *curvature, const double *tol,
                                   const index_t *layout, real *scratch, double *bends, double *report,
                                   index_t problems, index_t max_epochs)
{
    DYNAMIC_SHARED(real, staged_gram);
    for (index_t problem = blockIdx.x; problem < problems; problem += gridDim.x) {
        const index_t *at = layout + 16 * problem;
        const index_t rows = at[0], tasks = at[1], matrices = at[2], widest = at[15];
        const Shrink shrink = {ptr + at[7], l1 + at[5], l2 + at[8], ridge + at[8], at[3], int(at[12])};
        const int even = int(at[13]);
        const real *G = gram + at[4], *L = linear + at[6];
        const double *c = scale + at[9], *bound = curvature + at[10];
        real *Z = gradient + at[6], *W = coef + at[6];
        real *move = scratch + at[11], *total = move + widest, *local = total + widest;
        double *bend = bends + at[9];
        __syncthreads();  // the previous problem has left the shared matrix
        if (at[14]) {
            for (index_t e = threadIdx.x; e < rows * rows; e += blockDim.x) staged_gram[e] = G[e];
            G = staged_gram;
        }
        __syncthreads();
        double gap = 0.0;
        index_t epoch = 0, check = 1;
        while (epoch < max_epochs) {
            ++epoch;
            double moved = 0.0;
            for (index_t b = 0; b < shrink.blocks; ++b) {
                const index_t low = shrink.ptr[b], height = shrink.ptr[b + 1] - low, cells = height * tasks;
                double top = 0.0;
                for (index_t t = threadIdx.x; t < tasks; t += blockDim.x) {
                    bend[t] = c[t] * bound[(matrices > 1 ? t : 0) * shrink.blocks + b];
                    top = fmax(top, bend[t]);
                }
                if (!(block_max(top) > 0.0)) continue;
                const real *z = Z + low * tasks;
                const int steps = height > 1 ? GROUP_STEPS : 1;
                double changed = 0.0;
                for (int inner = 0; inner < steps; ++inner) {
                    const double change = block_step(z, W + low * tasks, move, bend, shrink.l1 + low, shrink.l2[b],
                                                     shrink.ridge[b], shrink.positive, even, height, tasks);
                    changed += change;
                    if (steps > 1) {
                        for (Cells e(threadIdx.x, blockDim.x, tasks); e.cell < cells; e.next()) {
                            const real *row = G + (matrices > 1 ? e.task : 0) * rows * rows + (low + e.row) * rows + low;
                            double sum = 0.0;
                            for (index_t j = 0; j < height; ++j) sum += double(row[j]) * double(move[j * tasks + e.task]);
                            local[e.cell] = real(z[e.cell] - c[e.task] * sum);
                            total[e.cell] = (inner > 0 ? total[e.cell] : real(0)) + move[e.cell];
                        }
                        z = local;
                        __syncthreads();
                    }
                    if (!(change > 0.0)) break;
                }
                moved = fmax(moved, changed);
                if (!(changed > 0.0)) continue;
                const real *delta = steps > 1 ? total : move;
                for (Cells e(threadIdx.x, blockDim.x, tasks); e.cell < rows * tasks; e.next()) {
                    const real *row = G + (matrices > 1 ? e.task : 0) * rows * rows + e.row * rows + low;
                    double sum = 0.0;
                    for (index_t j = 0; j < height; ++j) sum += double(row[j]) * double(delta[j * tasks + e.task]);
                    Z[e.cell] = real(Z[e.cell] - c[e.task] * sum);
                }
                __syncthreads();
            }
            if (epoch >= check || epoch == max_epochs || !(moved > 0.0)) {
                gap = compact_gap(L, Z, W, constant[problem], shrink, rows, tasks);
                check = epoch + 1 + epoch / 4;
                if (gap <= tol[problem] || !(moved > 0.0) || gap != gap) break;
            }
        }
        if (threadIdx.x == 0) {
            report[2 * problem] = gap;
            report[2 * problem + 1] = double(epoch);
        }
    }
}
