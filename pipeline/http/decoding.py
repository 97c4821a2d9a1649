"""Decompresses bodies piece by piece, so that only one piece is in memory, however large the result is."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import brotli

from pipeline.http.answers import RefusedRequestError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE_BYTES = 65_536
INPUT_BYTES = 4_096
MAX_ENCODINGS = 4
"""Limit of stacked encodings. No real client sends more."""
_ZSTD_OPTIONS = {int(zstd.DecompressionParameter.window_log_max): 23}
"""A window of 8 MiB, which the specification asks decoders to support. Frames that need more are refused."""
_NONE = frozenset({"", "identity", "utf-8"})
"""Names that mean no encoding. Some clients send `UTF-8`."""

Pieces = Iterable[bytes]


class _Inflater(Protocol):
    """The interface of zlib's decompression objects, whose own type has no name at run time."""

    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def parse_encodings(header: str) -> tuple[str, ...]:
    """Return the encodings of a Content-Encoding header, in the order in which they were applied.

    Raises RefusedRequestError: 415 for an encoding that is not supported, 400 for too many.
    """
    names = tuple(name for part in header.split(",") if (name := part.strip().lower()) not in _NONE)
    for name in names:
        if name not in _DECODERS:
            raise RefusedRequestError(415, "unsupported content encoding", name[:50])
    if len(names) > MAX_ENCODINGS:
        raise RefusedRequestError(400, "too many content encodings")
    return names


def decoded(pieces: Pieces, encodings: Iterable[str]) -> Iterator[bytes]:
    """Yield a body without its encodings, in pieces of at most 128 KiB if it has any encoding.

    Raises RefusedRequestError (400) if the body is not encoded as declared, or ends too early.
    """
    for name in reversed(tuple(encodings)):
        pieces = _DECODERS[name](pieces)
    yield from pieces


def limited(pieces: Pieces, max_bytes: int, refusal: Callable[[], Exception]) -> Iterator[bytes]:
    """Yield pieces up to `max_bytes` in total. Raise `refusal()` as soon as there are more."""
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > max_bytes:
            raise refusal()
        yield piece


def _corrupt(encoding: str) -> RefusedRequestError:
    return RefusedRequestError(400, "invalid request body", f"invalid {encoding} data", reason="payload")


def _inflate(pieces: Pieces, encoding: str, window_bits: Callable[[bytes], int]) -> Iterator[bytes]:
    """Decompress data with zlib. Further members may follow the first, as in the output of `cat a.gz b.gz`."""
    decoder: _Inflater | None = None
    for part in _small(pieces):
        data = part
        while data:
            if decoder is None:
                decoder = zlib.decompressobj(window_bits(data))
            try:
                out = decoder.decompress(data, PIECE_BYTES)
            except zlib.error:
                raise _corrupt(encoding) from None
            if out:
                yield out
            data = decoder.unconsumed_tail
            if decoder.eof:
                data, decoder = _following(decoder)
            elif not data and len(out) == PIECE_BYTES:
                yield from _rest_of(decoder, encoding)
                data, decoder = _following(decoder)
    if decoder is not None:
        raise _corrupt(encoding)


def _following(decoder: _Inflater) -> tuple[bytes, _Inflater | None]:
    """Return the bytes after a finished member and None as the decoder, or the decoder if the member goes on."""
    return (decoder.unused_data, None) if decoder.eof else (b"", decoder)


def _small(pieces: Pieces) -> Iterator[bytes]:
    """Cut pieces into small ones, because zlib copies all unread input with every 64 KiB that it writes."""
    for piece in pieces:
        for at in range(0, len(piece), INPUT_BYTES):
            yield piece[at : at + INPUT_BYTES]


def _rest_of(decoder: _Inflater, encoding: str) -> Iterator[bytes]:
    """Yield output that a decoder still holds after all input is consumed."""
    while not decoder.eof:
        try:
            out = decoder.decompress(b"", PIECE_BYTES)
        except zlib.error:
            raise _corrupt(encoding) from None
        if not out:
            return
        yield out


def _gunzip(pieces: Pieces) -> Iterator[bytes]:
    return _inflate(pieces, "gzip", lambda _: 31)


def _undeflate(pieces: Pieces) -> Iterator[bytes]:
    """Decompress zlib's format, which `deflate` stands for, or the raw stream that some clients send under that name."""
    return _inflate(pieces, "deflate", lambda data: 15 if data[0] & 0x0F == 8 and data[0] >> 4 <= 7 else -15)


def _unbrotli(pieces: Pieces) -> Iterator[bytes]:
    decoder = brotli.Decompressor()
    try:
        for piece in pieces:
            if piece and decoder.is_finished():
                raise _corrupt("br")
            out = decoder.process(piece, output_buffer_limit=PIECE_BYTES)
            while out or not decoder.can_accept_more_data():
                if out:
                    yield out
                out = decoder.process(b"", output_buffer_limit=PIECE_BYTES)
    except brotli.error:
        raise _corrupt("br") from None
    if not decoder.is_finished():
        raise _corrupt("br")


def _unzstd(pieces: Pieces) -> Iterator[bytes]:
    """Decompress one frame after the other."""
    decoder: zstd.ZstdDecompressor | None = None
    try:
        for piece in pieces:
            data = piece
            while data or (decoder is not None and not decoder.needs_input):
                if decoder is None:
                    decoder = zstd.ZstdDecompressor(options=_ZSTD_OPTIONS)
                out = decoder.decompress(data, PIECE_BYTES)
                data = b""
                if out:
                    yield out
                if decoder.eof:
                    data, decoder = decoder.unused_data, None
    except zstd.ZstdError:
        raise _corrupt("zstd") from None
    if decoder is not None:
        raise _corrupt("zstd")


_DECODERS: dict[str, Callable[[Pieces], Iterator[bytes]]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _undeflate,
    "br": _unbrotli,
    "zstd": _unzstd,
}
