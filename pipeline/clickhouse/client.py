"""One client for a ClickHouse server and for chdb: queries with typed parameters, inserts with a token, and errors sorted.

chdb is one process for a path, and it must not be used after a fork. The first client of a process opens the path; all clients of
the process share the engine. Its libraries are imported only when they are used, so the rest of the pipeline works without them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import unquote, urlsplit

from pipeline.clickhouse.chdb_lock import PathInUseError, own_folder
from pipeline.clickhouse.errors import AwayError, RefusedError, sort_error
from pipeline.model.errors import SettingsError

LEAST_VERSION = (26, 3)
"""The first long-term release with text indexes, which the search of messages uses."""

INSERT_SETTINGS: dict[str, str | int] = {
    "async_insert": 0,  # the answer to an insert would come before it is durable, and its token would be ignored
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "max_partitions_per_insert_block": 0,  # the clocks of senders decide how many weeks a batch covers
    "input_format_parallel_parsing": 0,  # a row that cannot be read must stop the insert before anything is stored
    "input_format_skip_unknown_fields": 0,
    "json_type_escape_dots_in_keys": 1,
    "type_json_skip_duplicated_paths": 1,
    "input_format_try_infer_dates": 0,  # a tag's value is always text
    "input_format_try_infer_datetimes": 0,
    "input_format_try_infer_integers": 0,
}
CHDB_CACHES = {
    "mark_cache_size": 64_000_000,
    "primary_index_cache_size": 32_000_000,
    "index_mark_cache_size": 16_000_000,
    "text_index_header_cache_size": 16_000_000,
    "text_index_postings_cache_size": 32_000_000,
    "query_condition_cache_size": 16_000_000,
}
"""Bounds of the embedded engine's caches in bytes. Its own are those of a large server, 13 GB together."""
_CHDB_BUSY = "EmbeddedServer"
_CODE = re.compile(r"Code: (\d+)")
_DETAIL_CHARS = 600


@dataclass(frozen=True, slots=True)
class Rows:
    """The answer to a query: names of the columns, and a tuple for each row."""

    names: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]

    def dicts(self) -> list[dict[str, Any]]:
        """Return each row with the names of its columns."""
        return [dict(zip(self.names, row, strict=True)) for row in self.rows]


