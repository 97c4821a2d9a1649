"""`store check` finds what is missing and what is counted wrongly, and nothing where all is well."""

from __future__ import annotations

import time

import orjson
from support.clickhouse import fresh_token
from support.store_process import outcome_message, storage_message

from pipeline.clickhouse.client import Client
from pipeline.model.record import Form, Record, Token
from pipeline.store.check import compare_tables, compare_topic
from pipeline.store.outcome_rows import read_outcome
from pipeline.store.rows import EventRow, read_storage_message
from pipeline.store.writer import RowWriter

NOW = time.time()


def record(body: bytes) -> Record:
    return Record(body, Form.JSON, "events", (0, 0), time.time(), Token("t", 0, 0))


def store(client: Client, numbers: range) -> None:
    rows = [
        row for number in numbers if isinstance(row := read_storage_message(record(storage_message(number, now=NOW))), EventRow)
    ]
    writer = RowWriter(client)
    assert writer.write_events(rows, fresh_token()) == []
    assert writer.write_outcomes([read_outcome(record(outcome_message(number))) for number in numbers], fresh_token()) == []


def test_all_is_well(chdb: Client) -> None:
    store(chdb, range(100))
    found = list(compare_tables(chdb))
    assert [comparison.is_good for comparison in found] == [True] * 5
    assert [comparison.stored for comparison in found] == [100, 100, 300, 100, sum(1 + number % 3 for number in range(100))]
    topic = compare_topic(chdb, [storage_message(number) for number in range(100)], time.time())
    assert (topic.messages, topic.stored, topic.missing_count) == (100, 100, 0)


def test_what_is_missing_is_named(chdb: Client) -> None:
    store(chdb, range(10))
    chdb.command("TRUNCATE TABLE group_hours")
    chdb.command("TRUNCATE TABLE event_bodies")
    assert [comparison.is_good for comparison in compare_tables(chdb)] == [False, False, True, True, True]
    control = orjson.dumps([2, "start_merge", {"project_id": 7, "previous_group_ids": [1], "new_group_id": 2}])
    expired = storage_message(99, now=time.time() - 40 * 86_400)
    bodies = [*(storage_message(number) for number in range(12)), b"garbage", control, expired]
    topic = compare_topic(chdb, bodies, time.time())
    assert (topic.messages, topic.stored, topic.unusable, topic.expired, topic.missing_count) == (14, 10, 1, 1, 2)
    assert topic.missing == (f"7/{'0' * 8}-0000-0000-0000-{10:012x}", f"7/{'0' * 8}-0000-0000-0000-{11:012x}")


def test_a_roll_up_that_counts_more_is_explained_and_one_that_counts_less_is_not(chdb: Client) -> None:
    store(chdb, range(10))
    store(chdb, range(10))
    chdb.command("OPTIMIZE TABLE events FINAL")
    chdb.command("OPTIMIZE TABLE event_bodies FINAL")
    _, groups, *_ = compare_tables(chdb)
    assert groups.is_good
    assert (groups.stored, groups.compared) == (10, 20)
