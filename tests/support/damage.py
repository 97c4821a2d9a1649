"""Damage: events of which strangers made something else. Seeded, so that what fails once fails again."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterable, Iterator
from typing import Any

Path = tuple[Any, ...]

JUNK: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 2**63, -(2**63), 2**64 - 1, 1e308,
    "", "x", "\0", "\n", "a" * 300, "%s %d %(x)s", "{}{0}{a.b}", "{{ default }}", "http://[::1", "http://a.example/%ff?x=1#y",
    "2023-13-45", "9" * 30, "0x10", "ffffffffffffffff", "transaction", "csp", "<unknown>", "native code",
    [], [[]], [None], [1, 2, 3], ["a", "b"], [["a", "b"]], [["a"]],
    {}, {"": None}, {"values": None}, {"values": {}}, {"values": [None, 1, "x", [], {}]}, {"a": {"b": {"c": [1, {"d": 2}]}}},
    {"type": "x"}, {"type": {}},
)  # fmt: skip
NAMES = (
    "exception", "threads", "contexts", "tags", "modules", "request", "sdk", "user", "errors", "type", "level", "release",
    "dist", "environment", "transaction", "platform", "location", "title", "culprit", "metadata", "logentry", "message",
    "timestamp", "received", "version", "breadcrumbs", "extra", "fingerprint", "stacktrace", "template", "csp", "hpkp",
    "debug_meta", "server_name", "logger", "main_exception_id", "_meta", "key_id", "project", "hashes", "values",
    "frames", "headers", "data", "url", "cookies", "vars", "mechanism", "images", "sentry.interfaces.Exception",
)  # fmt: skip


def damaged(events: Iterable[dict[str, Any]], count: int, seed: int) -> Iterator[bytes]:
    """Return so many of the events, each with one to six of its values, at any depth, replaced or added, and an id of its own."""
    random_ = random.Random(seed)
    originals = list(events)
    for _ in range(count):
        event = copy.deepcopy(random_.choice(originals))
        for _ in range(random_.randint(1, 6)):
            _damage(event, random_)
        event["event_id"] = f"{random_.getrandbits(128):032x}"
        yield json.dumps(event).encode()


def _damage(event: dict[str, Any], random_: random.Random) -> None:
    *parents, key = random_.choice(list(_paths(event)))
    holder: Any = event
    for name in parents:
        holder = holder[name]
    if isinstance(holder, dict) and random_.random() < 0.3:
        key = random_.choice(NAMES)
    holder[key] = copy.deepcopy(random_.choice(JUNK))


def _paths(value: Any, path: Path = ()) -> Iterator[Path]:
    children: Iterable[tuple[Any, Any]] = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        yield (*path, key)
        yield from _paths(child, (*path, key))
