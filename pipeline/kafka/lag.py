"""Lag: how far a group's committed offsets are behind a topic's ends, in records and in seconds, for every partition.

The member of the group that owns partition 0 watches all partitions. So each partition has a series, even if nobody owns it or
nothing was read of it yet. The series go on while a batch hangs, because the watch has a thread of its own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from confluent_kafka import KafkaException

from pipeline.kafka.offsets import GroupOffsets, Standing

log = logging.getLogger(__name__)

EVERY_S = 2.0
STOPS_WITHIN_S = 10.0


class PartitionLag(NamedTuple):
    """`records` is a difference of offsets, so gaps count. `age_s` is how long ago the oldest unread record arrived."""

    records: int
    age_s: float


class LagWatch:
    """Looks at the broker every EVERY_S seconds in a thread of its own while `is_elected` says so.

    `on_lag` gets the lag of every partition after each look, and an empty mapping when the election is lost. While the broker
    does not answer, ages go on growing from what was known.
    """

    def __init__(
        self,
        broker: GroupOffsets,
        is_elected: Callable[[], bool],
        on_lag: Callable[[Mapping[int, PartitionLag]], None],
    ) -> None:
        self._broker = broker
        self._is_elected = is_elected
        self._on_lag = on_lag
        self._arrivals: dict[int, tuple[int, float]] = {}
        """For each partition with unread records: the offset of the oldest one, and when it arrived (epoch seconds)."""
        self._standings: Mapping[int, Standing] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lag-watch", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread. Waits for a look that is under way."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(STOPS_WITHIN_S)

    def _run(self) -> None:
        was_elected = False
        while not self._stopping.wait(EVERY_S):
            if self._is_elected():
                try:
                    self.look()
                except Exception:  # if the thread ended silently, the lag would seem to stay the same
                    log.exception("the lag could not be measured")
                self._on_lag(self.lag(time.time()))
                was_elected = True
            elif was_elected:
                self._standings, self._arrivals, was_elected = {}, {}, False
                self._on_lag({})
        self._broker.close()

    def look(self) -> None:
        """Ask the broker once. If it does not answer, what was known stays."""
        try:
            self._standings = self._broker.read()
            behind = {partition: place for partition, place in self._standings.items() if place.end > place.next}
            self._arrivals = {p: known for p, known in self._arrivals.items() if p in behind}
            unknown = {p: at.next for p, at in behind.items() if self._arrivals.get(p, (-1, 0.0))[0] != at.next}
            for partition, arrived in self._broker.arrivals(unknown).items():
                self._arrivals[partition] = (unknown[partition], arrived)
        except KafkaException as error:
            log.debug("lag is not known: %s", error.args[0].str())

    def lag(self, now: float) -> dict[int, PartitionLag]:
        """Return the lag of every partition as of the last look."""
        lags = {}
        for partition, place in self._standings.items():
            records = max(0, place.end - place.next)
            _, arrived = self._arrivals.get(partition, (0, now))
            lags[partition] = PartitionLag(records, max(0.0, now - arrived) if records else 0.0)
        return lags
