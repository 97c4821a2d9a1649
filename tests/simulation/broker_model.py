"""A broker in this process: logs, one consumer group, and transactions, as far as a worker meets them.

It keeps the promises that Kafka makes and no others: a member of an old generation cannot commit, a transaction's outputs and
offsets appear together, an offset that an open transaction holds is not told before it ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

TOPIC = "in"
TRANSACTION_TIMEOUT_S = 10.0


class Message:
    """A record as a consumer gets it."""

    __slots__ = ("_headers", "_offset", "_partition", "_timestamp_ms", "_value", "serial")

    def __init__(self, serial: int, place: tuple[int, int], value: bytes, headers: list[tuple[str, bytes]], at: float) -> None:
        self.serial = serial
        self._partition, self._offset = place
        self._value, self._headers, self._timestamp_ms = value, headers, round(at * 1e3)

    def topic(self) -> str:
        return TOPIC

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def value(self) -> bytes:
        return self._value

    def headers(self) -> list[tuple[str, bytes]]:
        return self._headers

    def timestamp(self) -> tuple[int, int]:
        return 1, self._timestamp_ms

    def error(self) -> None:
        return None

    def __len__(self) -> int:
        return len(self._value)


@dataclass
class Log:
    """One partition. Offsets from `first` to before `end` that hold no message are transaction markers."""

    partition: int
    first: int = 0
    end: int = 0
    messages: dict[int, Message] = field(default_factory=dict)
    closed_until: float = 0.0


@dataclass
class Transaction:
    """What a transactional id has open. A newer life of the id has a higher epoch."""

    epoch: int = 0
    is_open: bool = False
    is_committing: bool = False
    """The answer is out: it will be committed, and nobody was told yet."""
    outputs: list[Any] = field(default_factory=list)
    offsets: dict[int, tuple[int, str]] = field(default_factory=dict)
    began: float = 0.0


class Broker:
    """Everything that outlives a worker, but Redis."""

    def __init__(self, partitions: int) -> None:
        self._ids = count(1)
        self.topic_id, self.logs = "", list[Log]()
        self.is_away = False
        self.is_topic_gone = False
        self.generation = 0
        self.members: list[str] = []
        self.target: dict[int, str] = {}
        self.owners: dict[int, str] = {}
        self.offsets: dict[int, tuple[int, str]] = {}
        self.committed: list[Any] = []
        """Outputs of committed transactions, in order."""
        self.transactions: dict[str, Transaction] = {}
        self.create(partitions)

    # The topic ---------------------------------------------------------------------------------------------------------

    def create(self, partitions: int) -> None:
        """Make the topic, or make it again."""
        self.topic_id = f"T{next(self._ids)}"
        self.logs = [Log(partition) for partition in range(partitions)]
        self.is_topic_gone = False

    def add_partition(self) -> None:
        """Let the topic grow. The group learns of it."""
        self.logs.append(Log(len(self.logs)))
        self.rebalance()

    def append(self, partition: int, serial: int, value: bytes, headers: list[tuple[str, bytes]], at: float) -> Message:
        """Write a record at the end of a partition."""
        log = self.logs[partition]
        message = log.messages[log.end] = Message(serial, (partition, log.end), value, headers, at)
        log.end += 1
        return message

    def drop(self, partition: int, first: int, end: int) -> list[Message]:
        """Let a log lose everything outside [first, end). Return the lost records."""
        log = self.logs[partition]
        lost = [message for offset, message in log.messages.items() if not first <= offset < end]
        for message in lost:
            del log.messages[message.offset()]
        log.first, log.end = first, end
        return lost

    # The group ---------------------------------------------------------------------------------------------------------

    def join(self, member: str) -> None:
        """Let a member into the group."""
        self.members.append(member)
        self.rebalance()

    def leave(self, member: str) -> None:
        """Put a member out of the group, whether it left or was silent for too long."""
        if member in self.members:
            self.members.remove(member)
            self.release(member, list(self.owners))

    def release(self, member: str, partitions: Iterable[int]) -> None:
        """Free the partitions of a member, so that others get them in the next generation."""
        for partition in partitions:
            if self.owners.get(partition) == member:
                del self.owners[partition]
        self.rebalance()

    def rebalance(self) -> None:
        """Begin a new generation. Members keep what they own as far as that is fair."""
        self.generation += 1
        share = math.ceil(len(self.logs) / max(1, len(self.members)))
        held: dict[str, int] = dict.fromkeys(self.members, 0)
        self.target = {}
        for partition in range(len(self.logs)):
            owner = self.owners.get(partition, "")
            if held.get(owner, share) < share:
                self.target[partition] = owner
                held[owner] += 1
        for partition in range(len(self.logs)):
            if partition not in self.target and held:
                least = min(self.members, key=held.__getitem__)
                self.target[partition] = least
                held[least] += 1

    def is_member(self, member: str, generation: int) -> bool:
        """Whether a commit of that member and generation is taken. Without a member id the broker does not check."""
        return not member or (member in self.members and generation == self.generation)

    def is_unstable(self, partition: int) -> bool:
        """Whether an open transaction may still move the offset."""
        return any(partition in transaction.offsets for transaction in self.transactions.values())

    # Transactions ------------------------------------------------------------------------------------------------------

    def register(self, transactional_id: str) -> int:
        """Begin a new life of a transactional id, and abort what its former life left open. Return the epoch."""
        transaction = self.transactions.setdefault(transactional_id, Transaction())
        self._clear(transaction)
        transaction.epoch += 1
        return transaction.epoch

    def abort_old(self, now: float) -> None:
        """Abort the transactions that are open for too long."""
        for transaction in self.transactions.values():
            if transaction.is_open and not transaction.is_committing and now - transaction.began >= TRANSACTION_TIMEOUT_S:
                self._clear(transaction)
                transaction.epoch += 1

    def commit(self, transaction: Transaction) -> None:
        """Make outputs and offsets visible."""
        self.committed += transaction.outputs
        self.offsets |= transaction.offsets
        self._clear(transaction)

    def abort(self, transaction: Transaction) -> None:
        """Forget what is open."""
        self._clear(transaction)

    def _clear(self, transaction: Transaction) -> None:
        transaction.is_open = transaction.is_committing = False
        transaction.outputs, transaction.offsets = [], {}

    def committed_offset(self, partition: int) -> int:
        """Return the offset that the group goes on from, 0 if it has none."""
        return self.offsets.get(partition, (0, ""))[0]
