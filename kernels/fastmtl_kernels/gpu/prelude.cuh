// Put before the text of every kernel: number types, soft threshold, reductions in a fixed order.
//
// REAL is float or double. Sums run in double. No reduction uses atomics, so results repeat bit for bit.

typedef REAL real;
typedef long long index_t;

#ifndef DYNAMIC_SHARED
#define DYNAMIC_SHARED(type, name)            \
    extern __shared__ double shared_bytes[]; \
    type *name = reinterpret_cast<type *>(shared_bytes)
#endif

#define FULL_WARP 0xffffffffu

// Soft threshold of one number; its positive part alone when `positive`.
__device__ inline double threshold(double value, double l1, int positive)
{
    if (value > l1) return value - l1;
    if (!positive && value < -l1) return value + l1;
    return 0.0;
}

// Every lane receives the sum over its warp; the butterfly adds the same pairs on all lanes.
__device__ inline double warp_sum(double value)
{
    for (int offset = 16; offset > 0; offset >>= 1) value += __shfl_xor_sync(FULL_WARP, value, offset);
    return value;
}

__device__ inline double warp_max(double value)
{
    for (int offset = 16; offset > 0; offset >>= 1) value = fmax(value, __shfl_xor_sync(FULL_WARP, value, offset));
    return value;
}

// Every thread receives the sum over its thread block; blockDim.x is a multiple of 32.
__device__ inline double block_sum(double value)
{
    __shared__ double part[32];
    value = warp_sum(value);
    __syncthreads();  // readers of the previous call are done
    if ((threadIdx.x & 31) == 0) part[threadIdx.x >> 5] = value;
    __syncthreads();
    double total = 0.0;
    for (unsigned warp = 0; warp < blockDim.x >> 5; ++warp) total += part[warp];
    return total;
}

__device__ inline double block_max(double value)
{
    __shared__ double part[32];
    value = warp_max(value);
    __syncthreads();
    if ((threadIdx.x & 31) == 0) part[threadIdx.x >> 5] = value;
    __syncthreads();
    double top = part[0];
    for (unsigned warp = 1; warp < blockDim.x >> 5; ++warp) top = fmax(top, part[warp]);
    return top;
}

// Walks the cells first, first + stride, ... of a (rows, tasks) array in C order without a division a cell.
struct Cells {
    index_t cell, row, task, row_stride, task_stride, stride, tasks;
    __device__ inline Cells(index_t first, index_t step, index_t width)
        : cell(first), row(first / width), task(first % width), row_stride(step / width), task_stride(step % width),
          stride(step), tasks(width)
    {
    }
    __device__ inline void next()
    {
        cell += stride;
        row += row_stride;
        task += task_stride;
        if (task >= tasks) {
            task -= tasks;
            ++row;
        }
    }
};
