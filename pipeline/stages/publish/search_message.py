"""Search message: the text that people find an event by. See docs/spec/storage-messages.md."""

from __future__ import annotations

from typing import Any

from pipeline.model.storage_message import MAX_SEARCH_CHARS


def search_message(data: dict[str, Any]) -> str:
    """Return the message, followed by those values of the metadata and the culprit that it does not contain."""
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
    return message if len(message) <= MAX_SEARCH_CHARS else message[: MAX_SEARCH_CHARS - 3] + "..."


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
