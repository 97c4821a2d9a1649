from __future__ import annotations

import base64
import gzip
import json
import zlib
from pathlib import Path

import pytest

from pipeline.gateway.accepting import Inspected, Sender, admit, inspect
from pipeline.gateway.origins import is_origin_allowed, sender_address
from pipeline.gateway.routes import Endpoint, find_route
from pipeline.http.answers import RefusedRequestError
from pipeline.http.exchange import Request, fold_slashes
from pipeline.model.category import DataCategory
from pipeline.rules.folder import load_rules
from pipeline.rules.snapshot import Rules

KEY, OTHER, OLD = "a" * 32, "b" * 32, "c" * 32
ID = "9ec79c33ec9942ab8353589fcb2e04dc"
NEW = "0" * 31 + "1"


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Rules:
    folder: Path = tmp_path_factory.mktemp("rules")
    (folder / "default").mkdir()
    (folder / "default" / "grouping.toml").write_text('enhancement_base = "none"\nbuiltin_fingerprints = false\n')
    (folder / "projects" / "42").mkdir(parents=True)
    (folder / "projects" / "42" / "project.toml").write_text(
        f'allowed_origins = ["example.com", "*.test"]\n[[keys]]\nid = 5\npublic_key = "{KEY}"\n'
        f'[[keys]]\nid = 6\npublic_key = "{OLD}"\nis_active = false\n'
    )
    return load_rules(folder)


def accept(
    rules: Rules,
    body: bytes,
    *,
    path: str = "/api/42/envelope/",
    method: str = "POST",
    key: str | None = KEY,
    reject: bool = False,
    **headers: str,
) -> Inspected:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    query = f"sentry_key={key}" if key else ""
    sender = admit(Request(method, fold_slashes(path), query, sent), rules, is_unknown_refused=reject)
    return inspect(sender, [body], rules, lambda: NEW, is_unknown_refused=reject)


def envelope(*items: str, **header: object) -> bytes:
    lines = [json.dumps(header)]
    for kind in items:
        lines += [json.dumps({"type": kind}), "{}"]
    return "\n".join(lines).encode()


def test_an_envelope_is_taken_with_its_id(rules: Rules) -> None:
    found = accept(rules, envelope("event", "session", "client_report", event_id=ID))
    assert found == Inspected(KEY, ID, ((DataCategory.ERROR, 1), (DataCategory.SESSION, 1)), Endpoint.ENVELOPE)


def test_ids_are_made_where_there_is_an_event(rules: Rules) -> None:
    assert accept(rules, envelope("event")).event_id == NEW
    assert accept(rules, envelope("session")).event_id is None
    assert accept(rules, envelope("event", event_id="9EC79C33-EC99-42AB-8353-589FCB2E04DC")).event_id == ID
    assert accept(rules, envelope("event"), content_encoding="").event_id == NEW
    assert accept(rules, gzip.compress(envelope("event", event_id=ID)), content_encoding="gzip").event_id == ID


@pytest.mark.parametrize(
    ("status", "reason", "change"),
    [
        (404, None, {"path": "/api/42/other/"}),
        (404, None, {"path": "/api/0/organizations/"}),
        (400, None, {"path": "/api/x/envelope/"}),
        (400, None, {"path": "/api/0007abc/store/"}),
        (405, None, {"method": "GET"}),
        (401, None, {"key": None}),
        (400, None, {"key": "short"}),
        (403, "project_id", {"key": OTHER}),
        (403, "project_id", {"key": OLD}),
        (403, "project_id", {"path": "/api/43/envelope/", "reject": True}),
        (403, "cors", {"origin": "https://evil.example"}),
        (415, None, {"content_encoding": "compress"}),
        (400, "payload", {"content_encoding": "gzip"}),
        (400, "invalid_envelope", {"body": b""}),
        (400, "invalid_envelope", {"body": b"[]\n"}),
        (400, "invalid_envelope", {"body": envelope(dsn=f"https://{OTHER}@sentry.io/42")}),
        (400, "invalid_envelope", {"body": envelope(dsn=f"https://{KEY}@sentry.io/43")}),
        (413, "too_large:event", {"body": envelope("event", "event")}),
    ],
)
def test_what_is_refused_and_how(rules: Rules, status: int, reason: str | None, change: dict[str, object]) -> None:
    body = change.pop("body", envelope("event"))
    with pytest.raises(RefusedRequestError) as refused:
        accept(rules, body, **change)  # type: ignore[arg-type]  # a case names what it changes
    assert (refused.value.status, refused.value.reason) == (status, reason)
    answer = refused.value.answer()
    assert json.loads(answer.body)["detail"] == refused.value.detail
    assert all(value.isascii() and "\n" not in value for _, value in answer.headers)


