from __future__ import annotations

import errno
import os
from concurrent.futures import wait
from pathlib import Path

import pytest

from pipeline.spool.errors import SpoolError, SpoolInUseError
from pipeline.spool.files import DiskFiles
from pipeline.spool.reader import SpoolBatch
from pipeline.spool.segment import MAX_HEAD_BYTES, SpoolPosition, encode_record, end_of_records, scan
from pipeline.spool.spool import Spool


def opened(folder: Path, segment_bytes: int = 1_000_000) -> tuple[Spool, DiskFiles]:
    files = DiskFiles(folder)
    return Spool(files, segment_bytes=segment_bytes), files


def append(spool: Spool, *bodies: bytes) -> None:
    futures = [spool.append(f"head {number}".encode(), body) for number, body in enumerate(bodies)]
    for future in futures:
        future.result(10)


def read(spool: Spool, start: SpoolPosition = SpoolPosition(0, 0)) -> SpoolBatch | None:  # noqa: B008
    return spool.reader(start).read(1_000, 10_000_000)


def bodies(batch: SpoolBatch | None) -> list[bytes]:
    return [b"".join(record.pieces()) for record in batch.records] if batch else []


def test_records_are_read_in_order_with_their_positions(tmp_path: Path) -> None:
    spool, _ = opened(tmp_path)
    append(spool, b"one", b"two", b"")
    batch = read(spool)
    assert batch is not None
    assert [(record.head, record.body) for record in batch.records] == [
        (b"head 0", b"one"),
        (b"head 1", b"two"),
        (b"head 2", b""),
    ]
    assert batch.end == spool.end == batch.records[-1].end
    again = read(spool, batch.records[0].end)
    assert bodies(again) == [b"two", b""]
    spool.close()


def test_a_batch_ends_at_its_limits(tmp_path: Path) -> None:
    spool, _ = opened(tmp_path)
    append(spool, *[b"x" * 100] * 10)
    reader = spool.reader(SpoolPosition(0, 0))
    assert len(bodies(reader.read(3, 1_000_000))) == 3
    assert len(bodies(reader.read(100, 250))) == 3
    assert len(bodies(reader.read(100, 1_000_000))) == 4
    assert reader.read(1, 1) is None
    spool.close()


def test_a_later_life_goes_on_where_the_position_says(tmp_path: Path) -> None:
    spool, files = opened(tmp_path)
    append(spool, b"one", b"two")
    batch = spool.reader(SpoolPosition(0, 0)).read(1, 1)
    assert batch is not None
    name = spool.id
    spool.close()
    files.unlock()
    spool, _ = opened(tmp_path)
    append(spool, b"three")
    assert spool.id == name
    assert bodies(read(spool, batch.end)) == [b"two", b"three"]
    spool.close()


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    spool, _ = opened(tmp_path)
    with pytest.raises(SpoolInUseError):
        opened(tmp_path)
    spool.close()


def test_segments_go_when_they_were_carried_on(tmp_path: Path) -> None:
    spool, _ = opened(tmp_path, segment_bytes=2_000)
    for _ in range(30):
        append(spool, b"x" * 500)
    assert len(list(tmp_path.glob("*.segment"))) > 5
    reader = spool.reader(SpoolPosition(0, 0))
    while batch := reader.read(4, 1_000_000):
        spool.committed(batch.end)
    assert len(list(tmp_path.glob("*.segment"))) == 1
    spool.close()


def test_a_drained_spool_keeps_little_and_goes_on(tmp_path: Path) -> None:
    spool, _ = opened(tmp_path)
    reader = spool.reader(SpoolPosition(0, 0))
    seen = []
    for number in range(300):
        append(spool, b"%d " % number * 1_000)
        while batch := reader.read(10, 1_000_000):
            seen += [int(body.split()[0]) for body in bodies(batch)]
            spool.committed(batch.end)
        assert spool.stored_bytes() < 65_536
    assert seen == list(range(300))
    spool.close()


def test_a_drained_spool_shrinks_after_a_restart_too(tmp_path: Path) -> None:
    spool, files = opened(tmp_path)
    append(spool, *[b"x" * 1_000] * 200)
    spool.close()
    files.unlock()
    spool, _ = opened(tmp_path)
    reader = spool.reader(SpoolPosition(0, 0))
    while batch := reader.read(50, 1_000_000):
        spool.committed(batch.end)
    assert spool.stored_bytes() < 65_536
    append(spool, b"next")
    assert bodies(reader.read(50, 1_000_000)) == [b"next"]
    spool.close()


def test_a_large_body_has_a_file_of_its_own_which_goes_with_its_segment(tmp_path: Path) -> None:
    spool, _ = opened(tmp_path)
    body = spool.stage()
    for _ in range(30):
        body.write(b"y" * 100_000)
    body.finish()
    spool.append(b"large", body).result(10)
    body.discard()  # too late: it belongs to its record
    reader = spool.reader(SpoolPosition(0, 0))
    batch = reader.read(10, 1)
    assert batch is not None
    assert batch.records[0].body is None
    assert batch.records[0].body_bytes == 3_000_000
    assert b"".join(batch.records[0].pieces()) == b"y" * 3_000_000
    spool.committed(batch.end)
    assert spool.stored_bytes() < 65_536
    spool.close()


def test_bodies_that_never_got_a_record_are_removed(tmp_path: Path) -> None:
    spool, files = opened(tmp_path)
    spool.stage().write(b"half")
    dropped = spool.stage()
    dropped.write(b"half")
    dropped.discard()
    assert len(list(tmp_path.glob("*.staged"))) == 1
    spool.close()
    files.unlock()
    opened(tmp_path)[0].close()
    assert list(tmp_path.glob("*.staged")) == []


