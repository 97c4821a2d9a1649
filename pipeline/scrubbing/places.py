"""Places: where in an event a value stands, and which rules that brings upon it. Worked out once, remembered for every event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from pipeline.scrubbing.fields import EVENT, Field
from pipeline.scrubbing.patterns import ANYTHING, WHOLE, Haystack, Pattern
from pipeline.scrubbing.rules import Rule
from pipeline.scrubbing.selectors import Pii, Selector

MAX_PLACES = 20_000
"""Keys remembered with their places. Senders choose keys, so this bounds what they can make us hold: some 10 MB."""

MAX_STEPS = 200
"""Deeper values share the place of their ancestor at this depth; normalization leaves nothing so deep."""

_BOTH = frozenset({"object", "array"})


@dataclass(frozen=True, slots=True)
class Application:
    """A selector and the rules for what it selects."""

    selector: Selector
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """One pattern of one rule, to be tried on a text. `always`: the place alone decided that the whole text goes."""

    rule: Rule
    pattern: Pattern
    always: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What to try on the texts of a place, in order. Places with the same rules share one plan."""

    trials: tuple[Trial, ...]
    is_path: bool

    def worth_trying(self, haystack: Haystack) -> tuple[Trial, ...]:
        """Leave out the patterns that cannot match anywhere in a text."""
        return tuple([trial for trial in self.trials if trial.always or trial.pattern.may_match(haystack)])


class Root:
    """The places of one group of applications."""

    def __init__(self, applications: Sequence[Application]) -> None:
        self.applications = sorted(applications, key=lambda application: application.selector.rank)
        steps = [step for application in self.applications for step in application.selector.steps]
        self.tells_items_apart = any(kind == "index" for kind, _ in steps)
        self._names = frozenset(value for kind, value in steps if kind == "key")
        self._key_patterns = {
            pattern.key
            for application in self.applications
            for rule in application.rules
            for pattern in rule.patterns
            if pattern.key is not None
        }
        self.count = 0
        self.plans: dict[tuple[object, ...], Plan] = {}
        self._event = Place(self, None, None, None, EVENT)

    def tells_apart(self, key: str) -> bool:
        """Whether any rule cares what a value's key is; all keys that none cares about share one place."""
        return key.lower() in self._names or any(pattern.search(key) for pattern in self._key_patterns)

    def place(self) -> Place:
        """Give the place of the event itself; all others are reached from there."""
        if self.count >= MAX_PLACES:
            self.count = 0
            self._event = Place(self, None, None, None, EVENT)
        return self._event


