from __future__ import annotations

import base64
import gzip
import json
import zlib
from pathlib import Path

import msgpack
import pytest

from pipeline.gateway.shipping import Shipped, ship
from pipeline.gateway.spooled import Arrival, Count, Refusals, encode_head
from pipeline.model.category import DataCategory
from pipeline.model.outcome import Fate
from pipeline.rules.folder import load_rules
from pipeline.rules.snapshot import Rules
from pipeline.spool.files import DiskFiles
from pipeline.spool.segment import SpoolPosition
from pipeline.spool.spool import Spool

KEY = "a" * 32
ID = "9ec79c33ec9942ab8353589fcb2e04dc"


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Rules:
    folder: Path = tmp_path_factory.mktemp("rules")
    (folder / "default").mkdir()
    (folder / "default" / "grouping.toml").write_text('enhancement_base = "none"\nbuiltin_fingerprints = false\n')
    (folder / "projects" / "42").mkdir(parents=True)
    (folder / "projects" / "42" / "project.toml").write_text(f'organization = 9\n[[keys]]\nid = 5\npublic_key = "{KEY}"\n')
    return load_rules(folder)


def shipped(tmp_path: Path, rules: Rules, head: Arrival | Refusals, body: bytes = b"") -> Shipped:
    """Send a record through a real spool: a large body comes back in pieces."""
    spool = Spool(DiskFiles(tmp_path), segment_bytes=1_000_000)
    staged = spool.stage()
    staged.write(body)
    staged.finish()
    spool.append(encode_head(head), body if len(body) < 1_000_000 else staged).result(10)
    batch = spool.reader(SpoolPosition(0, 0)).read(10, 1_000_000)
    spool.close()
    assert batch is not None
    [entry] = batch.records
    return ship(entry, rules)


def arrival(endpoint: str = "envelope", event_id: str | None = ID, *encodings: str) -> Arrival:
    return Arrival(endpoint, 42, KEY, 1_700_000_000.5, event_id, encodings, "203.0.113.7", int(DataCategory.MONITOR))


def envelope(*items: tuple[str, bytes], **header: object) -> bytes:
    lines = [json.dumps(header).encode()]
    for kind, payload in items:
        lines += [json.dumps({"type": kind, "length": len(payload)}).encode(), payload]
    return b"\n".join(lines)


def told(found: Shipped) -> list[tuple[str, str | None, str, int, str | None]]:
    return [(one.fate.label, one.reason, one.category.label, one.quantity, one.event_id) for one in found.outcomes]


def test_an_event_becomes_a_message_with_its_payload_as_sent(tmp_path: Path, rules: Rules) -> None:
    payload = b'{ "message":"hi", "odd": 1.0 }'
    found = shipped(tmp_path, rules, arrival("envelope", ID, "gzip"), gzip.compress(envelope(("event", payload))))
    [message] = found.messages
    assert message.event_id == ID
    assert msgpack.unpackb(message.value) == {
        "type": "event",
        "payload": payload,
        "start_time": 1_700_000_000,
        "event_id": ID,
        "project_id": 42,
        "remote_addr": "203.0.113.7",
        "attachments": [],
        "key_id": 5,
    }
    assert found.outcomes == []


def test_all_other_items_have_an_outcome(tmp_path: Path, rules: Rules) -> None:
    found = shipped(tmp_path, rules, arrival(), envelope(("attachment", b"x" * 1_500_000), ("transaction", b"{}"), ("new", b"")))
    assert found.messages == []
    assert told(found) == [
        ("invalid", "unsupported", "attachment", 1_500_000, ID),
        ("invalid", "unsupported", "transaction", 1, ID),
        ("invalid", "unsupported", "default", 1, ID),
    ]
    assert {one.scope for one in found.outcomes} == {(9, 42, 5)}


def test_an_empty_envelope_has_one_too(tmp_path: Path, rules: Rules) -> None:
    assert told(shipped(tmp_path, rules, arrival(event_id=None), b"{}")) == [("invalid", "no_event_payload", "error", 1, None)]


def test_a_client_report_tells_what_the_sdk_dropped(tmp_path: Path, rules: Rules) -> None:
    report = {
        "discarded_events": [
            {"reason": "queue_overflow", "category": "error", "quantity": 2},
            {"reason": "x", "category": "not_a_category", "quantity": 2},
            {"reason": "x", "category": "error", "quantity": -1},
            "junk",
        ],
        "rate_limited_events": [{"reason": "", "category": "session", "quantity": 7}],
        "filtered_events": "junk",
    }
    body = envelope(("client_report", json.dumps(report).encode()), ("client_report", b"not json"))
    assert told(shipped(tmp_path, rules, arrival(), body)) == [
        ("client_discard", "queue_overflow", "error", 2, None),
        ("rate_limited", "", "session", 7, None),
    ]


@pytest.mark.parametrize("pack", [bytes, base64.b64encode, lambda text: base64.b64encode(zlib.compress(text))])
def test_the_legacy_forms_are_unpacked(tmp_path: Path, rules: Rules, pack: object) -> None:
    assert callable(pack)
    found = shipped(tmp_path, rules, arrival("store"), pack(b'{"message":"hi"}'))
    assert msgpack.unpackb(found.messages[0].value)["payload"] == b'{"message":"hi"}'


def test_what_is_answered_and_not_processed_has_one_outcome(tmp_path: Path, rules: Rules) -> None:
    assert told(shipped(tmp_path, rules, arrival("cron"), b"anything")) == [("invalid", "unsupported", "monitor", 1, ID)]


def test_refusals_become_outcomes(tmp_path: Path, rules: Rules) -> None:
    count = Count(42, KEY, Fate.RATE_LIMITED, "my_limit", DataCategory.ERROR, 12)
    found = shipped(tmp_path, rules, Refusals(1.0, (count,)))
    assert told(found) == [("rate_limited", "my_limit", "error", 12, None)]


def test_each_report_of_a_browser_becomes_an_event_with_an_id_of_its_own(tmp_path: Path, rules: Rules) -> None:
    body = b'[{"type":"csp-violation","body":{"effectiveDirective":"img-src"}},{"type":"csp-violation","body":{}}]'
    found = shipped(tmp_path, rules, arrival("security"), body)
    assert found.messages[0].event_id == ID
    assert len({message.event_id for message in found.messages}) == 2
    message = msgpack.unpackb(found.messages[1].value)
    assert message["event_id"] == found.messages[1].event_id
    assert json.loads(message["payload"])["logger"] == "csp"
