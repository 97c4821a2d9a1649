"""Parsers of lists and objects, made of the parsers of their parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.model.event_path import EventPath
from pipeline.stages.normalize.remarks import Remarks
from pipeline.stages.normalize.values import BoundedParser, Parser, boolean, string

_TEXT = frozenset({str})


def record(
    fields: Mapping[str, Parser],
    expected: str,
    *,
    aliases: Mapping[str, str] | None = None,
    keep: Parser | None = None,
    name_others: bool = False,
) -> Parser:
    """Return a parser of objects with named fields. Other keys are dropped, or parsed by `keep` if it is given.

    `expected` describes the object in the reason of a refusal. `aliases` are other names of fields, which count if the field
    itself is missing. `name_others` adds an error for each key that is dropped.

    Most values are valid as they are. Checking this here costs half of what calling their parsers costs.
    """
    bounded = {name: parser for name, parser in fields.items() if isinstance(parser, BoundedParser)}
    longest = {name: parser.longest for name, parser in bounded.items()}
    largest = {name: parser.largest for name, parser in bounded.items()}
    booleans = {name for name, parser in fields.items() if parser is boolean}
    fields = {**fields, **{name: parser.parse for name, parser in bounded.items()}}

    def parse(value: Any, path: EventPath, remarks: Remarks) -> dict[str, Any] | None:
        if type(value) is not dict:
            if value is not None:
                remarks.invalid(path, f"expected {expected}", value)
            return None
        result: dict[str, Any] = {}
        for key, raw in value.items():
            kind = type(raw)
            if kind is str:
                if len(raw) <= longest.get(key, -1):
                    result[key] = raw
                    continue
            elif kind is int:
                if 0 <= raw <= largest.get(key, -1):
                    result[key] = raw
                    continue
            elif kind is bool and key in booleans:
                result[key] = raw
                continue
            parser = fields.get(key)
            if parser is None:
                if keep is None:
                    if name_others:
                        remarks.error((path, key), "invalid_attribute")
                    continue
                parser = keep
            if raw is not None:
                parsed = parser(raw, (path, key), remarks)
                if parsed is not None:
                    result[key] = parsed
        if aliases is not None:
            for alias, key in aliases.items():
                if value.get(key) is None and value.get(alias) is not None:
                    parsed = fields[key](value[alias], (path, key), remarks)
                    if parsed is not None:
                        result[key] = parsed
        return result

    return parse


def array(item: Parser, *, keep_nulls: bool = True) -> Parser:
    """Return a parser of lists. A refused item becomes null, or is dropped if nulls are not kept."""

    def parse(value: Any, path: EventPath, remarks: Remarks) -> list[Any] | None:
        if type(value) is not list:
            if value is not None:
                remarks.invalid(path, "expected an array", value)
            return None
        if item is string and _TEXT.issuperset(map(type, value)):  # the usual case: lines of source
            return value
        items = [item(raw, (path, index), remarks) for index, raw in enumerate(value)]
        return items if keep_nulls else [parsed for parsed in items if parsed is not None]

    return parse


def mapping(item: Parser) -> Parser:
    """Return a parser of objects with any keys."""

    def parse(value: Any, path: EventPath, remarks: Remarks) -> dict[str, Any] | None:
        if type(value) is not dict:
            if value is not None:
                remarks.invalid(path, "expected an object", value)
            return None
        return {key: item(raw, (path, key), remarks) for key, raw in value.items()}

    return parse


def values(item: Parser) -> Parser:
    """Return a parser of lists that may be sent as a list, as `{"values": [...]}` or as one object. The result has `values`."""

    def parse(value: Any, path: EventPath, remarks: Remarks) -> dict[str, Any] | None:
        raw = value
        if type(value) is dict:
            raw = value.get("values", [value] if value else [])
        if raw is None:
            return None
        if type(raw) is not list:
            if type(value) is dict:
                remarks.invalid((path, "values"), "expected an array", raw)
            else:
                remarks.invalid(path, "expected a list or values object", value)
            return None
        inner = (path, "values")
        items = [item(entry, (inner, index), remarks) for index, entry in enumerate(raw) if entry is not None]
        return {"values": items} if items else None

    return parse
