"""Both engines give the same positions, on every map at hand and on maps written for their known weaknesses."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.source_maps import source_map
from support.suites import ROOT
from symbolic import SourceMapCache, SourceMapView

from pipeline.sourcemaps.engines import symbolic_engine
from pipeline.sourcemaps.engines.contract import Engine, MalformedMapError, ParsedMap, SourcePosition
from pipeline.sourcemaps.engines.sourcemap_engine import SourcemapEngine
from pipeline.sourcemaps.engines.symbolic_engine import SymbolicEngine

FIXTURES = Path(__file__).parents[2] / "fixtures" / "artifacts"


def maps_at_hand() -> Iterator[Any]:
    """Return every map of the suite and of the fixtures, those in zips too."""
    for folder in (ROOT / "javascript" / "files", FIXTURES):
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            if path.suffix == ".zip":
                with zipfile.ZipFile(path) as archive:
                    for member in archive.namelist():
                        if _is_map(member):
                            yield pytest.param(archive.read(member), id=f"{name}:{member}")
            elif path.is_file() and _is_map(path.name):
                yield pytest.param(path.read_bytes(), id=name)


def _is_map(name: str) -> bool:
    return name.endswith(".map") or ".sourcemap." in name


def parse(engine: Engine, content: bytes) -> ParsedMap | None:
    try:
        return engine.parse(b"", content)
    except MalformedMapError:
        return None


def places(content: bytes) -> Iterator[tuple[int, int]]:
    """Return a position on, left of and right of every token, and one on the lines around."""
    for token in SourceMapView.from_json_bytes(content):
        for column in range(max(token.dst_col, 1), token.dst_col + 4):
            yield token.dst_line + 1, column
        yield token.dst_line + 2, 1


@pytest.mark.parametrize("content", list(maps_at_hand()))
def test_positions_agree(content: bytes) -> None:
    ours, other = parse(SymbolicEngine(), content), parse(SourcemapEngine(), content)
    assert (ours is None) == (other is None)
    if ours is not None and other is not None:
        differing = [
            place for place in places(content) if ours.locate(*place) != _without_scope(other.locate(*place), ours.locate(*place))
        ]
        assert differing == []


def _without_scope(found: SourcePosition | None, like: SourcePosition | None) -> SourcePosition | None:
    """Hermes maps carry scopes of their own, which the pure-Python engine does not read."""
    return found._replace(scope=like.scope) if found is not None and like is not None else found


def indexed(*sections: tuple[int, int, bytes]) -> bytes:
    parts = [{"offset": {"line": line, "column": column}, "map": json.loads(content)} for line, column, content in sections]
    return json.dumps({"version": 3, "sections": parts}).encode()


def plain(**fields: Any) -> bytes:
    return json.dumps({"version": 3, "sources": ["a.js"], "names": [], "mappings": "AAAA", **fields}).encode()


SMALL = source_map([(0, 0, 0, 0, 0), (0, 5, 0, 1, 1), (1, 3, 0, 2, 2)], ["a.js"], ["1\n2\n3\n"])
WRITTEN = {
    "token that the cache drops across a line break": source_map([(0, 0, 0, 0, 0), (1, 0, 0, 0, 0), (1, 4, 0, 4, 0)], ["a.js"]),
    "segment that maps to nothing": source_map([(0, 0, 0, 0, 0), (0, 5), (0, 9, 0, 1, 0)], ["a.js"]),
    "indexed, two sections on a line": indexed((0, 0, SMALL), (0, 20, SMALL), (3, 10, SMALL)),
    "indexed, nothing before the first": indexed((0, 4, SMALL), (5, 4, SMALL)),
    "two tokens at one place": source_map([(0, 0, 0, 0, 0), (0, 5, 0, 1, 0), (0, 5, 0, 2, 0)], ["a.js"]),
    "a token, then one that maps to nothing, at one place": source_map([(0, 0, 0, 0, 0), (0, 5, 0, 1, 2), (0, 5)], ["a.js"]),
    "one that maps to nothing, then a token, at one place": source_map([(0, 0, 0, 0, 0), (0, 5), (0, 5, 0, 1, 2)], ["a.js"]),
    "three tokens at one place, and one right behind them": source_map(
        [(0, 5, 0, 1, 0), (0, 5, 0, 2, 0), (0, 5, 0, 3, 0), (0, 6, 0, 4, 0), (1, 0, 0, 5, 0), (1, 0, 0, 6, 0)], ["a.js"]
    ),
    "columns out of order": plain(mappings="UAAA,LACA,KACA"),
    "no names": b'{"version":3,"sources":["a.js"],"mappings":"AAAA"}',
    "no mappings": b'{"version":3,"sources":["a.js"],"names":[]}',
    "an empty object": b"{}",
    "a source without a name": plain(sources=[None, "b.js"], mappings="AAAA,KCAA"),
    "sourceRoot": plain(
        sourceRoot="http://h/x/",
        sources=["a.js", "/b.js", "http://q/c.js", "./d.js", "webpack:///e.js"],
        mappings="AAAA,KCAA,KCAA,KCAA,KCAA",
    ),
    "sourceRoot is a slash": plain(sourceRoot="/", sources=["a.js", "../b.js"], mappings="AAAA,KCAA"),
    "a name that is no string": plain(names=[1], mappings="AAAAA"),
    "a source without its last line end": source_map([(0, 0, 0, 1, 0)], ["a.js"], ["1\n2"]),
    "a place behind the end of the source": source_map([(0, 0, 0, 7, 0)], ["a.js"], ["1\n"]),
    "garbage": b"<html>",
    "VLQ that does not end": plain(mappings="g"),
    "source out of range": plain(mappings="AKAA"),
    "two fields": plain(mappings="AA"),
}


@pytest.mark.parametrize("content", list(WRITTEN.values()), ids=list(WRITTEN))
def test_positions_agree_on_what_is_hard(content: bytes) -> None:
    ours, other = parse(SymbolicEngine(), content), parse(SourcemapEngine(), content)
    assert (ours is None) == (other is None)
    if ours is not None and other is not None:
        everywhere = [(line, column) for line in range(1, 9) for column in range(1, 40)]
        assert [place for place in everywhere if ours.locate(*place) != other.locate(*place)] == []


DIFFERENCES = {
    "a negative position: symbolic has nothing there, sourcemap refuses the map": (plain(mappings="AADA"), (1, 1)),
    "six fields: symbolic refuses the map, sourcemap ignores the sixth": (plain(names=["x"], mappings="AAAAAA"), (1, 1)),
    "a version that is no number: symbolic refuses the map": (plain(version="3"), (1, 1)),
    "a section that reaches into the next: symbolic keeps its tokens, sourcemap ends it": (
        indexed((0, 0, SMALL), (1, 0, SMALL)),
        (2, 4),
    ),
    "a carriage return alone: a line end for the sourcemap engine's context only": (
        source_map([(0, 0, 0, 0, 0)], ["a.js"], ["1\r2\n"]),
        (1, 1),
    ),
}


@pytest.mark.parametrize(("content", "place"), list(DIFFERENCES.values()), ids=list(DIFFERENCES))
def test_where_they_are_known_to_differ_they_still_do(content: bytes, place: tuple[int, int]) -> None:
    """The list is complete for what was found: one that no longer differs is to be taken off it."""
    answers = [
        parsed.locate(*place) if parsed is not None else "malformed"
        for parsed in (parse(engine, content) for engine in (SymbolicEngine(), SourcemapEngine()))
    ]
    assert answers[0] != answers[1]


HARMLESS, NEGATIVE = (0, 0, 0, 1, 0), (0, 0, 0, -1, 0)


@pytest.mark.parametrize("tokens", [[NEGATIVE], [HARMLESS, NEGATIVE]], ids=["alone", "behind a harmless one"])
def test_a_negative_line_does_not_stop_the_worker(tokens: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's own look-up takes some five seconds here, so it must not be asked."""
    parse = SourceMapCache.from_bytes
    asked: list[tuple[int, int]] = []

    class Watched:
        def __init__(self, cache: SourceMapCache) -> None:
            self._cache = cache

        @classmethod
        def from_bytes(cls, minified: bytes, content: bytes) -> Watched:
            return cls(parse(minified, content))

        def lookup(self, line: int, column: int, lines: int) -> Any:
            asked.append((line, column))
            return self._cache.lookup(line, column, lines)

    monkeypatch.setattr(symbolic_engine, "SourceMapCache", Watched)
    parsed = SymbolicEngine().parse(b"", source_map(tokens, ["a.js"], ["1\n2\n"]))
    assert parsed.locate(1, 1) is None
    assert asked == []


def test_the_pure_engine_names_no_scopes() -> None:
    code, content = b"function a(b){throw b}", source_map([(0, 14, 0, 0, 0)], ["a.js"])
    positions = [engine.parse(code, content).locate(1, 15) for engine in (SymbolicEngine(), SourcemapEngine())]
    assert [position.scope for position in positions if position is not None] == ["a", None]


def test_sources_without_content_are_counted_alike() -> None:
    content = plain(sources=["a", "b", "c"], sourcesContent=["x", None])
    assert [engine.parse(b"", content).sources_without_content() for engine in (SymbolicEngine(), SourcemapEngine())] == [
        ["b", "c"]
    ] * 2
