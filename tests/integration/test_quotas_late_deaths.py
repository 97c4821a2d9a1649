"""An event that dies after it was counted is charged nowhere, in a replay as in a worker: both take a batch through `run`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
from support.redis_servers import RedisServer

from pipeline.model.record import Form, Record, Token
from pipeline.quotas.ledger import Counted, Polled, Sighting
from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.redis.client import connect
from pipeline.rules.folder import load_rules
from pipeline.runtimes.replay import Tally, replay
from pipeline.runtimes.replay_files import ReplayFiles
from pipeline.stages.contract import Context, StageLimits

pytestmark = pytest.mark.redis

NOW = 1_795_348_800.0
QUOTA = '[[quota]]\nid = "hour"\nscope = "project"\ncategories = ["error"]\nlimit = 100\nwindow_s = 3600\nreason_code = "over"\n'
LIMITS = StageLimits(max_output_bytes=20_000)


def record(number: int, *, large: bool) -> Record:
    tags = {f"k{at}": "x" * 190 for at in range(100)} if large else {}
    body = orjson.dumps({"event_id": f"{number:032x}", "message": "large" if large else "small", "tags": tags})
    return Record(body, Form.JSON, "in.jsonl", number, NOW, Token("replay", 0, number), project_id=1)


def run(server: RedisServer, folder: Path, records: list[Record], size: int) -> Tally:
    (folder / "rules" / "default").mkdir(parents=True)
    (folder / "rules" / "default" / "quotas.toml").write_text(QUOTA)
    rules = load_rules(folder / "rules")
    ledger = RedisLedger(connect(server.url, 5))

    def context(polled: tuple[Polled, ...]) -> Context:
        return Context(now=NOW, rules=rules, ledger=ledger, polled=polled, limits=LIMITS)

    with ReplayFiles(folder / "out") as outputs:
        tally = replay(records, context, outputs, max_records=size, max_bytes=10**9, on_batch=lambda _: None)
    ledger.close()
    return tally


def charged_and_seen(server: RedisServer) -> tuple[list[bytes | None], list[bytes | None]]:
    with server.client() as client:
        return [client.get(key) for key in client.keys("quota:hour*")], [
            client.hget(key, "seen") for key in client.keys("group:*")
        ]


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_replay_charges_and_counts_what_it_stores(size: int, server: RedisServer, tmp_path: Path) -> None:
    records = [record(number, large=number % 4 == 1) for number in range(12)]
    tally = run(server, tmp_path, records, size)
    assert (tally.events, dict(tally.dead_letters)) == (9, {("publish", "too_large"): 3})
    assert charged_and_seen(server) == ([b"9"], [b"9"])


@pytest.mark.parametrize("size", [1, 4, 100])
def test_what_counting_fails_for_is_charged_nowhere(
    size: int, server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = RedisLedger.count

    def failing(ledger: RedisLedger, polled: Sequence[Polled], sightings: Sequence[Sighting], now: float) -> Sequence[Counted]:
        if any(sighting.token.offset == 3 for sighting in sightings):
            raise OverflowError("more than can be counted")
        return count(ledger, polled, sightings, now)

    monkeypatch.setattr(RedisLedger, "count", failing)
    tally = run(server, tmp_path, [record(number, large=False) for number in range(6)], size)
    assert (tally.events, dict(tally.dead_letters)) == (5, {("count", "internal"): 1})
    assert charged_and_seen(server) == ([b"5"], [b"5"])
