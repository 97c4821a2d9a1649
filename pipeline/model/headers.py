"""Headers of an event's request. Normalization turns them into pairs, and refused ones into null."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.model.event import Event


def sent_headers(event: Event) -> Iterator[tuple[str, str]]:
    """Yield the headers that have a name and a value, in the order of sending, with names in lower case."""
    for pair in (event.get("request") or {}).get("headers") or ():
        if pair and pair[0] and pair[1]:
            yield pair[0].lower(), pair[1]
