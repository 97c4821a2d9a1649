"""A batch's results as records for Kafka: events, outcomes and dead letters, each with topic, key, value and headers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import cramjam
import orjson

from pipeline import __version__
from pipeline.kafka.batch import FIRST_FAILURE_HEADER, Headers, encode_token, place_of
from pipeline.kafka.config import LARGEST_RECORD_BYTES, REQUEST_OVERHEAD_BYTES, dead_letter_bytes
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.event import Event
from pipeline.model.item import Item
from pipeline.model.outcome import Fate, Outcome, format_datetime
from pipeline.model.record import KEPT_OF_OVERSIZED, Output, Position
from pipeline.settings.schema import KafkaSettings, Settings
from pipeline.stages.runner import BatchResult

MAX_DETAIL_CHARS = 500
PACKED_SHARE = 0.9
"""The share of the limit that a dead letter may take when packed with lz4. Other compressions pack about as well, or better."""


def encode(result: BatchResult, headers: Mapping[Position, Headers], settings: Settings, now: float) -> dict[str, list[Output]]:
    """Return a batch's outputs by topic.

    `publish` has checked that events fit. `headers` maps positions of records to their headers.
    """
    kafka = settings.kafka
    outputs: defaultdict[str, list[Output]] = defaultdict(list)
    outputs[kafka.events_out] = [_published(item) for item in result.events]
    for outcome in result.outcomes:
        outputs[_outcomes_topic(outcome, kafka)].append(Output(None, orjson.dumps(outcome.to_json()), []))
    outputs[kafka.dead_letters] += _dead_letters(result.dead, headers, settings, now)
    return outputs


def _published(item: Item[Event]) -> Output:
    assert item.message is not None, "publish is the last stage"  # noqa: S101
    return item.message


def _outcomes_topic(outcome: Outcome, kafka: KafkaSettings) -> str:
    is_billed = outcome.fate in {Fate.ACCEPTED, Fate.RATE_LIMITED}
    return kafka.outcomes_billing if is_billed and kafka.outcomes_billing else kafka.outcomes


def _dead_letters(
    letters: list[DeadLetter], headers: Mapping[Position, Headers], settings: Settings, now: float
) -> Iterator[Output]:
    """Yield one dead letter for each record, since it holds the whole record."""
    seen: set[Position] = set()
    for letter in letters:
        position = letter.record.position
        if position not in seen:
            seen.add(position)
            yield dead_letter(letter, headers.get(position, {}), settings, now)


def dead_letter(letter: DeadLetter, headers: Headers, settings: Settings, now: float) -> Output:
    """Return the record of a dead letter: the original bytes, with source, stage, reason and code version in the headers."""
    record = letter.record
    partition, offset = place_of(record)
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
    body = record.body
    if not _fits(body, settings):
        described["truncated-from"] = str(len(body))
        body = body[:KEPT_OF_OVERSIZED]
    first_failure = headers.get(FIRST_FAILURE_HEADER, described["failed-at"].encode())
    return Output(
        None,
        body,
        [
            *((name, value.encode("utf-8", "replace")) for name, value in described.items()),
            ("first-failure", first_failure),
            ("token", encode_token(record.token)),
        ],
    )


def _fits(body: bytes, settings: Settings) -> bool:
    """Whether the dead-letter topic accepts a dead letter of these bytes. A record may pack worse here than where it came from.

    A dead letter that its topic refuses would make its batch fail again and again.
    """
    room = dead_letter_bytes(settings) - REQUEST_OVERHEAD_BYTES
    if len(body) <= room:
        return True
    if settings.kafka.compression == "none" or len(body) > LARGEST_RECORD_BYTES - REQUEST_OVERHEAD_BYTES:
        return False
    return len(cramjam.lz4.compress_block(body)) <= PACKED_SHARE * room
