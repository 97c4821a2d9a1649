"""Parsers of single values: each gives the value in its right type, or None with the reason in the report.

A parser takes (value, path, report) and never raises, whatever JSON holds. None stays None: a null is no error.
"""

from __future__ import annotations

import ipaddress
import re
import sys
import uuid
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from pipeline.model.path import Path
from pipeline.stages.normalize.json_text import to_json_text
from pipeline.stages.normalize.report import Report

Parser = Callable[[Any, Path, Report], Any]

U64 = 2**64 - 1
I64 = 2**63 - 1

LONGEST: dict[Parser, int] = {}
"""Parsers of strings that change nothing of a string up to a length, and that length."""

LARGEST: dict[Parser, int] = {}
"""Parsers of whole numbers that change nothing of an int from 0 up to a number, and that number."""

_TRUNCATED = "..."
_LEVELS = {name: name for name in ("debug", "info", "warning", "error", "fatal")} | {"log": "info", "critical": "fatal"}
_PYTHON_LEVELS = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "fatal"}
_HEX = re.compile(r"[0-9a-fA-F]+")


def trim(value: str, path: Path, report: Report, limit: int, allowance: int = 0) -> str:
    """Cut a string of more than limit + allowance characters at `limit`; the marker "..." is part of the result."""
    length = len(value)
    if length <= limit + allowance:
        return value
    kept = value[: max(limit - len(_TRUNCATED), 0)]
    start = len(kept.encode(errors="surrogatepass"))
    report.trimmed(path, length, start, start + len(_TRUNCATED))
    return kept + _TRUNCATED[:limit]


def string(value: Any, path: Path, report: Report) -> str | None:
    """Take a string of any length."""
    if value is None or type(value) is str:
        return value
    report.invalid(path, "expected a string", value)
    return None


LONGEST[string] = sys.maxsize


def text(limit: int, allowance: int = 0, *, deny: str = "", strip: bool = False) -> Parser:
    """Make a parser of strings of at most `limit` characters, none of which is in `deny`; `strip`: blanks around it go first."""
    most = limit + allowance

    def parse(value: Any, path: Path, report: Report) -> str | None:
        if type(value) is not str:
            return string(value, path, report)
        if strip:
            value = value.strip()
        for character in deny:
            if character in value:
                report.invalid(path, f"invalid character {character!r}", value)
                return None
        return value if len(value) <= most else trim(value, path, report, limit, allowance)

    if not (deny or strip):
        LONGEST[parse] = most
    return parse


def printed(value: Any) -> str | None:
    """Print a primitive as Relay prints it: True -> "True", 2.0 -> "2". None for what is no primitive."""
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
    """Make a parser that prints numbers and booleans; `limit` in characters, 0 for none."""

    def parse(value: Any, path: Path, report: Report) -> str | None:
        result = printed(value)
        if result is None:
            if value is not None:
                report.invalid(path, "expected a primitive value", value)
            return None
        return trim(result, path, report, limit) if limit else result

    return parse


def json_string(value: Any, path: Path, report: Report) -> str | None:
    """Take a string, or print any other value as JSON."""
    if value is None or type(value) is str:
        return value
    result = to_json_text(value)
    if result is None:
        report.invalid(path, "expected a string")
    return result


def boolean(value: Any, path: Path, report: Report) -> bool | None:
    """Take a boolean and nothing that resembles one."""
    if value is None or value is True or value is False:
        return value
    report.invalid(path, "expected a boolean", value)
    return None


def integer(lowest: int, highest: int, reason: str) -> Parser:
    """Make a parser of whole numbers within bounds, zero among them; a fraction is cut off."""

    def parse(value: Any, path: Path, report: Report) -> int | None:
        if type(value) is int and lowest <= value <= highest:
            return value
        if type(value) is float and value - value == 0:
            return parse(int(value), path, report)
        if value is not None:
            report.invalid(path, reason, value)
        return None

    LARGEST[parse] = highest
    return parse


