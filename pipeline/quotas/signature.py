"""Signature: a hash that is equal for events that look alike before they are grouped.

Admit runs before grouping. Once a flood has used up a limit, admit would also refuse the first event of a new group. If a quota
has a reserve, an event whose signature was not seen in the window may pass, and count rejects it if its group is known
(docs/adr/0003). A wrong guess costs little: two groups with the same signature share one chance, and an event of a known group
with a new signature is rejected by count.
"""

from __future__ import annotations

import re

import xxhash

from pipeline.model.event import Event, ExceptionValue, exceptions, frames_in

_FRAMES = 4
_VARYING = re.compile(r"0x[0-9a-fA-F]+|\d+|[0-9a-fA-F]{8,}")
_MESSAGE_CHARS = 200


def signature(event: Event) -> bytes:
    """Return 8 bytes for a normalized event: a hash of its fingerprint, exception types and innermost frames or message."""
    parts = [str(value)[:_MESSAGE_CHARS] for value in (event.get("fingerprint") or ())[:_FRAMES]]
    has_frames = False
    found = exceptions(event)
    for exception in found[-2:]:
        parts.append(str(exception.get("type"))[:_MESSAGE_CHARS])
        frames = _frames(exception)
        has_frames = has_frames or bool(frames)
        parts += frames
    if not has_frames:
        entry = event.get("logentry") or {}
        message = entry.get("message") or entry.get("formatted")
        if found:
            message = found[-1].get("value") or message
        parts.append(_VARYING.sub("", str(message)[:_MESSAGE_CHARS]))
    return xxhash.xxh3_64_digest("\0".join(parts).encode("utf-8", "surrogatepass"))


def _frames(exception: ExceptionValue) -> list[str]:
    return [
        f"{frame.get('module') or frame.get('filename')}:{frame.get('lineno')}:{frame.get('colno')} {frame.get('function')}"
        for frame in frames_in(exception.get("stacktrace"))[-_FRAMES:]
    ]
