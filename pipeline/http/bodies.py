"""A body on its way in: in memory as long as it is small and there is room, else staged in a file. Slow senders are cut."""

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
"""What a body may have in memory where bodies already take all that they may together."""
SMALL_BYTES = 65_536
"""A body that declares no more is read at once."""
PIECE_BYTES = 262_144
RATE_FROM_S = 5.0
"""A body has this long before its rate counts."""


def _too_slow() -> RefusedRequestError:
    return RefusedRequestError(408, "request body came too slowly")


def _incomplete() -> RefusedRequestError:
    return RefusedRequestError(400, "request body is incomplete")


class BodyLimits(NamedTuple):
    """How bodies may come, and how much memory they may take."""

    timeout_s: float
    """A sender whose body pauses for so long is cut off."""
    min_bytes_per_s: int
    """A body that comes slower on average, from its sixth second on, is cut off."""
    memory_bytes: int
    """What all bodies that are arriving may take in memory together. Beyond it, each keeps `CROWDED_INLINE_BYTES` there."""
    inline_bytes: int
    """What one body may have in memory."""


class Staged(Protocol):
    """A file that a large body goes into, piece by piece."""

    size: int

    def write(self, data: bytes) -> None:
        """Append a piece."""

    def finish(self) -> None:
        """Note that the body is complete."""

    def read(self, offset: int, size: int) -> bytes:
        """Return a piece of it."""

    def discard(self) -> None:
        """Remove the file, unless somebody took it."""


class TemporaryBody:
    """A body in a temporary file, for who needs it no longer than its request."""

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
        """Return a piece of it. Raises OSError."""
        self._file.seek(offset)
        return self._file.read(size)

    def discard(self) -> None:
        """Remove the file."""
        self._file.close()


S = TypeVar("S", bound=Staged)


@dataclass(slots=True)
class Body(Generic[S]):
    """A body as received. `discard` must be called once it is not needed, also where its record took it."""

    data: bytes | S

    def pieces(self) -> Iterator[bytes]:
        """Yield the body."""
        if isinstance(self.data, bytes):
            yield self.data
            return
        for offset in range(0, self.data.size, PIECE_BYTES):
            yield self.data.read(offset, PIECE_BYTES)

    def discard(self) -> None:
        """Remove its file, unless a record has taken it."""
        if not isinstance(self.data, bytes):
            self.data.discard()


class Bodies(Generic[S]):
    """Receives bodies, and knows how much memory all of them take together. `stage` opens a file for a large one."""

    def __init__(self, stage: Callable[[], S], limits: BodyLimits) -> None:
        self._stage = stage
        self._limits = limits
        self.held_bytes = 0
        """What the bodies that are arriving take in memory."""

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

        `whole` reads the same body at once, which is quicker; it is used for small ones.

        Raises RefusedRequestError: 413 above `max_bytes`, 408 for a sender that is too slow, 400 for a body that is cut off.
        Raises what `stage` and its file raise where the disk fails.
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
        """Raise RefusedRequestError for a body that is cut off. An event that is cut in its middle must not be taken for one.

        granian ends both kinds alike. But it gives one empty piece for the end of a body, and one more for an error or trailers.
        """
        is_cut = empty_pieces > 1 and not has_trailers if declared_bytes is None else size != declared_bytes
        if is_cut:
            raise _incomplete()

    def _room(self) -> int:
        """Return how much one body may have in memory."""
        return self._limits.inline_bytes if self.held_bytes < self._limits.memory_bytes else CROWDED_INLINE_BYTES
