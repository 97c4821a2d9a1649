"""The result of a stack trace, cached: what normalization changes in its frames, and the two trees for the hashes.

The same stacks come again and again. The key is a digest of everything that decides the result: the frames' fields, the
platform, the rules, the configuration, and which rules the owning exception excludes. See docs/spec/grouping.md.
"""

from __future__ import annotations

import marshal
from dataclasses import dataclass

import orjson
import xxhash

from pipeline.grouping.configurations import Configuration
from pipeline.grouping.hashing import HashKind
from pipeline.grouping.stack_normalization import FrameChange, NormalizedStack, Stack, normalize_stack
from pipeline.grouping.stacktrace_rules.rule_set import StackTraceRules
from pipeline.grouping.strategies.context import Variants
from pipeline.grouping.strategies.stacktrace import build_stack
from pipeline.model.byte_bounded_lru import ByteBoundedLru

ENTRY_OVERHEAD_BYTES = 1_400
CHANGE_BYTES = 105
RENAMING_BYTES = 250
"""Measured with tracemalloc on stacks of 12 and 25 frames: an entry takes `ENTRY_OVERHEAD_BYTES` and its leaves, plus
`CHANGE_BYTES` for each changed frame, plus `RENAMING_BYTES` and the names for each renamed frame."""


@dataclass(slots=True)
class CachedStack:
    """The result of one stack trace.

    `is_library` is set if every frame is out of the app because the sender or a rule said so.
    `variants` are the flattened trees `app` and `system`, or None while no strategy has asked for them.
    `exception_hashes` belongs to `exception_hash_cache.py`: the digest of the last exceptions that ended in this stack, their
    hashes, and the id of the main exception.
    """

    key: bytes
    changes: tuple[FrameChange, ...]
    is_library: bool
    variants: Variants | None = None
    exception_hashes: tuple[bytes, tuple[str, ...], int | None] | None = None

    def cost_bytes(self) -> int:
        """Return an estimate of the memory that this entry uses."""
        leaves = sum(len(component.values[0]) for component in self.variants.values()) if self.variants else 0
        names = [
            len(change.function) + len(change.raw_function) for change in self.changes if change.function and change.raw_function
        ]
        return ENTRY_OVERHEAD_BYTES + CHANGE_BYTES * len(self.changes) + RENAMING_BYTES * len(names) + sum(names) + leaves


StackCache = ByteBoundedLru[bytes, CachedStack]


class StackProcessor:
    """Processes stacks under one set of rules, one configuration and one kind of hash."""

    def __init__(self, rules: StackTraceRules, configuration: Configuration, kind: HashKind, cache: StackCache) -> None:
        self.rules = rules
        self._configuration = configuration
        self._kind = kind
        self._cache = cache
        self.seed = b"\0".join([rules.version, configuration.digest, kind.name.encode()])

    def process(self, stack: Stack) -> ProcessedStack:
        """Return the stack's result, from the cache if it is there. A settled stack brings its result along."""
        settled = stack.settled
        if settled is not None and settled.grouped is not None:
            return ProcessedStack(stack, settled.grouped, self)
        key = self._key(stack)
        found = self._cache.get(key)
        if found is None:
            normalized = normalize_stack(stack, self.rules, self._configuration)
            found = CachedStack(key, normalized.changes, normalized.is_library)
            if stack.is_candidate:
                found.variants = self._flattened(normalized, stack.platform)
            self._cache.put(key, found, found.cost_bytes())
        if settled is not None:
            settled.grouped = found
        return ProcessedStack(stack, found, self)

    def add_variants(self, stack: Stack, cached: CachedStack, *, comparable: bool = False) -> Variants:
        """Build the trees that a cached stack lacks so far, and return them."""
        normalized = normalize_stack(stack, self.rules, self._configuration)
        cached.variants = variants = self._flattened(normalized, stack.platform, comparable=comparable)
        self._cache.put(cached.key, cached, cached.cost_bytes())
        return variants

    def trees(self, stack: Stack) -> Variants:
        """Return both trees with all their nodes, built anew. `explain` shows them."""
        return self._build(normalize_stack(stack, self.rules, self._configuration), stack.platform)

    def _build(self, normalized: NormalizedStack, platform: str) -> Variants:
        return build_stack(normalized.frames, normalized.matching, platform, self._configuration)

    def _flattened(self, normalized: NormalizedStack, platform: str, *, comparable: bool = False) -> Variants:
        trees = self._build(normalized, platform)
        return {name: tree.flattened(self._kind, comparable=comparable) for name, tree in trees.items()}

    def _key(self, stack: Stack) -> bytes:
        try:
            rows = orjson.dumps(stack.rows)
        except TypeError:  # a lone surrogate or a number of more than 64 bits, which JSON cannot hold
            rows = marshal.dumps(stack.rows, 2)
        digest = xxhash.xxh3_128(self.seed)
        digest.update(self.rules.exception_key(stack.exception))
        digest.update(stack.platform.encode("utf-8", "replace"))
        digest.update(b"\0")
        digest.update(rows)
        return digest.digest()


class ProcessedStack:
    """One stack trace of one event, with its result under the rules and configuration of one processor."""

    __slots__ = ("_processor", "cached", "stack")

    def __init__(self, stack: Stack, cached: CachedStack, processor: StackProcessor) -> None:
        self.stack = stack
        self.cached = cached
        self._processor = processor

    def in_app(self) -> list[bool]:
        """Return the `in_app` of each frame after the stack-trace rules."""
        marks = [row[8] for row in self.stack.rows]
        for change in self.cached.changes:
            marks[change.position] = change.in_app
        return marks

    def flat_variants(self, *, comparable: bool = False) -> Variants:
        """Return both trees, flattened. They are shared: copy a node before changing it.

        Only the exceptions of a group are compared with each other, so most stacks are never made `comparable`.
        """
        found = self.cached.variants
        if found is None or (comparable and found["app"].identity_digest is None):
            return self._processor.add_variants(self.stack, self.cached, comparable=comparable)
        return found

    def variants(self, *, whole: bool, comparable: bool = False) -> Variants:
        """Return both trees: with all their nodes if `whole`, else flattened. The caller may change them."""
        if whole:
            return self._processor.trees(self.stack)
        return {name: component.copy() for name, component in self.flat_variants(comparable=comparable).items()}
