"""Decides whether a request is accepted. The checks are in this order; the body is read between `admit` and `inspect`.

    route        which endpoint a path means               404, or 400 for a path without a project
    credentials  the public key                            401, 400
    project      whether project, key and origin agree     403
    body         its encodings, its form, its sizes        415, 400, 413
    rate limits  whether all that it holds is limited      429

Pure functions: rules, limits and new ids are arguments. A refusal is a RefusedRequestError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from pipeline.gateway.auth import find_credentials
from pipeline.gateway.envelope_stream import EnvelopeStream
from pipeline.gateway.network_reports import read_network_reports
from pipeline.gateway.origins import is_origin_allowed
from pipeline.gateway.otlp.requests import JSON_TYPE, MAX_OTLP_BYTES, PROTOBUF_TYPE, OtlpRequest, read_logs, read_traces
from pipeline.gateway.routes import Endpoint, Route, find_route
from pipeline.gateway.security_reports import CONTENT_TYPES, ReportOrigin, read_reports
from pipeline.gateway.sizes import MAX_BODY_BYTES, MAX_EVENT_BYTES, too_large
from pipeline.gateway.store_request import read_store_body
from pipeline.http.answers import RefusedRequestError, body_too_large
from pipeline.http.decoding import Pieces, decoded, limited, parse_encodings
from pipeline.http.exchange import Request
from pipeline.model.category import DataCategory
from pipeline.model.envelope import Envelope, EnvelopeError
from pipeline.rules.snapshot import Rules
from pipeline.stages.decode.categories import category_of_item

MAX_NAME_CHARS = 200
MAX_USER_AGENT_CHARS = 1_000
ENVELOPE_TYPE = "application/x-sentry-envelope"

_EVENT_ITEMS = frozenset({"event", "transaction", "security", "raw_security", "feedback", "unreal_report", "form_data"})
"""Items that are an event or become one. Their envelope gets an id if it has none."""
_METHODS = {Endpoint.STORE: ("POST", "GET"), Endpoint.CRON: ()}
"""Methods of endpoints that take others than POST. An empty tuple means any method."""
UNSUPPORTED: Mapping[Endpoint, DataCategory] = {
    Endpoint.MINIDUMP: DataCategory.ERROR,
    Endpoint.UNREAL: DataCategory.ERROR,
    Endpoint.CRON: DataCategory.MONITOR,
    Endpoint.ATTACHMENTS: DataCategory.ATTACHMENT_ITEM,
}
"""Endpoints that are answered but not processed, and the category of the outcome `unsupported` that a request becomes."""
OTLP: Mapping[Endpoint, tuple[Callable[[bytes, str], OtlpRequest], DataCategory]] = {
    Endpoint.OTLP_TRACES: (read_traces, DataCategory.SPAN),
    Endpoint.OTLP_LOGS: (read_logs, DataCategory.LOG_ITEM),
}
"""For each OpenTelemetry endpoint: its parser, and the category of spans or log records without an exception."""


@dataclass(frozen=True, slots=True)
class Sender:
    """The sender of a request. `public_key` is None as long as only the envelope's header can name it."""

    route: Route
    project_id: int
    public_key: str | None
    encodings: tuple[str, ...]
    is_envelope: bool
    content_type: str
    """In lower case, without parameters."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a body holds, as far as the answer depends on it. `counts` are categories and quantities, in order of appearance."""

    public_key: str
    event_id: str | None
    counts: tuple[tuple[DataCategory, int], ...]
    endpoint: Endpoint


def admit(request: Request, rules: Rules, *, is_unknown_refused: bool) -> Sender:
    """Make the checks that need no body, and return the sender. Raises RefusedRequestError."""
    route = find_route(request.path)
    if route is None:
        raise RefusedRequestError(404, "not found")
    methods = _METHODS.get(route.endpoint, ("POST",))
    if methods and request.method not in methods:
        raise RefusedRequestError(405, "method not allowed")
    is_envelope = route.endpoint is Endpoint.ENVELOPE or (
        route.endpoint is Endpoint.STORE and request.headers.get("content-type", "").startswith(ENVELOPE_TYPE)
    )
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if route.endpoint is Endpoint.SECURITY and content_type not in CONTENT_TYPES:
        raise RefusedRequestError(415, "unsupported content type of a security report")
    if route.endpoint in OTLP and content_type not in {JSON_TYPE, PROTOBUF_TYPE}:
        raise RefusedRequestError(415, "unsupported content type of an OTLP request", f"send {PROTOBUF_TYPE} or {JSON_TYPE}")
    public_key: str | None = None
    try:
        public_key = find_credentials(request.headers, request.query, route.path_key).public_key
    except RefusedRequestError as refused:
        if not (is_envelope and refused.status == 401 and not refused.causes):  # the envelope's header may name the key
            raise
    project_id = route.project_id if route.project_id is not None else _project_of_key(public_key, rules)
    if public_key is not None:
        check_key(project_id, public_key, rules, is_unknown_refused=is_unknown_refused)
    if not is_origin_allowed(request.headers, rules.project(project_id).project.allowed_origins):
        raise RefusedRequestError(403, "event submission rejected with reason: cors", reason="cors")
    encodings = parse_encodings(request.headers.get("content-encoding", ""))
    return Sender(route, project_id, public_key, encodings, is_envelope, content_type)


