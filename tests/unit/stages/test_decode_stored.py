from __future__ import annotations

import json
from typing import Any

import pytest
from support.records import RECEIVED, make_record, project_context

from pipeline.model.dead_letter import DeadLetter
from pipeline.model.event import RawEvent
from pipeline.model.item import Item
from pipeline.stages.decode import decode_record
from pipeline.stages.normalize import normalize_item


def read(message: Any, **record: Any) -> Item[RawEvent]:
    [item] = decode_record(make_record(json.dumps(message).encode(), **record), project_context())
    assert isinstance(item, Item)
    return item


def insert(**data: Any) -> list[Any]:
    return [2, "insert", {"event_id": "a" * 32, "project_id": 9, "data": {"event_id": "a" * 32, "received": 5.5, **data}}, {}]


def test_id_project_arrival_key_and_weight_are_those_that_were_stored() -> None:
    item = read(insert(key_id="3", sample_rate=0.25), project_id=None)
    assert (item.event_id, item.scope.project_id, item.received, item.scope.key_id) == ("a" * 32, 9, 5.5, 3)
    assert (item.sample_rate, item.is_stored) == (0.25, True)
    assert item.event == {"event_id": "a" * 32, "received": 5.5, "tags": []}


def test_the_project_of_the_command_line_wins_and_the_clock_stands_in() -> None:
    item = read(insert(received=None, sample_rate=7))
    assert (item.scope.project_id, item.received, item.sample_rate) == (7, RECEIVED, None)


@pytest.mark.parametrize(
    ("message", "detail"),
    [
        ([2, "insert", {"event_id": "a" * 32}, {}], "without data"),
        ([2, "insert", {"data": []}], "without data"),
        ([2, "end_merge", {"data": {}}, {}], "[2, 'end_merge']"),
        ([1, "insert", {"data": {}}, {}], "[1, 'insert']"),
        (insert(exception=5), "never normalized"),
        (insert(tags=[5]), "never normalized"),
        (insert(contexts={"os": 5}), "never normalized"),
        (insert(exception={"values": [{"stacktrace": {"frames": [{"data": 5}]}}]}), "never normalized"),
        ([2, "insert"], "a list"),
        ([1, 2, 3], "a list"),
        ([], "a list"),
    ],
)
def test_what_is_no_stored_event_is_a_dead_letter(message: Any, detail: str) -> None:
    [letter] = decode_record(make_record(json.dumps(message).encode()), project_context())
    assert isinstance(letter, DeadLetter)
    assert letter.reason == "payload"
    assert detail in letter.detail


def test_what_grouping_and_enriching_wrote_is_taken_back() -> None:
    frames = [
        {"function": "f", "module": "m", "in_app": True, "data": {"orig_in_app": -1}},
        {"function": "g", "in_app": False, "data": {"orig_in_app": 1, "sourcemap": "a.map"}},
        {"function": "h", "in_app": True},
    ]
    event = read(
        insert(
            exception={"values": [{"type": "E", "stacktrace": {"frames": frames}}, None]},
            fingerprint=["by-rule"],
            _fingerprint_info={"client_fingerprint": ["mine"], "matched_rule": {}},
            level="error",
            tags=[["a", "1"], ["level", "error"], ["b", "2"]],
            _meta={"tags": {"1": {"": {"len": 3}}, "2": {"": {"len": 4}}}},
            hashes=["x"],
            title="E",
            metadata={"type": "E"},
        )
    ).event
    assert event["exception"]["values"][0]["stacktrace"]["frames"] == [
        {"function": "f", "module": "m"},
        {"function": "g", "in_app": True, "data": {"sourcemap": "a.map"}},
        {"function": "h", "in_app": True},
    ]
    assert event["fingerprint"] == ["mine"]
    assert (event["tags"], event["_meta"]) == ([["a", "1"], ["b", "2"]], {"tags": {"1": {"": {"len": 4}}}})
    assert not {"hashes", "title", "metadata", "_fingerprint_info"} & event.keys()


@pytest.mark.parametrize(("stored", "kept"), [("m in f", None), ("checkout", "checkout"), ("", None)])
def test_a_culprit_of_the_senders_stays_and_one_of_the_frames_goes(stored: str, kept: str | None) -> None:
    frames = [{"function": "f", "module": "m", "in_app": True}] if stored else []
    assert read(insert(culprit=stored, stacktrace={"frames": frames})).event.get("culprit") == kept


def test_errors_of_source_maps_and_marks_of_resolved_frames_outlive_normalization() -> None:
    frame = {"function": "f", "data": {"symbolicated": True, "resolved_with": "release"}}
    errors = [{"type": "js_no_source", "symbolicator_type": "missing_source", "url": "a.js"}, {"type": "x", "name": "y"}]
    item = read(insert(stacktrace={"frames": [frame]}, errors=errors, other=1))
    event: Any = normalize_item(item, project_context()).event
    assert event["stacktrace"]["frames"][0]["data"] == frame["data"]
    assert event["errors"][:2] == errors
    assert [error["name"] for error in event["errors"][2:]] == ["other"]
