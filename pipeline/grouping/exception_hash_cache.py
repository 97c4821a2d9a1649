"""Chains: an event's exceptions, and the hashes that the same ones came to before.

Of most events nothing but their exceptions' stacks and types decides the hashes. Building, comparing and hashing the trees takes
a third of grouping's time where the stacks are known, so what they came to is remembered beside the last exception's stack.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson
import xxhash

from pipeline.grouping.stack_normalization import CachedStack, Stack, StackResults
from pipeline.grouping.strategies.context import interface_values, text_of
from pipeline.grouping.strategies.exception import ns_error_of


class Verdict(NamedTuple):
    """What a chain comes to. `main_exception_id` is set where a group of exceptions came down to one."""

    hashes: tuple[str, ...]
    main_exception_id: int | None


class ExceptionHashSlot:
    """The exceptions of one event, as far as they decide its hashes."""

    __slots__ = ("_digest", "_stack")

    def __init__(self, digest: bytes, stack: CachedStack) -> None:
        self._digest = digest
        self._stack = stack

    def known(self) -> Verdict | None:
        """Give what these exceptions came to, if they are the last that came with this stack: floods repeat themselves."""
        decided = self._stack.decided
        return Verdict(*decided[1:]) if decided is not None and decided[0] == self._digest else None

    def remember(self, verdict: Verdict) -> None:
        """Keep what the trees came to."""
        self._stack.decided = (self._digest, *verdict)


def chain_of(event: dict[str, Any], stacks: dict[int, Stack], reader: StackResults) -> ExceptionHashSlot | None:
    """Give an event's exceptions; None where none has a stack, or one says more than is read here.

    Values take part only where the trees would read them: in place of a stack that does not contribute, and to tell the members
    of an exception group apart. The `app` of a lone exception without a stack of the app is passed over for its `system`,
    whatever its value is (spec, section 3.3).
    """
    exceptions = interface_values(event, "exception")
    last: CachedStack | None = None
    digest = xxhash.xxh3_128()
    facts: list[Any] = []
    reads_values = False
    for exception in exceptions:
        mechanism = exception.get("mechanism")
        said = mechanism if isinstance(mechanism, dict) else {}
        if ns_error_of(said) is not None:  # Apple's frameworks have more to say
            return None
        is_group = bool(said.get("is_exception_group"))
        stack = stacks.get(id(exception.get("stacktrace")))
        facts.append((text_of(exception, "type"), bool(said.get("synthetic")), stack is not None))
        facts.append((said.get("exception_id"), said.get("parent_id"), is_group))
        reads_values = reads_values or is_group or stack is None
        if stack is not None:
            last = reader.remembered(stack)
            digest.update(last.key)
            variants = last.variants or {}
            reads_values = reads_values or not variants["system"].contributes
            reads_values = reads_values or (len(exceptions) > 1 and not variants["app"].contributes)
    if last is None:
        return None
    if reads_values:
        facts += [text_of(exception, "value") for exception in exceptions]
    try:
        digest.update(orjson.dumps(facts))
    except TypeError:  # text or numbers that JSON cannot hold
        return None
    return ExceptionHashSlot(digest.digest(), last)