class Client:
    """Calls ClickHouse. Thread-safe: calls at the same time use connections of their own, which are kept.

    `url` is `chdb:///absolute/path` or `http[s]://user:password@host:port/database`. `settings` hold for every call.
    `memory_bytes` is the most that chdb takes for everything it does; a server has limits of its own.
    Raises SettingsError for another URL, PathInUseError if another process has the chdb path, AwayError if nobody answers.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 30.0,
        memory_bytes: int | None = None,
        settings: Mapping[str, str | int] | None = None,
    ) -> None:
        self._arguments = _connection_arguments(url, timeout_s, memory_bytes)
        self._settings = dict(settings or {})
        self.is_embedded = urlsplit(url).scheme == "chdb"
        self._idle: SimpleQueue[Any] = SimpleQueue()
        if self.is_embedded:
            own_folder(self._arguments["path"])
        connection = self._connect()
        self.version: str = connection.server_version
        """Version of the engine, such as `26.9.2.1`."""
        self._idle.put(connection)

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, settings: Mapping[str, str | int] | None = None
    ) -> Rows:
        """Return the rows of a SELECT. `sql` names its parameters with their types, such as `{project:UInt64}`.

        Raises AwayError, TooExpensiveError, RefusedError.
        """
        with self._connection() as connection:
            found = connection.query(sql, parameters=dict(parameters or {}), settings=dict(settings or {}))
            return Rows(tuple(found.column_names), found.result_rows)

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement that returns nothing. Raises AwayError, RefusedError."""
        with self._connection() as connection:
            connection.command(sql, parameters=dict(parameters or {}))

    def insert(self, table: str, rows: bytes, token: str, settings: Mapping[str, str | int] | None = None) -> None:
        """Insert rows, a JSON object a line, and return once they are synced to disk.

        An insert whose token was used before for this table stores nothing, also if its rows are others. So a token may only ever
        name the same rows. Raises AwayError if it is not known whether the rows were stored, WrongRowError if none was stored.
        """
        if not rows:
            return
        own = INSERT_SETTINGS | {"insert_deduplication_token": token} | dict(settings or {})
        with self._connection(is_insert=True) as connection:
            connection.raw_insert(table, insert_block=rows, fmt="JSONEachRow", settings=own)

    def ping(self) -> None:
        """Raise AwayError if ClickHouse does not answer."""
        with self._connection() as connection:
            connection.command("SELECT 1")

    def close(self) -> None:
        """Close all connections. No call may be under way."""
        while True:
            try:
                self._idle.get_nowait().close()
            except Empty:
                return

    @contextmanager
    def _connection(self, *, is_insert: bool = False) -> Iterator[Any]:
        """Lend a connection to one call and sort the errors of the call."""
        from clickhouse_connect.driver.exceptions import Error, OperationalError  # noqa: PLC0415 -- an extra of the package

        try:
            connection = self._idle.get_nowait()
        except Empty:
            connection = self._connect()
        try:
            yield connection
        except OperationalError as error:
            if code := _code(error):
                raise sort_error(code, _detail(error), is_insert=is_insert) from None
            raise AwayError(_detail(error)) from None
        except Error as error:
            raise sort_error(_code(error), _detail(error), is_insert=is_insert) from None
        except OSError as error:  # the rows of an insert pass through a file of TMPDIR on their way to chdb
            raise AwayError(_detail(error)) from None
        finally:
            self._idle.put(connection)

    def _connect(self) -> Any:
        try:
            import clickhouse_connect  # noqa: PLC0415 -- an extra of the package
            from clickhouse_connect.driver.exceptions import Error  # noqa: PLC0415 -- likewise
        except ImportError:
            raise SettingsError(f"{NEEDS_EXTRA} (clickhouse-connect is missing)") from None
        try:
            return clickhouse_connect.get_client(**self._arguments, settings=self._settings, tz_mode="aware")
        except ImportError:
            raise SettingsError(f"{NEEDS_EXTRA} (chdb is missing)") from None
        except Error as error:
            if "path" in self._arguments and _CHDB_BUSY in str(error):
                raise PathInUseError(f"{self._arguments['path']} is used by another process") from None
            code = _code(error)
            raise (sort_error(code, _detail(error), is_insert=False) if code else AwayError(_detail(error))) from None


NEEDS_EXTRA = "clickhouse needs the extra `store` of this package: pip install 'event-pipeline[store]'"


def check_version(client: Client) -> None:
    """Raise RefusedError if the server is older than LEAST_VERSION."""
    found = tuple(int(part) for part in client.version.split(".")[:2])
    if found < LEAST_VERSION:
        least = ".".join(map(str, LEAST_VERSION))
        raise RefusedError(f"the server has version {client.version}, and the tables need {least} or later")


def _connection_arguments(url: str, timeout_s: float, memory_bytes: int | None) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme == "chdb":
        if parts.netloc or not parts.path.strip("/"):
            raise SettingsError(f"clickhouse.url: {url!r} names no folder; it must look like chdb:///var/lib/pipeline/chdb")
        caches = {name: str(size) for name, size in CHDB_CACHES.items()}
        memory = {} if memory_bytes is None else {"max_server_memory_usage": str(memory_bytes)}
        return {"interface": "chdb", "path": parts.path, "chdb_options": caches | memory}
    if parts.scheme in {"http", "https"} and parts.hostname:
        arguments: dict[str, Any] = {
            "interface": parts.scheme,
            "host": parts.hostname,
            "port": parts.port or (8443 if parts.scheme == "https" else 8123),
            "connect_timeout": min(10.0, timeout_s),
            "send_receive_timeout": timeout_s,
            "autogenerate_session_id": False,
            "query_retries": 0,
        }
        named = {"username": parts.username, "password": parts.password, "database": parts.path.strip("/")}
        return arguments | {name: unquote(value) for name, value in named.items() if value}
    raise SettingsError("clickhouse.url must be chdb:///path or http[s]://user:password@host:port/database")


def _code(error: Exception) -> int:
    """Return ClickHouse's number of an error, or 0 if it came from elsewhere.

    The first number in the text counts: a sender's text may stand behind it.
    """
    if code := getattr(error, "code", None):
        return int(code)
    found = _CODE.search(str(error))
    return int(found[1]) if found else 0


def _detail(error: Exception) -> str:
    return " ".join(str(error).split())[:_DETAIL_CHARS]
