"""Decode: takes a record apart into an event, outcomes and dead letters.

Nothing in a record is lost, bad input raises nothing, and the cost is that of parsing.
"""

from __future__ import annotations

from contextlib import suppress

from pipeline.model.category import DataCategory
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.envelope import Envelope, EnvelopeError, EnvelopeItem, parse_envelope
from pipeline.model.event import RawEvent
from pipeline.model.event_id import derive_event_id, parse_event_id
from pipeline.model.item import Item
from pipeline.model.outcome import Fate, Outcome
from pipeline.model.processing_error import add_errors, describe, invalid_data
from pipeline.model.record import Form, Record
from pipeline.model.scope import Scope
from pipeline.stages.contract import Context
from pipeline.stages.decode.categories import category_of_event, category_of_item
from pipeline.stages.decode.event_json import InvalidJsonError, Parsed, parse_json, repair
from pipeline.stages.decode.known_stacks import cut, put_back
from pipeline.stages.decode.message import IngestMessage, RefusalError, is_message, key_number, read_message, unpack
from pipeline.stages.decode.stored import is_stored_message, read_stored_message

EVENT_ITEMS = frozenset({"event", "security"})
"""Types of envelope items whose payload is an event."""

End = Item[RawEvent] | Outcome | DeadLetter


def decode_record(record: Record, ctx: Context) -> list[End]:
    """Take one record apart. The result is never empty, and nothing is raised for bad input.

    Returns  an item for an error event. Category, scope, arrival and event id are set; the event is otherwise as sent.
    Rejects  INVALID: `unsupported` (transactions, other items of an envelope), `duplicate_item` (an envelope's second event),
             `no_event_payload` (an envelope without items), `project_id` (unknown, if the settings refuse such projects, or
             sent with a key that is not active).
    Dead     records that do not parse, do not hold an object, are too large, or name no project. The reasons are those of Relay.
    """
    try:
        _require_whole(record, ctx)
        if record.form is Form.ENVELOPE:
            return _decode_envelope(record, ctx)
        if record.form is Form.MSGPACK:
            return [_decode_message(record, read_message(unpack(record.body)), ctx)]
        return [_decode_json(record, ctx)]
    except RefusalError as refusal:
        return [DeadLetter(record, "decode", refusal.reason, str(refusal))]


def _require_whole(record: Record, ctx: Context) -> None:
    if record.damage is not None:
        reason, _, detail = record.damage.partition(": ")
        raise RefusalError(reason, detail)
    if record.truncated_from is not None or len(record.body) > ctx.limits.max_record_bytes:
        raise RefusalError("too_large", f"{record.truncated_from or len(record.body)} bytes are too many for a record")


def _decode_json(record: Record, ctx: Context) -> Item[RawEvent] | Outcome:
    parsed = _parse_event(record.body, ctx)
    if is_stored_message(parsed.value):
        return _decode_stored(record, parsed, ctx)
    root = _require_object(parsed)
    if is_message(root):
        return _decode_message(record, read_message(root, parsed), ctx)
    scope = _scope(record.project_id, None, ctx)
    return _decode_event(record, parsed, scope, record.received, None, ctx)


def _decode_stored(record: Record, parsed: Parsed, ctx: Context) -> Item[RawEvent] | Outcome:
    stored = read_stored_message(parsed.value)
    scope = _scope(record.project_id if record.project_id is not None else stored.project_id, None, ctx)
    received = stored.received if stored.received is not None else record.received
    result = _decode_event(record, parsed._replace(value=stored.event), scope._replace(key_id=stored.key_id), received, None, ctx)
    if isinstance(result, Item):
        result.is_stored, result.sample_rate = True, stored.sample_rate
    return result


def _decode_message(record: Record, message: IngestMessage, ctx: Context) -> Item[RawEvent] | Outcome:
    project_id = record.project_id if record.project_id is not None else message.project_id
    scope = _scope(project_id, None, ctx)
    received = message.received if message.received is not None else record.received
    if message.type != "event":
        return _invalid(
            record, scope, "unsupported", message.event_id, *category_of_item(message.type, len(record.body)), received
        )
    parsed = message.payload if isinstance(message.payload, Parsed) else _parse_event(message.payload, ctx)
    key_id = message.key_id
    if key_id is None and isinstance(parsed.value, dict):
        key_id = key_number(parsed.value.get("key_id"))
    result = _decode_event(record, parsed, scope._replace(key_id=key_id), received, message.event_id, ctx)
    if isinstance(result, Item):
        result.client_ip = message.remote_addr
        result.sent_at = message.sent_at
        add_errors(result.event, message.errors)
    return result


