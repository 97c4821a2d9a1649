"""The client of chdb: what it asks, what it returns, and what its errors are called."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.clickhouse import fresh_token, open_chdb

from pipeline.clickhouse.client import Client, check_version
from pipeline.clickhouse.errors import AwayError, RefusedError, TooExpensiveError, WrongRowError, sort_error
from pipeline.model.errors import SettingsError


def test_parameters_are_values_and_never_sql(chdb: Client) -> None:
    hostile = "'); DROP TABLE events; --\\ \x00 {x:String}"
    assert chdb.query("SELECT {text:String} AS t, {n:UInt64} AS n", {"text": hostile, "n": 2**64 - 1}).dicts() == [
        {"t": hostile, "n": 2**64 - 1}
    ]


def test_calls_at_the_same_time_do_not_wait_for_each_other_s_connection(chdb: Client) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: chdb.query("SELECT {n:UInt8}, sleep(0.05)", {"n": n}).rows[0][0], range(12)))
    assert found == list(range(12))


@pytest.mark.parametrize(
    "row", [b'{"project_id":-1}', b'{"project_id":1x}', b'{"nothing":1}', b'{"event_id":"x"}', b"{", b'{"timestamp":"yesterday"}']
)
def test_a_row_that_cannot_be_read_stops_its_insert(chdb: Client, row: bytes) -> None:
    with pytest.raises(WrongRowError):
        chdb.insert("events", b'{"project_id":1}\n' + row + b"\n", fresh_token())
    assert chdb.query("SELECT count() FROM events").rows == [(0,)]


def test_errors_are_sorted(chdb: Client) -> None:
    with pytest.raises(RefusedError):
        chdb.query("SELECT nothing FROM nowhere")
    with pytest.raises(TooExpensiveError):
        chdb.query("SELECT count() FROM numbers(100000000000)", settings={"max_execution_time": 1})
    with pytest.raises(TooExpensiveError):
        chdb.query("SELECT groupArray(number) FROM numbers(100000000)", settings={"max_memory_usage": 10_000_000})
    assert isinstance(sort_error(243, "full", is_insert=True), AwayError)
    assert isinstance(sort_error(241, "memory", is_insert=True), AwayError)


def test_nobody_at_the_address_is_away() -> None:
    pytest.importorskip("clickhouse_connect")
    with pytest.raises(AwayError):
        Client("http://127.0.0.1:1/pipeline", timeout_s=1)


@pytest.mark.parametrize("url", ["", "chdb://", "chdb://folder", "redis://127.0.0.1", "http:///database", "127.0.0.1:8123"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(SettingsError):
        Client(url)


def test_a_second_process_is_told_that_the_path_is_in_use(chdb: Client) -> None:
    [(path,)] = chdb.query("SELECT path FROM system.disks WHERE name = 'default'").rows
    program = f"from pipeline.clickhouse.client import Client; Client('chdb://{path}')"
    second = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "is used by another process" in second.stderr


def test_an_old_server_is_refused() -> None:
    client = open_chdb()
    check_version(client)
    version, client.version = client.version, "25.8.1.1"
    try:
        with pytest.raises(RefusedError, match=r"25\.8\.1\.1"):
            check_version(client)
    finally:
        client.version = version
