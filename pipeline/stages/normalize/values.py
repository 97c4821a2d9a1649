"""Parsers of single values. Each returns the value in its type, or None and records the reason.

A parser takes (value, path, remarks). It never raises for any JSON value. None stays None, because null is not an error.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.model.event_path import EventPath
from pipeline.model.ids import parse_uuid
from pipeline.model.ip_address import parse_ip
from pipeline.stages.normalize.json_text import to_json_text
from pipeline.stages.normalize.remarks import Remarks

Parser = Callable[[Any, EventPath, Remarks], Any]

U64 = 2**64 - 1
I64 = 2**63 - 1


@dataclass(frozen=True, slots=True)
class BoundedParser:
    """A parser that returns some values unchanged, so that callers with many values can skip the call for these.

    These are strings of at most `longest` characters and whole numbers from 0 to `largest`. -1 stands for no such values.
    """

    parse: Parser
    longest: int = -1
    largest: int = -1

    def __call__(self, value: Any, path: EventPath, remarks: Remarks) -> Any:
        """Parse a value."""
        return self.parse(value, path, remarks)


_TRUNCATED = "..."
_LEVELS = {name: name for name in ("debug", "info", "warning", "error", "fatal")} | {"log": "info", "critical": "fatal"}
_PYTHON_LEVELS = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "fatal"}
_HEX = re.compile(r"[0-9a-fA-F]+")


def trim(value: str, path: EventPath, remarks: Remarks, limit: int, allowance: int = 0) -> str:
    """Cut a string of more than limit + allowance characters at `limit`. The marker "..." is part of the result."""
    length = len(value)
    if length <= limit + allowance:
        return value
    kept = value[: max(limit - len(_TRUNCATED), 0)]
    start = len(kept.encode(errors="surrogatepass"))
    remarks.trimmed(path, length, start, start + len(_TRUNCATED))
    return kept + _TRUNCATED[:limit]


def _string(value: Any, path: EventPath, remarks: Remarks) -> str | None:
    if value is None or type(value) is str:
        return value
    remarks.invalid(path, "expected a string", value)
    return None


string = BoundedParser(_string, longest=sys.maxsize)
"""Parses a string of any length."""


def text(limit: int, allowance: int = 0, *, deny: str = "", strip: bool = False) -> Parser:
    """Return a parser of strings of at most `limit` characters, none of them in `deny`. `strip` removes blanks around them."""
    most = limit + allowance

    def parse(value: Any, path: EventPath, remarks: Remarks) -> str | None:
        if type(value) is not str:
            return _string(value, path, remarks)
        if strip:
            value = value.strip()
        for character in deny:
            if character in value:
                remarks.invalid(path, f"invalid character {character!r}", value)
                return None
        return value if len(value) <= most else trim(value, path, remarks, limit, allowance)

    return parse if deny or strip else BoundedParser(parse, longest=most)


def as_text(value: Any) -> str | None:
    """Return a primitive as text, as Relay writes it: True -> "True", 2.0 -> "2". None for any other value."""
    if type(value) is str:
        return value
    if value is True or value is False:
        return str(value)
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 64 else str(float(value)) if value.bit_length() < 1024 else None
    if isinstance(value, float) and value - value == 0:
        return str(int(value))
    return None


def primitive(limit: int = 0) -> Parser:
    """Return a parser of text. Numbers and booleans become text (see `as_text`). `limit` is in characters, 0 for no limit."""

    def parse(value: Any, path: EventPath, remarks: Remarks) -> str | None:
        result = as_text(value)
        if result is None:
            if value is not None:
                remarks.invalid(path, "expected a primitive value", value)
            return None
        return trim(result, path, remarks, limit) if limit else result

    return parse


def json_string(value: Any, path: EventPath, remarks: Remarks) -> str | None:
    """Parse a string. A value of another type becomes its JSON."""
    if value is None or type(value) is str:
        return value
    result = to_json_text(value)
    if result is None:
        remarks.invalid(path, "expected a string")
    return result


def boolean(value: Any, path: EventPath, remarks: Remarks) -> bool | None:
    """Parse a boolean. Values that only resemble one are refused."""
    if value is None or value is True or value is False:
        return value
    remarks.invalid(path, "expected a boolean", value)
    return None


def integer(lowest: int, highest: int, reason: str) -> Parser:
    """Return a parser of whole numbers within bounds that include zero. A fraction is cut off."""

    def parse(value: Any, path: EventPath, remarks: Remarks) -> int | None:
        if type(value) is int and lowest <= value <= highest:
            return value
        if type(value) is float and value - value == 0:
            return parse(int(value), path, remarks)
        if value is not None:
            remarks.invalid(path, reason, value)
        return None

    return BoundedParser(parse, largest=highest)


unsigned = integer(0, U64, "expected an unsigned integer")
signed = integer(-I64 - 1, I64, "expected a signed integer")


def number(value: Any, path: EventPath, remarks: Remarks) -> float | None:
    """Parse a finite number."""
    if type(value) is float and value - value == 0:
        return value
    if type(value) is int and value.bit_length() < 1024:
        return value if value.bit_length() < 64 else float(value)
    if value is not None:
        remarks.invalid(path, "expected a floating point number", value)
    return None


def level(value: Any, path: EventPath, remarks: Remarks) -> str | None:
    """Parse a level, given by name, alias or Python's number."""
    if value is None:
        return None
    if type(value) is str:
        known = _LEVELS.get(value)
        if known is None:
            remarks.invalid(path, "invalid level", value)
        return known
    if type(value) is int:
        known = _PYTHON_LEVELS.get(value)
        if known is None:
            remarks.error(path, "invalid_data", value)
        return known
    remarks.invalid(path, "expected a level", value)
    return None


