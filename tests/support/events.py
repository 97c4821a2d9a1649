"""Made-up input: events as SDKs send them, odd ones to be repaired, and lines that hold none. Seeded: every run sees the same."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from typing import Any

Event = dict[str, Any]

START_TIME = 1_700_000_000
PROJECTS = (1, 2, 42)

_TYPES = ("ValueError", "TypeError", "java.io.IOException", "Überlauf", "std::bad_alloc", "E_NOTICE", "ReferenceError")
_WORDS = (
    "order",
    "user",
    "payment",
    "timeout after {} ms",
    "connection to 10.0.{}.7 refused",
    "naïve",
    "日本語",
    "🙂",
    "key '{}' missing",
)
_PLATFORMS = ("python", "javascript", "node", "java", "ruby", "php", "go", "csharp", "native", "other")


def messages(count: int, seed: int = 0) -> Iterator[bytes]:
    """Return ingest messages, one a line, each with an event id of its own."""
    random_ = random.Random(seed)
    for number in range(count):
        event_id = uuid.UUID(int=random_.getrandbits(128), version=4).hex
        message = {
            "type": "event",
            "project_id": random_.choice(PROJECTS),
            "event_id": event_id,
            "start_time": START_TIME + number // 10,
            "remote_addr": random_.choice([None, "127.0.0.1", "2001:db8::1", f"10.1.{number % 200}.9"]),
            "payload": event(random_, event_id),
        }
        if random_.random() < 0.1:
            message["payload"] = json.dumps(message["payload"])
        yield json.dumps(message, ensure_ascii=random_.random() < 0.5).encode()


def event(random_: random.Random, event_id: str) -> Event:
    """Return one event: always an exception or a message, and a choice of everything else."""
    result: Event = {"event_id": event_id, "timestamp": START_TIME + random_.random(), "platform": random_.choice(_PLATFORMS)}
    if random_.random() < 0.8:
        result["exception"] = {"values": [_exception(random_) for _ in range(random_.choice([1, 1, 1, 2, 3]))]}
    else:
        result["logentry"] = {"message": "%s of %s failed", "params": [_words(random_), str(random_.randrange(999))]}
    optional: Event = {
        "level": random_.choice(["fatal", "error", "warning", "info"]),
        "release": f"shop@1.{random_.randrange(9)}.0",
        "environment": random_.choice(["production", "staging"]),
        "dist": str(random_.randrange(99)),
        "transaction": random_.choice(["/checkout", "orders.tasks.send"]),
        "user": random_.choice([{"id": str(random_.randrange(500))}, {"email": "ada@example.com", "ip_address": "::1"}]),
        "tags": random_.choice([{"region": "eu", "shard": random_.randrange(9)}, [["region", "us"], ["site", "main"]]]),
        "request": {
            "method": "post",
            "url": "https://shop.example/pay?x=1",
            "headers": {"User-Agent": "curl/8", "Referer": "https://a.example/"},
        },
        "contexts": {
            "trace": {"trace_id": event_id, "span_id": event_id[:16]},
            "runtime": {"name": "CPython", "version": "3.11"},
        },
        "breadcrumbs": {"values": [{"message": _words(random_), "timestamp": START_TIME} for _ in range(random_.randrange(5))]},
        "modules": {"requests": "2.31.0"},
        "sdk": {"name": "sentry.python", "version": "2.20.0", "integrations": ["stdlib"]},
        "extra": {"attempt": random_.randrange(5), "payload": {"deep": [[["x"]]], "text": _words(random_)}},
        "fingerprint": random_.choice([["{{ default }}"], ["{{ default }}", "eu"], ["payment"]]),
    }
    return result | {name: value for name, value in optional.items() if random_.random() < 0.5}


def _exception(random_: random.Random) -> Event:
    frames = [
        {
            "function": f"handle_{random_.randrange(20)}",
            "module": f"shop.{random_.choice(['orders', 'billing', 'mail'])}",
            "filename": f"shop/file_{random_.randrange(20)}.py",
            "lineno": random_.randrange(1, 500),
            "in_app": random_.random() < 0.7,
            "context_line": "    return handle(order)  # }]",
            "vars": {"order": _words(random_)},
        }
        for _ in range(random_.randrange(1, 12))
    ]
    return {"type": random_.choice(_TYPES), "value": _words(random_), "stacktrace": {"frames": frames}}


def _words(random_: random.Random) -> str:
    return " ".join(random_.choices(_WORDS, k=random_.randrange(1, 5))).format(*(random_.randrange(10_000) for _ in range(9)))


def wrap(payload: str, **fields: Any) -> bytes:
    """Return an ingest message as a line, with the payload's text in it as it is, valid or not."""
    message = {"type": "event", "project_id": 1, "event_id": None, "start_time": START_TIME, "remote_addr": None} | fields
    return json.dumps(message)[:-1].encode() + b', "payload": ' + payload.encode("utf-8", "surrogatepass") + b"}"


