"""Grouper: one project's grouping, loaded from its rule files. The way into this package.

Good: a stack seen before costs at most 100 µs of CPU, fingerprint rules and write-back included; one whose frames are all
new at most 1.5 ms (`scripts/bench grouping`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from pipeline.grouping.configurations import CONFIGURATIONS, Configuration
from pipeline.grouping.decisions import Decisions
from pipeline.grouping.enhancements.rule import EnhancementRule
from pipeline.grouping.enhancements.ruleset import load_rule_set
from pipeline.grouping.explanation import Explanation, MatchedRule
from pipeline.grouping.fingerprints.rule import Rule
from pipeline.grouping.fingerprints.rules import FingerprintRules, Match
from pipeline.grouping.fingerprints.variables import is_default, is_unknown, resolve, variable_in
from pipeline.grouping.grouping_toml import BASE_PREFIX, BASE_SUFFIX, load_grouping_toml
from pipeline.grouping.hashing import HASH_KINDS, HashKind
from pipeline.grouping.memory import Memory
from pipeline.grouping.parameterization import normalize_message
from pipeline.grouping.platforms import platform_of
from pipeline.grouping.stacks import Stack, StackMemory, StackReader, find_stacks, write_back
from pipeline.grouping.strategies.context import StrategyContext, Variants, interface_values, text_of
from pipeline.grouping.tracing import trace
from pipeline.grouping.variants import (
    Variant,
    checksum_variants,
    component_variants,
    custom_variants,
    hashes_of,
    plain_variants,
    salted_variants,
    with_fallback,
)
from pipeline.model.errors import InvalidRulesError
from pipeline.model.grouping import Grouping
from pipeline.model.rule_file import Layer, RuleFile

MEMORY_BYTES = 32_000_000
"""What all projects' memories of stacks take together: some 8,000 stacks of 25 frames."""

STACKS: StackMemory = Memory(MEMORY_BYTES)
"""Shared by all groupers of the process: the rules in force are part of the key, so that a reload forgets nothing of use."""

DEFAULT_FINGERPRINT = ["{{ default }}"]


class Algorithm(NamedTuple):
    """A configuration with its rules and hash: what maps a normalized event and its fingerprint to hashes."""

    configuration: Configuration
    kind: HashKind
    stacks: StackReader

    def variants(
        self, event: dict[str, Any], fingerprint: Fingerprint, stacks: dict[int, Stack], *, whole: bool
    ) -> dict[str, Variant]:
        """Give every way to group the event. With `whole` the trees are complete, else only as far as hashes need them."""
        checksum = event.get("checksum")
        if isinstance(checksum, str) and checksum:
            return checksum_variants(checksum, self.kind)
        ctx = StrategyContext(
            self.configuration, platform_of(event), lambda stacktrace: self._stack(stacktrace, stacks, whole=whole), whole
        )
        if not fingerprint.defaults:
            roots = component_variants(event, ctx, self.kind) if whole else {}
            variants = custom_variants(
                roots, fingerprint.resolved(event, self.configuration), self.kind, is_builtin=fingerprint.is_builtin
            )
        else:
            roots = component_variants(event, ctx, self.kind)
            if fingerprint.is_plain:
                variants = plain_variants(roots, self.kind)
            else:
                variants = salted_variants(roots, fingerprint.resolved(event, self.configuration), self.kind)
        if ctx.main_exception_id is not None:
            event["main_exception_id"] = ctx.main_exception_id
        return with_fallback(variants, self.kind)

    def _stack(self, stacktrace: Any, stacks: dict[int, Stack], *, whole: bool) -> Variants | None:
        stack = stacks.get(id(stacktrace))
        if stack is None:
            return None
        return self.stacks.trees(stack) if whole else self.stacks.variants(stack)


