// One exact (single row) or majorised (several rows) step on a penalty block by a whole thread block.

// Root r of sum_e u_e^2 / ((bend_t + ridge) r + l2)^2 = 1: the norm of the minimising block when the curvature differs
// by task. 1 / sqrt of the sum is concave in r, so that Newton from the left of the root climbs to it monotonically;
// the largest curvature for all tasks gives such a start.
__device__ inline double norm_root(const real *u, const double *bend, index_t cells, index_t tasks, double norm,
                                   double l2, double ridge)
{
    double top = 0.0;
    for (index_t t = threadIdx.x; t < tasks; t += blockDim.x) top = fmax(top, bend[t]);
    top = block_max(top) + ridge;
    double r = (norm - l2) / top;
    for (int iteration = 0; iteration < 100; ++iteration) {
        double sum = 0.0, slope = 0.0;
        for (Cells at(threadIdx.x, blockDim.x, tasks); at.cell < cells; at.next()) {
            const double curvature = bend[at.task] + ridge, d = curvature * r + l2;
            const double square = (u[at.cell] / d) * (u[at.cell] / d);
            sum += square;
            slope += square * curvature / d;
        }
        sum = block_sum(sum);
        slope = block_sum(slope);
        if (!(slope > 0.0)) break;
        const double step = (1.0 - 1.0 / sqrt(sum)) * sum / slope;
        r += step;
        if (!(fabs(step) > 1e-14 * r)) break;
    }
    return r < 0.0 ? 0.0 : r;  // by rounding, where the norm is hardly above l2
}

// Minimises 1/2 sum_e bend_t (w_e - coef_e)^2 - <z, w> + penalty of the block over w (rows, tasks).
//
// z : negative gradient of the block; coef : the block, modified in place; move : receives the change of coef;
// bend (tasks,) : curvature a task; even : all entries of bend are equal.
// Returns sum_e bend_t move_e^2 on every thread. All threads of the block take part; z, coef and bend must be visible
// to all of them at entry, and move is visible to all at return.
__device__ inline double block_step(const real *z, real *coef, real *move, const double *bend, const double *l1,
                                    double l2, double ridge, int positive, int even, index_t rows, index_t tasks)
{
    const index_t cells = rows * tasks;
    double square = 0.0;
    for (Cells at(threadIdx.x, blockDim.x, tasks); at.cell < cells; at.next()) {
        const double u = threshold(z[at.cell] + bend[at.task] * coef[at.cell], l1[at.row], positive);
        move[at.cell] = real(u);
        square += u * u;
    }
    const double norm = sqrt(block_sum(square));
    const bool rooted = !even && l2 > 0.0 && norm > l2;
    const double r = rooted ? norm_root(move, bend, cells, tasks, norm, l2, ridge) : 0.0;
    double change = 0.0;
    for (Cells at(threadIdx.x, blockDim.x, tasks); at.cell < cells; at.next()) {
        const double curvature = bend[at.task] + ridge, u = move[at.cell];
        double w = 0.0;
        if (norm > l2 && curvature > 0.0) w = rooted ? u * r / (curvature * r + l2) : u * (1.0 - l2 / norm) / curvature;
        const real next = real(w), delta = next - coef[at.cell];
        coef[at.cell] = next;
        move[at.cell] = delta;
        change += bend[at.task] * double(delta) * double(delta);
    }
    return block_sum(change);
}
