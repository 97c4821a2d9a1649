"""Grouper: one project's grouping, loaded from its rule files. The way into this package.

Good: a stack seen before costs at most 100 µs of CPU, fingerprint rules and write-back included; one whose frames are all
new at most 1.5 ms (`scripts/bench grouping`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self, TypeVar

from pipeline.grouping.algorithm import DEFAULT_FINGERPRINT, Algorithm, Applied, Fingerprint, load_algorithm
from pipeline.grouping.explain.explanation import Explanation, MatchedRule
from pipeline.grouping.explain.rule_tracing import trace
from pipeline.grouping.fingerprint_rules.rule import FingerprintRule
from pipeline.grouping.fingerprint_rules.rule_set import FingerprintRules
from pipeline.grouping.group_overrides import GroupOverrides
from pipeline.grouping.grouping_toml import BASE_PREFIX, BASE_SUFFIX, GroupingToml, load_grouping_toml
from pipeline.grouping.memory import Memory
from pipeline.grouping.stack_normalization import Stack, StackCache, find_stacks, mark_frames, write_back
from pipeline.grouping.stacktrace_rules.rule import StackTraceRule
from pipeline.grouping.strategies.context import text_of
from pipeline.model.errors import InvalidRulesError, RuleError
from pipeline.model.grouping import Grouping
from pipeline.model.rule_file import Layer, RuleFile

T = TypeVar("T")

MEMORY_BYTES = 32_000_000
"""What all projects' memories of stacks take together: some 7,000 stacks of 25 frames, 12,000 of 12."""

STACKS: StackCache = Memory(MEMORY_BYTES)
"""Shared by all groupers of the process: the rules in force are part of the key, so that a reload forgets nothing of use."""

FINGERPRINT_INFO = "_fingerprint_info"
"""Where an event keeps the sender's fingerprint and the rule that matched."""

NO_SETTINGS = GroupingToml(enhancement_base="none", builtin_fingerprints=False)
"""In place of settings that are refused, so that the mistakes of the other files are found as well."""


class Grouper:
    """Groups events. `previous` is what was in force before a change, with the day (epoch seconds) on which it ends."""

    def __init__(
        self,
        algorithm: Algorithm,
        fingerprints: FingerprintRules,
        overrides: GroupOverrides,
        previous: tuple[Algorithm, float] | None = None,
    ) -> None:
        self._algorithm = algorithm
        self._fingerprints = fingerprints
        self._overrides = overrides
        self._previous = previous

    @classmethod
    def load(cls, layers: Sequence[Layer], bases: Layer, memory: StackCache = STACKS) -> Self:
        """Read the layers' rule files, the default's layer first. Raises InvalidRulesError with every mistake of every file."""
        errors: list[RuleError] = []
        settings = _attempt(errors, lambda: load_grouping_toml(layers, bases)) or NO_SETTINGS
        algorithm = _attempt(errors, lambda: _load_algorithm(settings, layers, bases, memory))
        previous = _attempt(errors, lambda: _load_previous(settings, layers, bases, memory)) if settings.has_previous else None
        fingerprints = _attempt(errors, lambda: _load_fingerprints(settings, layers, bases))
        overrides = _attempt(errors, lambda: GroupOverrides.load(layers))
        if errors or algorithm is None or fingerprints is None or overrides is None:
            raise InvalidRulesError(list(dict.fromkeys(errors)))
        return cls(algorithm, fingerprints, overrides, previous)

    @property
    def rules(self) -> tuple[StackTraceRule | FingerprintRule, ...]:
        """Every rule in force: stack-trace rules in the order in which they run, then fingerprint rules as they are tried."""
        return (*self._algorithm.stacks.rules.rules, *self._fingerprints.rules)

    def group(self, event: dict[str, Any], now: float | None = None) -> Grouping:
        """Group a normalized event. Writes in_app, function names and the fingerprint back to it; running twice changes nothing.

        The sender's fingerprint stays beside the one in force, with the rule that matched, under `_fingerprint_info`.
        `now` (epoch seconds) decides whether the hashes of a previous configuration are still published.
        """
        return self._group(event, now, whole=False).grouping

    def explain(self, event: dict[str, Any], now: float | None = None) -> Explanation:
        """Say why an event groups as it does. Changes the event as `group` does."""
        grouped = self._group(event, now, whole=True)
        rule = grouped.fingerprint.match.rule if grouped.fingerprint.match is not None else None
        return Explanation(
            event_id=text_of(event, "event_id"),
            configuration=self._algorithm.configuration.id,
            grouping=grouped.grouping,
            matched_rule=MatchedRule(str(rule), rule.file, rule.line, rule.is_builtin) if rule is not None else None,
            client_fingerprint=tuple(grouped.fingerprint.client),
            title=grouped.grouping.title or text_of(event, "title"),
            variants=grouped.applied.variants,
            touched_frames=[touched for stack in grouped.stacks.values() for touched in trace(stack, self._algorithm.stacks)],
        )

    def _group(self, event: dict[str, Any], now: float | None, *, whole: bool) -> _Grouped:
        stacks = find_stacks(event)
        for stack in stacks.values():
            write_back(stack.frames, self._algorithm.stacks.changes(stack))
        fingerprint = self._fingerprint(event, _sent_fingerprint(event))
        event["fingerprint"] = fingerprint.values
        info = fingerprint.info()
        if info:
            event[FINGERPRINT_INFO] = info
        else:
            event.pop(FINGERPRINT_INFO, None)
        applied = self._algorithm.apply(event, fingerprint, stacks, whole=whole)
        if applied.main_exception_id is not None:
            event["main_exception_id"] = applied.main_exception_id
        hashes = applied.hashes
        before = self._hashes_of_before(event, fingerprint, stacks, now)
        decided = self._overrides.group_of(hashes)
        published = before if self._is_changing(now) else ()
        grouping = Grouping(
            hashes=hashes,
            fingerprint=tuple(fingerprint.values),
            secondary_hashes=tuple(hash_ for hash_ in published if hash_ not in hashes),
            previous_primary_hash=published[0] if published else None,
            decided_group_id=decided if decided is not None else self._overrides.group_of(before),
            title=fingerprint.match.title if fingerprint.match is not None else None,
        )
        return _Grouped(grouping, applied, fingerprint, stacks)

    def _fingerprint(self, event: dict[str, Any], sent: list[str]) -> Fingerprint:
        match = self._fingerprints.match(event)
        values = sent if match is None else match.values
        return Fingerprint(values or list(DEFAULT_FINGERPRINT), match, sent)

    def _is_changing(self, now: float | None) -> bool:
        """Say whether the hashes of the configuration before are still published."""
        return self._previous is not None and now is not None and now < self._previous[1]

    def _hashes_of_before(
        self, event: dict[str, Any], fingerprint: Fingerprint, stacks: dict[int, Stack], now: float | None
    ) -> tuple[str, ...]:
        """Give the hashes of the configuration before, where anyone asks: a decision about one of them outlives the change.

        Fingerprints read `in_app`. Where the rules of before decide it otherwise, the fingerprint is found anew on what they say.
        """
        if self._previous is None or not (self._overrides.groups or self._is_changing(now)):
            return ()
        algorithm = self._previous[0]
        marks = [
            (stack.frames, algorithm.stacks.in_app(stack), [frame["in_app"] for frame in stack.frames])
            for stack in stacks.values()
        ]
        if all(before == after for _, before, after in marks):
            return algorithm.apply(event, fingerprint, stacks, whole=False).hashes
        try:
            for frames, before, _ in marks:
                mark_frames(frames, before)
            return algorithm.apply(event, self._fingerprint(event, fingerprint.sent), stacks, whole=False).hashes
        finally:
            for frames, _, after in marks:
                mark_frames(frames, after)


