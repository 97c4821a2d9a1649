"""Parsed maps, kept in memory. A map that is not known yet is parsed in a child process first."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from lru import LRU

from pipeline.model.byte_bounded_lru import ByteBoundedLru
from pipeline.sourcemaps.disk_cache import DiskCache
from pipeline.sourcemaps.engines.contract import Engine, MalformedMapError, ParsedMap
from pipeline.sourcemaps.engines.probe import Probe, ProbeResult
from pipeline.sourcemaps.engines.sourcemap_engine import SourcemapEngine
from pipeline.sourcemaps.source_text import SourceText

_MALFORMED_COST_BYTES = 1_024
_MAX_UNPROBED_BYTES = 1_000_000
"""A larger map is not parsed in pure Python: that takes 30 times its size in memory, and 0.3 s a megabyte."""
_MAX_PROBE_RESULTS = 100_000
"""How many results are remembered, each of some 200 bytes."""


@dataclass(frozen=True, slots=True)
class ParseResult:
    """A parsed map, or None and the reason.

    `malformed` says, for people, why there is no map. `reason` is set if the probe did not let the files pass. There is then
    either no map, or one that was parsed without the built file and finds no names of functions.
    """

    map: ParsedMap | None
    malformed: str = ""
    reason: ProbeResult | None = None


_NO_CODE = SourceText(b"")
_PROBLEMS = {
    ProbeResult.CRASHED: "it kills the parser",
    ProbeResult.TOO_SLOW: "the parser takes more than artifacts.parse_cpu_s for it",
    ProbeResult.OUT_OF_MEMORY: "the parser takes more than artifacts.parse_memory_bytes for it",
    ProbeResult.UNKNOWN: "no child process could be started to try it in",
}


def describe_probe_result(result: ProbeResult) -> str:
    """Return, for people, why a file that did not pass the probe is not parsed."""
    return _PROBLEMS[result]


def map_key(minified: SourceText, source_map: SourceText) -> bytes:
    """Return the key of a parsed map: the digest of the built file, then that of the map."""
    return minified.digest + source_map.digest


class ParsedMaps:
    """Parses each pair of built file and map once, and keeps the results up to `memory_bytes`."""

    def __init__(self, engine: Engine, probe: Probe | None, memory_bytes: int, disk: DiskCache | None = None) -> None:
        self._engine = engine
        self._probe = probe
        self._disk = disk
        self._parsed: ByteBoundedLru[bytes, ParseResult] = ByteBoundedLru(memory_bytes)
        self._probe_results: LRU[bytes, ProbeResult] = LRU(_MAX_PROBE_RESULTS)

    def get(self, minified: SourceText, source_map: SourceText) -> ParseResult:
        """Return the parsed map, or why there is none."""
        key = map_key(minified, source_map)
        known = self.peek(key)
        if known is not None:
            return known
        parsed = self._parse(minified, source_map)
        if parsed.reason is not ProbeResult.UNKNOWN:
            self._parsed.put(key, parsed, parsed.map.cost_bytes if parsed.map is not None else _MALFORMED_COST_BYTES)
        return parsed

    def peek(self, key: bytes) -> ParseResult | None:
        """Return a map if it is in memory."""
        parsed = self._parsed.get(key)
        if parsed is not None and parsed.map is not None:  # its cost grows with use
            self._parsed.put(key, parsed, parsed.map.cost_bytes)
        return parsed

    def _parse(self, minified: SourceText, source_map: SourceText) -> ParseResult:
        engine, code, result = self._engine, minified, self._try(minified, source_map)
        without_names = None
        if result is not ProbeResult.HARMLESS:
            code, without_names = _NO_CODE, result
            result = self._try(code, source_map) if result is not ProbeResult.UNKNOWN else result
            if result is ProbeResult.UNKNOWN and len(source_map.content) <= _MAX_UNPROBED_BYTES:
                engine, without_names = SourcemapEngine(), result  # pure Python, which no map can crash
            elif result is not ProbeResult.HARMLESS:
                return ParseResult(None, malformed=describe_probe_result(result), reason=result)
        try:
            return ParseResult(engine.parse(code.content, source_map.content), reason=without_names)
        except MalformedMapError as error:
            return ParseResult(None, malformed=_describe(source_map.content, error))

    def _try(self, minified: SourceText, source_map: SourceText) -> ProbeResult:
        if self._probe is None:
            return ProbeResult.HARMLESS
        key = map_key(minified, source_map)
        result = self._probe_results.get(key)
        if result is None:
            result = self._read_probe_result(key) or self._probe.try_parse(minified.content, source_map.content)
            if result is ProbeResult.UNKNOWN:
                result = self._probe.try_parse(minified.content, source_map.content)
            if result is not ProbeResult.UNKNOWN:
                self._remember(key, result)
        return result

    def _remember(self, key: bytes, result: ProbeResult) -> None:
        self._probe_results[key] = result
        if self._disk is not None:
            self._disk.put(_probe_result_name(key), result.value.encode())

    def _read_probe_result(self, key: bytes) -> ProbeResult | None:
        known = self._disk.get(_probe_result_name(key)) if self._disk is not None else None
        return ProbeResult(known.decode()) if known is not None else None


def _describe(source_map: bytes, error: MalformedMapError) -> str:
    """Return what is wrong with a map. Often it is the HTML page that a server sends for files that it does not have."""
    is_html = source_map.lstrip()[:20].lower().startswith((b"<!doctype", b"<html"))
    return "it is an HTML page" if is_html else str(error)


def _probe_result_name(key: bytes) -> str:
    return f"verdict/{metadata.version('symbolic')}/{key.hex()}"
