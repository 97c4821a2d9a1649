"""Time that work takes, on a machine that does other things as well."""

from __future__ import annotations

import time
from collections.abc import Callable


def least_cpu_s(work: Callable[[], object]) -> float:
    """Give the CPU seconds of the quickest of three runs."""
    spent = []
    for _ in range(3):
        started = time.process_time()
        work()
        spent.append(time.process_time() - started)
    return min(spent)
