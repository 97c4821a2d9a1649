"""Component: a node of the tree that an event is grouped by. See docs/spec/grouping.md, "Words" and "Hashes"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import xxhash

from pipeline.grouping.hashing import HashKind

Value = Any
"""A child component or a leaf. A leaf is a text, a number or None; bytes are leaves that are already encoded for the hash."""

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
"""The components that a description mentions, and their names in it."""


class Component:
    """One node. Its leaves are hashed if `contributes` is true. `hint` says why they are not, or what was changed.

    Without an explicit `contributes`, a node contributes if any of its values does. A leaf always does.

    >>> Component("type", ["ValueError"]).contributes, Component("type").contributes
    (True, False)
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
        """Change the given fields. New `values` also decide whether the node contributes, unless `contributes` is given."""
        if hint is not None:
            self.hint = hint
        if values is not None:
            self.values = values
            if contributes is None:
                contributes = _any_contributes(values)
        if contributes is not None:
            self.contributes = contributes

    def encoded(self, kind: HashKind) -> bytes:
        """Return the contributing leaves, depth first, encoded for the hash kind and joined."""
        parts: list[bytes] = []
        _collect(self, kind, parts)
        return b"".join(parts)

    def digest(self, kind: HashKind) -> str | None:
        """Return the hash of the contributing leaves, or None if the node does not contribute."""
        return kind.digest(self.encoded(kind)) if self.contributes else None

    def identity(self) -> bytes:
        """Return a digest of the whole tree: ids, hints and all values. Equal trees have equal digests."""
        if self.identity_digest is not None:
            return self.identity_digest
        digest = xxhash.xxh3_128(f"{self.id}\0{self.contributes}\0{self.hint}".encode("utf-8", "surrogatepass"))
        for value in self.values:
            if isinstance(value, Component):
                digest.update(b"\1" + value.identity())
            else:
                digest.update(b"\2" + (value if isinstance(value, bytes) else repr(value).encode("utf-8", "surrogatepass")))
        return digest.digest()

    def flattened(self, kind: HashKind, *, comparable: bool = False) -> Component:
        """Return a node without children that hashes like this one. The cache of stacks keeps such nodes.

        A `comparable` one also has the identity of this node. To find that takes as long as to build the tree.
        """
        flat = Component(self.id, [self.encoded(kind)], contributes=self.contributes, hint=self.hint)
        if comparable:
            flat.identity_digest = self.identity()
        return flat

    def copy(self) -> Component:
        """Return a copy of this node that shares its values."""
        twin = Component(self.id, self.values, contributes=self.contributes, hint=self.hint)
        twin.identity_digest = self.identity_digest
        return twin

    def has_contributing(self, id: str) -> bool:  # noqa: A002 -- the contract's name
        """Whether a node of this id contributes somewhere below, and all nodes on the way to it do."""
        for value in self.values:
            if isinstance(value, Component) and value.contributes and (value.id == id or value.has_contributing(id)):
                return True
        return False

    def describe(self) -> str:
        """Return a description for people: the longest path of major components, such as `in-app exception stack-trace`."""
        longest = max(_major_paths(self, ()), key=lambda path: (len(path), path))
        return " ".join(longest) or "others"

    def to_json(self) -> dict[str, Any]:
        """Return the node as `explain --json` prints it."""
        values = [value.to_json() if isinstance(value, Component) else value for value in self.values]
        return {"id": self.id, "contributes": self.contributes, "hint": self.hint, "values": values}


def _any_contributes(values: list[Value]) -> bool:
    for value in values:  # noqa: SIM110 -- runs for every node of every event; a generator takes three times as long
        if not isinstance(value, Component) or value.contributes:
            return True
    return False


def _collect(component: Component, kind: HashKind, parts: list[bytes]) -> None:
    if not component.contributes:
        return
    for value in component.values:
        if isinstance(value, Component):
            if value.contributes:
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