class _Grouped(NamedTuple):
    """A grouped event, with what led to its hashes."""

    grouping: Grouping
    applied: Applied
    fingerprint: Fingerprint
    stacks: dict[int, Stack]


def _sent_fingerprint(event: dict[str, Any]) -> list[str]:
    """Give the fingerprint that the sender wrote, also where an earlier run replaced it."""
    info = event.get(FINGERPRINT_INFO)
    sent = info.get("client_fingerprint") if isinstance(info, dict) else event.get("fingerprint")
    if not isinstance(sent, list):
        return []
    return [value if isinstance(value, str) else str(value) for value in sent if isinstance(value, (str, int, float))]


def _attempt(errors: list[RuleError], load: Callable[[], T]) -> T | None:
    try:
        return load()
    except InvalidRulesError as error:
        errors += error.errors
        return None


def _load_algorithm(settings: GroupingToml, layers: Sequence[Layer], bases: Layer, memory: StackCache) -> Algorithm:
    files = _enhancement_files(settings.enhancement_base, layers, bases)
    return load_algorithm(settings.strategy, settings.hash, files, memory)


def _load_previous(
    settings: GroupingToml, layers: Sequence[Layer], bases: Layer, memory: StackCache
) -> tuple[Algorithm, float] | None:
    if settings.previous_until is None:
        return None
    files = _enhancement_files(settings.previous_enhancement_base or settings.enhancement_base, layers, bases)
    algorithm = load_algorithm(
        settings.previous_strategy or settings.strategy, settings.previous_hash or settings.hash, files, memory
    )
    ends = dt.datetime.combine(settings.previous_until, dt.time(), dt.UTC) + dt.timedelta(days=1)
    return algorithm, ends.timestamp()


def _load_fingerprints(settings: GroupingToml, layers: Sequence[Layer], bases: Layer) -> FingerprintRules:
    files = [layer["fingerprints.rules"] for layer in reversed(layers) if "fingerprints.rules" in layer]
    return FingerprintRules.load(files, _newest(bases, "fingerprints@") if settings.builtin_fingerprints else None)


def _enhancement_files(date: str | None, layers: Sequence[Layer], bases: Layer) -> tuple[RuleFile, ...]:
    """Give the files of stack-trace rules, those that win last; without a date the newest base comes first."""
    base = _newest(bases, BASE_PREFIX) if date is None else bases.get(f"{BASE_PREFIX}{date}{BASE_SUFFIX}")
    own = [layer["enhancements.rules"] for layer in layers if "enhancements.rules" in layer]
    return (*([base] if base is not None else []), *own)


def _newest(bases: Layer, prefix: str) -> RuleFile | None:
    name = max((name for name in bases if name.startswith(prefix) and name.endswith(BASE_SUFFIX)), default=None)
    return bases[name] if name is not None else None
