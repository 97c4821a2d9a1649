"""Messages become rows that ClickHouse takes and gives back; everything else is refused with a reason."""

from __future__ import annotations

import copy
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clickhouse import fresh_token

from pipeline.clickhouse.client import Client
from pipeline.model.record import Form, Record, Token
from pipeline.store.columns import NoRowError, Reason, encode_time
from pipeline.store.outcome_rows import read_outcome
from pipeline.store.rows import Control, EventRow, read_storage_message

EVENT: dict[str, Any] = {
    "event_id": "9c1f7d0a52e84b0f8d3a6b5c4e2f1a07",
    "group_id": 2**64 - 1,
    "project_id": 7,
    "primary_hash": "c8b21c571231e989060b9110a2ade7d3",
    "platform": "python",
    "message": "PaymentError: card was refused\nü \x00 shop.payment",
    "datetime": "2026-11-22T12:00:00.250000Z",
    "group_first_seen": "2026-11-20T08:00:00.000000Z",
    "retention_days": 400,
    "data": {
        "type": "error",
        "received": 1_795_348_801.5,
        "title": "PaymentError: card was refused",
        "tags": [["level", "error"], ["a.b", "2026-01-02"], ["sentry:release", "shop@1.3.0"], ["sentry:user", "id:1"], ["n", 5]],
        "contexts": {"trace": {"trace_id": "0e17a2aa2e164d06a816eace3e33a010", "span_id": "deadbeef", "sampled": True}},
        "exception": {
            "values": [
                {
                    "type": "PaymentError",
                    "value": "card was refused",
                    "mechanism": {"type": "excepthook", "handled": False},
                    "stacktrace": {"frames": [{"function": "charge", "filename": "pay.py", "lineno": 12, "in_app": True}]},
                }
            ]
        },
    },
}


def record(body: bytes) -> Record:
    return Record(body, Form.JSON, "events", (3, 41), 1_795_348_803.0, Token("t", 3, 41))


def insert(event: Any) -> Record:
    return record(json.dumps([2, "insert", event, {}]).encode())


def changed(**changes: Any) -> dict[str, Any]:
    event = copy.deepcopy(EVENT)
    data = changes.pop("data", {})
    return {**event, **changes, "data": {**event["data"], **data}}


def rows_of(event: Any) -> EventRow:
    row = read_storage_message(insert(event))
    assert isinstance(row, EventRow)
    return row


def row_of(event: Any) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(rows_of(event).event)
    return found


def refusal(message: Record) -> Reason:
    with pytest.raises(NoRowError) as error:
        read_storage_message(message)
    assert error.value.detail
    return error.value.reason


def test_a_row_is_stored_and_read_back(chdb: Client) -> None:
    row = rows_of(EVENT)
    chdb.insert("events", row.event, fresh_token())
    chdb.insert("event_bodies", row.body, fresh_token())

    [found] = chdb.query("SELECT * FROM events").dicts()
    assert (found["project_id"], found["group_id"], found["retention_days"]) == (7, 2**64 - 1, 400)
    assert found["event_id"].hex == EVENT["event_id"]
    assert found["timestamp"].isoformat() == "2026-11-22T12:00:00.250000+00:00"
    assert (found["level"], found["release"], found["user"], found["environment"]) == ("error", "shop@1.3.0", "id:1", "")
    assert found["message"] == EVENT["message"]
    assert (found["frame_functions"], found["frame_lines"], found["mechanism_handled"]) == (["charge"], [12], [0])
    assert (found["source_partition"], found["source_offset"]) == (3, 41)
    assert chdb.query("SELECT tags.`a%2Eb`, tags.n, JSONAllPathsWithTypes(tags) FROM events").rows[0][:2] == ("2026-01-02", "5")
    assert chdb.query("SELECT DISTINCT arrayJoin(mapValues(JSONAllPathsWithTypes(tags))) FROM events").rows == [("String",)]
    [(body,)] = chdb.query("SELECT body FROM event_bodies").rows
    assert json.loads(body) == EVENT["data"]
    assert chdb.query("SELECT count, finalizeAggregation(users) FROM group_hours").rows == [(1, 1)]
    assert chdb.query("SELECT value, count FROM tag_days WHERE key = 'level'").rows == [("error", 1)]


def test_an_outcome_is_stored_and_counted(chdb: Client) -> None:
    outcome = {
        "timestamp": "2026-11-22T12:00:00.250000Z",
        "org_id": 1,
        "project_id": 7,
        "outcome": 1,
        "reason": "cors",
        "quantity": 9,
    }
    chdb.insert("outcomes", read_outcome(record(orjson.dumps(outcome))), "outcomes/3/41-41")

    [found] = chdb.query("SELECT * FROM outcomes").dicts()
    assert (found["outcome"], found["reason"], found["quantity"], found["category"], found["event_id"].int) == (
        1,
        "cors",
        9,
        1,
        0,
    )
    assert chdb.query("SELECT quantity, count FROM outcome_hours").rows == [(9, 1)]


