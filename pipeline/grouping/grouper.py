"""The grouper of one project, loaded from its rule files. It is the entry point of the package.

Budget: a stack that was seen before costs at most 100 µs of CPU, with fingerprint rules and writing to the event. A stack
whose frames are all new costs at most 1.5 ms. `scripts/bench grouping` measures both.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple, Self, TypeVar

from pipeline.grouping.algorithm import DEFAULT_FINGERPRINT, Algorithm, AlgorithmResult, Fingerprint, load_algorithm
from pipeline.grouping.caches import GroupingCaches
from pipeline.grouping.configurations import CONFIGURATIONS
from pipeline.grouping.explain.explanation import Explanation, MatchedRule
from pipeline.grouping.explain.rule_tracing import trace
from pipeline.grouping.fingerprint_rules.rule import FingerprintRule
from pipeline.grouping.fingerprint_rules.rule_set import FingerprintRules
from pipeline.grouping.group_overrides import GroupOverrides
from pipeline.grouping.grouping_toml import BASE_PREFIX, BASE_SUFFIX, GroupingToml, load_grouping_toml
from pipeline.grouping.stack_cache import StackCache
from pipeline.grouping.stack_normalization import Stack, find_stacks, mark_frames, write_back
from pipeline.grouping.stacktrace_rules.rule import StackTraceRule
from pipeline.model.errors import InvalidRulesError, RuleError
from pipeline.model.event import Event, ExceptionValue
from pipeline.model.grouping import Grouping
from pipeline.model.rule_file import Layer, RuleFile

T = TypeVar("T")

FINGERPRINT_INFO: Final = "_fingerprint_info"
"""The field of an event that holds the sender's fingerprint and the rule that matched, if they are not the default."""

EMPTY_SETTINGS = GroupingToml(enhancement_base="none", builtin_fingerprints=False)
"""Replaces a `grouping.toml` with mistakes, so that the mistakes in other files are found too."""


