"""Hash kinds: how the leaves of a tree become a hash of 32 hexadecimal digits. See docs/spec/grouping.md, "Hashes"."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from hashlib import md5
from typing import Any

import xxhash


class HashKind(ABC):
    """Encodes leaves as bytes, and hashes the joined bytes."""

    name: str

    @abstractmethod
    def encode(self, leaf: Any) -> bytes:
        """Return a leaf as bytes.

        Text is UTF-8 with `?` for characters that cannot be encoded, numbers are decimal, and None is `None`.
        """

    @abstractmethod
    def digest(self, encoded: bytes) -> str:
        """Return the hash of encoded, joined leaves as 32 lower-case hexadecimal digits."""

    def hash_values(self, values: Iterable[Any]) -> str:
        """Return the hash of leaves that are not part of a tree, such as the values of a fingerprint."""
        return self.digest(b"".join([self.encode(value) for value in values]))


class Md5(HashKind):
    """Sentry's own hashes. Leaves are joined without a separator, so `ab` + `c` has the same hash as `a` + `bc`."""

    name = "md5"

    def encode(self, leaf: Any) -> bytes:
        """Return the leaf's text in UTF-8."""
        return str(leaf).encode("utf-8", "replace")

    def digest(self, encoded: bytes) -> str:
        """Return the MD5 hash."""
        return md5(encoded, usedforsecurity=False).hexdigest()


class Xxh3(HashKind):
    """The length of each leaf comes before it, so `ab` + `c` and `a` + `bc` have different hashes."""

    name = "xxh3_128"

    def encode(self, leaf: Any) -> bytes:
        """Return the leaf's length in bytes, a colon, and its text in UTF-8."""
        text = str(leaf).encode("utf-8", "replace")
        return b"%d:%b" % (len(text), text)

    def digest(self, encoded: bytes) -> str:
        """Return the XXH3 hash of 128 bits."""
        return xxhash.xxh3_128_hexdigest(encoded)


HASH_KINDS: Mapping[str, HashKind] = {kind.name: kind for kind in (Md5(), Xxh3())}
"""The hash kinds by the name that `grouping.toml` uses for `hash`."""
