// CUDA thread blocks on the CPU: one operating-system thread, every CUDA thread a fibre, the order of turns from a seed.
//
// A fibre runs until it meets a barrier or a shuffle. Seed 0 gives turns in ascending order and seed 1 in descending
// order, so that whenever two threads touch one cell without a barrier between them, one of these two orders is the wrong
// one; further seeds shuffle. Reported as errors: a barrier or shuffle that not every thread reaches, and any access to an
// unmapped page (arguments end where a guard page begins). Dynamic shared memory is full of NaN at the start of a block.
#pragma once
#include <csetjmp>
#include <csignal>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

namespace emu {

constexpr unsigned MOST = 1024;
constexpr size_t STACK = 1 << 16, SHARED = 1 << 18;

struct Index { unsigned x; };
enum State { RUN, AT_BLOCK, AT_WARP, DONE };
struct Fibre { ucontext_t entry; jmp_buf at; State state; bool started; uint64_t exchanges; };

inline Fibre fibres[MOST];
inline ucontext_t scheduler_entry;
inline jmp_buf scheduler;
inline sigjmp_buf rescue;
inline unsigned current;
inline uint64_t mailbox[2][MOST];
inline Index block_dim, grid_dim, block_index;
inline void (*body)(void **);
inline void **arguments;
inline char *stacks, *shared;
inline char message[160];
inline uint64_t random_state;

inline unsigned random_below(unsigned n)
{
    random_state ^= random_state << 13; random_state ^= random_state >> 7; random_state ^= random_state << 17;
    return unsigned((random_state >> 11) % n);
}

inline void order(unsigned *out, unsigned n, unsigned seed)
{
    for (unsigned i = 0; i < n; ++i) out[i] = seed == 1 ? n - 1 - i : i;
    if (seed > 1)
        for (unsigned i = n; i > 1; --i) { unsigned j = random_below(i), t = out[i - 1]; out[i - 1] = out[j]; out[j] = t; }
}

inline void leave(State state)
{
    Fibre &me = fibres[current];
    me.state = state;
    if (!_setjmp(me.at)) _longjmp(scheduler, 1);
}

// A fibre lives on from block to block: after its body is done it waits to be resumed for the next one.
inline void trampoline()
{
    for (;;) { body(arguments); leave(DONE); }
}

inline void resume(unsigned thread)
{
    current = thread;
    Fibre &fibre = fibres[thread];
    if (_setjmp(scheduler)) return;
    if (fibre.started) _longjmp(fibre.at, 1);
    fibre.started = true;
    getcontext(&fibre.entry);
    fibre.entry.uc_stack.ss_sp = stacks + thread * STACK;
    fibre.entry.uc_stack.ss_size = STACK;
    fibre.entry.uc_link = nullptr;
    makecontext(&fibre.entry, trampoline, 0);
    setcontext(&fibre.entry);
}

inline void on_fault(int, siginfo_t *info, void *)
{
    const char digits[] = "0123456789abcdef";
    std::strcpy(message, "out-of-bounds access at 0x");
    char *end = message + std::strlen(message);
    for (int shift = 60; shift >= 0; shift -= 4) *end++ = digits[(uintptr_t(info->si_addr) >> shift) & 15];
    std::strcpy(end, ": a kernel read or wrote beyond an array");
    siglongjmp(rescue, 1);
}

inline const char *run_blocks(unsigned grid, unsigned threads, size_t dynamic, unsigned seed)
{
    static unsigned turns[MOST];
    char *poison = shared + SHARED - dynamic;
    for (unsigned k = 0; k < grid; ++k) {
        block_index.x = seed == 1 ? grid - 1 - k : seed > 1 && grid > 1 ? (k + seed) % grid : k;
        std::memset(poison, 0xff, dynamic);
        for (unsigned t = 0; t < threads; ++t) { fibres[t].state = RUN; fibres[t].exchanges = 0; }
        for (;;) {
            order(turns, threads, seed);
            bool ran = false, released = false;
            for (unsigned i = 0; i < threads; ++i)
                if (fibres[turns[i]].state == RUN) { ran = true; resume(turns[i]); }
            unsigned waiting = 0, done = 0;
            for (unsigned t = 0; t < threads; ++t) { waiting += fibres[t].state == AT_BLOCK; done += fibres[t].state == DONE; }
            if (done == threads) break;
            for (unsigned w = 0; w < threads; w += 32) {
                unsigned end = w + 32 < threads ? w + 32 : threads, here = 0;
                for (unsigned t = w; t < end; ++t) here += fibres[t].state == AT_WARP;
                if (here == end - w) { released = true; for (unsigned t = w; t < end; ++t) fibres[t].state = RUN; }
            }
            if (waiting == threads) { released = true; for (unsigned t = 0; t < threads; ++t) fibres[t].state = RUN; }
            if (!ran && !released) return "divergence: not every thread reached the same barrier or shuffle";
        }
    }
    return nullptr;
}

// Returns nullptr, or a sentence about what went wrong.
inline const char *launch(unsigned grid, unsigned threads, size_t dynamic, unsigned seed, void (*kernel)(void **), void **args)
{
    if (threads == 0 || threads > MOST || threads % 32 || grid == 0) return "bad launch shape";
    const size_t page = size_t(sysconf(_SC_PAGESIZE));
    if (!stacks) {
        stacks = static_cast<char *>(mmap(nullptr, MOST * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        shared = static_cast<char *>(mmap(nullptr, SHARED + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        mprotect(shared + SHARED, page, PROT_NONE);
    }
    if (dynamic > SHARED) return "too much shared memory";
    body = kernel; arguments = args; block_dim.x = threads; grid_dim.x = grid; random_state = 88172645463325252ull + seed;
    static char signal_stack[1 << 16];
    stack_t alternate = {}, old_alternate = {};
    alternate.ss_sp = signal_stack; alternate.ss_size = sizeof signal_stack;
    sigaltstack(&alternate, &old_alternate);
    struct sigaction action = {}, old_segv, old_bus;
    action.sa_sigaction = on_fault; action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, &old_segv);
    sigaction(SIGBUS, &action, &old_bus);
    // The dynamic shared memory of a block ends at a guard page as well.
    const char *failure = sigsetjmp(rescue, 1) ? message : run_blocks(grid, threads, dynamic, seed);
    sigaction(SIGSEGV, &old_segv, nullptr);
    sigaction(SIGBUS, &old_bus, nullptr);
    if (old_alternate.ss_sp || (old_alternate.ss_flags & SS_DISABLE)) sigaltstack(&old_alternate, nullptr);
    if (failure) for (Fibre &fibre : fibres) fibre.started = false;  // left in the middle of a kernel
    return failure;
}

inline size_t dynamic_bytes;

template <class T> T exchange(T value, unsigned source)
{
    Fibre &me = fibres[current];
    const uint64_t side = me.exchanges++ & 1;
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    mailbox[side][current] = bits;
    leave(AT_WARP);
    std::memcpy(&value, &mailbox[side][(current & ~31u) + source], sizeof value);
    return value;
}

}  // namespace emu

using std::fabs; using std::fmax; using std::fmin; using std::isinf; using std::sqrt;
#define threadIdx (emu::Index{emu::current})
#define blockIdx emu::block_index
#define blockDim emu::block_dim
#define gridDim emu::grid_dim
#define __global__
#define __device__
#define __shared__ static
#define __syncthreads() emu::leave(emu::AT_BLOCK)
#define __syncwarp() emu::leave(emu::AT_WARP)
#define DYNAMIC_SHARED(type, name) type *name = reinterpret_cast<type *>(emu::shared + emu::SHARED - emu::dynamic_bytes)
template <class T> T __shfl_xor_sync(unsigned, T value, int mask) { return emu::exchange(value, (emu::current & 31u) ^ unsigned(mask)); }
