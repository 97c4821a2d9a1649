"""What is measured: CPU of all threads of a process by event, read after each batch, and turns with another process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from pipeline.stages.runner import BatchResult

WARM_UP_BATCHES = 3
TURN_TAKEN_WITHIN_S = 120.0


class Cost(NamedTuple):
    """CPU in us an event: of all threads, and of that what was spent in calls of the stages."""

    total: float
    stages: float

    @property
    def beside(self) -> float:
        """What is not spent in calls of the stages."""
        return self.total - self.stages


class Semaphore(Protocol):
    """A semaphore that two processes share."""

    def acquire(self, blocking: bool = ..., timeout: float | None = ...) -> bool: ...
    def release(self) -> None: ...


class Turns(NamedTuple):
    """Two processes work batch by batch in turn, so that whatever else the machine does meanwhile slows both alike."""

    ours: Semaphore
    theirs: Semaphore

    def wait(self) -> None:
        if not self.ours.acquire(True, TURN_TAKEN_WITHIN_S):
            raise TimeoutError("the other process did not end its batch")

    def pass_on(self) -> None:
        self.theirs.release()

    def leave(self) -> None:
        """Let the other go on alone."""
        for _ in range(1_000):
            self.theirs.release()


class Meter:
    """Reads the clocks after each batch. The first batches, which fill caches and connections, are left out."""

    def __init__(self, turns: Turns | None = None) -> None:
        self._turns = turns
        self._stages_s = 0.0
        self._readings: list[tuple[int, float, float]] = []
        if turns:
            turns.wait()

    def timed(self, stages: Callable[..., BatchResult]) -> Callable[..., BatchResult]:
        """Note the CPU that calls of the stages take."""

        def timed_stages(records: Any, ctx: Any) -> BatchResult:
            before = time.thread_time()
            result = stages(records, ctx)
            self._stages_s += time.thread_time() - before
            return result

        return timed_stages

    def batch_ended(self, events_so_far: int) -> None:
        """Read the clocks, and let the other process work for a batch."""
        self._readings.append((events_so_far, time.process_time(), self._stages_s))
        if self._turns:
            self._turns.pass_on()
            self._turns.wait()

    def cost(self) -> Cost:
        """Return the cost between the first batch that counts and the last."""
        if self._turns:
            self._turns.leave()
        (first, total, stages), (last, total_after, stages_after) = self._readings[WARM_UP_BATCHES - 1], self._readings[-1]
        return Cost((total_after - total) / (last - first) * 1e6, (stages_after - stages) / (last - first) * 1e6)
