"""What fingerprint rules read of an event, taken out once and only when a rule asks.

Matchers look at items of six groups: messages, log (logger and level), exceptions, frames, tags, and sdk or family. Of each
group that a rule names, one item must satisfy all of the rule's matchers at once (spec/grouping.md, section 6.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.grouping.fingerprints.crash_frames import all_frames, function_of, values_of
from pipeline.grouping.fingerprints.sdk_names import normalize_sdk_name
from pipeline.grouping.fingerprints.variables import tags_of
from pipeline.grouping.platforms import family_of, platform_of

Item = Mapping[str, Any]
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
}


def group_of(key: str) -> str:
    """Give the group that a matcher's key belongs to."""
    return GROUP_OF_KEY.get(key, "tags")


class Facts:
    """The items of one event by group."""

    def __init__(self, event: dict[str, Any]) -> None:
        self._event = event
        self._groups: dict[str, Sequence[Item]] = {}

    def items(self, group: str) -> Sequence[Item]:
        """Give a group's items, which may be none."""
        found = self._groups.get(group)
        if found is None:
            found = self._groups[group] = _READERS[group](self._event)
        return found


def _messages(event: dict[str, Any]) -> list[Item]:
    """Give the message, and the value of each exception: people expect `message` to find it too."""
    items: list[Item] = []
    logentry = event.get("logentry")
    formatted = logentry.get("formatted") if isinstance(logentry, dict) else None
    if isinstance(formatted, str):
        items.append({"message": formatted})
    items += ({"message": exception["value"]} if "value" in exception else {} for exception in _exceptions(event))
    return items


def _log(event: dict[str, Any]) -> list[Item]:
    item = _texts(event, "logger", "level")
    return [item] if item else []


def _exceptions(event: dict[str, Any]) -> list[Item]:
    return [_texts(exception, "type", "value", empty=True) for exception in values_of(event, "exception")]


def _frames(event: dict[str, Any]) -> list[Item]:
    platform = platform_of(event)
    return [_frame(frame, platform) for frame in all_frames(event)]


def _frame(frame: dict[str, Any], platform: str) -> Item:
    item: dict[str, Any] = _texts(frame, "module", "package", empty=True)
    item["function"] = function_of(frame, platform) or "<unknown>"
    paths = (frame.get("abs_path") or frame.get("filename"), frame.get("filename"))
    item["path"] = tuple(dict.fromkeys(path for path in paths if isinstance(path, str))) or None
    if isinstance(frame.get("in_app"), bool):
        item["app"] = frame["in_app"]
    return item


def _tags(event: dict[str, Any]) -> list[Item]:
    return [{f"tags.{name}": value for name, value in tags_of(event).items()}]


def _sdk(event: dict[str, Any]) -> list[Item]:
    sdk = event.get("sdk")
    return [{"sdk": normalize_sdk_name(sdk.get("name") if isinstance(sdk, dict) else None)}]


def _family(event: dict[str, Any]) -> list[Item]:
    return [{"family": family_of(platform_of(event))}]


def _texts(owner: Mapping[str, Any], *keys: str, empty: bool = False) -> dict[str, Any]:
    return {key: value for key in keys if isinstance(value := owner.get(key), str) and (value or empty)}


_READERS: dict[str, Callable[[dict[str, Any]], list[Item]]] = {
    "messages": _messages,
    "log": _log,
    "exceptions": _exceptions,
    "frames": _frames,
    "tags": _tags,
    "sdk": _sdk,
    "family": _family,
}
