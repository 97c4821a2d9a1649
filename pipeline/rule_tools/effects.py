"""Effects: what filters and scrubbing rules do to an event, for previews of rules and explanations of events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from pipeline.model.event import Event
from pipeline.model.item import Item
from pipeline.model.outcome import Outcome
from pipeline.model.record import Record
from pipeline.rule_tools.explanations import ungrouped_items
from pipeline.stages import EXPLAINED
from pipeline.stages.contract import Context, Order, Stage, each
from pipeline.stages.filter import filter_inbound

MAX_SHOWN_CHARS = 80


class PreparedEvent(NamedTuple):
    """An event before grouping, and what the rules did to it on the way."""

    item: Item[Event]
    filtered_by: str | None
    removed: Mapping[tuple[str, str], str]
    """The new value of each field that scrubbing changed, by rule and field."""

    def to_json(self) -> dict[str, Any]:
        """Return what `explain --pii --json` adds to the explanation."""
        scrubbed = [{"rule": rule, "field": field, "becomes": text} for (rule, field), text in sorted(self.removed.items())]
        return {"filtered_by": self.filtered_by, "scrubbed": scrubbed}


def prepare_events(record: Record, ctx: Context, on_lost: Callable[[str], None]) -> list[PreparedEvent]:
    """Take a record's events through the stages before grouping. `on_lost` is called as by `ungrouped_items`.

    Filters drop nothing here: what they would do is told.
    """
    filtered: dict[str, str | None] = {}
    noted: dict[str, set[tuple[str, str]]] = {}
    removed: dict[str, dict[tuple[str, str], str]] = {}

    def look_before_scrubbing(item: Item[Event], ctx: Context) -> Item[Event]:
        outcome = filter_inbound(item, ctx)
        filtered[item.event_id] = outcome.reason if isinstance(outcome, Outcome) else None
        noted[item.event_id] = {(rule, path) for rule, path, _ in _remarks(item.event)}
        return item

    def look_after_scrubbing(item: Item[Event], _: Context) -> Item[Event]:
        known = noted[item.event_id]
        removed[item.event_id] = {(rule, path): text for rule, path, text in _remarks(item.event) if (rule, path) not in known}
        return item

    stages: list[Stage] = []
    for stage in EXPLAINED.stages:
        if stage.name == "scrub":
            stages += [each("filters", look_before_scrubbing), stage, each("scrubbed", look_after_scrubbing)]
        else:
            stages.append(stage)
    items = ungrouped_items([record], ctx, on_lost, Order(EXPLAINED.decode, tuple(stages)))
    return [PreparedEvent(item, filtered[item.event_id], removed[item.event_id]) for item in items]


def _remarks(event: Event) -> Iterator[tuple[str, str, str]]:
    """Yield rule, field and present value of each redaction that `_meta` lists."""
    meta = event.get("_meta")
    stack: list[tuple[Any, Any, tuple[str, ...]]] = [(meta, event, ())]
    while stack:
        node, value, path = stack.pop()
        if not isinstance(node, dict):
            continue
        note = node.get("")
        remarks = note.get("rem") if isinstance(note, dict) else None
        for remark in remarks if isinstance(remarks, list) else ():
            if isinstance(remark, list) and remark and isinstance(remark[0], str):
                yield remark[0], ".".join(path), _shown(value)
        stack += [(child, _below(value, key), (*path, str(key))) for key, child in node.items() if key != ""]


def _below(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return value.get(key)
    if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
        return value[int(key)]
    return None


def _shown(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= MAX_SHOWN_CHARS else text[: MAX_SHOWN_CHARS - 3] + "..."
