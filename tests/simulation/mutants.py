"""Deliberate faults: each takes one protection away, and the simulator must find it.

A mutant replaces a function or a part of a script while its histories are played. So the list says for each protection what it
is good for, and that the simulator would notice its absence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from simulation.play import Failure, play_seeds
from simulation.stores import ModelStore
from simulation.world import World

from pipeline.kafka import consumer, start
from pipeline.kafka.batch import KafkaBatch
from pipeline.kafka.consumer import KafkaConsumer
from pipeline.kafka.producer import TransactionalProducer
from pipeline.kafka.start import Start, TopicHistory
from pipeline.quotas import redis_ledger
from pipeline.quotas.call import Call
from pipeline.quotas.decided_offsets import DecidedOffsets
from pipeline.quotas.losses import Losses
from pipeline.runtimes.loop import Loop
from pipeline.stages import runner

Patch = Callable[[ExitStack], None]


@dataclass(frozen=True)
class Mutant:
    """`what` names the protection that is taken away."""

    name: str
    what: str
    patch: Patch


def _method(owner: Any, name: str, replacement: Callable[..., Any]) -> Patch:
    def patch(stack: ExitStack) -> None:
        stack.enter_context(mock.patch.object(owner, name, replacement))

    return patch


def _lua(function: str, body: str) -> Patch:
    """Replace a local function of the scripts. The new one may call the `original`."""

    def patch(stack: ExitStack) -> None:
        for script in ("ADMIT_LUA", "COUNT_LUA"):
            text = getattr(redis_ledger, script)
            if f"local function {function}(" in text:
                stack.enter_context(mock.patch.object(redis_ledger, script, _redefine(text, function, body)))

    return patch


def _redefine(text: str, function: str, body: str) -> str:
    head = f"local function {function}("
    begin = text.index(head)
    end = text.index("\nend\n", begin) + len("\nend\n")
    return text[:end] + f"do local original = {function}; {function} = {body} end\n" + text[end:]


def _only_commit(self: Any, outputs: Any, positions: Any) -> None:
    """Commit offsets and outputs one after the other, and not in one transaction."""
    commit(self, outputs, positions._replace(ends={}))
    commit(self, None, positions)


commit = TransactionalProducer.commit


def _without_second_base(self: KafkaBatch) -> tuple[KafkaBatch, KafkaBatch]:
    first, second = halves(self)
    return first, KafkaBatch(
        second.records, second.headers, self.bases, second.ends, second.topic, second.logs, second.membership
    )


halves = KafkaBatch.halves


def _without_replayed(self: Call, polled: Any, extra: Any) -> None:
    """Do not name the replayed dead letters of a batch that have no event left."""
    begin_call(self, [part for part in polled if not part.is_replayed], extra)


begin_call = Call.__init__


def _without_membership(self: Any, outputs: Any, positions: Any) -> None:
    """Commit without a member id. The broker then does not check the generation."""
    commit(self, outputs, positions._replace(membership=("", 0)))


def _trusting(committed: int | None, log_name: str | None, first: int, end: int, topic_id: str) -> Start:  # noqa: ARG001
    return Start(first if committed is None else committed, topic_id)


def _acknowledged(self: Any, batch: Any, _: Any) -> bool:
    """Take a batch whose commit failed for committed."""
    self._source.committed(batch.positions)
    return True


def _first_half_twice(self: KafkaBatch) -> tuple[KafkaBatch, KafkaBatch]:
    return halves(self)[0], halves(self)[0]


def _assigned_without_rewind(self: Any) -> None:
    self._bases = dict.fromkeys(self._bases)
    self._next.clear()


FLOOR_OF_0 = "function(key) local value = original(key) if value then value[1] = 0 end return value end"

MUTANTS = (
    Mutant(
        "outputs apart from offsets",
        "outputs and offsets are one transaction",
        _method(TransactionalProducer, "commit", _only_commit),
    ),
    Mutant(
        "commit without membership",
        "a commit carries the group's metadata of its poll",
        _method(TransactionalProducer, "commit", _without_membership),
    ),
    Mutant(
        "failed commit ignored", "a batch that was not committed is read again", _method(Loop, "_drop_uncommitted", _acknowledged)
    ),
    Mutant(
        "no rewind",
        "after a failed commit reading goes on from what is committed",
        _method(KafkaConsumer, "rewind", _assigned_without_rewind),
    ),
    Mutant(
        "bad record drops its batch", "a bad record is searched for by halves", _method(KafkaBatch, "halves", _first_half_twice)
    ),
    Mutant(
        "halves share a base",
        "the second half of a batch stands on what the first commits",
        _method(KafkaBatch, "halves", _without_second_base),
    ),
    Mutant("offsets trusted", "a commit names the log that it belongs to", _method(start, "find_start", _trusting)),
    Mutant("no glance at the topic", "the topic is looked at while it is read", _method(TopicHistory, "glance", lambda *_: None)),
    Mutant(
        "retention not reported",
        "records that are deleted unread are counted",
        _method(KafkaConsumer, "_report_lost", lambda *_: None),
    ),
    Mutant("no floor", "the ledger refuses callers that are behind its floor", _lua("read_ledger", FLOOR_OF_0)),
    Mutant(
        "overtaken callers",
        "the ledger refuses a caller that another has overtaken",
        _lua("is_overtaken", "function() return false end"),
    ),
    Mutant("decisions forgotten", "an event that was decided keeps its decision", _lua("repeat_decisions", "function() end")),
    Mutant(
        "nothing taken back",
        "what an attempt charged and the next does not name is taken back",
        _lua("each_left", "function() end"),
    ),
    Mutant(
        "own duplicate",
        "a record that is read again is not its own duplicate",
        _lua("is_same_token", "function() return false end"),
    ),
    Mutant(
        "no election",
        "a group whose first event dies gets another first",
        _lua("elect", "function(_, ledger, i) return ledger.decisions[i] end"),
    ),
    Mutant(
        "regrouped event stays",
        "an event that new rules regroup leaves its old group",
        _lua("is_same_label", "function() return true end"),
    ),
    Mutant(
        "group refusal keeps the charge",
        "what a group quota refuses gives its outer charges back",
        _lua("settle", "function() end"),
    ),
    Mutant(
        "other owners' decisions unseen",
        "a worker forgets what it knew of partitions that go",
        _method(DecidedOffsets, "forget", lambda _: None),
    ),
    Mutant(
        "memory trusted blindly",
        "what an earlier owner decided is asked of Redis",
        _method(DecidedOffsets, "is_undecided", lambda *_: True),
    ),
    Mutant(
        "replayed letters unnamed",
        "a replayed dead letter that dies again is taken back",
        _method(Call, "__init__", _without_replayed),
    ),
    Mutant(
        "late deaths stay charged",
        "a record that dies after it was counted is taken out and the rest runs again",
        _method(runner, "_counted", lambda _: frozenset()),
    ),
    Mutant("losses unreported", "a Redis that lost data is noticed", _method(Losses, "learn", lambda *_: False)),
    Mutant("evictions unreported", "a Redis that evicts keys is noticed", _method(Losses, "look", lambda _: False)),
)


@contextmanager
def applied(mutant: Mutant) -> Iterator[None]:
    """Take the protection away for a while."""
    with ExitStack() as stack:
        mutant.patch(stack)
        stack.enter_context(mock.patch.object(consumer, "log", mock.Mock()))
        yield


def find(mutant: Mutant, most: int, first_seed: int = 0, kind: type[World] = World) -> tuple[int, Failure | None]:
    """Play until a history breaks a promise. Return how many were played, and the failure."""
    with applied(mutant):
        store = ModelStore()
        for number, failure in enumerate(play_seeds(range(first_seed, first_seed + most), store, kind), 1):
            if failure is not None:
                return number, failure
    return most, None
