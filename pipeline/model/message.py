"""Storage message: one event as Snuba's errors processor reads it (spec/storage.md, sections 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StorageMessage:
    """One record of the storage topic: `value` is the JSON of `[2, "insert", {event}, {state}]`."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    project_id: int
    event_id: str
    group_id: int
    primary_hash: str
