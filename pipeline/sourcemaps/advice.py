"""What `pipeline sourcemaps check` finds about a frame that was not resolved, and what it advises.

Each finding must be true, and each command must resolve the frame. A test runs the commands.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.sourcemaps.bundle import Bundle, BundledFile
from pipeline.sourcemaps.engines.probe import ProbeResult
from pipeline.sourcemaps.map_references import urls_beside
from pipeline.sourcemaps.module import EventBuild, Module, Problem
from pipeline.sourcemaps.project_index import ProjectIndex
from pipeline.sourcemaps.urls import decode_url, is_web_url, lookup_urls, path_below_any_host, path_in_program

_MEMBER_PREFIX = "files/_/_/"
"""Prefix of a file's path in bundles that `pipeline sourcemaps add` and sentry-cli make."""
_EXTENSION = re.compile(r"[a-z-]+-extension:")
_MADE_AT_RUN_TIME = ("blob:", "data:", "javascript:", "about:", "<anonymous>", "eval at ", "webpack-internal:")
_SCRIPT_SUFFIX = re.compile(r"\.(?:[cm]?[jt]sx?|vue|svelte|bundle|jsbundle|wasm)$", re.IGNORECASE)
_USE_DEBUG_IDS = "build with debug ids (`sentry-cli sourcemaps inject`)"


class Advice(NamedTuple):
    """Findings, a sentence each, and what would resolve the frame, or None if nothing would."""

    found: list[str]
    action: str | None


@dataclass(frozen=True, slots=True)
class WantedFile:
    """A file that a frame needs, and the ids and URLs to look it up by. `images` are the event's debug ids by `code_file`."""

    module: Module
    what: str
    url: str | None
    debug_id: str | None
    file_type: str
    index: ProjectIndex
    images: Mapping[str, str]

    @property
    def urls(self) -> list[str]:
        """The names that are tried, in their order."""
        names = lookup_urls(self.url) if self.url is not None else []
        if self.file_type == "source_map" and self.module.reference is not None:
            names += [name for url in urls_beside(self.module.key.url, self.module.reference) for name in lookup_urls(url)]
        return list(dict.fromkeys(names))


def explain_problem(problem: Problem, code: WantedFile, source_map: WantedFile | None) -> Advice:
    """Explain why a module could not be used."""
    module = code.module
    if problem.reason == "too_large":
        return Advice(
            [f"too large: {problem.detail}"],
            "raise artifacts.max_file_bytes in the settings, or split the build into smaller chunks",
        )
    if problem.reason == "damaged_bundle":
        return Advice([f"the bundle is damaged: {problem.detail}"], add_command(module))
    if problem.reason == "store_unavailable":
        return Advice(
            [f"the artifact store does not answer: {problem.detail}"], "make the store reachable, then replay the event"
        )
    if isinstance(problem.reason, ProbeResult):
        return Advice([f"{problem.url} cannot be parsed: {problem.detail}"], _PARSER_ADVICE[problem.reason])
    if problem.kind == "malformed_sourcemap":
        what = problem.detail if problem.url == module.key.url else f"{problem.url} is not a source map: {problem.detail}"
        return Advice([what], f"build the map again, then {add_command(module)}")
    wanted = source_map if problem.kind != "missing_source" and source_map is not None else code
    advice = _explain_missing(wanted)
    _, fetching, result = problem.detail.partition("fetching it: ")
    return advice._replace(found=[f"fetching it from its server: {result}", *advice.found]) if fetching else advice


_PARSER_ADVICE = {
    ProbeResult.OUT_OF_MEMORY: "raise artifacts.parse_memory_bytes in the settings, or split the build into smaller chunks",
    ProbeResult.TOO_SLOW: "raise artifacts.parse_cpu_s in the settings, or split the build into smaller chunks",
    ProbeResult.CRASHED: "have the minifier write less deeply nested code",
    ProbeResult.UNKNOWN: "look into the log for why no child process could be started, then replay the event",
}


def explain_warning(warning: Problem) -> Advice:
    """Explain why a frame was resolved without the name of its function."""
    assert isinstance(warning.reason, ProbeResult)  # noqa: S101 -- set by `load_module`
    found = f"function names are those of the built file: {warning.detail} ({warning.reason})"
    return Advice([found], f"{_PARSER_ADVICE[warning.reason]}; positions are right as they are")


