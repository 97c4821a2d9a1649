"""Puts a call of a script together: events by organization and partition, in columns. `ledger.lua` describes the form."""

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
from pipeline.quotas.model import clamped

_TOKEN = Struct("<QI").pack
_MASK_64 = 2**64 - 1
_MAX_QUANTITY = 2**48
"""Larger quantities count as this one. Lua's numbers are exact up to 2^53."""
_encode = msgpack.Packer(use_bin_type=False, unicode_errors="surrogatepass").pack
"""Encodes in the older MessagePack format, in which bytes and text are the same type. Redis's decoder knows no other."""


Column = type[list[Any]] | type[bytearray]
"""The type of a column: a list of numbers or texts, or one string of bytes in which all values have the same width."""


class CallPart:
    """The events of one organization from one partition, as columns. `extra` holds columns that only one of the scripts has."""

    __slots__ = (
        "arrivals",
        "base",
        "combos",
        "end",
        "extra",
        "ids",
        "indices",
        "name",
        "offsets",
        "partition",
        "quantities",
        "replayed",
        "section",
        "topic_id",
    )

    def __init__(self, section: CallSection, name: str, polled: Polled, extra: Iterable[Column]) -> None:
        self.section = section
        self.name = name
        self.topic_id, self.partition, self.base, self.end, *_ = polled
        self.indices: list[int] = []
        """The index of each event among the claims or sightings of the call."""
        self.offsets: list[int] = []
        self.combos: list[int] = []
        self.quantities: list[int] = []
        self.ids: list[str] = []
        self.arrivals: list[float] = []
        self.replayed: set[int] = set()
        """The offsets of replayed dead letters, even if they have no event here. A part that has such offsets covers no
        others."""
        self.extra: list[Any] = [column() for column in extra]

    def header(self) -> list[Any]:
        """Return the part's name and what it covers: `[name, base, end]`, for replayed dead letters `[name, offsets]`."""
        return [self.name, sorted(self.replayed)] if self.replayed else [self.name, self.base, self.end]

    def holds(self, organization: int, token: Token) -> bool:
        """Whether an event belongs to this part."""
        return (
            self.base <= token[2] < self.end
            and self.topic_id == token[0]
            and self.partition == token[1]
            and self.section.organization == organization
        )

    def pack(self) -> bytes:
        """Return the columns as the script takes them.

        A token is 64 bits. That is enough, because only tokens that claim the same event id or the same group are compared.
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


class CallSection:
    """The part of a call for one organization. Counters, definitions and combos are numbered from 1, as in Lua.

    A combo stands for events that are charged to the same counters and have the same label.
    """

    __slots__ = ("_counters", "_definition_of", "_definitions", "_labels", "_lists", "drops", "organization", "parts")

    def __init__(self, organization: int) -> None:
        self.organization = organization
        self.parts: dict[tuple[str, int, bool], CallPart] = {}
        """By topic, partition, and whether the events are replayed dead letters."""
        self.drops: list[tuple[str, int]] = []
        """Counters without their windows, and the quantity that each refused without a call."""
        self._counters: dict[str, int] = {}
        self._definition_of: list[int] = []
        self._definitions: dict[tuple[Any, ...], int] = {}
        self._lists: list[list[int]] = []
        self._labels: list[Any] = []

    def counter(self, name: str, definition: tuple[Any, ...]) -> int:
        """Return a counter's number in this section."""
        index = self._counters.get(name)
        if index is None:
            index = self._counters[name] = len(self._counters) + 1
            self._definition_of.append(self._definitions.setdefault(definition, len(self._definitions) + 1))
        return index

    def combo(self, counters: Iterable[tuple[str, tuple[Any, ...]]], label: Any) -> int:
        """Add a combo and return its number in this section."""
        self._lists.append([self.counter(name, definition) for name, definition in counters])
        self._labels.append(label)
        return len(self._labels)

    def pack(self) -> bytes:
        """Return the tables as the script takes them."""
        tables = [list(self._counters), self._definition_of, list(self._definitions), self._lists, self._labels]
        return cast("bytes", _encode(tables))


