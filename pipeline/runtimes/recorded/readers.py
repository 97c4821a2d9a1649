"""Recorded input: files and folders, compressed or not, as a stream of records. Memory is bounded for any content.

A file's suffix decides its form. Compression, and the form of a file with another suffix, are recognized by the first bytes.
"""

from __future__ import annotations

import gzip
import io
import os
import stat
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.model.record import Form, Record, Token
from pipeline.runtimes.recorded.cutting import Cut, cut_lines, cut_msgpack, cut_whole

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

STANDARD_INPUT = "-"
"""The name of an input that is read from standard input. Its form is recognized by its first bytes."""

SUFFIXES = {".jsonl": "lines", ".json": "whole", ".msgpack": "msgpack", ".envelope": "envelope"}
"""Form of a file by its suffix, without `.gz` or `.zst`."""

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"
"""What follows the first byte (0x50 to 0x5f) of a skippable frame. The output of parallel compressors begins with one."""
_ZSTD_OPTIONS = {int(zstd.DecompressionParameter.window_log_max): 27}
"""A window of 128 MiB, which `zstd --ultra` needs. A frame that needs more is refused."""
_DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, zstd.ZstdError)


class InputError(Exception):
    """An input that cannot be read at all. The message names it."""


@dataclass(slots=True)
class Progress:
    """How far reading has come, in bytes of the files on disk."""

    total_bytes: int = 0
    read_bytes: int = 0


class Inputs:
    """The records of all inputs, in order. It can be iterated once. `position` is kept up to date for a progress bar."""

    def __init__(
        self, paths: Sequence[str], *, now: float, project_id: int | None = None, max_record_bytes: int = 10_000_000
    ) -> None:
        self.now = now
        self.project_id = project_id
        self.max_record_bytes = max_record_bytes
        self.skipped: list[str] = []
        """Files of folders that were left out because of their suffix."""
        self._files = [file for path in paths for file in self._find(Path(path))]
        """The files, each with its size on disk, which is 0 for a pipe."""
        self.position = Progress(total_bytes=sum(size for _, size in self._files))

    def __iter__(self) -> Iterator[Record]:
        """Yield the records. A damaged file ends with one damaged record, and the next file follows. Raises InputError."""
        offset = 0
        done_bytes = 0
        for file, size in self._files:
            source = _printable(file)
            try:
                with closing(_open(file)) as raw:
                    form, cuts = self._cuts(file, raw)
                    is_seekable = raw.seekable()
                    for cut in cuts:
                        if is_seekable:
                            self.position.read_bytes = done_bytes + raw.tell()
                        yield Record(
                            body=cut.body,
                            form=form,
                            source=source,
                            position=cut.number,
                            received=self.now,
                            token=Token("replay", 0, offset),
                            project_id=self.project_id,
                            truncated_from=cut.truncated_from,
                            damage=cut.damage,
                        )
                        offset += 1
            except OSError as error:
                raise InputError(f"{source}: {error.strerror or error}") from None
            done_bytes += size
            self.position.read_bytes = done_bytes

    def _find(self, path: Path) -> list[tuple[Path, int]]:
        """Return the files of one input with their sizes. A folder's are chosen by suffix and sorted. Raises InputError."""
        if str(path) == STANDARD_INPUT:
            return [(path, 0)]
        if path.is_dir():
            found: list[tuple[Path, int]] = []
            for file in sorted(path.rglob("*")):
                if not file.is_file() or any(part.startswith(".") for part in file.relative_to(path).parts):
                    continue
                if _kind(file) is None:
                    self.skipped.append(_printable(file))
                else:
                    found.append((file, file.stat().st_size))
            return found
        try:
            status = path.stat()
            if stat.S_ISREG(status.st_mode):
                with path.open("rb"):  # a pipe is not tried, because it can be opened only once
                    pass
        except OSError as error:
            raise InputError(f"{_printable(path)}: {error.strerror}") from None
        return [(path, status.st_size)]

    def _cuts(self, file: Path, raw: io.BufferedReader) -> tuple[Form, Iterator[Cut]]:
        stream = _decompressed(raw)
        kind = _kind(file) or _sniff(stream)
        form = {"msgpack": Form.MSGPACK, "envelope": Form.ENVELOPE}.get(kind, Form.JSON)
        cutter = {"lines": cut_lines, "msgpack": cut_msgpack}.get(kind, cut_whole)
        return form, _with_damage(cutter(stream, self.max_record_bytes), stream)


def _with_damage(cuts: Iterator[Cut], stream: io.BufferedReader) -> Iterator[Cut]:
    """End a damaged compressed file with one damaged record: the one that was cut off, or an empty one if none was."""
    number = 0
    for cut in cuts:
        damage = _damage(stream)
        number = cut.number
        if damage is not None and cut.ended_with_stream:
            yield replace(cut, damage=damage)
            return
        yield cut
    damage = _damage(stream)
    if damage is not None:
        yield Cut(number + 1, b"", damage=damage)


def _damage(stream: io.BufferedReader) -> str | None:
    return stream.raw.damage if isinstance(stream.raw, _Piecewise) else None


def _open(file: Path) -> io.BufferedReader:
    return open(0, "rb", closefd=False) if str(file) == STANDARD_INPUT else file.open("rb")


def _printable(file: Path) -> str:
    """Return a file's name as printable text. Names are bytes and not always UTF-8."""
    return os.fsencode(file).decode("utf-8", "backslashreplace")


def _kind(file: Path) -> str | None:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] in {".gz", ".zst"}:
        suffixes.pop()
    return SUFFIXES.get(suffixes[-1]) if suffixes else None


def _decompressed(raw: io.BufferedReader) -> io.BufferedReader:
    magic = raw.peek(4)[:4]
    if magic.startswith(_GZIP_MAGIC):
        return io.BufferedReader(_Piecewise(gzip.GzipFile(fileobj=raw)), 1 << 18)
    if magic == _ZSTD_MAGIC or (magic[1:] == _ZSTD_SKIPPABLE and magic[0] & 0xF0 == 0x50):
        return io.BufferedReader(_Piecewise(zstd.ZstdFile(raw, options=_ZSTD_OPTIONS)), 1 << 18)
    return raw


class _Piecewise(io.RawIOBase):
    """A stream that ends at damage instead of raising, because an exception would lose the last piece that was decompressed."""

    def __init__(self, source: gzip.GzipFile | zstd.ZstdFile) -> None:
        self._source = source
        self.damage: str | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # what BufferedReader passes
        try:
            data = self._source.read1(len(buffer))
        except _DAMAGED as error:
            self.damage = f"invalid_compression: {error}"
            return 0
        buffer[: len(data)] = data
        return len(data)


def _sniff(stream: io.BufferedReader) -> str:
    """Return the form of a file with another suffix: a msgpack map, an envelope's header line, or else JSON lines."""
    head = stream.peek(4096)
    if head[:1] and (0x80 <= head[0] <= 0x8F or head[0] in {0xDE, 0xDF}):
        return "msgpack"
    first, _, second = head.partition(b"\n")
    if b'"dsn"' in first or (
        b'"type"' in second.partition(b"\n")[0] and b'"payload"' not in second and b'"exception"' not in first
    ):
        return "envelope"
    return "lines" if first.rstrip().endswith((b"}", b"]")) else "whole"
