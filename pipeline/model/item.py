"""Items: events on their way through the stages.

A record holds at most one event. Other parts of an envelope end as outcomes when the record is decoded.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from pipeline.model.category import DataCategory
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.event import Event, RawEvent
from pipeline.model.grouping import Grouping
from pipeline.model.known_stack import KnownStack
from pipeline.model.outcome import Fate, Outcome
from pipeline.model.record import Output, Record
from pipeline.model.scope import Scope

E = TypeVar("E", RawEvent, Event)


class UnsettledStack(NamedTuple):
    """A copy of a known stack, which the stages can write to. `key` names the rules that decide what they write."""

    known: KnownStack
    key: Hashable
    holder: Any


@dataclass(slots=True)
class Item(Generic[E]):
    """An event on its way through the stages. Fields with a default are set by the stage that their comment names.

    `Item[RawEvent]` is what decode returns, `Item[Event]` what normalize makes of it. `event_id` has 32 hex digits, `received` is
    the arrival in epoch seconds. Decode settles both and the scope, and normalize writes them into the event: later stages read
    them from either and do not set them.
    """

    record: Record
    scope: Scope
    category: DataCategory
    quantity: int
    received: float
    event_id: str
    event: E
    client_ip: str | None = None
    sent_at: str | None = None
    """Set by decode: the sender's clock when it sent the event, as text. Normalize corrects the event's times by it, once."""
    is_stored: bool = False
    """Set by decode: whether this event was read from a storage message, and so went through the stages before."""
    grouping: Grouping | None = None
    """Set by group."""
    is_new_group: bool = False
    """Set by count: whether no hash of this event was seen before."""
    group_first_seen: float | None = None
    """Set by count: the time of the group's first event in epoch seconds, or None if it was not counted."""
    sample_rate: float | None = None
    """Set by count if a group quota keeps a sample: each stored event stands for 1/rate events. Decode sets it for an event that
    was stored so."""
    reserve_reason: str | None = None
    """Set by admit for an event that is over a limit and was let through because its group may be new. If the group is known,
    count rejects the event for this reason."""
    is_uncounted: bool = False
    """Set by admit and count: whether the event was not counted, because Redis was away and the settings allow that."""
    unsettled: Sequence[UnsettledStack] = ()
    """Set by scrub: copies of known stacks. What the stages make of them is remembered by publish."""
    message: Output | None = None
    """Set by publish: the record for the storage topic. See model/storage_message.py."""

    def rejected(self, fate: Fate, reason: str | None) -> Outcome:
        """Return this item's outcome if a rule rejects it."""
        return Outcome(self.received, self.scope, fate, reason, self.event_id, self.category, self.quantity, self.record)

    def died(self, stage: str, reason: str, detail: str = "") -> DeadLetter:
        """Return this item's dead letter if it cannot be processed."""
        return DeadLetter(self.record, stage, reason, detail, self.category, self.quantity)
