"""Outcome messages as rows of the table outcomes. See docs/spec/outcomes.md."""

from __future__ import annotations

import msgspec
import orjson

from pipeline.model.outcome import Fate
from pipeline.model.record import Record
from pipeline.store.columns import NIL, NoRowError, Reason, check_id, encode_time, parse_time, parse_uuid
from pipeline.store.messages import OutcomeMessage

_outcome = msgspec.json.Decoder(OutcomeMessage)
CLIENT_DISCARDS = frozenset(
    {
        "queue_overflow", "cache_overflow", "ratelimit_backoff", "network_error", "before_send", "event_processor",
        "sample_rate", "send_error", "internal_sdk_error", "insufficient_data", "backpressure", "ignored", "no_parent_span",
        "buffer_overflow",
    }
)  # fmt: skip
"""The reasons that senders may give for what they discarded themselves. Others are dropped, because senders could make up any
number of them."""


def read_outcome(record: Record) -> bytes:
    """Return the row of an outcome message for the table outcomes. Raises NoRowError."""
    try:
        message = _outcome.decode(record.body)
    except msgspec.ValidationError as error:
        raise NoRowError(Reason.INVALID_MESSAGE, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NoRowError(Reason.INVALID_JSON, str(error)) from None
    for name in ("org_id", "project_id", "key_id", "quantity"):
        check_id(name, getattr(message, name) or 0)
    happened = parse_time(message.timestamp)
    reason = message.reason or ""
    if message.outcome == Fate.CLIENT_DISCARD and reason not in CLIENT_DISCARDS:
        reason = ""
    source_partition, source_offset = record.position if isinstance(record.position, tuple) else (0, record.position)
    return orjson.dumps(
        {
            "org_id": message.org_id,
            "project_id": message.project_id or 0,
            "key_id": message.key_id or 0,
            "timestamp": encode_time(record.received if happened is None else happened)[:19],
            "outcome": message.outcome,
            "reason": reason,
            "category": 1 if message.category is None else message.category,
            "quantity": 1 if message.quantity is None else message.quantity,
            "event_id": NIL if message.event_id is None else parse_uuid("event_id", message.event_id),
            "source_partition": source_partition,
            "source_offset": source_offset,
        }
    )
