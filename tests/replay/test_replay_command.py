"""`pipeline replay` as a person meets it: what it refuses, what it leaves behind, how it is interrupted."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.command import RECORDED, ROOT, RULES, pipeline, replay

from pipeline.redis.embedded import find_redis_server, short_folder

EVENT = '{"event_id":"%032x","message":"order %d failed","platform":"python","timestamp":1795348800}\n'


def write_events(path: Path, count: int) -> Path:
    path.write_text("".join(EVENT % (number, number) for number in range(1, count + 1)))
    return path


def test_recorded_events_are_all_accounted_for(tmp_path: Path) -> None:
    replayed = replay(RECORDED, out=tmp_path / "out")
    summary = replayed.summary
    items = sum(sum(reasons.values()) for reasons in summary["outcomes"].values())
    assert summary["events"] == len(replayed.events) == summary["outcomes"]["accepted"][""]
    assert summary["dead_letters"] == len(replayed.dead_letters) == 0
    assert items >= summary["records"] >= 30
    assert {outcome["reason"] for outcome in replayed.outcomes} <= {None, "unsupported"}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("INPUT", "--out", "OUT", "--rules", "nowhere"), "nowhere"),
        (("nowhere.jsonl", "--out", "OUT"), "nowhere.jsonl"),
        (("INPUT", "--out", "INPUT/out"), "INPUT"),
        (("INPUT", "--out", "OUT", "--settings", "nowhere.toml"), "nowhere.toml"),
        (("INPUT", "--out", "OUT", "--now", "yesterday"), "yesterday"),
        (("INPUT", "--out", "OUT", "--project", "-3"), "--project"),
        (("INPUT", "--out", "OUT", "--project", "9" * 20), "--project"),
        (("INPUT",), "--out"),
    ],
)
def test_what_cannot_be_used_is_one_clear_line_and_exit_2(tmp_path: Path, options: tuple[str, ...], named: str) -> None:
    names = {"INPUT": str(write_events(tmp_path / "in.jsonl", 1)), "OUT": str(tmp_path / "out")}
    for name, path in names.items():
        options = tuple(option.replace(name, path) for option in options)
        named = named.replace(name, path)
    run = pipeline("replay", *options)
    assert run.returncode == 2
    assert named in run.stderr
    assert "Traceback" not in run.stderr
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


def test_a_redis_that_no_url_names_is_one_clear_line_and_exit_2(tmp_path: Path) -> None:
    source = write_events(tmp_path / "in.jsonl", 1)
    run = pipeline("replay", source, "--out", tmp_path / "out", environment={"PIPELINE_REDIS_URL": "nonsense://x"})
    assert run.returncode == 2
    assert run.stderr.startswith("settings: redis.url: ")
    assert "Traceback" not in run.stderr


def test_broken_rules_are_listed_with_file_and_line_and_exit_2(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    shutil.copytree(RULES, rules)
    (rules / "default" / "filters.toml").write_text("[releases]\npatterns = 3\n")
    (rules / "default" / "quotas.toml").write_text('[[quota]]\nid = "a"\nscope = "planet"\n')
    run = pipeline("replay", write_events(tmp_path / "in.jsonl", 1), "--out", tmp_path / "out", "--rules", rules)
    assert run.returncode == 2
    assert "rules/default/filters.toml:2" in run.stderr
    assert "rules/default/quotas.toml:3" in run.stderr


EVENTS = b"".join(b'{"message":"%d","event_id":"%032x","timestamp":1795348800}\n' % (number, number) for number in range(3))


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_dash_reads_standard_input(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    arguments = ["replay", "-", "--project", "1", "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments], input=pack(EVENTS), capture_output=True, check=True, cwd=ROOT
    )
    assert done.stdout.endswith(b"out\n")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["records"], summary["events"]) == (3, 3)


@pytest.mark.parametrize(
    ("content", "options", "last"),
    [
        (EVENTS, (), "no event was stored: all 3 records became dead letters; dead_letters.jsonl says why. Events that name no "),
        (b"{\n", ("--project", 1), "no event was stored: the only record became a dead letter; dead_letters.jsonl says why"),
        (b"", (), "no record was read: the input is empty"),
        (EVENTS, ("--project", 1), "written to "),
        (EVENTS + b"{\n", ("--project", 1), "written to "),
    ],
    ids=["no project", "no JSON", "empty", "good", "some good"],
)
def test_a_run_of_nothing_but_dead_letters_says_so_at_its_end(
    content: bytes, options: tuple[object, ...], last: str, tmp_path: Path
) -> None:
    (tmp_path / "in.jsonl").write_bytes(content)
    done = pipeline("replay", tmp_path / "in.jsonl", "--out", tmp_path / "out", "--rules", RULES, *options)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith(last)


def test_an_event_without_a_project_among_others_is_answered_with_the_option(tmp_path: Path) -> None:
    message = '{"type":"event","project_id":7,"event_id":"%s","payload":{"message":"x"}}\n' % ("a" * 32)
    (tmp_path / "in.jsonl").write_bytes(message.encode() + EVENTS)
    done = pipeline("replay", tmp_path / "in.jsonl", "--out", tmp_path / "out", "--rules", RULES)
    assert (tmp_path / "out" / "events.jsonl").read_text().count("\n") == 1
    assert done.stdout.splitlines()[-2] == "events that name no project need --project ID"


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (replay(RECORDED, out=tmp_path / name).raw for name in ("a", "b"))
    for name in ("events.jsonl", "outcomes.jsonl", "dead_letters.jsonl"):
        assert first[name] == second[name]


@pytest.fixture
def servers() -> Iterator[Path]:
    """A folder that is TMPDIR of a run. Its path is short: with a long one, the server's socket would lie elsewhere."""
    folder = short_folder()
    yield folder
    shutil.rmtree(folder)


