"""Endpoints that Sentry lacks: why events group as they do, and what changed rules would do to the newest events."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

import msgspec
import orjson

from pipeline.api.call import NOT_FOUND, ApiCall
from pipeline.api.shown_text import shown_value
from pipeline.grouping.explain.comparison import compare
from pipeline.grouping.explain.explanation import Explanation
from pipeline.model.errors import InvalidRulesError
from pipeline.model.record import Form, Record, Token
from pipeline.rule_tools.explanations import explain_records
from pipeline.rule_tools.rules_diff import diff_rules
from pipeline.store.queries.answers import EventSummary
from pipeline.store.queries.filters import InGroups
from pipeline.store.queries.queries import forever
from pipeline.uploads.answers import ApiAnswer, ApiError

MAX_PREVIEWED = 1_000
_RULE_FILE = re.compile(r"(default|projects/[1-9][0-9]{0,18})/[a-z_]{1,40}\.(toml|rules)")


class PreviewRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change of rules to try out. `files` are texts by their names in the rules folder; null removes a file."""

    files: dict[str, str | None]
    events: int = 200


def why(call: ApiCall) -> ApiAnswer:
    """Answer with the tree of values that the newest event of a group groups by, under the rules in force now."""
    group, _ = call.group()
    found = call.queries.events(forever((group.project_id,), call.now), (InGroups((group.group_id,)),), 1)
    if not found:
        raise ApiError(404, NOT_FOUND)
    return ApiAnswer(200, shown_value(_explain(call, found[0]).to_json()))


def why_event(call: ApiCall) -> ApiAnswer:
    """Answer with the tree of one event. With `other`, compare it with another event: what they share, what differs first."""
    explanation = _explain(call, call.event(call.path["event"]))
    if not call.query.one("other"):
        return ApiAnswer(200, shown_value(explanation.to_json()))
    other = _explain(call, call.event(call.query.one("other")))
    return ApiAnswer(200, shown_value(compare(explanation, other).to_json()))


def preview(call: ApiCall) -> ApiAnswer:
    """Answer with what a change of rules would merge, split, drop or scrub among the newest events. Nothing is stored."""
    try:
        sent = msgspec.json.decode(call.request.body, type=PreviewRequest)
    except msgspec.MsgspecError as error:
        raise ApiError(400, str(error)) from None
    if not 0 < sent.events <= MAX_PREVIEWED:
        raise ApiError(400, f"events: 1 to {MAX_PREVIEWED}")
    for name in sent.files:
        if not _RULE_FILE.fullmatch(name):
            raise ApiError(400, f"files: {name[:80]!r} is not a file of a rules folder; an example is default/fingerprints.rules")
    asked = call.asked_without_search()
    events = call.queries.events(asked.extent, asked.filters, sent.events)
    with tempfile.TemporaryDirectory(prefix="preview-") as folder:
        changed = Path(folder) / "rules"
        shutil.copytree(call.service.rules_path, changed)
        for name, text in sent.files.items():
            file = changed / name
            if text is None:
                file.unlink(missing_ok=True)
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8", errors="replace")
        try:
            after = call.service.load_rules(changed)
        except InvalidRulesError as error:
            mistakes = [str(one).replace(f"{changed}/", "") for one in error.errors]
            return ApiAnswer(400, {"detail": "the rules cannot be read", "errors": mistakes})
    lost: list[str] = []
    before, changed_context = (call.service.explain_context(rules) for rules in (call.service.rules(), after))
    records = (record for event in events if (record := _record(call, event)) is not None)
    diff = diff_rules(records, before, changed_context, lost.append)
    return ApiAnswer(200, shown_value(diff.to_json() | {"lost": lost[:100]}))


def _explain(call: ApiCall, event: EventSummary) -> Explanation:
    """Return the explanation of a stored event. Raises ApiError (404) if its body is gone."""
    lost: list[str] = []
    context = call.service.explain_context(call.service.rules())
    record = _record(call, event)
    found = None if record is None else next(iter(explain_records([record], context, lost.append)), None)
    if found is None:
        raise ApiError(404, f"the event cannot be explained: {lost[0] if lost else 'its body is gone'}"[:300])
    return found


def _record(call: ApiCall, event: EventSummary) -> Record | None:
    """Return a stored event as a record that can be processed anew; None if its body is gone."""
    body = call.queries.body(event)
    if body is None:
        return None
    text = orjson.dumps(body | {"event_id": event.event_id})
    received = event.received.timestamp()
    return Record(text, Form.JSON, "store", 1, received, Token("store", 0, 0), project_id=event.project_id)
