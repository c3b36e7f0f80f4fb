// partial[chunk, j, t] = sum over a chunk of samples of x_ij weight_it r_it, for `height` dense columns from `first`.
// X is (s, n), one feature a contiguous row; residual (n, tasks); weight (n, wide) with wide = 1 or tasks.
// A thread block takes one chunk and a tile of `width` tasks (a power of two): thread (lane, task) walks the samples
// lane, lane + lanes, ... and the lanes are folded in a fixed order.
// Launch: grid chunks * tiles, tile fastest; blockDim.x = 256; shared memory 256 doubles.
extern "C" __global__ void column_dots(const real *X, const real *residual, const double *weight, double *partial,
                                       index_t n, index_t tasks, index_t wide, index_t first, index_t height,
                                       index_t chunks, index_t width)
{
    DYNAMIC_SHARED(double, fold);
    const index_t tiles = (tasks + width - 1) / width;
    const index_t chunk = blockIdx.x / tiles, tile = blockIdx.x % tiles;
    if (chunk >= chunks) return;
    const index_t lanes = blockDim.x / width, lane = threadIdx.x / width;
    const index_t task = tile * width + threadIdx.x % width;
    const index_t length = (n + chunks - 1) / chunks, low = chunk * length;
    const index_t high = low + length < n ? low + length : n;
    for (index_t j = 0; j < height; ++j) {
        const real *x = X + (first + j) * n;
        double sum = 0.0;
        if (task < tasks)
            for (index_t i = low + lane; i < high; i += lanes)
                sum += double(x[i]) * weight[wide > 1 ? i * wide + task : i] * double(residual[i * tasks + task]);
        fold[threadIdx.x] = sum;
        __syncthreads();
        if (lane == 0 && task < tasks) {
            double total = 0.0;
            for (index_t l = 0; l < lanes; ++l) total += fold[l * width + threadIdx.x];
            partial[(chunk * height + j) * tasks + task] = total;
        }
        __syncthreads();
    }
}
