"""Limit on dead letters. After a bad deploy a loop halts and shows why, instead of filling the dead-letter topic."""

from __future__ import annotations

from collections import deque

from pipeline.settings.schema import DeadLetterSettings


class DeadLetterLimit:
    """Counts records and dead letters of the last `window_s` seconds. While the limit is exceeded, the window does not move."""

    def __init__(self, settings: DeadLetterSettings) -> None:
        self._settings = settings
        self._batches: deque[tuple[float, int, int]] = deque()
        self._is_exceeded = False

    @property
    def max_ratio(self) -> float:
        """The share of records, from 0 to 1, that may become dead letters."""
        return self._settings.max_ratio

    def would_exceed(self, records: int, dead: int, now: float) -> bool:
        """Whether committing this batch would exceed the limit. A batch that is within the ratio by itself never does."""
        if not self._is_exceeded:
            self._forget(now)
        all_records = records + sum(batch[1] for batch in self._batches)
        all_dead = dead + sum(batch[2] for batch in self._batches)
        ratio = self._settings.max_ratio
        self._is_exceeded = dead > ratio * records and all_dead >= self._settings.min_count and all_dead > ratio * all_records
        return self._is_exceeded

    def add(self, records: int, dead: int, now: float) -> None:
        """Count a committed batch."""
        self._forget(now)
        self._batches.append((now, records, dead))

    def _forget(self, now: float) -> None:
        while self._batches and self._batches[0][0] < now - self._settings.window_s:
            self._batches.popleft()
