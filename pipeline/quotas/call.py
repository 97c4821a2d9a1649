"""A call of a script, as it is put together: events by organization and partition, in columns (the form is in `ledger.lua`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from struct import Struct
from typing import Any, cast

import msgpack
import msgspec
import xxhash

from pipeline.model.record import Token
from pipeline.quotas.ledger import Polled
from pipeline.quotas.window import clamped

_TOKEN = Struct("<QI").pack
_MASK_64 = 2**64 - 1
_MAX_QUANTITY = 2**48
"""Larger ones count as this: Lua's numbers are exact up to 2^53."""
_encode = msgpack.Packer(use_bin_type=False, unicode_errors="surrogatepass").pack
"""Redis's own decoder knows the older format only, in which bytes and text are the same type."""


Column = type[list[Any]] | type[bytearray]
"""How a column is kept: numbers and texts in a list, values of one width side by side."""


class Part:
    """The events of one organization from one partition, as columns. `extra` holds the columns that only one script has."""

    __slots__ = (
        "arrivals",
        "base",
        "combos",
        "end",
        "extra",
        "ids",
        "name",
        "offsets",
        "partition",
        "places",
        "quantities",
        "replayed",
        "section",
        "topic_id",
    )

    def __init__(self, section: Section, name: str, polled: Polled, extra: Iterable[Column]) -> None:
        self.section = section
        self.name = name
        self.topic_id, self.partition, self.base, self.end, _ = polled
        self.places: list[int] = []
        """Where each event stands among the claims of the call."""
        self.offsets: list[int] = []
        self.combos: list[int] = []
        self.quantities: list[int] = []
        self.ids: list[str] = []
        self.arrivals: list[float] = []
        self.replayed: set[int] = set()
        """The offsets of replayed dead letters, also of those that have no event here; such a part covers nothing else."""
        self.extra: list[Any] = [column() for column in extra]

    def header(self) -> list[Any]:
        """Give the part's name, and the offsets that it covers: a range, or those of replayed dead letters."""
        return [self.name, sorted(self.replayed)] if self.replayed else [self.name, self.base, self.end]

    def holds(self, organization: int, token: Token) -> bool:
        """Say whether an event belongs here."""
        return (
            self.base <= token[2] < self.end
            and self.topic_id == token[0]
            and self.partition == token[1]
            and self.section.organization == organization
        )

    def pack(self) -> bytes:
        """Give the columns as the script takes them.

        A token is 64 bits: only tokens that claim the same event id or the same group are ever compared.
        """
        start = origin(self.topic_id, self.partition)
        tokens = [start + offset & _MASK_64 for offset in self.offsets]
        arrivals = [int(clamped(arrival)) for arrival in self.arrivals]
        quantities = self.quantities
        if quantities and max(quantities) > _MAX_QUANTITY:
            quantities = [min(quantity, _MAX_QUANTITY) for quantity in quantities]
        columns = [
            self.offsets,
            self.combos,
            quantities,
            pack_ids(self.ids),
            b"".join(map(_TOKEN, tokens, arrivals)),
            *self.extra,
        ]
        return cast("bytes", _encode(columns))


class Section:
    """All that a call says of one organization. Counters, definitions and combos are numbered from 1, as Lua does."""

    __slots__ = ("_counters", "_definition_of", "_definitions", "_labels", "_lists", "drops", "organization", "parts")

    def __init__(self, organization: int) -> None:
        self.organization = organization
        self.parts: dict[tuple[str, int, bool], Part] = {}
        """By topic, partition, and whether its events are replayed dead letters."""
        self.drops: list[tuple[str, int]] = []
        """Stems of quotas, and what was refused by them without asking Redis."""
        self._counters: dict[str, int] = {}
        self._definition_of: list[int] = []
        self._definitions: dict[tuple[Any, ...], int] = {}
        self._lists: list[list[int]] = []
        self._labels: list[Any] = []

    def counter(self, name: str, definition: tuple[Any, ...]) -> int:
        """Give a counter's number in this call."""
        index = self._counters.get(name)
        if index is None:
            index = self._counters[name] = len(self._counters) + 1
            self._definition_of.append(self._definitions.setdefault(definition, len(self._definitions) + 1))
        return index

    def combo(self, counters: Iterable[tuple[str, tuple[Any, ...]]], label: Any) -> int:
        """Add a combo of counters; gives its number in this call."""
        self._lists.append([self.counter(name, definition) for name, definition in counters])
        self._labels.append(label)
        return len(self._labels)

    def pack(self) -> bytes:
        """Give the tables as the script takes them."""
        tables = [list(self._counters), self._definition_of, list(self._definitions), self._lists, self._labels]
        return cast("bytes", _encode(tables))


