"""Known stacks are cut out of an event's JSON before it is parsed, and replaced by the result of the first parse.

A stack is looked for where the bytes of its key stand. A number takes its place in the text, and what is left is parsed. If that
fails, or if a number does not turn up where a stack belongs, the whole text is parsed as if nothing were known. So a known stack
changes nothing but the cost: `tests/unit/stages/test_known_stacks.py` holds the memory on and off equal, for hostile texts too.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from pipeline.model.known_stack import KnownStack, KnownStacks
from pipeline.model.storage_message import LAST_LINE
from pipeline.stages.decode.event_json import can_be_stored
from pipeline.stages.normalize.remarks import Remarks
from pipeline.stages.normalize.stacktraces import stacktrace

_KEY = b'"stacktrace":{"frames":['
_START = len(b'"stacktrace":')
_END = b"}]}"
_SMALLEST_BYTES = 200
"""Smaller stacks cost less to parse than to look up."""
_VARIABLES = b'"vars":'
"""Stacks with variables are never the same twice, and what is in variables is scrubbed every time."""
_MARK = secrets.randbits(61) | 1 << 61
"""Stands for the first stack that was cut out. Nobody can guess it, so nobody can send it."""
_LEVELS_ABOVE = 6
"""How deep in a message a stack lies at most."""
_FLAT = frozenset({str, int, bool, list})


def cut(text: bytes, memory: KnownStacks) -> tuple[bytes, list[KnownStack]]:
    """Return the text with a number in the place of each known stack, and these stacks in their order."""
    known: list[KnownStack] = []
    pieces: list[bytes] = []
    done = 0
    at = text.find(_KEY)
    while at > 0:
        start = at + _START
        found = memory.find(text, start) or _learn(text, start, memory)
        if found is not None:
            pieces += (text[done:start], b"%d" % (_MARK + len(known)))
            known.append(found)
            start = done = start + len(found.raw)
        at = text.find(_KEY, start)
    if known:
        pieces.append(text[done:])
        text = b"".join(pieces)
    return text, known


def _learn(text: bytes, start: int, memory: KnownStacks) -> KnownStack | None:
    """Learn the stack at `start`, if it ends before any variables and is worth it."""
    variables = text.find(_VARIABLES, start)
    end = text.find(_END, start, variables if variables >= 0 else len(text)) + len(_END)
    return memory.learn(text[start:end], _make) if end - start >= _SMALLEST_BYTES else None


def put_back(root: Any, known: Sequence[KnownStack]) -> bool:
    """Put the stacks in the places of their numbers, in an event or a message. False if one is in no such place.

    Also False if the event brings remarks along (`_meta`): these may be about a stack, and then decide what is scrubbed.
    """
    event = root.get("payload", root) if type(root) is dict else None
    if type(event) is not dict or "_meta" in event:
        return False
    number = 0
    for holder in _holders(event):
        if number < len(known) and holder.get("stacktrace") == _MARK + number:
            holder["stacktrace"] = known[number]
            number += 1
    return number == len(known)


def _holders(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what may hold a stack, in the order of the event's fields, which is that of the text."""
    for name, interface in event.items():
        if name == "stacktrace":
            yield event
        elif name in {"exception", "threads"}:
            values = interface.get("values") if type(interface) is dict else interface
            for value in values if type(values) is list else ():
                if type(value) is dict:
                    yield value


def _make(raw: bytes) -> dict[str, Any] | None:
    """Parse and normalize a stack by itself. None if there is a remark on it, or if stages may write into its values."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    above: Any = value
    for _ in range(_LEVELS_ABOVE):
        above = {"": above}
    if not can_be_stored(above):
        return None
    remarks = Remarks()
    stack = stacktrace(value, None, remarks)
    if remarks.errors or remarks.meta or stack is None or stack.keys() != {"frames"}:
        return None
    return stack if stack["frames"] and all(map(_is_plain, stack["frames"])) else None


def _is_plain(frame: dict[str, Any] | None) -> bool:
    """Whether a frame has no value that stages write into, and no line that the storage has no room for."""
    if frame is None or not _FLAT.issuperset(map(type, frame.values())):
        return False
    return bool(frame.get("lineno", 0) < LAST_LINE and frame.get("colno", 0) < LAST_LINE)
