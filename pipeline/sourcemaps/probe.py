"""Try an unknown file in a child process before the worker parses it (spec/javascript.md section 2, trap 7).

Some minified files overflow the parser's stack, which no `except` catches: such an upload would kill every worker that meets
it, again and again. Others take seconds or gigabytes. The child process pays for them, and the verdict is remembered.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import struct
import subprocess
import sys
import weakref
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)
STACK_BYTES = 32 * 1024 * 1024
"""What the child parses with. The worker has twice as much: what passes here cannot overflow there."""
LENGTHS = struct.Struct("<QQ")
"""A request begins with the sizes of the minified file and of the map."""
READY, PARSED, MALFORMED = b".", b"+", b"-"
_START_S = 30.0
_PACKAGE_ROOT = str(Path(__file__).parents[2])


class Verdict(StrEnum):
    """What became of a file in the child process."""

    HARMLESS = "harmless"
    """It parsed, or is malformed in a way that the parser says so."""
    CRASHED = "parser_crashed"
    TOO_SLOW = "parser_too_slow"
    UNKNOWN = "parser_unavailable"
    """No child process could be started: not to be remembered."""


class Probe:
    """Holds the child process, and starts another where a file took it along. One thread at a time."""

    def __init__(self, cpu_s: float = 5.0, memory_bytes: int = 4_000_000_000) -> None:
        self._cpu_s = cpu_s
        self._memory_bytes = memory_bytes
        self._child: subprocess.Popen[bytes] | None = None

    def try_parse(self, minified: bytes, source_map: bytes) -> Verdict:
        """Parse in the child. Takes at most four times `cpu_s`, also on a machine that is busy."""
        try:
            child = self._child or self._start()
            assert child.stdin is not None  # noqa: S101 -- started with pipes
            assert child.stdout is not None  # noqa: S101 -- likewise
            child.stdin.write(LENGTHS.pack(len(minified), len(source_map)))
            child.stdin.write(minified)
            child.stdin.write(source_map)
            child.stdin.flush()
            answer = _read_answer(child.stdout, self._cpu_s * 4)
        except BrokenPipeError:  # it ended before it was asked: another's doing, not this file's
            self.close()
            return Verdict.UNKNOWN
        except OSError as error:
            log.warning("no child process to try source maps in: %s", error)
            self.close()
            return Verdict.UNKNOWN
        if answer:
            return Verdict.HARMLESS
        status = self.close()
        return Verdict.TOO_SLOW if answer is None or status == -signal.SIGPROF else Verdict.CRASHED

    def _start(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join([_PACKAGE_ROOT, *(entry for entry in sys.path if entry)])
        self._child = subprocess.Popen(
            [sys.executable, "-m", "pipeline.sourcemaps.probe_child", str(self._cpu_s), str(self._memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is the worker's; the child ends with its stdin
        )
        weakref.finalize(self, _end, self._child)
        assert self._child.stdout is not None  # noqa: S101 -- started with a pipe
        if _read_answer(self._child.stdout, _START_S) != READY:
            raise ChildProcessError("the child process did not come up")
        return self._child

    def close(self) -> int | None:
        """End the child process; give its exit status."""
        child, self._child = self._child, None
        return _end(child) if child is not None else None


def _read_answer(pipe: IO[bytes], timeout_s: float) -> bytes | None:
    """Read one byte; none where the child has ended, None where it says nothing in time."""
    waiting = select.poll()  # select itself takes no descriptor above 1023
    waiting.register(pipe, select.POLLIN)
    return os.read(pipe.fileno(), 1) if waiting.poll(timeout_s * 1_000) else None


def _end(child: subprocess.Popen[bytes]) -> int:
    if child.poll() is None:
        try:
            child.wait(0.2)  # a dying child needs a moment to be seen as dead
        except subprocess.TimeoutExpired:
            child.kill()
    status = child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):  # what was not flushed has nobody to read it
                pipe.close()
    return status