def test_the_same_token_stores_once_in_the_table_and_in_its_views(chdb: Client) -> None:
    token = fresh_token()
    for _ in range(3):
        chdb.insert("events", rows_of(EVENT).event, token)
    chdb.insert("events", rows_of(changed(event_id="1" * 32)).event, fresh_token())

    assert chdb.query("SELECT count() FROM events").rows == [(2,)]
    assert chdb.query("SELECT sum(count) FROM group_hours").rows == [(2,)]
    assert chdb.query("SELECT sum(count) FROM tag_days WHERE key = 'level'").rows == [(2,)]


@pytest.mark.parametrize("written", ["", "garbage", "9999-12-31T00:00:00Z", "1969-12-31T00:00:00Z", "0001-01-01T00:00:00+23:59"])
def test_the_broker_s_time_stands_in_for_one_that_is_none(written: str) -> None:
    assert row_of(changed(datetime=written))["timestamp"] == encode_time(1_795_348_803.0)


@pytest.mark.parametrize("received", [0, None, -5, 2**32])
def test_the_broker_s_time_stands_in_for_the_arrival(received: float | None) -> None:
    assert rows_of(changed(data={"received": received})).received == 1_795_348_803.0


def test_columns_come_from_tags_alone() -> None:
    row = row_of(changed(data={"tags": [], "level": "fatal", "environment": "prod", "release": "1", "user": {"id": 5}}))
    assert [row[name] for name in ("level", "environment", "release", "dist", "transaction", "user")] == [""] * 6
    assert row["user_id"] == "5"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", Reason.INVALID_JSON),
        (b"[2", Reason.INVALID_JSON),
        (b'[2,"insert",{"event_id":"\xff"},{}]', Reason.INVALID_JSON),
        (b"{}", Reason.INVALID_MESSAGE),
        (b"[]", Reason.UNKNOWN_VERSION),
        (b'["2","insert",{},{}]', Reason.UNKNOWN_VERSION),
        (b'[3,"insert",{},{}]', Reason.UNKNOWN_VERSION),
        (b'[2,"insert",{}]', Reason.UNKNOWN_OPERATION),
        (b'[2,"banana",{},{}]', Reason.UNKNOWN_OPERATION),
        (b'[2,"insert",{},{},{}]', Reason.INVALID_MESSAGE),
        (b'[2,"insert",{},{}]', Reason.INVALID_MESSAGE),
        (b'[2,"end_merge",{}]', Reason.INVALID_MESSAGE),
        (b"[" * 100_000, Reason.INVALID_JSON),
    ],
)
def test_other_messages_are_refused(body: bytes, reason: Reason) -> None:
    assert refusal(record(body)) == reason


def test_a_surrogate_half_is_refused_or_stored_but_never_an_exception_of_another_kind() -> None:
    body = json.dumps([2, "insert", changed(message="a"), {}]).replace('"a"', '"\\ud800"').encode()
    assert refusal(record(body)) == Reason.INVALID_JSON


def test_a_control_message_names_its_project_and_time() -> None:
    body = {"project_id": 5, "previous_group_ids": [1], "new_group_id": 2, "datetime": "2023-03-08T02:35:25.450974Z"}
    control = read_storage_message(record(orjson.dumps([2, "end_merge", body])))
    assert isinstance(control, Control)
    assert (control.operation, control.project_id, control.body["new_group_id"]) == ("end_merge", 5, 2)
    assert control.changed_at == pytest.approx(1678242925.450974)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
FIELDS = [
    "type",
    "title",
    "culprit",
    "logger",
    "location",
    "version",
    "received",
    "tags",
    "contexts",
    "exception",
    "threads",
    "request",
    "sdk",
    "user",
    "modules",
    "errors",
    "symbolicated_in_app",
    "sentry.interfaces.Exception",
]


@given(st.dictionaries(st.sampled_from(FIELDS), values, max_size=4), values, values)
def test_any_message_is_a_row_that_is_taken_or_a_refusal(data: dict[str, Any], message: Any, key: Any) -> None:
    pytest.importorskip("chdb")
    from support.clickhouse import open_chdb

    event = changed(message=message, data=data)
    event["data"]["tags"] = [[key, message], ["k", message]] if data.get("tags") is None else data["tags"]
    message_bytes = json.dumps([2, "insert", event, {}]).encode()
    try:
        row = read_storage_message(record(message_bytes))
    except NoRowError:
        return
    assert isinstance(row, EventRow)
    client = open_chdb()
    client.command("TRUNCATE TABLE events")
    client.insert("events", row.event, fresh_token())
    client.insert("event_bodies", row.body, fresh_token())
    [(tags,)] = client.query("SELECT arrayZip(tag_keys, tag_values) FROM events").rows
    assert [list(pair) for pair in tags] == sorted(list(pair) for pair in tags)
