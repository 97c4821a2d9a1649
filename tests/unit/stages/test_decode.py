from __future__ import annotations

import json
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.events import broken_lines, odd_events, wrap
from support.records import PROJECT_ID, RECEIVED, make_record, project_context

from pipeline.model.category import DataCategory
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.item import Item
from pipeline.model.outcome import Fate, Outcome
from pipeline.model.record import Form, Record
from pipeline.model.scope import Scope
from pipeline.rules.project import Project, ProjectKey
from pipeline.stages.contract import Context
from pipeline.stages.decode import decode_record

EVENT_ID = "9ec79c33ec9942ab8353589fcb2e04dc"
OTHER_ID = "fc6d8c0c43fc4630ad850ee518f1b9d0"
KEY = "e12d836b15bb49d7bbf99e64295d995b"

CONTEXT = project_context({42: Project(organization=5, keys=(ProjectKey(id=11, public_key=KEY),))})


def the_item(record: Record, ctx: Context = CONTEXT) -> Item[Any]:
    [item] = decode_record(record, ctx)
    assert isinstance(item, Item), item
    assert item.record is record
    return item


def the_outcome(record: Record, ctx: Context = CONTEXT) -> Outcome:
    [outcome] = decode_record(record, ctx)
    assert isinstance(outcome, Outcome), outcome
    assert outcome.fate is Fate.INVALID
    assert outcome.record is record
    return outcome


def the_reason(record: Record, ctx: Context = CONTEXT) -> str:
    [letter] = decode_record(record, ctx)
    assert isinstance(letter, DeadLetter), letter
    assert letter.stage == "decode"
    assert letter.record is record
    assert len(letter.detail) < 1_000
    return letter.reason


def message(**fields: Any) -> Any:
    payload = json.dumps({"message": "a"})
    return {"type": "event", "project_id": 42, "event_id": EVENT_ID, "start_time": 1_600_000_000, "payload": payload} | fields


def packed(**fields: Any) -> Record:
    payload = json.dumps({"message": "a"}).encode()
    return make_record(
        msgpack.packb(message(payload=payload, attachments=[], remote_addr="::1") | fields), Form.MSGPACK, project_id=None
    )


def envelope(*items: tuple[str, bytes], header: dict[str, Any] | None = None, project_id: int | None = None) -> Record:
    lines = [json.dumps({"event_id": EVENT_ID, "dsn": f"https://{KEY}@ingest.example/42"} if header is None else header).encode()]
    for kind, payload in items:
        lines += [json.dumps({"type": kind, "length": len(payload)}).encode(), payload]
    return make_record(b"\n".join(lines), Form.ENVELOPE, project_id=project_id)


class TestEvents:
    def test_a_bare_event_belongs_to_the_project_that_the_reader_names(self) -> None:
        item = the_item(make_record(b'{"message": "a", "event_id": "%b", "nobody": {"knows": 1}}' % EVENT_ID.encode()))
        assert item.scope == Scope(1, PROJECT_ID, None)
        assert (item.event_id, item.received, item.category, item.quantity) == (EVENT_ID, RECEIVED, DataCategory.ERROR, 1)
        assert item.event == {"message": "a", "event_id": EVENT_ID, "nobody": {"knows": 1}}
        assert item.client_ip is None

    def test_a_bare_event_without_project_is_dead(self) -> None:
        assert the_reason(make_record(b'{"message": "a"}', project_id=None)) == "project_id"

    def test_an_event_without_id_gets_one_from_its_bytes_and_position(self) -> None:
        first, again, second = (the_item(make_record(b'{"message": "a"}', position=position)) for position in (1, 1, 2))
        assert first.event_id == again.event_id != second.event_id
        assert first.event["event_id"] == first.event_id
        assert "errors" not in first.event

    @pytest.mark.parametrize("sent", ["9EC79C33-EC99-42AB-8353-589FCB2E04DC", EVENT_ID.upper()])
    def test_an_id_is_read_as_uuids_are_written(self, sent: str) -> None:
        item = the_item(make_record(json.dumps({"event_id": sent}).encode()))
        assert item.event_id == item.event["event_id"] == EVENT_ID
        assert "errors" not in item.event

    def test_an_event_may_hold_a_field_called_payload(self) -> None:
        item = the_item(make_record(b'{"message": "a", "payload": {"message": "b"}}'))
        assert item.event["message"] == "a"

    @pytest.mark.parametrize(
        ("event", "category"),
        [
            ({"type": "error"}, DataCategory.ERROR),
            ({"type": "default"}, DataCategory.ERROR),
            ({"type": ["csp"]}, DataCategory.ERROR),
            ({"type": "csp"}, DataCategory.SECURITY),
            ({"csp": {"effective_directive": "img-src"}}, DataCategory.SECURITY),
            ({"type": "hpkp"}, DataCategory.SECURITY),
            ({"type": "expectct"}, DataCategory.SECURITY),
            ({"type": "expectstaple"}, DataCategory.SECURITY),
        ],
    )
    def test_the_category_follows_from_the_event(self, event: Any, category: DataCategory) -> None:
        assert the_item(make_record(json.dumps(event).encode())).category is category

    def test_a_transaction_is_not_ours(self) -> None:
        outcome = the_outcome(make_record(json.dumps({"type": "transaction", "event_id": EVENT_ID}).encode()))
        assert (outcome.reason, outcome.category, outcome.event_id) == ("unsupported", DataCategory.TRANSACTION, EVENT_ID)


