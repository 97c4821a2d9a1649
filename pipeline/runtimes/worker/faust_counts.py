"""Live counts: agents that count outcomes per project, category and reason, in windows of a minute."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import faust
import orjson

from pipeline.model.category import DataCategory
from pipeline.model.outcome import Fate

WINDOW_S = 60.0
KEPT_WINDOWS = 15


class CountKey(NamedTuple):
    """Outcomes with the same key are counted together."""

    project_id: int
    category: str
    outcome: str
    reason: str | None


class MinuteTable:
    """Quantities of the last KEPT_WINDOWS minutes by key. A record counts once, though it is read again after a rebalance."""

    def __init__(self) -> None:
        self._windows: dict[int, Counter[CountKey]] = {}
        self._behind: dict[tuple[str, int], int] = {}

    def count(self, place: tuple[str, int], offset: int, moment: float, value: bytes | None) -> None:
        """Count an outcome that arrived at `moment` (epoch seconds), unless its minute is over or it was counted before.

        `place` is the topic and partition that it was read from.
        """
        if offset < self._behind.get(place, 0):
            return
        self._behind[place] = offset + 1
        window, oldest = int(moment // WINDOW_S), _oldest(time.time())
        outcome = read_outcome(value) if window >= oldest else None
        if outcome is None:
            return
        key, quantity = outcome
        if window not in self._windows:
            self._windows = {kept: counts for kept, counts in self._windows.items() if kept >= oldest} | {window: Counter()}
        self._windows[window][key] += quantity

    def minutes(self, number: int) -> list[dict[str, Any]]:
        """Return the last `number` minutes, the newest first, each with its start (epoch seconds) and its counts."""
        newest = int(time.time() // WINDOW_S)
        return [self._minute(window) for window in range(newest, newest - number, -1)]

    def _minute(self, window: int) -> dict[str, Any]:
        totals = sorted(self._windows.get(window, Counter()).items(), key=str)
        return {"start": int(window * WINDOW_S), "counts": [{**key._asdict(), "quantity": quantity} for key, quantity in totals]}


def _oldest(now: float) -> int:
    return int(now // WINDOW_S) - KEPT_WINDOWS + 1


def count_outcomes(app: faust.App, topics: Mapping[str, int]) -> MinuteTable:
    """Make an agent for each outcome topic. `topics` has their numbers of partitions. Return the table that all agents count in.

    The application reads all partitions by itself, in a group of its own that begins KEPT_WINDOWS minutes ago: so the counts are
    the same on every worker, whichever come and go, and nothing is stored. In a table of Faust's that the workers shared,
    others' counts came only with the next rebalance, and records that were read again after it counted again.
    """
    table = MinuteTable()

    async def count(stream: Any) -> None:
        async for event in stream.events():
            message = event.message
            table.count((message.topic, message.partition), message.offset, message.timestamp, event.value)

    for name, partitions in topics.items():
        raw = {"key_serializer": "raw", "value_serializer": "raw", "key_type": bytes, "value_type": bytes}
        app.agent(app.topic(name, partitions=partitions, **raw), name=f"count-{name}")(count)
    return table


def read_outcome(value: bytes | None) -> tuple[CountKey, int] | None:
    """Parse one record of the outcomes topic. None if it is not an outcome: others may write there too."""
    try:
        outcome = orjson.loads(value or b"")
        key = CountKey(
            int(outcome["project_id"]),
            DataCategory(outcome.get("category") or DataCategory.ERROR).label,
            Fate(outcome["outcome"]).label,
            outcome.get("reason"),
        )
        quantity = outcome.get("quantity")
        return key, 1 if quantity is None else int(quantity)
    except (KeyError, TypeError, ValueError):
        return None
