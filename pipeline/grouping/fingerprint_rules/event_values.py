"""What fingerprint rules read of an event, taken out once and only when a rule asks.

Matchers look at items of groups: messages, log (logger and level), exceptions, frames, tags, sdk, family, release. Of each group
that a rule names, one item must satisfy all of the rule's matchers at once (spec/grouping.md, section 6.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pipeline.grouping.fingerprint_rules.crash_frames import all_frames, function_of, values_of
from pipeline.grouping.fingerprint_rules.sdk_names import normalize_sdk_name
from pipeline.grouping.fingerprint_rules.variables import tags_of
from pipeline.grouping.grouping_frame import family_of, platform_of

ValueSet = Mapping[str, Any]
"""Key to what its patterns are held against: a text, for `path` several, for `app` a truth value. Absent where unknown."""

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
    """Give the group that a matcher's key belongs to."""
    return GROUP_OF_KEY.get(key, "tags")


class EventValues:
    """The items of one event by group, and the values of one key, which are quicker to read."""

    def __init__(self, event: dict[str, Any]) -> None:
        self._event = event
        self._platform = platform_of(event)
        self._groups: dict[str, Sequence[ValueSet]] = {}
        self._frames: list[dict[str, Any]] | None = None

    def sets(self, group: str) -> Sequence[ValueSet]:
        """Give a group's items, which may be none."""
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
        """Give the values that a key has in the items of its group, each at least once."""
        read = _FRAME_KEYS.get(key)
        if read is None:
            return [one[key] for one in self.sets(group_of(key)) if key in one]
        platform = self._platform
        return {value for frame in self._all_frames() if (value := read(frame, platform)) is not None}

    def _all_frames(self) -> list[dict[str, Any]]:
        if self._frames is None:
            self._frames = list(all_frames(self._event))
        return self._frames

    def _frame(self, frame: dict[str, Any]) -> ValueSet:
        return {key: value for key, read in _FRAME_KEYS.items() if (value := read(frame, self._platform)) is not None}


def _messages(event: dict[str, Any], exceptions: Sequence[ValueSet]) -> list[ValueSet]:
    """Give the message, and the value of each exception: people expect `message` to find it too."""
    items: list[ValueSet] = []
    logentry = event.get("logentry")
    formatted = logentry.get("formatted") if isinstance(logentry, dict) else None
    if isinstance(formatted, str):
        items.append({"message": formatted})
    items += [{"message": exception["value"]} if "value" in exception else {} for exception in exceptions]
    return items


def _log(event: dict[str, Any]) -> list[ValueSet]:
    item = _texts(event, "logger", "level")
    return [item] if item else []


def _exceptions(event: dict[str, Any]) -> list[ValueSet]:
    return [_texts(exception, "type", "value", empty=True) for exception in values_of(event, "exception")]


def _paths(frame: dict[str, Any], _platform: str) -> tuple[str, ...] | None:
    """Give the frame's path, and its file name where that is another: a pattern may fit either."""
    path, filename = frame.get("abs_path"), frame.get("filename")
    if not isinstance(filename, str) or filename == path:
        return (path,) if isinstance(path, str) else None
    return (path, filename) if isinstance(path, str) and path else (filename,)


def _in_app(frame: dict[str, Any], _platform: str) -> bool | None:
    in_app = frame.get("in_app")
    return in_app if isinstance(in_app, bool) else None


def _text_of(key: str) -> Callable[[dict[str, Any], str], str | None]:
    def read(frame: dict[str, Any], _platform: str) -> str | None:
        value = frame.get(key)
        return value if isinstance(value, str) else None

    return read


_FRAME_KEYS: dict[str, Callable[[dict[str, Any], str], Any]] = {
    "module": _text_of("module"),
    "package": _text_of("package"),
    "function": lambda frame, platform: function_of(frame, platform) or "<unknown>",
    "path": _paths,
    "app": _in_app,
}
"""What rules read of a frame, given the event's platform; None where the frame does not have it."""


def _tags(event: dict[str, Any]) -> list[ValueSet]:
    return [{f"tags.{name}": value for name, value in tags_of(event).items()}]


def _sdk(event: dict[str, Any]) -> list[ValueSet]:
    sdk = event.get("sdk")
    return [{"sdk": normalize_sdk_name(sdk.get("name") if isinstance(sdk, dict) else None)}]


def _family(event: dict[str, Any]) -> list[ValueSet]:
    return [{"family": family_of(platform_of(event))}]


def _texts(owner: Mapping[str, Any], *keys: str, empty: bool = False) -> dict[str, Any]:
    return {key: value for key in keys if isinstance(value := owner.get(key), str) and (value or empty)}


_READERS: dict[str, Callable[[dict[str, Any]], list[ValueSet]]] = {
    "log": _log,
    "exceptions": _exceptions,
    "tags": _tags,
    "sdk": _sdk,
    "family": _family,
    "release": lambda event: [_texts(event, "release")],
}