class TestMessages:
    @pytest.mark.parametrize("payload", [{"message": "a"}, '{"message": "a"}'], ids=["object", "text"])
    def test_a_message_of_json_says_whose_and_when(self, payload: Any) -> None:
        record = make_record(json.dumps(message(payload=payload, remote_addr="10.1.2.3")).encode(), project_id=None)
        item = the_item(record)
        assert item.scope == Scope(5, 42, None)
        assert (item.received, item.client_ip, item.event_id) == (1_600_000_000.0, "10.1.2.3", EVENT_ID)
        assert item.event == {"message": "a", "event_id": EVENT_ID}

    def test_a_packed_message_says_the_same(self) -> None:
        item = the_item(packed())
        assert item.scope == Scope(5, 42, None)
        assert (item.received, item.client_ip, item.event_id) == (1_600_000_000.0, "::1", EVENT_ID)
        assert item.event == {"message": "a", "event_id": EVENT_ID}

    def test_the_reader_s_project_outranks_the_message_s(self) -> None:
        assert the_item(make_record(json.dumps(message()).encode(), project_id=3)).scope.project_id == 3
        assert the_item(make_record(json.dumps(message(project_id="x")).encode(), project_id=3)).scope.project_id == 3

    def test_the_message_s_id_outranks_the_event_s(self) -> None:
        assert the_item(packed(payload=b'{"event_id": "%b"}' % OTHER_ID.encode())).event_id == EVENT_ID
        assert the_item(packed(event_id=None, payload=b'{"event_id": "%b"}' % OTHER_ID.encode())).event_id == OTHER_ID

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("event_id", "nope"),
            ("event_id", "0" * 32),
            ("event_id", b"\x00" * 16),
            ("start_time", "2023-01-01"),
            ("start_time", -1),
            ("start_time", 2**40),
            ("start_time", True),
            ("remote_addr", "localhost"),
            ("remote_addr", 2130706433),
        ],
    )
    def test_fields_that_cannot_be_used_are_named(self, field: str, value: Any) -> None:
        item = the_item(packed(**{field: value}))
        [error] = item.event["errors"]
        assert (error["type"], error["name"]) == ("invalid_data", field)
        assert item.received == (RECEIVED if field == "start_time" else 1_600_000_000.0)

    @pytest.mark.parametrize("kind", ["attachment", "attachment_chunk", "user_report"])
    def test_other_messages_of_relay_are_not_ours(self, kind: str) -> None:
        assert the_outcome(packed(type=kind)).reason == "unsupported"

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            (b"", "invalid_msgpack"),
            (b"\xc1", "invalid_msgpack"),
            (b"\x93\x01\x02\x03", "invalid_msgpack"),
            (b"\xde\xff\xff", "invalid_msgpack"),
            (b"\x91" * 100_000, "invalid_msgpack"),
            (b"\x81" * 100_000, "invalid_msgpack"),
            (b"\x81\x80\x01", "invalid_msgpack"),
            (b"\x81\xa1\xff\x01", "invalid_msgpack"),
            (b"\xdf\xff\xff\xff\xff", "invalid_msgpack"),
            (b"\x81\xa4type\xd6\xff\x00\x00\x00\x00", "payload"),
        ],
    )
    def test_garbage_is_dead(self, body: bytes, reason: str) -> None:
        assert the_reason(make_record(body, Form.MSGPACK)) == reason

    def test_a_truncated_message_is_dead(self) -> None:
        body = packed().body
        assert {the_reason(make_record(body[:end], Form.MSGPACK)) for end in range(len(body))} == {"invalid_msgpack"}

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ({"payload": b"{"}, "invalid_json"),
            ({"payload": b""}, "invalid_json"),
            ({"payload": b'"\xff"'}, "invalid_json"),
            ({"payload": 5}, "payload"),
            ({"payload": None}, "no_event_payload"),
            ({"type": "banana"}, "payload"),
            ({"type": None}, "payload"),
            ({"project_id": -1}, "project_id"),
            ({"project_id": "42"}, "project_id"),
            ({"project_id": True}, "project_id"),
            ({"project_id": None}, "project_id"),
        ],
    )
    def test_messages_without_a_usable_event_are_dead(self, fields: dict[str, Any], reason: str) -> None:
        assert the_reason(packed(**fields)) == reason


