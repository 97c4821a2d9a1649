"""Input that means harm, through the whole command: it ends where it should, and its neighbours come out untouched."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
from support.command import Replayed, replay
from support.events import START_TIME, broken_lines, messages, odd_events, wrap
from support.snuba import check_outcome, check_published_event

KEY = "e12d836b15bb49d7bbf99e64295d995b"
GOOD = list(messages(12, seed=3))


def packed(line: bytes, **fields: Any) -> bytes:
    message = json.loads(line)
    payload = message["payload"]
    text = payload if isinstance(payload, str) else json.dumps(payload)
    body: bytes = msgpack.packb(message | {"payload": text.encode(), "attachments": []} | fields)
    return body


def enveloped(line: bytes, *extra: bytes) -> bytes:
    message = json.loads(line)
    payload = message["payload"]
    text = (payload if isinstance(payload, str) else json.dumps(payload)).encode()
    header = {"event_id": message["event_id"], "dsn": f"https://{KEY}@ingest.example/{message['project_id']}"}
    return b"\n".join([json.dumps(header).encode(), b'{"type":"event","length":%d}' % len(text), text, *extra, b""])


def interleaved(bad: list[bytes]) -> Iterator[bytes]:
    """Return bad input with a good line before, between and after."""
    for number, line in enumerate(bad):
        yield GOOD[number % 4]
        yield line
    yield GOOD[4]


def events_by_id(replayed: Replayed) -> dict[str, bytes]:
    lines = replayed.raw["events.jsonl"].splitlines()
    return {event[2]["event_id"]: line for event, line in zip(replayed.events, lines, strict=True)}


def reasons(replayed: Replayed, file: Path) -> list[str]:
    return [letter["reason"] for letter in replayed.dead_letters if letter["source"] == str(file)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return what becomes of the good lines with nothing between them."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "good.jsonl").write_bytes(b"\n".join(GOOD))
    return events_by_id(replay(folder / "good.jsonl", out=folder / "out"))


def test_broken_lines_die_alone(tmp_path: Path, alone: dict[str, bytes]) -> None:
    lines = [*interleaved([line for line, _ in broken_lines().values()])]
    file = tmp_path / "broken.jsonl"
    file.write_bytes(b"\n".join(lines))
    replayed = replay(file, out=tmp_path / "out")
    assert reasons(replayed, file) == [reason for _, reason in broken_lines().values()]
    assert events_by_id(replayed).items() <= alone.items()
    assert len(replayed.events) == 5
    assert {outcome["reason"] for outcome in replayed.outcomes} == {None, "duplicate"}


def test_odd_events_are_repaired_named_and_stored(tmp_path: Path) -> None:
    file = tmp_path / "odd.jsonl"
    file.write_bytes(b"\n".join(wrap(text) for text, _ in odd_events().values()))
    replayed = replay(file, out=tmp_path / "out")
    assert replayed.dead_letters == []
    assert len(replayed.events) == len(odd_events())
    for (name, (_, path)), line in zip(odd_events().items(), replayed.raw["events.jsonl"].splitlines(), strict=True):
        assert check_published_event(line) == [], name
        assert path in {error["name"] for error in json.loads(line)[2]["data"]["errors"]}, name


def test_events_without_id_get_the_same_one_each_time_and_one_each(tmp_path: Path) -> None:
    file = tmp_path / "same.jsonl"
    file.write_bytes(b'{"message": "a"}\n' * 3)
    first, second = (replay(file, out=tmp_path / name, options=("--project", 1)) for name in ("a", "b"))
    assert first.raw["events.jsonl"] == second.raw["events.jsonl"]
    assert len(events_by_id(first)) == 3


def test_a_line_of_50_megabytes_is_one_dead_letter_that_keeps_its_beginning(tmp_path: Path, alone: dict[str, bytes]) -> None:
    huge = b'{"message": "' + b"x" * 50_000_000 + b'"}'
    file = tmp_path / "huge.jsonl"
    file.write_bytes(b"\n".join([GOOD[0], huge, GOOD[1]]))
    replayed = replay(file, out=tmp_path / "out")
    assert events_by_id(replayed).items() <= alone.items()
    assert len(replayed.events) == 2
    [letter] = replayed.dead_letters
    assert (letter["reason"], letter["position"], letter["size"]) == ("too_large", 2, len(huge))
    assert huge.startswith(base64.b64decode(letter["bytes"]))


def test_messages_of_msgpack_die_alone_and_garbage_ends_the_file(tmp_path: Path, alone: dict[str, bytes]) -> None:
    bad = {
        "payload": packed(GOOD[5], type="banana"),
        "project_id": packed(GOOD[5], project_id="7"),
        "invalid_json": packed(GOOD[5], payload=b'{"message": '),
        "no_event_payload": packed(GOOD[5], payload=None),
    }
    messages_file, cut_file, garbage_file = (tmp_path / f"{name}.msgpack" for name in ("a-messages", "b-cut", "c-garbage"))
    messages_file.write_bytes(b"".join([packed(GOOD[0]), *bad.values(), packed(GOOD[1])]))
    cut_file.write_bytes(packed(GOOD[2]) + packed(GOOD[5])[:-9])
    rest = b"\xc1\xff" + packed(GOOD[5]) * 2
    garbage_file.write_bytes(packed(GOOD[3]) + rest)
    replayed = replay(tmp_path, out=tmp_path.with_name("out-msgpack"))
    assert reasons(replayed, messages_file) == list(bad)
    assert reasons(replayed, cut_file) == ["invalid_msgpack"]
    assert reasons(replayed, garbage_file) == ["invalid_msgpack"]
    assert base64.b64decode(replayed.dead_letters[-1]["bytes"]) == rest
    assert events_by_id(replayed) == {json.loads(line)["event_id"]: alone[json.loads(line)["event_id"]] for line in GOOD[:4]}


def test_envelopes_die_whole_or_item_by_item(tmp_path: Path) -> None:
    files = {
        "good": (enveloped(GOOD[0], b'{"type":"session"}', b"{}", b'{"type":"attachment","length":3}', b"\n\xff\n"), None),
        "cut": (enveloped(GOOD[1])[:-20], "invalid_envelope"),
        "empty": (b"", "invalid_envelope"),
        "no project": (b'{}\n{"type":"event"}\n{}\n', "project_id"),
        "a list": (b"[]\n", "invalid_envelope"),
        "broken event": (
            b'{"dsn":"https://%b@ingest.example/1"}\n{"type":"event"}\n{"a":\n{"type":"session"}\n{}' % KEY.encode(),
            "invalid_json",
        ),
    }
    for name, (body, _) in files.items():
        (tmp_path / f"{name}.envelope").write_bytes(body)
    replayed = replay(tmp_path, out=tmp_path.with_name("out-envelopes"))
    for name, (_, reason) in files.items():
        assert reasons(replayed, tmp_path / f"{name}.envelope") == ([reason] if reason else []), name
    assert [event[2]["event_id"] for event in replayed.events] == [json.loads(GOOD[0])["event_id"]]
    refused = [
        (Path(outcome["source"]).stem, outcome["category"], outcome["quantity"])
        for outcome in replayed.outcomes
        if outcome["reason"]
    ]
    assert sorted(refused) == [("broken event", 5, 1), ("good", 4, 3), ("good", 5, 1)]
    assert [check_outcome(outcome) for outcome in replayed.outcomes] == [[]] * len(replayed.outcomes)


def test_a_truncated_archive_gives_what_it_holds_and_one_dead_letter(tmp_path: Path, alone: dict[str, bytes]) -> None:
    whole = gzip.compress(b"\n".join(line + b" " * 1_000 for line in GOOD))
    file = tmp_path / "cut.jsonl.gz"
    file.write_bytes(whole[: len(whole) * 3 // 4])
    replayed = replay(file, out=tmp_path / "out")
    assert reasons(replayed, file)[-1:] == ["invalid_compression"]
    assert 0 < len(replayed.events) < len(GOOD)
    assert events_by_id(replayed).items() <= alone.items()


def test_arrivals_that_no_clock_shows_are_repaired(tmp_path: Path) -> None:
    file = tmp_path / "times.jsonl"
    times: list[Any] = [-1, 1e300, "soon", None, START_TIME]
    file.write_bytes(b"\n".join(wrap('{"message": "a"}', start_time=time) for time in times))
    replayed = replay(file, out=tmp_path / "out")
    assert [check_published_event(line) for line in replayed.raw["events.jsonl"].splitlines()] == [[]] * len(times)
    assert [event[2]["data"]["received"] == START_TIME for event in replayed.events] == [False] * 4 + [True]