def odd_events() -> dict[str, tuple[str, str]]:
    """Return events that must be repaired, named in `errors` and stored: the text of each, and the name in its error."""
    return {
        "NaN": ('{"message": "a", "extra": {"ratio": NaN}}', "extra.ratio"),
        "Infinity": ('{"message": "a", "extra": {"ratio": [1, -Infinity]}}', "extra.ratio.1"),
        "a number beyond doubles": ('{"message": "a", "extra": {"ratio": 1e999}}', "extra.ratio"),
        "an integer beyond 64 bits": ('{"message": "a", "extra": {"id": 18446744073709551616}}', "extra.id"),
        "a negative integer beyond 64 bits": ('{"message": "a", "extra": {"id": -9223372036854775809}}', "extra.id"),
        "an integer of 5,000 digits": ('{"message": "a", "extra": {"id": %s}}' % ("7" * 5_000), "extra.id"),
        "a lone surrogate, escaped": ('{"message": "a\\ud800"}', "message"),
        "a lone surrogate, encoded": ('{"message": "a\ud800"}', "message"),
        "a lone surrogate beside NaN": ('{"message": "a", "extra": {"b": "\\ude00", "a": NaN}}', "extra.b"),
        "a broken escape": ('{"message": "a", "extra": {"b": "\\x41 \\u12"}}', "extra.b"),
        "a list where an object belongs": ('{"message": "a", "user": ["ada"]}', "user"),
        "an object where a list belongs": ('{"message": "a", "fingerprint": {"a": 1}}', "fingerprint"),
        "a text where an object belongs": ('{"message": "a", "contexts": "none"}', "contexts"),
        "a time before 1970": ('{"message": "a", "timestamp": "0001-01-01T00:00:00Z"}', "timestamp"),
        "a time far ahead": ('{"message": "a", "timestamp": "9999-12-31T23:59:59Z"}', "timestamp"),
        "an id that is no UUID": ('{"message": "a", "event_id": "not-an-id"}', "event_id"),
        "an id that is a number": ('{"message": "a", "event_id": 12}', "event_id"),
        "errors that are no list": ('{"message": "a", "errors": "many", "event_id": 12}', "errors"),
    }


def broken_lines() -> dict[str, tuple[bytes, str]]:
    """Return lines that hold no event that can be stored: the bytes of each, and the reason in Relay's words."""
    whole = wrap('{"message": "a"}')
    return {
        "truncated": (whole[: len(whole) // 2], "invalid_json"),
        "truncated payload": (wrap(json.dumps('{"message": ')), "invalid_json"),
        "no JSON at all": (b"Traceback (most recent call last):", "invalid_json"),
        "invalid UTF-8": (b'{"message": "\xff\xfe"}', "invalid_json"),
        "overlong UTF-8": (b'{"message": "\xc0\xaf"}', "invalid_json"),
        "100,000 levels": (b"[" * 100_000, "invalid_json"),
        "100,000 levels, closed": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "invalid_json"),
        "100,000 levels beside NaN": (b"[NaN," + b"[" * 100_000, "invalid_json"),
        "129 levels": (wrap('{"a": ' + "[" * 128 + "]" * 128 + "}"), "invalid_json"),
        "a root that is a list": (b'[{"message": "a"}]', "payload"),
        "a root that is a text": (b'"message"', "payload"),
        "a root that is null": (b"null", "payload"),
        "a payload that is a list": (wrap("[]"), "payload"),
        "a payload that is a number": (wrap("5"), "payload"),
        "no payload": (wrap("null"), "no_event_payload"),
        "an unknown type": (wrap("{}", type="banana"), "payload"),
        "a type that is no text": (wrap("{}", type=[1]), "payload"),
        "no project": (wrap("{}", project_id=None), "project_id"),
        "a negative project": (wrap("{}", project_id=-1), "project_id"),
        "project 0": (wrap("{}", project_id=0), "project_id"),
        "a project that is a text": (wrap("{}", project_id="1"), "project_id"),
        "a project that is no whole number": (wrap("{}", project_id=1.0), "project_id"),
        "a project beyond 64 bits": (wrap("{}", project_id=2**64), "project_id"),
        "a bare event, whose project nobody names": (b'{"message": "a"}', "project_id"),
    }
