"""The caches that the groupers of all projects share. The rules folder owns them, so a reload keeps them."""

from __future__ import annotations

from pipeline.grouping.fingerprint_rules.rule_index import MAX_MASKS, RuleMasks
from pipeline.grouping.stack_cache import StackCache
from pipeline.model.byte_bounded_lru import ByteBoundedLru

MAX_STACK_BYTES = 32_000_000
"""Enough for some 7,000 stacks of 25 frames, or 12,000 stacks of 12."""

MAX_STACK_SHARE = 64
"""One stack may use at most 1/64 of the cache, so that a large one does not push out all others."""


class GroupingCaches:
    """Results of stack traces, and which fingerprint rules accept a value.

    The keys name the rules that a result was computed with. So projects share entries if their rules agree, and a reload drops
    no useful entry. `stacks.hits` and `stacks.misses` count the look-ups of stacks.
    """

    def __init__(self, *, max_stack_bytes: int = MAX_STACK_BYTES, max_rule_masks: int = MAX_MASKS) -> None:
        self.stacks: StackCache = ByteBoundedLru(max_stack_bytes, max_entry_bytes=max_stack_bytes // MAX_STACK_SHARE)
        self.rule_masks = RuleMasks(max_rule_masks)