class TestEnvelopes:
    def test_the_event_belongs_to_whom_the_dsn_names(self) -> None:
        item = the_item(envelope(("event", b'{"message": "a"}')))
        assert item.scope == Scope(5, 42, 11)
        assert (item.event_id, item.received) == (EVENT_ID, RECEIVED)

    def test_a_key_that_no_file_lists_has_no_number(self) -> None:
        assert the_item(envelope(("event", b"{}"), header={"dsn": "https://other@ingest.example/42"})).scope == Scope(5, 42, None)

    def test_the_reader_s_project_outranks_the_dsn_s(self) -> None:
        assert the_item(envelope(("event", b"{}"), project_id=3)).scope == Scope(1, 3, None)

    def test_an_envelope_without_project_is_one_dead_letter(self) -> None:
        assert the_reason(envelope(("event", b"{}"), ("session", b"{}"), header={})) == "project_id"

    def test_each_other_item_has_an_outcome_of_its_own(self) -> None:
        items = [
            ("session", b"{}"),
            ("transaction", b"{}"),
            ("attachment", b"12345"),
            ("attachment", b""),
            ("client_report", b"{}"),
            ("new", b""),
        ]
        ends = decode_record(envelope(*items, ("event", b"{}"), ("check_in", b"{}")), CONTEXT)
        assert isinstance(ends.pop(6), Item)
        outcomes = [end for end in ends if isinstance(end, Outcome)]
        assert {(outcome.fate, outcome.reason, outcome.event_id, outcome.scope) for outcome in outcomes} == {
            (Fate.INVALID, "unsupported", EVENT_ID, Scope(5, 42, 11))
        }
        assert [(outcome.category, outcome.quantity) for outcome in outcomes] == [
            (DataCategory.SESSION, 1),
            (DataCategory.TRANSACTION, 1),
            (DataCategory.ATTACHMENT, 5),
            (DataCategory.ATTACHMENT, 1),
            (DataCategory.DEFAULT, 1),
            (DataCategory.DEFAULT, 1),
            (DataCategory.MONITOR, 1),
        ]

    def test_a_second_event_is_refused(self) -> None:
        first, second = decode_record(envelope(("event", b'{"message": "a"}'), ("event", b'{"message": "b"}')), CONTEXT)
        assert isinstance(first, Item)
        assert first.event["message"] == "a"
        assert isinstance(second, Outcome)
        assert (second.reason, second.category) == ("duplicate_item", DataCategory.ERROR)

    def test_a_broken_event_leaves_its_neighbours_alone(self) -> None:
        broken, session = decode_record(envelope(("event", b"{"), ("session", b"{}")), CONTEXT)
        assert isinstance(broken, DeadLetter)
        assert broken.reason == "invalid_json"
        assert isinstance(session, Outcome)

    def test_a_security_item_holds_an_event(self) -> None:
        assert the_item(envelope(("security", b'{"csp": {}}'))).category is DataCategory.SECURITY

    def test_an_empty_envelope_ends_somewhere(self) -> None:
        assert the_outcome(envelope()).reason == "no_event_payload"

    @pytest.mark.parametrize("body", [b"", b"[]\n", b"{}\n{", b'{}\n{"type":"event","length":9}\n{}'])
    def test_an_envelope_that_cannot_be_cut_is_one_dead_letter(self, body: bytes) -> None:
        assert the_reason(make_record(body, Form.ENVELOPE)) == "invalid_envelope"


class TestUnknownProjects:
    REFUSING = project_context({42: Project()}, unknown_projects="reject")

    @pytest.mark.parametrize(
        "record",
        [make_record(b'{"event_id": "%b"}' % EVENT_ID.encode()), packed(project_id=8), envelope(("event", b"{}"), project_id=8)],
        ids=["event", "message", "envelope"],
    )
    def test_they_are_refused_where_the_settings_say_so(self, record: Record) -> None:
        outcome = the_outcome(record, self.REFUSING)
        assert (outcome.reason, outcome.event_id, outcome.scope.organization_id) == ("project_id", EVENT_ID, 1)

    def test_each_item_of_their_envelopes_is(self) -> None:
        ends = decode_record(envelope(("event", b"{}"), ("attachment", b"123"), project_id=8), self.REFUSING)
        assert [(end.reason, end.quantity) for end in ends if isinstance(end, Outcome)] == [("project_id", 1), ("project_id", 3)]

    def test_known_ones_pass(self) -> None:
        assert the_item(packed(), self.REFUSING).scope.project_id == 42