def _explain_missing(wanted: WantedFile) -> Advice:
    """Look for the file under other names, releases and dists, because most failures are slightly wrong names."""
    build, url = wanted.module.key.build, wanted.url
    found = [f"{bundle.stored.name}: {damage}" for bundle in wanted.index.bundles for damage in bundle.damage[:3]]
    if not wanted.index.bundles:
        found.append(f"project {build.project_id} has no artifacts")
    if wanted.debug_id is not None:
        found.append(_explain_debug_id(wanted, wanted.debug_id))
    if url is None:
        return Advice(found, add_command(wanted.module))
    elsewhere = [
        each
        for each in wanted.index.with_url(lookup_urls(url))
        if build.release is None or (each.bundle.release, each.bundle.dist) != (build.release, build.dist)
    ]
    if elsewhere:
        advice = _explain_elsewhere(wanted, [each.bundle for each in elsewhere])
        return Advice(found + advice.found, advice.action)
    special = _explain_path(wanted.module) if wanted.file_type == "minified_source" and wanted.debug_id is None else None
    if special is not None:
        return Advice(found + special.found, special.action)
    advice = _explain_name(wanted, url)
    found += advice.found
    if build.release is not None or wanted.debug_id is not None:
        return Advice(found, advice.action)
    if wanted.images:
        found.append(_without_debug_id(wanted.images))
        action = "let the SDK note images and frames with the same paths, or set its `release` and upload the build for it"
        return Advice(found, action)
    found.append("the event names neither a release nor debug ids: there is nothing to find its artifacts by")
    return Advice(found, "set `release` in the SDK's options and upload the build for it, or upload a build with debug ids")


def _explain_debug_id(wanted: WantedFile, debug_id: str) -> str:
    for bundle in wanted.index.bundles:
        types = sorted(file_type for each, file_type in bundle.by_debug_id if each == debug_id)
        if types:
            return f"{bundle.stored.name} holds no {wanted.file_type} with this debug id, only {' and '.join(types)}"
    return f"no bundle holds {wanted.what} with this debug id: the build that ran was never uploaded, or is gone"


def _explain_elsewhere(wanted: WantedFile, bundles: list[Bundle]) -> Advice:
    """Explain a file whose URL exists for another release or dist, or only for debug ids."""
    build, first = wanted.module.key.build, bundles[0]
    of_releases = [bundle for bundle in bundles if bundle.release is not None]
    found = []
    if not of_releases:
        found.append(f"{first.stored.name} has this URL only for its debug ids, as it was added without a release")
        if wanted.debug_id is None:
            why = _without_debug_id(wanted.images) if wanted.images else "the event names no debug ids"
            found.append(f"{why}: the SDK sends none, or the build that ran had none")
        if build.release is None:
            return Advice(found, "use an SDK that sends debug ids, or set its `release` and add the build for that release")
        return Advice(found, add_command(wanted.module))
    if build.release is None:
        bundle = of_releases[0]
        found.append(f"the event names no release; {bundle.stored.name} has this URL for {_bound(bundle.release, bundle.dist)}")
        release = f"release {bundle.release!r}" + (f" and dist {bundle.dist!r}" if bundle.dist else "")
        return Advice(found, f"set {release} in the SDK's options, or build with debug ids")
    of_event = _bound(build.release, build.dist)
    for bundle in of_releases[:3]:
        where = _bound(bundle.release, bundle.dist)
        found.append(f"{bundle.stored.name} has this URL, but for {where}; the event is of {of_event}")
    return Advice(found, add_command(wanted.module))


def _explain_path(module: Module) -> Advice | None:
    """Explain a path that no upload can resolve, or only one under another path. None for other paths."""
    url = module.key.url
    if _EXTENSION.match(url):
        return Advice(
            ["the file is of a browser extension of the user, not of the build"],
            "nothing to upload; the filter `browser-extensions` drops such events",
        )
    if url.startswith(_MADE_AT_RUN_TIME):
        return Advice(
            ["the code was made while the page ran, as by eval, a blob or a development build, so it is in no built file"],
            "load the code from a file; for a bundler's development build, choose source maps in files of their own",
        )
    if is_web_url(url):
        name = path_below_any_host(url).rpartition("/")[2]
        if not _SCRIPT_SUFFIX.search(decode_url(name)):
            return Advice(
                ["this is the address of a page, or of a script without a suffix; frames of a page are in its inline scripts"],
                "move inline scripts into files that the bundler builds",
            )
        return None
    inside = path_in_program(url)
    if inside is None and not url.startswith("file:"):
        return None
    found = ["the path is one on the user's machine, and another on the next"]
    if inside is None:
        return Advice(found, f"{_USE_DEBUG_IDS}, or let the SDK's RewriteFrames make paths such as app:///dist/app.js of them")
    prefix = f"app:///{inside}".rpartition("/")[0]
    return Advice(found, f"{_USE_DEBUG_IDS}, or {_add_command(module, prefix if inside.count('/') else 'app:///')}")


