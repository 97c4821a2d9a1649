"""Rows about groups that people merged, split or deleted. Queries join them, so no stored event is rewritten.

`apply_control` is a function of the existing rows and a control message. Applying a message again changes nothing.
The messages and what they do are in docs/spec/storage-messages.md, "Control messages".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import orjson

from pipeline.store.columns import NIL, NoRowError, Reason, encode_time
from pipeline.store.messages import ControlGroups
from pipeline.store.rows import Control, parse_hash

TOMBSTONE = 0
"""The group of a single event that was deleted."""


class OverrideKey(NamedTuple):
    """A group, or the events of a group with one primary hash. NIL stands for all of the group."""

    group_id: int
    primary_hash: str = NIL


class Override(NamedTuple):
    """The group that events belong to now. Those received at `deleted_until` (epoch seconds) or before are deleted."""

    into_group: int
    deleted_until: float = 0.0


class Overriding(NamedTuple):
    """What a control message changes: rows of group_overrides, and single events with the group that they get."""

    groups: Mapping[OverrideKey, Override]
    events: Mapping[str, int]


Overrides = Mapping[OverrideKey, Override]


def apply_control(control: Control, present: Overrides) -> Overriding:
    """Return what a control message changes. `present` has the project's rows. Raises NoRowError for a body that is none.

    If a group is merged into another one, the groups that were merged into it before follow, so that no query has to.
    `start_*`, `exclude_groups` and `end_delete_tag` change nothing: they are about what Snuba must recompute.
    """
    try:
        body = msgspec.convert(control.body, ControlGroups)
    except msgspec.ValidationError as error:
        raise NoRowError(Reason.INVALID_MESSAGE, str(error)) from None
    if control.operation == "end_merge":
        return Overriding(_merged(body, present), {})
    if control.operation == "end_unmerge":
        return Overriding(_unmerged(body, present), {})
    if control.operation == "end_delete_groups":
        return Overriding(_deleted(body.group_ids, control.changed_at, present), {})
    if control.operation == "tombstone_events":
        return Overriding({}, {parse_hash(event_id): TOMBSTONE for event_id in body.event_ids})
    if control.operation == "replace_group":
        return Overriding({}, {parse_hash(event_id): body.new_group_id for event_id in body.event_ids})
    return Overriding({}, {})


def _merged(body: ControlGroups, present: Overrides) -> Overrides:
    """Let the previous groups, and all that was merged into them, be the new group. The new group is itself again."""
    gone = set(body.previous_group_ids) - {body.new_group_id}
    found = {
        key: override._replace(into_group=body.new_group_id) for key, override in present.items() if override.into_group in gone
    }
    for group_id in gone:
        key = OverrideKey(group_id)
        found[key] = present.get(key, Override(group_id))._replace(into_group=body.new_group_id)
    own = OverrideKey(body.new_group_id)
    if own in present and gone:
        found[own] = present[own]._replace(into_group=body.new_group_id)
    return found


def _unmerged(body: ControlGroups, present: Overrides) -> Overrides:
    """Let the events of a group with some primary hashes be another group, also those of groups that were merged into it."""
    sources = {body.previous_group_id} | {
        key.group_id for key, override in present.items() if override.into_group == body.previous_group_id
    }
    found = {}
    for group_id in sources:
        whole = present.get(OverrideKey(group_id), Override(group_id))
        if whole.into_group != body.previous_group_id:
            continue
        for written in body.hashes:
            key = OverrideKey(group_id, parse_hash(written))
            found[key] = present.get(key, whole)._replace(into_group=body.new_group_id)
    return found


def _deleted(group_ids: list[int], until: float, present: Overrides) -> Overrides:
    """Delete what belongs to groups so far. What comes later is shown."""
    wanted = set(group_ids)
    found = {
        key: override._replace(deleted_until=max(until, override.deleted_until))
        for key, override in present.items()
        if override.into_group in wanted
    }
    for group_id in wanted:
        key = OverrideKey(group_id)
        if key not in present:
            found[key] = Override(group_id, until)
    return found


def override_rows(project_id: int, changes: Overrides, changed_at: float) -> bytes:
    """Return rows of the table group_overrides. `changed_at` in epoch seconds decides which of two rows holds."""
    return b"".join(
        orjson.dumps(
            {
                "project_id": project_id,
                "group_id": key.group_id,
                "primary_hash": key.primary_hash,
                "into_group": override.into_group,
                "deleted_until": encode_time(override.deleted_until),
                "changed_at": encode_time(changed_at, "microseconds"),
            }
        )
        + b"\n"
        for key, override in sorted(changes.items())
    )


def event_override_rows(project_id: int, changes: Mapping[str, int], changed_at: float) -> bytes:
    """Return rows of the table event_overrides."""
    return b"".join(
        orjson.dumps(
            {
                "project_id": project_id,
                "event_id": event_id,
                "into_group": group_id,
                "changed_at": encode_time(changed_at, "microseconds"),
            }
        )
        + b"\n"
        for event_id, group_id in sorted(changes.items())
    )


def parse_overrides(rows: list[dict[str, Any]]) -> dict[OverrideKey, Override]:
    """Return what the table group_overrides says about a project."""
    return {
        OverrideKey(row["group_id"], str(row["primary_hash"])): Override(row["into_group"], row["deleted_until"].timestamp())
        for row in rows
    }
