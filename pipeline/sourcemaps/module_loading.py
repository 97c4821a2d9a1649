"""Finds the parts of a module: the built file, the reference to its map, and the map (docs/spec/source-maps.md)."""

from __future__ import annotations

from pipeline.sourcemaps.engines.probe import ProbeResult
from pipeline.sourcemaps.files import ArtifactFiles, File, Unusable
from pipeline.sourcemaps.map_references import (
    InvalidDataUrlError,
    decode_data_url,
    find_debug_id_comment,
    find_map_reference,
    urls_beside,
    without_byte_order_mark,
)
from pipeline.sourcemaps.module import Module, ModuleKey, Problem
from pipeline.sourcemaps.parsed_maps import ParsedMaps, describe_probe_result, map_key
from pipeline.sourcemaps.project_index import ProjectIndex
from pipeline.sourcemaps.source_text import SourceText
from pipeline.sourcemaps.urls import join_urls


def load_module(key: ModuleKey, index: ProjectIndex, files: ArtifactFiles, maps: ParsedMaps) -> Module:
    """Return a module with all its parts. If one cannot be found or used, that is the module's `problem`. Raises nothing."""
    module = Module(key)
    attempted = module.attempted
    code = files.find(index, key.build, key.url, debug_id=key.debug_id, file_type="minified_source", attempted=attempted)
    if isinstance(code, Unusable):
        return _failed(module, "missing_source", key.url, code)
    module.minified, module.text_key = code.text, code.text_key
    reference, inline, invalid = _read_reference(code)
    if inline is not None:
        module.reference = "data:"
        module.map_found(key.url, code.resolved_with)
        return _parsed(module, maps, SourceText(without_byte_order_mark(inline)))
    module.reference = reference
    debug_id = key.debug_id or _own_debug_id(code)
    map_url = join_urls(key.url, reference) if reference is not None else None
    beside = urls_beside(key.url, reference or "") if reference is not None or invalid is not None else []
    if map_url is None and debug_id is None and not beside:
        return module  # a plain source file
    source_map = files.find(
        index, key.build, map_url, debug_id=debug_id, file_type="source_map", attempted=attempted, otherwise=beside
    )
    if not isinstance(source_map, Unusable):
        module.map_found(source_map.asked_url or join_urls(key.url, source_map.url), source_map.resolved_with)
        return _parsed(module, maps, source_map.text)
    if source_map.reason is None and invalid is not None:
        return module if code.is_single else _failed(module, "malformed_sourcemap", key.url, invalid)
    is_there = source_map.reason in {"too_large", "damaged_bundle"}
    return _failed(
        module,
        "malformed_sourcemap" if is_there else "missing_sourcemap",
        (map_url or key.url) if is_there else key.url,
        source_map,
    )


def _read_reference(code: File) -> tuple[str | None, bytes | None, Unusable | None]:
    """Return the reference to the map, or the map that the file carries, or why that map cannot be decoded."""
    reference = find_map_reference(code.text.content, code.headers)
    if reference is None:
        return None, None, None
    try:
        inline = decode_data_url(reference)
    except InvalidDataUrlError as error:
        return None, None, Unusable(f"its sourceMappingURL: {error}")
    return (reference.replace("\\", "/"), None, None) if inline is None else (None, inline, None)


def _own_debug_id(code: File) -> str | None:
    """Return the debug id that a single file names. For a file in a bundle, only the debug id of the event counts."""
    return (code.debug_id or find_debug_id_comment(code.text.content)) if code.is_single else None


def _parsed(module: Module, maps: ParsedMaps, source_map: SourceText) -> Module:
    assert module.minified is not None  # noqa: S101 -- set by the caller
    parsed = maps.get(module.minified, source_map)
    module.map, module.map_key = parsed.map, map_key(module.minified, source_map)
    if parsed.map is None and parsed.reason is ProbeResult.UNKNOWN:
        module.map_key, module.is_temporary = None, True  # not remembered as malformed
    if parsed.map is None:
        module.problem = Problem("malformed_sourcemap", module.map_url or module.key.url, parsed.malformed, parsed.reason)
    elif parsed.reason is not None:
        module.warning = Problem("unparsable_source", module.key.url, describe_probe_result(parsed.reason), parsed.reason)
    return module


def _failed(module: Module, kind: str, url: str, why: Unusable) -> Module:
    module.problem = Problem(kind, url, why.detail, why.reason)
    module.is_temporary = why.is_temporary
    return module