class Fingerprint(NamedTuple):
    """An event's fingerprint: as the rules or the sender wrote it."""

    values: list[str]
    match: Match | None

    @property
    def defaults(self) -> int:
        """Count the values that stand for the event's own grouping."""
        return sum(map(is_default, self.values))

    @property
    def is_plain(self) -> bool:
        """Say whether the fingerprint changes nothing."""
        return len(self.values) == 1 and self.defaults == 1

    @property
    def is_builtin(self) -> bool:
        """Say whether a rule that came with the release gave it."""
        return self.match is not None and self.match.is_builtin

    def resolved(self, event: dict[str, Any], configuration: Configuration) -> tuple[str, ...]:
        """Give the values with their variables filled in; those of `{{ default }}` stay."""
        messages = _messages(event) if configuration.parameterize_fingerprints else set()
        resolved = []
        for value in self.values:
            text = resolve(value, event)
            if configuration.flag_unknown_variables and is_unknown(value):
                text = f"<unrecognized-variable-{variable_in(value)}>"
            elif text in messages:
                text = normalize_message(text, configuration.parameterization)
            resolved.append(text)
        return tuple(resolved)


def _messages(event: dict[str, Any]) -> set[str]:
    entry = event.get("logentry")
    entries = [text_of(entry, "formatted"), text_of(entry, "message")] if isinstance(entry, dict) else []
    values = [text_of(exception, "value") for exception in interface_values(event, "exception")]
    return {text for text in (*entries, *values) if text}


