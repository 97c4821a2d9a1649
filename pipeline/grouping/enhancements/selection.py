"""Selection: which rules could hold for a stack at all, so that the library tries only those."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.grouping.enhancements import ophio
from pipeline.grouping.enhancements.rule import EnhancementRule


class Selection:
    """Compiled rules."""

    def __init__(self, rules: Sequence[EnhancementRule]) -> None:
        self._all = ophio.join_rules(map(ophio.compile_rule, rules))

    def rules_for(self, frames: Sequence[ophio.MatchFrame], exception: dict[str, bytes | None]) -> ophio.OphioRules:
        """Give the rules to try, in order."""
        del frames, exception
        return self._all
