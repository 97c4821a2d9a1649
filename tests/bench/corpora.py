"""The events that the benches run on.

Seeded: the same corpus and round always give the same bytes, and every round has new event ids.

| corpus | what repeats |
|---|---|
| `recorded` | the recorded fixtures, with new ids: all but the id |
| `zipf` | 95 of 100 stacks. 20 projects; 70 % Python with 25 frames, 30 % JavaScript with 12 minified frames |
| `zipf_maps` | the same, and the minified frames are resolved by source maps |
| `zipf_variables` | as `zipf`, but the app's frames hold local variables, as Python's SDK sends them: new in every event |
| `new_stacks` | all but the stack: as `zipf`, but no stack was seen before |
| `all_new` | nothing: stack, message, user, address, tags, breadcrumbs and URL are new in every event |
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from support.artifact_bundles import BuiltFile, write_bundle
from support.source_maps import source_map

from pipeline.model.item import Item
from pipeline.quotas.ledger import UncountedLedger
from pipeline.rules.folder import load_rules
from pipeline.runtimes.recorded.readers import Inputs
from pipeline.settings.loading import load_settings
from pipeline.stages import ERRORS
from pipeline.wiring.contexts import replay_context

ROOT = Path(__file__).parents[2]
NOW = 1_795_348_800.0

PROJECTS = 20
STACKS = 12
"""Stacks of a project that come again, the more popular ones more often."""
NEW_SHARE = 0.05
PYTHON_SHARE = 0.7
PYTHON_FRAMES, SCRIPT_FRAMES = 25, 12
TOKENS = 400
"""Positions of a minified file that its map resolves."""
RELEASE = "shop@4.2.0"
SCRIPT_URL = "https://shop.example/static/app.4f1c.min.js"

_WORDS = (
    "cart", "order", "price", "user", "stock", "pay", "ship", "tax", "mail", "search", "login", "report", "index", "cache",
    "queue", "worker", "view", "form", "model",
)  # fmt: skip
_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 16_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.5 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
)  # fmt: skip
_MODULES = {f"package-{number}": f"{number % 7}.{number % 11}.{number % 13}" for number in range(30)}


class Corpus(NamedTuple):
    """A kind of input. `make(round, events)` returns the bodies: ingest messages as lines of JSON."""

    name: str
    make: Callable[[int, int], list[bytes]]
    has_maps: bool = False


def _message(project: int, event: dict[str, Any]) -> bytes:
    return orjson.dumps(
        {"type": "event", "project_id": project, "start_time": NOW, "event_id": event["event_id"], "payload": event}
    )


def _recorded(round_: int, events: int) -> list[bytes]:
    settings = load_settings(None, {})
    ctx = replay_context(settings, load_rules(ROOT / "rules"), UncountedLedger(), now=NOW)(())
    records = Inputs([str(ROOT / "tests" / "fixtures" / "recorded")], now=NOW)
    items = [part for record in records for part in ERRORS.decode(record, ctx) if isinstance(part, Item)]
    chance = random.Random(round_)
    chosen = [items[number % len(items)] for number in range(events)]
    return [_message(item.scope.project_id, {**item.event, "event_id": f"{chance.getrandbits(128):032x}"}) for item in chosen]


def _python_stack(chance: random.Random) -> list[dict[str, Any]]:
    frames = []
    for number in range(PYTHON_FRAMES):
        is_own = number % 5 > 2
        module = f"{'shop' if is_own else 'django'}.{chance.choice(_WORDS)}.{chance.choice(_WORDS)}"
        path = module.replace(".", "/") + ".py"
        line = chance.randrange(1, 2_000)
        frames.append({
            "filename": path, "abs_path": f"/srv/{'app' if is_own else 'venv/lib/python3.12/site-packages'}/{path}",
            "function": f"{chance.choice(_WORDS)}_{chance.choice(_WORDS)}", "module": module, "lineno": line,
            "pre_context": [f"    {word} = self.{word}s.get({line})" for word in _WORDS[:5]],
            "context_line": f"        return {chance.choice(_WORDS)}.{chance.choice(_WORDS)}(request, *args, **kwargs)",
            "post_context": [f"    if {word} is None:" for word in _WORDS[5:10]],
            "in_app": is_own,
        })  # fmt: skip
    return frames


def _script_stack(chance: random.Random) -> list[dict[str, Any]]:
    return [
        {"abs_path": SCRIPT_URL, "filename": SCRIPT_URL, "function": chance.choice("abcdefgh"), "lineno": 1,
         "colno": 1 + 10 * chance.randrange(TOKENS), "in_app": True}
        for _ in range(SCRIPT_FRAMES)
    ]  # fmt: skip


def _add_variables(frames: list[dict[str, Any]], chance: random.Random) -> None:
    for frame in frames:
        if frame["in_app"] and "module" in frame:
            frame["vars"] = {
                "self": f"<shop.views.Checkout object at 0x{chance.getrandbits(44):x}>", "order_id": str(chance.getrandbits(40)),
                "total": f"{chance.random() * 900:.2f}", "items": [f"'sku-{chance.getrandbits(30)}'" for _ in range(3)],
                "options": {"express": "True", "voucher": f"'{chance.getrandbits(32):x}'"},
            }  # fmt: skip


def _event(chance: random.Random, stack: list[dict[str, Any]], *, is_new: bool) -> dict[str, Any]:
    """Return an event around a stack. Most of it is alike in all events of a project, unless `is_new`."""
    is_python = "module" in stack[0]
    user, page = chance.randrange(10**9 if is_new else 50_000), chance.randrange(10**9 if is_new else 40)
    salt = f" {chance.getrandbits(60):x}" if is_new else ""
    agent = chance.choice(_AGENTS) + salt
    contexts: dict[str, Any] = {
        "trace": {"trace_id": f"{chance.getrandbits(128):032x}", "span_id": f"{chance.getrandbits(64) | 1:016x}"}
    }
    if is_python:
        contexts["runtime"] = {"name": "CPython", "version": "3.12.3", "build": "3.12.3 (main)"}
    return {
        "event_id": f"{chance.getrandbits(128):032x}",
        "timestamp": NOW - chance.randrange(3_600),
        "platform": "python" if is_python else "javascript",
        "level": "error",
        "release": RELEASE,
        "environment": "production",
        "server_name": f"web-{chance.randrange(8)}{salt}",
        "transaction": f"/shop/page/{page}",
        "exception": {"values": [{
            "type": "ValueError" if is_python else "TypeError", "value": f"order {chance.getrandbits(40)} is not payable{salt}",
            "mechanism": {"type": "generic", "handled": False}, "stacktrace": {"frames": stack},
        }]},
        "request": {
            "url": f"https://shop.example/page/{page}", "method": "GET", "query_string": [["q", str(page)]],
            "headers": [["User-Agent", agent], ["Accept", "text/html"], ["Referer", f"https://shop.example/?from={page}"]],
        },
        "user": {"id": str(user), "ip_address": f"203.0.{user // 256 % 256}.{user % 256}"},
        "tags": {"browser": "chrome", "region": chance.choice(("eu", "us")), "build": f"{page}{salt}"},
        "contexts": contexts,
        "breadcrumbs": {"values": [
            {"type": "default", "level": "info", "timestamp": NOW - 60 - number, "category": "query",
             "message": f"read order {chance.getrandbits(24)} from the cache", "data": {"rows": chance.randrange(50)}}
            for number in range(8)
        ]},
        "sdk": {"name": "sentry.python", "version": "2.20.0", "integrations": ["django", "logging", "redis"],
                "packages": [{"name": "pypi:sentry-sdk", "version": "2.20.0"}]},
        **({"modules": _MODULES} if is_python else {}),
    }  # fmt: skip


def _zipf(
    round_: int, events: int, *, has_variables: bool = False, new_share: float = NEW_SHARE, is_new: bool = False
) -> list[bytes]:
    chance = random.Random(round_ * 7_919 + 1)
    known = _known_stacks()
    weights = [1 / rank for rank in range(1, STACKS + 1)]
    bodies = []
    for _ in range(events):
        project = 1 + chance.randrange(PROJECTS)
        if chance.random() < new_share:
            make = _python_stack if chance.random() < PYTHON_SHARE else _script_stack
            stack = make(chance)
            for frame in stack:
                frame["function"] += f"_{chance.getrandbits(30):x}"
        else:
            stack = [dict(frame) for frame in chance.choices(known[project - 1], weights)[0]]
        if has_variables:
            _add_variables(stack, chance)
        bodies.append(_message(project, _event(chance, stack, is_new=is_new)))
    return bodies


def _known_stacks() -> list[list[list[dict[str, Any]]]]:
    """Return the stacks of each project that come again. Popular ones are of both platforms."""
    chance = random.Random(1)
    makers = [_python_stack if (number * 7) % 10 < PYTHON_SHARE * 10 else _script_stack for number in range(STACKS)]
    return [[make(chance) for make in makers] for _ in range(PROJECTS)]


CORPORA = (
    Corpus("recorded", _recorded, has_maps=True),
    Corpus("zipf", _zipf),
    Corpus("zipf_maps", _zipf, has_maps=True),
    Corpus("zipf_variables", lambda round_, events: _zipf(round_, events, has_variables=True)),
    Corpus("new_stacks", lambda round_, events: _zipf(round_, events, new_share=1)),
    Corpus("all_new", lambda round_, events: _zipf(round_, events, new_share=1, is_new=True, has_variables=True)),
)


def write_artifacts(folder: Path) -> None:
    """Write the bundles that resolve the minified frames, beside those of the recorded events."""
    for project in (ROOT / "tests" / "fixtures" / "artifacts").iterdir():
        for bundle in project.glob("*.zip") if project.is_dir() else ():
            (folder / project.name).mkdir(parents=True, exist_ok=True)
            (folder / project.name / bundle.name).write_bytes(bundle.read_bytes())
    name = SCRIPT_URL.rpartition("/")[2]
    code = ("x" * 10 * TOKENS + f"\n//# sourceMappingURL={name}.map\n").encode()
    source = "".join(f"function {_WORDS[line % len(_WORDS)]}{line}() {{ return {line}; }}\n" for line in range(TOKENS))
    tokens = [(0, 10 * number, 0, number, 0, number) for number in range(TOKENS)]
    names = [f"{_WORDS[line % len(_WORDS)]}{line}" for line in range(TOKENS)]
    map_ = source_map(tokens, ["../src/app.js"], [source], names=names)
    files = [BuiltFile(f"~/static/{name}", code), BuiltFile(f"~/static/{name}.map", map_, "source_map")]
    for number in range(1, PROJECTS + 1):
        write_bundle(folder / str(number) / "bench.zip", files, release=RELEASE)
