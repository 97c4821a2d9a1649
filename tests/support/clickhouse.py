"""One chdb for all tests of a process: an engine has one folder for as long as its process lives."""

from __future__ import annotations

import functools
import secrets
import tempfile

import pytest

from pipeline.clickhouse.client import Client
from pipeline.store.migrations import migrate


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="pipeline-chdb-")


@functools.cache
def open_chdb() -> Client:
    """Return a client with all tables. The first call opens the engine."""
    client = Client(f"chdb://{_folder().name}/chdb")
    migrate(client)
    return client


def fresh_token() -> str:
    """Return a token that no insert has had. Emptying a table does not make it forget its tokens."""
    return secrets.token_hex(8)


@pytest.fixture
def chdb() -> Client:
    """Return a client of empty tables."""
    pytest.importorskip("chdb")
    client = open_chdb()
    for (table,) in client.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND name != 'migrations'"
    ).rows:
        client.command(f"TRUNCATE TABLE {table}")
    return client
