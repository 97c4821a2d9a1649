"""Field positions: places in an event, and the rules that apply there.

A position is computed once from the keys on the way to it and reused for every event, because evaluating selectors and patterns
of keys costs far more than a look-up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from pipeline.scrubbing.fields import EVENT, Field
from pipeline.scrubbing.patterns import ANYTHING, WHOLE, Pattern, SearchedText
from pipeline.scrubbing.rules import ScrubbingRule
from pipeline.scrubbing.selectors import Pii, Selector

MAX_POSITIONS = 30_000
"""Limit of positions and remembered keys per group of applications, some 10 MB. At this number all are dropped and built again.

Senders choose the keys and the nesting of their data, so a limit is needed. Only data that is nested on purpose reaches it: keys
to which no rule applies share one position, and so do keys to which the same rules apply.
"""

MAX_KEYS = 256
"""How many keys a position remembers. The oldest is dropped first."""

MAX_STEPS = 200
"""Deeper values share the position of their ancestor at this depth. Normalization leaves nothing so deep."""

_CONTAINERS = frozenset({"object", "array"})


@dataclass(frozen=True, slots=True)
class Application:
    """A selector, and the rules for the values that it selects."""

    selector: Selector
    rules: tuple[ScrubbingRule, ...]


@dataclass(frozen=True, slots=True)
class TextCheck:
    """One pattern of one rule, to be tried on a text. `takes_all` means that the rule removes the whole text at this position."""

    rule: ScrubbingRule
    pattern: Pattern
    takes_all: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class TextChecks:
    """The checks of the texts at a position, in order. Positions with the same rules share one object."""

    checks: tuple[TextCheck, ...]
    is_path: bool

    def worth_trying(self, text: SearchedText) -> tuple[TextCheck, ...]:
        """Return the checks without those whose pattern cannot match anywhere in the text."""
        return tuple([check for check in self.checks if check.takes_all or check.pattern.may_match(text)])


class FieldPositions:
    """The positions of one group of applications, as a tree. `event` is its root."""

    def __init__(self, applications: Sequence[Application], *, looks_into_texts: bool = False) -> None:
        self.looks_into_texts = looks_into_texts
        self.applications = sorted(applications, key=lambda application: application.selector.rank)
        parts = [part for application in self.applications for part in application.selector.path_parts]
        self.tells_items_apart = any(kind == "index" for kind, _ in parts)
        self._names = frozenset(value for kind, value in parts if kind == "key")
        self._key_patterns = tuple(
            {
                regex
                for application in self.applications
                for rule in application.rules
                for pattern in rule.patterns
                for regex in (pattern.key, pattern.spared_key)
                if regex is not None
            }
        )
        self.shared_checks: dict[tuple[object, ...], TextChecks] = {}
        self.count = 0
        self._event = FieldPosition(self, None, None, None, EVENT)

    def meaning_of(self, key: str) -> tuple[object, ...] | None:
        """Return which rules a key matters to, or None if to none. Keys with equal results may share a position."""
        lowered = key.lower()
        name = lowered if lowered in self._names else None
        matching = tuple(number for number, pattern in enumerate(self._key_patterns) if pattern.search(key))
        return (name, matching) if name is not None or matching else None

    @property
    def event(self) -> FieldPosition:
        """The position of the event itself, from which all others are reached."""
        if self.count >= MAX_POSITIONS:
            self.count = 0
            self._event = FieldPosition(self, None, None, None, EVENT)
        return self._event


class FieldPosition:
    """One position. `key` is None for the items of a list, `index` is None for everything else."""

    def __init__(
        self, tree: FieldPositions, parent: FieldPosition | None, key: str | None, index: int | None, field: Field
    ) -> None:
        self.tree = tree
        self.parent = parent
        self.key = key
        self.index = index
        self.field = field
        self.types = field.types | _CONTAINERS
        self.depth: int = parent.depth + 1 if parent else 0
        self._children: dict[str, FieldPosition] = {}
        self._shared: dict[tuple[object, ...] | None, FieldPosition] = {}
        self._items: dict[int, FieldPosition] = {}
        self._typed: dict[str | None, FieldPosition] = {}
        tree.count += 1

    def child(self, key: str) -> FieldPosition:
        """Return the position under a key."""
        return self._children.get(key) or self._remember(key)

    def _remember(self, key: str) -> FieldPosition:
        if self.depth >= MAX_STEPS:
            return self
        if key in self.field.fields or key in (self._other.by_type or ()):
            found = FieldPosition(self.tree, self, key, None, self.field.fields.get(key, self._other))
        else:
            meaning = self.tree.meaning_of(key)
            known = self._shared.get(meaning)
            found = known or FieldPosition(self.tree, self, key if meaning else "", None, self._other)
            self._shared[meaning] = found
        if len(self._children) >= MAX_KEYS:
            del self._children[next(iter(self._children))]
        else:
            self.tree.count += 1
        self._children[key] = found
        return found

    @property
    def _other(self) -> Field:
        """The field of keys that are not known."""
        return self.field.other or self._inherited

    def item(self, index: int) -> FieldPosition:
        """Return the position of a list's item. All items share one, unless a selector names an index."""
        if not self.tree.tells_items_apart:
            index = -1
        found = self._items.get(index)
        if found is None:
            if self.depth >= MAX_STEPS:
                return self
            found = self._items[index] = FieldPosition(self.tree, self, None, index, self.field.items or self._inherited)
        return found

    def of_type(self, name: object) -> FieldPosition:
        """Return the position of an object of the given `type`, if its fields depend on the type."""
        kinds = self.field.by_type
        if kinds is None:
            return self
        kind = name if isinstance(name, str) and name in kinds else self.key
        found = self._typed.get(kind)
        if found is None:
            field = (kinds.get(kind) if kind else None) or self.field.other or Field()
            found = self._typed[kind] = FieldPosition(self.tree, self.parent, self.key, self.index, field)
        return found

    @property
    def _inherited(self) -> Field:
        return _FREE[self.field.pii] if self.field.free else _NOTHING

    @cached_property
    def known_fields(self) -> list[tuple[str, FieldPosition]]:
        """The fields of a known object in which some rule may find something."""
        positions = ((key, self.child(key)) for key in self.field.fields)
        return [(key, position) for key, position in positions if position.is_live]

    @cached_property
    def has_others(self) -> bool:
        """Whether rules may apply under keys that are not known."""
        return self.field.other is not None or (self.field.free and self.field.pii is not Pii.NEVER)

    @cached_property
    def only(self) -> frozenset[str] | None:
        """The only fields of an object in which a rule may find something. None if that may be any key."""
        if self.has_others or self.field.by_type is not None or self.object_rule is not None:
            return None
        return frozenset(key for key, _ in self.known_fields)

    @cached_property
    def is_live(self) -> bool:
        """Whether a rule may find something here or below."""
        return (
            self.has_others
            or self.field.is_pairs
            or self.field.by_type is not None
            or self.text_checks is not None
            or self.looks_into_texts
            or (self.field.items is not None and self.item(0).is_live)
            or bool(self.known_fields)
        )

    @cached_property
    def text_checks(self) -> TextChecks | None:
        """The checks of a text here, or None if no rule applies."""
        checks = tuple(check for rule in self._rules("string") for check in self._checks(rule))
        if not checks:
            return None
        same = (self.field.is_path, *((check.rule.id, id(check.pattern), check.takes_all) for check in checks))
        return self.tree.shared_checks.setdefault(same, TextChecks(checks, self.field.is_path))

    @cached_property
    def as_structure(self) -> FieldPosition:
        """This position for a structure that a text holds. Every value in it is as likely to be personal as the text."""
        if self.field.free:
            return self
        return FieldPosition(self.tree, self.parent, self.key, self.index, _FREE[self.field.pii])

    @cached_property
    def form(self) -> FieldPosition | None:
        """The form or body in which this position is, or None. A form's own texts and those of its fields count."""
        if self.field.is_form:
            return self
        parent = self.parent
        return parent if parent is not None and parent.field.is_form else None

    @cached_property
    def looks_into_texts(self) -> bool:
        """Whether texts here are searched for keys that rules are about."""
        return self.tree.looks_into_texts and self.field.pii is not Pii.NEVER and not self.field.is_path

    @cached_property
    def number_rule(self) -> ScrubbingRule | None:
        """The rule that removes numbers here, if any."""
        return self._taking("number")

    @cached_property
    def object_rule(self) -> ScrubbingRule | None:
        """The rule that removes whole objects here, if any."""
        return self._taking("object")

    @cached_property
    def array_rule(self) -> ScrubbingRule | None:
        """The rule that removes whole lists here, if any."""
        return self._taking("array")

    def _taking(self, kind: str) -> ScrubbingRule | None:
        """Return the rule for values of this kind, which are not texts. Such values are removed, never replaced."""
        return next((rule for rule in self._rules(kind) if rule.anything or self._key_matches(rule)), None)

    def _key_matches(self, rule: ScrubbingRule) -> bool:
        return any(pattern.key is not None and pattern.key.search(self.key or "") for pattern in rule.patterns)

    def _checks(self, rule: ScrubbingRule) -> list[TextCheck]:
        if rule.anything:
            return [TextCheck(rule, ANYTHING, takes_all=True)]
        if self._key_matches(rule):
            return [TextCheck(rule, WHOLE, takes_all=True)]
        return [TextCheck(rule, pattern) for pattern in rule.patterns if not self._is_spared(pattern)]

    def _is_spared(self, pattern: Pattern) -> bool:
        """Whether a pattern does not apply to values of this key. The items of a list have the key of the list."""
        key = self.key if self.key is not None or self.parent is None else self.parent.key
        return pattern.spared_key is not None and pattern.spared_key.search(key or "") is not None

    def _rules(self, kind: str) -> list[ScrubbingRule]:
        if self.field.pii is Pii.NEVER:
            return []
        steps: list[_Step] = [_Step(self.key, self.index, self.field.types | {kind})]
        position = self.parent
        while position is not None and position.parent is not None:
            steps.append(_Step(position.key, position.index, position.types))
            position = position.parent
        steps.reverse()
        return [rule for one in self.tree.applications if one.selector.matches(steps, self.field.pii) for rule in one.rules]


@dataclass(frozen=True, slots=True)
class _Step:
    key: str | None
    index: int | None
    types: frozenset[str]


_FREE = {pii: Field(pii, free=True) for pii in Pii}
_NOTHING = Field()
