"""Stored events as input: a storage message becomes the event that it was before grouping, so that it can be processed again.

`events.jsonl` of a replay holds such messages. See docs/spec/storage-messages.md, "Read again".
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import orjson

from pipeline.model.event import Event, RawEvent, exceptions, frames_in, threads
from pipeline.model.item import Item
from pipeline.model.outcome import Fate, Outcome
from pipeline.model.storage_message import INSERT, PROTOCOL_VERSION
from pipeline.model.title import culprit
from pipeline.stages.contract import Context
from pipeline.stages.decode.message import RefusalError, key_number
from pipeline.stages.derived_tags import drop_derived_tags

_COMPUTED = (
    "hashes", "title", "location", "metadata", "main_exception_id", "symbolicated_in_app", "scraping_attempts", "sample_rate",
    "_fingerprint_info", "project", "version", "key_id",
)  # fmt: skip
"""Fields that later stages set again."""

_LAST_ARRIVAL = 2**32


class StoredMessage(NamedTuple):
    """The content of a storage message.

    `received` is in epoch seconds; `sample_rate` is None unless the event stands for several.
    """

    project_id: int | None
    event: RawEvent
    received: float | None
    key_id: int | None
    sample_rate: float | None


def is_stored_message(root: object) -> bool:
    """Whether a JSON value has the form of a storage message: a version, an operation and an object."""
    return isinstance(root, list) and len(root) >= 3 and type(root[0]) is int and type(root[1]) is str and type(root[2]) is dict


def read_stored_message(root: list[Any]) -> StoredMessage:
    """Take the event out of a storage message, without what later stages made of it. Raises RefusalError if it holds none."""
    version, operation, row, *_ = root
    if version != PROTOCOL_VERSION or operation != INSERT:
        raise RefusalError("payload", f"a storage message [{version}, {operation[:40]!r}] holds no event")
    data = row.get("data")
    if type(data) is not dict:
        raise RefusalError("payload", "a storage message without data")
    event: RawEvent = dict(data)
    try:
        _undo(event)
    except (AttributeError, LookupError, TypeError, ValueError):
        raise RefusalError("payload", "a storage message whose event was never normalized") from None
    event["event_id"] = row.get("event_id") or event.get("event_id")
    project_id: Any = row.get("project_id")
    received: Any = data.get("received")
    rate: Any = data.get("sample_rate")
    return StoredMessage(
        project_id if type(project_id) is int else None,
        event,
        float(received) if type(received) in {int, float} and 0 <= received < _LAST_ARRIVAL else None,
        key_number(data.get("key_id")),
        float(rate) if type(rate) in {int, float} and 0 < rate < 1 else None,
    )


def _undo(stored: RawEvent) -> None:
    """Undo what grouping and enriching wrote, so that they decide again, under other rules and for other frames.

    The culprit is removed if it follows from the event's own frames. The sender's fingerprint is restored.
    """
    event = cast("Event", stored)  # it was normalized when it was stored; a value of another type raises
    if event.get("culprit") == (event.get("transaction") or culprit(event)):
        event.pop("culprit", None)
    drop_derived_tags(event)
    info = event.get("_fingerprint_info") or {}
    sent = info.get("client_fingerprint") if info else event.get("fingerprint")
    event.pop("fingerprint", None)
    if sent and sent != ["{{ default }}"]:
        event["fingerprint"] = sent
    for name in _COMPUTED:
        stored.pop(name, None)
    stacks: list[Any] = [
        holder.get(name) for holder in (*exceptions(event), *threads(event)) for name in ("stacktrace", "raw_stacktrace")
    ]
    for stack in (*stacks, event.get("stacktrace")):
        for frame in frames_in(stack):
            _undo_marks(frame)


def _undo_marks(frame: Any) -> None:
    data = frame.get("data")
    if not data or data.get("orig_in_app") is None:
        return
    marked = data.pop("orig_in_app")
    if marked == -1:
        frame.pop("in_app", None)
    else:
        frame["in_app"] = bool(marked)
    if not data:
        del frame["data"]


def keep_symbolication(sent: RawEvent, event: Event) -> None:
    """Keep what symbolication wrote to a stored event. If a sender sent such fields, they would be dropped."""
    stored = cast("Event", sent)
    before: list[Any] = [stored, *exceptions(stored), *threads(stored)]
    after: list[Any] = [event, *exceptions(event), *threads(event)]
    for holder, kept in zip(before, after, strict=False):
        for name in ("stacktrace", "raw_stacktrace"):
            for frame, kept_frame in zip(frames_in(holder.get(name)), frames_in(kept.get(name)), strict=False):
                data = frame.get("data")
                if isinstance(data, dict) and data.get("symbolicated") is True:
                    kept_frame["data"] = data
    listed = [error for error in sent.get("errors") or () if isinstance(error, dict) and isinstance(error.get("type"), str)]
    if listed:
        event["errors"] = listed + event["errors"][len(listed) :]


def drop_unchanged(item: Item[Event], ctx: Context) -> Item[Event] | Outcome:  # noqa: ARG001 -- every stage has this form
    """Reject a stored event that comes out as it went in.

    Takes    published events. Returns those that differ from what was stored, and all that were never stored.
    Rejects  FILTERED, reason `unchanged`.
    Cost     the event's JSON is parsed twice. Running twice gives the same result.
    """
    if not item.is_stored or item.message is None:
        return item
    before, after = (orjson.loads(value)[2] for value in (item.record.body, item.message.value))
    for row in (before, after):
        row.pop("group_first_seen", None)
    return item.rejected(Fate.FILTERED, "unchanged") if before == after else item
