"""`pipeline api` as a process of its own, over a store with known events (support/api_process.py)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.api_process import HOSTILE, ApiProcess


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    pytest.importorskip("chdb")
    api = ApiProcess(tmp_path_factory.mktemp("api"))
    api.fill()
    api.start()
    yield api
    api.close()


@pytest.fixture(scope="module")
def payment(api: ApiProcess) -> dict[str, Any]:
    """Return the largest group."""
    [issue] = api.get("organizations/acme/issues/?query=error.type:PaymentError")
    return dict(issue)


def seen(api: ApiProcess, number: int) -> datetime:
    at = api.now - timedelta(minutes=60 - number)
    return at.replace(microsecond=at.microsecond // 1_000 * 1_000)


def test_organizations_and_projects(api: ApiProcess) -> None:
    assert [one["slug"] for one in api.get("organizations/")] == ["acme"]
    assert api.get("organizations/org1/")["id"] == api.get("organizations/1/")["id"] == "1"
    assert [(one["id"], one["slug"]) for one in api.get("organizations/acme/projects/")] == [
        ("42", "shop"),
        ("43", "idle"),
        ("44", "44"),
    ]
    assert api.get("projects/acme/42/")["slug"] == "shop"
    [key] = api.get("projects/acme/shop/keys/")
    assert key["dsn"]["public"] == f"http://{'a' * 32}@127.0.0.1:{api.port}/42"


def test_a_group_has_its_counts_users_and_times(api: ApiProcess, payment: dict[str, Any]) -> None:
    assert (payment["count"], payment["userCount"], payment["level"]) == ("10", 5, "error")
    assert datetime.fromisoformat(payment["firstSeen"]) == seen(api, 0)
    assert datetime.fromisoformat(payment["lastSeen"]) == seen(api, 9)
    assert (payment["metadata"]["type"], payment["metadata"]["value"]) == ("PaymentError", "card was refused")
    assert (payment["metadata"]["filename"], payment["metadata"]["function"]) == ("shop/payment.py", "charge")
    assert payment["project"] == {"id": "42", "slug": "shop", "name": "shop", "platform": "python"}
    assert payment["isUnhandled"] is True
    assert sum(count for _, count in payment["stats"]["24h"]) == 10
    detail = api.get(f"issues/{payment['id']}/")
    assert (detail["firstRelease"]["version"], detail["lastRelease"]["version"]) == ("shop@1.0", "shop@1.1")
    assert api.get(f"organizations/acme/issues/{payment['shortId']}/")["id"] == payment["id"]
    assert api.get(f"organizations/acme/shortids/{payment['shortId'].lower()}/")["groupId"] == payment["id"]


@pytest.mark.parametrize(
    ("query", "counts"),
    [
        ("", ["1", "2", "10", "1"]),
        ("project=shop&sort=freq", ["10", "2", "1"]),
        ("project=42&project=44&sort=user", ["10", "1", "1", "2"]),
        ("project=-1&query=level:warning", ["1", "2"]),
        ("query=environment:staging", ["5"]),
        ("environment=production", ["5"]),
        ("query=color:red", ["3"]),
        ("query=user.email:user1@example.org", ["2"]),
        ("query=stack.filename:shop/*.py+!release:shop@1.1", ["5"]),
        ("query=browser.name:[Firefox,Opera]+timesSeen:>9", ["10"]),
        ("query=%22CARD+was%22", ["10"]),
        ("query=has:user+userCount:<5", []),
        ("query=firstSeen:-40m", []),
        ("query=is:resolved", []),
        ("project=idle", []),
    ],
)
def test_searches(api: ApiProcess, query: str, counts: list[str]) -> None:
    assert sorted(one["count"] for one in api.get(f"organizations/acme/issues/?{query}")) == sorted(counts)


def test_pages(api: ApiProcess) -> None:
    found, path = [], "projects/acme/shop/issues/?limit=1&sort=new"
    while path:
        status, headers, body = api.ask(path)
        assert status == 200
        found += [one["id"] for one in body]
        following = headers["link"].split(", ")[1]
        path = following[following.index("/api/0/") + 7 : following.index(">")] if 'results="true"' in following else ""
    assert len(found) == len(set(found)) == 3


def test_an_event_has_its_frames(api: ApiProcess, payment: dict[str, Any]) -> None:
    latest = api.get(f"issues/{payment['id']}/events/latest/")
    assert (latest["eventID"], latest["previousEventID"], latest["nextEventID"]) == (api.ids[9], api.ids[8], None)
    assert api.get(f"issues/{payment['id']}/events/oldest/")["eventID"] == api.ids[0]
    entries = {entry["type"]: entry["data"] for entry in latest["entries"]}
    assert list(entries) == ["exception", "breadcrumbs", "request"]
    frame = entries["exception"]["values"][0]["stacktrace"]["frames"][-1]
    assert (frame["filename"], frame["function"], frame["lineNo"], frame["inApp"]) == ("shop/payment.py", "charge", 42, True)
    assert [line for line, _ in frame["context"]] == [40, 41, 42, 43, 44]
    assert frame["context"][2] == [42, "    raise PaymentError(card)"]
    assert latest["user"]["email"] == "user4@example.org"
    assert {"key": "browser.name", "value": "Firefox"} in latest["tags"]
    events = api.get(f"issues/{payment['id']}/events/")
    assert [one["eventID"] for one in events] == api.ids[9::-1]
    assert api.get(f"projects/acme/shop/events/{api.ids[3]}/")["nextEventID"] == api.ids[4]
    found = api.get(f"organizations/acme/eventids/{api.ids[3]}/")
    assert (found["groupId"], found["eventId"], found["projectSlug"], found["organizationSlug"]) == (
        payment["id"],
        api.ids[3],
        "shop",
        "acme",
    )


def test_tags(api: ApiProcess, payment: dict[str, Any]) -> None:
    color = api.get(f"issues/{payment['id']}/tags/color/")
    assert (color["totalValues"], [(one["value"], one["count"]) for one in color["topValues"]]) == (10, [("blue", 7), ("red", 3)])
    tags = {one["key"]: one["totalValues"] for one in api.get("organizations/acme/tags/?statsPeriod=7d")}
    assert (tags["release"], tags["color"], tags["level"]) == (10, 10, 14)
    values = api.get("projects/acme/shop/tags/user/values/?query=1")
    assert [(one["value"], one["count"]) for one in values] == [("id:1", 2)]


def test_tables_and_series(api: ApiProcess) -> None:
    fields = "field=release&field=count()&field=count_unique(user)"
    table = api.get(f"organizations/acme/events/?{fields}&sort=-release&query=has:release&dataset=errors")
    assert table["data"] == [
        {"release": "shop@1.1", "count()": 5, "count_unique(user)": 5},
        {"release": "shop@1.0", "count()": 5, "count_unique(user)": 5},
    ]
    assert table["meta"]["fields"] == {"release": "string", "count()": "integer", "count_unique(user)": "integer"}
    [row] = api.get(f"organizations/acme/events/?field=title&field=user.email&field=issue&query=id:{api.ids[2]}")["data"]
    assert (row["id"], row["user.email"], row["issue"].partition("-")[0]) == (api.ids[2], "user2@example.org", "SHOP")
    series = api.get("organizations/acme/events-stats/?interval=1h&statsPeriod=3h&project=shop")
    assert sum(point[0]["count"] for _, point in series["data"]) == 13
    top = api.get("organizations/acme/events-stats/?interval=1h&statsPeriod=3h&topEvents=1&field=title&field=count()")
    assert list(top) == ["PaymentError: card was refused"]
    stats = api.get("organizations/acme/stats_v2/?field=sum(quantity)&groupBy=outcome&groupBy=project&interval=1h&statsPeriod=3h")
    assert {(one["by"]["outcome"], one["by"]["project"]): one["totals"]["sum(quantity)"] for one in stats["groups"]} == {
        ("accepted", 42): 13,
        ("accepted", 44): 1,
    }
    assert all(len(one["series"]["sum(quantity)"]) == len(stats["intervals"]) for one in stats["groups"])


def test_releases_and_environments(api: ApiProcess) -> None:
    releases = api.get("organizations/acme/releases/")
    assert [(one["version"], one["eventCount"]) for one in releases] == [("shop@1.1", 5), ("shop@1.0", 5)]
    assert api.get("projects/acme/shop/releases/shop%401.0/")["projects"][0]["slug"] == "shop"
    assert [one["name"] for one in api.get("projects/acme/shop/environments/")] == ["production", "staging"]


def test_a_status_is_set_and_found(api: ApiProcess, payment: dict[str, Any]) -> None:
    status, _, body = api.ask(f"issues/{payment['id']}/", {"status": "resolved"}, "PUT")
    assert (status, body["status"]) == (200, "resolved")
    assert [one["id"] for one in api.get("organizations/acme/issues/?query=is:resolved")] == [payment["id"]]
    assert payment["id"] not in {one["id"] for one in api.get("organizations/acme/issues/?query=is:unresolved")}
    changed = api.ask(
        f"organizations/acme/issues/?id={payment['id']}", {"status": "ignored", "substatus": "archived_forever"}, "PUT"
    )
    assert changed[0] == 200
    assert api.get(f"issues/{payment['id']}/")["substatus"] == "archived_forever"
    api.ask(f"issues/{payment['id']}/", {"status": "unresolved"}, "PUT")
    assert api.get(f"issues/{payment['id']}/")["status"] == "unresolved"


def test_texts_of_strangers_are_shown_as_escapes(api: ApiProcess) -> None:
    [issue] = api.get("organizations/acme/issues/?query=odd:*evil*")
    assert issue["title"] == "evil\\u0000 \\u202egnp.exe \\u001b[2J"
    event = api.get(f"issues/{issue['id']}/events/latest/")
    assert not set(HOSTILE) & set("\x00\u202e\x1b") & set(str(event))
    _, headers, _ = api.ask(f"issues/{issue['id']}/")
    assert (headers["content-type"], headers["x-content-type-options"]) == ("application/json", "nosniff")


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("organizations/none/issues/", 404, "does not exist"),
        ("projects/acme/none/", 404, "does not exist"),
        ("organizations/acme/issues/?project=none", 404, "does not exist"),
        ("issues/7/", 404, "does not exist"),
        ("issues/SHOP-7/", 404, "does not exist"),
        ("issues/44-3JJWQ8VPTVYCM/", 404, "does not exist"),
        ("issues/x%00y/", 404, "does not exist"),
        (f"projects/acme/shop/events/{'f' * 32}/", 404, "does not exist"),
        ("projects/acme/shop/events/x/", 404, "does not exist"),
        ("nothing/", 404, "does not exist"),
        ("organizations/acme/issues/?query=timesSeen:many", 400, "'timesSeen:many': a number"),
        ("organizations/acme/issues/?sort=none", 400, "sort"),
        ("organizations/acme/issues/?cursor=none", 400, "cursor"),
        ("organizations/acme/issues/?statsPeriod=none", 400, "statsPeriod"),
        ("organizations/acme/events-stats/?interval=1s&statsPeriod=90d", 400, "interval"),
        ("organizations/acme/events/?field=p95()", 400, "p95()"),
        ("organizations/acme/stats_v2/?groupBy=none", 400, "groupBy"),
    ],
)
def test_errors_say_what_is_wrong(api: ApiProcess, path: str, status: int, detail: str) -> None:
    found, _, body = api.ask(path)
    assert found == status
    assert detail in body["detail"]


HOSTILE_WORDS = ["%27%3B+DROP+TABLE+events%3B+--", "x%00y", "%ff%fe", "{p0:String}", "a%5C", "%25", "tags[%27]:x"]
HOSTILE_WORDS += ["%F0%9F%92%A9:*", "%ED%A0%80", "(" * 1_000, "*" * 1_000, "x:" * 1_000]


def test_hostile_searches_break_nothing(api: ApiProcess) -> None:
    for word in HOSTILE_WORDS:
        assert api.ask(f"organizations/acme/issues/?query={word}")[0] in {200, 400}
    assert api.get("organizations/acme/issues/?query=level:error")


def test_why_and_preview(api: ApiProcess, payment: dict[str, Any]) -> None:
    why = api.get(f"organizations/acme/issues/{payment['shortId']}/why/")
    assert why["variants"]["app"]["contributes"] is True
    assert why["primary_hash"] == api.get(f"issues/{payment['id']}/events/latest/")["fingerprints"][0]
    compared = api.get(f"organizations/acme/events/{api.ids[0]}/why/?other={api.ids[1]}")
    assert compared["together"] is True
    assert api.get(f"organizations/acme/events/{api.ids[0]}/why/?other={api.ids[10]}")["together"] is False
    change = {"files": {"default/fingerprints.rules": "type:PaymentError -> all\nmessage:*disk* -> all\n"}}
    status, _, diff = api.ask("projects/acme/shop/rules/preview/", change, "POST")
    assert (status, diff["events"], diff["groups_before"], diff["groups_after"]) == (200, 13, 3, 2)
    assert [(one["kind"], one["events"]) for one in diff["changes"]] == [("merge", 12)]
    status, _, body = api.ask("projects/acme/shop/rules/preview/", {"files": {"default/fingerprints.rules": "wrong\n"}}, "POST")
    assert (status, body["errors"][0].startswith("default/fingerprints.rules:1:1:")) == (400, True)
    for name in ("../x.rules", "/etc/passwd", "default/../../x.rules", "default/x"):
        assert api.ask("projects/acme/shop/rules/preview/", {"files": {name: ""}}, "POST")[0] == 400


def test_our_own_endpoints_are_described(api: ApiProcess) -> None:
    document = api.get("openapi.json")
    names = {"organization": "acme", "project": "shop", "issue": "7", "event": api.ids[0]}
    for path, methods in document["paths"].items():
        for method in methods:
            status, _, body = api.ask(path.format(**names).removeprefix("/"), {} if method == "post" else None, method.upper())
            assert status == 200 or body["detail"] != "method not allowed", path
    assert api.get("projects/acme/shop/limits/")["quotas"] == []
    assert {one["outcome"] for one in api.get("organizations/acme/outcomes/")["outcomes"]} == {"accepted"}


def test_pages_for_supervisors(api: ApiProcess) -> None:
    assert api.page("/health")[0] == 200
    assert api.page("/ready")[0] == 200
    assert 'pipeline_api_requests_total{status="200"}' in api.page("/metrics")[1]


def test_tokens_and_the_end(tmp_path: Path) -> None:
    pytest.importorskip("chdb")
    api = ApiProcess(tmp_path, 'tokens = ["secret"]')
    api.fill()
    api.start()
    try:
        assert api.ask("organizations/")[0] == 401
        assert api.ask("organizations/", authorization="Bearer wrong")[0] == 401
        assert api.ask("organizations/", authorization="Bearer secret")[0] == 200
        started = time.monotonic()
        assert api.stop() == 0
        assert time.monotonic() - started < 10
    finally:
        api.close()
