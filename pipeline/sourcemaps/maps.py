"""Parsed maps, kept in memory; a map that nobody knows is tried in a child process first."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from pipeline.sourcemaps.byte_bounded import ByteBounded
from pipeline.sourcemaps.disk_cache import DiskCache
from pipeline.sourcemaps.engine import Engine, MalformedMapError, ParsedMap
from pipeline.sourcemaps.probe import Probe, Verdict
from pipeline.sourcemaps.source_text import SourceText

_MALFORMED_COST_BYTES = 1_024
_MAX_VERDICTS = 100_000
"""Some 150 bytes each."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A map, or why there is none. `reason` is the verdict that cost the map, or only the names of its scopes."""

    map: ParsedMap | None
    malformed: str = ""
    reason: Verdict | None = None


_NO_CODE = SourceText(b"")


def map_key(minified: SourceText, source_map: SourceText) -> bytes:
    """Give what a parsed map is known by: its content and that of the file that it is for."""
    return minified.digest + source_map.digest


class Maps:
    """Parses each pair of map and minified file once, and keeps the results up to `memory_bytes`."""

    def __init__(self, engine: Engine, probe: Probe | None, memory_bytes: int, disk: DiskCache | None = None) -> None:
        self._engine = engine
        self._probe = probe
        self._disk = disk
        self._parsed: ByteBounded[bytes, Parsed] = ByteBounded(memory_bytes)
        self._verdicts: dict[bytes, Verdict] = {}

    def get(self, minified: SourceText, source_map: SourceText) -> Parsed:
        """Give the parsed map."""
        key = map_key(minified, source_map)
        known = self.peek(key)
        if known is not None:
            return known
        parsed = self._parse(minified, source_map)
        if parsed.reason is not Verdict.UNKNOWN:
            self._parsed.put(key, parsed, parsed.map.cost_bytes if parsed.map is not None else _MALFORMED_COST_BYTES)
        return parsed

    def peek(self, key: bytes) -> Parsed | None:
        """Give a map that is in memory."""
        parsed = self._parsed.get(key)
        if parsed is not None and parsed.map is not None:  # what it takes grows as it is used
            self._parsed.put(key, parsed, parsed.map.cost_bytes)
        return parsed

    def _parse(self, minified: SourceText, source_map: SourceText) -> Parsed:
        code, verdict = minified, self._try(minified, source_map)
        without_names = None
        if verdict is not Verdict.HARMLESS:
            code, without_names = _NO_CODE, verdict
            verdict = self._try(code, source_map) if verdict is not Verdict.UNKNOWN else verdict
            if verdict in {Verdict.CRASHED, Verdict.TOO_SLOW}:
                return Parsed(None, malformed=f"the parser does not survive it: {verdict}", reason=verdict)
        try:
            return Parsed(self._engine.parse(code.content, source_map.content), reason=without_names)
        except MalformedMapError as error:
            return Parsed(None, malformed=_describe(source_map.content, error))

    def _try(self, minified: SourceText, source_map: SourceText) -> Verdict:
        if self._probe is None:
            return Verdict.HARMLESS
        key = map_key(minified, source_map)
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = self._read_verdict(key) or self._probe.try_parse(minified.content, source_map.content)
            if verdict is Verdict.UNKNOWN:
                verdict = self._probe.try_parse(minified.content, source_map.content)
            if verdict is not Verdict.UNKNOWN:
                self._remember(key, verdict)
        return verdict

    def _remember(self, key: bytes, verdict: Verdict) -> None:
        if len(self._verdicts) >= _MAX_VERDICTS:
            self._verdicts.clear()
        self._verdicts[key] = verdict
        if self._disk is not None:
            self._disk.put(_verdict_name(key), verdict.value.encode())

    def _read_verdict(self, key: bytes) -> Verdict | None:
        known = self._disk.get(_verdict_name(key)) if self._disk is not None else None
        return Verdict(known.decode()) if known is not None else None


def _describe(source_map: bytes, error: MalformedMapError) -> str:
    """Say what is wrong with a map: often it is the page that a server gives for what it does not have."""
    is_html = source_map.lstrip()[:20].lower().startswith((b"<!doctype", b"<html"))
    return "it is an HTML page" if is_html else str(error)


def _verdict_name(key: bytes) -> str:
    return f"verdict/{metadata.version('symbolic')}/{key.hex()}"
