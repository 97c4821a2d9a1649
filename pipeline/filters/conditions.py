"""Conditions of generic filters, such as `{op: "glob", name: "event.release", value: ["1.*"]}` (docs/spec/filters.md)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.filters.releases import compare_versions
from pipeline.globs.glob import GlobSet
from pipeline.model.event import Event, sent_headers
from pipeline.model.ip_address import parse_ip

MAX_DEPTH = 50
"""How deep conditions nest. Deeper ones are refused, because they would overflow the stack."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a condition is tested on: a normalized event, and the address of the connection that sent it."""

    event: Event
    client_ip: str | None = None

    def get(self, name: str) -> Any:
        """Return a field by its dotted name, or None if it is missing."""
        if name == "envelope.client_ip":
            return self.client_ip
        prefix, _, rest = name.partition(".")
        return _field(self.event, rest) if prefix == "event" else None


@dataclass(frozen=True, slots=True)
class Element:
    """One item of a list that `any` or `all` tests. In conditions the type of an exception is called `ty`."""

    value: Any

    def get(self, name: str) -> Any:
        """Return a field of the item by its dotted name, or None if it is missing."""
        if not isinstance(self.value, Mapping):
            return None
        return _walk(self.value, "type" if name == "ty" else name)


Condition = Callable[[Subject | Element], bool]


class ConditionError(ValueError):
    """A condition cannot be used. The message says why."""


def _field(event: Event, name: str) -> Any:
    """Return `name` of an event. Tags and headers are pairs, and their names may contain dots."""
    head, _, rest = name.partition(".")
    if head == "tags" and rest:
        return next((tag[1] for tag in event.get("tags") or () if tag and tag[0] == rest), None)
    if name.startswith("request.headers."):
        wanted = name.removeprefix("request.headers.").lower()
        return next((value for header, value in sent_headers(event) if header == wanted), None)
    return _walk(event, name)


def _walk(value: Any, name: str) -> Any:
    """Follow a dotted name. Keys may contain dots themselves."""
    while isinstance(value, Mapping):
        if name in value:
            return value[name]
        head, separator, name = name.partition(".")
        if not separator:
            return None
        value = value.get(head)
    return None


def parse_condition(source: Any, *, depth: int = 0) -> Condition:
    """Return the test that a condition in parsed JSON or TOML describes. Raises ConditionError."""
    if not isinstance(source, Mapping):
        raise ConditionError("expected a condition, an object with an `op`")
    if depth > MAX_DEPTH:
        raise ConditionError("nested too deep")
    op = source.get("op")
    if op is None:
        raise ConditionError("missing field `op`")
    if not isinstance(op, str):
        raise ConditionError("unsupported condition")
    if op in {"and", "or"}:
        inner = source.get("inner")
        if not isinstance(inner, list):
            raise ConditionError("missing field `inner`")
        parts = [parse_condition(part, depth=depth + 1) for part in inner]
        return (
            (lambda subject: all(part(subject) for part in parts))
            if op == "and"
            else (lambda subject: any(part(subject) for part in parts))
        )
    if op == "not":
        part = parse_condition(source.get("inner"), depth=depth + 1)
        return lambda subject: not part(subject)
    make = _OPERATORS.get(op)
    if make is None:
        raise ConditionError("unsupported condition")
    name = source.get("name")
    if not isinstance(name, str):
        raise ConditionError("missing field `name`")
    return make(name, source, depth)


def lenient_condition(source: Any) -> Condition:
    """Return the test that a condition describes. A condition that cannot be used never matches."""
    try:
        return parse_condition(source)
    except ConditionError:
        return lambda _subject: False


