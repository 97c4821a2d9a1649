"""Outcomes: the final fate of everything received, in the form of the outcomes topic. See docs/spec/outcomes.md."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, NamedTuple

from pipeline.model.category import DataCategory
from pipeline.model.record import Record
from pipeline.model.scope import Scope


class Fate(IntEnum):
    """The `outcome` numbers of the topic."""

    ACCEPTED = 0
    FILTERED = 1
    RATE_LIMITED = 2
    INVALID = 3
    ABUSE = 4
    CLIENT_DISCARD = 5
    CARDINALITY_LIMITED = 6

    @property
    def label(self) -> str:
        """The name for people and metrics, such as `rate_limited`."""
        return self.name.lower()


class Outcome(NamedTuple):
    """What became of a `quantity` of a category. `timestamp` is in epoch seconds. A sum over several records has no `record`."""

    timestamp: float
    scope: Scope
    fate: Fate
    reason: str | None
    event_id: str | None
    category: DataCategory
    quantity: int
    record: Record | None = None

    def to_json(self, *, with_origin: bool = False) -> dict[str, Any]:
        """Return the topic's fields. `with_origin` adds the record's source and position, which replay writes."""
        body: dict[str, Any] = {
            "timestamp": format_datetime(self.timestamp),
            "org_id": self.scope.organization_id,
            "project_id": self.scope.project_id,
            "key_id": self.scope.key_id,
            "outcome": int(self.fate),
            "reason": self.reason,
            "event_id": self.event_id,
            "category": int(self.category),
            "quantity": self.quantity,
        }
        if with_origin:
            body["source"] = self.record and self.record.source
            body["position"] = self.record and self.record.position
        return body


def format_datetime(epoch_s: float) -> str:
    """Return epoch seconds as `2026-11-22T12:00:00.000000Z`, the only form that Snuba reads.

    `strftime` takes four times as long.
    """
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
