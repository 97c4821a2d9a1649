"""Keyed redaction: hides values in a text that has keys, by the rules about these keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pipeline.scrubbing.field_positions import FieldPosition, TextCheck
from pipeline.scrubbing.keyed_texts import KeyedValue, decoded
from pipeline.scrubbing.redaction import Chunk, Remark, join, redact, split

NEVER_PERSONAL = frozenset({"", "true", "false", "null", "undefined"})
"""Texts that no rule takes."""

_NUMBER = re.compile(r"[+-]?\d[\d.eE+-]*", re.ASCII)


def redact_values(
    text: str, noted: list[Remark], found: Iterable[tuple[FieldPosition, KeyedValue]], own: Sequence[TextCheck]
) -> tuple[str, list[Remark]] | None:
    """Return the text with its secrets hidden, and the remarks on it. None if no rule takes anything.

    `found` are the values in the text, each with the position that its keys begin at. `noted` are the remarks that the text has.
    `own` are the checks of the whole text, which are not tried here.
    """
    hidden: list[tuple[int, int, list[Chunk]]] = []
    for root, value in found:
        position = root
        for name in value.keys:
            position = position.item(0) if name is None else position.child(name)
        chunks = _instead_of(text[value.start : value.end], value, position, own)
        if chunks is not None:
            hidden.append((value.start, value.end, chunks))
    return join(_with_hidden(split(text, noted), hidden)) if hidden else None


def _instead_of(text: str, value: KeyedValue, position: FieldPosition, own: Sequence[TextCheck]) -> list[Chunk] | None:
    """Return what stands in the place of a value in a text, or None if it stays. `own` are the checks of the whole text."""
    if value.is_container:
        rule = position.object_rule or position.array_rule
        return None if rule is None else [rule.redaction.chunk(text, rule.id)]
    if not text or text in NEVER_PERSONAL:
        return None
    plain = decoded(text)
    before = chunks = [Chunk(plain)]
    for check in position.text_checks.checks if position.text_checks else ():
        if check.takes_all:
            return [check.rule.redaction.chunk(plain, check.rule.id)]
        if check not in own:
            chunks = redact(chunks, check.pattern, check.rule.redaction, check.rule.id)
    if chunks is not before:
        return chunks
    rule = position.number_rule
    return [rule.redaction.chunk(plain, rule.id)] if rule is not None and _NUMBER.fullmatch(text) else None


def _with_hidden(chunks: list[Chunk], hidden: list[tuple[int, int, list[Chunk]]]) -> list[Chunk]:
    """Put what is hidden into the plain chunks of a text. A larger place wins over those inside it."""
    result: list[Chunk] = []
    places = sorted(hidden, key=lambda one: (one[0], -one[1]))
    start = at = 0
    done = 0
    for chunk in chunks:
        end = start + len(chunk.text)
        if chunk.rule_id is not None:
            result.append(chunk)
            start = done = end
            continue
        done = max(done, start)
        while at < len(places) and places[at][0] < end:
            first, last, instead = places[at]
            at += 1
            if first >= done:
                result += [Chunk(chunk.text[done - start : first - start]), *instead]
                done = min(last, end)
        result.append(Chunk(chunk.text[done - start :]))
        start = end
    return [chunk for chunk in result if chunk.text or chunk.rule_id]
