"""Writes the rows of one stretch of an input to ClickHouse, under a token that names the stretch.

Each call may be repeated with the same arguments, after any interruption, and stores its rows once. The token of a stretch must
never be used for other rows, because ClickHouse would silently drop them.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import orjson

from pipeline.clickhouse.client import Client
from pipeline.clickhouse.errors import WrongRowError
from pipeline.store.columns import encode_time
from pipeline.store.overrides import (
    apply_control,
    event_override_rows,
    override_rows,
    parse_overrides,
)
from pipeline.store.rows import Control, EventRow

log = logging.getLogger(__name__)

REOPENED = "regressed"
"""The substatus of a resolved group that has had a new event."""


class Group(NamedTuple):
    """A group of a project."""

    project_id: int
    group_id: int


class RowWriter:
    """Writes rows. Every method raises AwayError where it is not known whether rows were stored: then the call is repeated."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._columns: dict[str, str] = {}

    def write_events(self, rows: Sequence[EventRow], token: str) -> list[int]:
        """Store events with their bodies. Return the indexes of rows that ClickHouse cannot read, which were left out.

        Bodies are inserted first, so that every event that queries find has one. Resolved groups with a later event are reopened.
        """
        refused = set(self._insert("event_bodies", [row.body for row in rows], token))
        kept = [row if number not in refused else None for number, row in enumerate(rows)]
        refused |= set(self._insert("events", [row.event if row else b"" for row in kept], token))
        latest: dict[Group, float] = {}
        for number, row in enumerate(rows):
            if number not in refused:
                group = Group(row.project_id, row.group_id)
                latest[group] = max(latest.get(group, 0.0), row.received)
        self._reopen(latest, token)
        return sorted(refused)

    def write_outcomes(self, rows: Sequence[bytes], token: str) -> list[int]:
        """Store outcomes. Return the indexes of rows that ClickHouse cannot read, which were left out."""
        return self._insert("outcomes", rows, token)

    def write_controls(self, controls: Iterable[Control], token: str) -> None:
        """Carry out control messages in their order. Their bodies must have been tried with `apply_control`."""
        for number, control in enumerate(controls):
            found = self._client.query(
                "SELECT group_id, primary_hash, into_group, deleted_until FROM group_overrides FINAL "
                "WHERE project_id = {project_id:UInt64}",
                {"project_id": control.project_id},
            )
            changes = apply_control(control, parse_overrides(found.dicts()))
            own = f"{token}/{number}"
            groups = override_rows(control.project_id, changes.groups, control.received)
            self._client.insert("group_overrides", groups, own)
            events = event_override_rows(control.project_id, changes.events, control.received)
            self._client.insert("event_overrides", events, own)

    def _insert(self, table: str, rows: Sequence[bytes], token: str) -> list[int]:
        """Insert rows; an empty one is left out. Return the indexes of those that cannot be read, and insert the others."""
        try:
            self._client.insert(table, _lines(rows), token)
        except WrongRowError as error:
            wrong = self._find_wrong(table, range(len(rows)), rows)
            log.error("rows that cannot be read", extra={"table": table, "rows": len(wrong), "why": error.detail})  # noqa: TRY400
            self._client.insert(table, _lines([row for number, row in enumerate(rows) if number not in wrong]), token)
            return sorted(wrong)
        return []

    def _find_wrong(self, table: str, numbers: range, rows: Sequence[bytes]) -> set[int]:
        """Return which rows cannot be read, by trying halves on a table that keeps nothing."""
        if not self._columns.get(table):
            columns = self._client.query(
                "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {table:String}",
                {"table": table},
            )
            self._columns[table] = ", ".join(f"`{name}` {kind}" for name, kind in columns.rows).replace("'", "\\'")
        try:
            self._client.insert(f"FUNCTION null('{self._columns[table]}')", _lines([rows[number] for number in numbers]), "")
        except WrongRowError:
            if len(numbers) == 1:
                return {numbers[0]}
            middle = len(numbers) // 2
            return self._find_wrong(table, numbers[:middle], rows) | self._find_wrong(table, numbers[middle:], rows)
        return set()

    def _reopen(self, latest: Mapping[Group, float], token: str) -> None:
        """Open resolved groups again that got an event which was received after they were resolved (epoch seconds)."""
        if not latest:
            return
        into = self._merged_into(latest)
        shown: dict[Group, float] = {}
        for group, received in latest.items():
            target = into.get(group, group)
            shown[target] = max(shown.get(target, 0.0), received)
        found = self._client.query(
            "SELECT project_id, group_id, changed_at FROM group_status FINAL WHERE status = 'resolved' AND "
            "(project_id, group_id) IN (SELECT arrayJoin(arrayZip({projects:Array(UInt64)}, {groups:Array(UInt64)})))",
            _as_arrays(shown),
        )
        reopened = [
            orjson.dumps(
                {
                    "project_id": project_id,
                    "group_id": group_id,
                    "status": "unresolved",
                    "substatus": REOPENED,
                    "changed_at": encode_time(shown[Group(project_id, group_id)], "microseconds"),
                }
            )
            for project_id, group_id, changed_at in found.rows
            if shown[Group(project_id, group_id)] > changed_at.timestamp()
        ]
        self._client.insert("group_status", _lines(reopened), token)

    def _merged_into(self, groups: Collection[Group]) -> dict[Group, Group]:
        found = self._client.query(
            "SELECT project_id, group_id, into_group FROM group_overrides FINAL WHERE "
            "(project_id, group_id) IN (SELECT arrayJoin(arrayZip({projects:Array(UInt64)}, {groups:Array(UInt64)})))",
            _as_arrays(groups),
        )
        return {Group(project_id, group_id): Group(project_id, into) for project_id, group_id, into in found.rows}


def _as_arrays(groups: Collection[Group]) -> dict[str, list[int]]:
    ordered = sorted(groups)
    return {"projects": [group.project_id for group in ordered], "groups": [group.group_id for group in ordered]}


def _lines(rows: Iterable[bytes]) -> bytes:
    return b"".join(row + b"\n" for row in rows if row)
