"""A roll-out: two versions of the worker are members of one group, and one ledger serves both."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
from support.chaos_cluster import children
from support.installation import ROOT, Installation, free_port, until
from support.kafka_broker import committed, produce, read_all, set_topic

from pipeline.runtimes.generated_events import generate_events, ingest_message

pytestmark = [pytest.mark.kafka, pytest.mark.redis, pytest.mark.slow]

OLDER_VERSION = "0.0.1"


def older_code(folder: Path) -> Path:
    """Return a folder with another version: the commit that PIPELINE_OLDER_COMMIT names, else this code under another number."""
    commit = os.environ.get("PIPELINE_OLDER_COMMIT")
    if commit:
        packed = subprocess.run(["git", "archive", commit, "pipeline"], cwd=ROOT, check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")
    else:
        shutil.copytree(ROOT / "pipeline", folder / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "pipeline" / "__init__.py").open("a") as file:
        file.write(f'\n__version__ = "{OLDER_VERSION}"\n')
    return folder


def test_two_versions_side_by_side_lose_and_double_nothing(installation: Installation, tmp_path: Path) -> None:
    limit, project = 700, 7
    quota = installation.rules / "projects" / str(project) / "quotas.toml"
    quota.parent.mkdir(parents=True)
    quota.write_text(
        f'[[quota]]\nid = "both"\nscope = "project"\ncategories = ["error"]\nlimit = {limit}\nwindow_s = {366 * 86_400}\n'
        'reason_code = "rollout"\n'
    )
    topic = installation.settings.kafka.events_in
    events = generate_events(1, frames=2)
    bodies = [ingest_message(next(events), project if number % 3 == 0 else 1)[1] for number in range(3_000)]

    older = installation.worker(older_code(tmp_path / "older"))
    assert json.loads(installation.get("/rules"))["code"] == OLDER_VERSION
    produce(installation.broker, topic, bodies[:1_000])
    older_port, installation.port = installation.port, free_port()
    installation.write_settings("[batch]", "max_records = 100")
    installation.worker()
    assert json.loads(installation.get("/rules"))["code"] != OLDER_VERSION
    until(lambda: len(installation.ready()["partitions"]) == 1, what=installation.log)
    produce(installation.broker, topic, bodies[1_000:2_000])
    newer_port, installation.port = installation.port, older_port
    assert len(installation.ready()["partitions"]) == 1, "the older one has the other partition"
    installation.port = newer_port

    older.send_signal(signal.SIGTERM)
    produce(installation.broker, topic, bodies[2_000:])
    assert older.wait(60) == 0
    produce(installation.broker, topic, bodies[:1_000])  # the older one has counted these: the newer one knows them
    until(lambda: sum(committed(installation.settings).values()) >= 4_000, what=installation.log)

    stored = [event["event_id"] for event in installation.stored()]
    outcomes = [json.loads(one.value() or b"") for one in read_all(installation.broker, installation.settings.kafka.outcomes)]
    quantities = {
        reason: sum(one.get("quantity", 1) for one in outcomes if one["reason"] == reason)
        for reason in (None, "rollout", "duplicate")
    }
    assert len(stored) == len(set(stored)) == 2_000 + limit
    assert quantities[None] == 2_000 + limit
    assert quantities["rollout"] + quantities["duplicate"] == 300 + 1_000
    assert read_all(installation.broker, installation.settings.kafka.dead_letters) == []


def test_memory_is_bounded_while_the_outputs_are_refused(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Downstream gone means partitions that stand still, not a process that grows with what waits for it."""
    installation.write_settings("[batch]", "max_bytes = 2000000")
    monkeypatch.setenv("PIPELINE_KAFKA_PREFETCH_BYTES", "2000000")  # by default it is most of what a waiting worker holds
    process = installation.worker()
    events = generate_events(3, frames=2)

    def feed(number: int) -> None:
        padded = ({**next(events), "extra": {"padding": "x" * 15_000}} for _ in range(number))
        bodies = [ingest_message(event, 1)[1] for event in padded]
        produce(installation.broker, installation.settings.kafka.events_in, bodies)

    feed(1_000)
    until(lambda: len(installation.stored()) == 1_000)
    [worker] = children(process.pid)
    before_mb = resident_mb(worker)
    limit_outcomes(installation, "100")
    feed(5_000)  # 75 MB
    until(lambda: installation.ready()["state"] == "waiting", what=installation.log)
    highest_mb = 0.0
    for _ in range(30):
        highest_mb = max(highest_mb, resident_mb(worker))
        time.sleep(0.2)
    ready = installation.ready()
    assert "kafka" in ready["why"]
    assert ready["partitions"] == [0, 1], "the group keeps it while it waits"
    assert highest_mb - before_mb < 30, f"{before_mb:.0f} MB, then {highest_mb:.0f} MB"
    limit_outcomes(installation, "11000000")
    until(lambda: sum(committed(installation.settings).values()) >= 6_000, what=installation.log)
    stored = [event["event_id"] for event in installation.stored()]
    assert len(stored) == len(set(stored)) == 6_000


def resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def limit_outcomes(installation: Installation, size: str) -> None:
    set_topic(installation.broker, installation.settings.kafka.outcomes, "max.message.bytes", size)


@pytest.mark.parametrize("static", [False, True])
def test_of_two_workers_with_one_slot_the_later_one_ends_and_the_first_goes_on(
    installation: Installation, *, static: bool
) -> None:
    more = ("[batch]", "max_records = 50")
    installation.write_settings(*more)
    settings = installation.folder / "settings.toml"
    slot = '[kafka]\nslot = "worker-1"' + ("\nstatic_membership = true" if static else "")
    settings.write_text(settings.read_text().replace("[kafka]", slot))
    first = installation.worker()
    installation.feed(50)
    until(lambda: len(installation.stored()) == 50)
    port, intruders_port = installation.port, free_port()
    settings.write_text(settings.read_text().replace(f"port = {port}", f"port = {intruders_port}"))
    intruder = installation.start_worker()
    assert intruder.wait(40) == 1
    assert "slot worker-1 is used by another worker" in installation.log()
    installation.feed(50, seed=2)
    until(lambda: len(installation.stored()) == 100)
    assert first.poll() is None
    assert installation.ready()["ready"] is True
    first.kill()
    first.wait()
    installation.port = intruders_port
    installation.worker()
    installation.feed(50, seed=3)
    until(lambda: len(installation.stored()) == 150)
