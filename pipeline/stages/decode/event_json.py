"""The JSON of events. It is parsed strictly, with one exception: numbers that JSON or 64 bits cannot hold become null."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import orjson

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


class Parsed(NamedTuple):
    """A parsed value. `is_lenient` says that it may hold floats that JSON cannot express."""

    value: Any
    is_lenient: bool = False


def parse_json(text: bytes) -> Parsed:
    """Parse UTF-8 JSON. Numbers that cannot be stored are left for `repair_numbers`. Raises InvalidJsonError.

    msgspec is as strict and as quick as orjson, and keeps integers beyond 64 bits, which orjson rounds silently.
    """
    try:
        return Parsed(msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        is_number = isinstance(error, msgspec.ValidationError)  # the only thing that is validated here is the range of numbers
        if not (is_number or b"NaN" in text or b"Infinity" in text):
            raise InvalidJsonError(_why_invalid(text)) from None
    try:
        return Parsed(json.loads(text.decode(), parse_int=_parse_int), is_lenient=True)
    except (ValueError, RecursionError) as error:
        raise InvalidJsonError(str(error)) from None


def repair_numbers(event: dict[str, Any], *, is_lenient: bool) -> list[dict[str, Any]]:
    """Null the numbers that cannot be stored, in place. Return an entry of the event's `errors` for each.

    Raises InvalidJsonError if the event is nested too deep or holds a lone surrogate.
    A trial encoding decides, because it fails for depth, integers beyond 64 bits and lone surrogates. Searching the text for them
    costs more: for events of 10 kB the encoding takes 16 us, a search for long numbers 160 and one for surrogates 15.
    """
    if not is_lenient and _can_be_stored(event):
        return []
    errors = _null_numbers(event)
    if not _can_be_stored(event):
        raise InvalidJsonError("lone surrogate")
    return errors


def _can_be_stored(event: dict[str, Any]) -> bool:
    try:
        orjson.dumps(_WRAPPED_EVENT, default=lambda _: event)
    except orjson.JSONEncodeError:
        return False
    return True


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
