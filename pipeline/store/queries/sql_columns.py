"""Keys and measures as expressions in SQL: what a row contributes, and what is computed of all of them."""

from __future__ import annotations

from typing import assert_never

from pipeline.store.columns import NIL
from pipeline.store.queries.fields import AnyField, FieldKind, Tag
from pipeline.store.queries.question import AnyKey, GroupKey, Measure, MeasureKind, TimeKey
from pipeline.store.queries.sql_conditions import Parameters, text_of

GROUP_COLUMN = "group"
"""The group that an event belongs to now. It is no column of a table: sql.py makes it."""


def key_value(key: AnyKey, name: str, time: str, parameters: Parameters) -> str | None:
    """Return what a row contributes to a key as column `name`; None if the row has it anyway. `time` is the row's time."""
    if isinstance(key, GroupKey) or _is_group(key):
        return None
    if isinstance(key, TimeKey):
        return f"intDiv(toUnixTimestamp({time}), {key.seconds:d}) * {key.seconds:d} AS {name}"
    column = text_of(key, parameters)
    match _kind(key):
        case FieldKind.TEXTS:
            column = f"arrayJoin(if(empty({column}), [''], arrayDistinct(arrayMap(x -> toString(x), {column}))))"
        case FieldKind.FLAGS:
            known = f"arrayDistinct({column})"  # without NULL
            column = f"arrayJoin(if(empty({known}), [NULL], {known}))"
        case FieldKind.ID:
            column = f"if({column} = toUUID('{NIL}'), '', replaceAll(toString({column}), '-', ''))"
        case FieldKind.TEXT:
            column = f"toString({column})"
        case FieldKind.NUMBER | FieldKind.TIME | FieldKind.FLAG:
            pass
    return f"{column} AS {name}"


def outer_key(key: AnyKey, name: str) -> str:
    """Return the column that a key has before grouping."""
    if isinstance(key, GroupKey):
        return f"`{key.value}`"
    return f"`{GROUP_COLUMN}`" if _is_group(key) else name


def measure_argument(measure: Measure, name: str, parameters: Parameters, *, is_rollup: bool) -> str | None:
    """Return what a row contributes to a measure as column `name`; None if it is nothing."""
    field = measure.field
    match measure.kind:
        case MeasureKind.COUNT:
            return f"count AS {name}" if is_rollup else None
        case MeasureKind.EARLIEST:
            return f"{'first_seen' if is_rollup else 'timestamp'} AS {name}"
        case MeasureKind.LATEST:
            return f"{'last_seen' if is_rollup else 'timestamp'} AS {name}"
        case MeasureKind.UNIQUE:
            if is_rollup:
                return f"users AS {name}"
            if field is None or _is_group(field):
                return None
            column = text_of(field, parameters)
            return f"{f'arrayFilter(x -> x != {_EMPTY}, {column})' if _kind(field) is FieldKind.TEXTS else column} AS {name}"
        case never:
            assert_never(never)


def measure_aggregate(measure: Measure, name: str, *, is_rollup: bool) -> str:
    """Return the measure of many rows."""
    match measure.kind:
        case MeasureKind.COUNT:
            return f"sum({name})" if is_rollup else "count()"
        case MeasureKind.EARLIEST:
            return f"min({name})"
        case MeasureKind.LATEST:
            return f"max({name})"
        case MeasureKind.UNIQUE:
            return f"uniqMerge({name})" if is_rollup else _unique(measure.field, name)
        case never:
            assert_never(never)


_EMPTY = "''"


def _unique(field: AnyField | None, name: str) -> str:
    if field is None or _is_group(field):
        return f"uniq(`{GROUP_COLUMN}`)"
    match _kind(field):
        case FieldKind.TEXT:
            return f"uniqIf({name}, {name} != '')"
        case FieldKind.ID:
            return f"uniqIf({name}, {name} != toUUID('{NIL}'))"
        case FieldKind.TEXTS | FieldKind.FLAGS:
            return f"uniqArray({name})"
        case FieldKind.NUMBER | FieldKind.TIME | FieldKind.FLAG:
            return f"uniq({name})"


def _kind(field: AnyField) -> FieldKind:
    return FieldKind.TEXT if isinstance(field, Tag) else field.kind


def _is_group(key: AnyKey) -> bool:
    return not isinstance(key, GroupKey | TimeKey | Tag) and key.column == GROUP_COLUMN
