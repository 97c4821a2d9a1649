"""A normalized event: what every stage after normalization may rely on, and the accessors for it.

A field is absent, or null, or of the type given here. Normalization guarantees the types, and scrubbing replaces a value by null
or by a value of the same type. Lists may contain null, which stands for an item that was refused or removed. Accessors skip
these. Stages after normalization do not check types again. See docs/spec/normalization.md.

Events are plain dicts, because they are JSON and stages write to them. These types describe their content to readers and to mypy,
and cost nothing at run time. mypy knows an event as `RawEvent` before normalization and as `Event` after it, and takes neither
for the other.

This file is long because it lists every field that some stage reads, and each reader of such a field.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypedDict, cast

RawEvent = dict[str, Any]
"""An event as it was sent: a JSON object of which nothing is known."""


class FrameData(TypedDict, total=False):
    """`frame.data`. `orig_in_app` is what `in_app` was before a stack-trace rule changed it: 1, 0 or -1 (unset).

    `symbolicated` is true for a frame that was resolved by a source map.
    """

    sourcemap: str | None
    symbolicated: bool | None
    resolved_with: str | None
    orig_in_app: int | None
    category: str | None


class Frame(TypedDict, total=False):
    """One stack frame, as far as stages read it. Lines count from 1."""

    function: str | None
    raw_function: str | None
    module: str | None
    package: str | None
    filename: str | None
    abs_path: str | None
    lineno: int | None
    colno: int | None
    platform: str | None
    pre_context: list[str] | None
    context_line: str | None
    post_context: list[str] | None
    in_app: bool | None
    data: FrameData | None


class Stacktrace(TypedDict, total=False):
    """A stack trace. Frames are ordered from the oldest call to the newest. `frames` is null if the sender sent none."""

    frames: list[Frame | None] | None


class NsError(TypedDict, total=False):
    """The error of an Apple framework."""

    code: int | None
    domain: str | None


class MechanismMeta(TypedDict, total=False):
    """`mechanism.meta`, as far as stages read it."""

    ns_error: NsError | None


class Mechanism(TypedDict, total=False):
    """How an exception was caught, and its place in a tree of exceptions."""

    type: str | None
    synthetic: bool | None
    handled: bool | None
    is_exception_group: bool | None
    exception_id: int | None
    parent_id: int | None
    meta: MechanismMeta | None


class ExceptionValue(TypedDict, total=False):
    """One exception. An event lists them from the oldest cause to the one that was reported."""

    type: str | None
    value: str | None
    module: str | None
    stacktrace: Stacktrace | None
    raw_stacktrace: Stacktrace | None
    thread_id: int | str | None
    mechanism: Mechanism | None


class Thread(TypedDict, total=False):
    """One thread."""

    id: int | str | None
    name: str | None
    crashed: bool | None
    current: bool | None
    stacktrace: Stacktrace | None
    raw_stacktrace: Stacktrace | None


class ExceptionInterface(TypedDict, total=False):
    """`exception`."""

    values: list[ExceptionValue | None] | None


class ThreadInterface(TypedDict, total=False):
    """`threads`."""

    values: list[Thread | None] | None


class LogEntry(TypedDict, total=False):
    """`logentry`: the message as it was logged, and the template that it was made of."""

    formatted: str | None
    message: str | None
    params: Any


class User(TypedDict, total=False):
    """`user`, as far as stages read it."""

    id: str | None
    username: str | None
    email: str | None
    ip_address: str | None


class RequestData(TypedDict, total=False):
    """`request`, as far as stages read it. Pairs are a name and a value."""

    url: str | None
    fragment: str | None
    query_string: list[list[str | None] | None] | None
    headers: list[list[str | None] | None] | None


class DebugImage(TypedDict, total=False):
    """One entry of `debug_meta.images`, as far as stages read it."""

    type: str | None
    code_file: str | None
    debug_id: str | None


class DebugMeta(TypedDict, total=False):
    """`debug_meta`, as far as stages read it."""

    images: list[DebugImage | None] | None


class Sdk(TypedDict, total=False):
    """`sdk`, as far as stages read it."""

    name: str | None
    version: str | None


class Event(TypedDict, total=False):
    """A normalized event. Fields of free form, or that no stage reads, are `Any`.

    The fields that are never null are always there, `key_id` excepted, and those that later stages set. Scrubbing removes none of
    them.
    """

    event_id: str
    project: int
    key_id: str
    received: float
    version: str
    timestamp: float
    type: str
    platform: str
    level: str
    logger: str
    logentry: LogEntry | None
    exception: ExceptionInterface | None
    threads: ThreadInterface | None
    stacktrace: Stacktrace | None
    template: dict[str, Any] | None
    csp: dict[str, Any] | None
    hpkp: dict[str, Any] | None
    expectct: dict[str, Any] | None
    expectstaple: dict[str, Any] | None
    breadcrumbs: dict[str, Any] | None
    contexts: dict[str, Any]
    request: RequestData | None
    user: User | None
    sdk: Sdk | None
    debug_meta: DebugMeta | None
    extra: dict[str, Any] | None
    modules: dict[str, str] | None
    tags: Sequence[Sequence[str | None] | None] | None
    fingerprint: list[str] | None
    checksum: str | None
    release: str | None
    dist: str | None
    environment: str | None
    transaction: str | None
    errors: list[dict[str, Any]]
    _meta: dict[str, Any]
    # Set by later stages:
    metadata: dict[str, Any]
    title: str
    culprit: str | None
    location: str
    main_exception_id: int
    symbolicated_in_app: bool
    scraping_attempts: list[dict[str, Any]]
    _fingerprint_info: dict[str, Any]


def as_json(event: Event) -> dict[str, Any]:
    """Return the same event for code that follows paths and not fields: scrubbing, and what prints it."""
    return cast("dict[str, Any]", event)


def platform_of(event: Event) -> str:
    """Return the platform, or `other`."""
    return event.get("platform") or "other"


def exceptions(event: Event) -> list[ExceptionValue]:
    """Return the exceptions, from the oldest cause to the one that was reported."""
    interface = event.get("exception")
    return [one for one in interface.get("values") or () if one is not None] if interface else []


def last_exception(event: Event) -> ExceptionValue | None:
    """Return the exception that was reported, or None if there is none or if it was refused.

    Unlike the last of `exceptions`, this is never the cause of a refused one.
    """
    interface = event.get("exception")
    values: Sequence[ExceptionValue | None] = (interface.get("values") or ()) if interface else ()
    return values[-1] if values else None


def threads(event: Event) -> list[Thread]:
    """Return the threads."""
    interface = event.get("threads")
    return [one for one in interface.get("values") or () if one is not None] if interface else []


def frame_slots(stacktrace: Stacktrace | None) -> Sequence[Frame | None]:
    """Return the frames with the nulls among them, for those who write the list back or name a frame by its index."""
    return (stacktrace.get("frames") or ()) if stacktrace else ()


def frames_in(stacktrace: Stacktrace | None) -> list[Frame]:
    """Return the frames of a stack trace, the oldest first."""
    return [frame for frame in frame_slots(stacktrace) if frame is not None]


def frames_besides_exceptions(event: Event) -> list[Frame]:
    """Return the frames of the event's own stack, else those of its only thread."""
    frames = frames_in(event.get("stacktrace"))
    if frames:
        return frames
    found = threads(event)
    return frames_in(found[0].get("stacktrace")) if len(found) == 1 else []


