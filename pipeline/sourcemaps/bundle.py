"""A bundle: a zip of built files with a `manifest.json`, as sentry-cli and the bundler plugins make it.

Bundles are not trusted. The directory, the manifest and every member are read under limits, nothing is extracted to disk by its
name, and declared sizes are checked against the content. See docs/spec/source-maps.md, "Bundles".
"""

from __future__ import annotations

import errno
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, BinaryIO, NamedTuple

import orjson

from pipeline.sourcemaps.map_references import normalize_debug_id
from pipeline.sourcemaps.stores.contract import StoredBundle
from pipeline.sourcemaps.urls import decode_url

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 16_000_000
_MAX_DIRECTORY_BYTES = 16_000_000
"""Room for about 150,000 files. zipfile holds the whole directory in memory, at ten times its size."""
_END_OF_DIRECTORY = struct.Struct("<4s4H2LH")
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_ENCRYPTED = 1
_ZIP64_LOCATOR_BYTES = 20
_ZIP64_END = struct.Struct(f"<4sQ2H2L4Q{_ZIP64_LOCATOR_BYTES}x")
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError, struct.error)


class DamagedBundleError(Exception):
    """A bundle, or a file in it, cannot be read or exceeds a limit. The message says why."""


class TooLargeError(DamagedBundleError):
    """A file in a bundle is larger than the limit."""


class ZipMember(NamedTuple):
    """The place of a file in its zip, so that it can be read without the zip's directory. Sizes and the offset are in bytes."""

    name: str
    size: int
    compressed_size: int
    compression: int
    crc: int
    header_offset: int


