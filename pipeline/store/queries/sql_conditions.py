"""Filters as conditions in SQL. Everything that users type is a bound parameter. Names of columns come from fields.py only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pipeline.store.columns import NIL
from pipeline.store.queries.fields import AnyField, EventField, FieldKind, Tag
from pipeline.store.queries.filters import AtTimes, Compares, Contains, EventFilter, Has, Matches, Relation, TextPattern

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.:/-]{1,200}")
"""Tags with such a key are read from the JSON column. Other keys could mean something in a path of JSON."""


class Parameters:
    """The bound parameters of one statement."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def bind(self, value: Any, kind: str) -> str:
        """Return what stands for a value in SQL. `kind` is ClickHouse's name of its type."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"{{{name}:{kind}}}"

    def time(self, at: datetime) -> str:
        """Return what stands for a time, to the millisecond."""
        text = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        return self.bind(text, "DateTime64(3, 'UTC')")

    def one_of(self, column: str, values: Sequence[Any], kind: str) -> str:
        """Return the condition that a column has one of the values. One value is compared, which keeps reads in order."""
        if len(values) == 1:
            return f"{column} = {self.bind(values[0], kind)}"
        return f"{column} IN {self.bind(list(values), f'Array({kind})')}"


def text_of(field: AnyField, parameters: Parameters) -> str:
    """Return the expression of a field with one text; "" stands for none."""
    if isinstance(field, EventField):
        return f"`{field.column}`"
    if _PLAIN_KEY.fullmatch(field.key):
        path = field.key.replace(".", "%2E") + ".:`String`"
        return f"ifNull(getSubcolumn(tags, {parameters.bind(path, 'String')}), '')"
    return f"tag_values[indexOf(tag_keys, {parameters.bind(field.key, 'String')})]"


def condition(filter_: EventFilter, parameters: Parameters) -> str:
    """Return a filter on single events as a condition on columns of `events`."""
    match filter_:
        case Matches():
            found = _matches(filter_, parameters)
        case Has():
            found = _has(filter_.field, parameters)
        case Compares():
            found = _compares(filter_, parameters)
        case AtTimes(times=times):
            found = f"timestamp IN ({', '.join(parameters.time(at) for at in times) or 'NULL'})"
        case Contains():
            pattern = parameters.bind(like(("", *filter_.pieces, "")), "String")
            found = f"(message ILIKE {pattern} OR title ILIKE {pattern})"
    return f"NOT ({found})" if filter_.is_negated else found


def relation(left: str, how: Relation, right: str) -> str:
    """Return a comparison."""
    return f"{left} {how.value} {right}"


def _matches(filter_: Matches, parameters: Parameters) -> str:
    field = filter_.field
    values = [value for value in filter_.values if isinstance(value, str)]
    patterns = [parameters.bind(like(value.pieces), "String") for value in filter_.values if isinstance(value, TextPattern)]
    kind = FieldKind.TEXT if isinstance(field, Tag) else field.kind
    parts: list[str] = []
    if kind is FieldKind.ID:
        return parameters.one_of(text_of(field, parameters), [value or NIL for value in values], "UUID")
    if kind is FieldKind.TEXTS:
        column = text_of(field, parameters)
        if some := [value for value in values if value]:
            parts.append(f"hasAny({column}, {parameters.bind(some, 'Array(String)')})")
        if "" in values:
            parts.append(f"NOT arrayExists(x -> x != '', {column})")
        parts += [f"arrayExists(x -> x ILIKE {pattern}, {column})" for pattern in patterns]
    else:
        if values:
            parts.append(parameters.one_of(text_of(field, parameters), values, "String"))
        parts += [f"{text_of(field, parameters)} ILIKE {pattern}" for pattern in patterns]
    return f"({' OR '.join(parts)})" if parts else "0"


def _has(field: AnyField, parameters: Parameters) -> str:
    column = text_of(field, parameters)
    match FieldKind.TEXT if isinstance(field, Tag) else field.kind:
        case FieldKind.TEXT:
            return f"{column} != ''"
        case FieldKind.TEXTS:
            return f"arrayExists(x -> x != '', {column})"
        case FieldKind.ID:
            return f"{column} != toUUID('{NIL}')"
        case FieldKind.FLAG:
            return f"{column} IS NOT NULL"
        case FieldKind.FLAGS:
            return f"arrayExists(x -> x IS NOT NULL, {column})"
        case FieldKind.NUMBER | FieldKind.TIME:
            return "1"


def _compares(filter_: Compares, parameters: Parameters) -> str:
    column = f"`{filter_.field.column}`"
    match filter_.field.kind:
        case FieldKind.TIME:
            assert isinstance(filter_.value, datetime)  # noqa: S101 -- search.py makes it so
            return relation(column, filter_.relation, parameters.time(filter_.value))
        case FieldKind.FLAG:
            return f"ifNull({column} = {int(bool(filter_.value))}, 0)"
        case FieldKind.FLAGS:
            return f"arrayExists(x -> ifNull(x = {int(bool(filter_.value))}, 0), {column})"
        case _:
            return relation(column, filter_.relation, parameters.bind(filter_.value, "Float64"))


def like(pieces: Sequence[str]) -> str:
    """Return LIKE's pattern of pieces with anything between them."""
    return "%".join(re.sub(r"([\\%_])", r"\\\1", piece) for piece in pieces)
