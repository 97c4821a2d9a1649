"""Hash kinds: how the leaves of a tree become a hash of 32 hex digits (spec/grouping.md, section 2)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from hashlib import md5
from typing import Any

import xxhash


class HashKind(ABC):
    """Turns leaves into bytes that can simply be joined, and joined bytes into a hash."""

    name: str

    @abstractmethod
    def encode(self, leaf: Any) -> bytes:
        """Give one leaf's bytes: text as UTF-8 with `?` for what cannot be encoded, numbers in decimal, None as `None`."""

    @abstractmethod
    def digest(self, encoded: bytes) -> str:
        """Give the hash of joined leaves, in lower-case hex."""

    def hash_values(self, values: Iterable[Any]) -> str:
        """Hash leaves that are in no tree, such as the values of a fingerprint."""
        return self.digest(b"".join([self.encode(value) for value in values]))


class Md5(HashKind):
    """Sentry's own values: leaves joined with nothing between them, so `ab` + `c` equals `a` + `bc`."""

    name = "md5"

    def encode(self, leaf: Any) -> bytes:
        """Give the leaf's text."""
        return str(leaf).encode("utf-8", "replace")

    def digest(self, encoded: bytes) -> str:
        """Hash with MD5."""
        return md5(encoded, usedforsecurity=False).hexdigest()


class Xxh3(HashKind):
    """The same leaves, each behind its length, so that neighbours cannot run together."""

    name = "xxh3_128"

    def encode(self, leaf: Any) -> bytes:
        """Give the leaf's text as a netstring, without the closing comma."""
        text = str(leaf).encode("utf-8", "replace")
        return b"%d:%b" % (len(text), text)

    def digest(self, encoded: bytes) -> str:
        """Hash with 128 bits of XXH3."""
        return xxhash.xxh3_128_hexdigest(encoded)


HASH_KINDS: Mapping[str, HashKind] = {kind.name: kind for kind in (Md5(), Xxh3())}
"""By the name that `grouping.toml` uses."""
