"""Forms that SDKs send and Relay reads: raw descriptions, names for numbers of systems, old mechanisms, remarks that move."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.stages.derived_tags import set_derived_tags
from pipeline.stages.normalize import normalize_event

RECEIVED = 1_772_366_400.0


def normalized(**event: Any) -> Any:
    return normalize_event({"timestamp": RECEIVED, **event}, received=RECEIVED, project_id=1, event_id="f" * 32)


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ("Microsoft Windows NT 6.1.7601 Service Pack 1", {"os": "Windows 7", "version": "7", "build": "7601"}),
        ("Microsoft Windows NT 6.2.9200.0", {"os": "Windows 8", "build": "9200"}),
        ("Microsoft Windows 10.0.16299", {"os": "Windows 10", "build": "16299"}),
        ("Microsoft Windows 10.0.26100", {"os": "Windows 11", "build": "26100"}),
        ("Microsoft Windows 10.0.20348", {"os": "Windows 10.0.20348", "build": "20348"}),
        ("Microsoft Windows 10.1.23456", {"os": "Windows 10.1.23456", "build": "23456"}),
        ("Windows 10  (10.0.19045) 64bit", {"os": "Windows 10", "build": "19045"}),
        ("Windows 11  (10.0.22631) 64bit", {"os": "Windows 11", "build": "22631"}),
        ("Windows 10", {"os": "Windows 10", "name": "Windows", "version": "10"}),
        ("Mac OS X 10.14.2", {"os": "macOS 10.14.2", "name": "macOS"}),
        ("macOS 14.1 (23B74)", {"os": "macOS 14.1", "build": "23B74"}),
        ("iOS 17.5.1", {"os": "iOS 17.5.1"}),
        ("iPadOS 15.1", {"os": "iPadOS 15.1"}),
        ("Android OS 4.4.2 / API-19 (KOT49H/A536_S186_150813_ROW)", {"os": "Android 4.4.2"}),
        ("Android 14", {"os": "Android 14"}),
        ("Linux 5.11 Ubuntu 20.04 64bit", {"os": "Ubuntu 20.04", "name": "Ubuntu", "kernel_version": "5.11"}),
        ("Linux 3.10.0-693.21.1.el7.x86_64 #1 SMP Wed Mar 7 19:03:37 UTC 2018", {"os": "Linux", "kernel_version": "3.10.0"}),
        ("Darwin 17.5.0 Darwin Kernel Version 17.5.0: Mon Mar  5", {"os": "Darwin", "kernel_version": "17.5.0"}),
        ("Unix 3.10.0.693", {"os": "Unix", "kernel_version": "3.10.0.693"}),
        ("Ubuntu 22.04.3 LTS", {"os": "Ubuntu 22.04.3", "version": "22.04.3"}),
        ("Debian GNU/Linux 12 (bookworm)", {"os": "Debian GNU/Linux 12"}),
        ("Alpine Linux v3.18", {"os": "Alpine Linux 3.18"}),
        ("Nintendo Switch", {"os": "Nintendo OS"}),
        ("Linux version 6.1.0-18-amd64 (debian)", {}),
        ("something else", {}),
        ("x" * 501, {}),
    ],
)
def test_a_raw_description_names_the_system(raw: str, named: dict[str, str]) -> None:
    context = normalized(contexts={"os": {"raw_description": raw}})["contexts"]["os"]
    found = {key: context.get(key) for key in named} if named else {key: context[key] for key in context if key != "type"}
    assert found == (named or {"raw_description": raw})


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        ({"raw_description": ".NET Framework 4.8.4250.0"}, {"runtime": ".NET Framework 4.8.4250.0"}),
        ({"raw_description": ".NET Framework 4.7.3056.0", "build": "461814"}, {"runtime": ".NET Framework 4.7.2"}),
        ({"raw_description": ".NET Framework 4.8.9", "build": 533325}, {"runtime": ".NET Framework 4.8.1"}),
        ({"raw_description": ".NET Framework 200.0", "build": "999999"}, {"runtime": ".NET Framework 200.0"}),
        ({"name": ".NET Framework", "version": "1", "build": "1"}, {"version": "1"}),
        ({"raw_description": ".NET Native 2.0"}, {"runtime": ".NET Native 2.0"}),
        ({"raw_description": "Mono 5.10.1.47 (2017-12/8eb8f7d5e74 Fri Apr 13)"}, {"name": "Mono", "version": "5.10.1.47"}),
        ({"raw_description": "node"}, {"name": None}),
        ({"name": "node", "raw_description": ".NET 6.0"}, {"name": "node", "version": None, "runtime": None}),
    ],
)
def test_a_raw_description_names_the_runtime(sent: dict[str, Any], named: dict[str, str | None]) -> None:
    context = normalized(contexts={"app": {"type": "runtime", **sent}})["contexts"]["app"]
    assert {key: context.get(key) for key in named} == named


def _meta(meta: dict[str, Any], **event: Any) -> dict[str, Any]:
    mechanism = {"type": "m", "meta": meta}
    found = normalized(exception=[{"type": "E", "mechanism": mechanism}], **event)["exception"]["values"][0]["mechanism"]
    result: dict[str, Any] = found["meta"]
    return result


@pytest.mark.parametrize(
    ("system", "errno", "signal"),
    [
        ("Linux", "EDEADLK", "SIGBUS"),
        ("Android", "EDEADLK", "SIGBUS"),
        ("iOS", "EAGAIN", "SIGPOLL"),
        ("macOS", "EAGAIN", "SIGPOLL"),
        ("Windows", None, None),
        ("Plan 9", None, None),
        (None, None, None),
    ],
)
def test_what_a_number_means_depends_on_the_system(system: str | None, errno: str | None, signal: str | None) -> None:
    sent = {"errno": {"number": 35}, "signal": {"number": 7}, "mach_exception": {"exception": 10}}
    found = _meta(sent, contexts={"os": {"name": system}})
    assert (found["errno"].get("name"), found["signal"].get("name")) == (errno, signal)
    assert found["mach_exception"]["name"] == "EXC_CRASH"
    by_sdk = _meta(sent, debug_meta={"sdk_info": {"sdk_name": "tvOS"}}, contexts={"os": {"name": system}})
    assert by_sdk["errno"]["name"] == "EAGAIN"


def test_codes_of_signals_have_names_on_apple_systems_alone() -> None:
    sent = {"signal": {"number": 11, "code": 2}}
    assert _meta(sent, contexts={"os": {"name": "watchOS"}})["signal"] == {
        "number": 11, "code": 2, "name": "SIGSEGV", "code_name": "SEGV_ACCERR",
    }  # fmt: skip
    assert _meta(sent, contexts={"os": {"name": "Linux"}})["signal"] == {"number": 11, "code": 2, "name": "SIGSEGV"}
    assert _meta({"signal": {"number": 99}}, contexts={"os": {"name": "Linux"}})["signal"] == {"number": 99}


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ({"relevant_address": "0x1"}, {"type": "generic", "data": {"relevant_address": "0x1"}}),
        ({"posix_signal": {"signal": 6}}, {"type": "generic", "meta": {"signal": {"number": 6}}}),
        ({"posix_signal": "x", "a": 1}, {"type": "generic", "data": {"a": 1}}),
        ({"handled": False}, {"handled": False}),
        ({"type": "m", "posix_signal": {"signal": 6}}, {"type": "m"}),
    ],
)
def test_the_old_form_of_a_mechanism(sent: dict[str, Any], read: dict[str, Any]) -> None:
    event = normalized(exception=[{"type": "E", "mechanism": sent}])
    assert event["exception"]["values"][0]["mechanism"] == read


def test_an_exception_with_nothing_but_a_stack_stays_and_is_named() -> None:
    event = normalized(exception=[{"stacktrace": {"frames": [{"function": "f"}]}}, {"type": "E"}, {"module": "m"}])
    first, second, third = event["exception"]["values"]
    assert (first["stacktrace"]["frames"], second, third) == ([{"function": "f"}], {"type": "E"}, None)
    assert [error["name"] for error in event["errors"]] == ["exception.values.0", "exception.values.2"]


@pytest.mark.parametrize(
    ("sent", "field", "read"),
    [
        (
            {"user": {"email": "x" * 90 + "@a.example"}},
            "user",
            {"email": "x" * 72 + "...", "sentry_user": "email:" + "x" * 72 + "..."},
        ),
        ({"user": {"id": "1", "ip_address": "{{auto}}"}}, "user", {"id": "1", "sentry_user": "id:1"}),
        ({"user": {"ip_address": "{{auto}}"}}, "user", None),
        ({"fingerprint": ["a", {"x": 1}, None, 2.0]}, "fingerprint", ["a", "2"]),
        (
            {"sdk": {"name": "a", "version": "1", "integrations": ["a", 5, None]}},
            "sdk",
            {"name": "a", "version": "1", "integrations": ["a"]},
        ),
        (
            {"server_name": "a", "site": "s", "tags": {"server_name": "b", "site": "c"}},
            "tags",
            [["site", "s"], ["server_name", "a"]],
        ),
        ({"platform": "java", "logger": f"com.{'x' * 60}.pay.Service"}, "logger", "*.pay.Service"),
    ],
)
def test_what_users_report(sent: dict[str, Any], field: str, read: object) -> None:
    assert normalized(**sent).get(field) == read


def test_an_unknown_platform_is_kept_in_the_remarks() -> None:
    event = normalized(platform="klingon")
    assert (event["platform"], event["_meta"], event.get("errors")) == ("other", {"platform": {"": {"val": "klingon"}}}, None)
    assert "_meta" not in normalized(platform="x" * 600)


@pytest.mark.parametrize("others", [{}, {"origin": "x"}], ids=["clean", "parsed"])
@pytest.mark.parametrize("when", [-0.5, "1969-12-31T23:59:59Z"])
def test_a_breadcrumb_from_before_1970_is_null_and_named(when: object, others: dict[str, str]) -> None:
    event = normalized(breadcrumbs=[{"timestamp": 5, **others}, {"timestamp": when, **others}, {"message": "m", **others}])
    assert [crumb and crumb.get("message", "") for crumb in event["breadcrumbs"]["values"]] == ["", None, "m"]
    assert [error["name"] for error in event["errors"]] == ["breadcrumbs.values.1"]


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("https://a.example/x\u2026", {"url": "https://a.example/x..."}),
        ("https://a.example/x?a=1\u2026", {"url": "https://a.example/x", "query_string": [["a", "1..."]]}),
        ("https://a.example/\u2026/x", {"url": "https://a.example/\u2026/x"}),
    ],
)
def test_an_ellipsis_at_the_end_of_a_url_is_three_dots(url: str, read: dict[str, Any]) -> None:
    assert normalized(request={"url": url})["request"] == read


def _tag_remarks(event: dict[str, Any]) -> dict[str, Any]:
    known = event.get("_meta", {}).get("tags", {})
    return {tag[0]: known[str(place)] for place, tag in enumerate(event["tags"]) if str(place) in known}


def test_what_a_relay_said_of_tags_moves_with_them() -> None:
    sent = [["release", "gone"], None, ["a", "1"], ["a", "twice"], ["environment", "prod"], ["b", "x" * 300]]
    meta = {"": {"len": 9}, "0": {"": {"len": 1}}, "2": {"1": {"": {"len": 2}}}, "5": {"1": {"": {"rem": [["@email", "s"]]}}}}
    errors = [{"type": "invalid_data", "name": f"tags.{place}.1"} for place in (0, 2, 5)]
    event = normalized(tags=sent, _meta={"tags": meta}, errors=errors)
    assert event["tags"][:2] == [["a", "1"], ["b", "x" * 197 + "..."]]
    assert _tag_remarks(event) == {
        "a": {"1": {"": {"len": 2}}},
        "b": {"1": {"": {"rem": [["@email", "s"], ["!limit", "s", 197, 200]], "len": 300}}},
    }
    assert event["_meta"]["tags"][""] == {"len": 9}
    assert [error["name"] for error in event["errors"]] == ["tags", "tags.0.1", "tags.1.1"]


def test_what_is_said_of_tags_moves_with_them_when_derived_ones_take_their_place() -> None:
    event = normalized(tags=[["a/b", "lost"], ["level", "x\ny"], ["c", "x\ny"], ["d", "y" * 201]], transaction="/pay")
    for _ in range(2):  # once more changes nothing
        set_derived_tags(event)
        assert _tag_remarks(event).keys() == {"c", "d"}
        assert [(error["name"], error.get("value")) for error in event["errors"]] == [
            ("tags", {"a/b": "lost"}),
            ("tags", "x\ny"),
            ("tags.0.1", "x\ny"),
        ]
