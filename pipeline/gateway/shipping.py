"""Decides what a record of the spool becomes: ingest messages of its events, and outcomes of everything else. Pure functions.

`shipper.py` brings them to Kafka.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgpack
import msgspec
import orjson
import xxhash

from pipeline.gateway import network_reports
from pipeline.gateway.accepting import OTLP
from pipeline.gateway.envelope_stream import EnvelopeStream, StreamedItem
from pipeline.gateway.otlp import events as otlp
from pipeline.gateway.routes import Endpoint
from pipeline.gateway.security_reports import ReportOrigin, events_of, read_reports
from pipeline.gateway.spooled import Arrival, Refusals, parse_head
from pipeline.gateway.store_request import read_store_body
from pipeline.http.answers import RefusedRequestError
from pipeline.http.decoding import decoded
from pipeline.model.category import DataCategory
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.envelope import EnvelopeError
from pipeline.model.outcome import Fate, Outcome
from pipeline.model.scope import Scope
from pipeline.rules.snapshot import Rules
from pipeline.spool.reader import SpoolRecord
from pipeline.stages.decode.categories import category_of_item

EVENT_ITEMS = frozenset({"event", "security"})

_REPORTS: tuple[tuple[str, Fate], ...] = (
    ("discarded_events", Fate.CLIENT_DISCARD),
    ("rate_limited_events", Fate.RATE_LIMITED),
    ("filtered_events", Fate.FILTERED),
    ("filtered_sampling_events", Fate.FILTERED),
)
"""The lists of a client report, and the fate of their entries."""
MAX_REASON_CHARS = 200


class KeyedMessage(NamedTuple):
    """An event for the input topic: its id as the key, and the ingest message as Relay writes it."""

    event_id: str
    value: bytes


@dataclass(slots=True)
class Shipped:
    """The messages, outcomes and dead letters that records of the spool become."""

    messages: list[KeyedMessage]
    outcomes: list[Outcome]
    dead: list[DeadLetter]
    received: float = 0.0


def ship(entry: SpoolRecord, rules: Rules) -> Shipped:
    """Return what one record of the spool becomes. Pure, except that it reads the record's body.

    Raises msgspec.DecodeError if the gateway did not write the head, and OSError if the body cannot be read.
    """
    head = parse_head(entry.head)
    shipped = Shipped([], [], [], head.received)
    if isinstance(head, Refusals):
        shipped.outcomes += (
            Outcome(
                head.received,
                _scope(count.project_id, count.public_key, rules),
                count.fate,
                count.reason or None,
                None,
                count.category,
                count.quantity,
            )
            for count in head.counts
        )
        return shipped
    scope = _scope(head.project_id, head.public_key, rules)
    try:
        _ship_arrival(head, scope, entry, shipped)
    except (EnvelopeError, RefusedRequestError):  # only possible if another version of the gateway accepted it
        shipped.outcomes.append(_outcome(head, scope, Fate.INVALID, "invalid_envelope", DataCategory(head.event_category), 1))
    return shipped


def _ship_arrival(head: Arrival, scope: Scope, entry: SpoolRecord, shipped: Shipped) -> None:
    pieces = decoded(entry.pieces(), head.encodings)
    if head.endpoint == Endpoint.ENVELOPE:
        envelope = EnvelopeStream(pieces)
        _ship_items(head, scope, envelope.items(), shipped, envelope.sent_at)
    elif head.endpoint == Endpoint.STORE:
        event = read_store_body(b"".join(pieces))
        _ship_items(head, scope, [StreamedItem(event.type, len(event.text), 1, event.text)], shipped)
    elif head.endpoint == Endpoint.SECURITY:
        origin = ReportOrigin(head.user_agent, head.release, head.environment)
        for number, report_event in enumerate(events_of(read_reports(b"".join(pieces)), origin)):
            _ship_event(head, scope, _id_of_report(head.event_id or "", number), report_event, shipped)
    elif head.endpoint == Endpoint.NEL:
        for number, report in enumerate(network_reports.read_network_reports(b"".join(pieces))):
            event_id = _id_of_report(head.event_id or "", number)
            _ship_event(head, scope, event_id, network_reports.event_of(report, head.received), shipped)
    elif head.endpoint in OTLP:
        _ship_otlp(head, scope, b"".join(pieces), shipped)
    else:
        category = DataCategory(head.event_category)
        shipped.outcomes.append(_outcome(head, scope, Fate.INVALID, "unsupported", category, 1))


def _ship_otlp(head: Arrival, scope: Scope, body: bytes, shipped: Shipped) -> None:
    """Ship each exception as an event. Spans or log records without one become one outcome `unsupported`."""
    read, category_of_others = OTLP[Endpoint(head.endpoint)]
    request = read(body, head.content_type)
    for number, found in enumerate(request.exceptions):
        event_id = otlp.event_id_of(found, head.project_id) or _id_of_report(head.event_id or "", number)
        _ship_event(head, scope, event_id, otlp.event_of(found, head.received), shipped)
    if request.others:
        outcome = _outcome(head, scope, Fate.INVALID, "unsupported", category_of_others, request.others)
        shipped.outcomes.append(outcome._replace(event_id=None))


def _ship_event(head: Arrival, scope: Scope, event_id: str, event: Mapping[str, Any], shipped: Shipped) -> None:
    own = msgspec.structs.replace(head, event_id=event_id)
    shipped.messages.append(KeyedMessage(event_id, _message(own, scope, orjson.dumps(event))))


def _id_of_report(first: str, number: int) -> str:
    """Return the id of one of the events of a request.

    The first has the request's id, the ids of the others are derived from it.
    """
    return first if number == 0 else xxhash.xxh3_128_hexdigest(f"{first}/{number}".encode())


def _ship_items(head: Arrival, scope: Scope, items: Iterable[StreamedItem], shipped: Shipped, sent_at: str | None = None) -> None:
    """Ship an envelope's items. `sent_at` is the sender's clock as its header has it.

    Each becomes a message, outcomes of a client report, or one outcome `unsupported`.
    """
    is_empty = True
    for item in items:
        is_empty = False
        if item.type in EVENT_ITEMS and item.payload is not None and head.event_id is not None:
            shipped.messages.append(KeyedMessage(head.event_id, _message(head, scope, item.payload, sent_at)))
        elif item.type == "client_report":
            shipped.outcomes += _reported(item.payload or b"", head, scope)
        else:
            category, quantity = category_of_item(item.type, item.size)
            outcome = _outcome(head, scope, Fate.INVALID, "unsupported", category, max(quantity, item.contained))
            shipped.outcomes.append(outcome)
    if is_empty:
        shipped.outcomes.append(_outcome(head, scope, Fate.INVALID, "no_event_payload", DataCategory.ERROR, 1))


def _message(head: Arrival, scope: Scope, payload: bytes, sent_at: str | None = None) -> bytes:
    """Return an ingest message: Relay's fields with the payload as sent, and two fields that Relay's messages lack.

    `key_id` is inside the payload there. `sent_at` is the sender's clock, by which normalization corrects the event's times.
    """
    message: dict[str, Any] = {
        "type": "event",
        "payload": payload,
        "start_time": int(head.received),
        "event_id": head.event_id,
        "project_id": head.project_id,
        "remote_addr": head.remote_addr,
        "attachments": [],
        "key_id": scope.key_id,
    }
    if sent_at is not None:
        message["sent_at"] = sent_at
    return bytes(msgpack.packb(message))


def _reported(payload: bytes, head: Arrival, scope: Scope) -> Iterator[Outcome]:
    """Yield the outcomes of a client report, which lists what an SDK dropped. An unreadable report yields none."""
    try:
        report = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    for name, fate in _REPORTS:
        entries = report.get(name) if isinstance(report, dict) else None
        for entry in entries if isinstance(entries, list) else ():
            if not isinstance(entry, dict):
                continue
            category, reason, quantity = entry.get("category"), entry.get("reason"), entry.get("quantity")
            if not (isinstance(category, str) and type(quantity) is int and 0 < quantity < 2**32):
                continue
            known = DataCategory.from_label(category)
            if known is not DataCategory.UNKNOWN:
                text = reason[:MAX_REASON_CHARS] if isinstance(reason, str) else None
                yield _outcome(head, scope, fate, text, known, quantity)._replace(event_id=None)


def _outcome(head: Arrival, scope: Scope, fate: Fate, reason: str | None, category: DataCategory, quantity: int) -> Outcome:
    return Outcome(head.received, scope, fate, reason, head.event_id, category, quantity)


def _scope(project_id: int, public_key: str | None, rules: Rules) -> Scope:
    project = rules.project(project_id).project
    return Scope(project.organization, project_id, None if public_key is None else project.key_id(public_key))
