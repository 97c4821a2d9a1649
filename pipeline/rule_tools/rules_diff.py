"""Rules diff: what recorded events become under two versions of the rules. Nothing is counted or stored.

It compares groups, which events filters would drop, and what scrubbing would remove.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pipeline.model.event import Event
from pipeline.model.grouping import Grouping
from pipeline.model.item import Item
from pipeline.model.record import Record
from pipeline.model.title import metadata, title
from pipeline.rule_tools.effects import prepare_events
from pipeline.rule_tools.group_diff import EXAMPLES, ExampleEvent, GroupDiff, GroupDiffBuilder, GroupRef
from pipeline.stages.contract import Context


class EffectExample(NamedTuple):
    """An event that a rule newly drops or changes. For scrubbing, `field` is what it changes and `becomes` the new value."""

    event: ExampleEvent
    field: str | None = None
    becomes: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the example as `pipeline rules diff --json` prints it."""
        scrubbed = {} if self.field is None else {"field": self.field, "becomes": self.becomes}
        return self.event.to_json() | scrubbed


@dataclass(slots=True)
class RuleEffect:
    """What one filter or scrubbing rule does under both versions, counted in events or in values.

    `added` and `gone` are what only the new or only the old version does. Examples are of what is added.
    """

    name: str
    before: int = 0
    after: int = 0
    added: int = 0
    gone: int = 0
    examples: list[EffectExample] = field(default_factory=list)

    @property
    def is_changed(self) -> bool:
        """Whether both versions differ in what the rule does."""
        return bool(self.added or self.gone)

    def to_json(self) -> dict[str, Any]:
        """Return the counts and examples."""
        return {
            "rule": self.name,
            "before": self.before,
            "after": self.after,
            "added": self.added,
            "gone": self.gone,
            "examples": [example.to_json() for example in self.examples],
        }


@dataclass(frozen=True, slots=True)
class RulesDiff:
    """The differences between two versions of the rules. Filters and scrubbing rules that do nothing are not listed."""

    groups: GroupDiff
    filters: tuple[RuleEffect, ...]
    scrubbing: tuple[RuleEffect, ...]

    @property
    def is_changed(self) -> bool:
        """Whether the two versions differ for any event."""
        return bool(self.groups.changes) or any(effect.is_changed for effect in (*self.filters, *self.scrubbing))

    def to_json(self) -> dict[str, Any]:
        """Return the object that `pipeline rules diff --json` prints."""
        return self.groups.to_json() | {
            "filters": [effect.to_json() for effect in self.filters],
            "scrubbing": [effect.to_json() for effect in self.scrubbing],
        }


def diff_rules(records: Iterable[Record], before: Context, after: Context, on_lost: Callable[[str], None]) -> RulesDiff:
    """Take each event through the stages under both contexts, and return what differs.

    Filters drop nothing here, so that groups are compared for all events. `on_lost` is called with a line of text for each event
    that cannot be compared.
    """
    groups = GroupDiffBuilder()
    filters: dict[str, RuleEffect] = {}
    scrubbing: dict[str, RuleEffect] = {}
    for record in records:
        location = f"{record.source}:{record.position}"
        old, new = prepare_events(record, before, on_lost), prepare_events(record, after, lambda _: None)
        if [prepared.item.event_id for prepared in old] != [prepared.item.event_id for prepared in new]:
            on_lost(f"{location}: left out, since only one version of the rules accepts this event")
            continue
        for one, other in zip(old, new, strict=True):
            grouping, regrouped = _group(one.item, before), _group(other.item, after)
            event = ExampleEvent(one.item.event_id, location, _title(one.item, grouping))
            groups.add(_group_ref(one.item, grouping), _group_ref(other.item, regrouped), event)
            _count_filters(filters, one.filtered_by, other.filtered_by, event)
            _count_scrubbing(scrubbing, one.removed, other.removed, event)
    return RulesDiff(groups.build(), _in_order(filters), _in_order(scrubbing))


def _count_filters(effects: dict[str, RuleEffect], old: str | None, new: str | None, event: ExampleEvent) -> None:
    for reason in {old, new} - {None}:
        assert reason is not None  # noqa: S101 -- for the type checker
        _count(effects.setdefault(reason, RuleEffect(reason)), old == reason, new == reason, EffectExample(event))


def _count_scrubbing(
    effects: dict[str, RuleEffect], old: Mapping[tuple[str, str], str], new: Mapping[tuple[str, str], str], event: ExampleEvent
) -> None:
    for key in sorted(old.keys() | new.keys()):
        rule, path = key
        example = EffectExample(event, path, new.get(key))
        _count(effects.setdefault(rule, RuleEffect(rule)), key in old, key in new, example)


def _count(effect: RuleEffect, is_before: bool, is_after: bool, example: EffectExample) -> None:
    effect.before += is_before
    effect.after += is_after
    effect.gone += is_before and not is_after
    if is_after and not is_before:
        effect.added += 1
        if len(effect.examples) < EXAMPLES:
            effect.examples.append(example)


def _in_order(effects: dict[str, RuleEffect]) -> tuple[RuleEffect, ...]:
    """Return the effects, the largest changes first."""
    return tuple(sorted(effects.values(), key=lambda effect: (-effect.added - effect.gone, -effect.after, effect.name)))


def _group(item: Item[Event], ctx: Context) -> Grouping:
    return ctx.rules.project(item.scope.project_id).grouper.group(item.event, ctx.now)


def _group_ref(item: Item[Event], grouping: Grouping) -> GroupRef:
    project_id = item.scope.project_id
    return GroupRef(project_id, grouping.group_id(project_id), grouping.primary_hash)


def _title(item: Item[Event], grouping: Grouping) -> str:
    kind = item.event.get("type")
    return grouping.title or title(kind if isinstance(kind, str) else None, metadata(item.event))
