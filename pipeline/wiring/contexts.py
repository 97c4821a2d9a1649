"""The `Context` that the stages of each runtime get: which clock, which rules, which ledger, which source maps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from pipeline.model.known_stack import KnownStacks
from pipeline.quotas.ledger import Ledger, Polled, UncountedLedger
from pipeline.rules.folder import RulesFolder
from pipeline.rules.snapshot import Rules
from pipeline.settings.schema import Settings
from pipeline.sourcemaps.artifacts import Artifacts
from pipeline.stages.contract import Context, StageLimits
from pipeline.wiring.artifacts import open_artifacts

KNOWN_STACKS_BYTES = 64_000_000
"""What the memory of whole stacks may take: some 1,000 stacks of 25 frames with their source lines."""

MakeContext = Callable[[tuple[Polled, ...]], Context]
"""Returns the context of one batch, given the ranges of offsets that the batch covers (empty outside of Kafka)."""


def configured_artifacts(settings: Settings) -> Artifacts | None:
    """Return the artifact store with its caches, or None if no store is configured. Symbolication is off without one."""
    return open_artifacts(settings.artifacts) if settings.artifacts.url is not None else None


def worker_context(settings: Settings, rules: RulesFolder, ledger: Ledger, store: Artifacts | None) -> MakeContext:
    """Return a function that makes the context of a batch: with the present time, and the rules in force now."""
    limits = _limits(settings)
    known = KnownStacks(KNOWN_STACKS_BYTES)

    def context(polled: tuple[Polled, ...]) -> Context:
        return Context(
            now=time.time(), rules=rules.current, ledger=ledger, artifacts=store, polled=polled, limits=limits, known_stacks=known
        )

    return context


def replay_context(settings: Settings, rules: Rules, ledger: Ledger, *, now: float) -> MakeContext:
    """Return a function that makes the context of a batch: always with the same time and the same rules."""
    store = configured_artifacts(settings)
    limits = _limits(settings)
    known = KnownStacks(KNOWN_STACKS_BYTES)

    def context(polled: tuple[Polled, ...]) -> Context:
        return Context(now, rules, ledger, store, polled, limits, known)

    return context


def explain_context(settings: Settings, rules: Rules, *, now: float) -> Context:
    """Return the context of a command that counts and stores nothing, and works every stack out anew."""
    return replace(replay_context(settings, rules, UncountedLedger(), now=now)(()), known_stacks=None)


def _limits(settings: Settings) -> StageLimits:
    return StageLimits(
        max_record_bytes=settings.input.max_record_bytes,
        unknown_projects=settings.input.unknown_projects,
        max_output_bytes=settings.kafka.max_output_bytes,
    )
