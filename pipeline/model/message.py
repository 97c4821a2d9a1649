"""Storage message: one event as Snuba's errors processor reads it (spec/storage.md, sections 1 and 2)."""

from __future__ import annotations

from typing import NamedTuple


class StorageMessage(NamedTuple):
    """One record of the storage topic: `key` is the project, `value` the JSON of `[2, "insert", {event}, {state}]`."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
