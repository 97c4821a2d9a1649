"""What queries can filter and group by: the fields of an event under the names that users type, and its tags."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class FieldKind(StrEnum):
    """What values a field has."""

    TEXT = "text"
    """One text; the empty one stands for none."""
    TEXTS = "texts"
    """Any number of texts. A condition holds if it holds for one of them."""
    ID = "id"
    """A UUID; the one of zeros stands for none."""
    NUMBER = "number"
    TIME = "time"
    FLAG = "flag"
    """True, false or unknown."""
    FLAGS = "flags"
    """Any number of flags."""


class EventField(NamedTuple):
    """A column of the events table. `name` is what users type."""

    name: str
    kind: FieldKind
    column: str


class Tag(NamedTuple):
    """A tag of an event, by its key. It has a text, or none."""

    key: str


AnyField = EventField | Tag

_TEXT_COLUMNS = {
    "level": "level",
    "release": "release",
    "environment": "environment",
    "dist": "dist",
    "transaction": "transaction",
    "platform": "platform",
    "platform.name": "platform",
    "type": "type",
    "event.type": "type",
    "title": "title",
    "culprit": "culprit",
    "location": "location",
    "message": "message",
    "logger": "logger",
    "user": "user",
    "user.id": "user_id",
    "user.email": "user_email",
    "user.username": "user_name",
    "user.ip": "ip_address",
    "geo.country_code": "country_code",
    "http.method": "http_method",
    "http.referer": "http_referer",
    "http.url": "url",
    "sdk.name": "sdk_name",
    "sdk.version": "sdk_version",
    "span": "span_id",
}
_TEXTS_COLUMNS = {
    "error.type": "exception_types",
    "error.value": "exception_values",
    "error.mechanism": "mechanism_types",
    "stack.function": "frame_functions",
    "stack.module": "frame_modules",
    "stack.filename": "frame_filenames",
    "stack.abs_path": "frame_abs_paths",
    "stack.package": "frame_packages",
}
_ID_COLUMNS = {"id": "event_id", "event.id": "event_id", "trace": "trace_id", "replay": "replay_id", "replayId": "replay_id"}

FIELDS: dict[str, EventField] = (
    {name: EventField(name, FieldKind.TEXT, column) for name, column in _TEXT_COLUMNS.items()}
    | {name: EventField(name, FieldKind.TEXTS, column) for name, column in _TEXTS_COLUMNS.items()}
    | {name: EventField(name, FieldKind.ID, column) for name, column in _ID_COLUMNS.items()}
    | {
        "timestamp": EventField("timestamp", FieldKind.TIME, "timestamp"),
        "timestamp.received": EventField("timestamp.received", FieldKind.TIME, "received"),
        "project.id": EventField("project.id", FieldKind.NUMBER, "project_id"),
        "issue.id": EventField("issue.id", FieldKind.NUMBER, "group"),
        "error.main_thread": EventField("error.main_thread", FieldKind.FLAG, "is_in_main_thread"),
        "symbolicated_in_app": EventField("symbolicated_in_app", FieldKind.FLAG, "symbolicated_in_app"),
        "error.handled": EventField("error.handled", FieldKind.FLAGS, "mechanism_handled"),
        "stack.in_app": EventField("stack.in_app", FieldKind.FLAGS, "frame_in_app"),
    }
)
"""Every field by its name. Two names may stand for one column."""

_TAG_NAMES = {"sentry:release": "release", "sentry:user": "user", "sentry:dist": "dist"}


def find_field(name: str) -> AnyField:
    """Return the field of a name, or else the tag of that key. `tags[x]` always means a tag."""
    if name.startswith("tags[") and name.endswith("]"):
        return Tag(name[5:-1])
    return FIELDS.get(_TAG_NAMES.get(name, name)) or Tag(name)
