"""A call of a script, as it is put together: events by organization and partition, in columns (the form is in `ledger.lua`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from struct import Struct
from typing import Any, cast

import msgpack
import msgspec
import xxhash

from pipeline.model.record import Token
from pipeline.quotas.ledger import Polled

_TOKEN = Struct("<QI").pack
_MASK_64 = 2**64 - 1
_encode = msgpack.Packer(use_bin_type=False, unicode_errors="surrogatepass").pack
"""Redis's own decoder knows the older format only, in which bytes and text are the same type."""


class Part:
    """The events of one organization from one partition, as columns. `extra` holds the columns that only one script has."""

    __slots__ = (
        "base",
        "combos",
        "end",
        "extra",
        "ids",
        "name",
        "offsets",
        "origin",
        "places",
        "quantities",
        "section",
        "tokens",
    )

    def __init__(self, section: Section, name: str, polled: Polled, extra_columns: int) -> None:
        self.section = section
        self.name = name
        self.base = polled.base
        self.end = polled.end
        self.origin = origin(polled.topic_id, polled.partition)
        self.places: list[int] = []
        """Where each event stands among the claims of the call."""
        self.offsets: list[int] = []
        self.combos: list[int] = []
        self.quantities: list[int] = []
        self.ids: list[bytes] = []
        self.tokens: list[bytes] = []
        self.extra: list[list[Any]] = [[] for _ in range(extra_columns)]

    def add(self, place: int, offset: int, combo: int, quantity: int, event_id: str, received: float) -> None:
        """Append one event. Its token is 64 bits: only tokens of one event id or one group are ever compared."""
        self.places.append(place)
        self.offsets.append(offset)
        self.combos.append(combo)
        self.quantities.append(quantity)
        self.ids.append(id_bytes(event_id))
        self.tokens.append(_TOKEN((self.origin + offset) & _MASK_64, int(received) & 0xFFFFFFFF))

    def pack(self) -> bytes:
        """Give the columns as the script takes them."""
        columns = [self.offsets, self.combos, self.quantities, b"".join(self.ids), b"".join(self.tokens), *self.extra]
        return cast("bytes", _encode(columns))


class Section:
    """All that a call says of one organization."""

    __slots__ = ("combos", "counters", "organization", "parts", "rows")

    def __init__(self, organization: int) -> None:
        self.organization = organization
        self.parts: dict[tuple[str, int, int | None], Part] = {}
        self.combos: list[list[Any]] = []
        self.counters: dict[str, int] = {}
        self.rows: list[list[Any]] = []

    def counter(self, row: list[Any]) -> int:
        """Give a counter's number in this call, from 1."""
        name = f"{row[0]}:{row[1]}"
        index = self.counters.get(name)
        if index is None:
            self.rows.append(row)
            index = self.counters[name] = len(self.rows)
        return index

    def combo(self, row: list[Any]) -> int:
        """Add a combo; gives its number in this call, from 1."""
        self.combos.append(row)
        return len(self.combos)


class Call:
    """One call, filled event by event, then packed."""

    def __init__(self, polled: Iterable[Polled], extra_columns: int) -> None:
        self._polled = {(part.topic_id, part.partition): part for part in polled}
        self._extra_columns = extra_columns
        self.sections: dict[int, Section] = {}

    def section(self, organization: int) -> Section:
        """Give an organization's section; made where it is the first time."""
        section = self.sections.get(organization)
        if section is None:
            section = self.sections[organization] = Section(organization)
        return section

    def part(self, organization: int, token: Token) -> Part:
        """Give the part that an event belongs to.

        A token from outside of what was polled is a replayed dead letter's: it gets a ledger of its own.
        """
        topic_id, partition, offset = token
        section = self.section(organization)
        polled = self._polled.get((topic_id, partition))
        if polled is not None and polled.base <= offset < polled.end:
            key: tuple[str, int, int | None] = (topic_id, partition, None)
            name = f"{_plain(topic_id)}:{partition}"
        else:
            key = (topic_id, partition, offset)
            name = f"{_plain(topic_id)}:{partition}@{offset}"
            polled = Polled(topic_id, partition, offset, offset + 1)
        part = section.parts.get(key)
        if part is None:
            part = section.parts[key] = Part(section, name, polled, self._extra_columns)
        return part

    def pack(self, options: Sequence[Any], prefix: str, *, per_section: bool) -> list[tuple[str, list[bytes]]]:
        """Give the key and the arguments of each script call: one for all sections, or one for each."""
        sections = list(self.sections.values())
        groups = [[section] for section in sections] if per_section else [sections]
        calls = []
        for group in groups:
            headers = [[str(s.organization), [[p.name, p.base, p.end] for p in s.parts.values()]] for s in group]
            arguments = [_encode([*options, headers])]
            for section in group:
                arguments.append(_encode([section.rows, section.combos]))
                arguments.extend(part.pack() for part in section.parts.values())
            calls.append((f"{prefix}epoch:{{{group[0].organization}}}", arguments))
        return calls


class PartReply(msgspec.Struct, array_like=True):
    """What the script says of one part: `high` is where the furthest call before this one ended, 0 where nothing is known."""

    high: int
    decided_until: int
    verdicts: list[int]
    reasons: list[tuple[int, str]]

    def reason_of(self) -> Mapping[int, str]:
        """Give the reasons of rejections that an earlier attempt decided, by event, from 1."""
        return dict(self.reasons)


class SectionReply(msgspec.Struct, array_like=True):
    """What the script says of one organization. `full` lists the counters that are used up, with what was consumed."""

    epoch: str
    parts: list[PartReply]
    full: list[tuple[int, float]]


_decode = msgspec.msgpack.Decoder(list[SectionReply]).decode


def read_replies(replies: Iterable[bytes]) -> list[SectionReply] | None:
    """Read the replies to a call's script calls, section by section; None where the caller is a zombie."""
    sections: list[SectionReply] = []
    for reply in replies:
        if reply == b"STALE":
            return None
        sections += _decode(reply)
    return sections


def id_bytes(event_id: str) -> bytes:
    """Give an event id's 16 bytes; a text that is no event id is hashed, so that it cannot reach into a key's name."""
    if len(event_id) == 32:
        try:
            raw = bytes.fromhex(event_id)
        except ValueError:
            raw = b""
        if len(raw) == 16:
            return raw
    return xxhash.xxh3_128_digest(event_id.encode("utf-8", "surrogatepass"))


def _plain(topic_id: str) -> str:
    """Give a topic's id as it may stand in a key; a replay's topic is a path, which may hold anything."""
    return topic_id if topic_id.isascii() else xxhash.xxh3_128_hexdigest(topic_id.encode("utf-8", "surrogatepass"))


_origins: dict[tuple[str, int], int] = {}


def origin(topic_id: str, partition: int) -> int:
    """Give the 64-bit number that a partition's tokens start from."""
    known = _origins.get((topic_id, partition))
    if known is None:
        known = xxhash.xxh3_64_intdigest(f"{topic_id}:{partition}".encode("utf-8", "surrogatepass"))
        if len(_origins) < 100_000:
            _origins[topic_id, partition] = known
    return known
