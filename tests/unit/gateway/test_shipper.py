from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from pipeline.gateway.shipper import ShippingWork, SpoolSource
from pipeline.gateway.spooled import Arrival, Count, Refusals, encode_head
from pipeline.kafka.batch import KafkaPositions
from pipeline.model.category import DataCategory
from pipeline.model.errors import CommitError, RetryableError
from pipeline.model.outcome import Fate
from pipeline.observability.prometheus_gateway import GatewayMetrics
from pipeline.rules.folder import load_rules
from pipeline.settings.schema import BatchSettings, KafkaSettings
from pipeline.spool.files import DiskFiles
from pipeline.spool.spool import Spool

KEY, ID = "a" * 32, "9ec79c33ec9942ab8353589fcb2e04dc"
BODY = b'{}\n{"type":"event"}\n{"message":"hi"}\n'


class Broker:
    """What the broker keeps, in memory. It is away as often as `away` says."""

    def __init__(self) -> None:
        self.kept = ""
        self.away = 0
        self.registered = 0

    def register(self) -> None:
        self.registered += 1
        if self.away:
            self.away -= 1
            raise CommitError("kafka: away")

    def read(self) -> str:
        if self.away:
            self.away -= 1
            raise RetryableError("kafka", "away")
        return self.kept

    def positions(self, text: str) -> KafkaPositions:
        return KafkaPositions("in", {0: 1}, None, {0: text})

    def close(self) -> None:
        pass


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(DiskFiles(tmp_path / "spool"), segment_bytes=1_000_000)
    yield spool
    spool.close()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.gateway.shipper.RETRY_S", 0.0)


def source(spool: Spool, broker: Any) -> SpoolSource:
    return SpoolSource(spool, broker, broker.register, BatchSettings(max_records=3))


def arrive(spool: Spool, number: int) -> None:
    for index in range(number):
        head = Arrival("envelope", 42, KEY, 1_700_000_000.0 + index, f"{index:032x}")
        spool.append(encode_head(head), BODY).result(10)


def test_nothing_is_read_before_the_broker_says_where_to_begin(spool: Spool) -> None:
    arrive(spool, 5)
    broker = Broker()
    broker.away = 2
    reading = source(spool, broker)
    assert reading.poll() is None
    assert reading.unready() == "kafka: away"
    assert reading.poll() is None
    batch = reading.poll()
    assert batch is not None
    assert len(batch.records) == 3
    assert reading.unready() == ""
    assert broker.registered == 3


def test_what_was_not_committed_is_read_again(spool: Spool) -> None:
    arrive(spool, 5)
    broker = Broker()
    reading = source(spool, broker)
    first = reading.poll()
    assert first is not None
    reading.rewind()
    again = reading.poll()
    assert again is not None
    assert again.entries == first.entries
    broker.kept = again.positions.metadata[0]
    reading.committed(again.positions)
    later = source(spool, broker).poll()
    assert later is not None
    assert [entry.position for entry in later.entries] == [
        entry.position for entry in later.entries if entry.position >= again.end
    ]
    assert len(later.entries) == 2


def test_halves_commit_one_after_the_other(spool: Spool) -> None:
    arrive(spool, 3)
    batch = source(spool, Broker()).poll()
    assert batch is not None
    first, second = batch.halves()
    assert [len(half.records) for half in (first, second)] == [1, 2]
    assert first.end == second.entries[0].position
    assert second.end == batch.end


def test_a_batch_becomes_messages_outcomes_and_dead_letters(spool: Spool, tmp_path: Path) -> None:
    rules_folder = tmp_path / "rules"
    (rules_folder / "default").mkdir(parents=True)
    (rules_folder / "default" / "grouping.toml").write_text('enhancement_base = "none"\nbuiltin_fingerprints = false\n')
    rules = load_rules(rules_folder)
    arrive(spool, 2)
    spool.append(encode_head(Refusals(1.0, (Count(42, KEY, Fate.INVALID, "cors", DataCategory.ERROR, 3),))), b"").result(10)
    kafka = KafkaSettings()
    work = ShippingWork(kafka, lambda: rules, GatewayMetrics())
    batch = source(spool, Broker()).poll()
    assert batch is not None
    result = work.run(batch)
    assert [output.key for output in result.outputs[kafka.events_in]] == [bytes(16), bytes(15) + b"\1"]
    [outcome] = result.outputs[kafka.outcomes]
    assert orjson.loads(outcome.value)["quantity"] == 3
    work.committed(batch, result, 0.1, 0.1)
    spool.append(b"no head", b"body").result(10)
    reading = source(spool, Broker())
    reading.poll()
    odd = reading.poll()
    assert odd is not None
    with pytest.raises(msgspec.DecodeError):
        work.run(odd)
    [letter] = work.give_up(odd, ValueError("odd")).outputs[kafka.dead_letters]
    assert letter.value == b"no headbody"
    assert ("reason", b"internal") in letter.headers
    assert "source-offset" in dict(letter.headers)