class Grouper:
    """Groups the events of one project.

    `previous` is what was in force before a change, until the change is complete.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        fingerprints: FingerprintRules,
        overrides: GroupOverrides,
        previous: Previous | None = None,
    ) -> None:
        self._algorithm = algorithm
        self._fingerprints = fingerprints
        self._overrides = overrides
        self._previous = previous

    @classmethod
    def load(cls, layers: Sequence[Layer], bases: Layer, caches: GroupingCaches | None = None) -> Self:
        """Load a grouper from rule files, the default's layer first.

        Groupers that should share their caches get the same `caches`. Without it the grouper has its own.
        Raises InvalidRulesError with every mistake of every file.
        """
        caches = caches or GroupingCaches()
        stacks = caches.stacks
        errors: list[RuleError] = []
        settings = _attempt(errors, lambda: load_grouping_toml(layers, bases)) or EMPTY_SETTINGS
        algorithm = _attempt(errors, lambda: _load_algorithm(settings, layers, bases, stacks))
        fingerprints = _attempt(errors, lambda: _load_fingerprints(settings, settings.strategy, layers, bases, caches))
        previous = None
        if settings.has_previous and fingerprints is not None:
            now = fingerprints
            previous = _attempt(errors, lambda: _load_previous(settings, layers, bases, caches, now))
        overrides = _attempt(errors, lambda: GroupOverrides.load(layers))
        if errors or algorithm is None or fingerprints is None or overrides is None:
            raise InvalidRulesError(list(dict.fromkeys(errors)))
        return cls(algorithm, fingerprints, overrides, previous)

    @property
    def rules(self) -> tuple[StackTraceRule | FingerprintRule, ...]:
        """Every rule in force: stack-trace rules in the order in which they run, then fingerprint rules in the order of trial."""
        return (*self._algorithm.stacks.rules.rules, *self._fingerprints.rules)

    def group(self, event: Event, now: float | None = None) -> Grouping:
        """Group a normalized event.

        Writes `in_app`, function names, `main_exception_id` and the fingerprint in force to the event. `_fingerprint_info` keeps
        the sender's fingerprint and the rule that matched. A second run changes nothing.

        `now` in epoch seconds decides whether the hashes of a previous configuration are still published.
        """
        return self._group(event, now, whole=False).grouping

    def stack_key(self, platform: str, exception: ExceptionValue | None) -> Hashable | None:
        """Return what decides, besides its frames, what `group` writes to a stack. None during a change of configuration.

        `exception` is the stack's owner, or None. During a change, a stack is marked twice.
        """
        if self._previous is not None:
            return None
        return self._algorithm.stacks.seed, platform, self._algorithm.stacks.rules.exception_key(exception)

    def explain(self, event: Event, now: float | None = None) -> Explanation:
        """Return why an event groups as it does. Changes the event as `group` does."""
        grouped = self._group(event, now, whole=True)
        rule = grouped.fingerprint.match.rule if grouped.fingerprint.match is not None else None
        rules = self._algorithm.stacks.rules
        return Explanation(
            event_id=event.get("event_id"),
            configuration=self._algorithm.configuration.id,
            grouping=grouped.grouping,
            matched_rule=MatchedRule(str(rule), rule.file, rule.line, rule.is_builtin) if rule is not None else None,
            client_fingerprint=tuple(grouped.fingerprint.client),
            title=grouped.grouping.title or event.get("title"),
            variants=grouped.result.variants,
            touched_frames=[
                touched for stack in grouped.stacks.values() for touched in trace(stack, rules, self._algorithm.configuration)
            ],
        )

    def _group(self, event: Event, now: float | None, *, whole: bool) -> _Grouped:
        stacks = find_stacks(event)
        processed = self._algorithm.process(stacks)
        for one in processed.values():
            if one.stack.settled is None:
                write_back(one.stack.frames, one.cached.changes)
        fingerprint = _fingerprint(self._fingerprints, event, _sent_fingerprint(event))
        event["fingerprint"] = fingerprint.values
        info = fingerprint.info()
        if info:
            event[FINGERPRINT_INFO] = info
        else:
            event.pop(FINGERPRINT_INFO, None)
        result = self._algorithm.apply(event, fingerprint, processed, whole=whole)
        if result.main_exception_id is not None:
            event["main_exception_id"] = result.main_exception_id
        hashes = result.hashes
        before = self._previous_hashes(event, fingerprint, stacks, now)
        group_id = self._overrides.group_of(hashes)
        published = before if self._is_changing(now) else ()
        grouping = Grouping(
            hashes=hashes,
            fingerprint=tuple(fingerprint.values),
            secondary_hashes=tuple(hash_ for hash_ in published if hash_ not in hashes),
            previous_primary_hash=published[0] if published else None,
            decided_group_id=group_id if group_id is not None else self._overrides.group_of(before),
            title=fingerprint.match.title if fingerprint.match is not None else None,
        )
        return _Grouped(grouping, result, fingerprint, stacks)

    def _is_changing(self, now: float | None) -> bool:
        """Whether the hashes of the previous configuration are still published."""
        return self._previous is not None and now is not None and now < self._previous.ends

    def _previous_hashes(
        self, event: Event, fingerprint: Fingerprint, stacks: dict[int, Stack], now: float | None
    ) -> tuple[str, ...]:
        """Return the hashes of the previous configuration if they are needed, else none.

        They are needed during a change, and for overrides: an override of a previous hash outlives the change.

        The fingerprint is determined again if other fingerprint rules were in force, or if the previous stack-trace rules
        set `in_app` differently, which fingerprint rules read.
        """
        if self._previous is None or not (self._overrides.groups or self._is_changing(now)):
            return ()
        algorithm, rules, _ = self._previous
        processed = algorithm.process(stacks)
        marks = [
            (one.stack.frames, one.in_app(), [bool(frame["in_app"]) for frame in one.stack.frames]) for one in processed.values()
        ]
        if rules is self._fingerprints and all(before == after for _, before, after in marks):
            return algorithm.apply(event, fingerprint, processed, whole=False).hashes
        try:
            for frames, before, _ in marks:
                mark_frames(frames, before)
            return algorithm.apply(event, _fingerprint(rules, event, fingerprint.sent), processed, whole=False).hashes
        finally:
            for frames, _, after in marks:
                mark_frames(frames, after)


class Previous(NamedTuple):
    """What was in force before a change, and the time in epoch seconds at which the change is complete."""

    algorithm: Algorithm
    fingerprints: FingerprintRules
    ends: float


class _Grouped(NamedTuple):
    """A grouped event, with what led to its hashes."""

    grouping: Grouping
    result: AlgorithmResult
    fingerprint: Fingerprint
    stacks: dict[int, Stack]


def _fingerprint(rules: FingerprintRules, event: Event, sent: list[str]) -> Fingerprint:
    """Return the fingerprint in force: that of the rule which matches, else the sender's."""
    match = rules.match(event)
    values = sent if match is None else match.values
    return Fingerprint(values or list(DEFAULT_FINGERPRINT), match, sent)


