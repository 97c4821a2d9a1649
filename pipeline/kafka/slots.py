"""Who holds a slot: the workers of a group with their slots, as the broker lists its living members.

Two workers with one slot have one transactional id, and each start of a transaction would fence the other off, whoever was first.
So a worker looks at the group before it registers its id, and the one that came later ends itself.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from pipeline.kafka.config import admin_config
from pipeline.model.errors import CommitError, SlotTakenError
from pipeline.settings.schema import KafkaSettings

ASK_WITHIN_S = 2.0
_MARK = "pipeline-slot"


class Holder(NamedTuple):
    """A process that holds a slot. It is the client id of its consumer, which the broker shows to everybody.

    `ticks` is when the kernel started the process, which tells it from a later one with the same number; `started` is the same
    by the clock, in milliseconds.

    >>> parse_holder(Holder("a/1", "host", 12, 345, 678).client_id)
    Holder(slot='a/1', host='host', pid=12, ticks=345, started=678)
    """

    slot: str
    host: str
    pid: int
    ticks: int
    started: int

    @property
    def client_id(self) -> str:
        """Return the text that the broker shows."""
        return f"{_MARK} {self.host} {self.pid} {self.ticks} {self.started} {self.slot}"


def this_process(slot: str) -> Holder:
    """Return this process as the holder of a slot."""
    pid = os.getpid()
    return Holder(slot, socket.gethostname(), pid, _ticks_of(pid) or 0, time.time_ns() // 1_000_000)


def parse_holder(client_id: str) -> Holder | None:
    """Parse a client id. None for one that is no holder's."""
    parts = client_id.split(" ", 5)
    if len(parts) != 6 or parts[0] != _MARK or not all(part.isdecimal() for part in parts[2:5]):
        return None
    return Holder(parts[5], parts[1], int(parts[2]), int(parts[3]), int(parts[4]))


class SlotGuard:
    """Called before a transactional id is registered. Not thread-safe."""

    def __init__(
        self,
        me: Holder,
        members: Callable[[], Iterable[str]],
        session_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`members` returns the client ids of the group's members, and raises KafkaException. `session_s` is their time-out."""
        self._me = me
        self._members = members
        self._wait_s = 1.5 * session_s
        self._clock = clock
        self._seen: dict[Holder, float] = {}

    def check(self) -> None:
        """Raise SlotTakenError if another living worker had the slot first, and CommitError while that is not known.

        A member on this host is asked for at the kernel. One on another host may be a former life of this worker: then the
        broker drops it after its session, and until then nobody can tell.
        """
        try:
            holders = [holder for client_id in self._members() if (holder := parse_holder(client_id)) is not None]
        except KafkaException as error:
            raise CommitError(f"kafka: the group's members are not known: {error.args[0].str()}") from None
        for rival in holders:
            if rival.slot != self._me.slot or rival.started >= self._me.started or rival == self._me:
                continue
            if rival.host == self._me.host:
                if _ticks_of(rival.pid) == rival.ticks and rival.pid != self._me.pid:
                    raise self._taken(rival)
                continue
            since = self._seen.setdefault(rival, self._clock())
            if self._clock() - since > self._wait_s:
                raise self._taken(rival)
            raise CommitError(
                f"kafka: slot {rival.slot} was held by process {rival.pid} on {rival.host}: waiting for its session"
            )

    def _taken(self, rival: Holder) -> SlotTakenError:
        return SlotTakenError(
            f"slot {rival.slot} is used by another worker (process {rival.pid} on {rival.host}), which had it first: "
            "every worker needs its own slot (kafka.slot, PIPELINE_SLOT)"
        )


def guard_slot(kafka: KafkaSettings, group: str, me: Holder) -> SlotGuard:
    """Return a guard that asks the broker."""
    admin = AdminClient(admin_config(kafka))

    def members() -> list[str]:
        described = admin.describe_consumer_groups([group], request_timeout=ASK_WITHIN_S)[group].result()
        return [member.client_id for member in described.members]

    return SlotGuard(me, members, kafka.session_timeout_s)


def _ticks_of(pid: int) -> int | None:
    """Return when a process started, in the kernel's ticks. None if it does not run, or where the kernel does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])