def _explain_name(wanted: WantedFile, url: str) -> Advice:
    """Look for files of the same name under other folders."""
    build, index = wanted.module.key.build, wanted.index
    path = decode_url(path_below_any_host(url))
    name = path.rpartition("/")[2]
    same_name = [
        (bundle, file) for bundle in index.bundles for file in bundle.files if decode_url(file.url).rpartition("/")[2] == name
    ]
    of_build = [pair for pair in same_name if (pair[0].release, pair[0].dist) == (build.release, build.dist)]
    tail = ", which is not one of the names tried" if build.release is not None or build.debug_ids else ""
    found = [f"{bundle.stored.name} has {name} as {file.url}{tail}" for bundle, file in (of_build or same_name)[:3]]
    if index.bundles and not same_name:
        found.append(f"no bundle of project {build.project_id} has a file called {name}")
    prefixes = [prefix for _, file in of_build or same_name for prefix in _prefixes(path, file)]
    return Advice(found, _add_command(wanted.module, prefixes[0]) if prefixes else add_command(wanted.module))


def _prefixes(path: str, file: BundledFile) -> list[str]:
    """Return URL prefixes with which adding this file's folder again would put the file at `path`."""
    member = file.member.name
    inside = member.removeprefix(_MEMBER_PREFIX)
    return [path.removesuffix("/" + inside)] if member != inside and path.endswith("/" + inside) else []


def explain_no_reference(code: WantedFile) -> Advice:
    """Explain a file that names no map."""
    module = code.module
    [beside] = urls_beside(module.key.url, "")[1:]
    there = code.index.find(module.key.build, lookup_urls(beside), debug_id=None, file_type="source_map")
    found = ["the file has no sourceMappingURL and the event no debug id for it, so it counts as a source file"]
    if there is not None:
        found.append(f"{there.bundle.stored.name} has {there.file.url}, which nothing names; `add` names a map beside its file")
        return Advice(found, add_command(module))
    return Advice(found, f"build with source maps, then {add_command(module)}")


def explain_position(line: int, column: int, code: WantedFile) -> Advice:
    """Explain a position for which the map has no token."""
    module = code.module
    lines = module.minified.line_count if module.minified is not None else 0
    position = f"line {line}, column {column}"
    build = module.key.build
    is_the_build = code.debug_id is not None and code.index.find(build, (), debug_id=code.debug_id, file_type=code.file_type)
    if is_the_build:
        found = f"the map has nothing at {position}"
        found = f"{position}: the uploaded file has {lines} lines" if line > lines else found
        return Advice(
            [f"{found}, although its debug id is the frame's: code that was added to the file while or after it was built"],
            "nothing to upload; if other frames of this file are wrong too, look for what changes it on its way to the browser",
        )
    if line > lines:
        found = f"{position}: the uploaded file has {lines} lines, so it is not the one that ran"
    else:
        found = f"the map has nothing at {position}: code that the bundler added, or a map of another build"
    return Advice([found], f"if other frames of this file are wrong too, upload the build that ran: {add_command(module)}")


def _without_debug_id(images: Mapping[str, str]) -> str:
    names = ", ".join(list(images)[:3]) + (f" and {len(images) - 3} more" if len(images) > 3 else "")
    return f"the event names debug ids for {names}, and none for this file"


def _bound(release: str | None, dist: str | None) -> str:
    if release is None:
        return "no release"
    return f"release {release!r}, " + (f"dist {dist!r}" if dist is not None else "no dist")


def add_command(module: Module) -> str:
    """Return the command that uploads the file's folder to where this frame would find it."""
    return _add_command(module, decode_url(path_below_any_host(module.key.url)).rpartition("/")[0])


def _add_command(module: Module, prefix: str) -> str:
    build: EventBuild = module.key.build
    command = ["pipeline", "sourcemaps", "add", "BUILD_FOLDER", "--project", str(build.project_id)]
    if build.release is not None:
        command += ["--release", build.release]
        command += ["--dist", build.dist] if build.dist is not None else []
    if prefix != "~":
        command += ["--url-prefix", prefix]
    return f"`{shlex.join(command)}`"
