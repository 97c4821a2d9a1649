"""Every recorded event through the stages up to grouping, against a reviewed snapshot: the reasons first, then the hashes.

A difference writes `<name>.txt.new` beside the snapshot; read it, then rename it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.command import ARTIFACTS, RECORDED, RULES

from pipeline.model.item import Item
from pipeline.model.title import name_event
from pipeline.rule_tools.explanations import ungrouped_items
from pipeline.rules.folder import load_rules
from pipeline.runtimes.recorded.readers import Inputs
from pipeline.settings.schema import ArtifactSettings, Settings
from pipeline.stages.contract import Context
from pipeline.wiring.contexts import explain_context

SNAPSHOTS = Path(__file__).parent / "snapshots"
NOW = 1_795_348_800.0
MAX_FRAMES = 6
"""Frames shown of a stack, from the crash on; a recursion has thousands."""

ENVELOPES = sorted(path for path in RECORDED.rglob("*.envelope") if not path.name.startswith("other-"))


@pytest.fixture(scope="session")
def context() -> Context:
    settings = Settings(artifacts=ArtifactSettings(url=str(ARTIFACTS)))
    return explain_context(settings, load_rules(RULES), now=NOW)


@pytest.mark.parametrize("path", ENVELOPES, ids=lambda path: str(path.relative_to(RECORDED).with_suffix("")))
def test_a_recorded_event_is_seen_as_before(path: Path, context: Context) -> None:
    items = list(ungrouped_items(Inputs([str(path)], now=NOW), context, on_lost=lambda _: None))
    assert items
    text = "\n".join(line for item in items for line in describe(item, context)) + "\n"
    snapshot = SNAPSHOTS / path.relative_to(RECORDED).with_suffix(".txt")
    fresh = snapshot.with_suffix(".txt.new")
    if not snapshot.exists() or snapshot.read_text() != text:
        snapshot.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(text)
        pytest.fail(f"{snapshot.name} differs: review {fresh}, then rename it")
    fresh.unlink(missing_ok=True)


def test_every_snapshot_has_its_event() -> None:
    events = {path.relative_to(RECORDED).with_suffix("") for path in ENVELOPES}
    assert {path.relative_to(SNAPSHOTS).with_suffix("") for path in SNAPSHOTS.rglob("*.txt")} == events


def describe(item: Item[Any], ctx: Context) -> Iterator[str]:
    """Print what a reader wants to see of an event: what it says, where it broke, how it groups and why."""
    event = item.event
    explanation = ctx.rules.project(item.scope.project_id).grouper.explain(event)
    name_event(event, explanation.title)
    for name in ("title", "culprit", "level", "platform", "release", "environment"):
        yield f"{name}: {event.get(name)}"
    for key, value in event.get("tags") or []:
        yield f"tag {key}: {value}"
    for name in ("browser", "os", "client_os", "device", "runtime"):
        context = (event.get("contexts") or {}).get(name)
        if isinstance(context, dict):
            yield f"{name}: {context.get('name') or context.get('model')} {context.get('version') or ''}".rstrip()
    for error in event.get("errors") or []:
        yield f"error: {error.get('type')} {error.get('name') or error.get('url') or ''}".rstrip()
    for exception in (event.get("exception") or {}).get("values") or []:
        yield f"exception: {exception.get('type')}: {exception.get('value')!r:.200}"
        yield from frames(exception.get("stacktrace") or {})
    for name, variant in explanation.to_json()["variants"].items():
        mark = "*" if variant["contributes"] else " "
        yield f"variant {name}{mark} {variant['description']}"
        if variant.get("component"):
            yield from tree(variant["component"], 1, deepest=99 if variant["contributes"] else 2)
    yield f"fingerprint: {list(explanation.fingerprint)}"
    for hash_ in explanation.hashes:
        yield f"hash: {hash_}"


def frames(stacktrace: dict[str, Any]) -> Iterator[str]:
    """Print the frames from the crash on."""
    found = [frame for frame in stacktrace.get("frames") or [] if isinstance(frame, dict)]
    for frame in found[: -MAX_FRAMES - 1 : -1]:
        in_app = "in app" if frame.get("in_app") else "not in app"
        source = (frame.get("context_line") or "").strip()
        place = f"{frame.get('filename')}:{frame.get('lineno')}"
        yield f"  {place} in {frame.get('function')} ({in_app})" + (f": {source:.80}" if source else "")
    if len(found) > MAX_FRAMES:
        yield f"  ... {len(found) - MAX_FRAMES} more"


def tree(component: dict[str, Any], depth: int, *, deepest: int) -> Iterator[str]:
    """Print a component and what is below it; of a variant that does not contribute, only why not."""
    mark = "*" if component["contributes"] else " "
    hint = f" ({component['hint']})" if component.get("hint") else ""
    leaves = [value for value in component["values"] if not isinstance(value, dict)]
    yield f"{'  ' * depth}{component['id']}{mark}{hint}" + (f" {leaves!r:.160}" if leaves else "")
    below = [value for value in component["values"] if isinstance(value, dict)]
    for value in below[-2 * MAX_FRAMES :]:
        if depth < deepest:
            yield from tree(value, depth + 1, deepest=deepest)
