"""Headers of an event's request. Normalization makes them pairs; what was refused among them stands there as null."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def sent_headers(event: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Give the headers that have a name and a value, in the order of sending; names in lower case."""
    for pair in (event.get("request") or {}).get("headers") or ():
        if pair and pair[0] and pair[1]:
            yield pair[0].lower(), pair[1]
