from __future__ import annotations

import io
import random
import tracemalloc
from typing import Any

import msgpack
import pytest

from pipeline.model.record import KEPT_OF_OVERSIZED
from pipeline.runtimes.recorded.cutting import Cut, cut_lines, cut_msgpack, cut_whole
from pipeline.runtimes.recorded.msgpack_scan import scan


def stream(data: bytes) -> io.BufferedReader:
    return io.BufferedReader(io.BytesIO(data))


def test_lines_are_numbered_from_one_and_blank_ones_are_no_records() -> None:
    cuts = list(cut_lines(stream(b'{"a":1}\n\n  \r\n{"b":2}\r\n{"c":3}'), 100))
    assert cuts == [Cut(1, b'{"a":1}'), Cut(4, b'{"b":2}'), Cut(5, b'{"c":3}', ended_with_stream=True)]


def test_a_byte_order_mark_is_no_part_of_the_first_record() -> None:
    mark = b"\xef\xbb\xbf"
    assert [cut.body for cut in cut_lines(stream(mark + b"{}\n" + mark + b"{}\n"), 100)] == [b"{}", mark + b"{}"]
    assert [cut.body for cut in cut_whole(stream(mark + b"{}"), 100)] == [b"{}"]


@pytest.mark.parametrize("ending", [b"\n", b""])
def test_a_line_of_exactly_the_limit_is_whole_and_one_more_byte_is_not(ending: bytes) -> None:
    assert list(cut_lines(stream(b"x" * 50 + ending), 50)) == [Cut(1, b"x" * 50, ended_with_stream=not ending)]
    [cut] = cut_lines(stream(b"x" * 51 + ending), 50)
    assert (cut.number, cut.truncated_from) == (1, 51)


def test_an_oversized_line_keeps_its_beginning_its_size_and_its_neighbours() -> None:
    big = b"y" * 3_000_000
    first, middle, last = cut_lines(stream(b"a\n" + big + b"\nb\n"), 1_000_000)
    assert (first.body, last.body, last.number) == (b"a", b"b", 3)
    assert middle.truncated_from == len(big)
    assert middle.body == big[:KEPT_OF_OVERSIZED]


