"""Size limits of the items of an envelope.

If one is exceeded, the whole envelope is refused with 413. See docs/gateway.md, "Sizes".
"""

from __future__ import annotations

from collections import Counter

from pipeline.gateway.answers import RefusedItemError
from pipeline.stages.decode.categories import category_of_item

MIB = 1_048_576
MAX_BODY_BYTES = 200 * MIB
"""Limit of a request's body, both as sent and as decompressed."""
MAX_EVENT_BYTES = MIB
MAX_ATTACHMENTS = 30
MAX_ATTACHMENT_BYTES = 200 * MIB
"""Limit of one attachment, and of all attachments of an envelope together."""

_EVENTS = frozenset({"event", "transaction", "security", "raw_security", "nel", "feedback", "form_data", "replay_event"})
_SINGLE = frozenset({"event", "transaction", "security", "raw_security", "nel"})
"""Types of items of which an envelope may hold only one."""
_ATTACHMENTS = frozenset({"attachment", "unreal_report"})
_LARGEST: dict[str, int] = dict.fromkeys(_EVENTS, MAX_EVENT_BYTES) | {
    "attachment": MAX_ATTACHMENT_BYTES,
    "check_in": 100 * 1_024,
    "client_report": 100 * 1_024,
    "log": 2 * MIB,
    "profile": 50 * MIB,
    "profile_chunk": 50 * MIB,
    "session": 10 * MIB,
    "sessions": 10 * MIB,
    "span": 10 * MIB,
    "trace_metric": MIB,
    "unreal_report": MAX_ATTACHMENT_BYTES,
}
_CONTAINER = 12 * MIB
_MOST = {"client_report": 100, "session": 100, "sessions": 100, "check_in": 100}


class Sizes:
    """Checks an envelope against the limits. `add` is called for each item as soon as its size is known."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._attachment_bytes = 0
        self._singles = 0

    @staticmethod
    def largest(kind: str, *, is_container: bool) -> int:
        """Return the limit in bytes of an item of a type."""
        return _CONTAINER if is_container else _LARGEST.get(kind, MAX_BODY_BYTES)

    def add(self, kind: str, size: int, *, is_container: bool = False) -> None:
        """Count an item. Raises RefusedItemError (413) if it is too large, or if there are too many."""
        self._counts[kind] += 1
        self._singles += kind in _SINGLE
        if kind in _ATTACHMENTS:
            self._attachment_bytes += size
        if (
            size > self.largest(kind, is_container=is_container)
            or self._singles > 1
            or self._attachment_bytes > MAX_ATTACHMENT_BYTES
            or self._counts["attachment"] > MAX_ATTACHMENTS
            or self._counts[kind] > _MOST.get(kind, MAX_BODY_BYTES)
        ):
            raise too_large(kind, size)


def too_large(kind: str, size: int = 1) -> RefusedItemError:
    """Return the refusal of an envelope whose item of this type is too large."""
    category, quantity = category_of_item(kind, size)
    if kind not in _LARGEST:
        kind = "unknown"  # senders must not be able to make up reasons
    detail, cause, reason = "envelope exceeded size limits", f"{kind} is too large", f"too_large:{kind}"
    return RefusedItemError(413, detail, cause, reason=reason, category=category, quantity=quantity)
