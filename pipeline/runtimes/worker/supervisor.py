"""The supervisor: the process that an operator starts, and whose child is the worker.

It waits, passes signals on, and starts a new worker if a record may have killed the old one. It does and loads little, so that
it does not die of what kills workers. docs/adr/0013-a-supervisor-for-deadly-records.md says why it is a parent process. In a
container it is process 1, so it also collects orphans.

    worker ends with 0, 1, 2 or 130   the supervisor ends with the same code
    worker is killed from outside     the supervisor ends with 128 + the signal, and must be started again
    worker dies by its own work       the death is noted with the worker's batch, and a new worker is started
"""

from __future__ import annotations

import ctypes
import faulthandler
import logging
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from pipeline.runtimes.worker.in_hand import Hand, InHand
from pipeline.runtimes.worker.suspects import Cause, Death, Supervised, Suspects

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.2
STARTS_AGAIN_AFTER_S = 1.0
STARTS_AGAIN_SLOWLY_AFTER_S = 60.0
"""Pause before a new worker once more records have killed workers than is plausible for records alone."""
LEAVES_WITHIN_S = 9.5
"""How long a worker may take to end after a signal. One that hangs in native code does not receive it."""
DUMPS_WITHIN_S = 2.0
"""How long a worker that hangs may take to print its stacks."""

OWN_CODES = frozenset({0, 1, 2, 130})
"""Exit codes of the worker itself. Any other code means that native code ended the process."""
FAULTS = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP, signal.SIGSYS})
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
PR_SET_PDEATHSIG = 1


def supervise(hang_s: float) -> Supervised:
    """Start a worker as a child process, and start a new one if its own work killed it.

    This returns in the child. The calling process becomes the supervisor, and ends with its worker. It must have no threads.
    """
    supervisor = Supervisor(InHand(), hang_s)
    while True:
        supervised = supervisor.start()
        if supervised is not None:
            return supervised
        if (code := supervisor.watch()) is not None:
            logging.shutdown()
            os._exit(code)
        supervisor.pause(STARTS_AGAIN_SLOWLY_AFTER_S if supervisor.suspects.is_over_limit else STARTS_AGAIN_AFTER_S)


@dataclass(slots=True)
class HangWatch:
    """Measures how long a worker has made no progress, by counting checks of the supervisor instead of by a clock.

    So a machine that sleeps, or a frozen container, does not count as a hang. Neither does a worker that was stopped (SIGSTOP).
    """

    hang_s: float
    seen: tuple[int, bytes] | None = None
    silent_looks: int = 0

    def is_hanging(self, progress: tuple[int, bytes] | None, *, is_stopped: bool) -> bool:
        """Whether the worker has hung for too long.

        Called every LOOK_EVERY_S with its progress, which is None if it has no batch.
        """
        if progress is None or progress != self.seen:
            self.seen, self.silent_looks = progress, 0
        elif not is_stopped:
            self.silent_looks += 1
        return self.silent_looks * LOOK_EVERY_S >= self.hang_s


