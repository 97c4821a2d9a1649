"""Strategies: one for each interface of an event. The first with a contributing component wins.

See docs/spec/grouping.md, "From event to hashes".
"""

from collections.abc import Sequence

from pipeline.grouping.strategies.context import Strategy
from pipeline.grouping.strategies.exception import by_exception
from pipeline.grouping.strategies.message import by_message
from pipeline.grouping.strategies.security import by_csp, by_expect_ct, by_expect_staple, by_hpkp
from pipeline.grouping.strategies.stacktrace import by_stacktrace
from pipeline.grouping.strategies.template import by_template
from pipeline.grouping.strategies.threads import by_threads

STRATEGIES: Sequence[tuple[str, Strategy]] = (
    ("exception", by_exception),
    ("threads", by_threads),
    ("stacktrace", by_stacktrace),
    ("template", by_template),
    ("csp", by_csp),
    ("hpkp", by_hpkp),
    ("expect-staple", by_expect_staple),
    ("expect-ct", by_expect_ct),
    ("message", by_message),
)

WITH_STACK = frozenset({"exception", "threads", "stacktrace"})
"""The strategies with the variants `app` and `system`, which are compared with each other."""
