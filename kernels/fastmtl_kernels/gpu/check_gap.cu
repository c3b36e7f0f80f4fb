// Duality gap of one compact problem into state[0]; raises state[1] ("done") once it is at most tol or not a number.
// Launch: one thread block, blockDim.x a multiple of 32 up to 1024.
extern "C" __global__ void check_gap(const real *linear, const real *gradient, const real *coef, double constant,
                                     const index_t *ptr, const double *l1, const double *l2, const double *ridge,
                                     double tol, double *state, index_t rows, index_t tasks, index_t blocks, int positive)
{
    const Shrink shrink = {ptr, l1, l2, ridge, blocks, positive};
    const double gap = compact_gap(linear, gradient, coef, constant, shrink, rows, tasks);
    if (threadIdx.x == 0) {
        state[0] = gap;
        if (gap <= tol || gap != gap) state[1] = 1.0;
    }
}