class Supervisor:
    """Runs one worker at a time."""

    def __init__(self, in_hand: InHand, hang_s: float) -> None:
        self.suspects = Suspects()
        self._in_hand = in_hand
        self._hang_s = hang_s
        self._child = 0
        self._leave_until: float | None = None
        """Set after a signal to end was passed on."""
        self._out_of_memory_kills = count_out_of_memory_kills()
        self._is_killed_for_hanging = False

    def start(self) -> Supervised | None:
        """Fork a worker. Return its `Supervised` in the child process, and None in the supervisor."""
        self._in_hand.put_down()
        self._out_of_memory_kills = count_out_of_memory_kills()
        self._is_killed_for_hanging = False
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        self._child = os.fork()
        if self._child:
            for number in PASSED_ON:
                signal.signal(number, self._pass_on)
            return None
        for number in PASSED_ON:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.setpgid(0, 0)  # Ctrl-C reaches the supervisor alone, which passes it on
        _die_with(parent)
        faulthandler.enable()
        return Supervised(self._in_hand, self.suspects)

    def pause(self, seconds: float) -> None:
        """Wait before the next worker is started. A signal to end ends this process."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(LOOK_EVERY_S)
            if self._leave_until is not None:
                os._exit(0)

    def watch(self) -> int | None:
        """Wait for the worker's end. Return the code to end with, or None if a new worker is to be started."""
        hang = HangWatch(self._hang_s)
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == self._child:
                self._child = 0
                return self._judge(os.waitstatus_to_exitcode(status))
            if pid:
                continue  # an orphan of the container
            time.sleep(LOOK_EVERY_S)
            if self._leave_until is not None:
                if time.monotonic() > self._leave_until:
                    log.error("the worker did not end in time, and is killed")
                    os.kill(self._child, signal.SIGKILL)
                    self._leave_until += 60.0
            elif hang.is_hanging(self._in_hand.progress(), is_stopped=_is_stopped(self._child)):
                self._end_hanging()

    def _judge(self, code: int) -> int | None:
        """Decide what follows a worker's end. `code` is its exit code, or the negative number of the signal that killed it."""
        if self._leave_until is not None:
            return 0 if code == -signal.SIGTERM else code if code >= 0 else 1
        hand = self._in_hand.read()
        cause = self._cause(code)
        if cause is None:
            return code if code >= 0 else 128 - code
        text = f"no progress for {self._hang_s:.0f} s" if cause is Cause.HANG else _describe(code)
        about = {"cause": cause, "ended_by": text}
        if hand is None:
            log.error("the worker died, with nothing in hand", extra=about)
            return code if code >= 0 else 128 - code
        self.suspects = self.suspects.with_death(Death(cause, text, hand))
        log.error("the worker died, and a new one is started", extra=about | _describe_hand(hand))
        if self.suspects.is_over_limit:
            log.error("so many records kill workers that the release may be at fault: nothing more is given up")
        return None

    def _cause(self, code: int) -> Cause | None:
        """Return how the worker's own work may have ended it, or None if it was ended from outside or by itself."""
        if self._is_killed_for_hanging:
            return Cause.HANG
        if code >= 0:
            return None if code in OWN_CODES else Cause.EXIT
        if -code in FAULTS:
            return Cause.FAULT
        is_out_of_memory = -code == signal.SIGKILL and count_out_of_memory_kills() > self._out_of_memory_kills
        return Cause.MEMORY if is_out_of_memory else None

    def _end_hanging(self) -> None:
        """Kill the worker. SIGABRT comes first, because it makes it print the stacks of its threads."""
        self._is_killed_for_hanging = True
        os.kill(self._child, signal.SIGABRT)
        until = time.monotonic() + DUMPS_WITHIN_S
        while time.monotonic() < until:
            if os.waitid(os.P_PID, self._child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return
            time.sleep(0.05)
        os.kill(self._child, signal.SIGKILL)

    def _pass_on(self, number: int, _: object) -> None:
        if number in ENDING and self._leave_until is None:
            self._leave_until = time.monotonic() + LEAVES_WITHIN_S
        if self._child:
            os.kill(self._child, number)


def count_out_of_memory_kills(groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how often the kernel killed a process of this control group for lack of memory. 0 if that is not counted."""
    try:
        own = next(line[3:].strip("/") for line in groups.read_text().splitlines() if line.startswith("0::"))
        events = dict(line.split() for line in (root / own / "memory.events").read_text().splitlines())
        return int(events.get("oom_kill", 0))
    except (OSError, StopIteration, ValueError):
        return 0


def _die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent ends in any way. Without Linux, it would stay behind."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _is_stopped(pid: int) -> bool:
    """Whether the process was stopped, for instance by SIGSTOP."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in {"T", "t"}
    except OSError:
        return False


def _describe(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _describe_hand(hand: Hand) -> dict[str, object]:
    offsets = {str(partition): list(found) for (_, partition), found in hand.ranges.items()}
    return {"stage": hand.stage, "is_alone": hand.is_alone, "offsets": offsets}
