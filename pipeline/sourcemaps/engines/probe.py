"""Parses an unknown file in a child process before the worker parses it (docs/spec/source-maps.md, "Traps of the libraries").

Some minified files overflow the parser's stack, which no `except` catches. Such an upload would kill every worker that reads it,
again and again. Others take seconds or gigabytes. Here only the child process suffers, and the result is remembered.
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
"""Stack size of the child. The worker has twice as much, so a file that the child survives is safe there."""
LENGTHS = struct.Struct("<QQ")
"""The beginning of a request: the sizes of the minified file and of the map, in bytes."""
READY, PARSED, MALFORMED = b".", b"+", b"-"
_START_S = 30.0
_LARGE_BYTES = 2_000_000
"""After a larger request the child is ended, because it would keep up to ten times the file while the worker parses it."""
_INHERITED = frozenset({"PATH", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME"})
"""Variables that the child inherits: enough to start Python and to write temporary files, but no passwords."""
_PACKAGE_ROOT = str(Path(__file__).parents[3])


class ProbeResult(StrEnum):
    """What happened when the child process parsed a file."""

    HARMLESS = "harmless"
    """The file was parsed, or the parser reported what is wrong with it."""
    CRASHED = "parser_crashed"
    OUT_OF_MEMORY = "parser_out_of_memory"
    TOO_SLOW = "parser_too_slow"
    UNKNOWN = "parser_unavailable"
    """No child process could be started. This result is never remembered."""


class Probe:
    """Holds the child process, and starts another one after a file has killed it. Not thread-safe."""

    def __init__(self, cpu_s: float = 5.0, memory_bytes: int = 500_000_000) -> None:
        self._cpu_s = cpu_s
        self._memory_bytes = memory_bytes
        self._child: subprocess.Popen[bytes] | None = None

    def try_parse(self, minified: bytes, source_map: bytes) -> ProbeResult:
        """Parse a file in the child. Takes at most four times `cpu_s` seconds, also on a busy machine. Raises nothing."""
        try:
            child = self._child or self._start()
            assert child.stdin is not None  # noqa: S101 -- started with pipes
            assert child.stdout is not None  # noqa: S101 -- likewise
            child.stdin.write(LENGTHS.pack(len(minified), len(source_map)))
            child.stdin.write(minified)
            child.stdin.write(source_map)
            child.stdin.flush()
            answer = _read_answer(child.stdout, self._cpu_s * 4)
        except BrokenPipeError:  # the child ended before it received this file, so the file is not the cause
            self.close()
            return ProbeResult.UNKNOWN
        except OSError as error:
            log.warning("no child process to try source maps in: %s", error)
            self.close()
            return ProbeResult.UNKNOWN
        if answer:
            if len(minified) + len(source_map) > _LARGE_BYTES:
                child.kill()
                self.close()
            return ProbeResult.HARMLESS
        status = self.close()
        if answer is None or status == -signal.SIGPROF:
            return ProbeResult.TOO_SLOW
        return ProbeResult.OUT_OF_MEMORY if status == -signal.SIGABRT else ProbeResult.CRASHED

    def _start(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join([_PACKAGE_ROOT, *(entry for entry in sys.path if entry)])
        self._child = subprocess.Popen(
            [sys.executable, "-m", "pipeline.sourcemaps.engines.probe_child", str(self._cpu_s), str(self._memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**{name: value for name, value in os.environ.items() if name in _INHERITED}, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C must reach only the worker; the child ends when its stdin closes
        )
        weakref.finalize(self, _end, self._child)
        assert self._child.stdout is not None  # noqa: S101 -- started with a pipe
        if _read_answer(self._child.stdout, _START_S) != READY:
            raise ChildProcessError("the child process did not come up")
        return self._child

    def close(self) -> int | None:
        """End the child process and return its exit status, or None if there is no child."""
        child, self._child = self._child, None
        return _end(child) if child is not None else None


def _read_answer(pipe: IO[bytes], timeout_s: float) -> bytes | None:
    """Return one byte: empty if the child has ended, None if nothing came in time."""
    waiting = select.poll()  # `select.select` takes no descriptor above 1023
    waiting.register(pipe, select.POLLIN)
    return os.read(pipe.fileno(), 1) if waiting.poll(timeout_s * 1_000) else None


def _end(child: subprocess.Popen[bytes]) -> int:
    if child.poll() is None:
        try:
            child.wait(0.2)  # `poll` sees the end of a dying child only after a moment
        except subprocess.TimeoutExpired:
            child.kill()
    status = child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):  # nobody reads what was not flushed
                pipe.close()
    return status
