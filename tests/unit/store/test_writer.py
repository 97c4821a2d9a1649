"""What the writer does with rows: reopened groups, control messages, rows that cannot be read; all of it repeatable."""

from __future__ import annotations

import time

import orjson
from support.clickhouse import fresh_token
from support.store_process import storage_message

from pipeline.clickhouse.client import Client
from pipeline.model.record import Form, Record, Token
from pipeline.store.rows import Control, EventRow, read_storage_message
from pipeline.store.writer import RowWriter

NOW = time.time()


def row_of(number: int, now: float = NOW) -> EventRow:
    row = read_storage_message(
        Record(storage_message(number, now=now), Form.JSON, "events", (0, number), now, Token("t", 0, number))
    )
    assert isinstance(row, EventRow)
    return row


def control(operation: str, received: float = NOW, **body: object) -> Control:
    return Control(operation, 7, body, received, received)


def resolve(client: Client, group_id: int, at: float) -> None:
    moment = time.strftime("%Y-%m-%d %H:%M:%S.000000", time.gmtime(at))
    row = {"project_id": 7, "group_id": group_id, "status": "resolved", "substatus": "", "changed_at": moment}
    client.insert("group_status", orjson.dumps(row), fresh_token())


def statuses(client: Client) -> list[tuple[int, str, str]]:
    found = client.query("SELECT group_id, toString(status), substatus FROM group_status FINAL ORDER BY group_id")
    return [(group, status, substatus) for group, status, substatus in found.rows]


def test_a_resolved_group_is_open_again_after_a_later_event(chdb: Client) -> None:
    resolve(chdb, 1_001, NOW - 60)
    resolve(chdb, 1_002, NOW + 60)
    RowWriter(chdb).write_events([row_of(1), row_of(2), row_of(3)], fresh_token())
    assert statuses(chdb) == [(1_001, "unresolved", "regressed"), (1_002, "resolved", "")]


def test_an_event_of_a_merged_group_opens_the_group_that_shows_it(chdb: Client) -> None:
    writer = RowWriter(chdb)
    writer.write_controls([control("end_merge", NOW - 90, previous_group_ids=[1_001], new_group_id=1_005)], fresh_token())
    resolve(chdb, 1_005, NOW - 60)
    writer.write_events([row_of(1)], fresh_token())
    assert statuses(chdb) == [(1_005, "unresolved", "regressed")]


def test_rows_that_cannot_be_read_are_left_out_and_named(chdb: Client) -> None:
    rows = [row_of(number) for number in range(9)]
    broken = rows[4]._replace(event=rows[4].event.replace(b'"project_id":7', b'"project_id":-7'))
    token = fresh_token()
    for _ in range(2):
        assert RowWriter(chdb).write_events([*rows[:4], broken, *rows[5:]], token) == [4]
    assert chdb.query("SELECT count(), uniqExact(event_id) FROM events").rows == [(8, 8)]
    assert chdb.query("SELECT sum(count) FROM group_hours").rows == [(8,)]


def overrides(client: Client) -> list[tuple[int, int, int]]:
    found = client.query("SELECT group_id, primary_hash, into_group FROM group_overrides FINAL ORDER BY group_id, primary_hash")
    return [(group, hash_.int, into) for group, hash_, into in found.rows]


def test_merges_follow_further_and_hashes_go_their_own_way(chdb: Client) -> None:
    writer, token = RowWriter(chdb), fresh_token()
    controls = [
        control("end_merge", NOW, previous_group_ids=[1], new_group_id=2),
        control("end_merge", NOW + 1, previous_group_ids=[2], new_group_id=3),
        control("end_unmerge", NOW + 2, previous_group_id=3, hashes=["f" * 32], new_group_id=4),
        control("end_merge", NOW + 3, previous_group_ids=[4], new_group_id=5),
    ]
    for _ in range(2):
        writer.write_controls(controls, token)
    ones = int("f" * 32, 16)
    assert overrides(chdb) == [(1, 0, 3), (1, ones, 5), (2, 0, 3), (2, ones, 5), (3, ones, 5), (4, 0, 5)]


def test_a_merge_that_is_turned_round_ends_in_one_group(chdb: Client) -> None:
    controls = [
        control("end_merge", NOW, previous_group_ids=[1], new_group_id=2),
        control("end_merge", NOW + 1, previous_group_ids=[2], new_group_id=1),
    ]
    RowWriter(chdb).write_controls(controls, fresh_token())
    assert overrides(chdb) == [(1, 0, 1), (2, 0, 1)]


def test_deleted_groups_and_events(chdb: Client) -> None:
    writer = RowWriter(chdb)
    writer.write_controls(
        [
            control("end_delete_groups", NOW, group_ids=[9]),
            control("end_delete_groups", NOW - 50, group_ids=[9]),
            control("tombstone_events", NOW, event_ids=["a" * 32]),
            control("replace_group", NOW, event_ids=["b" * 32], new_group_id=8),
            control("exclude_groups", NOW, group_ids=[3]),
        ],
        fresh_token(),
    )
    [(group, until)] = chdb.query("SELECT group_id, deleted_until FROM group_overrides FINAL").rows
    assert (group, round(until.timestamp() - NOW)) == (9, 0)
    assert [
        (event.hex[0], into)
        for event, into in chdb.query("SELECT event_id, into_group FROM event_overrides FINAL ORDER BY 2").rows
    ] == [("a", 0), ("b", 8)]
