"""Remembers the hashes that an event's exceptions had before.

The stacks and types of the exceptions alone decide the hashes of most events. Building, comparing and hashing the trees takes
a third of grouping's time for known stacks, so the hashes are kept in the cache entry of the last exception's stack.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson
import xxhash

from pipeline.grouping.configurations import Configuration
from pipeline.grouping.stack_cache import CachedStack, ProcessedStack
from pipeline.grouping.strategies.exception import common_type, ns_error_of
from pipeline.grouping.strategies.threads import stack_of
from pipeline.grouping.strategies.wrappers import may_echo
from pipeline.model.event import Event, exceptions, platform_of


class ExceptionHashes(NamedTuple):
    """The hashes to publish, and the id of the one exception that an exception group was reduced to (None: no reduction)."""

    hashes: tuple[str, ...]
    main_exception_id: int | None


class ExceptionHashSlot:
    """Where the hashes of one event's exceptions are kept. A slot holds the last exceptions that ended in its stack."""

    __slots__ = ("_digest", "_stack")

    def __init__(self, digest: bytes, stack: CachedStack) -> None:
        self._digest = digest
        self._stack = stack

    def get(self) -> ExceptionHashes | None:
        """Return the hashes if the slot holds those of these exceptions, else None."""
        kept = self._stack.exception_hashes
        return ExceptionHashes(*kept[1:]) if kept is not None and kept[0] == self._digest else None

    def put(self, found: ExceptionHashes) -> None:
        """Keep the hashes of these exceptions, in place of those of others."""
        self._stack.exception_hashes = (self._digest, *found)


def find_slot(event: Event, stacks: Mapping[int, ProcessedStack], configuration: Configuration) -> ExceptionHashSlot | None:
    """Return the slot for an event's exceptions.

    Return None if no exception has a stack, or if an exception has something that the digest does not cover.

    Values are part of the digest only if the trees would read them: in place of a stack that does not contribute or beside one
    of libraries, to find wrappers, and to tell the members of an exception group apart. A single exception whose stack has no
    frame in the app is grouped by its `system` tree, and its value does not matter.
    """
    found = exceptions(event)
    platform = platform_of(event)
    last: CachedStack | None = None
    digest = xxhash.xxh3_128()
    parts: list[Any] = []
    reads_values = False
    for exception in found:
        mechanism = exception.get("mechanism") or {}
        if ns_error_of(mechanism) is not None:
            return None
        is_group = bool(mechanism.get("is_exception_group"))
        stack = stacks.get(id(stack_of(exception, event, configuration)))
        parts.append((common_type(exception, platform, configuration), bool(mechanism.get("synthetic")), stack is not None))
        parts.append((mechanism.get("exception_id"), mechanism.get("parent_id"), is_group))
        reads_values = reads_values or is_group or stack is None or (configuration.skip_wrappers and may_echo(exception))
        if stack is not None:
            variants = stack.flat_variants()
            last = stack.cached
            digest.update(last.key)
            if last.is_library and configuration.library_stacks == "with-message":
                reads_values = True
                parts.append(event.get("transaction"))
            reads_values = reads_values or not variants["system"].contributes
            reads_values = reads_values or (len(found) > 1 and not variants["app"].contributes)
    if last is None:
        return None
    if reads_values:
        parts += [exception.get("value") for exception in found]
    try:
        digest.update(orjson.dumps(parts))
    except TypeError:  # a lone surrogate or a number of more than 64 bits, which JSON cannot hold
        return None
    return ExceptionHashSlot(digest.digest(), last)