def test_a_key_may_stand_in_the_envelope_alone_and_is_checked_there(rules: Rules) -> None:
    assert accept(rules, envelope("event", dsn=f"https://{KEY}@sentry.io/42"), key=None).public_key == KEY
    with pytest.raises(RefusedRequestError) as refused:
        accept(rules, envelope("event", dsn=f"https://{OTHER}@sentry.io/42"), key=None)
    assert refused.value.status == 403


def test_a_project_without_keys_takes_every_key(rules: Rules) -> None:
    assert accept(rules, envelope("event"), path="/api/43/envelope", key=OTHER).public_key == OTHER


EVENT = b'{"event_id":"%b","message":"hi"}' % ID.encode()


@pytest.mark.parametrize("path", ["/api/42/store/", "/api/42/store", "/api/store/", "//api//42/store/"])
@pytest.mark.parametrize("body", [EVENT, b"  " + EVENT + b"\n", base64.b64encode(EVENT), base64.b64encode(zlib.compress(EVENT))])
def test_the_legacy_forms_of_store(rules: Rules, path: str, body: bytes) -> None:
    assert accept(rules, body, path=path) == Inspected(KEY, ID, ((DataCategory.ERROR, 1),), Endpoint.STORE)


def test_store_takes_envelopes_too(rules: Rules) -> None:
    body = envelope("event", event_id=ID)
    found = accept(rules, body, path="/api/42/store/", content_type="application/x-sentry-envelope; charset=utf-8")
    assert (found.endpoint, found.event_id) == (Endpoint.ENVELOPE, ID)


@pytest.mark.parametrize("text", [b'"\\ud83d"', b'"cut \\u12"', b"NaN", b"1e999", b"1" * 400])
def test_store_takes_what_workers_can_mend(rules: Rules, text: bytes) -> None:
    body = b'{"event_id":"%b","message":%b}' % (ID.encode(), text)
    assert accept(rules, body, path="/api/42/store/") == Inspected(KEY, ID, ((DataCategory.ERROR, 1),), Endpoint.STORE)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"!!", 400),
        (base64.b64encode(b"nothing"), 400),
        (base64.b64encode(zlib.compress(EVENT)[:-6]), 400),
        (b'{"a":"' + b"x" * 1_048_577 + b'"}', 413),
        (base64.b64encode(zlib.compress(b"{" + b" " * 5_000_000)), 413),
        (b" " * 3_000_000, 413),
    ],
)
def test_what_store_refuses(rules: Rules, body: bytes, status: int) -> None:
    with pytest.raises(RefusedRequestError) as refused:
        accept(rules, body, path="/api/42/store/")
    assert refused.value.status == status


@pytest.mark.parametrize(
    ("path", "endpoint", "category"),
    [
        ("/api/42/minidump", Endpoint.MINIDUMP, DataCategory.ERROR),
        ("/api/42/cron/nightly/", Endpoint.CRON, DataCategory.MONITOR),
    ],
)
def test_what_is_answered_and_not_processed(rules: Rules, path: str, endpoint: Endpoint, category: DataCategory) -> None:
    assert accept(rules, b"anything", path=path) == Inspected(KEY, NEW, ((category, 1),), endpoint)


