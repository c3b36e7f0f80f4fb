// partial[chunk, j, t] = sum over a chunk of the stored entries of column first + j of x weight r: the CSC form of
// `column_dots`, without the centring, which `column_step` adds.
// Launch: grid chunks * tiles, tile fastest; blockDim.x = 256; shared memory 256 doubles.
extern "C" __global__ void csc_dots(const real *data, const index_t *indices, const index_t *indptr,
                                    const real *residual, const double *weight, double *partial, index_t tasks,
                                    index_t wide, index_t first, index_t height, index_t chunks, index_t width)
{
    DYNAMIC_SHARED(double, fold);
    const index_t tiles = (tasks + width - 1) / width;
    const index_t chunk = blockIdx.x / tiles, tile = blockIdx.x % tiles;
    if (chunk >= chunks) return;
    const index_t lanes = blockDim.x / width, lane = threadIdx.x / width;
    const index_t task = tile * width + threadIdx.x % width;
    for (index_t j = 0; j < height; ++j) {
        const index_t begin = indptr[first + j], end = indptr[first + j + 1];
        const index_t length = (end - begin + chunks - 1) / chunks, low = begin + chunk * length;
        const index_t high = low + length < end ? low + length : end;
        double sum = 0.0;
        if (task < tasks)
            for (index_t e = low + lane; e < high; e += lanes) {
                const index_t i = indices[e];
                sum += double(data[e]) * weight[wide > 1 ? i * wide + task : i] * double(residual[i * tasks + task]);
            }
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
