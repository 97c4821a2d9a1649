"""The JSON of events. It is parsed strictly, except that numbers and characters that cannot be stored are replaced and named."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import orjson

from pipeline.model.known_stack import KnownStack
from pipeline.model.processing_error import invalid_data

MAX_DEPTH = 128
"""Levels of nesting in an event. Relay has the same limit, see docs/spec/normalization.md."""
MAX_NAMED = 100
"""How many repairs an event's `errors` list. Further ones are made but not listed."""

_PRINTED_DEPTH = 254
"""Levels that orjson encodes at most. An event is wrapped in the difference, so that orjson refuses it beyond MAX_DEPTH."""


def _wrapped(value: Any, levels: int) -> Any:
    for _ in range(levels):
        value = [value]
    return value


_WRAPPED_EVENT = _wrapped(object(), _PRINTED_DEPTH - MAX_DEPTH)
"""A value around an object that orjson does not know. orjson calls a function for it, which returns the event to encode."""

_MAX_DIGITS = 4_000
"""Python refuses to convert much longer integers, because that takes quadratic time."""


class InvalidJsonError(ValueError):
    """Text that is not JSON, or that is nested too deep."""


_MARKS = ("\ue000", "\uf8ff", "\U000f0000", "\U0010fffd")
"""Characters without a meaning. One that a text does not hold marks where something in it was replaced."""
_REPLACEMENT = "\ufffd"
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair of surrogates
    r"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2}|[\ud800-\udfff])"
    r'|\\u[0-9a-fA-F]{4}|\\["\\/bfnrt]'
    r"|(?P<broken>\\u[0-9a-fA-F]{0,3}|\\[^\x00-\x1f])"
)


class Parsed(NamedTuple):
    """A parsed value. `is_lenient` says that it may hold floats that JSON cannot express.

    `mark` is the character that stands for each lone surrogate and broken escape of the text, None if there was none.
    """

    value: Any
    is_lenient: bool = False
    mark: str | None = None


def parse_json(text: bytes) -> Parsed:
    """Parse UTF-8 JSON. What cannot be stored is left for `repair`. Raises InvalidJsonError.

    A lone surrogate or a broken escape costs a character: SDKs cut texts in the middle of a pair, and the rest is worth having.
    msgspec is as strict and as quick as orjson, and keeps integers beyond 64 bits, which orjson rounds silently.
    """
    try:
        return Parsed(msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        is_number = isinstance(error, msgspec.ValidationError)  # the only thing to validate here is a number's range
    marked, mark = _marked(text)
    if mark is None and not (is_number or b"NaN" in text or b"Infinity" in text):
        raise InvalidJsonError(_why_invalid(text))
    try:
        return Parsed(json.loads(text.decode() if mark is None else marked, parse_int=_parse_int), is_lenient=True, mark=mark)
    except (ValueError, RecursionError) as error:
        raise InvalidJsonError(str(error)) from None


def _marked(text: bytes) -> tuple[str, str | None]:
    """Return a text with a mark for each lone surrogate and broken escape, and the mark, None if the text has neither."""
    if b"\\" not in text and b"\xed" not in text:
        return "", None
    try:
        readable = text.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return "", None
    mark = next((mark for mark in _MARKS if mark not in readable and json.dumps(mark)[1:-1] not in readable.lower()), None)
    if mark is None:
        return "", None
    marked = _ESCAPE.sub(lambda match: mark if match["lone"] or match["broken"] else match[0], readable)
    return marked, mark if mark in marked else None


def repair(event: dict[str, Any], *, is_lenient: bool, mark: str | None = None) -> list[dict[str, Any]]:
    """Null the numbers that cannot be stored, and put U+FFFD for each `mark`, in place. Return entries for the event's `errors`.

    Raises InvalidJsonError if the event is nested too deep or holds a lone surrogate.
    A trial encoding decides, because it fails for depth, integers beyond 64 bits and lone surrogates. Searching the text for them
    costs more: for events of 10 kB the encoding takes 16 us, a search for long numbers 160 and one for surrogates 15.
    """
    if not is_lenient and can_be_stored(event):
        return []
    errors = _null_numbers(event)
    if mark is not None:
        repaired = {key.replace(mark, _REPLACEMENT): _replaced(value, (key,), mark, errors) for key, value in event.items()}
        event.clear()
        event.update(repaired)
    if not can_be_stored(event):
        raise InvalidJsonError("lone surrogate")
    return errors


def can_be_stored(event: dict[str, Any]) -> bool:
    """Whether an event can be printed within the limits. Known stacks can, and are not printed again to find that out."""
    try:
        orjson.dumps(
            _WRAPPED_EVENT,
            default=lambda value: None if type(value) is KnownStack else event,
            option=orjson.OPT_PASSTHROUGH_SUBCLASS,
        )
    except orjson.JSONEncodeError:
        return False
    return True


def _replaced(value: Any, path: tuple[Any, ...], mark: str, errors: list[dict[str, Any]]) -> Any:
    """Return a value with U+FFFD for each mark, and name it in the errors. It is nested at most MAX_DEPTH levels deep."""
    if isinstance(value, str) and mark in value:
        if len(errors) < MAX_NAMED:
            name = ".".join(map(str, path)).replace(mark, _REPLACEMENT)
            errors.append({"type": "invalid_data", "name": name, "reason": "a lone surrogate or a broken escape was replaced"})
        return value.replace(mark, _REPLACEMENT)
    if isinstance(value, dict):
        return {key.replace(mark, _REPLACEMENT): _replaced(child, (*path, key), mark, errors) for key, child in value.items()}
    if isinstance(value, list):
        return [_replaced(child, (*path, index), mark, errors) for index, child in enumerate(value)]
    return value


def _null_numbers(event: dict[str, Any]) -> list[dict[str, Any]]:
    """Null numbers in the order of the event.

    Memory depends on the depth only, because hostile events have millions of values.
    """
    errors: list[dict[str, Any]] = []
    holders: list[Any] = [event]
    pending = [_entries(event)]
    path: list[Any] = []
    while pending:
        for key, value in pending[-1]:
            if isinstance(value, dict | list):
                if len(holders) == MAX_DEPTH:
                    raise InvalidJsonError(f"nested deeper than {MAX_DEPTH} levels")
                holders.append(value)
                pending.append(_entries(value))
                path.append(key)
                break
            if not _is_storable(value):
                holders[-1][key] = None
                if len(errors) < MAX_NAMED:
                    errors.append(invalid_data(".".join(map(str, (*path, key))), value))
        else:
            pending.pop()
            holders.pop()
            del path[-1:]
    return errors


def _entries(container: dict[str, Any] | list[Any]) -> Iterator[tuple[Any, Any]]:
    return iter(container.items()) if isinstance(container, dict) else enumerate(container)


def _is_storable(value: Any) -> bool:
    if type(value) is int:
        return -(2**63) <= value < 2**64
    return type(value) is not float or math.isfinite(value)


def _why_invalid(text: bytes) -> str:
    """Return where and why the text is not JSON, in the words of orjson."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return str(error)
    return "nested too deep"


def _parse_int(digits: str) -> float:
    if len(digits) <= _MAX_DIGITS:
        return int(digits)
    return -math.inf if digits.startswith("-") else math.inf