def hex_id(digits: int, reason: str) -> Parser:
    """Return a parser of hexadecimal ids of an exact length, in lower case. All zeros is refused."""

    def parse(value: Any, path: EventPath, remarks: Remarks) -> str | None:
        if type(value) is str and len(value) == digits and _HEX.fullmatch(value) and value.strip("0"):
            return value.lower()
        if value is not None:
            remarks.invalid(path, reason, value)
        return None

    return parse


span_id = hex_id(16, "not a valid span id")


def uuid_id(reason: str, *, nil: bool = False) -> Parser:
    """Return a parser of UUIDs, with or without dashes, to 32 hexadecimal digits."""

    def parse(value: Any, path: EventPath, remarks: Remarks) -> str | None:
        result = parse_uuid(value)
        if result is not None and (nil or result.strip("0")):
            return result
        if value is not None:
            remarks.invalid(path, reason, value)
        return None

    return parse


trace_id = uuid_id("not a valid trace id")


def ip_address(value: Any, path: EventPath, remarks: Remarks) -> str | None:
    """Parse an IPv4 or IPv6 address, or the placeholder `{{auto}}`."""
    if type(value) is str and (value == "{{auto}}" or is_ip(value)):
        return value
    if value is not None:
        remarks.invalid(path, "expected an ip address", value)
    return None


def is_ip(value: str) -> bool:
    """Whether a string is an address, without the name of an interface."""
    return len(value) <= 45 and "%" not in value and parse_ip(value) is not None


def address(value: Any, path: EventPath, remarks: Remarks) -> str | None:
    """Parse a memory address, given as a number, decimal text or 0x text, to 0x text."""
    number = value
    if type(value) is str:
        try:
            number = int(value, 16) if value[:2] in {"0x", "0X"} else int(value)
            if not value.isalnum():  # what only Python reads: blanks, signs, underscores
                raise ValueError  # noqa: TRY301 -- one answer for all that is no address
        except ValueError:
            remarks.invalid(path, "invalid digit found in string", value)
            return None
    if type(number) is int and 0 <= number <= U64:
        return hex(number)
    if value is not None:
        remarks.invalid(path, "expected an address", value)
    return None


def thread_id(value: Any, path: EventPath, remarks: Remarks) -> int | str | None:
    """Parse a thread's id: an unsigned number or a string."""
    if value is None or type(value) is str:
        return value
    if type(value) is int and -I64 - 1 <= value <= U64:
        return value % (U64 + 1)
    remarks.invalid(path, "expected a thread id", value)
    return None
