"""Search message: the text that people find an event by (spec/storage.md, section 1)."""

from __future__ import annotations

from typing import Any

MAX_CHARS = 8_192
"""Snuba cuts nothing: limits are applied here."""


def search_message(data: dict[str, Any]) -> str:
    """Join the message, what the metadata says that it does not, and the culprit."""
    logentry = data.get("logentry")
    message = ""
    if isinstance(logentry, dict):
        message = _text(logentry.get("formatted")) or _text(logentry.get("message"))
    metadata = data.get("metadata")
    added = [*(metadata.values() if isinstance(metadata, dict) else ()), data.get("culprit")]
    for value in added:
        if isinstance(value, str) and value not in message:
            message = f"{message} {value}"
    message = message.strip()
    return message if len(message) <= MAX_CHARS else message[: MAX_CHARS - 3] + "..."


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
