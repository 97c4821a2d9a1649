"""The JavaScript suite: events with their artifacts, bare look-ups, and the tables of the pure functions.

A case is compared with two exceptions. A missing file is reported as missing where Symbolicator reports `scraping_disabled`
(docs/spec/source-maps.md, "Errors"). What Sentry does not store of Symbolicator's answer is left out: `sourcemap_origin`, and
`symbolicated` if it is false.
"""

from __future__ import annotations

import copy
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from support.artifact_bundles import BuiltFile, rewrite_manifest, write_bundle
from support.suites import ROOT, suite_cases

from pipeline.sourcemaps import function_names, map_references, source_text, urls
from pipeline.sourcemaps.artifacts import Artifacts
from pipeline.sourcemaps.engines.original_names import TreeSitterNames
from pipeline.sourcemaps.engines.symbolic_engine import SymbolicEngine
from pipeline.sourcemaps.files import ScrapedFile
from pipeline.sourcemaps.frame_selection import select_frames
from pipeline.sourcemaps.module import Attempt
from pipeline.sourcemaps.resolve import resolve_event
from pipeline.sourcemaps.stores.folder_store import FolderStore

SUITE = ROOT / "javascript"
PROJECT = 7
OWN = {"upstream_stale", "truth"}
"""Keys of an expected frame that are notes of the suite."""


def _events(file: Path) -> Iterable[tuple[str, Any]]:
    case = json.loads(file.read_text())
    return [("", case)] if case.get("kind") != "lookup" else []


def _lookups(file: Path) -> Iterable[tuple[str, Any]]:
    case = json.loads(file.read_text())
    return [("", case)] if case.get("kind") == "lookup" else []


def _rows(file: Path) -> Iterable[tuple[str, Any]]:
    tables = json.loads(file.read_text())
    return [(f"{table}-{number}", (table, row)) for table, rows in tables.items() for number, row in enumerate(rows)]


@pytest.mark.parametrize("case", suite_cases("javascript/cases/*.json", _events))
def test_event(case: dict[str, Any], tmp_path: Path) -> None:
    event = copy.deepcopy(case["event"])
    scraper = FakeScraper(case["scrape_server"]["files"]) if case["needs_http_scraping"] else None
    artifacts = Artifacts(FolderStore(_store(case, tmp_path)), SymbolicEngine(), scraper=scraper)
    _default_abs_path(event)
    selection = select_frames(event, PROJECT)
    attempts: list[Attempt] = []
    if selection is not None:
        modules = artifacts.look_up(selection.module_keys)
        resolve_event(event, selection, modules, artifacts.source)
        attempts = [attempt for module in modules.values() for attempt in module.attempts.values()]

    expected = case["expected"]
    (exception,) = event["exception"]["values"]
    _assert_frames(exception["stacktrace"]["frames"], expected["frames"], complete=expected["complete"])
    if "raw_frames" in expected:
        raw = exception.get("raw_stacktrace", exception["stacktrace"])["frames"]
        _assert_frames(raw, expected["raw_frames"], complete=expected["complete"])
    if "scraping_attempts" in expected:
        named = {attempt.url: {name: value for name, value in attempt._asdict().items() if value} for attempt in attempts}
        assert [named[url] for url in sorted(named)] == expected["scraping_attempts"]
    errors = event.get("errors", [])
    if "errors_sentry" in expected:
        assert errors == [_as_decided(error) for error in expected["errors_sentry"]]
    if "errors" in expected:
        wanted = [_as_decided(error) for error in expected["errors"]]
        for error in wanted:
            if error["type"] == "malformed_sourcemap":
                del error["abs_path"]  # Sentry stores the map's URL, not the file's
        assert [_in_symbolicators_words(error) for error in errors] == wanted


@pytest.mark.parametrize("case", suite_cases("javascript/cases/own_*.json", _events))
def test_names_from_the_original_text_are_those_of_the_unminified_run(case: dict[str, Any], tmp_path: Path) -> None:
    """With artifacts.function_names = "original". V8 names the receiver instead of the class, so own names are compared."""
    event = copy.deepcopy(case["event"])
    artifacts = Artifacts(FolderStore(_store(case, tmp_path)), SymbolicEngine(TreeSitterNames()))
    _default_abs_path(event)
    selection = select_frames(event, PROJECT)
    if selection is not None:
        resolve_event(event, selection, artifacts.look_up(selection.module_keys), artifacts.source)
    (exception,) = event["exception"]["values"]
    for frame, wanted in zip(exception["stacktrace"]["frames"], case["expected"]["frames"], strict=True):
        truth = (wanted.get("truth") or {}).get("function")
        if truth not in {None, "<anonymous>"} and frame.get("data", {}).get("symbolicated"):
            assert _own_name(frame["function"]) == _own_name(truth)


def _own_name(function: str) -> str:
    return function.partition(" [as ")[0].rpartition(".")[2].rpartition(" ")[2].lstrip("#")


class FakeScraper:
    """Serves a case's files by URL."""

    def __init__(self, files: dict[str, str]) -> None:
        self._files = files

    def fetch(self, url: str) -> ScrapedFile:
        """Return the file, or `not_found`."""
        path = self._files.get(url)
        return ScrapedFile((SUITE / path).read_bytes()) if path is not None else ScrapedFile(None, "not_found")


def _default_abs_path(event: dict[str, Any]) -> None:
    """Do what event normalization has done before symbolication."""
    for exception in event["exception"]["values"]:
        for frame in exception["stacktrace"]["frames"]:
            if "filename" in frame:
                frame.setdefault("abs_path", frame["filename"])


