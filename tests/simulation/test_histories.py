"""Hundreds of seeded histories keep every promise, and a simulation of deliberately broken parts finds each break."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest
from simulation.history import BrokenHistoryError, History, Place

from pipeline.model.errors import CommitError, StaleBatchError
from pipeline.redis.client import Client, connect
from pipeline.redis.embedded import EmbeddedRedis
from pipeline.runtimes.loop import Loop

HISTORIES = 300
SEEDS_TO_FIND_A_BREAK = 300


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    logging.disable(logging.CRITICAL)
    with EmbeddedRedis() as server:
        yield connect(server.url, 5.0)
    logging.disable(logging.NOTSET)


def test_every_history_keeps_the_promises(client: Client) -> None:
    one = os.environ.get("SIMULATION_SEED")
    for seed in [int(one)] if one else range(HISTORIES):
        client.flushall()
        History(seed, client).run()


def play(client: Client, kind: type[History], seeds: int) -> None:
    for seed in range(seeds):
        client.flushall()
        kind(seed, client).run()


class CommitErrorIgnored(Loop[Any, Any]):
    def _drop_uncommitted(self, batch: Any, error: CommitError) -> bool:  # noqa: ARG002
        self._source.committed(batch.positions)
        return True


class NoRewind(Loop[Any, Any]):
    def _drop_uncommitted(self, batch: Any, error: CommitError) -> bool:  # noqa: ARG002
        return False

    def _drop_stale(self, error: StaleBatchError) -> bool:  # noqa: ARG002
        return False


class WithCommitErrorIgnored(History):
    loop_type = CommitErrorIgnored


class WithoutRewind(History):
    loop_type = NoRewind


class WithoutOutputs(History):
    def store(self, places: list[Place], ends: dict[int, int]) -> None:
        super().store(places if self.step % 5 else [], ends)


@pytest.mark.parametrize("broken", [WithCommitErrorIgnored, WithoutRewind, WithoutOutputs])
def test_a_deliberate_break_is_found(client: Client, broken: type[History]) -> None:
    with pytest.raises(BrokenHistoryError):
        play(client, broken, SEEDS_TO_FIND_A_BREAK)
