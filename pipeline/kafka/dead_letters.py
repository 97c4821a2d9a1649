"""Dead letters as an operator handles them: their headers, the filters that select them, and the marks of a replay."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from pipeline.kafka.batch import FIRST_FAILURE_HEADER, RECEIVED_HEADER, TOKEN_HEADER, Headers, project_of
from pipeline.model.record import Output


class LetterAddress(NamedTuple):
    """Address of a dead letter on its topic. People write it as `partition:offset`."""

    partition: int
    offset: int

    def __str__(self) -> str:
        """Return `partition:offset`."""
        return f"{self.partition}:{self.offset}"


REPLAYED_HEADER = "pipeline-replayed"
"""A record of the topic with this header and no value is a mark: the dead letter at that address was replayed.

A mark is written in the transaction that replays its letter. So a replay can be interrupted at any instruction, run again with
other filters, or run by two people at once, and still replays each letter once. A mark goes to its letter's partition. Retention
deletes from the front, so a letter never outlives its mark.
"""


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter read back from its topic."""

    place: LetterAddress
    body: bytes
    headers: Headers
    timestamp_s: float

    def text(self, name: str) -> str:
        """Return a header as text, or "" if it is missing."""
        return self.headers.get(name, b"").decode("utf-8", "replace")

    @property
    def project_id(self) -> int | None:
        """The project, or None if the bytes cannot be read."""
        return project_of(self.body)

    def to_json(self) -> dict[str, Any]:
        """Return a description without the bytes."""
        return {
            "place": str(self.place),
            "project_id": self.project_id,
            "stage": self.text("stage"),
            "reason": self.text("reason"),
            "detail": self.text("detail"),
            "failed_at": self.text("failed-at"),
            "first_failure": self.text("first-failure"),
            "version": self.text("version"),
            "source": f"{self.text('source-topic')}/{self.text('source-partition')}/{self.text('source-offset')}",
            "bytes": len(self.body),
        }

    @property
    def is_whole(self) -> bool:
        """Whether the bytes are the whole record, so that it can be replayed.

        Of a record that is too large for any topic, and of a request that a gateway could not ship, only the beginning is kept.
        """
        return "truncated-from" not in self.headers and self.headers.get("stage") != b"gateway"

    def replayed(self) -> Output:
        """Return the record to produce to the input topic: the bytes, with the identity of the first life in the headers."""
        carried = {TOKEN_HEADER: "token", RECEIVED_HEADER: "received", FIRST_FAILURE_HEADER: "first-failure"}
        headers = [(name, self.headers[own]) for name, own in carried.items() if own in self.headers]
        return Output(None, self.body, headers)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters of dead letters. One that is None selects all. Times are epoch seconds of the failure; `until` is excluded."""

    stage: str | None = None
    reason: str | None = None
    project_id: int | None = None
    since: float | None = None
    until: float | None = None
    places: frozenset[LetterAddress] | None = None

    def takes(self, letter: StoredLetter) -> bool:
        """Whether the filters select a dead letter. The cheap tests come first."""
        if self.places is not None and letter.place not in self.places:
            return False
        if self.stage is not None and letter.text("stage") != self.stage:
            return False
        if self.reason is not None and letter.text("reason") != self.reason:
            return False
        if self.since is not None or self.until is not None:
            failed_at = _epoch_s(letter.text("failed-at"), letter.timestamp_s)
            if failed_at < (self.since or 0) or failed_at >= (self.until or float("inf")):
                return False
        return self.project_id is None or letter.project_id == self.project_id


def read_mark(headers: Headers) -> LetterAddress | None:
    """Return the address in a mark, or None for a dead letter."""
    return parse_address(headers[REPLAYED_HEADER].decode("ascii", "replace")) if REPLAYED_HEADER in headers else None


def mark(place: LetterAddress) -> Output:
    """Return the record that marks a dead letter as replayed."""
    return Output(None, b"", [(REPLAYED_HEADER, str(place).encode())])


def parse_address(text: str) -> LetterAddress | None:
    """Parse `partition:offset`. None for any other text."""
    partition, _, offset = text.partition(":")
    return LetterAddress(int(partition), int(offset)) if partition.isdecimal() and offset.isdecimal() else None


def count_kinds(letters: Iterable[StoredLetter]) -> dict[tuple[str, str], int]:
    """Count by stage and reason."""
    kinds: dict[tuple[str, str], int] = {}
    for letter in letters:
        kind = (letter.text("stage"), letter.text("reason"))
        kinds[kind] = kinds.get(kind, 0) + 1
    return kinds


def _epoch_s(text: str, otherwise: float) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return otherwise
