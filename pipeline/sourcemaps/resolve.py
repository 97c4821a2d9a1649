"""Resolves minified frames into original ones, with modules that were looked up before (docs/spec/source-maps.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from pipeline.model.event import Event, Frame, platform_of
from pipeline.sourcemaps.engines.contract import SourcePosition
from pipeline.sourcemaps.event_errors import EventErrors
from pipeline.sourcemaps.frame_selection import FrameSelection, SelectedStacktrace, is_builtin
from pipeline.sourcemaps.function_names import choose_name, fold_repeats, scoped_name
from pipeline.sourcemaps.module import Module, ModuleKey
from pipeline.sourcemaps.source_text import SourceContext, SourceText

SourceLookup = Callable[[Module, str], SourceText | None]


class FrameCounts(NamedTuple):
    """How many frames of an event were looked up, and how many of them were resolved."""

    looked_up: int
    resolved: int


def resolve_event(
    event: Event, selection: FrameSelection, modules: Mapping[ModuleKey, Module], find_source: SourceLookup
) -> FrameCounts:
    """Resolve the selected frames in place, and add to the event's errors why others could not be resolved.

    Resolving an event again changes nothing.
    """
    errors = EventErrors()
    looked_up = resolved = 0
    for selected in selection.stacktraces:
        raw, frames, count = _resolve_stacktrace(selected, platform_of(event), modules, find_source, errors)
        selected.stacktrace["frames"] = frames
        if selected.container is not None:
            selected.container["raw_stacktrace"] = {**selected.stacktrace, "frames": raw}
        looked_up += sum(key is not None for key in selected.modules)
        resolved += count
    errors.write_to(event)
    _write_fetches(event, (modules[key] for key in selection.module_keys))
    return FrameCounts(looked_up, resolved)


def _write_fetches(event: Event, modules: Iterable[Module]) -> None:
    """Write to the event which files were requested from public servers, and the results. Write nothing if none was."""
    attempts = {url: attempt for module in modules for url, attempt in module.attempts.items() if attempt.was_fetched}
    if attempts:
        event["scraping_attempts"] = [attempts[url].to_json() for url in sorted(attempts)]


def _resolve_stacktrace(
    selected: SelectedStacktrace,
    platform: str,
    modules: Mapping[ModuleKey, Module],
    find_source: SourceLookup,
    errors: EventErrors,
) -> tuple[list[Frame | None], list[Frame | None], int]:
    """Return the raw frames, the resolved frames, and the number of frames that were resolved."""
    raw_frames: list[Frame | None] = []
    frames: list[Frame | None] = []
    resolved = 0
    callsite: str | None = None
    for frame, key in zip(selected.frames, selected.modules, strict=True):
        if frame is None or key is None:
            raw_frames.append(frame)
            frames.append(frame and _as_skipped(frame, platform))
            continue
        caller_name, callsite = callsite, None
        line, column = frame.get("lineno") or 0, _column(frame)
        module = modules.get(key)
        raw: Frame = {**frame, "abs_path": key.url}
        if module is None or line <= 0:
            errors.add_invalid_location(key.url, line, column)
        elif module.minified is not None:
            _put_context(raw, module.minified.context(line, column))
        raw_frames.append(raw)
        position = None
        if module is not None and line > 0:
            errors.add_problems(module)
            if module.map is not None:
                position = module.map.locate(line, column)
                if position is None:
                    errors.add_invalid_location(key.url, line, column)
        if module is None or position is None:
            frames.append(raw.copy())
            continue
        frames.append(_resolved_frame(raw, module, position, caller_name, find_source, errors))
        callsite = position.name
        resolved += 1
    return raw_frames, frames, resolved


def _as_skipped(frame: Frame, platform: str) -> Frame:
    abs_path = frame.get("abs_path")
    if abs_path is not None and is_builtin(abs_path, frame.get("platform") or platform):
        return {**frame, "in_app": False}
    return frame.copy()


def _column(frame: Frame) -> int:
    return max(frame.get("colno") or 0, 0)


def _put_context(frame: Frame, context: SourceContext | None) -> None:
    """Put context lines on a frame. Without any, those that the SDK sent stay."""
    if context is None:
        return
    _drop_context(frame)
    if context.before:
        frame["pre_context"] = list(context.before)
    frame["context_line"] = context.line
    if context.after:
        frame["post_context"] = list(context.after)


def _drop_context(frame: Frame) -> None:
    frame.pop("pre_context", None)
    frame.pop("context_line", None)
    frame.pop("post_context", None)


def _resolved_frame(
    raw: Frame,
    module: Module,
    position: SourcePosition,
    callsite: str | None,
    find_source: SourceLookup,
    errors: EventErrors,
) -> Frame:
    frame = raw.copy()
    _drop_context(frame)
    minified_name = raw.get("function") or None
    name = scoped_name(position.scope, position.name, minified_name)
    frame["function"] = fold_repeats(choose_name(name, minified_name, callsite))
    frame["lineno"], frame["colno"] = position.line, position.column
    context = position.context
    if position.source is not None:
        source = module.original_file(position.source)
        frame["filename"], frame["abs_path"] = source.filename, source.abs_path
        if source.module is not None:
            frame["module"] = source.module
        if module.map is not None and position.source in module.map.ignored_sources:
            frame["in_app"] = False
        elif source.in_app is not None:
            frame["in_app"] = source.in_app
        if context is None:
            text = find_source(module, position.source)
            context = text.context(position.line, position.column) if text is not None else None
            if context is None:
                errors.add_missing_source_content(module, position.source)
    _put_context(frame, context)
    frame["data"] = {
        **(raw.get("data") or {}),
        "sourcemap": module.map_url,
        "resolved_with": module.resolved_with,
        "symbolicated": True,
    }
    return frame
