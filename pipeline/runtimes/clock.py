"""The clock as an argument, so that tests and simulations decide what time it is."""

from __future__ import annotations

import time


class Clock:
    """The machine's clock."""

    def now(self) -> float:
        """Return the time in epoch seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start. They never go backwards."""
        return time.monotonic()


MACHINE = Clock()