class BundledFile(NamedTuple):
    """A file of the manifest. The names of its `headers` are in lower case."""

    member: ZipMember
    type: str
    url: str
    headers: Mapping[str, str]
    debug_id: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A bundle's manifest. `damage` says what is wrong with it. A bundle that cannot be read at all has no files.

    If `is_release_files`, its files count as single files of a release (the form of old uploads) and not as a bundle.
    `resolved_with` is the value in frames that were resolved from this bundle by release and URL.
    `by_url` has each file under its URL, and under the URL without percent-encoding.
    """

    stored: StoredBundle
    release: str | None = None
    dist: str | None = None
    files: tuple[BundledFile, ...] = ()
    is_release_files: bool = False
    resolved_with: str = "release"
    damage: tuple[str, ...] = ()
    by_url: Mapping[str, BundledFile] = field(default_factory=dict)
    by_debug_id: Mapping[tuple[str, str], BundledFile] = field(default_factory=dict)


def read_bundle(stored: StoredBundle, file: BinaryIO) -> Bundle:
    """Read the manifest of a bundle. Faults of the bundle become its `damage`. Raises OSError."""
    try:
        with open_zip(file) as archive:
            manifest = _read_manifest(archive)
            files, damage = _read_files(archive, manifest)
    except DamagedBundleError as error:
        return Bundle(stored, damage=(str(error),))
    by_url: dict[str, BundledFile] = {}
    by_debug_id: dict[tuple[str, str], BundledFile] = {}
    for entry in files:
        by_url.setdefault(entry.url, entry)
    for entry in files:
        by_url.setdefault(decode_url(entry.url), entry)
    for entry in files:
        if entry.debug_id is not None:
            by_debug_id.setdefault((entry.debug_id, entry.type), entry)
    return Bundle(
        stored,
        release=_text(manifest.get("release")),
        dist=_text(manifest.get("dist")),
        files=tuple(files),
        is_release_files=manifest.get("kind") == "release_files",
        resolved_with="release-old" if manifest.get("resolved_with") == "release-old" else "release",
        damage=tuple(damage),
        by_url=by_url,
        by_debug_id=by_debug_id,
    )


@contextmanager
def open_zip(file: BinaryIO) -> Iterator[zipfile.ZipFile]:
    """Open a zip, with or without the `SYSB` prefix. Raises DamagedBundleError, also for errors while the zip is in use."""
    try:
        _check_directory(file)
        with zipfile.ZipFile(file) as archive:
            yield archive
    except _ZIP_ERRORS as error:
        raise DamagedBundleError(f"not a readable zip: {error}") from None
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise DamagedBundleError("not a readable zip: an offset outside the file") from None


def read_bundled_file(file: BinaryIO, member: ZipMember, max_bytes: int) -> bytes:
    """Return a file of a bundle. Raises TooLargeError, and DamagedBundleError if the file is not what the directory declares.

    The directory was read with the manifest. Reading it again would take 92 ms for each file in a bundle of 20,000.
    """
    _check_limits(member.name, member.size, member.compression, max_bytes)
    if member.compressed_size > max_bytes + 65_536:  # deflate makes data at most a few bytes larger
        raise TooLargeError(f"{member.name}: {member.compressed_size} compressed bytes where {max_bytes} are allowed")
    file.seek(member.header_offset)
    header = file.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or not header.startswith(b"PK\3\4"):
        raise DamagedBundleError(f"{member.name}: not where the zip's directory says")
    _, _, flags, *_, name_size, extra_size = _LOCAL_HEADER.unpack(header)
    if flags & _ENCRYPTED:
        raise DamagedBundleError(f"{member.name}: encrypted")
    file.seek(name_size + extra_size, 1)
    content = file.read(member.compressed_size)
    if member.compression == zipfile.ZIP_DEFLATED:
        try:
            content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, max_bytes + 1)
        except zlib.error as error:
            raise DamagedBundleError(f"{member.name}: {error}") from None
    if len(content) != member.size or zlib.crc32(content) != member.crc:
        raise DamagedBundleError(f"{member.name}: not the {member.size} bytes that the zip's directory declares")
    return content


def _check_limits(name: str, size: int, compression: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise TooLargeError(f"{name}: {size} bytes where {max_bytes} are allowed")
    if compression not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise DamagedBundleError(f"{name}: compressed in a way that bundles do not use")


def read_member(archive: zipfile.ZipFile, member: str, max_bytes: int) -> bytes:
    """Return a file of a zip. Raises TooLargeError, and DamagedBundleError if the file is not what the zip declares."""
    try:
        info = archive.getinfo(member)
    except KeyError:
        raise DamagedBundleError(f"{member}: the manifest names it, the zip does not hold it") from None
    _check_limits(member, info.file_size, info.compress_type, max_bytes)
    try:
        with archive.open(info) as file:
            content = file.read(max_bytes + 1)
    except _ZIP_ERRORS as error:
        raise DamagedBundleError(f"{member}: {error}") from None
    if len(content) != info.file_size:
        raise DamagedBundleError(f"{member}: the zip declares {info.file_size} bytes and holds {len(content)}")
    return content


def _check_directory(file: BinaryIO) -> None:
    """Raise DamagedBundleError if the directory of a zip is too large, before zipfile reads all of it."""
    file.seek(0, 2)
    size = file.tell()
    tail_size = min(size, _ZIP64_END.size + _END_OF_DIRECTORY.size + 0xFFFF)
    file.seek(size - tail_size)
    tail = file.read(tail_size)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or at + _END_OF_DIRECTORY.size > len(tail):
        raise DamagedBundleError("not a zip")
    directory_bytes = _END_OF_DIRECTORY.unpack_from(tail, at)[5]
    before = tail[max(at - _ZIP64_END.size, 0) : at]
    if before[-_ZIP64_LOCATOR_BYTES:].startswith(b"PK\6\7"):  # zipfile then uses the record before it, and ignores this one
        if len(before) < _ZIP64_END.size or not before.startswith(b"PK\6\6"):
            raise DamagedBundleError("not a zip: its zip64 record is not where it should be")
        directory_bytes = _ZIP64_END.unpack(before)[8]
    if directory_bytes > _MAX_DIRECTORY_BYTES:
        raise DamagedBundleError(f"a zip directory of {directory_bytes} bytes, where {_MAX_DIRECTORY_BYTES} are allowed")
    file.seek(0)


def _read_manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    try:
        manifest = orjson.loads(read_member(archive, MANIFEST, MAX_MANIFEST_BYTES))
    except orjson.JSONDecodeError as error:
        raise DamagedBundleError(f"{MANIFEST}: {error}") from None
    if not isinstance(manifest, dict):
        raise DamagedBundleError(f"{MANIFEST}: not an object")
    return manifest


def _read_files(archive: zipfile.ZipFile, manifest: dict[str, Any]) -> tuple[list[BundledFile], list[str]]:
    entries = manifest.get("files")
    if not isinstance(entries, dict):
        return [], [f"{MANIFEST}: no `files`"]
    files, damage = [], []
    for member, entry in entries.items():
        if not isinstance(entry, dict):
            damage.append(f"{member}: not an object in {MANIFEST}")
        elif _leaves_the_bundle(member):
            damage.append(f"{member}: a path that leaves the bundle")
        elif member not in archive.NameToInfo:
            damage.append(f"{member}: the manifest names it, the zip does not hold it")
        elif url := _text(entry.get("url")):
            raw_headers = entry.get("headers")
            headers = {
                name.lower(): value
                for name, value in (raw_headers if isinstance(raw_headers, dict) else {}).items()
                if isinstance(value, str)
            }
            debug_id = normalize_debug_id(headers.get("debug-id"))
            info = archive.NameToInfo[member]
            at = ZipMember(member, info.file_size, info.compress_size, info.compress_type, info.CRC, info.header_offset)
            files.append(BundledFile(at, str(entry.get("type")), url, headers, debug_id))
    return files, damage


def _leaves_the_bundle(member: str) -> bool:
    return member.startswith(("/", "\\")) or "\\" in member or ".." in PurePosixPath(member).parts or member[1:2] == ":"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
