"""The component of a stack frame: module or file, function, and source line. See docs/spec/grouping.md, "Frames"."""

from __future__ import annotations

import re

from pipeline.grouping.component import Component
from pipeline.grouping.configurations import Configuration
from pipeline.grouping.function_names import trim_function
from pipeline.grouping.grouping_frame import GroupingFrame, family_of
from pipeline.grouping.parameterization.messages import parameterize
from pipeline.grouping.strategies.generated_names import TABLES
from pipeline.grouping.strategies.java_names import clean_file, clean_function, clean_module
from pipeline.grouping.strategies.message import STRIPPED
from pipeline.grouping.strategies.script_names import strip_bundle_hash, strip_file_version, strip_segments

_WITH_CONTEXT_LINES = frozenset({"javascript", "node", "python", "php", "ruby"})
"""The platforms whose source lines are stable enough to group by."""

MAX_CONTEXT_LINE_CHARS = 120
"""A longer line does not contribute: it is a line of a bundle, not of a person. Indentation counts."""

_WEB_ORIGINS = ("http:", "https:", "applewebdata:", "blob:")
_ERB_SUFFIX = re.compile(r"__\d{4,}_\d{4,}$")
_NAMELESS_SCRIPT = frozenset({"?", "<anonymous function>", "<anonymous>", "Anonymous function"})
_ALSO_NAMELESS_SCRIPT = re.compile(
    r"|anonymous|\(anonymous(?: function)?\)|\[anonymous\]|<unknown>|(?:global|module|eval) code|wasm-function\[\d+\]|\d+"
)
"""More names that JavaScript engines and bundlers give to what has none, such as the number of a module. Since 2026-12-01."""
_NATIVE_SCRIPT = frozenset({"[native code]", "native code", "eval code", "<anonymous>"})
_SWIFT_CLOSURE = re.compile(r"(?:partial apply (?:forwarder )?for )?(?:implicit )?closure #\d+ .*\bin (.+)", re.DOTALL)
_SPAWNED = "spawn_main("
_SEPARATORS = re.compile(r"[/\\]")


def is_url(path: str | None) -> bool:
    """Whether a path is a URL. `file:` URLs count."""
    return path is not None and path.startswith((*_WEB_ORIGINS, "file:"))


def frame_component(frame: GroupingFrame, platform: str, configuration: Configuration) -> Component:
    """Return the component of one frame, before stack-trace rules decide whether it contributes."""
    family = family_of(platform)
    filename = _filename(frame, platform, configuration)
    module = _module(frame, platform, configuration)
    if module.contributes and filename.contributes:
        filename.update(contributes=False, hint="module takes precedence")
    line = _context_line(frame, platform, configuration) if platform in _WITH_CONTEXT_LINES else None
    function = _function(frame, platform, family, configuration)
    if family == "javascript" and frame.has_source_map and line is not None and line.contributes and function.values:
        function.update(contributes=False, hint="ignored because sourcemap used and context line available")

    component = Component("frame", [module, filename, function] if line is None else [module, filename, function, line])
    if family == "javascript":
        _drop_generated_names(frame, component, function, configuration)
        if configuration.nameless_script_frames == "drop" and component.contributes and not _says_something(component):
            component.update(contributes=False, hint="ignored because no part of it contributes")
    return component


def _says_something(component: Component) -> bool:
    return any(part.contributes for part in component.values)


def _filename(frame: GroupingFrame, platform: str, configuration: Configuration) -> Component:
    if not frame.filename:
        return Component("filename")
    base = _SEPARATORS.split(frame.filename)[-1]
    stripped = strip_bundle_hash(base) if configuration.strip_bundle_hashes and family_of(platform) == "javascript" else base
    name = stripped.lower()
    hint = "stripped content hash" if stripped != base else None
    if configuration.generated_names is not None:
        cleaned, kinds = TABLES[configuration.generated_names].clean(base, platform, "filename")
        if kinds is not None:
            name, hint = cleaned.lower(), _generated(kinds)
    if configuration.strip_variable_segments and (cleaned := strip_file_version(name)) != name:
        name, hint = cleaned, hint or "stripped hash or version"
    component = Component("filename", [name], hint=hint)
    if frame.abs_path is not None and frame.abs_path.startswith(_WEB_ORIGINS):
        component.update(contributes=False, hint="ignored because frame points to a URL")
    elif name == "<anonymous>":
        component.update(contributes=False, hint="anonymous filename discarded")
    elif name == "[native code]":
        component.update(contributes=False, hint="native code indicated by filename")
    elif configuration.generated_names is None and platform == "java" and (cleaned := clean_file(name)) != name:
        component.update(values=[cleaned], hint="cleaned javassist parts")
    return component