def stack_holders(event: Event) -> Iterator[tuple[tuple[str, int], Any]]:
    """Yield what holds a stack trace, each with its place: the exceptions, the threads, and the event itself."""
    for index, exception in enumerate(exceptions(event)):
        yield ("exception", index), exception
    for index, thread in enumerate(threads(event)):
        yield ("threads", index), thread
    yield ("event", 0), event


def all_frames(event: Event) -> Iterator[Frame]:
    """Yield the frames of all exceptions. If they have none, yield those of the stack besides them."""
    found = False
    for exception in exceptions(event):
        for frame in frames_in(exception.get("stacktrace")):
            found = True
            yield frame
    if not found:
        yield from frames_besides_exceptions(event)


def crash_stack(event: Event) -> list[Frame]:
    """Return the frames of the reported exception. If it has none, return those of the stack besides exceptions."""
    last = last_exception(event)
    return (frames_in(last.get("stacktrace")) if last is not None else []) or frames_besides_exceptions(event)


def newest_of_app(frames: Sequence[Frame]) -> Frame | None:
    """Return the newest frame of the app, else the newest frame, else None."""
    newest = frames[-1] if frames else None
    return next((frame for frame in reversed(frames) if frame.get("in_app")), newest)


def crash_frame(event: Event) -> Frame | None:
    """Return the frame in which the event happened: the newest one of the app in `crash_stack`, else the newest, else None."""
    return newest_of_app(crash_stack(event))


def tags_of(event: Event) -> dict[str, str]:
    """Return the tags by name. Tags without a name or value are left out, and the first of a name counts."""
    found: dict[str, str] = {}
    for pair in event.get("tags") or ():
        if pair is not None and pair[0] is not None and pair[1] is not None:
            found.setdefault(pair[0], pair[1])
    return found


def message_of(event: Event) -> str | None:
    """Return the formatted message of the log entry, else its template, else None."""
    entry = event.get("logentry")
    return (entry.get("formatted") or entry.get("message") or None) if entry else None


def sent_headers(event: Event) -> Iterator[tuple[str, str]]:
    """Yield the headers that have a name and a value, in the order of sending, with names in lower case."""
    for pair in (event.get("request") or {}).get("headers") or ():
        if pair and pair[0] and pair[1]:
            yield pair[0].lower(), pair[1]


_USER_FIELDS = (("id", "id"), ("username", "username"), ("email", "email"), ("ip", "ip_address"))


def user_tag(event: Event) -> str | None:
    """Return the value of the tag `sentry:user`, which tells a project's users apart.

    It is `id:1`, `username:..`, `email:..` or `ip:..`, by the first field that the user has.
    """
    user = event.get("user") or {}
    for name, field in _USER_FIELDS:
        value = user.get(field)
        if value is not None and value != "" and not isinstance(value, dict | list):
            return f"{name}:{value}"
    return None
