"""What a loop is made of: the interfaces of source, work and sink, and of what passes between them.

Tried on paper against four services before it was cut: docs/adr/0006-one-loop.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self, TypeVar

from pipeline.model.dead_letter import DeadLetter
from pipeline.model.record import Record


class Batch(Protocol):
    """Records that are handled together, and the positions that their commit moves."""

    @property
    def records(self) -> Sequence[Record]:
        """The records, in the order read."""

    @property
    def positions(self) -> Any:
        """What the sink makes durable with the results. Source and sink agree on its type; the loop does not look inside."""

    def halves(self) -> tuple[Self, Self]:
        """Cut a batch of two or more records in two. The second half stands on what the first half commits."""

    def describe(self) -> dict[str, Any]:
        """Return the fields by which a log line names the batch."""


class Result(Protocol):
    """What the work made of a batch."""

    @property
    def outputs(self) -> Any:
        """What the sink makes durable."""

    @property
    def dead(self) -> Sequence[DeadLetter]:
        """The batch's dead letters. Too many of them halt the loop."""


B = TypeVar("B", bound=Batch)
R = TypeVar("R", bound=Result)
_Read_co = TypeVar("_Read_co", bound=Batch, covariant=True)
_Taken_contra = TypeVar("_Taken_contra", bound=Batch, contravariant=True)


class Source(Protocol[_Read_co]):
    """Where batches come from. Only the loop's thread calls it."""

    def poll(self) -> _Read_co | None:
        """Return the next batch, or None if nothing came within the source's own short time limit."""

    def wait(self, seconds: float) -> bool:
        """Deliver nothing for `seconds`, but stay alive. False if the batch at hand was taken away meanwhile."""

    def resume(self) -> None:
        """Deliver again after `wait`."""

    def committed(self, positions: Any) -> None:
        """Take note of positions that are durable now."""

    def rewind(self) -> None:
        """Read again from the durable positions."""

    def skipped(self) -> Any | None:
        """Return positions that moved although no record was delivered, or None. The loop commits them while it is idle."""

    def unready(self) -> str:
        """Return why no batch can come at the moment, or "" if one can."""

    def close(self) -> None:
        """Release everything. Records that were delivered and not committed go to the next reader."""


class Work(Protocol[_Taken_contra, R]):
    """What is done with a batch."""

    def run(self, batch: _Taken_contra) -> R:
        """Return the batch's results. Running a batch twice, whole or cut otherwise, has the effect of running it once.

        Raises RetryableError if a service is away, StaleBatchError if another reader has gone past the batch. Any other
        exception makes the loop cut the batch until the record at fault is alone.
        """

    def give_up(self, batch: _Taken_contra, error: BaseException) -> R:
        """Return the results of a batch of one record that cannot be processed: its dead letter."""

    def committed(self, batch: _Taken_contra, result: R, run_s: float, commit_s: float) -> None:
        """Take note of a batch that is durable now, with the seconds that work and commit took."""

    def check(self) -> None:
        """Ask the services that the work needs. Called while no batch is at hand. Raises RetryableError."""


class Sink(Protocol):
    """Where results go."""

    def commit(self, outputs: Any | None, positions: Any) -> None:
        """Make outputs and positions durable, both or neither. Without outputs only positions move.

        Raises CommitError if nothing became durable, or if nobody can tell: the source then reads from what is durable.
        """

    def close(self) -> None:
        """Release everything."""


class LoopMetrics(Protocol):
    """What the loop counts by itself."""

    def state(self, state: str) -> None:
        """Set the one state that holds."""

    def batch_dropped(self, why: str) -> None:
        """Count a batch that is read again."""

    def service_error(self, service: str) -> None:
        """Count a call that failed because a service is away."""