def test_a_torn_tail_is_cut(tmp_path: Path) -> None:
    spool, files = opened(tmp_path)
    append(spool, b"one", b"two")
    spool.close()
    files.unlock()
    [segment] = tmp_path.glob("*.segment")
    with segment.open("ab") as file:
        file.write(b"".join(encode_record(b"torn", b"t" * 100))[:-10])
    spool, _ = opened(tmp_path)
    append(spool, b"three")
    reader = spool.reader(SpoolPosition(0, 0))
    assert bodies(reader.read(10, 1_000)) == [b"one", b"two", b"three"]
    assert reader.broken == 0
    spool.close()


@pytest.mark.parametrize("damaged", ["header", "body"])
def test_a_broken_record_is_put_aside_and_its_neighbours_are_read(tmp_path: Path, damaged: str) -> None:
    spool, _ = opened(tmp_path)
    append(spool, b"one", b"two" * 50, b"three")
    [segment] = tmp_path.glob("*.segment")
    content = bytearray(segment.read_bytes())
    at = content.index(b"two") if damaged == "body" else content.index(b"head 1") - 20
    content[at] ^= 0xFF
    segment.write_bytes(content)
    reader = spool.reader(SpoolPosition(0, 0))
    assert bodies(reader.read(10, 1_000_000)) == [b"one", b"three"]
    assert reader.broken == 1
    [aside] = tmp_path.glob("*.broken")
    assert b"wo" in aside.read_bytes()
    assert bodies(read(spool)) == [b"one", b"three"]
    assert len(list(tmp_path.glob("*.broken"))) == 1
    spool.close()


def test_a_record_whose_body_is_gone_is_put_aside(tmp_path: Path) -> None:
    spool, _ = opened(tmp_path)
    body = spool.stage()
    body.write(b"z" * 10)
    body.finish()
    spool.append(b"large", body).result(10)
    append(spool, b"next")
    next(tmp_path.glob("*.body")).unlink()
    reader = spool.reader(SpoolPosition(0, 0))
    assert bodies(reader.read(10, 1_000_000)) == [b"next"]
    assert reader.broken == 1
    spool.close()


def test_a_segment_of_garbage_ends(tmp_path: Path) -> None:
    spool, files = opened(tmp_path, segment_bytes=1)
    append(spool, b"one")
    append(spool, b"two")
    first = min(tmp_path.glob("*.segment"))
    first.write_bytes(os.urandom(9_000_000))
    reader = spool.reader(SpoolPosition(0, 0))
    found: list[bytes] = []
    while batch := reader.read(10, 1_000_000):
        found += bodies(batch)
    assert found == [b"two"]
    spool.close()
    files.unlock()
    max(tmp_path.glob("*.segment")).write_bytes(os.urandom(100_000))
    spool, _ = opened(tmp_path)
    append(spool, b"three")
    spool.close()


class Full(DiskFiles):
    is_full = False

    def append(self, handle: int, parts: object) -> None:
        if self.is_full:
            os.write(handle, b"half a record")
            raise OSError(errno.ENOSPC, "No space left on device")
        super().append(handle, parts)  # type: ignore[arg-type]  # the parts as they came


def test_a_full_disk_refuses_and_goes_on_when_there_is_space(tmp_path: Path) -> None:
    files = Full(tmp_path)
    spool = Spool(files, segment_bytes=1_000_000)
    append(spool, b"one")
    files.is_full = True
    with pytest.raises(SpoolError, match="the disk is full") as refused:
        append(spool, b"two")
    assert refused.value.is_full
    with pytest.raises(SpoolError):
        spool.stage().write(b"piece")
    files.is_full = False
    append(spool, b"three")
    reader = spool.reader(SpoolPosition(0, 0))
    assert bodies(reader.read(10, 1_000_000)) == [b"one", b"three"]
    assert reader.broken == 0
    spool.close()


class Counting(DiskFiles):
    syncs = 0

    def sync(self, handle: int) -> None:
        self.syncs += 1
        super().sync(handle)


def test_one_sync_serves_all_who_wait(tmp_path: Path) -> None:
    files = Counting(tmp_path)
    spool = Spool(files, segment_bytes=10_000_000)
    before = files.syncs
    wait([spool.append(b"", b"x") for _ in range(2_000)], timeout=60)
    assert spool.written == 2_000
    assert files.syncs - before < 500
    spool.close()


def test_a_head_that_no_record_can_have_is_refused_before_it_fails_others(tmp_path: Path) -> None:
    spool, _ = opened(tmp_path)
    with pytest.raises(ValueError, match="head"):
        spool.append(b"h" * (MAX_HEAD_BYTES + 1), b"")
    spool.close()


def test_a_position_of_another_life_is_not_used(tmp_path: Path) -> None:
    spool, _ = opened(tmp_path)
    append(spool, b"one")
    assert bodies(read(spool, SpoolPosition(900, 0))) == [b"one"]
    spool.close()


def test_positions_are_printed_and_read() -> None:
    assert SpoolPosition.parse(SpoolPosition(7, 4_096).to_text()) == (7, 4_096)
    assert SpoolPosition.parse("") is SpoolPosition.parse("7") is SpoolPosition.parse("-1:2") is None


def test_pieces_of_a_segment_are_cut_where_records_begin() -> None:
    data = b"".join(b"".join(encode_record(b"h", b"b" * size)) for size in (0, 10, 1_000))
    spans = list(scan(data, is_whole=True))
    assert [span.header is not None for span in spans] == [True] * 3
    assert end_of_records(data + b"tail") == len(data)
    assert list(scan(data[:-1], is_whole=False)) == spans[:2]
