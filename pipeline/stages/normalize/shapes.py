"""Parsers of lists and objects, put together from the parsers of their parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.stages.normalize.report import Path, Report
from pipeline.stages.normalize.values import Parser


def record(
    fields: Mapping[str, Parser], expected: str, *, aliases: Mapping[str, str] | None = None, keep: Parser | None = None
) -> Parser:
    """Make a parser of objects with named fields. Other keys are dropped, or go through `keep` where it is given.

    `expected` names the object in the reason for a value that is none.
    """
    renamed = dict(aliases or {})

    def parse(value: Any, path: Path, report: Report) -> dict[str, Any] | None:
        if type(value) is not dict:
            if value is not None:
                report.invalid(path, f"expected {expected}", value)
            return None
        result: dict[str, Any] = {}
        for key, raw in value.items():
            if raw is None:
                continue
            name = key
            parser = fields.get(key)
            if parser is None:
                name = renamed.get(key, key)
                parser = fields.get(name, keep) if name is not key else keep
                if parser is None or name in result:
                    continue
            parsed = parser(raw, (path, name), report)
            if parsed is not None:
                result[name] = parsed
        return result

    return parse


def array(item: Parser, *, keep_nulls: bool = True) -> Parser:
    """Make a parser of lists; an item that is refused becomes null in its place, or goes where nulls are not kept."""

    def parse(value: Any, path: Path, report: Report) -> list[Any] | None:
        if type(value) is not list:
            if value is not None:
                report.invalid(path, "expected an array", value)
            return None
        items = [item(raw, (path, index), report) for index, raw in enumerate(value)]
        return items if keep_nulls else [parsed for parsed in items if parsed is not None]

    return parse


def mapping(item: Parser) -> Parser:
    """Make a parser of objects whose keys are the sender's."""

    def parse(value: Any, path: Path, report: Report) -> dict[str, Any] | None:
        if type(value) is not dict:
            if value is not None:
                report.invalid(path, "expected an object", value)
            return None
        return {key: item(raw, (path, key), report) for key, raw in value.items()}

    return parse


def values(item: Parser) -> Parser:
    """Make a parser of what SDKs send as a list, as `{"values": [...]}`, or as one object: always the second. Nulls go."""

    def parse(value: Any, path: Path, report: Report) -> dict[str, Any] | None:
        if type(value) is dict:
            raw = value["values"] if "values" in value else [value] if value else []
        else:
            raw = value
        if raw is None:
            return None
        if type(raw) is not list:
            if type(value) is dict:
                report.invalid((path, "values"), "expected an array", raw)
            else:
                report.invalid(path, "expected a list or values object", value)
            return None
        if not raw:
            return None
        inner = (path, "values")
        return {"values": [item(entry, (inner, index), report) for index, entry in enumerate(raw) if entry is not None]}

    return parse
