// out[blockIdx.x] = sum of one stretch of `values`; two launches sum an array of any length in a fixed order.
// Launch: gridDim.x stretches of equal length, blockDim.x a multiple of 32 up to 1024.
extern "C" __global__ void sum(const double *values, double *out, index_t count)
{
    const index_t stretch = (count + gridDim.x - 1) / gridDim.x;
    const index_t low = index_t(blockIdx.x) * stretch;
    const index_t high = low + stretch < count ? low + stretch : count;
    double total = 0.0;
    for (index_t i = low + threadIdx.x; i < high; i += blockDim.x) total += values[i];
    total = block_sum(total);
    if (threadIdx.x == 0) out[blockIdx.x] = total;
}
