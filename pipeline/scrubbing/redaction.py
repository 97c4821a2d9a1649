"""Redaction: replaces secrets in texts, and notes each replacement in a remark.

While rules run, a text is a list of chunks: plain text, and redactions of earlier rules. Later rules do not look into these.
A remark is `[rule, kind, start, end]` with positions in bytes. The kinds are s (substituted), x (removed), m (masked) and
p (pseudonymized).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

from pipeline.scrubbing.linear_regex import Found
from pipeline.scrubbing.patterns import Pattern

Remark = Any
"""One remark. Those that a sender put into an event may have any form."""

_HOLE = "\x00"
"""The placeholder of a redaction in the text that a pattern searches."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """How a rule hides what it found. `method`: "replace" (by `text`), "mask", "hash", "remove"."""

    method: str
    text: str = "[Filtered]"

    def chunk(self, found: str, rule_id: str) -> Chunk:
        """Return the chunk that replaces `found`."""
        if self.method == "replace":
            return Chunk(self.text, rule_id, "s")
        if self.method == "mask":
            return Chunk("*" * len(found), rule_id, "m")
        if self.method == "hash":
            return Chunk(pseudonym(found), rule_id, "p")
        return Chunk("", rule_id, "x")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a text. `rule_id` is None for plain text."""

    text: str
    rule_id: str | None = None
    kind: str = ""


def pseudonym(text: str) -> str:
    """Return 40 upper-case hexadecimal digits, the same for equal values (HMAC-SHA1 with an empty key)."""
    return hmac.new(b"", text.encode(errors="replace"), hashlib.sha1).hexdigest().upper()


def split(text: str, remarks: list[Remark]) -> list[Chunk]:
    """Cut a text at the remarks that it already has. Remarks that do not fit the text are dropped."""
    data = text.encode(errors="surrogatepass")
    chunks: list[Chunk] = []
    position = 0
    for remark in remarks:
        if not (isinstance(remark, list) and len(remark) == 4 and all(isinstance(end, int) for end in remark[2:])):
            continue
        rule_id, kind, start, end = remark
        if not (isinstance(rule_id, str) and isinstance(kind, str) and position <= start <= end <= len(data)):
            continue
        chunks.append(Chunk(data[position:start].decode(errors="replace")))
        chunks.append(Chunk(data[start:end].decode(errors="replace"), rule_id, kind))
        position = end
    chunks.append(Chunk(data[position:].decode(errors="replace")))
    return [chunk for chunk in chunks if chunk.text or chunk.rule_id]


def join(chunks: list[Chunk]) -> tuple[str, list[Remark]]:
    """Return the text of the chunks, and the remarks of its redactions."""
    remarks: list[Remark] = []
    position = 0
    for chunk in chunks:
        end = position + len(chunk.text.encode(errors="surrogatepass"))
        if chunk.rule_id is not None:
            remarks.append([chunk.rule_id, chunk.kind, position, end])
        position = end
    return "".join(chunk.text for chunk in chunks), remarks


def finds(pattern: Pattern, text: str) -> bool:
    """Whether the pattern matches in a text that has no remarks. If not, `redact` would change nothing."""
    return pattern.regex.search(text.replace(_HOLE, "")) is not None


def _matches(pattern: Pattern, text: str) -> list[Found]:
    matches = list(pattern.regex.finditer(text))
    accepts = pattern.accepts
    return matches if accepts is None else [match for match in matches if accepts(text[slice(*match.span(0))])]


def redact(chunks: list[Chunk], pattern: Pattern, redaction: Redaction, rule_id: str) -> list[Chunk]:
    """Hide all that a pattern finds in the plain chunks. Returns the same list if it finds nothing."""
    plain = [chunk.text.replace(_HOLE, "") if chunk.rule_id is None else _HOLE for chunk in chunks]
    if all(text == _HOLE for text in plain):
        return chunks
    text = "".join(plain)
    matches = _matches(pattern, text)
    if not matches:
        return chunks
    if pattern.whole_text:
        return [redaction.chunk(text, rule_id)]
    holes = [chunk for chunk in reversed(chunks) if chunk.rule_id is not None]
    result: list[Chunk] = []
    position = 0
    for match in matches:
        for group in pattern.groups:
            start, end = match.span(group)
            if start < position or start < 0:
                continue
            _keep(text[position:start], holes, result)
            result.append(redaction.chunk(text[start:end], rule_id))
            for _ in range(text.count(_HOLE, start, end)):
                holes.pop()
            position = end
    _keep(text[position:], holes, result)
    return result


def _keep(text: str, holes: list[Chunk], result: list[Chunk]) -> None:
    """Append a piece of the searched text to `result`, with the earlier redactions back in their places."""
    for index, piece in enumerate(text.split(_HOLE)):
        if index:
            result.append(holes.pop())
        if piece:
            result.append(Chunk(piece))
