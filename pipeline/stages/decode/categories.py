"""The data categories of what a record holds. See docs/spec/outcomes.md."""

from __future__ import annotations

from typing import Any

from pipeline.model.category import DataCategory

SECURITY_TYPES = ("csp", "hpkp", "expectct", "expectstaple")

_BYTES = frozenset({"attachment", "attachment_chunk", "form_data", "unreal_report"})
_CATEGORIES = {
    "check_in": DataCategory.MONITOR,
    "event": DataCategory.ERROR,
    "feedback": DataCategory.FEEDBACK,
    "log": DataCategory.LOG_ITEM,
    "metric_buckets": DataCategory.METRIC_BUCKET,
    "profile": DataCategory.PROFILE,
    "profile_chunk": DataCategory.PROFILE_CHUNK,
    "raw_security": DataCategory.SECURITY,
    "replay_event": DataCategory.REPLAY,
    "replay_recording": DataCategory.REPLAY,
    "replay_video": DataCategory.REPLAY_VIDEO,
    "security": DataCategory.SECURITY,
    "session": DataCategory.SESSION,
    "sessions": DataCategory.SESSION,
    "span": DataCategory.SPAN,
    "statsd": DataCategory.METRIC_BUCKET,
    "trace_metric": DataCategory.TRACE_METRIC,
    "transaction": DataCategory.TRANSACTION,
    "user_report": DataCategory.FEEDBACK,
} | dict.fromkeys(_BYTES, DataCategory.ATTACHMENT)


def category_of_item(kind: str, size: int) -> tuple[DataCategory, int]:
    """Return category and quantity of an envelope's item of `size` bytes. An empty attachment counts as one byte."""
    return _CATEGORIES.get(kind, DataCategory.DEFAULT), max(1, size) if kind in _BYTES else 1


def category_of_event(event: dict[str, Any]) -> DataCategory:
    """Return the category of an event. It follows from the event's content, except that a transaction says so itself."""
    kind = event.get("type")
    if kind == "transaction":
        return DataCategory.TRANSACTION
    if kind in SECURITY_TYPES:
        return DataCategory.SECURITY
    for name in SECURITY_TYPES:
        if isinstance(event.get(name), dict):
            return DataCategory.SECURITY
    return DataCategory.ERROR
