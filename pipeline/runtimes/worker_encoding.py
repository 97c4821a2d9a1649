"""What a batch puts on the broker: events, outcomes and dead letters as topic, key, value and headers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import orjson

from pipeline import __version__
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.message import StorageMessage
from pipeline.model.outcome import Fate, Outcome, format_datetime
from pipeline.model.record import Position
from pipeline.runtimes.worker_batch import FIRST_FAILURE_HEADER, Headers, print_token
from pipeline.runtimes.worker_outputs import Output
from pipeline.settings import Kafka
from pipeline.stages.runner import BatchResult, accepted

MAX_DETAIL_CHARS = 500


@dataclass(frozen=True, slots=True)
class Encoded:
    """A batch as records. `result` differs from the one given where an event was too large to be stored."""

    outputs: list[Output]
    result: BatchResult


def encode(result: BatchResult, headers: Mapping[Position, Headers], kafka: Kafka, now: float) -> Encoded:
    """Encode a batch. `headers` are those of records that had any.

    One oversized record would abort its whole transaction, so sizes are checked first: such an event becomes a dead letter.
    """
    outputs: list[Output] = []
    fitting, oversized = [], []
    for item in result.events:
        assert item.message is not None, "publish is the last stage"  # noqa: S101
        output = _event(item.message, kafka.events_out)
        if output.size_bytes <= kafka.max_output_bytes:
            outputs.append(output)
            fitting.append(item)
        else:
            oversized.append(item.died("publish", "too_large", f"{len(output.value)} bytes for the storage topic"))
    if oversized:
        others = [outcome for outcome in result.outcomes if outcome.fate is not Fate.ACCEPTED]
        result = BatchResult(fitting, others + accepted(fitting, now), result.dead + oversized, result.stage_s)
    outputs += [_outcome(outcome, kafka) for outcome in result.outcomes]
    outputs += _dead_letters(result.dead, headers, kafka.dead_letters, now)
    return Encoded(outputs, result)


def _event(message: StorageMessage, topic: str) -> Output:
    return Output(topic, message.key, message.value, message.headers)


def _outcome(outcome: Outcome, kafka: Kafka) -> Output:
    billed = kafka.outcomes_billing is not None and outcome.fate in {Fate.ACCEPTED, Fate.RATE_LIMITED}
    return Output(
        kafka.outcomes_billing if billed and kafka.outcomes_billing else kafka.outcomes, None, orjson.dumps(outcome.to_json())
    )


def _dead_letters(letters: list[DeadLetter], headers: Mapping[Position, Headers], topic: str, now: float) -> Iterator[Output]:
    """Make one dead letter of a record, however many of its items died: replaying it brings all of them back."""
    seen: set[Position] = set()
    for letter in letters:
        position = letter.record.position
        if position not in seen:
            seen.add(position)
            yield dead_letter(letter, headers.get(position, {}), topic, now)


def dead_letter(letter: DeadLetter, headers: Headers, topic: str, now: float) -> Output:
    """Make the record of a dead letter: the original bytes, and in the headers whence, where, why and by which version."""
    record = letter.record
    partition, offset = record.position if isinstance(record.position, tuple) else (record.token.partition, record.position)
    described = {
        "source-topic": record.source,
        "source-partition": str(partition),
        "source-offset": str(offset),
        "stage": letter.stage,
        "reason": letter.reason,
        "detail": letter.detail[:MAX_DETAIL_CHARS],
        "version": __version__,
        "received": repr(record.received),
        "failed-at": format_datetime(now),
    }
    first_failure = headers.get(FIRST_FAILURE_HEADER, described["failed-at"].encode())
    return Output(
        topic,
        None,
        record.body,
        (
            *((name, value.encode("utf-8", "replace")) for name, value in described.items()),
            ("first-failure", first_failure),
            ("token", print_token(record.token)),
        ),
    )
