"""What an event's fields become, and what is said about it: rules that no published case shows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.stages.normalize import normalize_event

RECEIVED = 1_772_366_400.0


def normalized(**event: Any) -> Any:
    return normalize_event(
        {"event_id": "a" * 32, "timestamp": RECEIVED, **event}, received=RECEIVED, project_id=1, event_id="f" * 32, max_tags=None
    )


@pytest.mark.parametrize(("shift_s", "kind"), [(61, "future_timestamp"), (-2_592_001, "past_timestamp")])
def test_a_clock_that_cannot_be_right_is_named_by_both_times_alone(shift_s: int, kind: str) -> None:
    event = normalized(timestamp=RECEIVED + shift_s, breadcrumbs=[{"message": "b", "timestamp": RECEIVED + shift_s - 0.1}])
    [error] = event["errors"]
    assert (error["type"], sorted(error)) == (kind, ["name", "sdk_time", "server_time", "type"])
    assert event["_meta"]["timestamp"][""].keys() == {"err"}
    assert (event["timestamp"], event["breadcrumbs"]["values"][0]["timestamp"]) == (RECEIVED, RECEIVED - 0.1)


@pytest.mark.parametrize(
    ("ahead_s", "kinds", "shifted_s"),
    [
        (0, [], 0),
        (3_299, [], 0),
        (-3_299, [], 0),
        (3_300, ["clock_drift"], -3_300),
        (-3_600, ["clock_drift"], 3_600),
        (40 * 86_400, ["clock_drift"], -40 * 86_400),
    ],
)
def test_times_are_corrected_by_the_drift_of_the_senders_clock(ahead_s: int, kinds: list[str], shifted_s: int) -> None:
    happened = RECEIVED + ahead_s - 120.5
    sent = {"timestamp": happened, "breadcrumbs": [{"message": "b", "timestamp": happened - 1}]}
    clock = datetime.fromtimestamp(RECEIVED + ahead_s, UTC).isoformat()
    event: Any = normalize_event(sent, received=RECEIVED, project_id=1, event_id="f" * 32, sent_at=clock)
    future = ["future_timestamp"] if ahead_s == 3_299 else []
    assert [error["type"] for error in event.get("errors", ())] == kinds + future
    if not future:
        assert (event["timestamp"], event["breadcrumbs"]["values"][0]["timestamp"]) == (
            happened + shifted_s,
            happened + shifted_s - 1,
        )
    if kinds:
        assert event["errors"][0]["sdk_time"] == clock


@pytest.mark.parametrize("sent_at", ["", "yesterday", "9" * 40, "2026-13-01T00:00:00Z"])
def test_a_clock_that_cannot_be_read_corrects_nothing(sent_at: str) -> None:
    event = normalize_event({"timestamp": RECEIVED}, received=RECEIVED, project_id=1, event_id="f" * 32, sent_at=sent_at)
    assert (event["timestamp"], event.get("errors")) == (RECEIVED, None)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("2026-03-01T12:00:00Z", RECEIVED),
        ("2026-3-1t12:0:0", RECEIVED),
        ("2026-03-01T13:00:00+0100", RECEIVED),
        ("2026-03-01T11:59:60Z", RECEIVED),
        ("2026-03-01T12:00:00.1234567", RECEIVED + 0.123457),
        (RECEIVED + 0.1234567, RECEIVED + 0.123457),
        ("2026-03-01 12:00:00Z", RECEIVED),
        ("2026-03-01 13:00:00 +01:00", RECEIVED),
        ("2026-03-01 12:00:00 UTC", RECEIVED),
        ("2026-03-01T12:00:00utc", RECEIVED),
        ("2026-03-01  12:00:00   UTC", RECEIVED),
        ("2026-03-01 11:00:00 \N{MINUS SIGN}01:00", RECEIVED),
        ("2026-03-01 13:00:00+01 00", RECEIVED),
        ("2026-03-01 12:00:00 GMT", "input contains invalid characters"),
        ("2026-03-01 12:00:00", "input contains invalid characters"),
        ("2026-03-01", "premature end of input"),
        ("", "premature end of input"),
        ("2026-02-30T12:00:00", "input is out of range"),
        ("2026-03-01T24:00:00", "input is out of range"),
        (RECEIVED * 1e3, "timestamp out of range"),
    ],
)
def test_timestamps(sent: object, read: object) -> None:
    event = normalized(timestamp=sent)
    if isinstance(read, float):
        assert (event["timestamp"], event.get("errors")) == (read, None)
    else:
        assert (event["timestamp"], [error["reason"] for error in event["errors"]]) == (RECEIVED, [read])


def test_pairs_of_a_request_are_held_to_a_bag_names_and_all() -> None:
    cookies = [[f"c{number:02}", "x" * 100] for number in range(50)]
    event = normalized(request={"headers": {"a": "x" * 9_000}, "query_string": "a=" + "x" * 2_000, "cookies": cookies})
    request, remarks = event["request"], event["_meta"]["request"]
    assert [len(request[name][0][1]) for name in ("headers", "query_string")] == [8_192 - 4, 1_024 - 4]
    assert request["headers"][0][1].endswith("...")
    assert remarks["headers"]["0"]["1"][""] == {"rem": [["!limit", "s", 8_185, 8_188]], "len": 9_000}
    assert 15 < len(request["cookies"]) < 25
    assert all(len(pair) == 2 for pair in request["cookies"])
    assert remarks["cookies"][""]["len"] == 50


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"url": "https://h/a?x=1#f", "query_string": "", "fragment": ""}, {"url": "https://h/a", "fragment": ""}),
        ({"cookies": "a=%20b; c=d;;"}, {"cookies": [["a", " b"], ["c", "d"]]}),
        (
            {"headers": {"Content-Type": "text/html; x=y"}, "method": "get"},
            {"method": "GET", "inferred_content_type": "text/html"},
        ),
    ],
)
def test_requests(request_: dict[str, Any], expected: dict[str, Any]) -> None:
    event = normalized(request=request_)
    assert "errors" not in event
    event["request"].pop("headers", None)
    assert event["request"] == expected


def test_site_and_server_name_follow_the_tags() -> None:
    event = normalized(tags={"a": "b", "site": "sent"}, server_name="s" * 201, site="here")
    assert event["tags"] == [["a", "b"], ["site", "here"], ["server_name", "s" * 197 + "..."]]
    assert list(event["_meta"]) == ["tags"]
    assert event["_meta"]["tags"]["2"]["1"][""]["len"] == 201
    plain = normalized(server_name=5, site={})
    assert plain.keys().isdisjoint({"errors", "tags", "server_name", "site"})


@pytest.mark.parametrize(
    ("tags", "kept"),
    [
        ([["a b", "1"], ["a-b", "2"]], [["a-b", "1"]]),
        ([[" a ", "1"]], [["-a-", "1"]]),
        ([["a/b", "1"]], [[None, "1"]]),
        ([["environment", "x"], ["environment", "y"]], [["environment", "y"]]),
    ],
)
def test_tags(tags: list[Any], kept: list[Any]) -> None:
    assert normalized(tags=tags)["tags"] == kept


@pytest.mark.parametrize(
    ("sent", "tag", "read"),
    [
        ("none", "b", "b"),
        (None, "b", "b"),
        ("a", "b", "a"),
        ("..", None, None),
        ("\u00e9" * 33, None, None),
        ("x" * 64, None, "x" * 64),
    ],
)
def test_environments(sent: str | None, tag: str | None, read: str | None) -> None:
    assert normalized(environment=sent, tags=[["environment", tag]]).get("environment") == read


@pytest.mark.parametrize(
    ("context", "read"),
    [
        ({"os": {"name": "Linux"}}, "Linux"),
        ({"os": {"name": "Linux", "version": "6.1"}}, "Linux 6.1"),
        ({"os": {"name": "Linux", "os": "mine"}}, "mine"),
        ({"browser": {"name": "Chrome"}}, "Chrome"),
        ({"runtime": {"name": "CPython"}}, None),
        ({"runtime": {"name": "CPython", "version": "3.11"}}, "CPython 3.11"),
    ],
)
def test_contexts_are_described(context: dict[str, Any], read: str | None) -> None:
    [kind] = context
    assert normalized(contexts=context)["contexts"][kind].get(kind) == read


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ({"logentry": {"message": "a %s", "params": []}}, {"formatted": "a %s", "params": []}),
        ({"logentry": {"message": "a", "formatted": ""}}, {"formatted": "", "message": "a"}),
        ({"logentry": {"message": "", "formatted": "b"}}, {"formatted": "b", "message": ""}),
        ({"logentry": {}, "message": "a"}, None),
        ({"logentry": {"message": 5}}, None),
    ],
)
def test_messages(sent: Any, read: dict[str, Any] | None) -> None:
    event = normalized(**sent)
    assert event.get("logentry") == read
    assert {error["name"] for error in event.get("errors", ())} <= {"logentry"}


@pytest.mark.parametrize(
    ("image", "missing"),
    [
        ({"type": "elf", "code_file": "/a"}, ["debug_id"]),
        ({"type": "elf", "name": "/a", "id": "c" * 32}, []),
        ({"type": "sourcemap"}, ["debug_id", "code_file"]),
        ({"type": "jvm"}, ["debug_id"]),
        ({"type": "proguard"}, ["uuid"]),
    ],
)
def test_debug_images(image: dict[str, Any], missing: list[str]) -> None:
    event = normalized(debug_meta={"images": [image]})
    assert [error["name"].rpartition(".")[2] for error in event.get("errors", ())] == missing


@pytest.mark.parametrize(
    ("abs_path", "filename"),
    [
        ("https://h/a/b.js?x", "/a/b.js"),
        ("file:///a/b.js", "/a/b.js"),
        ("https://h/", "https://h/"),
        ("https://h/b c.js", "/b%20c.js"),
        ("/a/b.js", "/a/b.js"),
    ],
)
def test_file_names(abs_path: str, filename: str) -> None:
    event = normalized(stacktrace={"frames": [{"abs_path": abs_path}]})
    assert event["stacktrace"]["frames"][0]["filename"] == filename


@pytest.mark.parametrize("address", ["1_0", "0x1_0", " 16", "+16"])
def test_what_only_python_reads_is_no_address(address: str) -> None:
    event = normalized(stacktrace={"frames": [{"function": "f", "instruction_addr": address}]})
    assert "instruction_addr" not in event["stacktrace"]["frames"][0]


@pytest.mark.parametrize(("length", "kept"), [(532, 532), (533, 512)])
def test_a_functions_name_has_room(length: int, kept: int) -> None:
    event = normalized(stacktrace={"frames": [{"function": "f" * length}]})
    assert len(event["stacktrace"]["frames"][0]["function"]) == kept


def test_what_a_user_says_of_itself_wins_over_its_data() -> None:
    assert normalized(user={"id": "1", "plan": "a", "data": {"plan": "b", "x": 1}})["user"]["data"] == {"plan": "a", "x": 1}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"user": {"ip_address": "bad"}}, {"user": {}}),
        ({"request": {"method": "!"}}, {"request": {}}),
        ({"user": {}, "request": {}, "extra": {}, "modules": {}, "debug_meta": {}}, {}),
        ({"extra": 1}, {"extra": {}}),
    ],
)
def test_an_object_that_holds_nothing_stays_where_something_of_it_was_refused(sent: Any, kept: dict[str, Any]) -> None:
    event = normalized(**sent)
    assert {name: event[name] for name in ("user", "request", "extra", "modules", "debug_meta") if name in event} == kept


@pytest.mark.parametrize(
    ("status", "read", "refused"),
    [("ok", "ok", 0), (5, "not_found", 0), ("failure", "internal_error", 0), ("nope", "unknown", 1), (99, "unknown", 1)],
)
def test_statuses_of_a_trace(status: object, read: str, refused: int) -> None:
    event = normalized(contexts={"trace": {"trace_id": "c" * 32, "span_id": "d" * 16, "status": status}})
    assert (event["contexts"]["trace"]["status"], len(event.get("errors", ()))) == (read, refused)


def test_a_trace_without_its_ids_says_so_and_gets_others() -> None:
    event = normalized(contexts={"trace": {"op": "x"}})
    assert [(error["name"], error["type"]) for error in event["errors"]] == [
        ("contexts.trace.trace_id", "missing_attribute"),
        ("contexts.trace.span_id", "missing_attribute"),
    ]
    assert event["contexts"]["trace"]["trace_id"] == "a" * 32


def named(event: Any) -> list[str]:
    return [error["name"] for error in event.get("errors", ())]


def remark(event: Any, path: str) -> Any:
    node = event["_meta"]
    for key in path.split("."):
        node = node[key]
    return node[""]


@pytest.mark.parametrize(
    ("sent", "kept", "errors"),
    [
        (
            [["a", "1"], ["a", "2"], ["bad", ["x"]], ["n", "a\nb"]],
            [["a", "1"], ["bad", None], ["n", None]],
            ["tags.1.1", "tags.2.1"],
        ),
        ({"environment": "e", "z": ["l"]}, [["z", None]], ["tags.0.1"]),
        (
            [["a", "1"], None, "str", ["x"], ["b", {"c": 1}], [["k"], "v"]],
            [["a", "1"], None, None, ["b", None], [None, "v"]],
            ["tags.1", "tags.2", "tags.3.1", "tags.4.0"],
        ),
    ],
)
def test_a_refused_tag_is_null_and_named_where_it_is_stored(sent: object, kept: object, errors: list[str]) -> None:
    event = normalized(tags=sent)
    assert event["tags"] == kept
    assert named(event) == errors
    for name in errors:
        assert remark(event, name)["err"]


def test_an_environment_among_the_tags_is_cut_as_the_field_is() -> None:
    assert normalized(tags={"environment": "e" * 100})["environment"] == "e" * 61 + "..."
    assert normalized(tags=[["environment", ["a"]]]).get("environment") is None


@pytest.mark.parametrize("name", ["cookies", "headers"])
def test_pairs_of_an_object_are_counted_as_they_are_stored(name: str) -> None:
    event = normalized(request={name: {"b": "2", "A": {"k": 1} if name == "headers" else 1}})
    assert event["request"][name][1] == ["B" if name == "headers" else "b", "2"]
    assert named(event) == [f"request.{name}.0.1"]


def test_frames_are_counted_as_they_are_stored() -> None:
    frames: list[dict[str, Any]] = [{"function": f"f{number}"} for number in range(300)]
    frames[-1]["lineno"] = "bad"
    event = normalized(exception={"type": "E", "stacktrace": {"frames": frames}})
    assert len(event["exception"]["values"][0]["stacktrace"]["frames"]) == 250
    assert named(event) == ["exception.values.0.stacktrace.frames.249.lineno"]


def test_what_is_taken_from_a_frame_leaves_no_note() -> None:
    frames: list[dict[str, Any]] = [{"function": f"f{number}"} for number in range(60)]
    frames[30] |= {"vars": {"x": "v" * 5_000}, "pre_context": "bad"}
    event = normalized(exception={"type": "E", "stacktrace": {"frames": frames}})
    assert event["exception"]["values"][0]["stacktrace"]["frames"][30].keys() == {"function"}
    assert not named(event)
    assert "_meta" not in event


def test_a_stack_that_moves_takes_what_was_found_wrong_with_it() -> None:
    event = normalized(exception={"type": "E"}, stacktrace={"frames": [{"function": "f", "lineno": "x"}]})
    path = "exception.values.0.stacktrace.frames.0.lineno"
    assert named(event) == [path]
    assert remark(event, path)["err"]
    assert "stacktrace" not in event["_meta"]


@pytest.mark.parametrize(
    ("body", "read"),
    [
        ("a=1", {"a": "1"}),
        ("a=1&b", {"a": "1", "b": ""}),
        ("dGU=", "dGU="),
        ("dA==", "dA=="),
        ('<?xml version="1.0"?>', '<?xml version="1.0"?>'),
        ("a == b", "a == b"),
    ],
)
def test_not_all_that_holds_an_equals_sign_is_a_form(body: str, read: object) -> None:
    request = normalized(request={"data": body})["request"]
    assert request["data"] == read
    assert ("inferred_content_type" in request) is isinstance(read, dict)


@pytest.mark.parametrize("template", ["%s", "{}", "a %s"])
def test_the_length_of_a_cut_message_is_that_of_all_of_it(template: str) -> None:
    event = normalized(logentry={"message": template, "params": ["p" * 9_000]})
    assert remark(event, "logentry.formatted")["len"] == 9_000 + len(template) - 2
    event = normalized(logentry={"message": "%s" + "x" * 9_000, "params": ["pp"]})
    assert remark(event, "logentry.formatted")["len"] == 9_002


def test_a_crumb_of_no_type_is_of_the_default_one() -> None:
    assert normalized(breadcrumbs=[{"type": ""}])["breadcrumbs"]["values"][0]["type"] == "default"