def _assert_frames(frames: list[dict[str, Any]], expected: list[dict[str, Any]], *, complete: bool) -> None:
    assert len(frames) == len(expected)
    for number, (frame, wanted) in enumerate(zip(frames, expected, strict=True)):
        for key in set(wanted) - OWN | (set(frame) - {"in_app"} if complete else set()):
            got, want = frame.get(key), wanted.get(key)
            if key == "data":
                _assert_data(got or {}, want or {}, f"frame {number}")
            else:
                assert _matches(got, want, absent=key not in frame), f"frame {number}: {key} is {got!r}, not {want!r}"


def _assert_data(got: dict[str, Any], want: dict[str, Any], where: str) -> None:
    want = {key: value for key, value in want.items() if key != "sourcemap_origin" and (key, value) != ("symbolicated", False)}
    for key in want:
        assert _matches(got.get(key), want[key], absent=key not in got), (
            f"{where}: data.{key} is {got.get(key)!r}, not {want[key]!r}"
        )


def _matches(got: object, want: object, *, absent: bool) -> bool:
    if isinstance(want, dict):
        if "$in" in want:
            return got in want["$in"]
        if "$falsy" in want:
            return not got
        if "$truthy" in want:
            return bool(got)
        if "$absent" in want:
            return absent
    return (got or None) == (want or None) if isinstance(want, list) else got == want


def _as_decided(error: dict[str, Any]) -> dict[str, Any]:
    names = {"scraping_disabled": "missing_source", "js_scraping_disabled": "js_no_source"}
    return {key: names.get(value, value) if isinstance(value, str) else value for key, value in error.items()}


def _in_symbolicators_words(error: dict[str, Any]) -> dict[str, Any]:
    """Turn an error as stored back into symbolicator's own form."""
    kind = error["symbolicator_type"]
    if kind == "invalid_location":
        return {"abs_path": error["source"], "type": kind, "line": error["row"], "col": error["column"]}
    if kind == "malformed_sourcemap":
        return {"type": kind, "url": error["url"]}
    return {"abs_path": error["url"], "type": kind}


def _store(case: dict[str, Any], folder: Path) -> Path:
    """Put a case's artifacts into a store: bundles as they are, single files of a release together."""
    event_release = case["event"].get("release")
    release_files = defaultdict(list)
    for number, artifact in enumerate(case["artifacts"]):
        release = artifact.get("release", event_release)
        if artifact["kind"] == "file":
            file_type = "source_map" if artifact["path"].endswith(".map") else "minified_source"
            headers = artifact["headers"] | ({"debug-id": artifact["debug_id"]} if "debug_id" in artifact else {})
            file = BuiltFile(artifact["url"], (SUITE / artifact["path"]).read_bytes(), file_type, headers)
            release_files[release, artifact.get("dist"), artifact["resolved_with"]].append(file)
            continue
        bound = {"release": artifact["release"], "dist": artifact.get("dist")} if "release" in artifact else {}
        if artifact.get("resolved_with") == "release-old":
            bound["resolved_with"] = "release-old"
        path = rewrite_manifest(SUITE / artifact["path"], folder / str(PROJECT) / f"{number}.zip", **bound)
        os.utime(path, (number, number))
    for number, ((release, dist, resolved_with), files) in enumerate(release_files.items()):
        path = folder / str(PROJECT) / f"files-{number}.zip"
        write_bundle(path, files, release=release, dist=dist, resolved_with=resolved_with, kind="release_files")
    return folder


@pytest.mark.parametrize("case", suite_cases("javascript/cases/*.json", _lookups))
def test_lookup(case: dict[str, Any]) -> None:
    minified = (SUITE / case["minified"]).read_bytes() if case["minified"] else b""
    parsed = SymbolicEngine().parse(minified, (SUITE / case["sourcemap"]).read_bytes())
    for lookup in case["lookups"]:
        position = parsed.locate(lookup["lineno"], lookup["colno"])
        assert position is not None
        got = {
            "src": position.source,
            "line": position.line,
            "col": position.column,
            "function_name": "<unknown>" if position.scope is None else position.scope or "<anonymous>",
            "context_line": position.context.line + "\n" if position.context else None,
        }
        assert {key: got[key] for key in lookup["expected"]} == lookup["expected"]


def _data_url(url: str) -> str | None:
    try:
        decoded = map_references.decode_data_url(url)
    except map_references.InvalidDataUrlError:
        return "ERR"
    return None if decoded is None else decoded.decode()


TABLES: dict[str, Callable[..., object]] = {
    "generate_module": urls.generate_module,
    "strip_hostname": urls.strip_hostname,
    "fold_function_name": function_names.fold_repeats,
    "join_paths": urls.join_urls,
    "fixup_webpack_filename": urls.clean_webpack_name,
    "fixup_turbopack_filename": urls.clean_turbopack_name,
    "release_file_candidate_urls": urls.candidate_urls,
    "get_function_for_token": lambda row: function_names.choose_name(row["token"], row["frame"], row["callsite"]),
    "data_urls": _data_url,
    "discover_sourcemaps_location": lambda text: map_references.find_map_comment(text.encode()),
    "discover_debug_id": lambda text: map_references.find_debug_id_comment(text.encode()),
    "trim_context_line": source_text.trim_line,
    "is_in_app__until_2025_03": urls.is_in_app,
}


@pytest.mark.parametrize("case", suite_cases("javascript/tables.json", _rows))
def test_table(case: tuple[str, Any]) -> None:
    table, row = case
    if isinstance(row, dict):
        assert TABLES[table](row) == row["out"]
    else:
        *arguments, expected = row
        assert TABLES[table](*arguments) == expected
