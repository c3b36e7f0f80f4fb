"""The emulator finds planted faults: a check that cannot fail proves nothing."""

from __future__ import annotations

import numpy as np
import pytest
from standin import emulated

SUM = 'extern "C" __global__ void total(const real *values, real *out, index_t count)\n'
OPTIONS = ("-DREAL=double",)
PRELUDE = "typedef REAL real;\ntypedef long long index_t;\n"

GOOD = (
    PRELUDE
    + SUM
    + """{
    DYNAMIC_SHARED(real, part);
    real sum = 0;
    for (index_t i = threadIdx.x; i < count; i += blockDim.x) sum += values[i];
    part[threadIdx.x] = sum;
    __syncthreads();
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) out[0] = part[0];
}
"""
)


def _total(text: str, seed: int, count: int = 1000, threads: int = 64) -> float:
    values, out = np.arange(count, dtype=float), np.zeros(1)
    emulated.run(text, OPTIONS, 1, threads, (values, out, np.int64(count)), 8 * threads, seed)
    return out[0]


def test_a_correct_kernel_passes_every_order():
    assert {_total(GOOD, seed) for seed in range(20)} == {499500.0}


@pytest.mark.parametrize("place", [0, 1], ids=["before the fold", "inside the fold"])
def test_a_missing_barrier_is_caught(place):
    parts = GOOD.split("__syncthreads();")
    text = "__syncthreads();".join(parts[: place + 1]) + "__syncthreads();".join(parts[place + 1 :])
    wrong = [seed for seed in range(20) if _total(text, seed) != 499500.0]
    assert min(wrong) <= 1, "one of the two plain orders must find it"
    assert len(wrong) >= 10


def test_a_missing_barrier_in_our_own_reduction_is_caught(gpu, device):
    name = "sum"
    text = gpu._modules.source(name)
    assert text.count("part[threadIdx.x >> 5] = value;\n    __syncthreads();") == 2
    broken = text.replace(
        "part[threadIdx.x >> 5] = value;\n    __syncthreads();", "part[threadIdx.x >> 5] = value;", 1
    )
    values, wrong = np.random.default_rng(0).standard_normal(1000), 0
    for seed in range(10):
        out = np.zeros(2)
        emulated.run(broken, OPTIONS, 2, 256, (values, out, np.int64(1000)), 0, seed)
        wrong += abs(out.sum() - values.sum()) > 1e-9
    assert wrong >= 5


COPY = """extern "C" __global__ void copy(const real *in, real *out, index_t count)
{
    const index_t i = threadIdx.x;
    if (i < count) out[i] = in[i];
}
"""


@pytest.mark.parametrize(
    "old, new",
    [("in[i]", "in[i + 1]"), ("out[i]", "out[i + 1]"), ("out[i]", "out[i - 1]"), ("in[i]", "in[i - 1000]")],
    ids=[
        "read beyond the end",
        "write beyond the end",
        "write before the start",
        "read far before the start",
    ],
)
def test_an_overrun_is_caught(old, new):
    good, bad = PRELUDE + COPY, PRELUDE + COPY.replace(old, new)
    args = (np.ones(7), np.zeros(7), np.int64(7))
    emulated.run(good, OPTIONS, 1, 32, args, 0, 0)
    assert (args[1] == 1).all()
    with pytest.raises(emulated.KernelError, match="out-of-bounds"):
        emulated.run(bad, OPTIONS, 1, 32, args, 0, 0)


def test_an_overrun_of_shared_memory_is_caught():
    with pytest.raises(emulated.KernelError, match="out-of-bounds"):
        emulated.run(
            GOOD.replace("part[threadIdx.x] = sum", "part[threadIdx.x + 1] = sum"),
            OPTIONS,
            1,
            64,
            (np.ones(9), np.zeros(1), np.int64(9)),
            512,
            0,
        )


def test_too_much_shared_memory_is_caught(gpu):
    with pytest.raises(emulated.KernelError, match="48 KiB"):
        emulated.run(GOOD, OPTIONS, 1, 64, (np.ones(9), np.zeros(1), np.int64(9)), 48 * 1024, 0)
    assert gpu._sweep.SHARED_BYTES <= 47 * 1024


def test_divergence_is_caught():
    text = GOOD.replace(
        "    if (threadIdx.x == 0) out",
        "    if (threadIdx.x < 32) __syncthreads();\n    if (threadIdx.x == 0) out",
    )
    with pytest.raises(emulated.KernelError, match="divergence"):
        _total(text, 0)
    assert _total(GOOD, 0) == 499500.0, "the emulator recovers from a failed launch"


def test_uninitialised_shared_memory_is_nan():
    assert np.isnan(_total(GOOD.replace("    part[threadIdx.x] = sum;\n", ""), 0))


def test_a_write_to_a_const_array_is_caught():
    text = GOOD.replace("out[0] = part[0]", "out[0] = const_cast<real *>(values)[0] = 5")
    with pytest.raises(emulated.KernelError, match="const"):
        _total(text, 0)


@pytest.mark.parametrize(
    "args",
    [
        (np.ones(3, dtype=np.float32), np.zeros(1), np.int64(3)),
        (np.ones(3), np.zeros(1), np.int32(3)),
        (np.ones(3), 1.0, np.int64(3)),
        (np.ones(6)[::2], np.zeros(1), np.int64(3)),
        (np.ones(3), np.zeros(1)),
    ],
    ids=["dtype", "integer width", "number for array", "strided", "too few"],
)
def test_wrong_arguments_are_caught(args):
    with pytest.raises(emulated.KernelError):
        emulated.run(GOOD, OPTIONS, 1, 32, args, 256, 0)


def test_aliases_stay_aliases():
    text = PRELUDE + COPY.replace("const real *in", "real *in").replace(
        "out[i] = in[i];", "{ in[i] = 2; out[i] *= 3; }"
    )
    both = np.ones(4)
    emulated.run(text, OPTIONS, 1, 32, (both, both, np.int64(4)), 0, 0)
    assert (both == 6).all()
