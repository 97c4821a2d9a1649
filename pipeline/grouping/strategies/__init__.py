"""Strategies: one for each interface of an event. The first with a contributing component wins.

See docs/spec/grouping.md, "From event to hashes".
"""

from collections.abc import Sequence

from pipeline.grouping.strategies.context import Strategy
from pipeline.grouping.strategies.exception import exception
from pipeline.grouping.strategies.message import message
from pipeline.grouping.strategies.security import csp, expect_ct, expect_staple, hpkp
from pipeline.grouping.strategies.stacktrace import stacktrace
from pipeline.grouping.strategies.template import template
from pipeline.grouping.strategies.threads import threads

STRATEGIES: Sequence[tuple[str, Strategy]] = (
    ("exception", exception),
    ("threads", threads),
    ("stacktrace", stacktrace),
    ("template", template),
    ("csp", csp),
    ("hpkp", hpkp),
    ("expect-staple", expect_staple),
    ("expect-ct", expect_ct),
    ("message", message),
)

WITH_STACK = frozenset({"exception", "threads", "stacktrace"})
"""The strategies with the variants `app` and `system`, which are compared with each other."""
