from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.records import PROJECT_ID, RECEIVED, make_record, project_context
from support.snuba import check_event_message, check_published_event
from support.storage_types import faults_of

from pipeline.model.category import DataCategory
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.grouping import Grouping, derive_group_id
from pipeline.model.item import Item
from pipeline.model.record import Output
from pipeline.model.scope import Scope
from pipeline.model.title import name_event
from pipeline.rules.project import Project
from pipeline.stages.derived_tags import set_derived_tags
from pipeline.stages.normalize import normalize_event
from pipeline.stages.publish import publish_event

EVENT_ID = "9ec79c33ec9942ab8353589fcb2e04dc"
HASHES = ("061cf02b26374d108694d6643a7a2f4e", "c8b21c571231e989060b9110a2ade7d3")
CONTEXT = project_context(default=Project(retention_days=30))

EVENT: Any = {
    "event_id": EVENT_ID,
    "type": "error",
    "platform": "python",
    "timestamp": 1_699_999_999.25,
    "level": "error",
    "title": "ValueError: no",
    "culprit": "shop in pay",
    "metadata": {"type": "ValueError", "value": "no"},
}


def make_item(event: Any, grouping: Grouping | None = None, **fields: Any) -> Item[Any]:
    grouping = grouping or Grouping(HASHES, ("{{ default }}",))
    return Item(
        make_record(b"{}"),
        Scope(5, PROJECT_ID, 11),
        DataCategory.ERROR,
        1,
        RECEIVED,
        EVENT_ID,
        event,
        grouping=grouping,
        **fields,
    )


def published(event: Any, grouping: Grouping | None = None, **fields: Any) -> Output:
    enriched: Any = dict(event)
    set_derived_tags(enriched)
    item = publish_event(make_item(enriched, grouping, **fields), CONTEXT)
    assert isinstance(item, Item)
    assert item.message is not None
    return item.message


def the_body(event: Any, grouping: Grouping | None = None, **fields: Any) -> Any:
    value = published(event, grouping, **fields).value
    assert check_published_event(value) == []
    body: dict[str, Any] = json.loads(value)[2]
    return body


def test_the_message_names_the_event_its_group_and_its_dates() -> None:
    body = the_body(EVENT)
    group_id = derive_group_id(PROJECT_ID, HASHES[0])
    assert {name: value for name, value in body.items() if name != "data"} == {
        "event_id": EVENT_ID,
        "project_id": PROJECT_ID,
        "organization_id": 5,
        "group_id": group_id,
        "group_ids": [group_id],
        "primary_hash": HASHES[0],
        "message": "ValueError no shop in pay",
        "platform": "python",
        "datetime": "2023-11-14T22:13:19.250000Z",
        "group_first_seen": "2023-11-14T22:13:19.250000Z",
        "retention_days": 30,
        "occurrence_id": None,
        "occurrence_data": {},
    }


def test_the_group_was_first_seen_when_count_says_so() -> None:
    """An event that nothing counted stands for its group: Snuba would read a missing date as 1970."""
    assert the_body(EVENT, group_first_seen=1_699_990_000.0)["group_first_seen"] == "2023-11-14T19:26:40.000000Z"
    assert the_body(EVENT)["group_first_seen"] == "2023-11-14T22:13:19.250000Z"


def test_the_data_is_the_event_and_what_the_pipeline_knows_of_it() -> None:
    data = the_body(EVENT | {"nobody": {"knows": [1]}})["data"]
    assert data == EVENT | {
        "nobody": {"knows": [1]},
        "project": PROJECT_ID,
        "key_id": "11",
        "received": RECEIVED,
        "version": "7",
        "hashes": list(HASHES),
        "tags": [["level", "error"]],
    }


def test_the_item_s_own_event_is_left_as_it_was() -> None:
    event = EVENT | {"tags": [["a", "b"]], "release": "1.0"}
    before = json.dumps(event)
    published(event)
    assert json.dumps(event) == before


def test_publishing_twice_gives_the_same_bytes() -> None:
    item = make_item(EVENT | {"user": {"geo": "XY"}, "errors": None})
    first, second = publish_event(item, CONTEXT), publish_event(item, CONTEXT)
    assert isinstance(first, Item)
    assert isinstance(second, Item)
    assert first.message == second.message


