"""The heap is a process's own, so it is tried in one."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import resource
from pipeline.runtimes.worker.heap import keep_heap

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        bytearray(8_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

without = faults()
keep_heap()
faults()
print(without, faults())
"""


def test_a_large_piece_is_not_mapped_anew_each_time() -> None:
    shown = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    without, kept = map(int, shown.split())
    assert kept < without / 10, shown
