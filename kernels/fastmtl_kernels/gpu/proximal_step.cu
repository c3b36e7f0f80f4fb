// One proximal gradient step from the extrapolated point Y on the compact problem, a step length a penalty block:
// V = Y + step_b (linear - scale (G Y)), next = prox of V; advance[b] = <Y - next, next - coef> / step_b, whose sum is
// positive when the momentum points uphill. Does nothing once state[1] ("done") is up.
// Launch: one warp a penalty block, blockDim.x a multiple of 32, any grid.
extern "C" __global__ void proximal_step(const real *linear, const real *product, const double *scale, const real *Y,
                                         const real *coef, real *next, const double *step, double *advance,
                                         const double *state, const index_t *ptr, const double *l1, const double *l2,
                                         const double *ridge, index_t blocks, index_t tasks, int positive)
{
    if (state[1] > 0.0) return;
    const index_t warps = index_t(gridDim.x) * (blockDim.x >> 5);
    for (index_t b = index_t(blockIdx.x) * (blockDim.x >> 5) + (threadIdx.x >> 5); b < blocks; b += warps) {
        const index_t low = ptr[b], first = low * tasks, cells = (ptr[b + 1] - low) * tasks;
        const double length = step[b];
        double square = 0.0;
        for (Cells at(threadIdx.x & 31, 32, tasks); at.cell < cells; at.next()) {
            const index_t e = first + at.cell;
            const double v = Y[e] + length * (linear[e] - scale[at.task] * product[e]);
            const double u = threshold(v, length * l1[low + at.row], positive);
            next[e] = real(u);
            square += u * u;
        }
        const double norm = sqrt(warp_sum(square)), bound = length * l2[b];
        const double factor = norm > bound ? (1.0 - bound / norm) / (1.0 + length * ridge[b]) : 0.0;
        double sum = 0.0;
        // Each lane meets the cells that it wrote itself, so that no barrier is needed.
        for (Cells at(threadIdx.x & 31, 32, tasks); at.cell < cells; at.next()) {
            const index_t e = first + at.cell;
            const real w = real(factor * next[e]);
            next[e] = w;
            sum += (double(Y[e]) - double(w)) * (double(w) - double(coef[e]));
        }
        sum = warp_sum(sum);
        if ((threadIdx.x & 31) == 0) advance[b] = sum / length;
    }
}
