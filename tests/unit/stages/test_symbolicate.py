from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import pytest
from support.artifact_bundles import write_bundle
from support.source_maps import FILES, event, frames_of

from pipeline.model.category import DataCategory
from pipeline.model.item import Item
from pipeline.model.record import Form, Record, Token
from pipeline.model.scope import Scope
from pipeline.sourcemaps.artifacts import Artifacts, ReleaseFrames
from pipeline.sourcemaps.engines.symbolic_engine import SymbolicEngine
from pipeline.sourcemaps.module import Module, ModuleKey
from pipeline.sourcemaps.stores.folder_store import FolderStore
from pipeline.stages.contract import Context
from pipeline.stages.symbolicate import is_app_symbolicated, symbolicate_events


class CountingArtifacts(Artifacts):
    look_ups = 0

    def look_up(self, keys: Iterable[ModuleKey]) -> dict[ModuleKey, Module]:
        self.look_ups += 1
        return super().look_up(keys)


@pytest.fixture
def artifacts(tmp_path: Path) -> CountingArtifacts:
    write_bundle(tmp_path / "7" / "a.zip", FILES, release="shop@1")
    return CountingArtifacts(FolderStore(tmp_path), SymbolicEngine())


def item(body: dict[str, Any], project_id: int = 7) -> Item[Any]:
    record = Record(b"{}", Form.JSON, "events.jsonl", 1, 0.0, Token("events.jsonl", 0, 0))
    return Item(record, Scope(1, project_id), DataCategory.ERROR, 1, 0.0, "a" * 32, body)


def context(artifacts: Artifacts | None) -> Context:
    never_asked = cast("Any", None)
    return Context(now=0.0, rules=never_asked, ledger=never_asked, artifacts=artifacts)


def test_a_batch_is_looked_up_once_together_and_keeps_its_order(artifacts: CountingArtifacts) -> None:
    batch = [item(event()), item(event(platform="python")), item(event(), project_id=8), item(event())]
    result = symbolicate_events(batch, context(artifacts))
    assert result.kept == batch
    assert (result.outcomes, result.dead, artifacts.look_ups) == ([], [], 1)
    assert [frames_of(each.event)[0]["function"] for each in batch] == ["refuse", "a", "a", "refuse"]
    assert artifacts.frame_counts() == {
        ReleaseFrames(7, "shop@1", is_resolved=True): 2,
        ReleaseFrames(7, "shop@1", is_resolved=False): 0,
        ReleaseFrames(8, "shop@1", is_resolved=True): 0,
        ReleaseFrames(8, "shop@1", is_resolved=False): 1,
    }


def test_without_a_store_nothing_is_touched_and_no_error_added() -> None:
    batch = [item(event())]
    assert symbolicate_events(batch, context(None)).kept == batch
    assert batch[0].event == event()


def test_an_empty_batch_is_one(artifacts: CountingArtifacts) -> None:
    assert symbolicate_events([], context(artifacts)).kept == []


def test_a_bug_met_by_one_event_leaves_the_others_alone(artifacts: CountingArtifacts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Artifacts, "count", lambda *_: 1 / 0 if _[2] == "poison" else None)
    batch = [item(event()), item(event(release="poison")), item(event())]
    result = symbolicate_events(batch, context(artifacts))
    assert [frames_of(each.event)[0]["function"] for each in result.kept] == ["refuse", "refuse"]
    assert [(dead.stage, dead.reason) for dead in result.dead] == [("symbolicate", "internal")]


RESOLVED = {"in_app": True, "data": {"symbolicated": True}}


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([RESOLVED, {"in_app": False}, {}], True),
        ([RESOLVED, {"in_app": True}], False),
        ([{"in_app": True, "data": {"sourcemap": "a.js.map"}}, RESOLVED], False),
        ([{"in_app": False}, {"data": {"symbolicated": True}}], None),
        ([RESOLVED, {"in_app": True, "platform": "native"}], True),
        ([{"in_app": True, "platform": "native"}], None),
    ],
    ids=["all", "one is not", "a map found nothing", "none of the app", "others beside", "others alone"],
)
def test_an_app_is_symbolicated_if_all_its_frames_of_javascript_are(frames: list[Any], expected: bool | None) -> None:
    assert is_app_symbolicated(event(*frames)) is expected
    assert is_app_symbolicated({"platform": "node", "stacktrace": {"frames": [None, *frames]}}) is expected


def test_events_without_frames_or_of_other_platforms_say_nothing() -> None:
    assert is_app_symbolicated({"platform": "javascript"}) is None
    assert is_app_symbolicated(event(RESOLVED, platform="python")) is None
