"""Whether work is linear in the size of its input, told by how its cost grows and not by how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable

TIMES = 4
"""The larger input is so many times the smaller one: linear work then costs about 4 times as much, quadratic work 16 times."""

LIMIT = 9.0
ATTEMPTS = 8
NEGLIGIBLE_S = 0.002
"""Below this the clock and the interpreter decide."""


def grows_linearly(work: Callable[[int], object], size: int) -> bool:
    """Whether `work(4 * size)` costs no more than nine times the CPU of `work(size)`, in the best of a few attempts.

    Other work on the machine makes single measurements larger, never a whole series of quadratic ones linear.
    """
    small = large = float("inf")
    for _ in range(ATTEMPTS):
        small = min(small, _cpu_s(work, size))
        large = min(large, _cpu_s(work, TIMES * size))
        if large <= LIMIT * max(small, NEGLIGIBLE_S):
            return True
    return False


def _cpu_s(work: Callable[[int], object], size: int) -> float:
    started = time.process_time()
    work(size)
    return time.process_time() - started
