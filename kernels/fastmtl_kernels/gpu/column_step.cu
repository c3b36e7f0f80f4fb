// The step on one penalty block of the residual form, from the partial products of `column_dots` or `csc_dots`.
//
// Centred sparse columns are x - center 1. The residual is kept as stored + 1 shift', and total = sum_i weight_i r_i is
// carried along, so that z = X' (weight r) and the residual need no pass over the samples:
//     z_jt = partial_jt + shift_t mass_jt - center_j total_t,       mass_jt = sum_i weight_it x_ij (without centring)
//     shift_t += sum_j center_j move_jt,   total_t -= sum_j (mass_jt - center_j load_t) move_jt,   load_t = sum_i weight_it
// Dense columns pass center = 0, for which all of this is zero.
// bend (height or 1, tasks): curvature; z, move (height, tasks): work and result; moved[0] : largest squared move of the
// pass so far, moved[1] : this one.
// Launch: one thread block, blockDim.x a multiple of 32 up to 1024.
extern "C" __global__ void column_step(const double *partial, index_t chunks, const double *center, const double *mass,
                                       const double *load, double *shift, double *total, const double *bend,
                                       const double *l1, const double *l2, const double *ridge, real *z, real *coef,
                                       real *move, double *moved, index_t first, index_t height, index_t block,
                                       index_t tasks, int positive, int even)
{
    const index_t cells = height * tasks;
    for (Cells at(threadIdx.x, blockDim.x, tasks); at.cell < cells; at.next()) {
        const index_t j = first + at.row;
        double sum = 0.0;
        for (index_t chunk = 0; chunk < chunks; ++chunk) sum += partial[chunk * cells + at.cell];
        z[at.cell] = real(sum + shift[at.task] * mass[j * tasks + at.task] - center[j] * total[at.task]);
    }
    double top = 0.0;
    for (index_t t = threadIdx.x; t < tasks; t += blockDim.x) top = fmax(top, bend[block * tasks + t]);
    top = block_max(top);
    if (!(top > 0.0)) {
        if (threadIdx.x == 0) moved[1] = 0.0;
        return;
    }
    const double change = block_step(z, coef + first * tasks, move, bend + block * tasks, l1 + first, l2[block],
                                     ridge[block], positive, even, height, tasks);
    for (index_t t = threadIdx.x; t < tasks; t += blockDim.x)
        for (index_t j = 0; j < height; ++j) {
            const double delta = move[j * tasks + t], middle = center[first + j];
            shift[t] += middle * delta;
            total[t] -= (mass[(first + j) * tasks + t] - middle * load[t]) * delta;
        }
    if (threadIdx.x == 0) {
        moved[0] = fmax(moved[0], change);
        moved[1] = change;
    }
}