def until(happens: Callable[[], object], what: str) -> None:
    """Wait for a condition. A busy machine takes its time; what never happens ends here."""
    deadline = time.monotonic() + 120
    while not happens():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)


def is_under_way(out: Path, servers: Path) -> bool:
    written = out / "events.jsonl.partial"
    return bool(list(servers.glob("pipeline-redis-*/redis.sock"))) and written.exists() and written.stat().st_size > 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_an_interrupted_run_leaves_no_server_and_nothing_that_looks_finished(
    tmp_path: Path, servers: Path, number: signal.Signals, code: int
) -> None:
    source = write_events(tmp_path / "in.jsonl", 60_000)
    command = [sys.executable, "-m", "pipeline", "replay", str(source), "--project", "1", "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, env=os.environ | {"TMPDIR": str(servers)}) as run:
        until(lambda: is_under_way(tmp_path / "out", servers), "the run writes")
        os.kill(run.pid, number)
        assert run.wait(120) == code
    until(lambda: not list(servers.iterdir()), "the server and its socket are gone")
    assert not list((tmp_path / "out").glob("*.jsonl"))
    assert not (tmp_path / "out" / "summary.json").exists()


def test_quotas_that_give_back_do_not_show_the_size_of_a_batch(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    shutil.copytree(RULES, rules)
    (rules / "default" / "quotas.toml").write_text(
        '[[quota]]\nid = "g"\nscope = "group"\ncategories = ["error"]\nlimit = 3\nwindow_s = 3600\nreason_code = "one_group"\n'
        '[[quota]]\nid = "p"\nscope = "project"\ncategories = ["error"]\nlimit = 12\nwindow_s = 3600\nreason_code = "project"\n'
    )
    source = tmp_path / "in.jsonl"
    with source.open("w") as file:
        for number in range(1, 101):
            message = "flood" if number % 4 else f"rare {'abcdefghijklmnopqrstuvwxyz'[number % 26]}"
            file.write(f'{{"event_id":"{number:032x}","message":"{message}","platform":"python","timestamp":1795348800}}\n')
    runs = [
        replay(source, out=tmp_path / str(size), options=("--project", 1, "--rules", rules, "--batch-size", size))
        for size in (7, 1000)
    ]
    assert runs[0].raw["events.jsonl"] == runs[1].raw["events.jsonl"]
    assert {outcome["reason"] for outcome in runs[0].outcomes} == {None, "one_group", "project"}


def test_a_file_that_is_read_twice_does_not_show_the_size_of_a_batch(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"message":"a"}\n[]\n{"type":"transaction"}\n{\n{"type":"transaction"}\n')
    runs = [
        replay(source, source, out=tmp_path / str(size), options=("--project", 1, "--batch-size", size)) for size in (1, 3, 1000)
    ]
    for run in runs:
        assert [letter["position"] for letter in run.dead_letters] == [2, 4] * 2
        assert [outcome["position"] for outcome in run.outcomes if outcome["outcome"]] == [3, 5, 1, 3, 5]


def is_server(process: Path, socket: Path) -> bool:
    try:
        words = (process / "cmdline").read_bytes()
    except OSError:
        return False
    return words.startswith(bytes(Path(find_redis_server()))) and bytes(socket) in words


def test_a_redis_that_dies_ends_the_run_in_one_line(tmp_path: Path, servers: Path) -> None:
    source = write_events(tmp_path / "in.jsonl", 60_000)
    command = [sys.executable, "-m", "pipeline", "replay", str(source), "--project", "1", "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(servers)}) as run:
        until(lambda: is_under_way(tmp_path / "out", servers), "the run writes")
        [path] = servers.glob("pipeline-redis-*/redis.sock")
        [server] = [entry for entry in Path("/proc").glob("[0-9]*") if is_server(entry, path)]
        os.kill(int(server.name), signal.SIGKILL)
        _, said = run.communicate(timeout=120)
    assert run.returncode == 2
    assert "redis-server has died" in said
    assert "Traceback" not in said
    assert list(servers.iterdir()) == []
    assert not list((tmp_path / "out").iterdir())