def _module(frame: GroupingFrame, platform: str, configuration: Configuration) -> Component:
    module = frame.module
    if not module:
        return Component("module")
    component = Component("module", [module])
    if platform == "javascript" and "/" in module and frame.abs_path is not None and frame.abs_path.endswith(module):
        component.update(contributes=False, hint="ignored bad javascript module")
    elif configuration.generated_names is not None:
        cleaned, kinds = TABLES[configuration.generated_names].clean(module, platform, "module")
        hint = _generated(kinds) if kinds is not None else None
        if configuration.strip_variable_segments and "/" in cleaned:
            stripped = strip_segments(cleaned)
            hint = "stripped hashes, versions and locales" if stripped != cleaned else hint
            cleaned = stripped
        if configuration.strip_bundle_hashes and family_of(platform) == "javascript":
            stripped = strip_bundle_hash(cleaned)
            hint = "stripped content hash" if stripped != cleaned and hint is None else hint
            cleaned = stripped
        if cleaned != module:
            component.update(values=[cleaned], hint=hint)
    elif platform == "java":
        if "$$Lambda$" in module and not configuration.strip_generated_java_names:
            component.update(contributes=False, hint="ignored java lambda")
        cleaned, hint = clean_module(module, generated=configuration.strip_generated_java_names)
        if cleaned != module:
            component.update(values=[cleaned], hint=hint)
    elif (
        configuration.strip_bundle_hashes
        and family_of(platform) == "javascript"
        and (cleaned := strip_bundle_hash(module)) != module
    ):
        component.update(values=[cleaned], hint="stripped content hash")
    return component


def _function(frame: GroupingFrame, platform: str, family: str, configuration: Configuration) -> Component:
    name = (frame.raw_function or frame.function) if platform == "csharp" else (frame.function or frame.raw_function)
    if not name:
        return Component("function")
    if frame.function and not frame.raw_function and platform != "csharp":
        name = trim_function(name, platform)
    component = Component("function", [name])
    if configuration.generated_names is not None:
        _clean_function(component, name, frame, platform, configuration.generated_names)
        name = component.values[0]
    elif platform == "ruby":
        if name.startswith("block "):
            component.update(values=["block"], hint="ruby block")
        elif (plain := _ERB_SUFFIX.sub("", name)) != name:
            component.update(values=[plain], hint="removed generated erb template suffix")
    elif platform == "php":
        if name.startswith(("[Anonymous", "class@anonymous\0")):
            component.update(contributes=False, hint="ignored anonymous function")
        if name.startswith("class@anonymous") and (method := name.rsplit("::", 1)[-1]) != name:
            component.update(values=[method], hint="anonymous class method")
    elif platform == "java":
        if configuration.strip_generated_java_names:
            if (cleaned := clean_function(name)) != name:
                component.update(values=[cleaned], hint="removed lambda number")
        elif name.startswith("lambda$"):
            component.update(contributes=False, hint="ignored lambda function")
    if family == "native":
        if name in {"<redacted>", "<unknown>"}:
            component.update(contributes=False, hint="ignored unknown function")
    elif family == "javascript" and (last := name.rsplit(".", 1)[-1]) != name:
        component.update(values=[last], hint="trimmed javascript function")
    return component


def _clean_function(component: Component, name: str, frame: GroupingFrame, platform: str, table: str) -> None:
    """Remove from a function's name what a compiler or runtime made. A name of which nothing is left does not contribute."""
    closure = _SWIFT_CLOSURE.fullmatch(frame.raw_function or "") if family_of(platform) == "native" else None
    if closure is not None:
        component.update(values=[trim_function(closure[1], platform)], hint=_generated("closure of Swift"))
        return
    cleaned, kinds = TABLES[table].clean(name, platform, "function")
    if kinds is not None:
        component.update(values=[cleaned], contributes=bool(cleaned), hint=_generated(kinds))


def _generated(kinds: str) -> str:
    return f"removed what the compiler or runtime generated: {kinds}"


def _context_line(frame: GroupingFrame, platform: str, configuration: Configuration) -> Component:
    raw = frame.context_line or ""
    line = " ".join(raw.expandtabs(2).split())
    hint = None
    if configuration.parameterize_spawned_lines and platform == "python" and _SPAWNED in line:
        line, hint = parameterize(line, configuration.parameterization, configuration.kept_values), STRIPPED
    component = Component("context-line", [line] if line else [], hint=hint)
    if line and len(raw) > MAX_CONTEXT_LINE_CHARS:
        component.update(contributes=False, hint="discarded because line too long")
    elif line and family_of(platform) == "javascript" and not frame.function and is_url(frame.abs_path):
        component.update(contributes=False, hint="discarded because from URL origin and no function")
    return component


def _drop_generated_names(frame: GroupingFrame, component: Component, function: Component, configuration: Configuration) -> None:
    """Let the function not contribute if the browser has made up its name, or the frame if it is native code or `eval`.

    If the function does not contribute, the frame still does, as Sentry's does, unless the configuration says otherwise.
    """
    name = (frame.raw_function or frame.function or "").rsplit(".", 1)[-1]
    if not name:
        function.update(contributes=False)
    elif (
        name in _NAMELESS_SCRIPT
        or name.endswith("/<")
        or (configuration.nameless_script_frames == "drop" and _ALSO_NAMELESS_SCRIPT.fullmatch(name))
    ):
        function.update(contributes=False, hint="ignored unknown function name")
    if name == "eval" or frame.abs_path in _NATIVE_SCRIPT:
        component.update(contributes=False, hint="ignored low quality javascript frame")