def _eq(name: str, source: Mapping[str, Any], _depth: int) -> Condition:
    if "value" not in source:
        raise ConditionError("missing field `value`")
    value = source["value"]
    options = source.get("options") or {}
    fold = options.get("ignoreCase", False) if isinstance(options, Mapping) else None
    if not isinstance(fold, bool):
        raise ConditionError("expected true or false in `options.ignoreCase`")
    wanted = [_folded(one, fold=fold) for one in (value if isinstance(value, list) else [value])]

    def matches(subject: Subject | Element) -> bool:
        found = _folded(subject.get(name), fold=fold)
        return any(type(found) is type(one) and found == one for one in wanted)

    return matches


def _folded(value: Any, *, fold: bool) -> Any:
    if isinstance(value, str):
        return value.lower() if fold else value
    return float(value) if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() < 1024 else value


_COMPARISONS: Mapping[str, Callable[[float], bool]] = {
    "gt": lambda order: order > 0,
    "gte": lambda order: order >= 0,
    "lt": lambda order: order < 0,
    "lte": lambda order: order <= 0,
    "eq": lambda order: order == 0,
}


def _number(name: str, source: Mapping[str, Any], _depth: int) -> Condition:
    limit = source.get("value")
    if not isinstance(limit, int | float) or isinstance(limit, bool):
        raise ConditionError("expected a number in `value`")
    holds = _COMPARISONS[source["op"]]

    def matches(subject: Subject | Element) -> bool:
        found = subject.get(name)
        return isinstance(found, int | float) and not isinstance(found, bool) and holds((found > limit) - (found < limit))

    return matches


def _texts(source: Mapping[str, Any]) -> list[str]:
    value = source.get("value")
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ConditionError("expected a list of strings in `value`")
    return value


def _glob(name: str, source: Mapping[str, Any], _depth: int) -> Condition:
    globs = GlobSet(_texts(source))

    def matches(subject: Subject | Element) -> bool:
        found = subject.get(name)
        return isinstance(found, str) and globs.matches(found)

    return matches


def _cidr(name: str, source: Mapping[str, Any], _depth: int) -> Condition:
    networks = IpNetworks(_texts(source))

    def matches(subject: Subject | Element) -> bool:
        found = subject.get(name)
        return isinstance(found, str) and networks.contains(found)

    return matches


def _release(name: str, source: Mapping[str, Any], _depth: int) -> Condition:
    comparator, version = source.get("comparator"), source.get("value")
    holds = _COMPARISONS.get(comparator) if isinstance(comparator, str) else None
    if holds is None:
        raise ConditionError("unsupported condition")
    if not isinstance(version, str):
        raise ConditionError("missing field `value`")

    def matches(subject: Subject | Element) -> bool:
        found = subject.get(name)
        order = compare_versions(found, version) if isinstance(found, str) else None
        return order is not None and holds(order)

    return matches


def _quantifier(name: str, source: Mapping[str, Any], depth: int) -> Condition:
    part = parse_condition(source.get("inner"), depth=depth + 1)
    quantify = any if source["op"] == "any" else all

    def matches(subject: Subject | Element) -> bool:
        found = subject.get(name)
        return isinstance(found, list) and quantify(part(Element(one)) for one in found)

    return matches


_OPERATORS: Mapping[str, Callable[[str, Mapping[str, Any], int], Condition]] = {
    "eq": _eq,
    "glob": _glob,
    "cidr": _cidr,
    "release": _release,
    **dict.fromkeys(("gt", "gte", "lt", "lte"), _number),
    **dict.fromkeys(("any", "all"), _quantifier),
}


class IpNetworks:
    """Addresses and networks, IPv4 and IPv6. Texts that are neither are left out and listed in `invalid`."""

    def __init__(self, texts: list[str]) -> None:
        self._networks = []
        self.invalid: list[str] = []
        for text in texts:
            try:
                self._networks.append(ipaddress.ip_network(text.strip(), strict=False))
            except ValueError:
                self.invalid.append(text)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def contains(self, text: str) -> bool:
        """Whether a text is an address in one of the networks."""
        address = parse_ip(text)
        return address is not None and any(address in network for network in self._networks)
