"""The types and ranges that Snuba takes, as a check of what is published: one wrong value costs it the whole event."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from types import NoneType
from typing import Any

Kinds = frozenset[type]
Fields = tuple[tuple[str, Kinds], ...]

BOOL, STR, LIST, OBJECT = (frozenset({kind, NoneType}) for kind in (bool, str, list, dict))
"""The types that a field may have; null is always one."""

EVENT: Fields = (
    ("contexts", OBJECT),
    ("errors", LIST),
    ("exception", OBJECT),
    ("location", STR),
    ("modules", OBJECT),
    ("platform", STR),
    ("request", OBJECT),
    ("sdk", OBJECT),
    ("symbolicated_in_app", BOOL),
    ("tags", LIST),
    ("threads", OBJECT),
    ("user", OBJECT),
)
INTERFACE: Fields = (("values", LIST),)
EXCEPTION: Fields = (("mechanism", OBJECT), ("stacktrace", OBJECT))
STACKTRACE: Fields = (("frames", LIST),)
THREAD: Fields = (("main", BOOL),)
REQUEST: Fields = (("headers", LIST),)
SDK: Fields = (("integrations", LIST),)
USER: Fields = (("ip_address", STR), ("geo", OBJECT))
TRACE: Fields = (("trace_id", STR), ("span_id", STR), ("sampled", BOOL))
REPLAY: Fields = (("replay_id", STR),)

ALIASES = tuple(f"sentry.interfaces.{name}" for name in ("Exception", "Http", "Threads", "User"))
"""Old names of fields: Snuba takes them for the same field, and refuses an event that has both."""

_UUID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_U32 = 2**32
_U64 = 2**64


def faults_of(event: dict[str, Any]) -> list[str]:
    """Return the paths of an event's values whose types or ranges Snuba refuses."""
    event = copy.deepcopy(event)
    faults = _Faults()
    faults.paths += [name for name in ALIASES if name in event]
    faults.check(event, EVENT, "")
    _tags(event, faults)
    _contexts(event, faults)
    for exception, path in faults.objects(event, "exception"):
        _exception(exception, path, faults)
    for thread, path in faults.objects(event, "threads"):
        faults.check(thread, THREAD, path)
        _thread_id(thread, "id", path, faults)
    for name, fields in (("request", REQUEST), ("sdk", SDK), ("user", USER)):
        if interface := event.get(name):
            faults.check(interface, fields, f"{name}.")
    _headers(event, faults)
    faults.check_values(event, "modules", STR)
    return faults.paths


class _Faults:
    """Finds what is wrong and nulls it in a copy. A path ends in a dot."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def null(self, holder: Any, key: Any, path: str) -> None:
        self.paths.append(f"{path}{key}")
        holder[key] = None

    def check(self, holder: dict[str, Any], fields: Fields, path: str) -> None:
        """Null the fields whose type is another."""
        for key, kinds in fields:
            if type(holder.get(key)) not in kinds:
                self.null(holder, key, path)

    def check_values(self, event: dict[str, Any], name: str, kinds: Kinds) -> None:
        """Null the values of an object whose type is another."""
        holder = event.get(name)
        if holder and not kinds.issuperset(map(type, holder.values())):
            for key in holder:
                if type(holder[key]) not in kinds:
                    self.null(holder, key, f"{name}.")

    def objects(self, event: dict[str, Any], name: str) -> Iterator[tuple[dict[str, Any], str]]:
        """Return each object that an interface such as `exception` holds under `values`, with its path."""
        interface = event.get(name)
        if not interface:
            return
        self.check(interface, INTERFACE, f"{name}.")
        values = interface.get("values") or ()
        for index, value in enumerate(values):
            if type(value) is dict:
                yield value, f"{name}.values.{index}."
            elif value is not None:
                self.null(values, index, f"{name}.values.")


def _tags(event: dict[str, Any], faults: _Faults) -> None:
    tags = event.get("tags") or ()
    pairs = [tag for tag in tags if type(tag) is list and len(tag) == 2 and type(tag[0]) is str]
    if len(pairs) < len(tags):
        faults.paths.append("tags")


def _contexts(event: dict[str, Any], faults: _Faults) -> None:
    faults.check_values(event, "contexts", OBJECT)
    contexts = event.get("contexts")
    if not contexts:
        return
    for name, fields in (("trace", TRACE), ("replay", REPLAY)):
        if context := contexts.get(name):
            path = f"contexts.{name}."
            faults.check(context, fields, path)
            key = fields[0][0]
            if context.get(key) is not None and not _UUID.fullmatch(context[key]):
                faults.null(context, key, path)
    if flags := contexts.get("flags"):
        faults.check(flags, INTERFACE, "contexts.flags.")
        for index, flag in enumerate(flags.get("values") or ()):
            if type(flag) not in OBJECT:
                faults.null(flags["values"], index, "contexts.flags.values.")


def _exception(exception: dict[str, Any], path: str, faults: _Faults) -> None:
    faults.check(exception, EXCEPTION, path)
    _thread_id(exception, "thread_id", path, faults)
    stacktrace = exception.get("stacktrace")
    if not stacktrace:
        return
    path = f"{path}stacktrace."
    faults.check(stacktrace, STACKTRACE, path)
    frames = stacktrace.get("frames") or ()
    for index, frame in enumerate(frames):
        if type(frame) is dict:
            for key in ("lineno", "colno"):
                number = frame.get(key)
                if number is not None and (type(number) is not int or not 0 <= number < _U32):
                    faults.null(frame, key, f"{path}frames.{index}.")
            if type(frame.get("in_app")) not in BOOL:
                faults.null(frame, "in_app", f"{path}frames.{index}.")
        elif frame is not None:
            faults.null(frames, index, f"{path}frames.")


def _thread_id(holder: dict[str, Any], key: str, path: str, faults: _Faults) -> None:
    value = holder.get(key)
    if type(value) not in STR and (type(value) is not int or not 0 <= value < _U64):
        faults.null(holder, key, path)


def _headers(event: dict[str, Any], faults: _Faults) -> None:
    headers = (event.get("request") or {}).get("headers") or ()
    for index, header in enumerate(headers):
        if header is not None and (type(header) is not list or len(header) != 2 or type(header[0]) is not str):
            faults.null(headers, index, "request.headers.")
