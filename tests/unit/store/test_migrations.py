"""Migrations may be repeated and interrupted anywhere."""

from __future__ import annotations

import pytest

from pipeline.clickhouse.client import Client
from pipeline.clickhouse.errors import RefusedError
from pipeline.store.migrations import Migration, find_missing, migrate, shipped_migrations


def drop_all(client: Client) -> None:
    for engine in ("MaterializedView", "%MergeTree"):
        for (name,) in client.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE {engine:String}",
            {"engine": engine},
        ).rows:
            client.command(f"DROP TABLE {name}")


def tables(client: Client) -> list[tuple[str, str]]:
    found = client.query("SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase() ORDER BY name")
    return [(name, sql) for name, sql in found.rows]


def test_files_are_numbered_without_gaps() -> None:
    assert [migration.number for migration in shipped_migrations()] == list(range(1, len(shipped_migrations()) + 1))


def test_every_table_and_target_of_a_view_remembers_tokens(chdb: Client) -> None:
    for name, sql in tables(chdb):
        if "MergeTree" in sql:
            assert "non_replicated_deduplication_window" in sql, name
            assert "fsync_after_insert = 1" in sql, name
            assert name == "migrations" or "min_compressed_bytes_to_fsync_after_merge = 1" in sql, name


def test_a_second_time_changes_nothing(chdb: Client) -> None:
    before = tables(chdb)
    assert migrate(chdb) == []
    assert tables(chdb) == before


def test_a_migration_may_be_interrupted_at_every_statement(chdb: Client) -> None:
    whole = tables(chdb)
    statements = [statement for migration in shipped_migrations() for statement in migration.statements()]
    for number in range(len(statements)):
        drop_all(chdb)
        for statement in statements[:number]:
            chdb.command(statement)
        migrate(chdb)
        assert tables(chdb) == whole


def test_a_file_that_was_changed_after_its_release_is_refused(chdb: Client) -> None:
    first, *rest = shipped_migrations()
    with pytest.raises(RefusedError, match=first.name):
        find_missing(chdb, [Migration(first.number, first.name, first.sql + "\n"), *rest])


def test_a_database_of_a_newer_version_is_refused(chdb: Client) -> None:
    with pytest.raises(RefusedError, match="newer"):
        find_missing(chdb, [])
