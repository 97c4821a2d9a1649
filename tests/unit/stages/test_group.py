from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any, cast

from support.grouping import make_grouper

from pipeline.grouping.grouper import Grouper
from pipeline.model.category import DataCategory
from pipeline.model.item import Item
from pipeline.model.record import Form, Record, Token
from pipeline.model.scope import Scope
from pipeline.stages.contract import Context
from pipeline.stages.group import group_event


def _item(project_id: int, event: Any) -> Item[Any]:
    record = Record(b"", Form.JSON, "test", 1, 0.0, Token("t", 0, 1))
    return Item(record, Scope(1, project_id), DataCategory.ERROR, 1, 0.0, "e" * 32, event)


def _context(groupers: dict[int, Grouper], now: float = 0.0) -> Context:
    rules = SimpleNamespace(project=lambda project_id: SimpleNamespace(grouper=groupers[project_id]))
    return cast("Context", SimpleNamespace(now=now, rules=rules))


def test_groups_by_the_rules_of_the_event_s_project() -> None:
    ctx = _context({1: make_grouper(), 2: make_grouper(fingerprints='type:E -> ours title="Ours"')})
    event = {"exception": {"values": [{"type": "E", "value": "v"}]}}

    first, second = group_event(_item(1, dict(event)), ctx), group_event(_item(2, dict(event)), ctx)

    assert first.grouping is not None
    assert second.grouping is not None
    assert first.grouping.hashes != second.grouping.hashes
    assert (first.event["fingerprint"], second.event["fingerprint"]) == (["{{ default }}"], ["ours"])
    assert (first.grouping.title, second.grouping.title) == (None, "Ours")


def test_the_batch_s_clock_ends_a_change_of_configuration() -> None:
    toml = 'hash = "md5"\nprevious_hash = "xxh3_128"\nprevious_until = 1970-01-01'
    event = {"logentry": {"formatted": "x"}}

    during = group_event(_item(1, dict(event)), _context({1: make_grouper(toml=toml)}, now=86_399.0)).grouping
    after = group_event(_item(1, dict(event)), _context({1: make_grouper(toml=toml)}, now=86_400.0)).grouping

    assert during is not None
    assert after is not None
    assert len(during.secondary_hashes) == 1
    assert after.secondary_hashes == ()


def test_an_exception_group_of_one_kind_is_titled_by_its_member() -> None:
    members = [{"type": "Inner", "value": "v", "mechanism": {"exception_id": 1, "parent_id": 0}}]
    root = {"type": "Group", "value": "1 error", "mechanism": {"exception_id": 0, "is_exception_group": True}}
    item = _item(1, {"type": "error", "title": "Group: 1 error", "exception": {"values": [*members, root]}})

    group_event(item, _context({1: make_grouper()}))

    assert item.event["title"] == "Inner: v"
    assert item.event["metadata"]["type"] == "Inner"


def test_rules_decide_of_which_frames_it_is_said_that_they_are_symbolicated() -> None:
    frames = [
        {"abs_path": "app:///a.js", "filename": "a.js", "function": "f", "in_app": True, "data": {"symbolicated": True}},
        {"abs_path": "app:///vendor/b.js", "filename": "vendor/b.js", "function": "g", "in_app": True},
    ]
    event = {"platform": "javascript", "exception": {"values": [{"type": "E", "stacktrace": {"frames": frames}}]}}
    plain, ruled = make_grouper(), make_grouper(enhancements="path:**/vendor/** -app")

    said = [
        group_event(_item(1, copy.deepcopy(event)), _context({1: grouper})).event["symbolicated_in_app"]
        for grouper in (plain, ruled)
    ]

    assert said == [False, True]
    assert "symbolicated_in_app" not in group_event(_item(1, {"logentry": {"formatted": "x"}}), _context({1: plain})).event
