"""The memory of known stacks never shows: with it and without it the same bytes come out, whatever is sent."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from bench.corpora import CORPORA
from support.artifact_bundles import write_bundle
from support.source_maps import FILES, URL

from pipeline.model.known_stack import BEGINNING, MAX_ALIKE, KnownStacks
from pipeline.model.record import Form, Record, Token
from pipeline.quotas.ledger import UncountedLedger
from pipeline.rules.folder import load_rules
from pipeline.rules.snapshot import Rules
from pipeline.sourcemaps.artifacts import Artifacts
from pipeline.sourcemaps.engines.symbolic_engine import SymbolicEngine
from pipeline.sourcemaps.stores.folder_store import FolderStore
from pipeline.stages import ERRORS
from pipeline.stages.contract import Context
from pipeline.stages.runner import run

ROOT = Path(__file__).parents[3]
NOW = 1_780_000_000.0


def _frame(number: int, **more: Any) -> dict[str, Any]:
    path = f"/srv/shop/cart{number}.py"
    return {
        "function": f"f{number}",
        "filename": path[5:],
        "abs_path": path,
        "lineno": number,
        "context_line": "    x = 1",
        "pre_context": ["    a", "    b"],
        **more,
    }


FRAMES = [_frame(number) for number in range(5)]
STACK = {"frames": FRAMES}
TEXT = orjson.dumps(STACK)
SECRET = {"frames": [*FRAMES, _frame(1, vars={"password": "hunter2", "card": "4571 2345 6789 0111"})]}
SCRIPTS = {
    "frames": [{"abs_path": URL, "filename": URL, "function": "a", "lineno": 1, "colno": column} for column in (15, 40, 15, 40)]
}


def _event(stack: Any, number: int = 0, **more: Any) -> dict[str, Any]:
    exception = {"type": "E", "value": f"no {number}", "stacktrace": stack}
    return {
        "event_id": f"{number + 1:032x}",
        "platform": "python",
        "release": "shop@1",
        "exception": {"values": [exception]},
        **more,
    }


def _of(stack: Any, **more: Any) -> list[bytes]:
    return [orjson.dumps(_event(stack, number, **more)) for number in range(5)]


PLAIN = _of(STACK)
CHAIN = {"values": [{"type": kind, "value": "v", "stacktrace": STACK} for kind in "AB"]}
HIDDEN = {str(at): {"abs_path": {"": {"rem": [["word", "s", 1, 4]], "len": 3}}} for at in range(len(FRAMES))}
"""What a sender may say of the frames: that a rule has been there already, so that it is not applied again."""
BODIES: dict[str, Sequence[bytes]] = {
    "plain": PLAIN,
    "secrets": _of(SECRET),
    "a secret path": _of({"frames": [_frame(1, abs_path="/home/jane.doe/cart.py", filename="/home/jane.doe/cart.py"), *FRAMES]}),
    "two platforms": [orjson.dumps(_event(STACK, n, platform=("python", "javascript", "java")[n % 3])) for n in range(9)],
    "frames of another platform": _of({"frames": [*FRAMES, _frame(9, platform="java")]}),
    "a chain": _of(STACK, exception=CHAIN),
    "refused exceptions": _of(STACK, exception={"values": [None, {"stacktrace": STACK}, {"type": "A", "stacktrace": STACK}, 7]}),
    "a list of exceptions": _of(STACK, exception=[{"type": "A", "stacktrace": STACK}, {"type": "A", "stacktrace": STACK}]),
    "one exception alone": _of(STACK, exception={"type": "A", "stacktrace": STACK}),
    "threads": _of(STACK, threads={"values": [{"id": 1, "stacktrace": STACK}, {"id": 2, "crashed": True, "stacktrace": STACK}]}),
    "of the event": _of(STACK, exception={"values": [{"type": "E", "value": "v"}]}, stacktrace=STACK),
    "of the event, without exceptions": [orjson.dumps({"stacktrace": STACK, "message": "m"}) for _ in range(4)],
    "an exception group": [
        orjson.dumps(
            _event(STACK, n)
            | {
                "exception": {
                    "values": [
                        {"type": "A", "value": str(n), "stacktrace": STACK, "mechanism": {"exception_id": 1, "parent_id": 0}},
                        {"type": "A", "value": "x", "stacktrace": STACK, "mechanism": {"exception_id": 2, "parent_id": 0}},
                        {"type": "G", "stacktrace": STACK, "mechanism": {"exception_id": 0, "is_exception_group": True}},
                    ]
                }
            }
        )
        for n in range(5)
    ],
    "in other places": [*PLAIN, *_of(STACK, extra={"stacktrace": STACK}), *_of(STACK, contexts={"a": {"stacktrace": STACK}})],
    "in a text": [*PLAIN, orjson.dumps(_event(STACK, 8, message=',"stacktrace":' + TEXT.decode()))],
    "in a key": [*PLAIN, b'{"platform":"python","a,\\"stacktrace":' + TEXT + b"}"],
    "twice": [
        *PLAIN,
        b'{"exception":{"values":[{"type":"E","stacktrace":' + TEXT + b',"stacktrace":' + TEXT + b"}]}}",
        b'{"exception":{"values":[{"type":"E","stacktrace":' + TEXT + b',"stacktrace":null}]}}',
        b'{"exception":{"values":[{"stacktrace":' + TEXT + b'}]},"exception":{"values":[{"stacktrace":' + TEXT + b"}]}}",
    ],
    "broken": [
        *PLAIN, PLAIN[0] + b"x", PLAIN[0][:-1],
        b'x,"stacktrace":' + TEXT, b'"a,"stacktrace":' + TEXT, b',"stacktrace":' + TEXT, b'{"stacktrace":' + TEXT,
    ],
    "the number of a mark": [*PLAIN, *_of(2**61 + 5), *_of(2**61)],
    "half a character in a stack": [body.replace(b"    x = 1", b"\\ud800", 1) for body in PLAIN],
    "half a character beside a stack": [*PLAIN, *(body.replace(b'"no ', b'"\\ud800 ', 1) for body in PLAIN)],
    "numbers out of range": [body.replace(b'"lineno":3', b'"lineno":1e999') for body in PLAIN],
    "lines out of range": [body.replace(b'"lineno":3', b'"lineno":4294967296') for body in PLAIN],
    "no JSON but nearly": [*PLAIN, PLAIN[0].replace(b'"platform"', b'"n":NaN,"platform"')],
    "refused frames": _of({"frames": [_frame(1, function=7), None, *FRAMES]}),
    "a long stack": _of({"frames": [_frame(n) for n in range(300)]}),
    "registers": _of({"frames": FRAMES, "registers": {"pc": "0x1"}}),
    "an end in a value": _of({"frames": [_frame(1, context_line="}]}"), *FRAMES]}),
    "values that end a stack": _of({"frames": [_frame(1, data={"a": [{"b": [{}]}]}), *FRAMES]}),
    "remarks of the sender that hide a secret": [
        *_of(STACK, exception=CHAIN, _meta={"exception": {"values": {"1": {"stacktrace": {"frames": HIDDEN}}}}}),
        *_of(STACK, exception=CHAIN),
    ],
    "deep in lists": [*PLAIN, b'{"a":' + b"[" * 140 + b'{"b":1,"stacktrace":' + TEXT + b"}" + b"]" * 140 + b"}"],
    "scripts": _of(SCRIPTS, platform="javascript"),
    "scripts beside others": _of(
        STACK, exception={"values": [{"type": "A", "stacktrace": STACK}, {"type": "B", "stacktrace": {"frames": [
            {**frame, "platform": "javascript"} for frame in SCRIPTS["frames"]
        ]}}]}
    ),
    "messages": [orjson.dumps({"type": "event", "project_id": 7, "payload": _event(STACK, n)}) for n in range(5)],
    "messages that are odd": [
        orjson.dumps({"type": "event", "project_id": 7, "payload": 5, "exception": _event(STACK)["exception"]}),
        orjson.dumps({"type": "event", "project_id": 7, "payload": TEXT.decode()}),
        orjson.dumps([2, "insert", _event(STACK), {}]),
    ],
}  # fmt: skip
OWN_RULES = """
[rules.word]
type = "pattern"
pattern = "srv"

