"""Limits against abuse: how many requests a second one key or one address may send to this gateway. Off unless configured."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

SENDERS_KEPT = 10_000
"""How many senders are remembered. A sender that was forgotten starts with a full bucket."""
BURST_S = 2.0
"""A sender that was quiet may send as many requests at once as its rate allows in this time."""


class RequestLimit:
    """A token bucket for each sender. With `per_s` None there is no limit. Not thread-safe."""

    def __init__(self, per_s: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._clock = clock
        self._debts: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By sender: the debt in requests, and the time at which it was computed. The debt shrinks with time."""

    def wait_s(self, sender: str | None) -> float:
        """Return 0 and count the request if it may pass. Otherwise return the seconds until the next one may."""
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
