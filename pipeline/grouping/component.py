"""Component: a node of the tree that says what groups an event (spec/grouping.md, section 2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import xxhash

from pipeline.grouping.hashing import HashKind

Value = Any
"""A child component, or a leaf: text, a number, None; bytes are leaves that were encoded for the hash before."""

MAJOR_NAMES = {
    "app": "in-app",
    "exception": "exception",
    "stacktrace": "stack-trace",
    "threads": "thread",
    "hostname": "hostname",
    "violation": "violation",
    "uri": "URL",
    "message": "message",
}
"""What a description calls the components that it names."""


class Component:
    """One node. `contributes` says whether its leaves are hashed; `hint` says why not, or what was changed.

    Without an explicit `contributes` a node contributes when any of its values does; a leaf always does.
    A later `update` wins: nodes are built up, then left alone.
    """

    __slots__ = ("contributes", "hint", "id", "identity_digest", "values")

    def __init__(
        self,
        id: str,  # noqa: A002 -- the contract's name
        values: list[Value] | None = None,
        *,
        contributes: bool | None = None,
        hint: str | None = None,
    ) -> None:
        self.id = id
        self.values: list[Value] = values if values is not None else []
        self.hint = hint
        self.contributes = _any_contributes(self.values) if contributes is None else contributes
        self.identity_digest: bytes | None = None

    def update(self, *, values: list[Value] | None = None, contributes: bool | None = None, hint: str | None = None) -> None:
        """Change what is given. New values decide anew whether the node contributes, unless that is given too."""
        if hint is not None:
            self.hint = hint
        if values is not None:
            self.values = values
            if contributes is None:
                contributes = _any_contributes(values)
        if contributes is not None:
            self.contributes = contributes

    def encoded(self, kind: HashKind) -> bytes:
        """Join the contributing leaves, depth first, as the hash kind encodes them."""
        parts: list[bytes] = []
        _collect(self, kind, parts)
        return b"".join(parts)

    def digest(self, kind: HashKind) -> str | None:
        """Give the hash; None for a node that does not contribute."""
        return kind.digest(self.encoded(kind)) if self.contributes else None

    def identity(self) -> bytes:
        """Give a digest of the whole tree: ids, hints, and values that do not contribute. Equal trees have equal digests."""
        if self.identity_digest is not None:
            return self.identity_digest
        digest = xxhash.xxh3_128(f"{self.id}\0{self.contributes}\0{self.hint}".encode("utf-8", "surrogatepass"))
        for value in self.values:
            if isinstance(value, Component):
                digest.update(b"\1" + value.identity())
            else:
                digest.update(b"\2" + (value if isinstance(value, bytes) else repr(value).encode("utf-8", "surrogatepass")))
        return digest.digest()

    def flattened(self, kind: HashKind) -> Component:
        """Give a node that hashes and compares like this one but holds no tree: the cache of stacks keeps it."""
        flat = Component(self.id, [self.encoded(kind)], contributes=self.contributes, hint=self.hint)
        flat.identity_digest = self.identity()
        return flat

    def copy(self) -> Component:
        """Copy this node; its values are shared."""
        twin = Component(self.id, self.values, contributes=self.contributes, hint=self.hint)
        twin.identity_digest = self.identity_digest
        return twin

    def has_contributing(self, id: str) -> bool:  # noqa: A002 -- the contract's name
        """Say whether a node of this id contributes somewhere below, on a path of contributing nodes."""
        for value in self.values:
            if isinstance(value, Component) and value.contributes and (value.id == id or value.has_contributing(id)):
                return True
        return False

    def describe(self) -> str:
        """Name what contributes, for people: the longest path of major components, e.g. `in-app exception stack-trace`."""
        longest = max(_major_paths(self, ()), key=lambda path: (len(path), path))
        return " ".join(longest) or "others"

    def to_json(self) -> dict[str, Any]:
        """Give the node as `explain` prints it."""
        values = [value.to_json() if isinstance(value, Component) else value for value in self.values]
        return {"id": self.id, "contributes": self.contributes, "hint": self.hint, "values": values}


def _any_contributes(values: list[Value]) -> bool:
    for value in values:  # noqa: SIM110 -- asked of every node of every event, and a generator takes three times as long
        if not isinstance(value, Component) or value.contributes:
            return True
    return False


def _collect(component: Component, kind: HashKind, parts: list[bytes]) -> None:
    if not component.contributes:
        return
    for value in component.values:
        if isinstance(value, Component):
            _collect(value, kind, parts)
        else:
            parts.append(value if isinstance(value, bytes) else kind.encode(value))


def _major_paths(component: Component, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    name = MAJOR_NAMES.get(component.id)
    path = above if name is None else (*above, name)
    for value in component.values:
        if isinstance(value, Component) and value.contributes:
            yield from _major_paths(value, path)
    yield path