def test_a_key_in_the_path(rules: Rules) -> None:
    assert accept(rules, b"", path=f"/api/42/unreal/{KEY}/", key=None).public_key == KEY
    assert accept(rules, b"", path=f"/api/42/cron/nightly/{KEY}/", method="GET", key=None).public_key == KEY


def test_routes() -> None:
    route = find_route("/api/42/envelope")
    assert route is not None
    assert (route.endpoint, route.project_id) == (Endpoint.ENVELOPE, 42)
    assert find_route("/") is find_route("/api/42/upload/") is find_route("/api/0/envelope/") is None


@pytest.mark.parametrize(
    ("sent", "is_allowed"),
    [
        ({}, True),
        ({"origin": "null"}, True),
        ({"origin": "https://example.com"}, True),
        ({"origin": "http://example.com:8080"}, True),
        ({"origin": "https://www.example.com"}, False),
        ({"origin": "https://shop.test"}, True),
        ({"referer": "https://evil.example/page"}, False),
        ({"referer": "https://example.com/page"}, True),
    ],
)
def test_origins(sent: dict[str, str], is_allowed: bool) -> None:
    assert is_origin_allowed(sent, ("example.com", "*.test")) == is_allowed
    assert is_origin_allowed(sent, ("*",))


def test_no_origin_is_allowed_by_an_empty_list() -> None:
    assert not is_origin_allowed({"origin": "https://example.com"}, ())


def test_forwarded_addresses_count_only_from_proxies_that_are_trusted() -> None:
    import ipaddress

    trusted = (ipaddress.ip_network("10.0.0.0/8"),)
    forwarded = {"x-forwarded-for": "6.6.6.6, 203.0.113.7, 10.1.1.1"}
    assert sender_address("10.0.0.1:5000", forwarded, trusted) == "203.0.113.7"
    assert sender_address("198.51.100.2:5000", forwarded, trusted) == "198.51.100.2"
    assert sender_address("10.0.0.1:5000", forwarded, ()) == "10.0.0.1"
    assert sender_address("[::1]:5000", {}, trusted) == "::1"
    assert sender_address("10.0.0.1:5000", {"x-forwarded-for": "junk"}, trusted) == "10.0.0.1"


def test_a_sender_is_known_before_the_body_is_read(rules: Rules) -> None:
    sender = admit(Request("POST", "/api/42/envelope/", f"sentry_key={KEY}", {}), rules, is_unknown_refused=False)
    assert isinstance(sender, Sender)
    assert (sender.project_id, sender.public_key, sender.encodings) == (42, KEY, ())


@pytest.mark.parametrize("path", ["/api/42/security/", "/api/42/csp-report"])
def test_security_reports_are_counted(rules: Rules, path: str) -> None:
    report = b'{"csp-report":{"effective-directive":"img-src"}}'
    sent = {"path": path, "content_type": "application/csp-report; charset=utf-8"}
    assert accept(rules, report, **sent).counts == ((DataCategory.SECURITY, 1),)  # type: ignore[arg-type]  # headers
    many = b'[{"type":"csp-violation","body":{}},{"type":"csp-violation","body":{}}]'
    assert accept(rules, many, **sent).counts == ((DataCategory.SECURITY, 2),)  # type: ignore[arg-type]  # headers


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b'{"csp-report":{}}', "text/plain", 415),
        (b"no JSON", "application/json", 400),
        (b"[]", "application/reports+json", 400),
        (b'[{"type":"deprecation","body":{}}]', "application/reports+json", 400),
        (b'{"csp-report":{"a":"' + b"x" * 1_048_577 + b'"}}', "application/json", 413),
    ],
)
def test_security_reports_that_are_refused(rules: Rules, body: bytes, content_type: str, status: int) -> None:
    with pytest.raises(RefusedRequestError) as refused:
        accept(rules, body, path="/api/42/security/", content_type=content_type)
    assert refused.value.status == status