def _decode_envelope(record: Record, ctx: Context) -> list[End]:
    try:
        envelope = parse_envelope(record.body)
    except EnvelopeError as error:
        raise RefusalError("invalid_envelope", str(error)) from None
    dsn = envelope.dsn
    project_id = record.project_id if record.project_id is not None else dsn and dsn.project_id
    scope = _scope(project_id, dsn and dsn.public_key, ctx)
    if not envelope.items:
        return [_invalid(record, scope, "no_event_payload", envelope.event_id)]
    ends: list[End] = []
    has_event = False
    for item in envelope.items:
        is_event = item.type in EVENT_ITEMS
        ends.append(_decode_item(record, envelope, item, scope, ctx, is_second=is_event and has_event))
        has_event = has_event or is_event
    return ends


def _decode_item(record: Record, envelope: Envelope, item: EnvelopeItem, scope: Scope, ctx: Context, *, is_second: bool) -> End:
    category, quantity = category_of_item(item.type, len(item.payload))
    if _is_refused(scope, ctx):
        return _invalid(record, scope, "project_id", envelope.event_id, category, quantity)
    if is_second:
        return _invalid(record, scope, "duplicate_item", envelope.event_id, category, quantity)
    if item.type not in EVENT_ITEMS:
        return _invalid(record, scope, "unsupported", envelope.event_id, category, quantity)
    try:
        return _decode_event(record, _parse_event(item.payload, ctx), scope, record.received, envelope.event_id, ctx)
    except RefusalError as refusal:
        return DeadLetter(record, "decode", refusal.reason, str(refusal), category)


def _decode_event(
    record: Record, parsed: Parsed, scope: Scope, received: float, event_id: str | None, ctx: Context
) -> Item[RawEvent] | Outcome:
    """Return the item of a parsed event. `event_id` is the envelope's or message's, which outranks the event's own."""
    event = _require_object(parsed)
    try:
        errors = repair(event, is_lenient=parsed.is_lenient, mark=parsed.mark)
    except InvalidJsonError as error:
        raise RefusalError("invalid_json", str(error)) from None
    sent_id = event.get("event_id")
    own_id = parse_event_id(sent_id)
    if own_id is None and sent_id is not None:
        errors.append(invalid_data("event_id", sent_id))
    event_id = event_id or own_id or derive_event_id(record)
    category = category_of_event(event)
    if _is_refused(scope, ctx):
        return _invalid(record, scope, "project_id", event_id, category, 1, received)
    if category is DataCategory.TRANSACTION:
        return _invalid(record, scope, "unsupported", event_id, category, 1, received)
    event["event_id"] = event_id
    add_errors(event, errors)
    return Item(record, scope, category, 1, received, event_id, event)


def _parse_event(text: bytes, ctx: Context) -> Parsed:
    """Parse an event, or a message with an event in it. Its known stacks are not parsed again."""
    if ctx.known_stacks is not None:
        rest, known = cut(text, ctx.known_stacks)
        if known:
            with suppress(InvalidJsonError):  # parsing the whole text names the fault
                parsed = parse_json(rest)
                if not parsed.is_lenient and put_back(parsed.value, known):
                    return parsed
    try:
        return parse_json(text)
    except InvalidJsonError as error:
        raise RefusalError("invalid_json", str(error)) from None


def _require_object(parsed: Parsed) -> RawEvent:
    if not isinstance(parsed.value, dict):
        raise RefusalError("payload", f"an event is an object, not {describe(parsed.value)}")
    return parsed.value


def _scope(project_id: int | None, public_key: str | None, ctx: Context) -> Scope:
    """Return the scope of a record. Raises RefusalError if no project is named."""
    if project_id is None or not 0 < project_id < 2**63:
        raise RefusalError("project_id", "no project is named" if project_id is None else f"{project_id} is no project")
    project = ctx.rules.project(project_id).project
    return Scope(project.organization, project_id, None if public_key is None else project.key_id(public_key))


def _is_refused(scope: Scope, ctx: Context) -> bool:
    """Whether the project is unknown and such projects are refused, or the key is listed and not active."""
    if ctx.limits.unknown_projects == "reject" and not ctx.rules.knows(scope.project_id):
        return True
    if scope.key_id is None:
        return False
    listed = [key.is_active for key in ctx.rules.project(scope.project_id).project.keys if key.id == scope.key_id]
    return bool(listed) and not any(listed)


def _invalid(
    record: Record,
    scope: Scope,
    reason: str,
    event_id: str | None,
    category: DataCategory = DataCategory.ERROR,
    quantity: int = 1,
    received: float | None = None,
) -> Outcome:
    timestamp = record.received if received is None else received
    return Outcome(timestamp, scope, Fate.INVALID, reason, event_id, category, quantity, record)
