from __future__ import annotations

import subprocess
import sys

import pytest
from confluent_kafka import KafkaError, KafkaException

from pipeline.kafka.slots import Holder, SlotGuard, _ticks_of, parse_holder, this_process
from pipeline.model.errors import CommitError, SlotTakenError

ME = this_process("a")


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def guard(*members: Holder | str, clock: Clock | None = None) -> SlotGuard:
    ids = [member if isinstance(member, str) else member.client_id for member in members]
    return SlotGuard(ME, lambda: ids, 10.0, clock or Clock())


@pytest.mark.parametrize("slot", ["a", "with blanks in it", "worker-1"])
def test_a_holder_is_read_back(slot: str) -> None:
    holder = this_process(slot)
    assert parse_holder(holder.client_id) == holder


@pytest.mark.parametrize("client_id", ["", "rdkafka", "pipeline-slot", "pipeline-slot h x 1 2 a"])
def test_other_clients_are_no_holders(client_id: str) -> None:
    assert parse_holder(client_id) is None


def test_a_free_slot_is_taken() -> None:
    guard("rdkafka", ME, ME._replace(slot="b", started=1)).check()


def test_a_living_process_of_this_host_that_was_first_keeps_its_slot() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        rival = ME._replace(pid=other.pid, ticks=_ticks_of(other.pid) or 0, started=ME.started - 1)
        with pytest.raises(SlotTakenError, match=f"process {other.pid} on "):
            guard(rival).check()
        guard(rival._replace(started=ME.started + 1)).check()
        guard(rival._replace(ticks=rival.ticks + 1)).check()
        other.communicate(b"\n")
    guard(rival).check()


def test_a_former_life_of_this_worker_does_not_keep_it_out() -> None:
    """In a container every life has the same host and often the same process id."""
    guard(ME._replace(ticks=1, started=ME.started - 9_000)).check()


def test_a_holder_on_another_host_is_waited_for_as_long_as_its_session() -> None:
    clock = Clock()
    rival = Holder("a", "elsewhere", 7, 1, ME.started - 1)
    members = [rival.client_id]
    waiting = SlotGuard(ME, lambda: members, 10.0, clock)
    with pytest.raises(CommitError, match="waiting for its session"):
        waiting.check()
    members.clear()
    waiting.check()
    members.append(rival.client_id)
    clock.seconds = 16.0
    with pytest.raises(SlotTakenError, match="elsewhere"):
        waiting.check()


def test_a_broker_that_does_not_answer_lets_nobody_in() -> None:
    def members() -> list[str]:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))

    with pytest.raises(CommitError):
        SlotGuard(ME, members, 10.0).check()