class TestInactiveKeys:
    OTHER_KEY = "a" * 32
    KEYS = (ProjectKey(id=11, public_key=KEY, is_active=False), ProjectKey(id=12, public_key=OTHER_KEY))
    CONTEXT = project_context({42: Project(organization=5, keys=KEYS)})

    @pytest.mark.parametrize(
        "record",
        [
            packed(key_id=11),
            packed(payload=json.dumps({"message": "a", "key_id": "11"}).encode()),
            envelope(("event", b'{"message": "a"}')),
        ],
        ids=["beside", "inside", "envelope"],
    )
    def test_their_events_are_outcomes_of_the_key(self, record: Record) -> None:
        outcome = the_outcome(record, self.CONTEXT)
        assert (outcome.reason, outcome.event_id, outcome.scope) == ("project_id", EVENT_ID, Scope(5, 42, 11))

    def test_each_item_of_their_envelopes_is(self) -> None:
        ends = decode_record(envelope(("event", b"{}"), ("attachment", b"123")), self.CONTEXT)
        assert [(end.reason, end.quantity) for end in ends if isinstance(end, Outcome)] == [("project_id", 1), ("project_id", 3)]

    def test_other_keys_pass(self) -> None:
        header = {"event_id": EVENT_ID, "dsn": f"https://{self.OTHER_KEY}@ingest.example/42"}
        assert the_item(envelope(("event", b"{}"), header=header), self.CONTEXT).scope.key_id == 12
        assert the_item(packed(key_id=12), self.CONTEXT).scope.key_id == 12
        assert the_item(packed(key_id=99), self.CONTEXT).scope.key_id == 99
        assert the_item(packed(), self.CONTEXT).scope.key_id is None


class TestBadInput:
    @pytest.mark.parametrize(("text", "name"), odd_events().values(), ids=odd_events().keys())
    def test_odd_numbers_and_ids_are_repaired_and_everything_can_be_printed(self, text: str, name: str) -> None:
        item = the_item(make_record(wrap(text)))
        json.dumps(item.event, allow_nan=False)
        if name.startswith("extra"):
            assert name in [error["name"] for error in item.event["errors"]]

    @pytest.mark.parametrize(("line", "reason"), broken_lines().values(), ids=broken_lines().keys())
    def test_lines_without_a_usable_event_are_dead(self, line: bytes, reason: str) -> None:
        assert the_reason(make_record(line, project_id=None)) == reason

    def test_a_record_over_the_limit_is_dead(self) -> None:
        ctx = project_context(max_record_bytes=20)
        assert the_item(make_record(b'{"message": "12345"}'), ctx).event["message"] == "12345"
        assert the_reason(make_record(b'{"message": "123456"}'), ctx) == "too_large"

    def test_a_record_that_the_reader_cut_off_is_dead(self) -> None:
        assert the_reason(make_record(b'{"message": "aaa', truncated_from=50_000_000)) == "too_large"

    def test_what_the_reader_could_not_cut_is_dead_for_the_reader_s_reason(self) -> None:
        assert the_reason(make_record(b"\xc1", Form.MSGPACK, damage="invalid_msgpack: byte 0xc1")) == "invalid_msgpack"
        assert the_reason(make_record(b"", damage="invalid_compression: the file ends early")) == "invalid_compression"

    @given(
        st.sampled_from([Form.JSON, Form.MSGPACK, Form.ENVELOPE]),
        st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=3)), max_size=4),
    )
    def test_no_bytes_disappear_or_raise(self, form: Form, damages: list[tuple[int, bytes]]) -> None:
        body = {
            Form.JSON: json.dumps(message()).encode(),
            Form.MSGPACK: packed().body,
            Form.ENVELOPE: envelope(("event", b'{"message": "a"}'), ("session", b"{}"), ("attachment", b"123")).body,
        }[form]
        for at, damage in damages:
            body = body[:at] + damage + body[at + 1 :]
        record = make_record(body, form, project_id=None)
        ends = decode_record(record, CONTEXT)
        assert ends
        assert len([end for end in ends if isinstance(end, Item)]) <= 1
        assert all(end.record is record for end in ends)


@pytest.mark.parametrize(
    ("beside", "inside", "key_id"),
    [
        (None, None, None),
        (11, None, 11),
        (None, "12", 12),
        (None, 12, 12),
        (11, "12", 11),
        (None, "0", None),
        (None, "9" * 20, None),
        (None, "key", None),
        (None, True, None),
    ],
)
def test_the_key_stands_beside_the_payload_or_inside_it(beside: Any, inside: Any, key_id: int | None) -> None:
    payload = json.dumps({"message": "a", "key_id": inside}).encode()
    assert the_item(packed(payload=payload, key_id=beside)).scope.key_id == key_id


def test_a_key_that_is_no_number_is_named() -> None:
    item = the_item(packed(key_id="eleven"))
    assert item.scope.key_id is None
    assert "key_id" in [error["name"] for error in item.event["errors"]]
