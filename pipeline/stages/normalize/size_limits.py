"""Size limits of values of free form (extra, contexts, variables, ...). Each has a limit of size and of depth.

The size of a value is that of its JSON without the keys, plus one for each value. Keys are visited in sorted order, so that what
is cut off does not depend on the order in which it was sent. Values that are nested too deep become JSON text.
"""

from __future__ import annotations

from typing import Any

from pipeline.model.event_path import EventPath
from pipeline.stages.normalize.json_text import to_json_text
from pipeline.stages.normalize.remarks import Remarks
from pipeline.stages.normalize.values import I64, U64, Parser, trim

_NULL, _FALSE, _TRUE = 1, 6, 5
_CONTAINER = 3
_ODD = -1


def sized_object(size: int, depth: int) -> Parser:
    """Return a parser of objects of free form. They have at most `size` bytes and `depth` levels, the object's own included."""

    def parse(value: Any, path: EventPath, remarks: Remarks) -> dict[str, Any] | None:
        if type(value) is not dict:
            if value is not None:
                remarks.invalid(path, "expected an object", value)
            return None
        return value if _left_over(value, size, depth) > 0 else Trimming(size, remarks).children(value, path, depth)

    return parse


def free_value(size: int, depth: int) -> Parser:
    """Return a parser of any value, held to `size` and `depth`."""

    def parse(value: Any, path: EventPath, remarks: Remarks) -> Any:
        return value if _left_over(value, size, depth) > 0 else Trimming(size, remarks).value(value, path, depth)

    return parse


def nested_sized_objects(total: int, size: int, depth: int) -> Parser:
    """Return a parser of objects whose values have at most `size` bytes each and `total` bytes together."""

    def parse(value: Any, path: EventPath, remarks: Remarks) -> dict[str, Any] | None:
        if type(value) is not dict:
            if value is not None:
                remarks.invalid(path, "expected an object", value)
            return None
        if _left_over(value, min(size, total), depth) > 0:
            return value
        left = total
        result: dict[str, Any] = {}
        for key in sorted(value):
            if left <= 0:
                remarks.shortened(path, len(value))
                break
            trimming = Trimming(min(size, left), remarks)
            result[key] = trimming.value(value[key], (path, key), depth - 1)
            left -= trimming.used
        return result

    return parse


def size_of(value: Any) -> int:
    """Return the size of a single value in bytes, without its children: that of its JSON, plus one."""
    kind = type(value)
    if kind is str:
        return (len(value) if value.isascii() else len(value.encode(errors="surrogatepass"))) + 3
    if value is None:
        return _NULL
    if value is True:
        return _TRUE
    if value is False:
        return _FALSE
    if kind is dict or kind is list:
        return _CONTAINER
    return len(repr(value)) + 1


def _left_over(value: Any, left: int, depth: int) -> int:
    """Return how much of `left` remains after a value. 0 or less if it does not fit, or holds something that JSON cannot hold."""
    kind = type(value)
    if kind is str:
        return left - len(value) - 3 if value.isascii() else left - len(value.encode(errors="surrogatepass")) - 3
    if kind is dict or kind is list:
        if depth <= 1 or len(value) > left:
            return _ODD
        left -= _CONTAINER
        for child in value.values() if kind is dict else value:
            if type(child) is str:  # the common case, without a call
                left -= (len(child) if child.isascii() else len(child.encode(errors="surrogatepass"))) + 3
            else:
                left = _left_over(child, left, depth - 1)
            if left <= 0:
                return _ODD
        return left
    if kind is int:
        return left - len(repr(value)) - 1 if -I64 <= value <= U64 else _ODD
    if kind is float:
        return left - len(repr(value)) - 1 if value - value == 0 else _ODD
    return left - size_of(value)


class Trimming:
    """Cuts one value to its size. `used` is the size of the result so far."""

    __slots__ = ("remarks", "size", "used")

    def __init__(self, size: int, remarks: Remarks) -> None:
        self.size = size
        self.used = 0
        self.remarks = remarks

    def value(self, value: Any, path: EventPath, depth: int) -> Any:
        """Return the part of a value that fits. `depth` is the number of levels that it may have."""
        if type(value) in (dict, list) and depth <= 1:
            value = to_json_text(value)
        result = value
        if type(value) is str:
            result = trim(value, path, self.remarks, max(self.size - self.used, 0))
        elif type(value) in (dict, list):
            result = self.children(value, path, depth)
        elif type(value) in (int, float):
            result = self.number(value, path)
        self.used += size_of(result)
        return result

    def children(self, value: Any, path: EventPath, depth: int) -> Any:
        """Return the items of a list or object that fit, each cut to fit."""
        result: Any
        if type(value) is dict:
            result = {}
            for key in sorted(value):
                if self.used >= self.size:
                    break
                result[key] = self.value(value[key], (path, key), depth - 1)
        else:
            result = []
            for index, child in enumerate(value):
                if self.used >= self.size:
                    break
                result.append(self.value(child, (path, index), depth - 1))
        if len(result) < len(value):
            self.remarks.shortened(path, len(value))
        return result

    def number(self, value: float, path: EventPath) -> float:
        """Return a number that the storage can hold. Integers beyond 64 bits lose precision, NaN and infinities become 0."""
        if type(value) is int and -I64 - 1 <= value <= U64:
            return value
        try:
            result = float(value)
        except OverflowError:
            result = float("inf")
        if result - result == 0:
            if type(value) is int:
                self.remarks.invalid(path, "integer beyond 64 bits", value)
            return result
        if type(value) is int:
            self.remarks.invalid(path, "not a finite number", value)
        return 0
