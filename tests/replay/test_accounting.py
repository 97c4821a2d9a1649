"""Nothing disappears: of 2,000 events and 200 broken lines each is found in one place, whatever the size of a batch."""

from __future__ import annotations

import base64
import json
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.command import ARTIFACTS, RECORDED, RULES, Replayed, replay
from support.events import broken_lines, messages
from support.snuba import check_outcome, check_published_event

EVENTS = 2_000
BROKEN = 200

RULES_THAT_REFUSE = {
    "filters.toml": '[releases]\npatterns = ["shop@1.3.*"]\n[client_ips]\nblocked = ["10.1.16.0/20"]\n',
    "quotas.toml": """
[[quota]]
id = "half"
scope = "project"
scope_id = "42"
categories = ["default", "error", "security"]
limit = 300
window_s = 86400
reason_code = "project_quota"
""",
}


class Source(NamedTuple):
    """The input: `events` says on which line an event id is, `broken` what a line holds and why it dies."""

    file: Path
    rules: Path
    events: dict[str, int]
    broken: dict[int, tuple[bytes, str]]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("accounting")
    shutil.copytree(RULES, folder / "rules")
    for name, text in RULES_THAT_REFUSE.items():
        (folder / "rules/default" / name).write_text(text)
    kinds = list(broken_lines().values())
    lines: list[tuple[bytes, str | None]] = [(line, None) for line in messages(EVENTS)]
    lines += [kinds[number % len(kinds)] for number in range(BROKEN)]
    lines += [(b"  ", "blank")] * 20
    random.Random(1).shuffle(lines)
    events, broken = {}, {}
    for number, (line, reason) in enumerate(lines, 1):
        if reason is None:
            events[json.loads(line)["event_id"]] = number
        elif reason != "blank":
            broken[number] = (line, reason)
    file = folder / "mixed.jsonl"
    file.write_bytes(b"\n".join(line for line, _ in lines) + b"\n")
    assert (len(events), len(broken)) == (EVENTS, BROKEN)
    return Source(file, folder / "rules", events, broken)


def replay_in_batches(source: Source, out: Path, size: int, hash_seed: str) -> Replayed:
    settings = source.file.with_name(f"batches-of-{size}.toml")
    settings.write_text(f"[batch]\nmax_records = {size}\n")
    options = ("--rules", source.rules, "--settings", settings)
    return replay(source.file, out=out, options=options, environment={"PYTHONHASHSEED": hash_seed})


@pytest.fixture(scope="module")
def replayed(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    return replay_in_batches(source, tmp_path_factory.mktemp("replayed"), 500, "1")


def refused(replayed: Replayed) -> list[dict[str, Any]]:
    return [outcome for outcome in replayed.outcomes if outcome["outcome"] != 0]


def test_each_event_is_stored_or_has_one_outcome(source: Source, replayed: Replayed) -> None:
    found = [event["event_id"] for _, _, event, _ in replayed.events] + [outcome["event_id"] for outcome in refused(replayed)]
    rejected = {outcome["event_id"]: outcome["position"] for outcome in refused(replayed)}
    assert sorted(found) == sorted(source.events)
    assert rejected.items() <= source.events.items()
    assert {outcome["reason"] for outcome in refused(replayed)} == {"release-version", "ip-address", "project_quota"}


def test_stored_events_keep_the_order_of_the_input(source: Source, replayed: Replayed) -> None:
    lines = [source.events[event["event_id"]] for _, _, event, _ in replayed.events]
    assert lines == sorted(lines)
    assert len(lines) > EVENTS // 2


def test_each_broken_line_is_one_dead_letter_with_its_bytes(source: Source, replayed: Replayed) -> None:
    found = {letter["position"]: (base64.b64decode(letter["bytes"]), letter["reason"]) for letter in replayed.dead_letters}
    assert len(replayed.dead_letters) == BROKEN
    assert found == source.broken
    assert {letter["source"] for letter in replayed.dead_letters} == {str(source.file)}


def test_the_summary_adds_up(replayed: Replayed) -> None:
    summary = replayed.summary
    outcomes = Counter({fate: sum(reasons.values()) for fate, reasons in summary["outcomes"].items()})
    assert summary["records"] == EVENTS + BROKEN == sum(outcomes.values()) + summary["dead_letters"]
    assert summary["events"] == outcomes["accepted"] == len(replayed.events)
    assert summary["dead_letters"] == BROKEN


def test_everything_produced_is_read_by_snuba(replayed: Replayed) -> None:
    assert refusals(replayed) == Counter()


def test_what_becomes_of_recorded_events_is_read_by_snuba(tmp_path: Path) -> None:
    recorded = replay(RECORDED, out=tmp_path / "out", options=("--artifacts", ARTIFACTS))
    assert len(recorded.events) >= 30
    assert refusals(recorded) == Counter()


def refusals(replayed: Replayed) -> Counter[str]:
    wrong = Counter(reason for line in replayed.raw["events.jsonl"].splitlines() for reason in check_published_event(line))
    wrong.update(reason for outcome in replayed.outcomes for reason in check_outcome(outcome))
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize(("size", "hash_seed"), [(1, "1"), (7, "2"), (500, "3")])
def test_batch_size_and_hash_seed_do_not_show(
    source: Source, replayed: Replayed, size: int, hash_seed: str, tmp_path: Path
) -> None:
    other = replay_in_batches(source, tmp_path / "out", size, hash_seed)
    for name in ("events.jsonl", "dead_letters.jsonl"):
        assert other.raw[name] == replayed.raw[name], name
    assert split_outcomes(other) == split_outcomes(replayed)


def split_outcomes(replayed: Replayed) -> tuple[list[bytes], Counter[tuple[Any, ...]]]:
    """Return the lines of what was refused, and the sum of what was accepted."""
    lines = [line for line in replayed.raw["outcomes.jsonl"].splitlines() if json.loads(line)["outcome"] != 0]
    accepted: Counter[tuple[Any, ...]] = Counter()
    for outcome in replayed.outcomes:
        if outcome["outcome"] == 0:
            accepted[outcome["org_id"], outcome["project_id"], outcome["key_id"], outcome["category"]] += outcome["quantity"]
    return lines, accepted
