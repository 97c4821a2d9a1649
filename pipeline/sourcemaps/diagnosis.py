"""Explains why a frame was not resolved, and what to do. `pipeline sourcemaps check` prints this."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pipeline.model.event import Event, Frame, frame_slots, platform_of
from pipeline.sourcemaps.advice import (
    WantedFile,
    add_command,
    explain_no_reference,
    explain_position,
    explain_problem,
    explain_warning,
)
from pipeline.sourcemaps.artifacts import Artifacts
from pipeline.sourcemaps.frame_selection import MAX_PATH, is_builtin, read_build, select_frames
from pipeline.sourcemaps.module import Module
from pipeline.sourcemaps.project_index import FoundFile, ProjectIndex
from pipeline.sourcemaps.resolve import resolve_event
from pipeline.sourcemaps.urls import join_urls


@dataclass(slots=True)
class FrameDiagnosis:
    """What happened to one frame.

    `tried` holds the names that were looked for, in order, each with its result. `found` explains these results.
    `outcome` is `resolved`, `in part`, `unresolved` or `not looked up`. `action` says what would resolve the frame.
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


def diagnose_event(event: Event, project_id: int, artifacts: Artifacts) -> list[FrameDiagnosis]:
    """Resolve a copy of a normalized event, and return what happened to each frame, the caller first."""
    resolved = copy.deepcopy(event)
    selection = select_frames(resolved, project_id)
    if selection is None:
        return [
            FrameDiagnosis("(all frames)", "not looked up", found=["the event has no frame of a JavaScript file with a line"])
        ]
    modules = artifacts.look_up(selection.module_keys)
    resolve_event(resolved, selection, modules, artifacts.source)
    index, (_, images) = artifacts.index(project_id), read_build(event, project_id)
    diagnoses = []
    for selected in selection.stacktraces:
        for raw, key, frame in zip(selected.frames, selected.modules, frame_slots(selected.stacktrace), strict=True):
            if raw is None or frame is None:
                continue  # a frame that was refused
            if key is None:
                diagnoses.append(_not_looked_up(raw, platform_of(resolved)))
            else:
                diagnoses.append(_diagnose_frame(raw, frame, modules.get(key), index, images))
    return diagnoses


def _describe(frame: Frame) -> str:
    place = ":".join(str(number) for number in (frame.get("lineno"), frame.get("colno")) if number is not None)
    return f"{frame.get('function') or '?'}  {frame.get('abs_path') or frame.get('filename') or '?'}{':' if place else ''}{place}"


def _not_looked_up(frame: Frame, platform: str) -> FrameDiagnosis:
    abs_path = frame.get("abs_path")
    if not abs_path:
        why = "it names no file"
    elif is_builtin(abs_path, frame.get("platform") or platform):
        why = "it is in the engine or the runtime itself"
    elif frame.get("lineno") is None:
        why = "it names no line"
    elif len(abs_path) > MAX_PATH:
        why = f"its path is longer than {MAX_PATH} characters"
    else:
        why = f"its platform is {frame.get('platform') or platform!r}"
    return FrameDiagnosis(_describe(frame), "not looked up", found=[why])


def _diagnose_frame(
    raw: Frame, frame: Frame, module: Module | None, index: ProjectIndex, images: Mapping[str, str]
) -> FrameDiagnosis:
    diagnosis = FrameDiagnosis(_describe(raw), "unresolved")
    line = raw.get("lineno") or 0
    if module is None or line <= 0:
        diagnosis.found.append(f"line {line} is not in any file: lines count from 1")
        diagnosis.action = "look at what made the stack trace: the SDK, or code that changes events before they are sent"
        return diagnosis
    code = WantedFile(module, "the built file", module.key.url, module.key.debug_id, "minified_source", index, images)
    diagnosis.tried += _tried(code)
    source_map = None
    if module.minified is not None and (module.map_url is not None or module.problem is not None):
        reference = module.reference
        map_url = join_urls(module.key.url, reference) if reference and reference != "data:" else None
        if map_url is not None or (module.key.debug_id is not None and reference != "data:"):
            source_map = WantedFile(module, "the map", map_url, module.key.debug_id, "source_map", index, images)
            diagnosis.tried += _tried(source_map)
    if (frame.get("data") or {}).get("symbolicated"):
        _explain_resolved(diagnosis, module, frame)
        return diagnosis
    if module.problem is not None:
        advice = explain_problem(module.problem, code, source_map)
    elif module.map is None:
        advice = explain_no_reference(code)
    else:
        advice = explain_position(line, raw.get("colno") or 0, code)
    diagnosis.found += advice.found
    diagnosis.action = advice.action
    return diagnosis


def _tried(wanted: WantedFile) -> Iterator[str]:
    """Return a line for each name under which a file was looked up: where it was found, or that it was not."""
    build = wanted.module.key.build
    if wanted.debug_id is not None:
        by_id = wanted.index.find(build, (), debug_id=wanted.debug_id, file_type=wanted.file_type)
        yield f"{wanted.what} by debug id {wanted.debug_id}: {_where(by_id)}"
        if by_id is not None:
            return
    if wanted.url is None:
        return
    if build.release is None and not build.debug_ids:
        yield f"{wanted.what} by URL: not tried, the event has no release"
        return
    found = wanted.index.find(build, wanted.urls, debug_id=None, file_type=wanted.file_type)
    for url in wanted.urls:
        by_url = wanted.index.find(build, (url,), debug_id=None, file_type=wanted.file_type)
        yield f"{wanted.what} as {url}: {_where(by_url)}"
        if by_url is not None and found is not None and by_url.bundle is found.bundle:
            return


def _where(found: FoundFile | None) -> str:
    return f"in {found.bundle.stored.name}" if found is not None else "not found"


def _explain_resolved(diagnosis: FrameDiagnosis, module: Module, frame: Frame) -> None:
    """Add what the frame was resolved to, and what is missing: context lines or the name of the function."""
    diagnosis.outcome, diagnosis.resolved_to = "resolved", _describe(frame)
    if "context_line" not in frame:
        diagnosis.outcome = "in part"
        without = module.map.sources_without_content() if module.map is not None else []
        diagnosis.found.append(
            f"the map has {len(without)} sources without content; {frame.get('filename')} was not uploaded either"
        )
        diagnosis.action = f"build with the sources in the map (sourcesContent), then {add_command(module)}"
    if module.warning is not None:
        diagnosis.outcome = "in part"
        advice = explain_warning(module.warning)
        diagnosis.found += advice.found
        diagnosis.action = diagnosis.action or advice.action
