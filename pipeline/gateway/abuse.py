"""Limits against abuse: how many requests a second one key or one address may send to this gateway. Off unless configured."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

SENDERS_KEPT = 10_000
"""Senders that are remembered. One that is forgotten begins with a full bucket."""
BURST_S = 2.0
"""A sender that was quiet may send at once what it may send in this time."""


class RequestLimit:
    """A token bucket for each sender. `per_s` None limits nobody. Used on one thread."""

    def __init__(self, per_s: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._clock = clock
        self._debts: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By sender: how many requests it has sent too many, and when that was so. Time pays them off."""

    def wait_s(self, sender: str | None) -> float:
        """Count a request. Return 0 if it may pass, else after how many seconds the next one may; then it is not counted."""
        if self._per_s is None or sender is None:
            return 0.0
        now = self._clock()
        debt, at = self._debts.get(sender, (0.0, now))
        debt = max(0.0, debt - (now - at) * self._per_s)
        most = max(1.0, BURST_S * self._per_s)
        if debt + 1 > most:
            return (debt + 1 - most) / self._per_s
        self._debts[sender] = (debt + 1, now)
        self._debts.move_to_end(sender)
        if len(self._debts) > SENDERS_KEPT:
            self._debts.popitem(last=False)
        return 0.0
