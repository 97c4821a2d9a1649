from __future__ import annotations

import io
import random
import struct
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import pytest
from support.artifact_bundles import BuiltFile, write_bundle
from support.source_maps import FILES

from pipeline.sourcemaps.bundle import (
    Bundle,
    DamagedBundleError,
    TooLargeError,
    open_zip,
    read_bundle,
    read_bundled_file,
    read_member,
)
from pipeline.sourcemaps.stores.contract import StoredBundle

STORED = StoredBundle("a.zip", "1", 0, 0.0)


def bundle_of(content: bytes | BinaryIO) -> Bundle:
    return read_bundle(STORED, io.BytesIO(content) if isinstance(content, bytes) else content)


def zip_of(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_json", ".json"), content)
    return file.getvalue()


@pytest.mark.parametrize("prefix", [b"", b"SYSB\2\0\0\0", b"SYSB"])
def test_prefix_of_a_source_bundle_is_skipped(tmp_path: Path, prefix: bytes) -> None:
    path = write_bundle(
        tmp_path / "a.zip", [BuiltFile("~/a.js", b"x", headers={"Debug-Id": "F81C208D9B7D58F8B103E6A3855A8F31"})], release="r"
    )
    bundle = bundle_of(prefix + path.read_bytes())
    assert bundle.damage == ()
    assert bundle.release == "r"
    (file,) = bundle.files
    assert (file.url, file.debug_id, file.member.size) == ("~/a.js", "f81c208d-9b7d-58f8-b103-e6a3855a8f31", 1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\5\6",
        b"no zip at all",
        zip_of(other=b"{}"),
        zip_of(manifest_json=b"{"),
        zip_of(manifest_json=b"[]"),
        zip_of(manifest_json=b"[" * 100_000),
        zip_of(manifest_json=b'{"files": []}'),
        zip_of(manifest_json=b'{"files": {"a": {}, "b": []}}'),
        zip_of(manifest_json=b"\xff\xfe{}"),
    ],
)
def test_what_cannot_be_read_is_damage_not_an_exception(content: bytes) -> None:
    bundle = bundle_of(content)
    assert bundle.files == ()
    assert bundle.damage


@pytest.mark.parametrize("member", ["../a.js", "files/../../a.js", "/etc/passwd", "C:/a.js", "files\\..\\a.js"])
def test_paths_that_leave_the_bundle_are_refused(member: str) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo(member), b"x")
        archive.writestr("manifest.json", b'{"files": {"%s": {"url": "~/a.js"}}}' % member.replace("\\", "\\\\").encode())
    bundle = bundle_of(file.getvalue())
    assert bundle.files == ()
    assert "leaves the bundle" in bundle.damage[0]


def test_a_bomb_is_refused_by_what_it_declares_and_by_what_it_holds() -> None:
    bomb = zip_of(a=bytes(50_000_000))
    assert len(bomb) < 100_000
    with open_zip(io.BytesIO(bomb)) as archive, pytest.raises(TooLargeError):
        read_member(archive, "a", 1_000_000)

    lying = bomb.replace(struct.pack("<L", 50_000_000), struct.pack("<L", 1_000))
    tracemalloc.start()
    with pytest.raises(DamagedBundleError), open_zip(io.BytesIO(lying)) as archive:
        read_member(archive, "a", 1_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_a_member_that_is_shorter_than_declared_is_refused() -> None:
    honest = zip_of(a=b"x" * 1_000)
    lying = honest.replace(struct.pack("<L", 1_000), struct.pack("<L", 2_000))
    with pytest.raises(DamagedBundleError), open_zip(io.BytesIO(lying)) as archive:
        read_member(archive, "a", 1_000_000)


def test_a_directory_that_would_fill_the_memory_is_refused_before_it_is_read() -> None:
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0x7FFFFFFF, 0, 0)
    assert "zip directory" in bundle_of(bytes(1_000) + end).damage[0]


def directory_of_its_own_size(content: bytes, *, says: int, record: bytes = b"PK\6\6") -> bytes:
    """Put a zip64 record behind a zip's directory, and an end record that says another size of it."""
    end = content[-22:]
    entries, directory_bytes, start = struct.unpack("<H2L", end[10:20])
    zip64 = struct.pack("<4sQ2H2L4Q", record, 44, 45, 45, 0, 0, entries, entries, directory_bytes, start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(content) - 22, 1)
    return content[:-22] + zip64 + locator + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, says, 0, 0)


