from __future__ import annotations

import gzip
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import msgpack
import pytest
from backports import zstd

from pipeline.model.record import Form, Record
from pipeline.runtimes.recorded.readers import InputError, Inputs


def read(*paths: Path, **options: int) -> list[Record]:
    return list(Inputs([str(path) for path in paths], now=1.0, **options))


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "data", "form", "count"),
    [
        ("a.jsonl", b'{"a":1}\n{"b":2}\n', Form.JSON, 2),
        ("a.json", b'{\n"a":1\n}\n', Form.JSON, 1),
        ("a.msgpack", msgpack.packb({"a": 1}) * 3, Form.MSGPACK, 3),
        ("a.envelope", b'{}\n{"type":"event"}\n{}\n', Form.ENVELOPE, 1),
    ],
)
@pytest.mark.parametrize("compression", ["", ".gz", ".zst"])
def test_the_suffix_decides_the_form(tmp_path: Path, name: str, data: bytes, form: Form, count: int, compression: str) -> None:
    packed = {"": lambda raw: raw, ".gz": gzip.compress, ".zst": zstd.compress}[compression](data)
    records = read(write(tmp_path, name + compression, packed))
    assert [record.form for record in records] == [form] * count


def test_compression_is_told_by_its_first_bytes_whatever_the_suffix_says(tmp_path: Path) -> None:
    [record] = read(write(tmp_path, "a.jsonl", gzip.compress(b'{"a":1}\n')))
    assert record.body == b'{"a":1}'


@pytest.mark.parametrize(
    ("data", "form", "count"),
    [
        (b'{"a":1}\n{"b":2}\n', Form.JSON, 2),
        (b'{\n "a": 1\n}', Form.JSON, 1),
        (msgpack.packb({"a": 1}) * 2, Form.MSGPACK, 2),
        (b'{"event_id":"00","dsn":"https://k@h/1"}\n{"type":"event"}\n{}\n', Form.ENVELOPE, 1),
        (b'{"event_id":"00"}\n{"type":"event","length":2}\n{}\n', Form.ENVELOPE, 1),
    ],
)
def test_an_unknown_suffix_is_told_by_the_content(tmp_path: Path, data: bytes, form: Form, count: int) -> None:
    records = read(write(tmp_path, "recorded", data))
    assert [record.form for record in records] == [form] * count


def test_a_folder_is_read_in_sorted_order_and_names_what_it_skips(tmp_path: Path) -> None:
    for name in ("b.json", "a/z.json", "a.json", "README.md", ".hidden.json"):
        write(tmp_path, name, b"{}")
    inputs = Inputs([str(tmp_path)], now=1.0)
    assert [Path(record.source).relative_to(tmp_path).as_posix() for record in inputs] == ["a/z.json", "a.json", "b.json"]
    assert inputs.skipped == [str(tmp_path / "README.md")]


def test_every_record_has_its_place_and_a_token_of_its_own(tmp_path: Path) -> None:
    records = read(write(tmp_path, "a.jsonl", b"1\n\n2\n"), write(tmp_path, "b.json", b"3"))
    assert [(Path(r.source).name, r.position, r.token.offset) for r in records] == [
        ("a.jsonl", 1, 0),
        ("a.jsonl", 3, 1),
        ("b.json", 1, 2),
    ]


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip.compress), (".zst", zstd.compress)])
def test_a_truncated_compressed_file_ends_in_one_damaged_record_and_the_next_file_goes_on(
    tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes]
) -> None:
    noise = random.Random(1).randbytes(200_000).hex().encode()
    data = compress(b"\n".join(noise[i : i + 1000] for i in range(0, len(noise), 1000)))
    broken = write(tmp_path, f"a.jsonl{suffix}", data[: len(data) // 2])
    records = read(broken, write(tmp_path, "b.json", b"{}"))
    damaged = [record for record in records if record.damage]
    assert len(damaged) == 1
    assert damaged[0].damage is not None
    assert damaged[0].damage.startswith("invalid_compression")
    read_back = b"\n".join(record.body for record in records[:-1])
    assert noise.startswith(read_back.replace(b"\n", b"")[:1000])
    assert damaged[0].body
    assert records[-1].body == b"{}"
    assert len(records) > 100


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        read(tmp_path / "nowhere.json")


def test_the_position_ends_at_the_size_on_disk(tmp_path: Path) -> None:
    inputs = Inputs([str(write(tmp_path, "a.jsonl.gz", gzip.compress(b"{}\n" * 1000)))], now=1.0)
    assert len(list(inputs)) == 1000
    assert inputs.position.read_bytes == inputs.position.total_bytes > 0


def test_a_pipe_is_opened_once_and_read_as_it_comes(tmp_path: Path) -> None:
    pipe = tmp_path / "events.jsonl"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(gzip.compress(b"{}\n" * 1000),), daemon=True)
    writer.start()
    assert len(read(pipe)) == 1000
    writer.join(10)
    assert not writer.is_alive()


def test_a_name_that_is_no_text_becomes_one(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in (b"a\xfe.jsonl", b"a\xff.jsonl", b"a\xff.txt"):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(b"{}")
    inputs = Inputs([str(folder)], now=1.0)
    assert [Path(record.source).name for record in inputs] == [r"a\xfe.jsonl", r"a\xff.jsonl"]
    assert [Path(name).name for name in inputs.skipped] == [r"a\xff.txt"]


def test_a_file_is_read_to_its_end_though_it_was_removed_and_one_that_went_before_is_named(tmp_path: Path) -> None:
    first, second = (write(tmp_path, name, b"{}\n" * 3) for name in ("a.jsonl", "b.jsonl"))
    records = iter(Inputs([str(first), str(second)], now=1.0))
    next(records)
    first.unlink()
    second.unlink()
    assert [next(records).position for _ in range(2)] == [2, 3]
    with pytest.raises(InputError, match=r"b\.jsonl"):
        next(records)


def test_zstandard_may_begin_with_a_frame_to_be_skipped(tmp_path: Path) -> None:
    skipped = b"\x5a\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"size"
    assert len(read(write(tmp_path, "a.jsonl.zst", skipped + zstd.compress(b"{}\n" * 5)))) == 5