def report_origin(request: Request) -> ReportOrigin:
    """Return what a request itself says about the browsers' reports in its body."""
    query = parse_qs(request.query)
    release, environment = (
        query.get(name, [""])[0][:MAX_NAME_CHARS] or None for name in ("sentry_release", "sentry_environment")
    )
    return ReportOrigin(request.headers.get("user-agent", "")[:MAX_USER_AGENT_CHARS] or None, release, environment)


def check_key(project_id: int, public_key: str, rules: Rules, *, is_unknown_refused: bool) -> None:
    """Raise RefusedRequestError for a key that is not the project's or not active.

    Does the same for an unknown project if `is_unknown_refused`.

    A project that lists no keys accepts every key.
    """
    project = rules.project(project_id).project
    is_known = rules.knows(project_id) or not is_unknown_refused
    key = next((key for key in project.keys if key.public_key == public_key), None)
    if not is_known or (project.keys and (key is None or not key.is_active)):
        raise RefusedRequestError(403, "event submission rejected with reason: project_id", reason="project_id")


def inspect(
    sender: Sender,
    pieces: Pieces,
    rules: Rules,
    new_id: Callable[[], str],
    *,
    is_unknown_refused: bool,
    max_bytes: int = MAX_BODY_BYTES,
) -> Inspected:
    """Make the checks that need the body. `pieces` are the body as received. Raises RefusedRequestError.

    Reads only as far as the answer depends on it, and at most `max_bytes` after decompression.
    """
    plain = limited(decoded(pieces, sender.encodings), max_bytes, body_too_large)
    if sender.is_envelope:
        try:
            return _inspect_envelope(sender, plain, rules, new_id, is_unknown_refused=is_unknown_refused)
        except EnvelopeError as error:
            raise RefusedRequestError(400, "invalid event envelope", str(error), reason="invalid_envelope") from None
    assert sender.public_key is not None, "only an envelope may come without a key"  # noqa: S101
    if sender.route.endpoint is Endpoint.SECURITY:
        reports = read_reports(b"".join(limited(plain, MAX_EVENT_BYTES, lambda: too_large("raw_security"))))
        return Inspected(sender.public_key, new_id(), ((DataCategory.SECURITY, len(reports)),), Endpoint.SECURITY)
    if sender.route.endpoint is Endpoint.STORE:
        text = b"".join(limited(plain, 2 * MAX_EVENT_BYTES, lambda: too_large("event")))
        event = read_store_body(text)
        count = category_of_item(event.type, len(text))
        return Inspected(sender.public_key, event.event_id or new_id(), (count,), Endpoint.STORE)
    endpoint = sender.route.endpoint
    if endpoint is Endpoint.NEL:
        found = read_network_reports(b"".join(limited(plain, MAX_EVENT_BYTES, lambda: too_large("nel"))))
        return Inspected(sender.public_key, new_id(), ((DataCategory.ERROR, len(found)),), endpoint)
    if endpoint in OTLP:
        read, category_of_others = OTLP[endpoint]
        sent = read(b"".join(limited(plain, MAX_OTLP_BYTES, body_too_large)), sender.content_type)
        quantities = ((DataCategory.ERROR, len(sent.exceptions)), (category_of_others, sent.others))
        counts = tuple((category, quantity) for category, quantity in quantities if quantity)
        return Inspected(sender.public_key, new_id(), counts, endpoint)
    return Inspected(sender.public_key, new_id(), ((UNSUPPORTED[endpoint], 1),), endpoint)


def _inspect_envelope(
    sender: Sender, pieces: Iterable[bytes], rules: Rules, new_id: Callable[[], str], *, is_unknown_refused: bool
) -> Inspected:
    stream = EnvelopeStream(pieces)
    event_id, dsn = stream.header
    public_key = sender.public_key
    if public_key is None:
        public_key = find_credentials({}, "", None, dsn and dsn.public_key).public_key
        check_key(sender.project_id, public_key, rules, is_unknown_refused=is_unknown_refused)
    Envelope({}, event_id, dsn and dsn._replace(public_key=dsn.public_key.lower()), ()).require_agreement(
        sender.project_id, public_key
    )
    counts: list[tuple[DataCategory, int]] = []
    for item in stream.items():
        if item.type == "client_report":
            continue  # a client report is always accepted, and never counted
        if event_id is None and item.type in _EVENT_ITEMS:
            event_id = new_id()
        category, quantity = category_of_item(item.type, item.size)
        counts.append((category, max(quantity, item.contained)))
    return Inspected(public_key, event_id, tuple(counts), Endpoint.ENVELOPE)


def _project_of_key(public_key: str | None, rules: Rules) -> int:
    """Return the project that a key belongs to. One endpoint has no project in its path."""
    for project_id, project_rules in rules.projects.items():
        if public_key is not None and any(key.public_key == public_key for key in project_rules.project.keys):
            return project_id
    raise RefusedRequestError(400, "missing project path parameter")
