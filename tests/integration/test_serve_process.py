"""`pipeline serve` as a process: killed under load, started twice, ended; every accepted event is one row."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.serve_process import KEY, ROOT, ServeProcess
from support.store_process import read_chdb

pytestmark = [pytest.mark.redis, pytest.mark.slow, pytest.mark.timeout(300)]

EVENTS, KILLS, SENDERS = 1_500, 6, 3
QUOTA = 100


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[ServeProcess]:
    pytest.importorskip("chdb")
    process = ServeProcess(tmp_path)
    yield process
    process.close()


def event_of(number: int) -> dict[str, Any]:
    kind = ("KeyError", "ValueError", "TypeError")[number % 3]
    frames = [{"function": f"step_{number % 10}", "module": "shop.cart", "filename": "shop/cart.py", "in_app": True}]
    return {
        "event_id": f"{number + 1:032x}",
        "platform": "python",
        "environment": f"env-{number % 2}",
        "user": {"id": str(number % 40)},
        "exception": {"values": [{"type": kind, "value": "no", "stacktrace": {"frames": frames}}]},
    }


def project_of(number: int) -> int:
    return 2 if number % 10 == 0 else 1


def test_six_kills_under_load_lose_nothing_and_count_nothing_twice(serve: ServeProcess, tmp_path: Path) -> None:
    """Each sender sends an event until it is answered with 200 or 429. Project 2 has a quota of 100 in a long window."""
    limited = serve.rules / "projects" / "2"
    limited.mkdir(parents=True)
    quota = f'[[quota]]\nid = "q"\nscope = "project"\nscope_id = 2\ncategories = ["error"]\nlimit = {QUOTA}\nwindow_s = 864000\n'
    (limited / "quotas.toml").write_text(quota + 'reason_code = "project_quota"\n')
    seed = random.randrange(1_000_000)
    chance = random.Random(seed)
    started = time.monotonic() + 3
    statuses: dict[int, int] = {}

    def send(first: int) -> None:
        for number in range(first, EVENTS, SENDERS):
            time.sleep(max(0.0, started + 25.0 * number / EVENTS - time.monotonic()))
            while (status := serve.send(event_of(number), project_of(number))) in {0, 503}:
                time.sleep(0.05)
            statuses[number] = status

    senders = [threading.Thread(target=send, args=(first,), daemon=True) for first in range(SENDERS)]
    for sender in senders:
        sender.start()
    for _ in range(KILLS):
        serve.start()
        time.sleep(1.0 + 2.5 * chance.random())
        serve.kill()
    serve.start()
    for sender in senders:
        sender.join()
    serve.wait_until_stored()
    assert serve.stop() == 0
    assert set(statuses.values()) <= {200, 429}, f"seed {seed}"

    rows, bodies, groups, hours, accepted, limits, raw = read_chdb(
        tmp_path / "data" / "chdb",
        "SELECT project_id, count(), uniqExact(event_id) FROM events GROUP BY project_id ORDER BY project_id",
        "SELECT count(), uniqExact(event_id) FROM event_bodies",
        "SELECT count(), uniqExact(group_id) FROM events WHERE project_id = 1 GROUP BY arrayElement(exception_types, 1), "
        "arrayElement(frame_functions, 1) ORDER BY 1",
        "SELECT project_id, sum(count), uniqMerge(users) FROM group_hours GROUP BY project_id ORDER BY project_id",
        "SELECT project_id, sum(quantity) FROM outcome_hours WHERE outcome = 0 GROUP BY project_id ORDER BY project_id",
        "SELECT count() FROM outcomes WHERE outcome = 2 AND project_id != 2",
        "SELECT sum(quantity) FROM outcomes WHERE outcome = 0",
    )
    ones = sum(project_of(number) == 1 for number in range(EVENTS))
    twos = min(QUOTA, EVENTS - ones)
    assert rows == [[1, ones, ones], [2, twos, twos]], f"seed {seed}"
    assert bodies == [[ones + twos, ones + twos]]
    assert all(distinct == 1 for _, distinct in groups)
    assert sum(count for count, _ in groups) == ones
    assert [row[:2] for row in hours] == [[1, ones], [2, twos]]
    assert accepted == [[1, ones], [2, twos]]
    assert limits == [[0]]
    assert raw == [[ones + twos]]
    assert not (tmp_path / "data" / "dead_letters.jsonl").exists()


def test_a_second_process_on_the_folder_is_told_who_has_it(serve: ServeProcess, tmp_path: Path) -> None:
    serve.start()
    command = [sys.executable, "-m", "pipeline", "serve", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:1"]
    second = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert second.returncode == 2
    assert str(serve.process and serve.process.pid) in second.stderr
    assert serve.send(event_of(1)) == 200


def test_grouping_stays_when_the_default_changes(serve: ServeProcess) -> None:
    (serve.rules / "default" / "grouping.toml").write_text('strategy = "pipeline:2026-11-22"\nenhancement_base = "none"\n')
    serve.start()
    assert serve.stop() == 0
    pinned = (serve.data / "grouping.toml").read_text()
    assert 'strategy = "pipeline:2026-11-22"' in pinned
    (serve.rules / "default" / "grouping.toml").unlink()
    serve.start()
    assert serve.stop() == 0
    assert (serve.data / "grouping.toml").read_text() == pinned


def test_the_printed_curl_line_works(serve: ServeProcess, tmp_path: Path) -> None:
    serve.start()
    [line] = [line for line in serve.log().splitlines() if line.startswith("a first event:")]
    done = subprocess.run(["sh", "-c", line.partition(":")[2].strip()], capture_output=True, text=True, check=False)
    assert "id" in json.loads(done.stdout)
    serve.wait_until_stored()
    assert serve.stop() == 0
    assert read_chdb(tmp_path / "data" / "chdb", "SELECT project_id, title FROM events") == [[[1, "hello"]]]
    assert KEY not in line


def test_an_event_is_in_the_list_of_issues_soon_after_its_200(serve: ServeProcess) -> None:
    """Also the first one of a project, and a status survives a restart."""
    serve.start()
    assert serve.send(event_of(1)) == 200
    answered = time.monotonic()
    while not (issues := serve.issues()):
        assert time.monotonic() - answered < 20
        time.sleep(0.05)
    assert [(one["count"], one["userCount"]) for one in issues] == [("1", 1)]
    assert serve.ask(f"issues/{issues[0]['id']}/", {"status": "resolved"}, "PUT")["status"] == "resolved"
    serve.kill()
    serve.start()
    assert serve.issues()[0]["status"] == "resolved"
    assert serve.send(event_of(1) | {"event_id": "f" * 32}) == 200
    serve.wait_until_stored()
    assert [(one["count"], one["status"], one["substatus"]) for one in serve.issues()] == [("2", "unresolved", "regressed")]
