"""Compares what is stored with itself and with the topics: tables with their roll-ups, and each message with its row.

Numbers are compared without events that are younger than a few seconds: stores go on writing while this reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from pipeline.clickhouse.client import Client
from pipeline.model.record import Form, Record, Token
from pipeline.store.columns import NoRowError
from pipeline.store.rows import EventRow, read_storage_message

EVENTS_AT_ONCE = 5_000
MISSING_SHOWN = 10


@dataclass(frozen=True, slots=True)
class TableComparison:
    """Two numbers that must be the same. `why_more` says what may explain that the second is larger, "" if nothing does."""

    what: str
    stored: int
    compared: int
    why_more: str = ""

    @property
    def is_good(self) -> bool:
        """Whether they are the same, or differ in the way that can be explained."""
        return self.stored == self.compared or (bool(self.why_more) and self.compared > self.stored)


_REPLACED = "events that a producer has sent twice are replaced in the table when parts merge, and stay in the roll-up"
_COMPARISONS = (
    ("events and their bodies", "SELECT count() FROM events FINAL", "SELECT count() FROM event_bodies FINAL", ""),
    (
        "events and the roll-up of groups by hour",
        "SELECT count() FROM events WHERE timestamp >= toMonday(now() - INTERVAL 4 WEEK)",
        "SELECT sum(count) FROM group_hours WHERE hour >= toMonday(now() - INTERVAL 4 WEEK)",
        _REPLACED,
    ),
    (
        "tags of events and the roll-up of tags by day",
        "SELECT sum(length(tag_keys)) FROM events WHERE timestamp >= toMonday(now() - INTERVAL 4 WEEK)",
        "SELECT sum(count) FROM tag_days WHERE day >= toMonday(now() - INTERVAL 4 WEEK)",
        _REPLACED,
    ),
    (
        "outcomes and their roll-up by hour",
        "SELECT count() FROM outcomes WHERE timestamp >= toMonday(now() - INTERVAL 4 WEEK)",
        "SELECT sum(count) FROM outcome_hours WHERE hour >= toMonday(now() - INTERVAL 4 WEEK)",
        "",
    ),
    (
        "quantities of outcomes and their roll-up by hour",
        "SELECT sum(quantity) FROM outcomes WHERE timestamp >= toMonday(now() - INTERVAL 4 WEEK)",
        "SELECT sum(quantity) FROM outcome_hours WHERE hour >= toMonday(now() - INTERVAL 4 WEEK)",
        "",
    ),
)


def compare_tables(client: Client) -> Iterator[TableComparison]:
    """Yield each table with its roll-up. Raises AwayError, TooExpensiveError."""
    for what, one, other, why in _COMPARISONS:
        yield TableComparison(what, int(client.query(one).rows[0][0]), int(client.query(other).rows[0][0]), why)


@dataclass(slots=True)
class TopicComparison:
    """What was found of a topic's messages. `missing` names the first events that have no row, by project and id."""

    messages: int = 0
    stored: int = 0
    unusable: int = 0
    expired: int = 0
    missing_count: int = 0
    missing: tuple[str, ...] = ()


def compare_topic(client: Client, bodies: Iterable[bytes], now: float) -> TopicComparison:
    """Look for the row of each storage message. `now` is in epoch seconds: what is older than its retention may be gone."""
    found = TopicComparison()
    batch: dict[str, Mapping[str, Any]] = {}
    for body in bodies:
        found.messages += 1
        try:
            row = read_storage_message(Record(body, Form.JSON, "", 0, now, Token("", 0, 0)))
        except NoRowError:
            found.unusable += 1
            continue
        if not isinstance(row, EventRow):
            found.messages -= 1
            continue
        event = orjson.loads(row.event)
        batch[event["event_id"]] = event
        if len(batch) >= EVENTS_AT_ONCE:
            _look_up(client, batch, found, now)
            batch = {}
    _look_up(client, batch, found, now)
    return found


def _look_up(client: Client, batch: Mapping[str, Mapping[str, Any]], found: TopicComparison, now: float) -> None:
    if not batch:
        return
    rows = client.query(
        "SELECT DISTINCT toString(event_id) FROM events WHERE event_id IN ({ids:Array(UUID)})", {"ids": list(batch)}
    ).rows
    stored = {event_id for (event_id,) in rows}
    expired = {event_id for event_id, event in batch.items() if event_id not in stored and _end_of(event) < now}
    missing = [event_id for event_id in batch if event_id not in stored and event_id not in expired]
    found.stored += len(stored)
    found.expired += len(expired)
    found.missing_count += len(missing)
    named = tuple(f"{batch[event_id]['project_id']}/{event_id}" for event_id in missing)
    found.missing = (found.missing + named)[:MISSING_SHOWN]


def _end_of(event: Mapping[str, Any]) -> float:
    """Return when an event's retention ends, in epoch seconds."""
    happened = datetime.fromisoformat(event["timestamp"]).replace(tzinfo=UTC).timestamp()
    return happened + float(event["retention_days"]) * 86_400