[applications]
"exception.values.1.stacktrace.frames.*.abs_path" = ["word"]
"""


def _outputs(bodies: Iterable[bytes], ctx: Context, batch: int = 1) -> list[Any]:
    records = [Record(body, Form.JSON, "x", n, NOW, Token("t", 0, n), project_id=7) for n, body in enumerate(bodies)]
    found: list[Any] = []
    for start in range(0, len(records), batch):
        result = run(records[start : start + batch], ctx, ERRORS)
        found += [(item.message, item.grouping) for item in result.events]
        found += [outcome.to_json() for outcome in result.outcomes]
        found += [(letter.reason, letter.detail) for letter in result.dead]
    return found


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rules]:
    """Return the shipped rules, those with a scrubbing rule for the stack of one place, and others that mark frames."""
    found = {"shipped": load_rules(ROOT / "rules")}
    own = {"scrubbing": ("scrubbing.toml", OWN_RULES), "marking": ("enhancements.rules", "error.type:A path:**/cart2.py +app\n")}
    for name, (file_name, text) in own.items():
        folder = tmp_path_factory.mktemp(name) / "rules"
        shutil.copytree(ROOT / "rules", folder)
        (folder / "default" / file_name).write_text(text)
        found[name] = load_rules(folder)
    return found


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    folder = tmp_path_factory.mktemp("artifacts")
    write_bundle(folder / "7" / "a.zip", FILES, release="shop@1")
    return Artifacts(FolderStore(folder), SymbolicEngine())


@pytest.mark.parametrize("has_artifacts", [False, True])
@pytest.mark.parametrize("which", ["shipped", "scrubbing", "marking"])
@pytest.mark.parametrize("name", BODIES)
def test_the_memory_never_shows(
    name: str, which: str, rules: dict[str, Rules], artifacts: Artifacts, *, has_artifacts: bool
) -> None:
    ctx = Context(NOW + 60, rules[which], UncountedLedger(), artifacts if has_artifacts else None)
    memory = KnownStacks(1_000_000)
    for batch in (1, 3):
        assert _outputs(BODIES[name], replace(ctx, known_stacks=memory), batch) == _outputs(BODIES[name], ctx, batch)
    if name == "plain":
        assert memory.hits >= 2 * len(PLAIN) - 1


def test_what_one_sender_sends_changes_nothing_for_another(rules: dict[str, Rules], artifacts: Artifacts) -> None:
    """All that was ever sent is in one memory, under three sets of rules, with and without artifacts."""
    memory = KnownStacks(3_000_000)
    bodies = [body for found in BODIES.values() for body in found]
    for which, store in itertools.product(rules, (None, artifacts)):
        ctx = Context(NOW + 60, rules[which], UncountedLedger(), store)
        assert _outputs(bodies, replace(ctx, known_stacks=memory), 7) == _outputs(bodies, ctx, 7)


@pytest.mark.parametrize("corpus", CORPORA, ids=lambda corpus: corpus.name)
def test_the_memory_never_shows_on_the_corpora_of_the_bench(corpus: Any, rules: dict[str, Rules]) -> None:
    ctx = Context(1_795_348_860.0, rules["shipped"], UncountedLedger())
    bodies = [*corpus.make(0, 150), *corpus.make(1, 150)]
    small, large = KnownStacks(500_000), KnownStacks(50_000_000)
    expected = _outputs(bodies, ctx, 100)
    for memory in (small, large):
        assert _outputs(bodies, replace(ctx, known_stacks=memory), 100) == expected
    assert small.held_bytes <= 500_000
    if corpus.name in {"zipf", "zipf_maps"}:
        assert large.hits > 100


def test_the_memory_is_bounded_and_the_latest_stay() -> None:
    memory = KnownStacks(100_000)
    texts = [orjson.dumps({"frames": [_frame(number), *FRAMES]}) for number in range(100)]
    for text in texts * 2:
        if memory.find(text, 0) is None:
            memory.learn(text, orjson.loads)
        assert memory.held_bytes <= 100_000
    assert memory.find(texts[-1], 0) is not None
    assert memory.find(texts[0], 0) is None


def test_stacks_that_begin_alike_are_told_apart_and_bounded() -> None:
    memory = KnownStacks(100_000_000)
    texts = [orjson.dumps({"frames": [*FRAMES, _frame(number)]}) for number in range(MAX_ALIKE + 10)]
    assert len({text[:BEGINNING] for text in texts}) == 1
    for text in texts:
        memory.learn(text, orjson.loads)
    found = [memory.find(text, 0) for text in texts]
    assert found[:10] == [None] * 10
    for text, known in zip(texts[10:], found[10:], strict=True):
        assert known is not None
        assert known.raw == text


def test_a_secret_is_taken_out_however_often_it_comes(rules: dict[str, Rules]) -> None:
    ctx = Context(NOW + 60, rules["shipped"], UncountedLedger(), known_stacks=KnownStacks(1_000_000))
    values = [found[0].value for found in _outputs(BODIES["secrets"], ctx) if isinstance(found, tuple)]
    assert len(values) == 5
    for value in values:
        assert b"hunter2" not in value
        assert b"6789 0111" not in value
