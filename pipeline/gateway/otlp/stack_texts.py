"""Parses stack traces that arrive as text, in the form that each language prints, into exceptions with frames. Pure functions.

OpenTelemetry carries a stack trace as the text that the language prints (`exception.stacktrace`). `read_stack` returns the
exceptions in the order of events: the cause first, the exception that was raised last at the end. Frames go from the oldest call
to the newest. What a line does not tell is left out. See docs/gateway.md, "OpenTelemetry".

This file is long because it holds the forms of all languages, which are best compared side by side.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_EXCEPTIONS = 50
MAX_FRAMES = 2_000
MAX_LINE_CHARS = 4_096
"""Longer lines are cut before patterns are tried. All patterns take linear time."""
MAX_TEXT_CHARS = 262_144
"""The rest of a longer text is not read."""

StackFrame = dict[str, Any]
"""A frame in the form of events: `function`, `module`, `filename` or `abs_path`, `lineno`, `colno`, `context_line`."""


@dataclass(slots=True)
class ReadException:
    """An exception of a text. `type` and `value` are None if the text does not name them. The oldest frame comes first."""

    type: str | None = None
    value: str | None = None
    frames: list[StackFrame] = field(default_factory=list)


def read_stack(text: str, platform: str | None) -> list[ReadException]:
    """Return the exceptions of a stack trace, at most MAX_EXCEPTIONS, each with at most MAX_FRAMES frames.

    `platform` is the event's, and its form is tried first. If that reads no frame, the form that reads the most frames is used,
    because exporters sometimes name a wrong language. Without any frame the list is empty.
    """
    lines = [line[:MAX_LINE_CHARS] for line in text[:MAX_TEXT_CHARS].splitlines()]
    own = _FORMS.get(platform or "")
    if own is not None and _frames_in(found := own(lines)):
        return _bounded(found)
    best = max((form(lines) for form in dict.fromkeys(_FORMS.values())), key=_frames_in)
    return _bounded(best) if _frames_in(best) else []


def _frames_in(exceptions: Sequence[ReadException]) -> int:
    return sum(len(one.frames) for one in exceptions)


def _bounded(exceptions: list[ReadException]) -> list[ReadException]:
    for one in exceptions:
        one.frames = one.frames[-MAX_FRAMES:]
    return exceptions[-MAX_EXCEPTIONS:]


def _known(**fields: Any) -> StackFrame:
    """Return a frame with those fields that are not empty."""
    return {name: value for name, value in fields.items() if value not in (None, "")}


def _head(text: str) -> tuple[str | None, str | None]:
    """Return type and value of a line such as `ValueError: no such key`; the type is None if there is none."""
    match = _HEAD.fullmatch(text.strip())
    return (match["type"], match["value"] or None) if match else (None, text.strip() or None)


_HEAD = re.compile(r"(?P<type>[\w$.\\/`+<>\[\],-]{1,300})(?::\s?(?P<value>.*))?", re.DOTALL)

# --- Python: the newest call is printed last; a cause stands above the exception that it led to, a member below its group.

_PYTHON_START = re.compile(r"Traceback \(most recent call last\):|(?:\+ )?Exception Group Traceback \(most recent call last\):")
_PYTHON_FRAME = re.compile(r'File "(?P<path>[^"]*)", line (?P<line>\d{1,9})(?:, in (?P<function>.*))?')
_PYTHON_MARKS = re.compile(r"[\s^~]*")
_PYTHON_BETWEEN = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
_PYTHON_MEMBER = re.compile(r"\s*(?:\+-)?\+-+(?: (?:\d+|\.\.\.) -+)?")
"""The line above a member of an exception group, and the one below the last member."""
_PYTHON_REPEATED = re.compile(r"\[Previous line repeated (?P<times>\d{1,6}) more times?\]")


def _python(lines: Sequence[str]) -> list[ReadException]:
    found: list[ReadException] = []
    current: ReadException | None = None
    group: ReadException | None = None
    is_member = False
    value: list[str] = []

    def settle() -> None:
        if current is not None and value:
            current.type, current.value = _head("\n".join(value).rstrip())
        value.clear()

    for line in lines:
        if len(found) > MAX_EXCEPTIONS:
            break
        inside = line.partition("|")[2][1:] if line.lstrip().startswith("|") else line  # those of a group begin with a bar
        text = inside.lstrip(" |")
        if _PYTHON_START.fullmatch(text.rstrip()):
            settle()
            if current is None or current.frames or not is_member:  # a member's own stack follows the line above it
                current = ReadException()
                found.insert(len(found) if group is None else found.index(group), current)
        elif _PYTHON_MEMBER.fullmatch(line) and found:
            settle()
            group = group or current or found[-1]
            is_member, current = True, ReadException()
            found.insert(found.index(group), current)
        elif current is None:
            continue
        elif not value and (match := _PYTHON_FRAME.match(text)):
            function = match["function"]
            current.frames.append(_known(abs_path=match["path"], lineno=int(match["line"]), function=function))
        elif not value and (match := _PYTHON_REPEATED.match(text)) and current.frames:
            current.frames = (current.frames + [current.frames[-1]] * min(int(match["times"]), MAX_FRAMES))[-MAX_FRAMES:]
        elif not value and current.frames and inside.startswith("    "):
            if not _PYTHON_MARKS.fullmatch(text):
                current.frames[-1].setdefault("context_line", text.rstrip())
        elif text.strip() in _PYTHON_BETWEEN:
            settle()
            current = None
        elif text or value:
            value.append(text)
    settle()
    return [one for one in found if one.type or one.frames]


# --- Java, Kotlin, Scala, and PHP's exporter, which prints in Java's way: the newest call first; causes below.

_JAVA_FRAME = re.compile(
    r"\s*at (?:[\w.@-]+/){0,2}(?P<name>[^\s()]+(?: [^\s()]+)*)\((?P<place>[^()]*)\)(?: ~?\[.*\])?|\s*at (?P<bare>[\w.$\\{}<>:]+)"
)
_JAVA_PLACE = re.compile(r"(?P<file>.*?)(?::(?P<line>\d{1,9}))?")
_JAVA_MORE = re.compile(r"\s*\.\.\. (?P<count>\d{1,6}) (?:more|common frames omitted)")
_JAVA_CAUSE = re.compile(r"\s*Caused by: (?P<head>.*)")
_JAVA_START = re.compile(r'Exception in thread "[^"]*" (?P<head>.*)')
_JAVA_SUPPRESSED = re.compile(r"(?P<indent>\s+)Suppressed: ")
_NO_FILE = frozenset({"Native Method", "Unknown Source", "", "unknown"})


def _java(lines: Sequence[str]) -> list[ReadException]:
    found: list[ReadException] = []
    newest_first: list[StackFrame] = []
    enclosing: list[StackFrame] = []
    head: list[str] = []
    suppressed_at: int | None = None

    def settle() -> None:
        nonlocal newest_first, enclosing
        if head or newest_first:
            found.append(ReadException(*_head("\n".join(head)), newest_first[::-1]))
        enclosing, newest_first = newest_first[:MAX_FRAMES], []
        head.clear()

    for line in lines:
        if len(found) == MAX_EXCEPTIONS:
            break
        indent = len(line) - len(line.lstrip())
        if suppressed_at is not None and indent > suppressed_at:
            continue  # frames of a suppressed exception, which is no cause
        suppressed_at = None
        if match := _JAVA_SUPPRESSED.match(line):
            suppressed_at = len(match["indent"])
        elif match := _JAVA_CAUSE.fullmatch(line):
            settle()
            head.append(match["head"])
        elif match := _JAVA_MORE.match(line):
            newest_first += enclosing[-int(match["count"]) :]
        elif match := _JAVA_FRAME.fullmatch(line):
            newest_first.append(_java_frame(match["name"] or match["bare"], match["place"] or ""))
        elif not newest_first:
            started = _JAVA_START.fullmatch(line)
            head.append(started["head"] if started else line)
    settle()
    return [one for one in reversed(found) if one.frames or one.type]


def _java_frame(name: str, place: str) -> StackFrame:
    module, _, function = name.rpartition(".")
    where = _JAVA_PLACE.fullmatch(place)
    assert where is not None, "every part of the pattern may be empty"  # noqa: S101
    file = where["file"].strip()
    line = where["line"]
    path = "abs_path" if "/" in file or "\\" in file else "filename"
    fields = {path: None if file in _NO_FILE else file}
    return _known(module=module, function=function, lineno=int(line) if line else None, **fields)


# --- JavaScript, the newest call first: V8 has `at function (file:line:column)`, Firefox and Safari `function@file:line:column`.

_V8_FRAME = re.compile(r"\s*at (?:async )?(?P<rest>\S.*)")
_V8_ALIAS = re.compile(r" \[as [^\]]*\]$")
_GECKO_FRAME = re.compile(r"\s*(?P<function>[^@\s]*(?: [^@\s]+)*)@(?P<rest>.*)")
_PLACE = re.compile(r"(?P<path>.*?):(?P<line>\d{1,9})(?::(?P<column>\d{1,9}))?")
_WITHOUT_PLACE = frozenset({"native", "<anonymous>"})
_V8_CAUSE = re.compile(r"\s*\[?(?:cause|Caused by|caused by)\]?: (?P<head>.*?)(?: \{)?")


def _javascript(lines: Sequence[str]) -> list[ReadException]:
    found: list[ReadException] = []
    head: list[str] = []
    newest_first: list[StackFrame] = []

    def settle() -> None:
        nonlocal newest_first
        if newest_first:
            found.append(ReadException(*_head("\n".join(head)), newest_first[::-1]))
        newest_first = []
        head.clear()

    for line in lines:
        if frame := _v8_frame(line) or _gecko_frame(line):
            newest_first.append(frame)
        elif match := _V8_CAUSE.fullmatch(line):
            settle()
            head.append(match["head"])
        elif not newest_first:
            head.append(line)
    settle()
    return found[::-1]


def _v8_frame(line: str) -> StackFrame | None:
    match = _V8_FRAME.fullmatch(line.removesuffix(" {"))
    if match is None:
        return None
    rest = match["rest"]
    if not rest.endswith(")"):
        return _placed(rest, None)
    function, _, place = rest[:-1].partition(" (")
    return _placed(place, _V8_ALIAS.sub("", function)) or (_known(function=function) if place in _WITHOUT_PLACE else None)


def _gecko_frame(line: str) -> StackFrame | None:
    match = _GECKO_FRAME.fullmatch(line)
    return _placed(match["rest"], match["function"]) if match else None


def _placed(place: str, function: str | None) -> StackFrame | None:
    """Return the frame of a place `path:line[:column]`; None for a text of another form."""
    match = _PLACE.fullmatch(place)
    if match is None:
        return None
    column = match["column"]
    return _known(function=function, abs_path=match["path"], lineno=int(match["line"]), colno=int(column) if column else None)


# --- Go: a function, then its place on the next line; the newest call first. The first goroutine is the one that failed.

_GO_ROUTINE = re.compile(r"goroutine \d+ \[[^\]]*\]:")
_GO_FUNCTION = re.compile(r"(?:created by )?(?P<name>\S+?)(?:\([^()]*\)|\(\.\.\.\))?(?: in goroutine \d+)?")
_GO_PLACE = re.compile(r"\s+(?P<path>\S.*?):(?P<line>\d{1,9})(?: \+0x[0-9a-f]+)?")
_GO_RECORDERS = ("runtime/debug", "go.opentelemetry.io/otel/sdk/trace", "go.opentelemetry.io/otel/sdk/log")
"""Packages that print the stack. Their frames at the newest end are not part of the error."""


def _go(lines: Sequence[str]) -> list[ReadException]:
    frames: list[StackFrame] = []
    name: str | None = None
    routines = 0
    for line in lines:
        if _GO_ROUTINE.fullmatch(line.strip()):
            routines += 1
            if routines > 1:
                break
        elif (place := _GO_PLACE.fullmatch(line)) and name is not None:
            module, function = _go_name(name)
            frames.append(_known(module=module, function=function, abs_path=place["path"], lineno=int(place["line"])))
            name = None
        else:
            match = _GO_FUNCTION.fullmatch(line.strip())
            name = match["name"] if match else None
    panicked = [index for index, frame in enumerate(frames) if frame.get("function") == "panic" and "module" not in frame]
    if panicked:  # newer frames belong to the deferred call that recovered
        frames = frames[panicked[-1] + 1 :]
    while frames and str(frames[0].get("module", "")).startswith(_GO_RECORDERS):
        del frames[0]
    return [ReadException(frames=frames[::-1])]


def _go_name(name: str) -> tuple[str | None, str]:
    """Cut `example.com/shop/cart.(*Cart).Pay` into its package and its function. A built-in function has no package."""
    folder, slash, last = name.rpartition("/")
    package, dot, function = last.partition(".")
    return (f"{folder}{slash}{package}", function) if dot else (None, name)


# --- .NET: the newest call first; an inner exception's head follows `--->`, and its frames come before those of the outer one.

_DOTNET_FRAME = re.compile(r"\s+at (?P<name>[^\s(]+(?:\[[^\]]*\])?)\([^()]*\)(?: in (?P<path>.*?):line (?P<line>\d{1,9}))?")
_DOTNET_INNER = re.compile(r"---> ?(?:\(Inner Exception #\d+\) )?")
_DOTNET_END = "--- End of inner exception stack trace ---"


def _dotnet(lines: Sequence[str]) -> list[ReadException]:
    heads: list[str] = []
    frames: list[list[StackFrame]] = [[]]
    for line in lines:
        if match := _DOTNET_FRAME.fullmatch(line):
            module, _, function = match["name"].rpartition(".")
            number = match["line"]
            frames[-1].append(
                _known(module=module, function=function, abs_path=match["path"], lineno=int(number) if number else None)
            )
        elif line.strip() == _DOTNET_END:
            frames.append([])
        elif not frames[0]:
            first, *inner = (part.strip() for part in _DOTNET_INNER.split(line))
            if heads and first:
                heads[-1] += f"\n{first}"
            heads += inner if heads or not first else [first, *inner]
    innermost_first = heads[::-1]
    found = []
    for index, newest_first in enumerate(frames):
        head = innermost_first[index] if index < len(innermost_first) else ""
        found.append(ReadException(*_head(head), newest_first[::-1]))
    return found


# --- Ruby: `file:line:in 'method': message (Type)`, then `from file:line:in 'method'`; the newest call first, then the cause.

_RUBY_PLACE = r"(?P<path>[^\s:][^:\n]*):(?P<line>\d{1,9})(?::in [`'](?P<function>[^']*)')?"
_RUBY_FIRST = re.compile(rf"{_RUBY_PLACE}: (?P<value>.*?)(?: \((?P<type>[A-Z][\w:]*)\))?")
_RUBY_FROM = re.compile(rf"\s+(?:\d+: )?from {_RUBY_PLACE}")


def _ruby(lines: Sequence[str]) -> list[ReadException]:
    found: list[ReadException] = []
    for line in lines:
        if match := _RUBY_FROM.fullmatch(line):
            if found:
                found[-1].frames.insert(0, _ruby_frame(match))
        elif match := _RUBY_FIRST.fullmatch(line):
            found.append(ReadException(match["type"], match["value"] or None, [_ruby_frame(match)]))
    return found[::-1]


def _ruby_frame(match: re.Match[str]) -> StackFrame:
    return _known(abs_path=match["path"], lineno=int(match["line"]), function=match["function"])


# --- PHP's own form: `#0 file(line): Class->method()`, the newest call first.

_PHP_FRAME = re.compile(r"#\d{1,6} (?:(?P<path>.+?)\((?P<line>\d{1,9})\)|\[internal function\]): (?P<name>[^(]+)\(.*\)")
_PHP_NEXT = re.compile(
    r"(?:PHP )?(?:Fatal error: +)?(?:Uncaught |Next )?(?P<type>[\w\\]+): (?P<value>.*?)(?: in (?P<path>\S+):(?P<line>\d+))?"
)


def _php(lines: Sequence[str]) -> list[ReadException]:
    found: list[ReadException] = []
    head: re.Match[str] | None = None
    for line in lines:
        text = line.strip()
        if text.endswith(")") and (match := _PHP_FRAME.fullmatch(text)):
            if not found or text.startswith("#0 "):
                found.append(ReadException(head and head["type"], head and head["value"]))
                if head is not None and head["path"]:
                    found[-1].frames.append(_known(abs_path=head["path"], lineno=int(head["line"])))
            number = match["line"]
            frame = _known(function=match["name"], abs_path=match["path"], lineno=int(number) if number else None)
            found[-1].frames.insert(0, frame)
        elif match := _PHP_NEXT.fullmatch(text):
            head = match
    return found


# --- Rust: `12: crate::function` with its place on the next line; the newest call first.

_RUST_FUNCTION = re.compile(r"\s*\d{1,5}: (?:0x[0-9a-f]+ - )?(?P<name>\S.*?)(?:::h[0-9a-f]{16})?")
_RUST_PLACE = re.compile(r"\s+at (?P<path>.*?):(?P<line>\d{1,9})(?::(?P<column>\d{1,9}))?")


def _rust(lines: Sequence[str]) -> list[ReadException]:
    newest_first: list[StackFrame] = []
    for line in lines:
        if (place := _RUST_PLACE.fullmatch(line)) and newest_first:
            column = place["column"]
            newest_first[-1].update(
                _known(abs_path=place["path"], lineno=int(place["line"]), colno=int(column) if column else None)
            )
        elif match := _RUST_FUNCTION.fullmatch(line):
            newest_first.append(_known(function=match["name"]))
    return [ReadException(frames=newest_first[::-1])]


# --- Erlang and Elixir: `(application version) file:line: Module.function/arity`, the newest call first.

_ELIXIR_FRAME = re.compile(
    r"\s*(?:\((?P<package>[\w.]+)(?: [^)]*)?\) )?(?P<path>[\w./-]+\.[a-z]+):(?P<line>\d{1,9}): (?P<name>.+?)"
)


def _elixir(lines: Sequence[str]) -> list[ReadException]:
    newest_first = [
        _known(function=match["name"], filename=match["path"], lineno=int(match["line"]), package=match["package"])
        for line in lines
        if (match := _ELIXIR_FRAME.fullmatch(line))
    ]
    return [ReadException(frames=newest_first[::-1])]


_FORMS: dict[str, Callable[[Sequence[str]], list[ReadException]]] = {
    "python": _python,
    "java": _java,
    "node": _javascript,
    "javascript": _javascript,
    "go": _go,
    "csharp": _dotnet,
    "ruby": _ruby,
    "php": _java,
    "rust": _rust,
    "elixir": _elixir,
    "php-native": _php,
}
"""How each platform prints a stack. PHP's exporter prints as Java does; PHP's own form is tried where that reads nothing."""