@pytest.mark.parametrize("is_new", [True, False])
def test_state_and_headers_say_whether_the_group_is_new(is_new: bool) -> None:
    message = published(EVENT, is_new_group=is_new)
    group_id = derive_group_id(PROJECT_ID, HASHES[0])
    novelty = {"is_new": is_new, "is_regression": False, "is_new_group_environment": is_new}
    states = [{"id": str(group_id), **novelty}]
    assert json.loads(message.value)[3] == {
        **novelty,
        "queue": "post_process_errors",
        "skip_consume": False,
        "group_states": states,
    }
    headers = {name: value.decode() for name, value in message.headers}
    assert json.loads(headers.pop("group_states")) == states
    assert headers == {
        "operation": "insert",
        "version": "2",
        "Received-Timestamp": str(RECEIVED),
        "queue": "post_process_errors",
        "event_id": EVENT_ID,
        "project_id": str(PROJECT_ID),
        "group_id": str(group_id),
        "primary_hash": HASHES[0],
        "is_new": str(int(is_new)),
        "is_new_group_environment": str(int(is_new)),
        "is_regression": "0",
        "skip_consume": "0",
    }
    assert message.key == str(PROJECT_ID).encode()


def test_a_group_that_people_decided_on_is_the_event_s() -> None:
    assert the_body(EVENT, Grouping(HASHES, (), decided_group_id=99))["group_id"] == 99


@pytest.mark.parametrize(("rate", "kept"), [(0.25, 0.25), (None, None)])
def test_a_sampled_event_says_what_it_stands_for(rate: float | None, kept: float | None) -> None:
    assert the_body(EVENT | {"sample_rate": 0.9}, sample_rate=rate)["data"].get("sample_rate") == kept


@pytest.mark.parametrize("timestamp", [None, "2023-01-01", -1, 2**32, 1e300, True])
def test_a_time_that_no_column_holds_gives_way_to_the_arrival(timestamp: Any) -> None:
    body = the_body(EVENT | {"timestamp": timestamp})
    assert body["datetime"] == "2023-11-14T22:13:20.000000Z"
    assert body["data"]["timestamp"] == RECEIVED


def test_columns_are_promoted_to_tags_and_replace_the_sender_s() -> None:
    tags = [["sentry:user", "mallory"], ["region", "eu"], ["level", "debug"], ["region", "eu"]]
    event = EVENT | {
        "tags": tags,
        "release": "1.0",
        "dist": "9",
        "environment": "prod",
        "transaction": "/pay",
        "user": {"id": "7"},
    }
    assert the_body(event)["data"]["tags"] == [
        ["region", "eu"],
        ["region", "eu"],
        ["level", "error"],
        ["environment", "prod"],
        ["transaction", "/pay"],
        ["sentry:release", "1.0"],
        ["sentry:dist", "9"],
        ["sentry:user", "id:7"],
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"logentry": {"formatted": "ada failed", "message": "%s failed"}, "metadata": {}, "culprit": None}, "ada failed"),
        ({"logentry": {"message": "%s failed"}, "metadata": {}, "culprit": ""}, "%s failed"),
        ({"logentry": {"formatted": "no: shop in pay"}}, "no: shop in pay ValueError"),
        ({"metadata": {"value": 5, "flag": True, "none": None}, "culprit": "pay"}, "pay"),
        ({"logentry": "text", "metadata": [], "culprit": 5}, ""),
        ({"logentry": {"formatted": "x" * 9_000}, "metadata": None}, "x" * 8_189 + "..."),
    ],
)
def test_the_search_message_joins_what_people_search(fields: dict[str, Any], message: str) -> None:
    assert the_body(EVENT | fields)["message"] == message


def test_an_event_too_large_for_the_topic_is_dead() -> None:
    limit = CONTEXT.limits.max_output_bytes
    assert len(published(EVENT | {"extra": {"a": "x" * (limit - 10_000)}}).value) < limit
    letter = publish_event(make_item(EVENT | {"extra": {"a": "x" * limit}}), CONTEXT)
    assert isinstance(letter, DeadLetter)
    assert (letter.stage, letter.reason) == ("publish", "too_large")


REFUSED: list[tuple[str, Any]] = [
    ("platform", 5),
    ("location", ["a"]),
    ("symbolicated_in_app", "no"),
    ("errors", "many"),
    ("tags", {"a": "b"}),
    ("contexts", []),
    ("contexts.os", "linux"),
    ("contexts.trace.trace_id", "nope"),
    ("contexts.trace.span_id", 5),
    ("contexts.trace.sampled", "yes"),
    ("contexts.replay.replay_id", 5),
    ("contexts.flags.values", {}),
    ("contexts.flags.values.0", "flag"),
    ("exception", "none"),
    ("exception.values", {}),
    ("exception.values.0", "none"),
    ("exception.values.0.thread_id", -1),
    ("exception.values.0.mechanism", "generic"),
    ("exception.values.0.stacktrace", []),
    ("exception.values.0.stacktrace.frames", {}),
    ("exception.values.0.stacktrace.frames.0", 5),
    ("exception.values.0.stacktrace.frames.0.colno", -1),
    ("exception.values.0.stacktrace.frames.0.colno", True),
    ("exception.values.0.stacktrace.frames.0.lineno", 2**32),
    ("exception.values.0.stacktrace.frames.0.in_app", "yes"),
    ("threads", []),
    ("threads.values.0.id", 1.5),
    ("threads.values.0.main", "yes"),
    ("modules", []),
    ("modules.requests", 2),
    ("request", "GET"),
    ("request.headers", {"Host": "a"}),
    ("request.headers.0", ["Host"]),
    ("request.headers.0", [5, "a"]),
    ("sdk", "python"),
    ("sdk.integrations", "stdlib"),
    ("user", "ada"),
    ("user.ip_address", 5),
    ("user.geo", "XY"),
]
"""A place in the event, and a value that Snuba or its schema refuses there."""


