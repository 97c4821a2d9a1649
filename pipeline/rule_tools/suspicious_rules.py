"""Suspicious rules: rules that parse but cannot have the effect that they seem to have.

They are warnings and not errors, because rules that were written for Sentry contain them and should load.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pipeline.globs.check import never_matches
from pipeline.grouping.fingerprint_rules.rule import EventMatcher, FingerprintRule
from pipeline.grouping.stacktrace_rules.rule import FrameMatcher, StackTraceRule
from pipeline.model.errors import RuleError

FAMILIES = frozenset({"native", "javascript", "other", "all"})
TRUTHS = frozenset({"1", "yes", "true", "0", "no", "false"})
"""The values that `app` of a stack-trace rule knows, in lower case only.

`app` of a fingerprint rule also knows `on` and `off`, and ignores case.
"""


def suspicious_matchers(rules: Iterable[StackTraceRule | FingerprintRule]) -> Iterator[RuleError]:
    """Yield a warning for each matcher that nothing can satisfy, or that everything satisfies because it is negated."""
    for rule in rules:
        for matcher in _matchers(rule):
            reason = _reason(matcher)
            if reason is not None:
                effect = "holds always" if matcher.negated else "never holds"
                yield RuleError(rule.file, rule.line, None, f"{matcher} {effect}: {reason}", str(rule))


def _matchers(rule: StackTraceRule | FingerprintRule) -> Iterator[FrameMatcher | EventMatcher]:
    yield from rule.matchers
    if isinstance(rule, StackTraceRule):
        yield from (neighbour for neighbour in (rule.caller, rule.callee) if neighbour is not None)


def _reason(matcher: FrameMatcher | EventMatcher) -> str | None:
    key, pattern = matcher.key, matcher.pattern
    if key == "family":
        unknown = set(pattern.split(",")) - FAMILIES
        return f"no such family as {', '.join(sorted(unknown))}" if unknown else None
    if key == "app":
        is_known = pattern in TRUTHS if isinstance(matcher, FrameMatcher) else pattern.lower() in {*TRUTHS, "on", "off"}
        return None if is_known else "expected yes or no"
    if key == "sdk":
        return None
    return never_matches(pattern, is_path=key in {"path", "package"})