def test_a_directory_is_as_large_as_its_zip64_record_says(monkeypatch: pytest.MonkeyPatch) -> None:
    content = zip_of(manifest_json=b'{"files": {}}', **{f"m{number}": b"" for number in range(50)})
    assert bundle_of(directory_of_its_own_size(content, says=0xFFFFFFFF)).damage == ()
    assert "zip64" in bundle_of(directory_of_its_own_size(content, says=100, record=b"PK\0\0")).damage[0]
    monkeypatch.setattr("pipeline.sourcemaps.bundle._MAX_DIRECTORY_BYTES", 1_000)
    assert "zip directory" in bundle_of(directory_of_its_own_size(content, says=100)).damage[0]


def test_a_manifest_may_name_what_the_zip_does_not_hold() -> None:
    bundle = bundle_of(zip_of(manifest_json=b'{"files": {"a": {"url": "~/a.js", "headers": null}}}'))
    assert bundle.files == ()
    assert "does not hold" in bundle.damage[0]


def test_no_byte_changed_makes_reading_fail(tmp_path: Path) -> None:
    whole = write_bundle(tmp_path / "a.zip", FILES, release="r").read_bytes()
    chance = random.Random(7)
    path = tmp_path / "changed.zip"
    for _ in range(1_500):
        changed = bytearray(whole)
        for _ in range(chance.choice((1, 1, 2, 8))):
            first = len(whole) - 400 if chance.random() < 0.6 else 0  # the directory, where offsets and sizes are, or anywhere
            changed[chance.randrange(first, len(whole))] = chance.choice((0, 255, chance.randrange(256)))
        path.write_bytes(changed[: chance.choice((len(whole), len(whole), chance.randrange(len(whole))))])
        with path.open("rb") as file:
            bundle = read_bundle(STORED, file)
            for entry in bundle.files:
                with suppress(DamagedBundleError), open_zip(file) as archive:
                    read_member(archive, entry.member.name, 1_000_000)
                with suppress(DamagedBundleError):
                    read_bundled_file(file, entry.member, 1_000_000)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("prefix", [b"", b"SYSB\2\0\0\0"])
def test_a_file_is_read_without_the_directory(compression: int, prefix: bytes) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("a", b"code" * 100)
        archive.writestr("empty", b"")
        archive.writestr("manifest.json", b'{"files": {"a": {"url": "~/a.js"}, "empty": {"url": "~/empty.js"}}}')
    content = prefix + file.getvalue()
    code, empty = bundle_of(content).files
    beginning = io.BytesIO(content[: content.rindex(b"PK\1\2") - 200])
    assert read_bundled_file(beginning, code.member, 1_000) == b"code" * 100
    assert read_bundled_file(io.BytesIO(content), empty.member, 1_000) == b""
    with pytest.raises(TooLargeError):
        read_bundled_file(io.BytesIO(content), code.member, 399)


def test_a_file_that_is_not_what_the_directory_declares_is_refused() -> None:
    content = zip_of(a=b"x" * 1_000, manifest_json=b'{"files": {"a": {"url": "~/a.js"}}}')
    (entry,) = bundle_of(content).files
    wrong = [
        entry.member._replace(size=2_000),
        entry.member._replace(size=999),
        entry.member._replace(crc=1),
        entry.member._replace(header_offset=7),
        entry.member._replace(header_offset=10_000),
        entry.member._replace(compressed_size=1),
        entry.member._replace(compression=zipfile.ZIP_STORED),
        entry.member._replace(compression=zipfile.ZIP_LZMA),
        entry.member._replace(compressed_size=10_000_000),
    ]
    for member in wrong:
        with pytest.raises(DamagedBundleError):
            read_bundled_file(io.BytesIO(content), member, 1_000_000)
    bomb = zip_of(a=bytes(50_000_000), manifest_json=b'{"files": {"a": {"url": "~/a.js"}}}')
    (entry,) = bundle_of(bomb).files
    tracemalloc.start()
    with pytest.raises(DamagedBundleError):
        read_bundled_file(io.BytesIO(bomb), entry.member._replace(size=1_000), 1_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000