class Place:
    """One place. `key` is None for the items of a list, `index` for everything else."""

    def __init__(self, root: Root, parent: Place | None, key: str | None, index: int | None, field: Field) -> None:
        self.root = root
        self.parent = parent
        self.key = key
        self.index = index
        self.field = field
        self.types = field.types | _BOTH
        self.depth: int = parent.depth + 1 if parent else 0
        self._children: dict[str | int, Place] = {}
        self._typed: dict[str | None, Place] = {}

    def child(self, key: str) -> Place:
        """Give the place under a key."""
        found = self._children.get(key)
        if found is None:
            if self.depth >= MAX_STEPS:
                return self
            if key in self.field.fields or key in (self._other.by_type or ()) or self.root.tells_apart(key):
                found = Place(self.root, self, key, None, self.field.fields.get(key, self._other))
            else:
                found = self._anonymous
            if self.root.count < MAX_PLACES:
                self._children[key] = found
                self.root.count += 1
        return found

    @cached_property
    def _anonymous(self) -> Place:
        return Place(self.root, self, "", None, self._other)

    @property
    def _other(self) -> Field:
        """The field of keys that are not known."""
        return self.field.other or self._inherited

    def item(self, index: int) -> Place:
        """Give the place of a list's item: one for all of them, unless a selector names an index."""
        if not self.root.tells_items_apart:
            index = -1
        found = self._children.get(index)
        if found is None:
            if self.depth >= MAX_STEPS:
                return self
            found = self._children[index] = Place(self.root, self, None, index, self.field.items or self._inherited)
        return found

    def of_type(self, name: object) -> Place:
        """Give the place of an object with the given `type`, for objects whose fields follow from it."""
        kinds = self.field.by_type
        if kinds is None:
            return self
        kind = name if isinstance(name, str) and name in kinds else self.key
        found = self._typed.get(kind)
        if found is None:
            field = (kinds.get(kind) if kind else None) or self.field.other or Field()
            found = self._typed[kind] = Place(self.root, self.parent, self.key, self.index, field)
        return found

    @property
    def _inherited(self) -> Field:
        return _FREE[self.field.pii] if self.field.free else _NOTHING

    @cached_property
    def known_fields(self) -> list[tuple[str, Place]]:
        """The fields of a known object in which some rule may find something."""
        places = ((key, self.child(key)) for key in self.field.fields)
        return [(key, place) for key, place in places if place.is_live]

    @cached_property
    def has_others(self) -> bool:
        """Whether keys that are not known may lead anywhere."""
        return self.field.other is not None or (self.field.free and self.field.pii is not Pii.NEVER)

    @cached_property
    def only(self) -> frozenset[str] | None:
        """The only fields of an object in which anything may be found; None where more than these decides."""
        if self.has_others or self.field.by_type is not None or self.object_taken is not None:
            return None
        return frozenset(key for key, _ in self.known_fields)

    @cached_property
    def is_live(self) -> bool:
        """Whether a rule may find something here or below."""
        return (
            self.has_others
            or self.field.is_pairs
            or self.field.by_type is not None
            or self.text_plan is not None
            or (self.field.items is not None and self.item(0).is_live)
            or bool(self.known_fields)
        )

    @cached_property
    def text_plan(self) -> Plan | None:
        """What to try on a text here; None where nothing applies."""
        trials = tuple(trial for rule in self._rules("string") for trial in self._trials(rule))
        if not trials:
            return None
        same = (self.field.is_path, *((trial.rule.id, id(trial.pattern), trial.always) for trial in trials))
        return self.root.plans.setdefault(same, Plan(trials, self.field.is_path))

    @cached_property
    def number_taken(self) -> Rule | None:
        """The rule that takes numbers here."""
        return self._taking("number")

    @cached_property
    def object_taken(self) -> Rule | None:
        """The rule that takes whole objects here."""
        return self._taking("object")

    @cached_property
    def array_taken(self) -> Rule | None:
        """The rule that takes whole lists here."""
        return self._taking("array")

    def _taking(self, kind: str) -> Rule | None:
        """Find the rule that takes values other than text: they can go, but not be replaced."""
        return next((rule for rule in self._rules(kind) if rule.anything or self._key_tells(rule)), None)

    def _key_tells(self, rule: Rule) -> bool:
        return any(pattern.key is not None and pattern.key.search(self.key or "") for pattern in rule.patterns)

    def _trials(self, rule: Rule) -> list[Trial]:
        if rule.anything:
            return [Trial(rule, ANYTHING, always=True)]
        if self._key_tells(rule):
            return [Trial(rule, WHOLE, always=True)]
        return [Trial(rule, pattern) for pattern in rule.patterns]

    def _rules(self, kind: str) -> list[Rule]:
        if self.field.pii is Pii.NEVER:
            return []
        steps: list[_Step] = [_Step(self.key, self.index, self.field.types | {kind})]
        place = self.parent
        while place is not None and place.parent is not None:
            steps.append(_Step(place.key, place.index, place.types))
            place = place.parent
        steps.reverse()
        return [rule for one in self.root.applications if one.selector.matches(steps, self.field.pii) for rule in one.rules]


@dataclass(frozen=True, slots=True)
class _Step:
    key: str | None
    index: int | None
    types: frozenset[str]


_FREE = {pii: Field(pii, free=True) for pii in Pii}
_NOTHING = Field()
