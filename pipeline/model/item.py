"""Item: one thing of a record that stages handle together with its scope; a record holds 0..n of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.model.category import DataCategory
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.grouping import Grouping
from pipeline.model.outcome import Fate, Outcome
from pipeline.model.output import Output
from pipeline.model.record import Record
from pipeline.model.scope import Scope


@dataclass(slots=True)
class Item:
    """An event on its way. The fields below `event` are filled in by the stages named there.

    `event` is a plain dict, so that keys nobody knows survive. `received` is the arrival in epoch seconds.
    """

    record: Record
    scope: Scope
    category: DataCategory
    quantity: int
    received: float
    event_id: str
    event: dict[str, Any]
    client_ip: str | None = None
    grouping: Grouping | None = None
    """Set by group."""
    is_new_group: bool = False
    """Set by count: no hash of this event was seen before."""
    group_first_seen: float | None = None
    """Set by count: the time of the group's first event, in epoch seconds; None where it was not counted."""
    sample_rate: float | None = None
    """Set by count where a group quota keeps a sample: each stored event stands for 1/rate."""
    reserve_reason: str | None = None
    """Set by admit: over its limits, let through in case its group is a new one; what count rejects it with where it is not."""
    is_uncounted: bool = False
    """Set by admit and count: Redis was away, and the setting says to go on."""
    message: Output | None = None
    """Set by publish: a record of the storage topic, as Snuba's errors processor reads it (spec/storage.md, sections 1 and 2)."""

    def rejected(self, fate: Fate, reason: str | None) -> Outcome:
        """Give this item's outcome, for a rule that says no."""
        return Outcome(self.received, self.scope, fate, reason, self.event_id, self.category, self.quantity, self.record)

    def died(self, stage: str, reason: str, detail: str = "") -> DeadLetter:
        """Give this item's dead letter, for what cannot be processed."""
        return DeadLetter(self.record, stage, reason, detail, self.category, self.quantity)