def test_an_oversized_line_is_not_held_in_memory() -> None:
    class Endless(io.RawIOBase):
        left = 200_000_000

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # what BufferedReader passes
            size = min(len(buffer), self.left)
            self.left -= size
            buffer[:size] = b"z" * size
            return size

    tracemalloc.start()
    [cut] = cut_lines(io.BufferedReader(Endless()), 1_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert cut.truncated_from == 200_000_000
    assert peak < 10_000_000


def test_a_whole_file_is_one_record_even_when_it_is_empty() -> None:
    assert [cut.body for cut in cut_whole(stream(b""), 10)] == [b""]
    assert [cut.body for cut in cut_whole(stream(b"ab\ncd"), 10)] == [b"ab\ncd"]
    [cut] = cut_whole(stream(b"x" * 11), 10)
    assert cut.truncated_from == 11


VALUES: list[object] = [
    {"type": "event", "payload": b"x" * 70_000, "project_id": 1, "attachments": []},
    {"n": [1, -1, 1.5, None, True, 2**40, -(2**40), "ä" * 300, msgpack.ExtType(5, b"abcd"), {"k": list(range(100_000))}]},
    ["no", "map"],
    "text",
]


def test_msgpack_values_are_cut_where_the_library_would_cut_them() -> None:
    packed = [msgpack.packb(value) for value in VALUES]
    assert list(cut_msgpack(stream(b"".join(packed)), 10_000_000)) == [Cut(n + 1, body) for n, body in enumerate(packed)]


@pytest.mark.parametrize("garbage", [b"\xc1abc", b'{"json": "text"}', b"\x81\xa1"])
def test_garbage_ends_the_stream_in_one_damaged_record(garbage: bytes) -> None:
    whole = msgpack.packb({"a": 1})
    first, rest = cut_msgpack(stream(whole + garbage), 1_000)
    assert first == Cut(1, whole)
    assert rest.number == 2
    assert rest.body == garbage
    assert rest.damage is not None
    assert rest.damage.startswith("invalid_msgpack")


def test_every_truncation_of_a_message_is_one_damaged_record_that_holds_the_bytes() -> None:
    whole = msgpack.packb({"n": [1, -1.5, None, "ä" * 300, b"x" * 70, msgpack.ExtType(5, b"abcd"), {"k": [[], {}]}]})
    for size in range(1, len(whole)):
        [cut] = cut_msgpack(stream(whole[:size]), 1_000_000)
        assert cut.damage is not None
        assert cut.body == whole[:size]


def test_an_oversized_message_is_cut_and_the_next_one_is_whole() -> None:
    big, small = msgpack.packb({"p": b"x" * 500_000}), msgpack.packb({"a": 1})
    first, second = cut_msgpack(stream(big + small), 200_000)
    assert (first.truncated_from, len(first.body)) == (len(big), KEPT_OF_OVERSIZED)
    assert second == Cut(2, small)


def test_a_length_that_lies_does_not_reserve_memory() -> None:
    [cut] = cut_msgpack(stream(b"\x81\xa1p\xc6\xff\xff\xff\xff" + b"x" * 10), 1_000)
    assert cut.damage is not None


class Dripping(io.RawIOBase):
    """Returns a few bytes at a time, so that every value is cut by the end of what was read somewhere."""

    def __init__(self, data: bytes, seed: int) -> None:
        self._data, self._rng = data, random.Random(seed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # what BufferedReader passes
        piece = self._data[: min(self._rng.randint(1, 7), len(buffer))]
        self._data = self._data[len(piece) :]
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("seed", range(20))
def test_values_are_cut_alike_wherever_the_reading_stops(seed: int) -> None:
    text = [b"x" * size for size in (0, 1, 31, 32, 255, 256, 65_536)]
    values = [*VALUES[2:], {"t": text}, {"n": [[], {}, [[[7]]], 255, 65_535, -1, 2.5, msgpack.ExtType(1, b"abc")] * 5}]
    packed = [msgpack.packb(value) for value in values]
    cuts = list(cut_msgpack(io.BufferedReader(Dripping(b"".join(packed), seed)), 10_000_000))
    assert cuts == [Cut(n + 1, body) for n, body in enumerate(packed)]


@pytest.mark.parametrize("byte", [b"\xc0", b"\xc2", b"\xc3", b"\x00", b"\x7f", b"\xff", b"\xa0", b"\x90"])
def test_a_stream_that_has_lost_its_way_is_one_damaged_record(byte: bytes) -> None:
    [cut] = cut_msgpack(stream(byte * 3_000_000), 1_000)
    assert (cut.truncated_from, len(set(cut.body))) == (3_000_000, 1)
    assert cut.damage is not None


MANY = 3_000_000
BEGIN = b"\x81\xa1a"
TINY_VALUES = {
    "nils": BEGIN + b"\xdd" + MANY.to_bytes(4, "big") + b"\xc0" * MANY,
    "empty maps": BEGIN + b"\xdd" + MANY.to_bytes(4, "big") + b"\x80" * MANY,
    "arrays in arrays": BEGIN + b"\x91" * MANY + b"\xc0",
    "a map of numbers": b"\xdf" + MANY.to_bytes(4, "big") + b"\x01" * 2 * MANY,
}


@pytest.mark.parametrize("limit", [10_000_000, 1_000_000])
@pytest.mark.parametrize("record", TINY_VALUES.values(), ids=TINY_VALUES)
def test_millions_of_tiny_values_are_passed_and_the_next_record_is_whole(record: bytes, limit: int) -> None:
    first, second = cut_msgpack(stream(record + BEGIN + b"\x01"), limit)
    assert first.truncated_from == (len(record) if len(record) > limit else None)
    assert first.damage is None
    assert second == Cut(2, BEGIN + b"\x01")


class _Watched(bytes):
    """Bytes that count how often one of them is looked at."""

    looks = 0

    def __getitem__(self, index: Any) -> Any:
        self.looks += 1
        return super().__getitem__(index)


@pytest.mark.parametrize("record", TINY_VALUES.values(), ids=TINY_VALUES)
def test_equal_values_in_a_row_are_passed_at_once(record: bytes) -> None:
    data = _Watched(record)
    assert scan(data, 0, 1) == (len(record), 0)
    assert data.looks < 50
