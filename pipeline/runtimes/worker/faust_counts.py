"""Live counts: the agents that count outcomes per project, category and reason in windowed tables."""

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
    """What is counted apart from what."""

    project_id: int
    category: str
    outcome: str
    reason: str | None


class LiveCounts:
    """Outcomes of the last minutes, the same on every worker.

    `topics` are those that outcomes go to, with their partitions. Each has a table, which is global; its keys begin with the
    partition that was read: no two workers write the same one. At least once: a crash may count a second's outcomes again.
    """

    def __init__(self, app: faust.App, topics: Mapping[str, int]) -> None:
        self._counts = [self._count_topic(app, name, partitions) for name, partitions in topics.items()]

    def _count_topic(self, app: faust.App, name: str, partitions: int) -> Any:
        raw = {"key_serializer": "raw", "value_serializer": "raw", "key_type": bytes, "value_type": bytes}
        topic = app.topic(name, partitions=partitions, **raw)
        # Faust refuses a table whose partitions are not its source's: a topic that got more of them gets a new table.
        table = app.GlobalTable(
            f"{name}-by-minute-{partitions}", default=int, partitions=partitions, help="quantity by partition, project, ..."
        )
        counts = table.tumbling(WINDOW_S, expires=WINDOW_S * KEPT_WINDOWS, key_index=True)

        async def count(stream: Any) -> None:
            async for event in stream.events():
                if event.message.timestamp < time.time() - WINDOW_S * KEPT_WINDOWS:
                    continue  # a backlog is passed over: its windows are over too
                outcome = read_outcome(event.value)
                if outcome is not None:
                    key, quantity = outcome
                    counts[orjson.dumps([event.message.partition, *key]).decode()] += quantity

        app.agent(topic, name=f"count-{name}")(count)
        return counts

    def minutes(self, number: int) -> list[dict[str, Any]]:
        """Give the last `number` minutes, the newest first: its start (epoch seconds) and the counts."""
        now = time.time()
        return [self._minute(now - back * WINDOW_S) for back in range(number)]

    def _minute(self, moment: float) -> dict[str, Any]:
        totals: Counter[CountKey] = Counter()
        for counted in self._counts:
            for key, quantity in counted.clone(relative_to=moment).items():
                if quantity:
                    _, *names = orjson.loads(key)
                    totals[CountKey(*names)] += quantity
        counts = [{**key._asdict(), "quantity": quantity} for key, quantity in sorted(totals.items(), key=str)]
        return {"start": int(moment // WINDOW_S * WINDOW_S), "counts": counts}


def read_outcome(value: bytes | None) -> tuple[CountKey, int] | None:
    """Read one record of the outcomes topic; None for what is none. Others may write there too."""
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
