"""A batch of records from Kafka: records that were polled together, and the range of offsets that they cover per partition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import msgpack

from pipeline.kafka.start import encode_log_name
from pipeline.model.record import Form, Position, Record, Token

TOKEN_HEADER = "pipeline-token"  # noqa: S105 -- no secret
"""Header of a replayed dead letter: `topic id/partition/offset` of its first life, so that the ledger recognizes it."""
MAX_TOKEN_BYTES = 500
"""Longest header that is parsed. A token takes a tenth of it, and Python refuses to parse numbers of thousands of digits."""
RECEIVED_HEADER = "pipeline-received"
"""Header of a replayed dead letter: when it first arrived, in epoch seconds."""
FIRST_FAILURE_HEADER = "pipeline-first-failure"
"""Header of a replayed dead letter: when it first failed, ISO 8601."""

Headers = Mapping[str, bytes]
NO_HEADERS: Headers = MappingProxyType({})


class KafkaPositions(NamedTuple):
    """Offsets to commit, by partition: each is one past the last record of the batch.

    `membership` is the consumer group's metadata when the batch was polled. A commit with it fails if the group was rebalanced
    since then. `metadata` is text that the broker keeps beside the offsets, by partition. `bases` are the offsets that the
    batch begins with, and `logs` the names of the partitions' logs. `is_redo` holds for a batch whose ends are durable already.
    """

    topic: str
    ends: Mapping[int, int]
    membership: Any
    metadata: Mapping[int, str] = MappingProxyType({})
    bases: Mapping[int, int] = MappingProxyType({})
    logs: Mapping[int, str] = MappingProxyType({})
    is_redo: bool = False


@dataclass(frozen=True, slots=True)
class KafkaBatch:
    """Records in the order polled. `bases` are committed offsets, `ends` one past what was polled, both by partition.

    `headers` are those of records that have any. `logs` names each partition's log (see `start.encode_log_name`). `membership` is
    the consumer group's metadata of the time.
    """

    records: Sequence[Record]
    headers: Mapping[Position, Headers]
    bases: Mapping[int, int]
    ends: Mapping[int, int]
    topic: str
    logs: Mapping[int, str]
    membership: Any
    is_redo: bool = False

    @property
    def positions(self) -> KafkaPositions:
        """The positions that a commit of this batch makes durable."""
        metadata = {partition: encode_log_name(self.logs[partition]) for partition in self.ends}
        return KafkaPositions(self.topic, self.ends, self.membership, metadata, self.bases, self.logs, self.is_redo)

    def halves(self) -> tuple[KafkaBatch, KafkaBatch]:
        """Cut in two. The second half begins where the first one's commit ends, so the first must be committed before it."""
        middle = len(self.records) // 2
        first, second = self.records[:middle], self.records[middle:]
        between: dict[int, int] = {}
        for partition, offset in map(place_of, first):
            between[partition] = offset + 1
        return (
            replace(self, records=first, ends=between),
            replace(self, records=second, bases={**self.bases, **between}),
        )

    def describe(self) -> dict[str, Any]:
        """Return the fields by which a log line names the batch."""
        return {"records": len(self.records), "bases": dict(self.bases), "ends": dict(self.ends)}


def place_of(record: Record) -> tuple[int, int]:
    """Return the partition and offset of a record from Kafka.

    (The token of a replayed dead letter names those of its first life.)
    """
    assert isinstance(record.position, tuple), "only files have line numbers"  # noqa: S101
    return record.position


def make_record(body: bytes, form: Form, topic: str, token: Token, timestamp_s: float, headers: Headers) -> Record:
    """Return the record of a message at `token`. A replayed dead letter keeps the token and the arrival of its first life."""
    return Record(
        body=body,
        form=form,
        source=topic,
        position=(token.partition, token.offset),
        received=(headers and _number(headers.get(RECEIVED_HEADER))) or timestamp_s,
        token=(headers and _parse_token(headers.get(TOKEN_HEADER))) or token,
    )


def encode_token(token: Token) -> bytes:
    """Return a token as the header's value."""
    return f"{token.topic_id}/{token.partition}/{token.offset}".encode()


def _parse_token(value: bytes | None) -> Token | None:
    """Parse a token. None for a header that this pipeline did not write."""
    parts = value.decode("ascii", "replace").rsplit("/", 2) if value and len(value) <= MAX_TOKEN_BYTES else ()
    if len(parts) != 3 or not (parts[1].isdecimal() and parts[2].isdecimal()):
        return None
    return Token(parts[0], int(parts[1]), int(parts[2]))


def _number(value: bytes | None) -> float | None:
    try:
        return float(value) if value else None
    except ValueError:
        return None


def project_of(body: bytes) -> int | None:
    """Return the project of an ingest message, or None if its bytes cannot be read."""
    try:
        message = msgpack.unpackb(body, strict_map_key=False)
    except Exception:  # noqa: BLE001 -- msgpack raises many kinds of errors for bytes that are not msgpack
        return None
    project_id = message.get("project_id") if isinstance(message, dict) else None
    return project_id if isinstance(project_id, int) else None
