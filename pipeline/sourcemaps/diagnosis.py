"""Why a frame was not resolved, and what to do about it. `pipeline sourcemaps check` prints this."""

from __future__ import annotations

import copy
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pipeline.sourcemaps.artifacts import Artifacts
from pipeline.sourcemaps.frame_selection import Frame, is_builtin, select_frames
from pipeline.sourcemaps.module import Module, Problem
from pipeline.sourcemaps.project_index import FoundFile, ProjectIndex
from pipeline.sourcemaps.resolve import resolve_event
from pipeline.sourcemaps.urls import candidate_urls, join_urls


@dataclass(slots=True)
class FrameDiagnosis:
    """What happened to one frame.

    `tried` holds the names that were looked for, in order, each with the result. `found` holds what that means.
    `outcome` is `resolved`, `in part`, `unresolved` or `not looked up`. `action` is what would fix it.
    """

    frame: str
    outcome: str
    resolved_to: str | None = None
    tried: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    action: str | None = None

    def to_text(self) -> str:
        """Return the lines that `check` prints: the outcome, each name that was tried, what that means, and what to do."""
        lines = [f"{self.outcome:<14}{self.frame}"]
        lines += [f"{'is':>12}  {self.resolved_to}"] if self.resolved_to is not None else []
        lines += [f"{'tried':>12}  {line}" for line in self.tried]
        lines += [f"{'found':>12}  {line}" for line in self.found]
        lines += [f"{'do':>12}  {self.action}"] if self.action is not None else []
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A file that a frame needs, and what it is looked up by."""

    module: Module
    what: str
    url: str | None
    debug_id: str | None
    file_type: str
    index: ProjectIndex


def diagnose_event(event: dict[str, Any], project_id: int, artifacts: Artifacts) -> list[FrameDiagnosis]:
    """Resolve a copy of a normalized event, and return what happened to each frame, the caller first."""
    resolved = copy.deepcopy(event)
    selection = select_frames(resolved, project_id)
    if selection is None:
        return [
            FrameDiagnosis("(all frames)", "not looked up", found=["the event has no frame of a JavaScript file with a line"])
        ]
    modules = artifacts.look_up(selection.module_keys)
    resolve_event(resolved, selection, modules, artifacts.source)
    index = artifacts.index(project_id)
    diagnoses = []
    for selected in selection.stacktraces:
        for raw, key, frame in zip(selected.frames, selected.modules, selected.stacktrace["frames"], strict=True):
            if key is None:
                diagnoses.append(_not_looked_up(raw, resolved.get("platform")))
            else:
                diagnoses.append(_diagnose_frame(raw, frame, modules.get(key), index))
    return diagnoses


def _describe(frame: Frame) -> str:
    place = ":".join(str(frame[key]) for key in ("lineno", "colno") if frame.get(key) is not None)
    return f"{frame.get('function') or '?'}  {frame.get('abs_path') or frame.get('filename') or '?'}{':' if place else ''}{place}"


def _not_looked_up(frame: Frame, platform: object) -> FrameDiagnosis:
    abs_path = frame.get("abs_path")
    if not isinstance(abs_path, str) or not abs_path:
        why = "it names no file"
    elif is_builtin(abs_path, frame.get("platform") or platform):
        why = "it is in the engine or the runtime itself"
    elif not isinstance(frame.get("lineno"), int):
        why = "it names no line"
    else:
        why = f"its platform is {frame.get('platform') or platform!r}"
    return FrameDiagnosis(_describe(frame), "not looked up", found=[why])


def _diagnose_frame(raw: Frame, frame: Frame, module: Module | None, index: ProjectIndex) -> FrameDiagnosis:
    diagnosis = FrameDiagnosis(_describe(raw), "unresolved")
    if module is None or raw["lineno"] <= 0:
        diagnosis.found.append(f"line {raw['lineno']} is not in any file: lines count from 1")
        diagnosis.action = "look at what made the stack trace: the SDK, or code that changes events before they are sent"
        return diagnosis
    code = _Asked(module, "the built file", module.key.url, module.key.debug_id, "minified_source", index)
    diagnosis.tried += _tried(code)
    source_map = None
    if module.minified is not None and (module.map_url is not None or module.problem is not None):
        reference = module.reference
        map_url = join_urls(module.key.url, reference) if reference and not reference.startswith("data:") else None
        if map_url is not None or (module.key.debug_id is not None and not (reference or "").startswith("data:")):
            source_map = _Asked(module, "the map", map_url, module.key.debug_id, "source_map", index)
            diagnosis.tried += _tried(source_map)
    if (frame.get("data") or {}).get("symbolicated"):
        diagnosis.outcome = "resolved"
        diagnosis.resolved_to = _describe(frame)
        _explain_partly(diagnosis, module, frame)
    elif module.problem is not None:
        _explain_problem(diagnosis, module.problem, code, source_map)
    elif module.map is None:
        diagnosis.found.append("the file has no sourceMappingURL and the event no debug id for it, so it counts as a source file")
        diagnosis.action = f"build with source maps, then {_add_command(module)}"
    else:
        _explain_location(diagnosis, raw, module)
    return diagnosis


def _tried(asked: _Asked) -> Iterator[str]:
    """Return a line for each name under which a file was looked up: where it was found, or that it was not."""
    build = asked.module.key.build
    found = asked.index.find(
        build, candidate_urls(asked.url) if asked.url else (), debug_id=asked.debug_id, file_type=asked.file_type
    )
    if asked.debug_id is not None:
        by_id = asked.index.find(build, (), debug_id=asked.debug_id, file_type=asked.file_type)
        yield f"{asked.what} by debug id {asked.debug_id}: {_where(by_id)}"
        if by_id is not None:
            return
    if asked.url is None:
        return
    if build.release is None and not build.debug_ids:
        yield f"{asked.what} by URL: not tried, the event has no release"
        return
    for url in candidate_urls(asked.url):
        by_url = asked.index.find(build, (url,), debug_id=None, file_type=asked.file_type)
        yield f"{asked.what} as {url}: {_where(by_url)}"
        if by_url is not None and found is not None and by_url.bundle is found.bundle:
            return


def _where(found: FoundFile | None) -> str:
    return f"in {found.bundle.stored.name}" if found is not None else "not found"


def _explain_problem(diagnosis: FrameDiagnosis, problem: Problem, code: _Asked, source_map: _Asked | None) -> None:
    module = code.module
    if problem.reason == "too_large":
        diagnosis.found.append(f"too large: {problem.detail}")
        diagnosis.action = "raise artifacts.max_file_bytes in the settings, or split the build into smaller chunks"
    elif problem.reason == "damaged_bundle":
        diagnosis.found.append(f"the bundle is damaged: {problem.detail}")
        diagnosis.action = _add_command(module)
    elif problem.reason == "store_unavailable":
        diagnosis.found.append(f"the artifact store does not answer: {problem.detail}")
        diagnosis.action = "make the store reachable, then replay the event"
    elif problem.kind == "malformed_sourcemap":
        diagnosis.found.append(f"{problem.url} is not a source map: {problem.detail}")
        diagnosis.action = f"build the map again, then {_add_command(module)}"
    elif problem.kind == "missing_source":
        if problem.detail.startswith("its sourceMappingURL"):
            diagnosis.found.append(problem.detail)
        _explain_missing(diagnosis, code)
    elif source_map is not None:
        _explain_missing(diagnosis, source_map)


def _explain_missing(diagnosis: FrameDiagnosis, asked: _Asked) -> None:
    """Look for the file under other names, releases and dists, because most failures are a name that is nearly right."""
    build, url = asked.module.key.build, asked.url or asked.module.key.url
    name = url.split("#")[0].split("?")[0].rpartition("/")[2]
    for bundle in asked.index.bundles:
        diagnosis.found += [f"{bundle.stored.name}: {damage}" for damage in bundle.damage[:3]]
    if not asked.index.bundles:
        diagnosis.found.append(f"project {build.project_id} has no artifacts")
    if asked.debug_id is not None:
        diagnosis.found.append(
            f"no bundle holds {asked.what} with this debug id: the build that ran was never uploaded, or is gone"
        )
    elsewhere = asked.index.with_url(candidate_urls(url))
    if build.release is None and elsewhere:
        bundle = elsewhere[0].bundle
        diagnosis.found.append(
            f"the event names no release; {bundle.stored.name} has this URL for {_bound(bundle.release, bundle.dist)}"
        )
        wanted = f"release {bundle.release!r}" + (f" and dist {bundle.dist!r}" if bundle.dist else "")
        diagnosis.action = f"set {wanted} in the SDK's options, or build with debug ids"
        return
    if elsewhere:
        for found in elsewhere[:3]:
            where = _bound(found.bundle.release, found.bundle.dist)
            diagnosis.found.append(
                f"{found.bundle.stored.name} has this URL, but for {where}; the event is of {_bound(build.release, build.dist)}"
            )
        diagnosis.action = _add_command(asked.module)
        return
    same_name = [
        (bundle, file.url) for bundle in asked.index.bundles for file in bundle.files if file.url.rpartition("/")[2] == name
    ]
    of_release = [pair for pair in same_name if (pair[0].release, pair[0].dist) == (build.release, build.dist)]
    for bundle, other in (of_release or same_name)[:3]:
        diagnosis.found.append(f"{bundle.stored.name} has {name} as {other}, which is not one of the names tried")
    if asked.index.bundles and not same_name:
        diagnosis.found.append(f"no bundle of project {build.project_id} has a file called {name}")
    diagnosis.action = _add_command(asked.module)
    if build.release is None and asked.debug_id is None:
        diagnosis.found.append("the event names neither a release nor debug ids: there is nothing to find its artifacts by")
        diagnosis.action = "set `release` in the SDK's options and upload the build for it, or upload a build with debug ids"


def _explain_location(diagnosis: FrameDiagnosis, raw: Frame, module: Module) -> None:
    lines = module.minified.line_count if module.minified is not None else 0
    place = f"line {raw['lineno']}, column {raw.get('colno') or 0}"
    if raw["lineno"] > lines:
        diagnosis.found.append(f"{place}: the uploaded file has {lines} lines, so it is not the one that ran")
    else:
        diagnosis.found.append(f"the map has nothing at {place}: code that the bundler added, or a map of another build")
    diagnosis.action = f"if other frames of this file are wrong too, upload the build that ran: {_add_command(module)}"


def _explain_partly(diagnosis: FrameDiagnosis, module: Module, frame: Frame) -> None:
    if "context_line" not in frame:
        diagnosis.outcome = "in part"
        without = module.map.sources_without_content() if module.map is not None else []
        diagnosis.found.append(
            f"the map has {len(without)} sources without content; {frame.get('filename')} was not uploaded either"
        )
        diagnosis.action = f"build with the sources in the map (sourcesContent), then {_add_command(module)}"
    if module.warning is not None:
        diagnosis.outcome = "in part"
        diagnosis.found.append(f"function names are those of the built file: {module.warning.detail} ({module.warning.reason})")
        diagnosis.action = diagnosis.action or "have the minifier write less deeply nested code; positions are right as they are"


def _bound(release: str | None, dist: str | None) -> str:
    if release is None:
        return "no release"
    return f"release {release!r}, " + (f"dist {dist!r}" if dist is not None else "no dist")


def _add_command(module: Module) -> str:
    """Return the command that uploads the build to where this frame would find it."""
    build, url = module.key.build, module.key.url
    command = ["pipeline", "sourcemaps", "add", "BUILD_FOLDER", "--project", str(build.project_id)]
    if build.release is not None:
        command += ["--release", build.release]
        command += ["--dist", build.dist] if build.dist is not None else []
    folder = candidate_urls(url)[-1].rpartition("/")[0]
    if folder != "~":
        command += ["--url-prefix", folder]
    return f"`{shlex.join(command)}`"
