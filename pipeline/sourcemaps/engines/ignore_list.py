"""Reads the sources that a map marks as foreign code: `ignoreList` of ECMA-426, formerly `x_google_ignoreList`."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pipeline.sourcemaps.map_references import without_guard


class _Section(msgspec.Struct):
    map: _Map | None = None


class _Map(msgspec.Struct):
    """The fields that are read. All others are skipped without creating objects, because a map may hold anything."""

    sources: list[str | None] = []
    source_root: str | None = msgspec.field(default=None, name="sourceRoot")
    ignore_list: list[int] | None = msgspec.field(default=None, name="ignoreList")
    older_ignore_list: list[int] | None = msgspec.field(default=None, name="x_google_ignoreList")
    sections: list[_Section] = []


_DECODER = msgspec.json.Decoder(_Map)


def find_ignored_sources(source_map: bytes) -> frozenset[str]:
    """Return the names of the sources that a map lists as foreign, in the form of positions. Empty if the list is malformed."""
    if b"gnoreList" not in source_map:
        return frozenset()
    try:
        return frozenset(_ignored(_DECODER.decode(without_guard(source_map))))
    except (msgspec.MsgspecError, RecursionError):
        return frozenset()


def _ignored(raw: _Map) -> Iterator[str]:
    listed = raw.ignore_list if raw.ignore_list is not None else raw.older_ignore_list or []
    for number in listed:
        source = raw.sources[number] if 0 <= number < len(raw.sources) else None
        if source:
            yield with_source_root(source, raw.source_root)
    for section in raw.sections:
        if section.map is not None:
            yield from _ignored(section.map)


def with_source_root(source: str, root: str | None) -> str:
    """Return a source's name, joined to the map's `sourceRoot` as symbolic does it."""
    if not root or source.startswith(("/", "http:", "https:")):
        return source
    return f"{root.rstrip('/')}/{source}"
