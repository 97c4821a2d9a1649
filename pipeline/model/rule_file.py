"""Files of a rules folder, and the TOML files among them parsed into typed values. Errors name file and line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from pipeline.model.errors import InvalidRulesError, RuleError


class RuleFile(NamedTuple):
    """A file's path and text.

    `path` begins with the rules folder as it was given; errors and explanations name the file by it.
    """

    path: str
    text: str


Layer = Mapping[str, RuleFile]
"""Maps file names (`filters.toml`, `enhancements.rules`, ...) to files. Lists of layers begin with the default's layer."""


T = TypeVar("T")

_LINE_COLUMN = re.compile(r"\(at line (\d+), column (\d+)\)")
_JSON_PATH = re.compile(r" - at `\$\.?([^`]*)`")


def parse_toml(file: RuleFile) -> dict[str, Any]:
    """Parse one file. Raises InvalidRulesError, which names the line."""
    try:
        return tomllib.loads(file.text)
    except tomllib.TOMLDecodeError as error:
        place = _LINE_COLUMN.search(str(error))
        line, column = (int(place[1]), int(place[2])) if place else (None, None)
        text = file.text.splitlines()[line - 1] if line and line <= len(file.text.splitlines()) else ""
        message = _LINE_COLUMN.sub("", str(error)).strip()
        raise InvalidRulesError([RuleError(file.path, line, column, message, text)]) from None
    except RecursionError:
        raise InvalidRulesError([RuleError(file.path, None, None, "nested too deep")]) from None


def convert(values: dict[str, Any], file: RuleFile, kind: type[T]) -> T:
    """Convert parsed values to their type. Raises InvalidRulesError, which names the line of the key if it can be found."""
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        message = str(error)
        path = _JSON_PATH.search(message)
        place = path[1] if path else ""
        if not place or "unknown field" in message:
            place = f"{place}.{_quoted(message)}".lstrip(".")
        line = find_key(file.text, place)
        text = file.text.splitlines()[line - 1] if line else ""
        raise InvalidRulesError([RuleError(file.path, line, None, message, text)]) from None


def read_layers(name: str, layers: Sequence[Layer], kind: type[T]) -> T:
    """Read the file `name` of each layer into one value of type `kind`. Later layers win, key by key.

    Each layer is checked on its own, so that errors name its file.
    """
    values: dict[str, Any] = {}
    result = msgspec.convert({}, kind)
    for layer in layers:
        file = layer.get(name)
        if file is None:
            continue
        own = parse_toml(file)
        convert(own, file, kind)
        values |= own
        result = convert(values, file, kind)
    return result


def find_key(text: str, path: str) -> int | None:
    """Return the line, from 1, of a dotted key such as `quota[2].limit`. None if the key is not in the text."""
    line_no = 0
    lines = text.splitlines()
    found = None
    for name, index in re.findall(r"([A-Za-z0-9_-]+)(?:\[(\d+)\])?", path):
        wanted = int(index) if index else 0
        pattern = re.compile(rf"^\s*(\[\[?\s*(?:[\w.-]+\.)?{re.escape(name)}\s*\]\]?|\"?{re.escape(name)}\"?\s*=)")
        for number in range(line_no, len(lines)):
            if pattern.match(lines[number]):
                if wanted == 0:
                    found = number + 1
                    line_no = number
                    break
                wanted -= 1
    return found


def _quoted(message: str) -> str:
    """Return the name between backticks in a message such as "Object contains unknown field `x`"."""
    name = re.search(r"`([^`]+)`", message)
    return name[1] if name else ""
