"""The child process in which unknown files are parsed first. Its arguments are its limits: CPU seconds, memory in bytes.

It reads requests from stdin (two 8-byte lengths, the minified file, the map) and answers each with one byte on stdout. A file
that kills the parser kills this process, which the parent notices. The process ends when its stdin closes, that is with its
parent.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
from contextlib import suppress
from typing import BinaryIO

from symbolic import SourceMapCache, SourceMapView, SymbolicError

from pipeline.sourcemaps.engines.probe import LENGTHS, MALFORMED, PARSED, READY, STACK_BYTES


def main(requests: BinaryIO, answers: BinaryIO, cpu_s: float, memory_bytes: int) -> None:
    """Answer requests until stdin ends. A request that takes more than `cpu_s` seconds ends the process by SIGPROF."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(ValueError, OSError):  # some systems cannot limit memory
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    threading.stack_size(STACK_BYTES)
    answers.write(READY)
    answers.flush()
    while header := requests.read(LENGTHS.size):
        minified_size, map_size = LENGTHS.unpack(header)
        minified, source_map = requests.read(minified_size), requests.read(map_size)
        signal.setitimer(signal.ITIMER_PROF, cpu_s)
        thread = threading.Thread(target=_answer, args=(minified, source_map, answers))
        thread.start()
        thread.join()
        signal.setitimer(signal.ITIMER_PROF, 0)


def _answer(minified: bytes, source_map: bytes, answers: BinaryIO) -> None:
    try:
        SourceMapCache.from_bytes(minified, source_map)
        SourceMapView.from_json_bytes(source_map)
    except SymbolicError:
        answers.write(MALFORMED)
    except MemoryError:
        os.abort()  # as the library does when it runs out of memory
    else:
        answers.write(PARSED)
    answers.flush()


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer, float(sys.argv[1]), int(sys.argv[2]))
