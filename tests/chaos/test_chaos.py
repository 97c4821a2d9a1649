"""Everything that may happen to two workers in a bad week, within two minutes; then every record is looked for.

PIPELINE_CHAOS_RUNS=10 runs ten schedules, PIPELINE_CHAOS_SEED=7 begins with the seventh. A failure names its seed.
"""

from __future__ import annotations

import logging
import os
import random
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import orjson
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import NewPartitions
from support import chaos_accounting as accounting
from support.chaos_cluster import Cluster, Slot
from support.faulty_worker import POINTS
from support.installation import free_port
from support.kafka_broker import Broker, admin, committed, fresh_settings, set_topic
from support.redis_servers import DurableRedis

from pipeline.runtimes.generated_events import generate_events

log = logging.getLogger(__name__)

EVENTS = int(os.environ.get("PIPELINE_CHAOS_EVENTS", "20000"))
FEED_S = 75.0
RUNS = int(os.environ.get("PIPELINE_CHAOS_RUNS", "1"))
FIRST_SEED = int(os.environ.get("PIPELINE_CHAOS_SEED", "1"))
PARTITIONS, PARTITIONS_LATER = 4, 6
QUOTA_PROJECT, QUOTA_ID, QUOTA_LIMIT = 7, "chaos", EVENTS // 10
MOVES_WITHIN_S = 25.0
MAX_RECORD_BYTES, MAX_OUTPUT_BYTES = 300_000, 30_000

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + RUNS))
def test_nothing_is_lost_and_nothing_counts_twice(broker: Broker, tmp_path: Path, seed: int) -> None:
    log.info("chaos seed %s, folder %s", seed, tmp_path)
    chaos = Chaos(broker, tmp_path, seed)
    try:
        chaos.run()
        chaos.check()
    finally:
        chaos.close()


