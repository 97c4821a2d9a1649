"""The storage message: a stored event in the form that the topic `events` holds, which Snuba and other stores read.

The value is a JSON list of four: the version, the operation, the event's row with the event itself under `data`, and what the
post-process forwarder reads. See docs/spec/storage-messages.md.
"""

from __future__ import annotations

from typing import Any, TypedDict

import orjson

from pipeline.model.known_stack import encode_shared

PROTOCOL_VERSION = 2
INSERT = "insert"
QUEUE = "post_process_errors"

PROMOTED_TAGS = ("level", "environment", "transaction", "sentry:release", "sentry:dist", "sentry:user")
"""Tags from which readers fill columns. They read the values nowhere else in the message."""

MAX_SEARCH_CHARS = 8_192
"""Limit of the search message. Readers do not cut it, so the writer must."""

LAST_SECOND = 2**32
"""Upper bound of timestamps (excluded): readers store seconds in 32 bits."""

LAST_LINE = 2**32
"""Upper bound of line and column numbers of frames (excluded): readers store them in 32 bits."""

REFUSED_ALIASES = tuple(f"sentry.interfaces.{name}" for name in ("Exception", "Http", "Threads", "User"))
"""Old names of fields. Readers treat them as aliases, and refuse an event that has a field under both names."""


class StoredEvent(TypedDict):
    """The event's row.

    `datetime` and `group_first_seen` are UTC. `data` is the normalized event with tags, hashes and ids added.
    """

    group_id: int
    group_ids: list[int]
    event_id: str
    organization_id: int
    project_id: int
    message: str
    platform: str | None
    datetime: str
    group_first_seen: str
    data: dict[str, Any]
    primary_hash: str
    retention_days: int
    occurrence_id: None
    occurrence_data: dict[str, Any]


class GroupState(TypedDict):
    """Whether one group is new, and whether it came back after it was resolved."""

    id: str
    is_new: bool
    is_regression: bool
    is_new_group_environment: bool


class PostProcessState(TypedDict):
    """The fourth element of the message, which Sentry's post-process forwarder reads."""

    is_new: bool
    is_regression: bool
    is_new_group_environment: bool
    queue: str
    skip_consume: bool
    group_states: list[GroupState]


def post_process_state(group_id: int, *, is_new: bool) -> PostProcessState:
    """Return the state of an event's group. A new group is new in its environment as well."""
    group: GroupState = {
        "id": str(group_id),
        "is_new": is_new,
        "is_regression": False,
        "is_new_group_environment": is_new,
    }
    return {
        "is_new": is_new,
        "is_regression": False,
        "is_new_group_environment": is_new,
        "queue": QUEUE,
        "skip_consume": False,
        "group_states": [group],
    }


def encode_insert(event: StoredEvent, state: PostProcessState) -> bytes:
    """Return the bytes of an insert message."""
    return orjson.dumps([PROTOCOL_VERSION, INSERT, event, state], default=encode_shared, option=orjson.OPT_PASSTHROUGH_SUBCLASS)