class Call:
    """One call, filled event by event, then packed."""

    def __init__(self, polled: Iterable[Polled], extra: Sequence[Column]) -> None:
        self._polled = {(part.topic_id, part.partition): part for part in polled if not part.is_replayed}
        self._replayed = [part for part in polled if part.is_replayed]
        self._extra = extra
        self.sections: dict[int, CallSection] = {}

    def section(self, organization: int) -> CallSection:
        """Return an organization's section, and create it if it does not exist."""
        section = self.sections.get(organization)
        if section is None:
            section = self.sections[organization] = CallSection(organization)
        return section

    def part(self, organization: int, token: Token) -> CallPart:
        """Return the part that an event belongs to. A token outside of the polled ranges belongs to a replayed dead letter."""
        topic_id, partition, offset = token
        section = self.section(organization)
        polled = self._polled.get((topic_id, partition))
        is_replayed = polled is None or not polled.base <= offset < polled.end
        part = section.parts.get((topic_id, partition, is_replayed))
        if part is None:
            name = f"{_plain(topic_id)}:{partition}"
            covered = Polled(topic_id, partition, 0, 0) if polled is None or is_replayed else polled
            part = section.parts[topic_id, partition, is_replayed] = CallPart(section, name, covered, self._extra)
        if is_replayed:
            part.replayed.add(offset)
        return part

    def name_rest(self, is_undecided: Callable[[int, Token], bool]) -> None:
        """Name what has no event left in the call, if an earlier attempt may have charged some.

        These are organizations of what was polled, and replayed dead letters.
        """
        for topic_id, partition, base, _, organizations, _ in self._polled.values():
            token = Token(topic_id, partition, base)
            for organization in organizations:
                if not is_undecided(organization, token):
                    self.part(organization, token)
        for topic_id, partition, offset, _, organizations, _ in self._replayed:
            for organization in organizations:
                self.part(organization, Token(topic_id, partition, offset))

    def pack(self, options: Sequence[Any], prefix: str, *, per_section: bool) -> list[tuple[str, list[bytes]]]:
        """Return the key and the arguments of each script call: one call for all sections, or one for each."""
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
    """A script's reply for one part.

    `high` is the largest end of any earlier call, 0 if there was none. `decided_until` is the first offset that no call has
    decided. `decisions` holds a code for each event; `decisions.lua` lists them.
    """

    high: int
    decided_until: int
    decisions: list[int]
    reasons: list[tuple[int, str]]
    """For events that an earlier attempt rejected: the number of the event, from 1, and the reason."""
    refusals: list[list[int]]
    """The lists that codes of rejections refer to: places of counters in an event's combo, from 1."""


class SectionReply(msgspec.Struct, array_like=True):
    """A script's reply for one organization. `full` lists the numbers of the counters that are used up.

    `firsts` holds when the group of each combo was first seen (epoch seconds), 0 where that is not known. Admit returns none.
    """

    epoch: str
    parts: list[PartReply]
    full: list[int]
    firsts: list[float] = []


_decode = msgspec.msgpack.Decoder(list[SectionReply]).decode


def read_replies(replies: Iterable[bytes]) -> list[SectionReply] | None:
    """Return the replies to a call, section by section. None if another worker has already processed later records."""
    sections: list[SectionReply] = []
    for reply in replies:
        if reply == b"STALE":
            return None
        sections += _decode(reply)
    return sections


def pack_ids(event_ids: Sequence[str]) -> bytes:
    """Return the 16 bytes of each event id, side by side."""
    with suppress(ValueError):
        packed = bytes.fromhex("".join(event_ids))  # converting all at once takes a fifth of the time
        if len(packed) == 16 * len(event_ids) and all(len(event_id) == 32 for event_id in event_ids):
            return packed
    return b"".join(map(id_bytes, event_ids))


def id_bytes(event_id: str) -> bytes:
    """Return the 16 bytes of an event id. Any other text is hashed, because keys are made of these bytes."""
    if len(event_id) == 32:
        try:
            raw = bytes.fromhex(event_id)
        except ValueError:
            raw = b""
        if len(raw) == 16:
            return raw
    return xxhash.xxh3_128_digest(event_id.encode("utf-8", "surrogatepass"))


def _plain(topic_id: str) -> str:
    """Return a topic's id in a form that can be part of a key. In a replay it is a path, which may hold any character."""
    return topic_id if topic_id.isascii() else xxhash.xxh3_128_hexdigest(topic_id.encode("utf-8", "surrogatepass"))


_origins: dict[tuple[str, int], int] = {}


def origin(topic_id: str, partition: int) -> int:
    """Return the 64-bit number that the tokens of a partition start from."""
    known = _origins.get((topic_id, partition))
    if known is None:
        known = xxhash.xxh3_64_intdigest(f"{topic_id}:{partition}".encode("utf-8", "surrogatepass"))
        if len(_origins) < 100_000:
            _origins[topic_id, partition] = known
    return known