def normalized(event: Any) -> Any:
    """Normalize and name an event as the stages before do: publishing relies on them."""
    event = normalize_event(event, received=RECEIVED, project_id=PROJECT_ID, event_id=EVENT_ID)
    name_event(event, None)
    return event


@pytest.mark.parametrize(("path", "value"), REFUSED, ids=[f"{path}={value}" for path, value in REFUSED])
def test_what_snuba_would_refuse_never_gets_there(path: str, value: Any) -> None:
    event = normalized(EVENT | planted(path, value))
    data = the_body(event)["data"]
    assert faults_of(data) == []
    found: Any = data
    for name in path.split("."):
        found = (
            found[int(name)]
            if name.isdecimal() and isinstance(found, list) and len(found) > int(name)
            else (found.get(name) if isinstance(found, dict) else None)
        )
    assert found != value or type(found) is not type(value), "repaired, or gone"


def test_the_types_that_snuba_reads_are_left_alone() -> None:
    frame = {"lineno": 1, "colno": 2**32 - 1, "in_app": False}
    event = EVENT | {
        "errors": [{"type": "js_no_source"}],
        "contexts": {
            "trace": {"trace_id": EVENT_ID, "span_id": "beef", "sampled": True},
            "gone": None,
            "flags": {"values": [{}]},
        },
        "exception": {"values": [None, {"thread_id": 2**63, "stacktrace": {"frames": [None, frame]}}]},
        "threads": {"values": [{"id": "main", "main": True}, {"id": 0}]},
        "modules": {"requests": None, "six": "1.0"},
        "request": {"headers": [["Host", "a"], None]},
        "user": {"ip_address": "::1", "geo": {"city": "Wien"}},
    }
    data = the_body(event)["data"]
    assert {name: data[name] for name in event if name != "tags"} == event


@pytest.mark.parametrize("kind", ["transaction", "error"])
def test_no_event_claims_to_be_a_transaction(kind: str) -> None:
    assert the_body(EVENT | {"type": kind})["data"]["type"] == {"transaction": "default"}.get(kind, kind)


def test_old_names_of_fields_go() -> None:
    assert "sentry.interfaces.Exception" not in the_body(EVENT | {"sentry.interfaces.Exception": None})["data"]


LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=4) | st.just("transaction")
KEYS = st.sampled_from(
    [
        "a",
        "colno",
        "flags",
        "formatted",
        "frames",
        "geo",
        "headers",
        "id",
        "in_app",
        "integrations",
        "ip_address",
        "lineno",
        "main",
        "mechanism",
        "message",
        "os",
        "replay",
        "replay_id",
        "sampled",
        "span_id",
        "stacktrace",
        "thread_id",
        "trace",
        "trace_id",
        "values",
    ]
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12)
FIELDS = st.sampled_from(
    [
        "contexts",
        "culprit",
        "dist",
        "environment",
        "errors",
        "exception",
        "level",
        "location",
        "logentry",
        "metadata",
        "modules",
        "platform",
        "received",
        "release",
        "request",
        "sample_rate",
        "sdk",
        "sentry.interfaces.User",
        "symbolicated_in_app",
        "tags",
        "threads",
        "timestamp",
        "title",
        "transaction",
        "type",
        "user",
        "version",
    ]
)


@given(st.dictionaries(FIELDS, VALUES, max_size=6))
def test_no_event_whatever_it_holds_is_refused(event: Any) -> None:
    message = published(normalized(event)).value
    assert check_event_message(message) == []
    assert faults_of(json.loads(message)[2]["data"]) == []


def planted(path: str, value: Any) -> Any:
    """Return a branch with the value at its end; numbers in the path are list positions."""
    for name in reversed(path.split(".")):
        value = [value] if name.isdecimal() else {name: value}
    branch: dict[str, Any] = value
    return branch
