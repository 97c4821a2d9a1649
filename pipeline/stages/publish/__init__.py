"""Publish: encodes the event as a storage message. See docs/spec/storage-messages.md.

Readers must not refuse any message, no column stays empty that the event could fill, and the JSON is encoded once.
"""

from __future__ import annotations

from typing import Any

import orjson

from pipeline.model.dead_letter import DeadLetter
from pipeline.model.event import Event
from pipeline.model.item import Item
from pipeline.model.outcome import format_datetime
from pipeline.model.record import Output
from pipeline.model.storage_message import (
    INSERT,
    LAST_SECOND,
    MAX_SEARCH_CHARS,
    PROTOCOL_VERSION,
    QUEUE,
    PostProcessState,
    StoredEvent,
    encode_insert,
    post_process_state,
)
from pipeline.stages.contract import Context
from pipeline.stages.publish.limits import fit_storage
from pipeline.stages.scrub import settle_stacks

RECORD_OVERHEAD_BYTES = 4_096
"""Room for what a record holds besides its value: batch header, key and headers. It is more than they take."""


def publish_event(item: Item[Event], ctx: Context) -> Item[Event] | DeadLetter:
    """Encode the event and set the item's `message`.

    Takes    grouped events. Returns them. Values that the storage cannot hold become null and are named in `errors`.
    Dead     `too_large` if the message would not fit the topic: one such record would abort a whole transaction.
    """
    if item.grouping is None:
        raise ValueError("an event must be grouped before it is published")
    fit_storage(item.event)
    settle_stacks(item)
    project_id, primary_hash = item.scope.project_id, item.grouping.primary_hash
    group_id = item.grouping.group_id(project_id)
    data = _data(item)
    first_seen = data["timestamp"] if item.group_first_seen is None else item.group_first_seen
    state = post_process_state(group_id, is_new=item.is_new_group)
    event: StoredEvent = {
        "group_id": group_id,
        "group_ids": [group_id],
        "event_id": item.event_id,
        "organization_id": item.scope.organization_id,
        "project_id": project_id,
        "message": search_message(data),
        "platform": data.get("platform"),
        "datetime": format_datetime(data["timestamp"]),
        "group_first_seen": format_datetime(first_seen),
        "data": data,
        "primary_hash": primary_hash,
        "retention_days": ctx.rules.project(project_id).project.retention_days,
        "occurrence_id": None,
        "occurrence_data": {},
    }
    value = encode_insert(event, state)
    if len(value) > ctx.limits.max_output_bytes - RECORD_OVERHEAD_BYTES:
        return item.died("publish", "too_large", f"{len(value)} bytes do not fit the storage topic")
    item.message = Output(str(project_id).encode(), value, _headers(item, group_id, primary_hash, state))
    return item


def _data(item: Item[Event]) -> dict[str, Any]:
    """Return the event with the fields that the pipeline sets, such as ids, times and hashes."""
    event, grouping = item.event, item.grouping
    assert grouping is not None  # noqa: S101 -- publish has looked
    timestamp: Any = event.get("timestamp")
    if type(timestamp) not in {int, float} or not 0 <= timestamp < LAST_SECOND:
        timestamp = item.received
    data = {
        **event,
        "event_id": item.event_id,
        "project": item.scope.project_id,
        "key_id": None if item.scope.key_id is None else str(item.scope.key_id),
        "timestamp": timestamp,
        "received": item.received,
        "version": "7",
        "hashes": list(grouping.hashes),
    }
    if item.sample_rate:
        data["sample_rate"] = item.sample_rate
    return data


def search_message(data: dict[str, Any]) -> str:
    """Return the text that searches look at: the message, then the values of metadata and culprit that it does not contain."""
    logentry = data.get("logentry")
    message = ""
    if isinstance(logentry, dict):
        message = _text(logentry.get("formatted")) or _text(logentry.get("message"))
    metadata = data.get("metadata")
    added = [*(metadata.values() if isinstance(metadata, dict) else ()), data.get("culprit")]
    for value in added:
        if isinstance(value, str) and value not in message:
            message = f"{message} {value}"
    message = message.strip()
    return message if len(message) <= MAX_SEARCH_CHARS else message[: MAX_SEARCH_CHARS - 3] + "..."


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _headers(item: Item[Event], group_id: int, primary_hash: str, state: PostProcessState) -> list[tuple[str, bytes]]:
    is_new = b"1" if item.is_new_group else b"0"
    return [
        ("operation", INSERT.encode()),
        ("version", str(PROTOCOL_VERSION).encode()),
        ("Received-Timestamp", str(item.received).encode()),
        ("queue", QUEUE.encode()),
        ("event_id", item.event_id.encode()),
        ("project_id", str(item.scope.project_id).encode()),
        ("group_id", str(group_id).encode()),
        ("primary_hash", primary_hash.encode()),
        ("is_new", is_new),
        ("is_new_group_environment", is_new),
        ("is_regression", b"0"),
        ("skip_consume", b"0"),
        ("group_states", orjson.dumps(state["group_states"])),
    ]
