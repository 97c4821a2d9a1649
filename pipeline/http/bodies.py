"""Receives bodies: in memory if they are small and there is room, else in a file. Slow senders are cut off."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Generic, NamedTuple, Protocol, TypeVar

from granian.rsgi import ProtocolClosed

from pipeline.http.answers import RefusedRequestError, body_too_large

CROWDED_INLINE_BYTES = 16_384
"""How much of a body stays in memory if all bodies together have reached their limit."""
SMALL_BYTES = 65_536
"""A body of at most this declared size is read at once."""
PIECE_BYTES = 262_144
RATE_FROM_S = 5.0
"""How long a body may take before its rate is checked."""


def _too_slow() -> RefusedRequestError:
    return RefusedRequestError(408, "request body came too slowly")


def _incomplete() -> RefusedRequestError:
    return RefusedRequestError(400, "request body is incomplete")


class BodyLimits(NamedTuple):
    """Limits of time and memory for bodies."""

    timeout_s: float
    """A sender whose body pauses for this long is cut off."""
    min_bytes_per_s: int
    """A body that comes slower on average, from its sixth second on, is cut off."""
    memory_bytes: int
    """Limit of memory for all arriving bodies together. Beyond it, each keeps at most `CROWDED_INLINE_BYTES` in memory."""
    inline_bytes: int
    """Limit of memory for one body."""


class Staged(Protocol):
    """A file into which a large body is written in pieces."""

    size: int

    def write(self, data: bytes) -> None:
        """Append a piece."""

    def finish(self) -> None:
        """Note that the body is complete."""

    def read(self, offset: int, size: int) -> bytes:
        """Return a piece of the body."""

    def discard(self) -> None:
        """Remove the file, unless somebody else owns it by now."""


class TemporaryBody:
    """A body in a temporary file, for callers that need it only during the request."""

    def __init__(self) -> None:
        self.size = 0
        self._file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 -- discard() closes it

    def write(self, data: bytes) -> None:
        """Append a piece. Raises OSError."""
        self._file.write(data)
        self.size += len(data)

    def finish(self) -> None:
        """Note that the body is complete."""
        self._file.flush()

    def read(self, offset: int, size: int) -> bytes:
        """Return a piece of the body. Raises OSError."""
        self._file.seek(offset)
        return self._file.read(size)

    def discard(self) -> None:
        """Remove the file."""
        self._file.close()


S = TypeVar("S", bound=Staged)


@dataclass(slots=True)
class Body(Generic[S]):
    """A body as received. `discard` must be called when it is no longer needed, even if a record owns its file by then."""

    data: bytes | S

    def pieces(self) -> Iterator[bytes]:
        """Yield the body."""
        if isinstance(self.data, bytes):
            yield self.data
            return
        for offset in range(0, self.data.size, PIECE_BYTES):
            yield self.data.read(offset, PIECE_BYTES)

    def discard(self) -> None:
        """Remove its file, unless a record owns it."""
        if not isinstance(self.data, bytes):
            self.data.discard()


class Bodies(Generic[S]):
    """Receives bodies, and knows how much memory all of them take together. `stage` opens a file for a large one."""

    def __init__(self, stage: Callable[[], S], limits: BodyLimits) -> None:
        self._stage = stage
        self._limits = limits
        self.held_bytes = 0
        """The memory that arriving bodies take now."""

    async def receive(
        self,
        pieces: AsyncIterable[bytes],
        declared_bytes: int | None,
        max_bytes: int,
        *,
        whole: Callable[[], Awaitable[bytes]] | None = None,
        has_trailers: bool = False,
    ) -> Body[S]:
        """Read a body to its end. `declared_bytes` is its Content-Length, None without one.

        `whole` reads the same body at once, which is faster. It is used for small bodies.

        Raises RefusedRequestError: 413 above `max_bytes`, 408 for a sender that is too slow, 400 for a body that is cut off.
        Raises what `stage` and its file raise if the disk fails.
        """
        if declared_bytes is not None and declared_bytes > max_bytes:
            raise body_too_large()
        if whole is not None and declared_bytes is not None and declared_bytes <= SMALL_BYTES:
            try:
                async with asyncio.timeout(self._limits.timeout_s):
                    return Body(await whole())
            except TimeoutError:
                raise _too_slow() from None
            except ProtocolClosed:
                raise _incomplete() from None
        kept: list[bytes] = []
        kept_bytes = size = empty_pieces = 0
        staged: S | None = None
        started = time.monotonic()
        iterator = aiter(pieces)
        try:
            while True:
                try:
                    async with asyncio.timeout(self._limits.timeout_s):
                        piece = bytes(await anext(iterator))
                except StopAsyncIteration:
                    break
                except TimeoutError:
                    raise _too_slow() from None
                empty_pieces += not piece
                size += len(piece)
                self._check(size, max_bytes, time.monotonic() - started)
                if staged is None:
                    kept.append(piece)
                    kept_bytes += len(piece)
                    self.held_bytes += len(piece)
                    if kept_bytes > self._room():
                        staged = self._stage()
                        await asyncio.to_thread(staged.write, b"".join(kept))
                        self.held_bytes -= kept_bytes
                        kept, kept_bytes = [], 0
                else:
                    await asyncio.to_thread(staged.write, piece)
            self._check_end(size, empty_pieces, declared_bytes, has_trailers=has_trailers)
            if staged is None:
                return Body(kept[0] if len(kept) == 1 else b"".join(kept))
            await asyncio.to_thread(staged.finish)
        except BaseException:
            if staged is not None:
                staged.discard()
            raise
        finally:
            self.held_bytes -= kept_bytes
        return Body(staged)

    def _check(self, size: int, max_bytes: int, waited_s: float) -> None:
        """Raise RefusedRequestError for a body that is too large, or has come too slowly so far."""
        if size > max_bytes:
            raise body_too_large()
        if size < (waited_s - RATE_FROM_S) * self._limits.min_bytes_per_s:
            raise _too_slow()

    @staticmethod
    def _check_end(size: int, empty_pieces: int, declared_bytes: int | None, *, has_trailers: bool) -> None:
        """Raise RefusedRequestError for a body that is cut off, since a part of an event must not be taken for a whole one.

        granian does not tell the two apart. But it yields one empty piece at the end of a body, and one more after an error or
        for trailers.
        """
        is_cut = empty_pieces > 1 and not has_trailers if declared_bytes is None else size != declared_bytes
        if is_cut:
            raise _incomplete()

    def _room(self) -> int:
        """Return how much of one body may be in memory now."""
        return self._limits.inline_bytes if self.held_bytes < self._limits.memory_bytes else CROWDED_INLINE_BYTES
