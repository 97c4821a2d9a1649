"""Any field of an event by its path, such as `event.contexts.device.model`, for matchers and variables of fingerprint rules.

See docs/spec/fingerprint-rules.md, "Fields by path".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from pipeline.model.event import Event, message_of

PREFIX = "event."

MAX_JSON_CHARS = 65_536
"""In a longer text no JSON is looked for."""

FIELDS = frozenset(
    {
        *("breadcrumbs", "contexts", "csp", "debug_meta", "dist", "environment", "errors", "exception", "expectct", "extra"),
        *("expectstaple", "fingerprint", "hpkp", "level", "logentry", "logger", "message", "modules", "platform", "release"),
        *("request", "sdk", "server_name", "site", "stacktrace", "tags", "template", "threads", "time_spent", "transaction"),
        *("type", "user", "version", "nel"),
    }
)
"""The fields that an event can have at its top."""

_DECODER = json.JSONDecoder()


def text_at(event: Event, path: str) -> str | None:
    """Return the value at a path as text, or None if there is none.

    Lists count from 0, and from the end with -1. A list of pairs, such as tags and headers, is read like an object. A text in
    which JSON begins is read as that. Booleans and numbers are as in JSON, and so is an object or a list as a whole.

    >>> text_at({"extra": {"order": {"id": 7}}}, "event.extra.order.id")
    '7'
    """
    name, _, rest = path.removeprefix(PREFIX).partition(".")
    value = message_of(event) if name == "message" else event.get(name)
    found = _descend(value, rest.split(".") if rest else [])
    if found is None or isinstance(found, str):
        return found
    try:
        return orjson.dumps(found, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:  # a lone surrogate or a number of more than 64 bits
        return json.dumps(found, sort_keys=True)


class EventFields(Mapping[str, str]):
    """The fields of one event by their paths, as a set of values for matchers. Each is read when it is first asked for."""

    def __init__(self, event: Event) -> None:
        self._event = event
        self._read: dict[str, str | None] = {}

    def __getitem__(self, key: str) -> str:
        if key not in self._read:
            self._read[key] = text_at(self._event, key)
        found = self._read[key]
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[str]:
        return (PREFIX + name for name in self._event)

    def __len__(self) -> int:
        return len(self._event)


def _descend(value: Any, names: list[str]) -> Any:
    """Return what is at the names. A name with a dot in it is found if no shorter one is."""
    if not names or value is None:
        return value
    if isinstance(value, str):
        value = _json_in(value)
    if isinstance(value, list):
        if value and all(isinstance(item, list) and len(item) == 2 for item in value if item is not None):
            value = {str(item[0]): item[1] for item in value if item is not None}
        else:
            index = int(names[0]) if names[0].removeprefix("-").isdecimal() and len(names[0]) < 6 else None
            is_there = index is not None and -len(value) <= index < len(value)
            return _descend(value[index], names[1:]) if index is not None and is_there else None
    if not isinstance(value, dict):
        return None
    for count in range(1, len(names) + 1):
        name = ".".join(names[:count])
        if name in value:
            return _descend(value[name], names[count:])
    return None


def _json_in(text: str) -> Any:
    """Return the JSON object or list that begins in a text, or None."""
    if len(text) > MAX_JSON_CHARS:
        return None
    start = min((at for at in (text.find("{"), text.find("[")) if at >= 0), default=-1)
    if start < 0:
        return None
    try:
        return _DECODER.raw_decode(text, start)[0]
    except (ValueError, RecursionError):
        return None
