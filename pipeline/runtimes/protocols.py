"""What a loop is made of: the interfaces of source, work and sink, and of what passes between them.

docs/adr/0006-one-loop.md lists the services that these interfaces serve, and what is durable when in each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self, TypeVar

from pipeline.model.dead_letter import DeadLetter
from pipeline.model.record import Record


class Batch(Protocol):
    """Records that are handled together, and the positions that become durable with their results."""

    @property
    def records(self) -> Sequence[Record]:
        """The records, in the order read."""

    @property
    def positions(self) -> Any:
        """What the sink makes durable with the results. Source and sink agree on its type; the loop only passes it on."""

    def halves(self) -> tuple[Self, Self]:
        """Cut a batch of two or more records in two. The first half must be committed before the second."""

    def describe(self) -> dict[str, Any]:
        """Return the fields by which a log line names the batch."""


class Result(Protocol):
    """The results of the work for one batch."""

    @property
    def outputs(self) -> Any:
        """The results in the form that the sink makes durable."""

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
        """Deliver nothing for `seconds`, but keep the connection alive. False if the batch at hand was taken away meanwhile."""

    def resume(self) -> None:
        """Deliver again after `wait`."""

    def committed(self, positions: Any) -> None:
        """Take note of positions that are durable now."""

    def rewind(self) -> None:
        """Read again from the durable positions."""

    def skipped(self) -> Any | None:
        """Return positions behind input that holds no records, or None. The loop commits them while it is idle."""

    def unready(self) -> str:
        """Return why no batch can come at the moment, or "" if one can."""

    def close(self) -> None:
        """Release all resources. Records that were delivered and not committed will be read again."""


class Work(Protocol[_Taken_contra, R]):
    """What is done with a batch."""

    def run(self, batch: _Taken_contra) -> R:
        """Return the batch's results. Running a batch twice, whole or cut otherwise, has the effect of running it once.

        Raises RetryableError if a service is away, StaleBatchError if another reader has already processed later records. Any
        other exception makes the loop cut the batch until the record at fault is alone.
        """

    def give_up(self, batch: _Taken_contra, error: BaseException) -> R:
        """Return the results for a batch of one record that made `run` fail with `error`: its dead letter.

        Raises RetryableError and StaleBatchError as `run` does, and nothing else.
        """

    def committed(self, batch: _Taken_contra, result: R, run_s: float, commit_s: float) -> None:
        """Take note of a batch that is durable now, for instance in metrics.

        `run_s` and `commit_s` are what work and commit took.
        """

    def check(self) -> None:
        """Ask the services that the work needs. Called while no batch is at hand. Raises RetryableError."""


class Sink(Protocol):
    """Where results go."""

    def commit(self, outputs: Any | None, positions: Any) -> None:
        """Make outputs and positions durable, both or neither. Without outputs only positions move.

        Raises CommitError if nothing became durable, or if that is unknown. The loop then calls `Source.rewind`.
        """

    def close(self) -> None:
        """Release everything."""


class LoopMetrics(Protocol):
    """What the loop counts by itself."""

    def state(self, state: str) -> None:
        """Set the present state."""

    def batch_dropped(self, why: str) -> None:
        """Count a batch that is read again."""

    def service_error(self, service: str) -> None:
        """Count a call that failed because a service is away."""
