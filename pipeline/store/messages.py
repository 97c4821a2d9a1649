"""Types of storage messages and outcome messages, with the fields that the store reads.

Other fields are ignored. A field of another type makes the whole message unusable, as it does for Snuba
(docs/spec/storage-messages.md). A field of the type Any may hold anything.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

DEFAULT_RETENTION_DAYS = 90

Group = Annotated[int, Meta(ge=0)]

_Id = int | str | None
_Column = Annotated[int, Meta(ge=0, lt=2**32)] | None


class StoredMechanism(msgspec.Struct):
    """How the SDK caught an exception."""

    type: Any = None
    handled: Any = None


class StoredFrame(msgspec.Struct):
    """One call of a stack trace."""

    function: Any = None
    module: Any = None
    filename: Any = None
    abs_path: Any = None
    package: Any = None
    lineno: Any = None
    colno: _Column = None
    in_app: bool | None = None


class StoredStacktrace(msgspec.Struct):
    """The frames of an exception, the newest last."""

    frames: list[StoredFrame | None] | None = None


class StoredException(msgspec.Struct):
    """One exception of an event."""

    type: Any = None
    value: Any = None
    mechanism: StoredMechanism | None = None
    stacktrace: StoredStacktrace | None = None
    thread_id: _Id = None


class StoredExceptions(msgspec.Struct):
    """The exceptions of an event."""

    values: list[StoredException | None] | None = None


class StoredThread(msgspec.Struct):
    """One thread of a process."""

    id: _Id = None
    main: bool | None = None


class StoredThreads(msgspec.Struct):
    """The threads of a process."""

    values: list[StoredThread | None] | None = None


class StoredRequest(msgspec.Struct):
    """The HTTP request that an event is about."""

    method: Any = None
    url: Any = None
    headers: list[tuple[Any, Any] | None] | None = None


class StoredSdk(msgspec.Struct):
    """What sent the event."""

    name: Any = None
    version: Any = None
    integrations: list[Any] | None = None


class StoredGeo(msgspec.Struct):
    """Where a user is."""

    country_code: Any = None


class StoredUser(msgspec.Struct):
    """The user of an event."""

    id: Any = None
    email: Any = None
    username: Any = None
    ip_address: str | None = None
    geo: StoredGeo | None = None


class StoredData(msgspec.Struct):
    """The event itself."""

    type: str | None = None
    title: Any = None
    culprit: Any = None
    logger: Any = None
    location: str | None = None
    version: str | None = None
    received: float | None = None
    tags: list[tuple[Any, Any] | None] | None = None
    contexts: dict[str, dict[str, Any] | None] | None = None
    exception: StoredExceptions | None = None
    exception_alias: StoredExceptions | None = msgspec.field(default=None, name="sentry.interfaces.Exception")
    threads: StoredThreads | None = None
    request: StoredRequest | None = None
    sdk: StoredSdk | None = None
    user: StoredUser | None = None
    modules: dict[str, str | None] | None = None
    errors: list[Any] | None = None
    symbolicated_in_app: bool | None = None


class InsertMessage(msgspec.Struct):
    """The third part of a message that stores an event."""

    event_id: str
    group_id: int
    project_id: int
    message: str
    primary_hash: str
    data: msgspec.Raw
    datetime: str = ""
    group_first_seen: str = ""
    retention_days: Annotated[int, Meta(ge=0, le=65_535)] | None = DEFAULT_RETENTION_DAYS
    platform: str | None = None


class ControlBody(msgspec.Struct):
    """The fields that all control messages have."""

    project_id: int
    datetime: str = ""


class OutcomeMessage(msgspec.Struct):
    """A message of the outcomes topic."""

    timestamp: str
    outcome: Annotated[int, Meta(ge=0, le=255)]
    org_id: int = 0
    project_id: int | None = None
    key_id: int | None = None
    reason: str | None = None
    event_id: str | None = None
    category: Annotated[int, Meta(ge=0, le=255)] | None = None
    quantity: int | None = None


class ControlGroups(msgspec.Struct):
    """The fields of control messages about groups and events. Each operation uses some of them."""

    group_ids: list[Group] = msgspec.field(default_factory=list)
    previous_group_ids: list[Group] = msgspec.field(default_factory=list)
    previous_group_id: Group = 0
    new_group_id: Group = 0
    hashes: list[str] = msgspec.field(default_factory=list)
    event_ids: list[str] = msgspec.field(default_factory=list)