class Chaos:
    """One run: its input, its cluster, and what is done to it when."""

    def __init__(self, broker: Broker, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.broker = broker
        self.folder = folder
        self.settings = fresh_settings(broker, partitions=PARTITIONS)
        self.redis = DurableRedis()
        self.rules = folder / "rules"
        shutil.copytree(Path(__file__).parents[2] / "rules", self.rules)
        quota = self.rules / "projects" / str(QUOTA_PROJECT) / "quotas.toml"
        quota.parent.mkdir(parents=True)
        quota.write_text(
            f'[[quota]]\nid = "{QUOTA_ID}"\nscope = "project"\ncategories = ["default", "error", "security"]\n'
            f'limit = {QUOTA_LIMIT}\nwindow_s = {366 * 86_400}\nreason_code = "chaos_quota"\n'
        )
        points = list(POINTS[:-1])
        self.random.shuffle(points)
        self.slots = [self._slot(name, points[at::2]) for at, name in enumerate("ab")]
        self.cluster = Cluster(self.slots)
        self.sent = 0

    def run(self) -> None:
        """Feed while the schedule is played, then wait until all is committed."""
        feeder = threading.Thread(target=self._feed, daemon=True)
        self.cluster.start()
        feeder.start()
        steps = [self._kill_at_random] * 3
        steps += [self._freeze_past_the_session, self._add_partitions, self._kill_broker, self._kill_redis]
        steps += [self._refuse_produce, self._break_rules]
        self.random.shuffle(steps)
        for step in steps:
            time.sleep(self.random.uniform(1.0, 4.0))
            log.info("%s, %s sent", step.__name__, self.sent)
            step()
        self._wait(lambda: len(self._hit()) == len(POINTS) - 1, 90, "killed at every point but the last")
        self._partitions_move_on()
        feeder.join()
        self._wait(self._is_all_committed, 120, "all is committed")
        self._wait(lambda: all(slot.ready().get("ready") for slot in self.slots), 60, "both are ready")
        assert self.cluster.stop() == [0, 0], "both leave within ten seconds of SIGTERM"

    def check(self) -> None:
        """Hold the ledger."""
        assert self._hit() == set(POINTS)
        result = accounting.Result.read(self.broker, self.settings)
        assert len(result.records) == self.sent
        accounting.assert_every_record_ended_once(result)
        accounting.assert_outcomes_add_up(result)
        accounting.assert_redis_agrees(result, self.redis.url, QUOTA_ID, QUOTA_PROJECT, QUOTA_LIMIT)
        accounting.assert_no_lag(result, self.settings)
        reasons = {(headers["stage"], headers["reason"]) for letter in result.dead for headers in [dict(letter.headers() or ())]}
        assert {(b"decode", b"invalid_msgpack"), (b"decode", b"too_large"), (b"publish", b"too_large")} <= reasons
        accounting.assert_same_as_replay(result, self._replay(result), {1, 2, 3})
        lives = sum(slot.lives for slot in self.slots)
        numbers = (len(result.records), len(result.events), len(result.dead), lives)
        log.info("%s records: %s events, %s dead letters; %s lives", *numbers)

    def close(self) -> None:
        """End what still runs."""
        self.cluster.abandon()
        self.redis.stop()

    # What is done to them ----------------------------------------------------------------------------------------------

    def _kill_at_random(self) -> None:
        time.sleep(self.random.random())
        self.cluster.kill(self.random.choice(self.slots))

    def _freeze_past_the_session(self) -> None:
        self.cluster.freeze(self.random.choice(self.slots), self.settings.kafka.session_timeout_s + 3)

    def _add_partitions(self) -> None:
        client = admin(self.broker)
        for future in client.create_partitions([NewPartitions(self.settings.kafka.events_in, PARTITIONS_LATER)]).values():
            future.result()

    def _kill_broker(self) -> None:
        self.broker.kill()
        time.sleep(self.random.uniform(0.5, 2.0))
        self.broker.start()

    def _kill_redis(self) -> None:
        self.redis.kill()
        time.sleep(self.random.uniform(0.5, 2.0))
        self.redis.start()

    def _refuse_produce(self) -> None:
        self._set_outcomes_limit("100")  # below 78 the broker cannot write its own markers, and is stuck until it restarts
        time.sleep(2.0)
        self._set_outcomes_limit("1000000")

    def _set_outcomes_limit(self, size: str) -> None:
        set_topic(self.broker, self.settings.kafka.outcomes, "max.message.bytes", size)

    def _break_rules(self) -> None:
        file = self.rules / "default" / "quotas.toml"
        good = file.read_text()
        file.write_text("[[quota]\nthis is no TOML")
        time.sleep(2.5)
        file.write_text(good)

    def _partitions_move_on(self) -> None:
        """Kill one for good: the other has all partitions in time. It is killed in turn as it gives some back."""
        staying, leaving = self.slots
        everything = list(range(PARTITIONS_LATER))
        staying.faults = [("in_revoke", 1)]
        self.cluster.kill(staying)
        self._wait(lambda: staying.ready().get("ready") is True, 60, "the one that stays is ready")
        leaving.held = True
        self.cluster.kill(leaving)
        killed = time.monotonic()
        self._wait(lambda: staying.ready().get("partitions") == everything, 60, "the partitions have moved")
        assert time.monotonic() - killed < MOVES_WITHIN_S
        leaving.held = False
        self._wait((self.folder / "hit-in_revoke").exists, 60, "killed as it gives partitions up")

    # Input -------------------------------------------------------------------------------------------------------------

    def _feed(self) -> None:
        producer = Producer(
            {
                "bootstrap.servers": self.broker.address,
                "enable.idempotence": True,
                "linger.ms": 20,
                "compression.type": "lz4",
                "message.max.bytes": 2_000_000,
                "delivery.timeout.ms": 120_000,
                "topic.metadata.refresh.interval.ms": 1_000,
                "log_level": 0,
            }
        )
        started = time.monotonic()
        for number, value in enumerate(self._input()):
            ahead_s = started + FEED_S * number / EVENTS - time.monotonic()
            if number > EVENTS * 0.6 and number % 20 == 0 and len(self._hit()) < len(POINTS) - 1:
                ahead_s = 0.4  # a trickle: workers that are still to be killed must meet batches, however slow the machine
            if ahead_s > 0:
                producer.poll(0)
                time.sleep(ahead_s)
            producer.produce(self.settings.kafka.events_in, value)
            self.sent += 1
        assert producer.flush(120) == 0

    def _input(self) -> Iterator[bytes]:
        """Return varied events, identical ones that the quota binds, a few duplicates, poison, and what is too large."""
        varied = generate_events(self.random.randrange(2**32), frames=3, locals_per_frame=0)
        same = next(generate_events(1, frames=2, locals_per_frame=0))
        arrival = int(time.time())
        last = b""
        for number in range(EVENTS):
            if number % 1_000 == 500:
                yield self.random.choice((b"\xc1garbage", b"", b"\x80", b"\x93\x01\x02\x03"))
            elif number % 1_000 == 600 and last:
                yield last
            elif number in {700, 2_700}:
                yield _message({**same, "extra": {"x": "y" * (MAX_RECORD_BYTES + 1)}}, 1, arrival, self.random)
            elif number in {800, 3_800}:
                frames = same["exception"]["values"][0]["stacktrace"]["frames"] * 100
                huge = {"type": "Deep", "value": "too large for the output", "stacktrace": {"frames": frames}}
                yield _message({**same, "exception": {"values": [huge]}}, 1, arrival, self.random)
            elif number % 10 < 3:
                yield _message(same, QUOTA_PROJECT, arrival, self.random)
            else:
                last = _message(next(varied), 1 + number % 3, arrival, self.random)
                yield last

    # Around it ---------------------------------------------------------------------------------------------------------

    def _slot(self, name: str, points: list[str]) -> Slot:
        kafka = self.settings.kafka
        port = free_port()
        file = self.folder / f"{name}.toml"
        names = {"brokers": kafka.brokers, "consumer_group": kafka.consumer_group, "events_in": kafka.events_in}
        names |= {"events_out": kafka.events_out, "outcomes": kafka.outcomes, "dead_letters": kafka.dead_letters, "slot": name}
        lines = [f'rules = "{self.rules}"', "[batch]", "max_records = 150", "[input]", f"max_record_bytes = {MAX_RECORD_BYTES}"]
        lines += ["[redis]", f'url = "{self.redis.url}"', "timeout_s = 2.0", "[web]", f"port = {port}", 'host = "127.0.0.1"']
        lines += ["[reports]", 'log_form = "text"', "[kafka]", f"max_output_bytes = {MAX_OUTPUT_BYTES}"]
        lines += ["metadata_refresh_s = 2.0", f"session_timeout_s = {kafka.session_timeout_s}"]
        lines += [f'{key} = "{value}"' for key, value in names.items()]
        file.write_text("\n".join(lines) + "\n")
        return Slot(name, file, self.folder, port, [(point, self.random.randint(1, 4)) for point in points])

    def _hit(self) -> set[str]:
        return {path.name.removeprefix("hit-") for path in self.folder.glob("hit-*")}

    def _is_all_committed(self) -> bool:
        return sum(max(0, offset) for offset in committed(self.settings).values()) == self.sent

    def _wait(self, condition: Any, within_s: float, what: str) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
            time.sleep(0.25)

    def _replay(self, result: accounting.Result) -> Path:
        """Replay the same input from a file, in offset order."""
        values = [record.value() or b"" for record in result.records]
        whole = [value for value in values if accounting.event_id_of(value) and len(value) <= MAX_RECORD_BYTES]
        too_large = {dict(letter.headers() or ())["source-offset"] for letter in result.dead}
        assert too_large
        dead = {letter.value() for letter in result.dead}
        (self.folder / "input.msgpack").write_bytes(b"".join(value for value in whole if value not in dead))
        out = self.folder / "replayed"
        command = [sys.executable, "-m", "pipeline", "replay", str(self.folder / "input.msgpack"), "--out", str(out)]
        subprocess.run([*command, "--rules", str(self.rules)], check=True, capture_output=True, cwd=Path(__file__).parents[2])
        return out


def _message(event: dict[str, Any], project_id: int, arrival: int, rng: random.Random) -> bytes:
    event_id = uuid.UUID(int=rng.getrandbits(128), version=4).hex
    message = {
        "type": "event",
        "payload": orjson.dumps({**event, "event_id": event_id, "timestamp": arrival}),
        "start_time": arrival,
        "event_id": event_id,
        "project_id": project_id,
        "remote_addr": None,
        "attachments": [],
    }
    return bytes(msgpack.packb(message))
