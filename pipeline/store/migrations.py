"""Brings the tables of a database up to date, by the numbered SQL files in schema/.

Statements may run more than once: an interrupted migration starts again with the file's first statement, and two migrations may
run at the same time. A file is never edited after its release; the database keeps its digest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import orjson

from pipeline.clickhouse.client import Client
from pipeline.clickhouse.errors import RefusedError

_FILE_NAME = re.compile(r"(\d{4})_\w+\.sql")
_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)
_END = re.compile(r";[ \t]*$", re.MULTILINE)

_TABLE = """
CREATE TABLE IF NOT EXISTS migrations (number UInt32, name String, digest String, applied_at DateTime('UTC') DEFAULT now())
ENGINE = ReplacingMergeTree(applied_at) ORDER BY number
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """A file of schema/. Numbers count from 1 without gaps."""

    number: int
    name: str
    sql: str

    @property
    def digest(self) -> str:
        """Hash of the file's text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def statements(self) -> list[str]:
        """Return the statements without comments. In the file, each ends with a semicolon at the end of a line."""
        return [statement.strip() for statement in _END.split(_COMMENT.sub("", self.sql)) if statement.strip()]


def shipped_migrations() -> list[Migration]:
    """Return the files that the package carries, in order."""
    folder = resources.files("pipeline.store") / "schema"
    found = [
        Migration(int(match[1]), file.name, file.read_text())
        for file in folder.iterdir()
        if (match := _FILE_NAME.fullmatch(file.name))
    ]
    return sorted(found, key=lambda migration: migration.number)


def migrate(client: Client, migrations: Sequence[Migration] | None = None) -> list[Migration]:
    """Apply the missing migrations and return them. Raises AwayError, RefusedError."""
    client.command(_TABLE)
    missing = find_missing(client, migrations)
    for migration in missing:
        for statement in migration.statements():
            client.command(statement)
        row = orjson.dumps({"number": migration.number, "name": migration.name, "digest": migration.digest})
        client.insert("migrations", row, f"{migration.number}-{migration.digest}")
    return missing


def find_missing(client: Client, migrations: Sequence[Migration] | None = None) -> list[Migration]:
    """Return the migrations that the database lacks.

    Raises RefusedError if the text of an applied file has changed, or if a newer version of the pipeline has changed the
    database.
    """
    shipped = shipped_migrations() if migrations is None else migrations
    known = {migration.number: migration for migration in shipped}
    applied: dict[int, str] = {}
    if client.query("EXISTS TABLE migrations").rows[0][0]:
        applied = dict(client.query("SELECT number, argMax(digest, applied_at) FROM migrations GROUP BY number").rows)
    for number, digest in applied.items():
        if number not in known:
            raise RefusedError(f"the database was migrated by a newer version of the pipeline, up to number {max(applied)}")
        if known[number].digest != digest:
            raise RefusedError(f"the database was migrated with another text of {known[number].name}")
    return [migration for migration in shipped if migration.number not in applied]
