"""The values of an event that fingerprint rules read. Each is read once, and only if a rule asks for it.

Values come in groups: messages, log (logger and level), exceptions, frames, tags, sdk, family, release and event (any field by
its path). A group has a set of
values for each message, exception or frame of the event. In each group that a rule names, one set must satisfy all of the rule's
matchers. See docs/spec/fingerprint-rules.md, "Matching".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pipeline.grouping.fingerprint_rules.event_paths import PREFIX, EventFields
from pipeline.grouping.fingerprint_rules.sdk_names import normalize_sdk_name
from pipeline.grouping.function_names import trim_function
from pipeline.grouping.grouping_frame import family_of
from pipeline.model.event import Event, Frame, all_frames, exceptions, platform_of, tags_of

ValueSet = Mapping[str, Any]
"""Values by key: a text, for `path` a tuple of texts, for `app` a boolean. A value that the event does not have is absent."""

GROUP_OF_KEY = {
    "message": "messages",
    "logger": "log",
    "level": "log",
    "type": "exceptions",
    "value": "exceptions",
    "module": "frames",
    "path": "frames",
    "package": "frames",
    "function": "frames",
    "app": "frames",
    "sdk": "sdk",
    "family": "family",
    "release": "release",
}


def group_of(key: str) -> str:
    """Return the group of a matcher's key."""
    return GROUP_OF_KEY.get(key) or ("event" if key.startswith(PREFIX) else "tags")


class EventValues:
    """The values of one event: the sets of a group for matching, and all values of one key for looking rules up."""

    def __init__(self, event: Event) -> None:
        self._event = event
        self._platform = platform_of(event)
        self._groups: dict[str, Sequence[ValueSet]] = {}
        self._frames: list[Frame] | None = None

    def sets(self, group: str) -> Sequence[ValueSet]:
        """Return the sets of values of a group, of which there may be none."""
        found = self._groups.get(group)
        if found is None:
            found = self._groups[group] = self._read(group)
        return found

    def _read(self, group: str) -> Sequence[ValueSet]:
        if group == "frames":
            return [self._frame(frame) for frame in self._all_frames()]
        if group == "messages":
            return _messages(self._event, self.sets("exceptions"))
        return _READERS[group](self._event)

    def of(self, key: str) -> Iterable[Any]:
        """Return the values that a key has in the sets of its group. This is faster than `sets`, which reads all keys."""
        read = _FRAME_KEYS.get(key)
        if read is None:
            return [one[key] for one in self.sets(group_of(key)) if key in one]
        platform = self._platform
        return {value for frame in self._all_frames() if (value := read(frame, platform)) is not None}

    def _all_frames(self) -> list[Frame]:
        if self._frames is None:
            self._frames = list(all_frames(self._event))
        return self._frames

    def _frame(self, frame: Frame) -> ValueSet:
        return {key: value for key, read in _FRAME_KEYS.items() if (value := read(frame, self._platform)) is not None}


def _messages(event: Event, exception_sets: Sequence[ValueSet]) -> list[ValueSet]:
    """Return the message, and the value of each exception, since people expect that `message` finds it too."""
    sets: list[ValueSet] = []
    entry = event.get("logentry")
    formatted = entry.get("formatted") if entry else None
    if formatted is not None:
        sets.append({"message": formatted.strip()})
    sets += [{"message": exception["value"]} if "value" in exception else {} for exception in exception_sets]
    return sets


def _log(event: Event) -> list[ValueSet]:
    found = {key: value for key in ("logger", "level") if (value := event.get(key))}
    return [found] if found else []


def _exceptions(event: Event) -> list[ValueSet]:
    return [
        {key: value for key, value in (("type", one.get("type")), ("value", _stripped(one.get("value")))) if value is not None}
        for one in exceptions(event)
    ]


def _stripped(text: str | None) -> str | None:
    """Return a text without the blanks at its ends, which nobody sees."""
    return text.strip() if text is not None else None


def _paths(frame: Frame, _platform: str) -> tuple[str, ...] | None:
    """Return the frame's path, and its file name if that is another text. A pattern may match either."""
    path, filename = frame.get("abs_path"), frame.get("filename")
    if filename is None or filename == path:
        return (path,) if path is not None else None
    return (path, filename) if path else (filename,)


def _function(frame: Frame, platform: str) -> str:
    """Return the trimmed function name, or `<unknown>`. With a `raw_function`, the SDK has trimmed the name itself."""
    name = frame.get("function")
    if not name:
        return "<unknown>"
    return name if frame.get("raw_function") else trim_function(name, frame.get("platform") or platform) or "<unknown>"


_FRAME_KEYS: dict[str, Callable[[Frame, str], Any]] = {
    "module": lambda frame, _: frame.get("module"),
    "package": lambda frame, _: frame.get("package"),
    "function": _function,
    "path": _paths,
    "app": lambda frame, _: frame.get("in_app"),
}
"""The keys of frames and how each is read, given the event's platform. None means that the frame does not have the value."""


def _sdk(event: Event) -> list[ValueSet]:
    sdk = event.get("sdk")
    return [{"sdk": normalize_sdk_name(sdk.get("name") if sdk else None)}]


def _release(event: Event) -> list[ValueSet]:
    release = event.get("release")
    return [{"release": release} if release else {}]


_READERS: dict[str, Callable[[Event], list[ValueSet]]] = {
    "log": _log,
    "exceptions": _exceptions,
    "tags": lambda event: [{f"tags.{name}": value.strip() for name, value in tags_of(event).items()}],
    "sdk": _sdk,
    "family": lambda event: [{"family": family_of(platform_of(event))}],
    "release": _release,
    "event": lambda event: [EventFields(event)],
}
