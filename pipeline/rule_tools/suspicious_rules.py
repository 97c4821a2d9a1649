"""Suspicious rules: rules that parse but cannot have the effect that they seem to have.

They are warnings and not errors, because rules that were written for Sentry contain them and should load.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.globs.check import never_matches, seems_meant_as_text
from pipeline.grouping.fingerprint_rules.rule import EventMatcher, FingerprintRule
from pipeline.grouping.fingerprint_rules.variables import closest_to, is_inside_text, is_unknown, unknown_in, variable_in
from pipeline.grouping.stacktrace_rules.rule import FrameMatcher, StackTraceRule
from pipeline.model.errors import RuleError
from pipeline.model.rule_file import find_key
from pipeline.rules.snapshot import Rules

SNUBA_RETENTIONS = (30, 60, 90)
"""Days for which Snuba keeps events."""

FAMILIES = frozenset({"native", "javascript", "other", "all"})
TRUTHS = frozenset({"1", "yes", "true", "0", "no", "false"})
"""The values that `app` of a stack-trace rule knows, in lower case only.

`app` of a fingerprint rule also knows `on` and `off`, and ignores case.
"""


def suspicions(rules: Iterable[StackTraceRule | FingerprintRule]) -> Iterator[RuleError]:
    """Yield a warning for each part of a rule that probably does not do what its author meant.

    These are matchers that nothing can match (or everything, if they are negated), brackets and braces that read as text, and
    variables that do not exist or are not replaced.
    """
    for rule in rules:
        for message in _of_rule(rule):
            yield RuleError(rule.file, rule.line, None, message, str(rule))


def _of_rule(rule: StackTraceRule | FingerprintRule) -> Iterator[str]:
    for matcher in _matchers(rule):
        reason = _reason(matcher)
        if reason is not None:
            yield f"{matcher} {'holds always' if matcher.negated else 'never holds'}: {reason}"
        elif matcher.key not in {"family", "app", "sdk"}:
            meant = seems_meant_as_text(matcher.pattern, is_path=matcher.key in {"path", "package"})
            if meant is not None:
                yield f"{matcher} may not mean what it seems to: {meant}"
    if isinstance(rule, FingerprintRule):
        yield from _of_variables(rule)


def _of_variables(rule: FingerprintRule) -> Iterator[str]:
    names = [name for value in rule.values if is_unknown(value) and (name := variable_in(value)) is not None]
    for name in (*names, *unknown_in(rule.title or "")):
        close = closest_to(name)
        yield f"{{{{ {name} }}}}: there is no such variable" + (f"; did you mean {{{{ {close} }}}}?" if close is not None else "")
    for value in rule.values:
        if is_inside_text(value):
            yield f'"{value}": variables inside of a text in quotes are not replaced; write them outside of the quotes'


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


def unkept_retentions(rules: Rules, folder: Path) -> Iterator[RuleError]:
    """Yield a warning for each retention that Snuba does not keep as it is written.

    Snuba keeps SNUBA_RETENTIONS alone and rounds others: 7 days become 30, and 365 become 90.
    """
    own = {f"projects/{project_id}": one.project.retention_days for project_id, one in rules.projects.items()}
    for place, days in {"default": rules.default.project.retention_days, **own}.items():
        file = folder / place / "project.toml"
        text = file.read_text() if file.is_file() else ""
        line = find_key(text, "retention_days")
        if line is not None and days not in SNUBA_RETENTIONS:
            kept = next((known for known in SNUBA_RETENTIONS if known >= days), SNUBA_RETENTIONS[-1])
            yield RuleError(str(file), line, None, f"retention_days = {days}: Snuba keeps these events for {kept} days")


def doubled_keys(rules: Rules, folder: Path) -> Iterator[RuleError]:
    """Yield a warning for each number of a key that another project of the same organization has too: they share key quotas."""
    first: dict[tuple[int, int], int] = {}
    default = rules.default.project.keys
    for project_id, one in sorted(rules.projects.items()):
        project = one.project
        for number, key in enumerate(project.keys if project.keys != default else ()):
            other = first.setdefault((project.organization, key.id), project_id)
            if other != project_id:
                file = folder / "projects" / str(project_id) / "project.toml"
                line = find_key(file.read_text(), f"keys[{number}].id") if file.is_file() else None
                yield RuleError(
                    str(file), line, None, f"key {key.id} is also a key of project {other}: quotas of keys count both as one"
                )
