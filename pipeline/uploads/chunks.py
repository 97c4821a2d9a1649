"""Chunks of an upload. They are kept by the SHA-1 of their content until they are assembled, or for a day."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator, Sequence

from pipeline.sourcemaps.stores.blobs import Blobs
from pipeline.uploads.answers import ApiError

CHUNK_BYTES = 8_388_608
CHUNKS_PER_REQUEST = 2
MAX_REQUEST_BYTES = CHUNKS_PER_REQUEST * CHUNK_BYTES + 65_536
MAX_FILE_BYTES = 2_147_483_648
KEPT_S = 86_400.0

_SHA1 = re.compile("[0-9a-f]{40}")


class Chunks:
    """The chunks in a store."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def keep(self, sha1: str, content: bytes, *, is_packed: bool) -> None:
        """Keep a chunk. `is_packed` says that it came as gzip. Raises ApiError (400) if its SHA-1 is another one."""
        if is_packed:
            content = _unpack(content)
        if len(content) > CHUNK_BYTES:
            raise ApiError(400, f"a chunk has {CHUNK_BYTES} bytes at most")
        if hashlib.sha1(content).hexdigest() != sha1:  # noqa: S324 -- the protocol's name for a chunk, not a proof
            raise ApiError(400, f"the content of chunk {sha1[:40]} has another SHA-1")
        self._blobs.put(_name(sha1), content)

    def missing(self, wanted: Sequence[str]) -> list[str]:
        """Return those of the chunks that are missing, in order."""
        found = self._blobs.existing(_name(sha1) for sha1 in wanted)
        return [sha1 for sha1 in dict.fromkeys(wanted) if _name(sha1) not in found]

    def read(self, wanted: Sequence[str]) -> Iterator[bytes]:
        """Yield the chunks' contents in order. Raises ApiError (400) if one was removed meanwhile."""
        for sha1 in wanted:
            content = self._blobs.get(_name(sha1))
            if content is None:
                raise ApiError(400, f"chunk {sha1} is gone; upload again")
            yield content

    def forget(self, used: Sequence[str]) -> None:
        """Remove the chunks that were assembled, and all that are older than a day."""
        for sha1 in set(used):
            self._blobs.remove(_name(sha1))
        self._blobs.prune("chunks", KEPT_S)


def check_sha1s(values: object) -> list[str]:
    """Return a request's list of chunks. Raises ApiError (400) for anything else."""
    if not isinstance(values, list) or not all(isinstance(value, str) and _SHA1.fullmatch(value) for value in values):
        raise ApiError(400, "chunks are SHA-1 digests")
    if len(values) * CHUNK_BYTES > MAX_FILE_BYTES:
        raise ApiError(400, f"a file has {MAX_FILE_BYTES} bytes at most")
    return values


def _name(sha1: str) -> str:
    return f"chunks/{sha1}"


def _unpack(content: bytes) -> bytes:
    unpacker = zlib.decompressobj(31)
    try:
        unpacked = unpacker.decompress(content, CHUNK_BYTES + 1)
    except zlib.error:
        raise ApiError(400, "a chunk is not gzip as its name says") from None
    if not unpacker.eof and len(unpacked) <= CHUNK_BYTES:
        raise ApiError(400, "a chunk is cut off")
    return unpacked
