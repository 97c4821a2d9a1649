"""Live counts: the outcomes of all workers per project, category and reason, by minute, for `/counts`.

Outcomes are read only on demand: a request starts the reading, and IDLE_S seconds without one end it. So the counts cost nothing
if nobody looks at them, and each partition is read once, by the worker that is asked.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

import orjson

from pipeline.model.category import DataCategory
from pipeline.model.errors import RetryableError
from pipeline.model.outcome import Fate

log = logging.getLogger(__name__)

WINDOW_S = 60.0
KEPT_WINDOWS = 15
IDLE_S = 60.0
POLL_S = 0.2
RETRY_S = 1.0
STOPS_WITHIN_S = 0.5


class CountKey(NamedTuple):
    """Outcomes with the same key are counted together."""

    project_id: int
    category: str
    outcome: str
    reason: str | None


class MinuteTable:
    """Quantities of the last KEPT_WINDOWS minutes by key."""

    def __init__(self) -> None:
        self._windows: dict[int, Counter[CountKey]] = {}

    def count(self, records: Iterable[tuple[float, bytes]]) -> None:
        """Count outcomes, each with the moment of its arrival (epoch seconds).

        Those of minutes that are no longer kept are skipped.
        """
        oldest = int(time.time() // WINDOW_S) - KEPT_WINDOWS + 1
        for moment, value in records:
            window = int(moment // WINDOW_S)
            outcome = read_outcome(value) if window >= oldest else None
            if outcome is not None:
                key, quantity = outcome
                if window not in self._windows:
                    self._windows = {at: counts for at, counts in self._windows.items() if at >= oldest} | {window: Counter()}
                self._windows[window][key] += quantity

    def minutes(self, number: int) -> list[dict[str, Any]]:
        """Return the last `number` minutes, the newest first, each with its start (epoch seconds) and its counts."""
        newest, windows = int(time.time() // WINDOW_S), self._windows
        return [_minute(window, windows.get(window, Counter())) for window in range(newest, newest - number, -1)]


def _minute(window: int, counts: Counter[CountKey]) -> dict[str, Any]:
    totals = sorted(counts.copy().items(), key=str)  # the reader's thread may change them meanwhile
    return {"start": int(window * WINDOW_S), "counts": [{**key._asdict(), "quantity": quantity} for key, quantity in totals]}


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


class OutcomeReader(Protocol):
    """Reads outcomes from a moment on."""

    @property
    def is_caught_up(self) -> bool:
        """Whether nothing is left to be read."""

    def poll(self, seconds: float) -> Iterable[tuple[float, bytes]]:
        """Return what came within `seconds`: arrival (epoch seconds) and value. Raises RetryableError."""

    def close(self) -> None:
        """Release everything."""


class LiveCounts:
    """Counts in a thread of its own as long as `ask` is called now and then. `open_reader` is given the time to begin at."""

    def __init__(self, open_reader: Callable[[float], OutcomeReader], clock: Callable[[], float] = time.monotonic) -> None:
        self._open_reader = open_reader
        self._clock = clock
        self._asked_at = float("-inf")
        self._minutes = 0
        """How many minutes back the reading began."""
        self._is_wanted = threading.Event()
        self._is_complete = threading.Event()
        self._stopping = threading.Event()
        self._table = MinuteTable()
        self._thread = threading.Thread(target=self._run, name="live-counts", daemon=True)

    def start(self) -> None:
        """Start the thread. It reads nothing until somebody asks."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._is_wanted.set()
        if self._thread.ident is not None:
            self._thread.join(STOPS_WITHIN_S)

    def ask(self, minutes: int, within_s: float) -> dict[str, Any]:
        """Return the last minutes, and whether they hold all outcomes. The first call waits for that, at most `within_s`."""
        self._asked_at = self._clock()
        if minutes > self._minutes:
            self._minutes = minutes
            self._is_complete.clear()
        self._is_wanted.set()
        is_complete = self._is_complete.wait(within_s)
        return {"complete": is_complete, "minutes": self._table.minutes(minutes)}

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._is_wanted.wait()
            try:
                self._read_while_wanted()
            except RetryableError as error:
                log.warning("live counts stand still: %s", error)
                self._stopping.wait(RETRY_S)
            except Exception:  # else /counts would stand still, and nobody would know why
                log.exception("the live counts could not be read")
                self._stopping.wait(RETRY_S)

    def _read_while_wanted(self) -> None:
        minutes = self._minutes
        reader = self._open_reader((time.time() // WINDOW_S - minutes + 1) * WINDOW_S)
        table = MinuteTable()
        try:
            while self._minutes == minutes and not self._stopping.is_set():
                if self._clock() - self._asked_at > IDLE_S:
                    self._is_wanted.clear()
                    self._minutes = 0
                    break
                table.count(reader.poll(POLL_S))
                if reader.is_caught_up:
                    self._table = table
                    self._is_complete.set()
        finally:
            self._is_complete.clear()
            reader.close()
