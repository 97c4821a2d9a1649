"""Generated events for trials, load and measurements: the failures of a made-up web shop, each with its own stack."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator
from typing import Any

import msgpack
import orjson

MODULES = ("shop.cart", "shop.checkout", "shop.search", "shop.stock", "payments.card", "payments.voucher", "accounts.login")
ERRORS = ("KeyError", "ValueError", "TimeoutError", "ConnectionError", "PermissionDenied", "IntegrityError")
LIBRARIES = ("django.core.handlers.base", "django.db.backends.utils", "urllib3.connectionpool", "celery.app.trace")


def generate_events(seed: int, *, kinds: int = 50, frames: int = 25, locals_per_frame: int = 6) -> Iterator[dict[str, Any]]:
    """Yield events for ever, without id and time.

    There are `kinds` different failures, of which the first are the most frequent.
    """
    rng = random.Random(seed)  # noqa: S311 -- made-up data
    shapes = [_shape(rng, frames) for _ in range(kinds)]
    weights = [1 / (rank + 1) for rank in range(kinds)]
    while True:
        module, error, stack = rng.choices(shapes, weights)[0]
        user = rng.randrange(10_000)
        values = [
            {**frame, "vars": {f"local_{n}": f"{rng.getrandbits(64):016x}" for n in range(locals_per_frame)}} for frame in stack
        ]
        yield {
            "platform": "python",
            "level": "error",
            "release": f"shop@1.{rng.randrange(3)}.0",
            "environment": rng.choice(("production", "staging")),
            "transaction": f"/{module.replace('.', '/')}",
            "server_name": f"web-{rng.randrange(8)}",
            "user": {"id": str(user), "ip_address": f"203.0.113.{user % 256}"},
            "tags": {"region": rng.choice(("eu", "us", "ap")), "queue": str(rng.randrange(4))},
            "request": {"url": f"https://shop.example/{module}", "method": "POST", "headers": [["User-Agent", "Mozilla/5.0"]]},
            "exception": {
                "values": [{"type": error, "value": f"{module} failed for order {user}", "stacktrace": {"frames": values}}]
            },
            "sdk": {"name": "sentry.python", "version": "2.20.0"},
        }


def ingest_message(event: dict[str, Any], project_id: int, *, start_time: float | None = None) -> tuple[bytes, bytes]:
    """Return key and value of the ingest message that Relay would send. An event without an id gets a random one."""
    arrival = int(time.time() if start_time is None else start_time)
    event_id = event.get("event_id") or uuid.uuid4().hex
    message: dict[str, Any] = {
        "type": "event",
        "payload": orjson.dumps({"timestamp": arrival, **event, "event_id": event_id}),
        "start_time": arrival,
        "event_id": event_id,
        "project_id": project_id,
        "remote_addr": "203.0.113.7",
        "attachments": [],
    }
    return bytes.fromhex(event_id), bytes(msgpack.packb(message))


def _shape(rng: random.Random, frames: int) -> tuple[str, str, list[dict[str, Any]]]:
    module = rng.choice(MODULES)
    stack = []
    for depth in range(frames):
        name = rng.choice(LIBRARIES) if depth < frames - 4 else module
        line = rng.randrange(10, 900)
        stack.append(
            {
                "module": name,
                "filename": name.replace(".", "/") + ".py",
                "abs_path": f"/srv/app/{name.replace('.', '/')}.py",
                "function": f"step_{rng.randrange(400)}",
                "lineno": line,
                "in_app": name == module,
                "pre_context": [f"    value = step({line - 2})", "    if value is None:"],
                "context_line": f"        return self.run({line})",
                "post_context": ["", "    def run(self, number):"],
            }
        )
    return module, rng.choice(ERRORS), stack