class Grouper:
    """Groups events. `previous` is what was in force before a change, with the day (epoch seconds) on which it ends."""

    def __init__(
        self,
        algorithm: Algorithm,
        fingerprints: FingerprintRules,
        decisions: Decisions,
        previous: tuple[Algorithm, float] | None = None,
    ) -> None:
        self._algorithm = algorithm
        self._fingerprints = fingerprints
        self._decisions = decisions
        self._previous = previous

    @classmethod
    def load(cls, layers: Sequence[Layer], bases: Layer, memory: StackMemory = STACKS) -> Self:
        """Read the layers' rule files, the default's layer first. Raises InvalidRulesError with every mistake of every file."""
        errors = []
        parts: list[Any] = []
        for load in (
            lambda: _load_algorithms(layers, bases, memory),
            lambda: _load_fingerprints(layers, bases),
            lambda: Decisions.load(layers),
        ):
            try:
                parts.append(load())
            except InvalidRulesError as error:
                errors += error.errors
        if errors:
            raise InvalidRulesError(errors)
        (algorithm, previous), fingerprints, decisions = parts
        return cls(algorithm, fingerprints, decisions, previous)

    @property
    def rules(self) -> tuple[EnhancementRule | Rule, ...]:
        """Every rule in force: stack-trace rules in the order in which they run, then fingerprint rules as they are tried."""
        return (*self._algorithm.stacks.rules.rules, *self._fingerprints.rules)

    def group(self, event: dict[str, Any], now: float | None = None) -> Grouping:
        """Group a normalized event. Writes in_app, function names and the fingerprint back to it; running twice changes nothing.

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
            title=grouped.grouping.title or text_of(event, "title"),
            variants=grouped.variants,
            touched_frames=[touched for stack in grouped.stacks.values() for touched in trace(stack, self._algorithm.stacks)],
        )

    def _group(self, event: dict[str, Any], now: float | None, *, whole: bool) -> _Grouped:
        stacks = find_stacks(event)
        for stack in stacks.values():
            write_back(stack.frames, self._algorithm.stacks.changes(stack))
        fingerprint = self._fingerprint(event)
        event["fingerprint"] = fingerprint.values
        variants = self._algorithm.variants(event, fingerprint, stacks, whole=whole)
        hashes = hashes_of(variants)
        before = self._hashes_of_before(event, fingerprint, stacks, now)
        decided = self._decisions.group_of(hashes)
        published = before if self._is_changing(now) else ()
        grouping = Grouping(
            hashes=hashes,
            fingerprint=tuple(fingerprint.values),
            secondary_hashes=tuple(hash_ for hash_ in published if hash_ not in hashes),
            previous_primary_hash=published[0] if published else None,
            decided_group_id=decided if decided is not None else self._decisions.group_of(before),
            title=fingerprint.match.title if fingerprint.match is not None else None,
        )
        return _Grouped(grouping, variants, fingerprint, stacks)

    def _fingerprint(self, event: dict[str, Any]) -> Fingerprint:
        match = self._fingerprints.match(event)
        if match is not None and match.values:
            return Fingerprint(match.values, match)
        sent = event.get("fingerprint")
        values = (
            [value if isinstance(value, str) else str(value) for value in sent if isinstance(value, (str, int, float))]
            if isinstance(sent, list)
            else []
        )
        return Fingerprint(values or list(DEFAULT_FINGERPRINT), match)

    def _is_changing(self, now: float | None) -> bool:
        """Say whether the hashes of the configuration before are still published."""
        return self._previous is not None and now is not None and now < self._previous[1]

    def _hashes_of_before(
        self, event: dict[str, Any], fingerprint: Fingerprint, stacks: dict[int, Stack], now: float | None
    ) -> tuple[str, ...]:
        """Give the hashes of the configuration before, where anyone asks: a decision about one of them outlives the change."""
        if self._previous is None or not (self._decisions.groups or self._is_changing(now)):
            return ()
        return hashes_of(self._previous[0].variants(event, fingerprint, stacks, whole=False))


class _Grouped(NamedTuple):
    """A grouped event, with what led to its hashes."""

    grouping: Grouping
    variants: dict[str, Variant]
    fingerprint: Fingerprint
    stacks: dict[int, Stack]


def _load_algorithms(
    layers: Sequence[Layer], bases: Layer, memory: StackMemory
) -> tuple[Algorithm, tuple[Algorithm, float] | None]:
    own_files = tuple(layer["enhancements.rules"] for layer in layers if "enhancements.rules" in layer)
    try:
        settings = load_grouping_toml(layers, bases)
    except InvalidRulesError as error:
        _collect_rule_errors(own_files, error)
        raise
    algorithm = _algorithm(settings.strategy, settings.hash, settings.enhancement_base, own_files, bases, memory)
    if not settings.has_previous or settings.previous_until is None:
        return algorithm, None
    previous = _algorithm(
        settings.previous_strategy or settings.strategy,
        settings.previous_hash or settings.hash,
        settings.previous_enhancement_base or settings.enhancement_base,
        own_files,
        bases,
        memory,
    )
    ends = dt.datetime.combine(settings.previous_until, dt.time(), dt.UTC) + dt.timedelta(days=1)
    return algorithm, (previous, ends.timestamp())


def _collect_rule_errors(files: Sequence[RuleFile], errors: InvalidRulesError) -> None:
    """Add the mistakes of rules to those of the settings, which say where the rules begin."""
    try:
        load_rule_set(tuple(files))
    except InvalidRulesError as more:
        errors.errors.extend(more.errors)


def _algorithm(
    strategy: str, hash_: str, base: str | None, own: tuple[RuleFile, ...], bases: Layer, memory: StackMemory
) -> Algorithm:
    file = _base_file(bases, BASE_PREFIX, base)
    rules = load_rule_set((*((file,) if file is not None else ()), *own))
    configuration, kind = CONFIGURATIONS[strategy], HASH_KINDS[hash_]
    return Algorithm(configuration, kind, StackReader(rules, configuration, kind, memory))


def _base_file(bases: Layer, prefix: str, date: str | None) -> RuleFile | None:
    """Give the base of a date; without one the newest."""
    if date == "none":
        return None
    if date is not None:
        return bases[f"{prefix}{date}{BASE_SUFFIX}"]
    newest = max((name for name in bases if name.startswith(prefix) and name.endswith(BASE_SUFFIX)), default=None)
    return bases[newest] if newest is not None else None


def _load_fingerprints(layers: Sequence[Layer], bases: Layer) -> FingerprintRules:
    files = [layer["fingerprints.rules"] for layer in reversed(layers) if "fingerprints.rules" in layer]
    try:
        wanted = load_grouping_toml(layers, bases).builtin_fingerprints
    except InvalidRulesError:  # reported with the rest of the settings
        wanted = False
    return FingerprintRules.load(files, _base_file(bases, "fingerprints@", None) if wanted else None)
