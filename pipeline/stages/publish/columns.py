"""What Snuba refuses, repaired: there, one value of the wrong type costs the whole event (spec/storage.md, section 2).

Normalization leaves little to do here. But it speaks Relay's rules, and this file the storage's: whatever a stage before
forgot, or made up, must not lose the event.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pipeline.model.processing_error import add_errors, invalid_data

_UUID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_U32 = 2**32
_U64 = 2**64
_LEGACY = "sentry.interfaces."
"""Old names of `exception`, `threads`, ...: Snuba takes them for the same field, and refuses an event that has both."""
_MAX_NAMED = 100
_OPTIONAL_BOOL = frozenset({bool, type(None)})


def make_storable(event: dict[str, Any]) -> None:
    """Null in place what Snuba would refuse, and name it in the event's `errors`."""
    faults = _Faults()
    for key in [key for key in event if key.startswith(_LEGACY)]:
        del event[key]
    for key in ("platform", "location"):
        faults.keep(event, key, str)
    faults.keep(event, "symbolicated_in_app", bool)
    event.pop("sample_rate", None)  # the sender's is about transactions; ours is set by count
    if event.get("type") == "transaction":
        event["type"] = "default"
    _tags(event, faults)
    _contexts(event, faults)
    _exceptions(event, faults)
    for thread, path in faults.objects(event, "threads"):
        _thread_id(thread, "id", path, faults)
        faults.keep(thread, "main", bool, path)
    _modules(event, faults)
    _request(event, faults)
    sdk = faults.object(event, "sdk")
    if sdk:
        faults.list(sdk, "integrations", "sdk.")
    user = faults.object(event, "user")
    if user:
        faults.keep(user, "ip_address", str, "user.")
        faults.object(user, "geo", "user.")
    faults.keep(event, "errors", list)
    add_errors(event, faults.errors)


class _Faults:
    """Checks values one by one and collects what was wrong. A path ends in a dot."""

    def __init__(self) -> None:
        self.errors: list[dict[str, Any]] = []

    def null(self, holder: Any, key: Any, path: str) -> None:
        """Null a value and name it."""
        if len(self.errors) < _MAX_NAMED:
            self.errors.append(invalid_data(f"{path}{key}", holder[key]))
        holder[key] = None

    def keep(self, holder: dict[str, Any], key: str, kind: type, path: str = "") -> Any:
        """Give a value of this type; null any other."""
        value = holder.get(key)
        if value is not None and type(value) is not kind:
            self.null(holder, key, path)
            return None
        return value

    def object(self, holder: dict[str, Any], key: str, path: str = "") -> dict[str, Any] | None:
        """Give an object, or None."""
        value: dict[str, Any] | None = self.keep(holder, key, dict, path)
        return value

    def list(self, holder: dict[str, Any], key: str, path: str = "") -> list[Any]:
        """Give a list; an empty one where there is none."""
        return self.keep(holder, key, list, path) or []

    def entries(self, holder: dict[str, Any], key: str, path: str) -> Iterator[tuple[dict[str, Any], str]]:
        """Give each object of a list with its path; entries of any other type become null."""
        values = self.list(holder, key, path)
        for index, value in enumerate(values):
            if type(value) is dict:
                yield value, f"{path}{key}.{index}."
            elif value is not None:
                self.null(values, index, f"{path}{key}.")

    def objects(self, event: dict[str, Any], key: str) -> Iterator[tuple[dict[str, Any], str]]:
        """Give each object of an interface such as `exception`, that holds a list of them under `values`."""
        interface = self.object(event, key)
        return self.entries(interface, "values", f"{key}.") if interface else iter(())


def _tags(event: dict[str, Any], faults: _Faults) -> None:
    """Drop what is no pair with a name: a null in its place would say nothing."""
    tags = faults.list(event, "tags")
    pairs = [tag for tag in tags if type(tag) is list and len(tag) == 2 and type(tag[0]) is str]
    if len(pairs) < len(tags):
        event["tags"] = pairs
        faults.errors.append(invalid_data("tags", tags))


def _contexts(event: dict[str, Any], faults: _Faults) -> None:
    contexts = faults.object(event, "contexts")
    if not contexts:
        return
    for name in contexts:
        faults.object(contexts, name, "contexts.")
    trace = contexts.get("trace")
    if trace:
        _uuid(trace, "trace_id", "contexts.trace.", faults)
        faults.keep(trace, "span_id", str, "contexts.trace.")
        faults.keep(trace, "sampled", bool, "contexts.trace.")
    replay = contexts.get("replay")
    if replay:
        _uuid(replay, "replay_id", "contexts.replay.", faults)
    flags = contexts.get("flags")
    if flags:
        for _ in faults.entries(flags, "values", "contexts.flags."):
            pass  # being objects is all that is asked of them


def _exceptions(event: dict[str, Any], faults: _Faults) -> None:
    for exception, path in faults.objects(event, "exception"):
        _thread_id(exception, "thread_id", path, faults)
        faults.object(exception, "mechanism", path)
        stacktrace = faults.object(exception, "stacktrace", path)
        if not stacktrace:
            continue
        for index, frame in enumerate(frames := faults.list(stacktrace, "frames", f"{path}stacktrace.")):
            if type(frame) is not dict:
                if frame is not None:
                    faults.null(frames, index, f"{path}stacktrace.frames.")
            elif not (
                _is_u32(frame.get("lineno")) and _is_u32(frame.get("colno")) and type(frame.get("in_app")) in _OPTIONAL_BOOL
            ):
                _repair_frame(frame, f"{path}stacktrace.frames.{index}.", faults)


def _repair_frame(frame: dict[str, Any], path: str, faults: _Faults) -> None:
    for key in ("lineno", "colno"):
        if not _is_u32(frame.get(key)):
            faults.null(frame, key, path)
    faults.keep(frame, "in_app", bool, path)


def _is_u32(value: Any) -> bool:
    return value is None or (type(value) is int and 0 <= value < _U32)


def _thread_id(holder: dict[str, Any], key: str, path: str, faults: _Faults) -> None:
    value = holder.get(key)
    if value is not None and type(value) is not str and not (type(value) is int and 0 <= value < _U64):
        faults.null(holder, key, path)


def _uuid(holder: dict[str, Any], key: str, path: str, faults: _Faults) -> None:
    value = faults.keep(holder, key, str, path)
    if value is not None and not _UUID.fullmatch(value):
        faults.null(holder, key, path)


def _modules(event: dict[str, Any], faults: _Faults) -> None:
    modules = faults.object(event, "modules")
    if modules:
        for name in modules:
            faults.keep(modules, name, str, "modules.")


def _request(event: dict[str, Any], faults: _Faults) -> None:
    request = faults.object(event, "request")
    if not request:
        return
    headers = faults.list(request, "headers", "request.")
    for index, header in enumerate(headers):
        if header is not None and not (type(header) is list and len(header) == 2 and type(header[0]) is str):
            faults.null(headers, index, "request.headers.")
