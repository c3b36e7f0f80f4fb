"""The state of the pretended device: memory held, transfers, faults to inject, streams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class OutOfMemoryError(MemoryError):
    """Stand-in for `cupy.cuda.memory.OutOfMemoryError`."""


class CUDARuntimeError(RuntimeError):
    """Stand-in for `cupy.cuda.runtime.CUDARuntimeError`."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text or f"cudaError {status}")
        self.status = status


class CUDADriverError(RuntimeError):
    """Stand-in for `cupy.cuda.driver.CUDADriverError`: what a launch raises."""


class Device:
    """One device of `total` bytes; tests set the faults and read the counters."""

    def __init__(self) -> None:
        self.live = 0
        self.reset()

    def reset(self) -> None:
        """Forget faults and counters; what is allocated stays counted in `live`."""
        self.total = 1 << 40
        self.allocations = self.read_backs = self.read_bytes = self.transfers = self.launches = 0
        self.fail_allocation: int | None = None
        self.fail_launch: int | None = None
        self.poison_launch: int | None = None
        self.failure: CUDARuntimeError | None = None
        self.seed = 0
        self.largest = 0

    def allocate(self, size: int) -> Allocation:
        """Take memory, or fail where told to or when there is not enough left."""
        self.allocations += 1
        if self.allocations == self.fail_allocation or self.live + size > self.total:
            raise OutOfMemoryError(
                f"Out of memory allocating {size} bytes (allocated so far: {self.live} bytes)."
            )
        return Allocation(self, size)

    def read_back(self, size: int) -> None:
        """Count one transfer from the device."""
        self.read_backs += 1
        self.read_bytes += size
        self.largest = max(self.largest, size)


class Allocation:
    """A piece of device memory; gone when its last array is."""

    def __init__(self, device: Device, size: int) -> None:
        self._device, self._size = device, size
        device.live += size

    def __del__(self) -> None:
        self._device.live -= self._size


DEVICE = Device()


class Stream:
    """A stream whose copies happen as late as CUDA allows: when an event or the stream is waited for."""

    def __init__(self, null: bool = False, non_blocking: bool = False, **_: Any) -> None:
        self._queue: list[Callable[[], None]] = []
        self.ptr = 0 if null else id(self)

    def later(self, action: Callable[[], None]) -> None:
        """Queue an action."""
        self._queue.append(action)

    def drain(self, count: int | None = None) -> None:
        """Run the first `count` queued actions, all by default."""
        for action in self._queue[:count]:
            action()
        del self._queue[:count]

    def synchronize(self) -> None:
        self.drain()

    def wait_event(self, event: Event) -> None:
        event.synchronize()

    def record(self, event: Event) -> None:
        event.record(self)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: Any) -> None:
        return None


class Event:
    """An event; waiting for it runs what its stream had queued when it was recorded."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self._stream: Stream | None = None
        self._pending: list[Callable[[], None]] = []

    def record(self, stream: Stream | None = None) -> None:
        self._stream = stream or NULL
        self._pending = list(self._stream._queue)

    def synchronize(self) -> None:
        if self._stream is None:
            return
        done = sum(1 for action in self._stream._queue if any(action is p for p in self._pending))
        self._stream.drain(done)
        self._pending = []


NULL = Stream(null=True)