def _sent_fingerprint(event: Event) -> list[str]:
    """Return the fingerprint that the sender wrote, even if an earlier run replaced it in the event."""
    info = event.get(FINGERPRINT_INFO)
    sent = info.get("client_fingerprint") if info else event.get("fingerprint")
    return [value for value in sent or () if value is not None]


def _attempt(errors: list[RuleError], load: Callable[[], T]) -> T | None:
    try:
        return load()
    except InvalidRulesError as error:
        errors += error.errors
        return None


def _load_algorithm(settings: GroupingToml, layers: Sequence[Layer], bases: Layer, cache: StackCache) -> Algorithm:
    files = _stacktrace_rule_files(settings.enhancement_base, settings.strategy, layers, bases)
    configuration = replace(
        CONFIGURATIONS[settings.strategy],
        kept_values=frozenset(settings.keep_values),
        in_app_of_sender=settings.in_app == "sender",
    )
    return load_algorithm(configuration, settings.hash, files, cache)


def _load_previous(
    settings: GroupingToml, layers: Sequence[Layer], bases: Layer, caches: GroupingCaches, now: FingerprintRules
) -> Previous | None:
    """Return what was in force before. `now` are the fingerprint rules in force, which are shared if nothing else was."""
    if settings.previous_until is None:
        return None
    strategy = settings.previous_strategy or settings.strategy
    files = _stacktrace_rule_files(settings.previous_enhancement_base or settings.enhancement_base, strategy, layers, bases)
    kept = settings.keep_values if settings.previous_keep_values is None else settings.previous_keep_values
    configuration = replace(
        CONFIGURATIONS[strategy],
        kept_values=frozenset(kept),
        in_app_of_sender=(settings.previous_in_app or settings.in_app) == "sender",
    )
    algorithm = load_algorithm(configuration, settings.previous_hash or settings.hash, files, caches.stacks)
    same = _builtin_rules(settings, strategy, bases) == _builtin_rules(settings, settings.strategy, bases)
    fingerprints = now if same else _load_fingerprints(settings, strategy, layers, bases, caches)
    ends = dt.datetime.combine(settings.previous_until, dt.time(), dt.UTC) + dt.timedelta(days=1)
    return Previous(algorithm, fingerprints, ends.timestamp())


def _load_fingerprints(
    settings: GroupingToml, strategy: str, layers: Sequence[Layer], bases: Layer, caches: GroupingCaches
) -> FingerprintRules:
    files = [layer["fingerprints.rules"] for layer in reversed(layers) if "fingerprints.rules" in layer]
    return FingerprintRules.load(files, _builtin_rules(settings, strategy, bases), caches.rule_masks)


def _builtin_rules(settings: GroupingToml, strategy: str, bases: Layer) -> RuleFile | None:
    return _newest(bases, "fingerprints@", strategy) if settings.builtin_fingerprints else None


def _stacktrace_rule_files(date: str | None, strategy: str, layers: Sequence[Layer], bases: Layer) -> tuple[RuleFile, ...]:
    """Return the files of stack-trace rules, the base first. Later files win. Without a date the strategy's base is taken."""
    base = _newest(bases, BASE_PREFIX, strategy) if date is None else bases.get(f"{BASE_PREFIX}{date}{BASE_SUFFIX}")
    own = [layer["enhancements.rules"] for layer in layers if "enhancements.rules" in layer]
    return (*([base] if base is not None else []), *own)


def _newest(bases: Layer, prefix: str, strategy: str) -> RuleFile | None:
    """Return the newest base that the strategy admits, or None.

    A base that was added later never changes the result of a strategy.
    """
    latest = f"{prefix}{CONFIGURATIONS[strategy].bases_until}{BASE_SUFFIX}"
    name = max((name for name in bases if name.startswith(prefix) and name <= latest), default=None)
    return bases[name] if name is not None else None
