// One penalty block in the hands of one warp. Rows low..high of V (s, tasks), l1 a row, l2 and ridge a block.

struct Shrink {
    const index_t *ptr;   // (blocks + 1,)
    const double *l1;     // (s,)
    const double *l2;     // (blocks,)
    const double *ridge;  // (blocks,)
    index_t blocks;
    int positive;
};

// |S(scale V_b, l1)|_F, the same on every lane.
__device__ inline double warp_block_norm(const real *V, const Shrink &shrink, index_t b, index_t tasks, double scale)
{
    const index_t low = shrink.ptr[b], cells = (shrink.ptr[b + 1] - low) * tasks;
    double square = 0.0;
    for (Cells at(threadIdx.x & 31, 32, tasks); at.cell < cells; at.next()) {
        const double u = threshold(scale * V[low * tasks + at.cell], shrink.l1[low + at.row], shrink.positive);
        square += u * u;
    }
    return sqrt(warp_sum(square));
}

// l1 |W_b|_1 + l2 |W_b|_F + ridge / 2 |W_b|_F^2, the same on every lane.
__device__ inline double warp_block_value(const real *W, const Shrink &shrink, index_t b, index_t tasks)
{
    const index_t low = shrink.ptr[b], cells = (shrink.ptr[b + 1] - low) * tasks;
    double square = 0.0, sum = 0.0;
    for (Cells at(threadIdx.x & 31, 32, tasks); at.cell < cells; at.next()) {
        const double w = W[low * tasks + at.cell];
        square += w * w;
        sum += shrink.l1[low + at.row] * fabs(w);
    }
    square = warp_sum(square);
    return warp_sum(sum) + shrink.l2[b] * sqrt(square) + 0.5 * shrink.ridge[b] * square;
}

// Largest a <= start with |S(a V_b, l1)|_F <= l2. The norm is convex and increasing in a, so that Newton from a point
// that violates the bound comes down monotonically to the root; with l2 = 0 the first entry to pass l1 sets a. A block
// without any penalty sets none: its gradient vanishes at the solution.
__device__ inline double warp_block_scale(const real *V, const Shrink &shrink, index_t b, index_t tasks, double start)
{
    const index_t low = shrink.ptr[b];
    if (shrink.ridge[b] > 0.0 || (shrink.l2[b] == 0.0 && shrink.l1[low] == 0.0)) return start;
    const index_t cells = (shrink.ptr[b + 1] - low) * tasks;
    const double l2 = shrink.l2[b];
    double a = start;
    if (l2 == 0.0) {
        for (Cells at(threadIdx.x & 31, 32, tasks); at.cell < cells; at.next()) {
            const double v = V[low * tasks + at.cell], size = shrink.positive ? v : fabs(v);
            if (size > 0.0) a = fmin(a, shrink.l1[low + at.row] / size);
        }
        return -warp_max(-a);
    }
    for (int iteration = 0; iteration < 60; ++iteration) {
        double square = 0.0, slope = 0.0;
        for (Cells at(threadIdx.x & 31, 32, tasks); at.cell < cells; at.next()) {
            const double v = V[low * tasks + at.cell];
            const double u = threshold(a * v, shrink.l1[low + at.row], shrink.positive);
            square += u * u;
            slope += u * v;
        }
        const double norm = sqrt(warp_sum(square));
        slope = warp_sum(slope);
        if (norm <= l2 || !(slope > 0.0)) break;
        const double step = (norm - l2) * norm / slope;
        a -= step;
        if (step <= 1e-15 * a) break;
    }
    return a;
}
