"""What normalization found wrong: `errors` for people, `_meta` for machines (spec/ingest.md, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from pipeline.model.path import Path, path_keys
from pipeline.stages.normalize.json_text import estimate_size, to_json_text

MAX_KEPT_VALUE_BYTES = 500
"""The original of a refused value is kept only below this size, so that junk is not stored twice."""

MAX_META_BYTES = 100_000
"""A sender's own `_meta` is kept up to this size."""

MAX_ERRORS = 200
"""Errors kept of one event: what comes after them says nothing new, and a hostile event could name a million."""

NO_VALUE = object()


class Report:
    """Collects errors and remarks of one event. `errors` holds `{type, name, value?, reason?}`, `meta` is the event's `_meta`."""

    __slots__ = ("errors", "meta")

    def __init__(self, meta: dict[str, Any] | None = None) -> None:
        self.errors: list[dict[str, Any]] = []
        self.meta: dict[str, Any] = meta or {}

    def invalid(self, path: Path, reason: str, value: Any = NO_VALUE) -> None:
        """Say that a value was refused and why."""
        self.error(path, "invalid_data", value, reason=reason)

    def error(self, path: Path, kind: str, original: Any = NO_VALUE, /, **data: Any) -> None:
        """Record an error of the given kind; `data` (reason, attribute, ...) goes beside its type and name."""
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
            kept = printable(original)
            remark["val"] = kept
            error["value"] = kept
        self.errors.append(error)

    def trimmed(self, path: Path, length: int, start: int, end: int) -> None:
        """Record a cut: the original length in characters, and where in the result the marker stands, in bytes."""
        remark = self.remark(path_keys(path))
        remark.setdefault("rem", []).append(["!limit", "s", start, end])
        remark.setdefault("len", length)

    def shortened(self, path: Path, length: int) -> None:
        """Record the original length of a list or object that lost its tail."""
        self.remark(path_keys(path)).setdefault("len", length)

    def moved(self, key: str, *path: str) -> None:
        """Take what is known of a top-level field along to where the field went."""
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
        """Give the `_meta` entry of a path, made where it is missing."""
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
    """Give what of a sender's `_meta` is kept: all of it, or nothing where it is too large or no object."""
    if not isinstance(value, dict) or estimate_size(value, MAX_META_BYTES) >= MAX_META_BYTES:
        return {}
    try:
        kept = orjson.loads(orjson.dumps(value))
    except (TypeError, orjson.JSONDecodeError):  # nested too deep, or numbers that JSON does not have
        return {}
    return kept if isinstance(kept, dict) else {}


def printable(value: Any) -> Any:
    """Give a value that any JSON writer takes: integers beyond 64 bits and NaN become text."""
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