class Call:
    """One call, filled event by event, then packed."""

    def __init__(self, polled: Iterable[Polled], extra: Sequence[Column]) -> None:
        self._polled = {(part.topic_id, part.partition): part for part in polled}
        self._extra = extra
        self.sections: dict[int, Section] = {}

    def section(self, organization: int) -> Section:
        """Give an organization's section; made where it is the first time."""
        section = self.sections.get(organization)
        if section is None:
            section = self.sections[organization] = Section(organization)
        return section

    def part(self, organization: int, token: Token) -> Part:
        """Give the part that an event belongs to.

        A token from outside of what was polled is a replayed dead letter's.
        """
        topic_id, partition, offset = token
        section = self.section(organization)
        polled = self._polled.get((topic_id, partition))
        is_replayed = polled is None or not polled.base <= offset < polled.end
        part = section.parts.get((topic_id, partition, is_replayed))
        if part is None:
            name = f"{_plain(topic_id)}:{partition}"
            covered = Polled(topic_id, partition, 0, 0) if polled is None or is_replayed else polled
            part = section.parts[topic_id, partition, is_replayed] = Part(section, name, covered, self._extra)
        if is_replayed:
            part.replayed.add(offset)
        return part

    def name_rest(self, is_clean: Callable[[int, Token], bool]) -> None:
        """Name the organizations that were read but have no event left, unless no earlier attempt can have charged them."""
        for topic_id, partition, base, _, organizations in self._polled.values():
            token = Token(topic_id, partition, base)
            for organization in organizations:
                if not is_clean(organization, token):
                    self.part(organization, token)

    def pack(self, options: Sequence[Any], prefix: str, *, per_section: bool) -> list[tuple[str, list[bytes]]]:
        """Give the key and the arguments of each script call: one for all sections, or one for each."""
        sections = list(self.sections.values())
        groups = [[section] for section in sections] if per_section else [sections]
        calls = []
        for group in groups:
            headers = [[str(s.organization), [p.header() for p in s.parts.values()], s.drops] for s in group]
            arguments = [_encode([*options, headers])]
            for section in group:
                arguments.append(section.pack())
                arguments.extend(part.pack() for part in section.parts.values())
            calls.append((f"{prefix}epoch:{{{group[0].organization}}}", arguments))
        return calls


class PartReply(msgspec.Struct, array_like=True):
    """What the script says of one part: `high` is where the furthest call before this one ended, 0 where nothing is known."""

    high: int
    decided_until: int
    verdicts: list[int]
    reasons: list[tuple[int, str]]
    """The reasons of rejections that an earlier attempt decided: the event, from 1, and the words of that time."""


class SectionReply(msgspec.Struct, array_like=True):
    """What the script says of one organization. `full` lists the counters that are used up.

    `firsts` tells when each combo's group was first seen (epoch seconds), 0 where that is not known; admit gives none.
    """

    epoch: str
    parts: list[PartReply]
    full: list[int]
    firsts: list[float] = []


_decode = msgspec.msgpack.Decoder(list[SectionReply]).decode


def read_replies(replies: Iterable[bytes]) -> list[SectionReply] | None:
    """Read the replies to a call's script calls, section by section; None where the caller is a zombie."""
    sections: list[SectionReply] = []
    for reply in replies:
        if reply == b"STALE":
            return None
        sections += _decode(reply)
    return sections


def pack_ids(event_ids: Sequence[str]) -> bytes:
    """Give 16 bytes for each event id."""
    with suppress(ValueError):
        packed = bytes.fromhex("".join(event_ids))  # all at once: a fifth of the time, where every id is one
        if len(packed) == 16 * len(event_ids) and all(len(event_id) == 32 for event_id in event_ids):
            return packed
    return b"".join(map(id_bytes, event_ids))


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
