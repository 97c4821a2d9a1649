"""The grouping algorithm: a configuration with its rules and hash kind, applied to one event and its fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pipeline.grouping.configurations import Configuration
from pipeline.grouping.exception_hash_cache import ExceptionHashes, find_slot
from pipeline.grouping.fingerprint_rules.rule_set import FingerprintMatch
from pipeline.grouping.fingerprint_rules.variables import is_default, is_raw, is_unknown, resolve, variable_in
from pipeline.grouping.hashing import HASH_KINDS, HashKind
from pipeline.grouping.parameterization.messages import EventMessages
from pipeline.grouping.stack_cache import ProcessedStack, StackCache, StackProcessor
from pipeline.grouping.stack_normalization import Stack
from pipeline.grouping.stacktrace_rules.rule_set import load_stacktrace_rules
from pipeline.grouping.strategies.context import GroupingContext, Variants
from pipeline.grouping.strategies.exception import choose_exceptions
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
from pipeline.model.event import Event, exceptions, platform_of
from pipeline.model.rule_file import RuleFile

DEFAULT_FINGERPRINT = ["{{ default }}"]


class AlgorithmResult(NamedTuple):
    """The hashes to publish, the primary first, and the variants that they come from.

    `variants` is empty if the hashes were cached. `main_exception_id` is set if an exception group was reduced to one exception.
    """

    hashes: tuple[str, ...]
    variants: dict[str, Variant]
    main_exception_id: int | None = None


class Fingerprint(NamedTuple):
    """An event's fingerprint, with variables as written. `sent` is the sender's, which `values` equals unless a rule matched."""

    values: list[str]
    match: FingerprintMatch | None
    sent: list[str]

    @property
    def defaults(self) -> int:
        """The number of values that stand for the event's own grouping."""
        return 1 if self.values == DEFAULT_FINGERPRINT else sum(map(is_default, self.values))

    @property
    def is_plain(self) -> bool:
        """Whether the fingerprint is the default, which changes nothing."""
        return len(self.values) == 1 and self.defaults == 1

    @property
    def is_builtin(self) -> bool:
        """Whether it comes from a built-in rule."""
        return self.match is not None and self.match.is_builtin

    @property
    def client(self) -> list[str]:
        """The sender's values, or none if they are the default."""
        return [] if len(self.sent) == 1 and is_default(self.sent[0]) else self.sent

    def info(self) -> dict[str, Any]:
        """Return the origin of the values for `_fingerprint_info`, in the form of Sentry's events. Empty for the default."""
        info: dict[str, Any] = {}
        if self.client:
            info["client_fingerprint"] = self.client
        if self.match is not None:
            info["matched_rule"] = self.match.rule.to_json()
        return info

    def resolved(self, event: Event, ctx: GroupingContext) -> tuple[str, ...]:
        """Return the values with their variables replaced. `{{ default }}` stays."""
        configuration = ctx.configuration
        messages = _messages(event) if configuration.parameterize_fingerprints else set()
        resolved = []
        for value in self.values:
            text = resolve(value, event)
            if configuration.flag_unknown_variables and is_unknown(value):
                text = f"<unrecognized-variable-{variable_in(value)}>"
            elif text in messages and not is_raw(value):
                text = ctx.normalize(text)
            resolved.append(text)
        return tuple(resolved)


def _messages(event: Event) -> set[str]:
    entry = event.get("logentry")
    entries = [entry.get("formatted"), entry.get("message")] if entry else []
    values = [exception.get("value") for exception in exceptions(event)]
    return {text for text in (*entries, *values) if text}


class Algorithm(NamedTuple):
    """Maps a normalized event and its fingerprint to hashes."""

    configuration: Configuration
    kind: HashKind
    stacks: StackProcessor

    def process(self, stacks: Mapping[int, Stack]) -> dict[int, ProcessedStack]:
        """Process the stacks of an event. Keys are as in `find_stacks`: the identity of the stack trace's object."""
        return {key: self.stacks.process(stack) for key, stack in stacks.items()}

    def apply(
        self, event: Event, fingerprint: Fingerprint, stacks: Mapping[int, ProcessedStack], *, whole: bool
    ) -> AlgorithmResult:
        """Return the hashes and variants of an event. With `whole` the trees are complete, else only what the hashes need."""
        checksum = event.get("checksum")
        if checksum:
            variants = checksum_variants(checksum, self.kind)
            return AlgorithmResult(hashes_of(variants), variants)
        slot = None if whole or not fingerprint.is_plain else find_slot(event, stacks, self.configuration)
        known = slot.get() if slot is not None else None
        if known is not None:
            return AlgorithmResult(known.hashes, {}, known.main_exception_id)
        ctx = GroupingContext(
            self.configuration,
            platform_of(event),
            stack_variants=lambda stacktrace: _stack_variants(stacktrace, stacks, whole=whole),
            comparable_stack_variants=lambda stacktrace: _stack_variants(stacktrace, stacks, whole=whole, comparable=True),
            is_library_stack=lambda stacktrace: _is_library_stack(stacktrace, stacks, self.configuration),
            normalize=EventMessages(event, self.configuration.parameterization, self.configuration.kept_values).normalize,
            whole=whole,
        )
        if not fingerprint.defaults:
            roots = {}
            if whole:
                roots = component_variants(event, ctx, self.kind)
            else:  # no tree is needed, but the exception that a group is reduced to names the event
                choose_exceptions(event, ctx)
            variants = custom_variants(roots, fingerprint.resolved(event, ctx), self.kind, is_builtin=fingerprint.is_builtin)
        else:
            roots = component_variants(event, ctx, self.kind)
            if fingerprint.is_plain:
                variants = plain_variants(roots, self.kind)
            else:
                variants = salted_variants(roots, fingerprint.resolved(event, ctx), self.kind)
        variants = with_fallback(variants, self.kind)
        hashes = hashes_of(variants)
        if slot is not None and any(root.has_contributing("exception") for root in roots.values()):
            slot.put(ExceptionHashes(hashes, ctx.main_exception_id))
        return AlgorithmResult(hashes, variants, ctx.main_exception_id)


def _stack_variants(
    stacktrace: Any, stacks: Mapping[int, ProcessedStack], *, whole: bool, comparable: bool = False
) -> Variants | None:
    stack = stacks.get(id(stacktrace))
    return stack.variants(whole=whole, comparable=comparable) if stack is not None else None


def _is_library_stack(stacktrace: Any, stacks: Mapping[int, ProcessedStack], configuration: Configuration) -> bool:
    stack = stacks.get(id(stacktrace)) if configuration.library_stacks == "with-message" else None
    return stack is not None and stack.cached.is_library


def load_algorithm(
    configuration: Configuration, hash_name: str, rule_files: tuple[RuleFile, ...], cache: StackCache
) -> Algorithm:
    """Return the algorithm of a configuration, a hash kind and rule files. Rules of later files win. Raises InvalidRulesError."""
    kind = HASH_KINDS[hash_name]
    return Algorithm(configuration, kind, StackProcessor(load_stacktrace_rules(rule_files), configuration, kind, cache))