unsigned = integer(0, U64, "expected an unsigned integer")
signed = integer(-I64 - 1, I64, "expected a signed integer")


def number(value: Any, path: Path, report: Report) -> float | None:
    """Take a finite number."""
    if type(value) is float and value - value == 0:
        return value
    if type(value) is int and value.bit_length() < 1024:
        return value if value.bit_length() < 64 else float(value)
    if value is not None:
        report.invalid(path, "expected a floating point number", value)
    return None


def level(value: Any, path: Path, report: Report) -> str | None:
    """Take a level by name, by an alias, or by Python's number."""
    if value is None:
        return None
    if type(value) is str:
        known = _LEVELS.get(value)
        if known is None:
            report.invalid(path, "invalid level", value)
        return known
    if type(value) is int:
        known = _PYTHON_LEVELS.get(value)
        if known is None:
            report.error(path, "invalid_data", value)
        return known
    report.invalid(path, "expected a level", value)
    return None


def hex_id(digits: int, reason: str) -> Parser:
    """Make a parser of hexadecimal ids of an exact length, printed in lower case; all zeros is no id."""

    def parse(value: Any, path: Path, report: Report) -> str | None:
        if type(value) is str and len(value) == digits and _HEX.fullmatch(value) and value.strip("0"):
            return value.lower()
        if value is not None:
            report.invalid(path, reason, value)
        return None

    return parse


span_id = hex_id(16, "not a valid span id")


def uuid_id(reason: str, *, nil: bool = False) -> Parser:
    """Make a parser of UUIDs, with or without dashes, printed as 32 hexadecimal digits."""

    def parse(value: Any, path: Path, report: Report) -> str | None:
        result = as_uuid(value)
        if result is not None and (nil or result.strip("0")):
            return result
        if value is not None:
            report.invalid(path, reason, value)
        return None

    return parse


trace_id = uuid_id("not a valid trace id")


def as_uuid(value: Any) -> str | None:
    """Read a UUID into 32 lower-case digits; None for anything else."""
    if type(value) is not str or not 32 <= len(value) <= 45:
        return None
    if len(value) == 32 and _HEX.fullmatch(value):
        return value.lower()
    try:
        return uuid.UUID(value).hex
    except ValueError:
        return None


def ip_address(value: Any, path: Path, report: Report) -> str | None:
    """Take an IPv4 or IPv6 address, or the placeholder `{{auto}}`."""
    if type(value) is str and (value == "{{auto}}" or is_ip(value)):
        return value
    if value is not None:
        report.invalid(path, "expected an ip address", value)
    return None


def is_ip(value: str) -> bool:
    """Say whether a string is an address."""
    return len(value) <= 45 and "%" not in value and _parses_as_ip(value)


@lru_cache(maxsize=4_096)
def _parses_as_ip(value: str) -> bool:
    """Parse a short text. Addresses repeat, and one takes as long as a frame of a stack."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def address(value: Any, path: Path, report: Report) -> str | None:
    """Take a memory address, given as a number, decimal text or 0x text; printed as 0x text."""
    number = value
    if type(value) is str:
        try:
            number = int(value, 16) if value[:2] in {"0x", "0X"} else int(value)
            if not value.isalnum():  # what only Python reads: blanks, signs, underscores
                raise ValueError  # noqa: TRY301 -- one answer for all that is no address
        except ValueError:
            report.invalid(path, "invalid digit found in string", value)
            return None
    if type(number) is int and 0 <= number <= U64:
        return hex(number)
    if value is not None:
        report.invalid(path, "expected an address", value)
    return None


def thread_id(value: Any, path: Path, report: Report) -> int | str | None:
    """Take a thread's id: an unsigned number or a string."""
    if value is None or type(value) is str:
        return value
    if type(value) is int and -I64 - 1 <= value <= U64:
        return value % (U64 + 1)
    report.invalid(path, "expected a thread id", value)
    return None
