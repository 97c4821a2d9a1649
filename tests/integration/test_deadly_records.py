"""Records that kill or hang their worker, and kills from outside that no record is to blame for, on a real broker."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import msgpack
import orjson
import pytest
from support.chaos_cluster import children
from support.installation import ROOT, Installation, until
from support.kafka_broker import produce, read_all

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]

PROGRAM = Path(__file__).parents[1] / "support" / "deadly_worker.py"


def message(number: int, said: str = "fine") -> bytes:
    event_id = f"{number + 1:032x}"
    payload = orjson.dumps({"event_id": event_id, "message": f"{said} {number}", "platform": "other", "timestamp": time.time()})
    body = {"type": "event", "event_id": event_id, "project_id": 1, "start_time": int(time.time()), "payload": payload}
    return bytes(msgpack.packb(body | {"remote_addr": None, "attachments": []}))


def start(installation: Installation) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(PROGRAM), str(installation.folder / "settings.toml")]
    with (installation.folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    installation.processes.append(process)
    return process


def dead(installation: Installation) -> dict[str, dict[str, str]]:
    """Return the headers of each dead letter by what its event says."""
    found = {}
    for letter in read_all(installation.broker, installation.settings.kafka.dead_letters):
        payload = orjson.loads(msgpack.unpackb(letter.value() or b"")["payload"])
        found[payload["message"]] = {name: (value or b"").decode() for name, value in letter.headers() or ()}
    return found


def charged(installation: Installation) -> int:
    """Return what Redis has charged to the project's quota."""
    shown = installation.pipeline("quotas", "show", "--project", "1", "--json").stdout
    return sum(json.loads(line)["used"] for line in shown.splitlines())


def test_what_kills_or_hangs_a_worker_three_times_becomes_a_dead_letter_and_its_neighbours_are_stored(
    installation: Installation,
) -> None:
    (installation.rules / "default" / "quotas.toml").write_text(
        '[[quota]]\nid = "all"\nscope = "project"\ncategories = ["default", "error"]\nlimit = 1000\nwindow_s = 86400\n'
        'reason_code = "all"\n'
    )
    installation.write_settings("[supervisor]", "hang_s = 3.0", "[dead_letters]", "min_count = 1000")
    bad = {5: "segfault", 11: "abort", 17: "exit", 23: "hang", 29: "panic"}
    produce(
        installation.broker,
        installation.settings.kafka.events_in,
        [message(n, bad.get(n, "fine")) for n in range(40)],
        partition=0,
    )
    process = start(installation)
    until(lambda: len(installation.stored()) >= 35 and len(dead(installation)) == len(bad), 240, installation.log)
    letters = dead(installation)
    assert {said.split(" ")[0]: (letter["stage"], letter["reason"]) for said, letter in letters.items()} == {
        "segfault": ("group", "kills_worker"),
        "abort": ("group", "kills_worker"),
        "exit": ("group", "kills_worker"),
        "hang": ("group", "hangs_worker"),
        "panic": ("worker", "internal"),
    }
    assert "SIGSEGV, SIGSEGV" in letters["segfault 5"]["detail"]
    stored = Counter(event["event_id"] for event in installation.stored())
    assert stored == Counter(f"{n + 1:032x}" for n in range(40) if n not in bad)
    assert charged(installation) == 35, "what a dead letter was charged in its first lives is given back"
    deaths = installation.log().count("the worker died, and a new one is started")
    assert deaths <= 1 + 2 * 4 + 1, "the first suspects all, and each of the four needs two alone"
    assert b'pipeline_worker_deaths_total{cause="fault"}' in installation.get("/metrics")
    until(lambda: installation.ready().get("ready") is True)
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0


def test_a_storm_of_kills_blames_no_record_and_loses_none(installation: Installation) -> None:
    """Slow records, so that most kills strike while one is in hand. Half of the kills hit the worker, half its supervisor."""
    rng = random.Random(7)
    records = 70
    installation.write_settings("[batch]", "max_records = 10")
    produce(installation.broker, installation.settings.kafka.events_in, [message(n, "slow") for n in range(records)], partition=0)
    kills = 0
    while kills < 5:
        process = start(installation)
        until(lambda: installation.ready().get("ready") is True, 60, installation.log)
        time.sleep(rng.uniform(0.2, 2.0))
        [worker] = children(process.pid)
        os.kill(rng.choice([worker, process.pid]), signal.SIGKILL)
        assert process.wait(10) in {-signal.SIGKILL, 128 + signal.SIGKILL}
        until(lambda pid=worker: not Path(f"/proc/{pid}/exe").exists(), 10)  # type: ignore[misc]  # no worker outlives its supervisor
        kills += 1
    start(installation)
    until(lambda: len(installation.stored()) >= records, 120, installation.log)
    assert Counter(event["event_id"] for event in installation.stored()) == Counter(f"{n + 1:032x}" for n in range(records))
    assert dead(installation) == {}
    assert "the worker died, and a new one is started" not in installation.log()


def test_a_worker_that_was_stopped_for_long_is_no_hang(installation: Installation) -> None:
    installation.write_settings("[supervisor]", "hang_s = 2.0")
    produce(installation.broker, installation.settings.kafka.events_in, [message(n, "slow") for n in range(3)], partition=0)
    process = start(installation)
    until(lambda: installation.ready().get("ready") is True, 60, installation.log)
    [worker] = children(process.pid)
    os.kill(worker, signal.SIGSTOP)
    time.sleep(5)
    assert children(process.pid) == [worker]
    os.kill(worker, signal.SIGCONT)
    until(lambda: len(installation.stored()) == 3, 60)
    assert dead(installation) == {}


def test_a_worker_that_hangs_when_it_is_told_to_end_is_killed_in_time(installation: Installation) -> None:
    installation.write_settings("[supervisor]", "hang_s = 100.0")
    produce(installation.broker, installation.settings.kafka.events_in, [message(1, "hang")], partition=0)
    process = start(installation)
    time.sleep(6)
    process.send_signal(signal.SIGTERM)
    started = time.monotonic()
    assert process.wait(15) in {0, 1}
    assert time.monotonic() - started < 10.5
