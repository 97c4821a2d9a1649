"""Remarks on what normalization repaired: `errors` for people, `_meta` for machines. See docs/spec/normalization.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from pipeline.model.event_path import EventPath, path_keys
from pipeline.stages.normalize.json_text import estimate_size, to_json_text

MAX_KEPT_VALUE_BYTES = 500
"""The original of a refused value is kept only up to this size, so that large junk is not stored in full."""

MAX_META_BYTES = 100_000
"""A larger `_meta` of a sender is dropped."""

MAX_ERRORS = 200
"""Errors that are kept of one event. A hostile event could have a million."""

NO_VALUE = object()


class Remarks:
    """Collects the remarks on one event. `errors` holds `{type, name, value?, reason?}`, `meta` is the event's `_meta`."""

    __slots__ = ("errors", "meta")

    def __init__(self, meta: dict[str, Any] | None = None) -> None:
        self.errors: list[dict[str, Any]] = []
        self.meta: dict[str, Any] = meta or {}

    def invalid(self, path: EventPath, reason: str, value: Any = NO_VALUE) -> None:
        """Record that a value was refused, and why."""
        self.error(path, "invalid_data", value, reason=reason)

    def error(self, path: EventPath, kind: str, original: Any = NO_VALUE, /, **data: Any) -> None:
        """Record an error of the given kind. `data` (reason, attribute, ...) is added to its type and name."""
        if len(self.errors) >= MAX_ERRORS:
            return
        keys = path_keys(path)
        error: dict[str, Any] = {"type": kind, "name": ".".join(keys)}
        error.update(data)
        remark = self.remark(keys)
        remark.setdefault("err", []).append([kind, data] if data else kind)
        if (
            original is not NO_VALUE
            and original is not None
            and estimate_size(original, MAX_KEPT_VALUE_BYTES) < MAX_KEPT_VALUE_BYTES
        ):
            kept = as_json_value(original)
            remark["val"] = kept
            error["value"] = kept
        self.errors.append(error)

    def trimmed(self, path: EventPath, length: int, start: int, end: int) -> None:
        """Record a cut: the original length in characters, and the marker's place in the result in bytes."""
        remark = self.remark(path_keys(path))
        remark.setdefault("rem", []).append(["!limit", "s", start, end])
        remark.setdefault("len", length)

    def shortened(self, path: EventPath, length: int) -> None:
        """Record the original length of a list or object that was shortened."""
        self.remark(path_keys(path)).setdefault("len", length)

    def moved(self, key: str, *path: str) -> None:
        """Move the remarks on a top-level field to where the field went."""
        known = self.meta.pop(key, None)
        if isinstance(known, dict):
            own = known.pop("", None)
            self._node(path).update(known)
            if isinstance(own, dict):
                self.remark(path).update(own)
        for error in self.errors:
            first, dot, rest = error["name"].partition(".")
            if first == key:
                error["name"] = ".".join(path) + dot + rest

    def remark(self, keys: Sequence[str]) -> dict[str, Any]:
        """Return the `_meta` entry of a path. Create it if it is missing."""
        return self._node((*keys, ""))

    def _node(self, keys: Sequence[str]) -> dict[str, Any]:
        node = self.meta
        for key in keys:
            child = node.get(key)
            if not isinstance(child, dict):
                child = node[key] = {}
            node = child
        return node


def kept_meta(value: Any) -> dict[str, Any]:
    """Return a sender's `_meta`, or an empty one if it is too large or not an object."""
    if not isinstance(value, dict) or estimate_size(value, MAX_META_BYTES) >= MAX_META_BYTES:
        return {}
    try:
        kept = orjson.loads(orjson.dumps(value))
    except (TypeError, orjson.JSONDecodeError):  # nested too deep, or holds numbers that JSON does not have
        return {}
    return kept if isinstance(kept, dict) else {}


def as_json_value(value: Any) -> Any:
    """Return a value that every JSON writer accepts. Integers beyond 64 bits and NaN become text."""
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)[:100]
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, dict | list):
        try:
            orjson.dumps(value)
        except TypeError:  # nested too deep, or integers beyond 64 bits
            return (to_json_text(value) or "")[:MAX_KEPT_VALUE_BYTES]
        return value
    return None
