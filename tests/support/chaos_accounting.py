"""The ledger at the end: the input's offsets held against what is on the other topics, and Redis against both."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import redis
from confluent_kafka import Message
from support.kafka_broker import Broker, committed, read_all

from pipeline.settings.schema import Settings


@dataclass(frozen=True)
class Result:
    """All topics, read with `read_committed` by a plain consumer."""

    records: list[Message]
    events: list[Message]
    outcomes: list[dict[str, Any]]
    dead: list[Message]

    @classmethod
    def read(cls, broker: Broker, settings: Settings) -> Result:
        kafka = settings.kafka
        return cls(
            read_all(broker, kafka.events_in),
            read_all(broker, kafka.events_out),
            [json.loads(message.value() or b"") for message in read_all(broker, kafka.outcomes)],
            read_all(broker, kafka.dead_letters),
        )

    def event_bodies(self) -> list[dict[str, Any]]:
        """Return the events as Snuba reads them."""
        return [json.loads(message.value() or b"")[2] for message in self.events]


def event_id_of(value: bytes | None) -> str | None:
    """Find the event's id in an ingest message; None for poison."""
    try:
        message = msgpack.unpackb(value or b"")
        return str(message["event_id"])
    except Exception:  # noqa: BLE001 -- poison can be anything
        return None


def assert_every_record_ended_once(result: Result) -> None:
    """Each input offset is one event, one outcome that is not accepted, or one dead letter."""
    dead = Counter((int(h["source-partition"]), int(h["source-offset"])) for h in map(_headers, result.dead))
    assert not {place: n for place, n in dead.items() if n > 1}, "dead letters twice"
    expected: Counter[str | None] = Counter()
    for record in result.records:
        place = (record.partition(), record.offset())
        if place not in dead:
            expected[event_id_of(record.value())] += 1
    assert None not in expected, "poison that is no dead letter"
    found: Counter[str | None] = Counter(body["event_id"] for body in result.event_bodies())
    assert not {event_id: n for event_id, n in found.items() if n > 1}, "events stored twice"
    found.update(outcome["event_id"] for outcome in result.outcomes if outcome["outcome"] != 0)
    lost = {event_id: n for event_id, n in (expected - found).items() if n}
    extra = {event_id: n for event_id, n in (found - expected).items() if n}
    assert not lost, f"{len(lost)} lost, such as {list(lost)[:3]}"
    assert not extra, f"{len(extra)} too many, such as {list(extra)[:3]}"


def assert_outcomes_add_up(result: Result) -> None:
    """Accepted outcomes count exactly what was stored."""
    accepted: Counter[int] = Counter()
    for outcome in result.outcomes:
        if outcome["outcome"] == 0:
            accepted[outcome["project_id"]] += outcome["quantity"]
    assert accepted == Counter(body["project_id"] for body in result.event_bodies())


def assert_redis_agrees(result: Result, url: str, quota_id: str, quota_project: int, limit: int) -> None:
    """The quota's counter and every group's are those of the events that are stored."""
    client = redis.Redis.from_url(url, decode_responses=True)
    stored = Counter(body["project_id"] for body in result.event_bodies())
    used = sum(int(client.get(key) or 0) for key in client.scan_iter(match=f"quota:{quota_id}*"))
    assert used == stored[quota_project] == limit
    seen = {}
    for key in client.scan_iter(match="group:{*", count=1_000):
        if client.type(key) == "hash":
            project_id, group_id = key.split("}", 1)[1].split(":")[:2]
            seen[int(project_id), int(group_id)] = int(client.hget(key, "seen") or 0)
    groups = Counter((body["project_id"], body["group_id"]) for body in result.event_bodies())
    assert {group: n for group, n in seen.items() if n} == dict(groups)
    client.close()


def assert_no_lag(result: Result, settings: Settings) -> None:
    """Everything is committed, partitions that were added later included."""
    ends: dict[int, int] = {}
    for record in result.records:
        partition, offset = record.partition(), record.offset()
        assert partition is not None
        assert offset is not None
        ends[partition] = max(ends.get(partition, 0), offset + 1)
    standing = committed(settings)
    assert {partition: standing[partition] for partition in ends} == ends


def assert_same_as_replay(result: Result, replayed: Path, projects: set[int]) -> None:
    """The worker's events are those of `replay` on the same input, but for what only the order of arrival decides."""
    theirs = {}
    for line in (replayed / "events.jsonl").read_bytes().splitlines():
        body = json.loads(line)[2]
        if body["project_id"] in projects:
            theirs[body["event_id"]] = body
    ours = {body["event_id"]: body for body in result.event_bodies() if body["project_id"] in projects}
    assert ours.keys() == theirs.keys()
    different = [event_id for event_id, body in ours.items() if body != theirs[event_id]]
    assert not different, f"{len(different)} differ from replay, such as {different[0]}"


def _headers(message: Message) -> Mapping[str, str]:
    return {name: (value or b"").decode() for name, value in message.headers() or ()}
