"""Makes text that strangers wrote safe to look at: invisible characters, and those that turn text around, become escapes."""

from __future__ import annotations

import re
from typing import Any

MAX_TITLE_CHARS = 1_000
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters except tab and line feed: terminals obey some
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # these turn the direction of text around
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"  # these are not seen at all
)


def shown(text: str, most: int | None = None) -> str:
    r"""Return a text with hidden characters as escapes, cut to `most` characters.

    >>> shown("card\x00 \u202eevil")
    'card\\u0000 \\u202eevil'
    """
    if most is not None and len(text) > most:
        text = text[: most - 3] + "..."
    return text if text.isascii() and text.isprintable() else _HIDDEN.sub(_escape, text)


def shown_value(value: Any) -> Any:
    """Return a JSON value with all its texts shown, the names in objects too."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, list):
        return [shown_value(one) for one in value]
    if isinstance(value, dict):
        return {shown(str(name)): shown_value(one) for name, one in value.items()}
    return value


def _escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
