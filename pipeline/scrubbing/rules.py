"""Scrubbing rules: patterns, and how their matches are hidden. Built in (`@creditcard:mask`) or a project's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from pipeline.scrubbing.linear_regex import LinearRegex
from pipeline.scrubbing.patterns import ANYTHING, PATTERNS, URL_PASSWORD, MayMatch, Pattern
from pipeline.scrubbing.re2_syntax import LinearRegexError
from pipeline.scrubbing.redaction import Redaction

MAX_NESTING = 20
"""Limit of aliases within aliases, because a rule may name itself."""


class ScrubbingRuleError(ValueError):
    """A rule cannot be used. The message says why."""


class RedactionSpec(msgspec.Struct, frozen=True):
    """`redaction` of a rule: `method` = "remove" | "replace" | "mask" | "hash". An unknown method removes what matches."""

    method: str = "remove"
    text: str = "[Filtered]"


class RuleSpec(msgspec.Struct, frozen=True, rename={"replace_groups": "replaceGroups", "key_pattern": "keyPattern"}):
    """A rule as Sentry writes it. `type` decides which of the other fields matter."""

    type: str
    pattern: str | None = None
    replace_groups: tuple[int, ...] | None = None
    key_pattern: str | None = None
    rules: tuple[str, ...] = ()
    rule: str | None = None
    redaction: RedactionSpec | None = None


@dataclass(frozen=True, slots=True)
class ScrubbingRule:
    """A compiled rule. If `anything`, it hides whole values of any content."""

    id: str
    patterns: tuple[Pattern, ...]
    redaction: Redaction
    anything: bool = False

    @property
    def hides(self) -> bool:
        """Whether a whole value is replaced by a text. Otherwise it becomes null."""
        return self.redaction.method != "remove"


_TYPES = frozenset({*PATTERNS, "pattern", "redactPair", "redact_pair", "multiple", "alias"})

_BUILT_IN: dict[str, tuple[str, str, str]] = {
    # name: (type, method of the rule without a suffix, text of "replace")
    "anything": ("anything", "replace", "[Filtered]"),
    "ip": ("ip", "replace", "[ip]"),
    "imei": ("imei", "replace", "[imei]"),
    "mac": ("mac", "mask", "[mac]"),
    "uuid": ("uuid", "mask", "[uuid]"),
    "email": ("email", "replace", "[email]"),
    "creditcard": ("creditcard", "replace", "[creditcard]"),
    "iban": ("iban", "replace", "[iban]"),
    "userpath": ("userpath", "replace", "[user]"),
    "pemkey": ("pemkey", "replace", "[pemkey]"),
    "urlauth": ("url_auth", "replace", "[auth]"),
    "usssn": ("us_ssn", "mask", "[us-ssn]"),
    "bearer": ("bearer", "replace", "Bearer [token]"),
    "password": ("password", "remove", "[password]"),
}

_FILTERED = ("anything", "creditcard", "iban", "pemkey", "usssn", "bearer", "password")
"""Built-in rules that also exist as `@<name>:filter`, which replaces matches by `[Filtered]`."""

_COMMON = (
    *(f"@{name}:filter" for name in ("bearer", "creditcard", "iban", "password", "pemkey", "usssn")),
    "@urlauth:legacy",
)
_COMMON_BY_KIND = tuple(
    f"@{name}" for name in ("bearer", "creditcard", "email", "iban", "ip", "password", "pemkey", "urlauth", "userpath", "usssn")
)


def _built_in() -> Iterator[ScrubbingRule]:
    for name, (kind, usual, text) in _BUILT_IN.items():
        anything = kind == "anything"
        patterns = (ANYTHING,) if anything else PATTERNS[kind]
        methods = {
            "remove": Redaction("remove"),
            "replace": Redaction("replace", text),
            "mask": Redaction("mask"),
            "hash": Redaction("hash"),
        }
        yield ScrubbingRule(f"@{name}", patterns, methods[usual], anything)
        for method, redaction in methods.items():
            yield ScrubbingRule(f"@{name}:{method}", patterns, redaction, anything)
        if name in _FILTERED:
            yield ScrubbingRule(f"@{name}:filter", patterns, Redaction("replace"), anything)
    yield ScrubbingRule("@imei:mask", PATTERNS["imei"], Redaction("hash"))
    yield ScrubbingRule("@urlauth:legacy", (URL_PASSWORD,), Redaction("replace"))


BUILT_IN: Mapping[str, ScrubbingRule] = {rule.id: rule for rule in _built_in()}
BUILT_IN_GROUPS: Mapping[str, tuple[str, ...]] = {"@common:filter": _COMMON, "@common": _COMMON_BY_KIND}


def resolve(names: tuple[str, ...], own: Mapping[str, RuleSpec | ScrubbingRule]) -> tuple[ScrubbingRule, ...]:
    """Return the rules of the given names, sorted by id, which is the order in which they apply. Unknown names are ignored.

    `own` are the project's rules by name. Raises ScrubbingRuleError.
    """
    found = {rule.id: rule for name in names for rule in _resolve(name, own, 0)}
    return tuple(found[rule_id] for rule_id in sorted(found))


def _resolve(name: str, own: Mapping[str, RuleSpec | ScrubbingRule], nesting: int) -> Iterator[ScrubbingRule]:
    if nesting > MAX_NESTING:
        return
    if name in BUILT_IN:
        yield BUILT_IN[name]
    for inner in BUILT_IN_GROUPS.get(name, ()):
        yield BUILT_IN[inner]
    spec = own.get(name)
    if spec is None:
        return
    if isinstance(spec, ScrubbingRule):
        yield spec
    elif spec.type in {"multiple", "alias"}:
        for inner in (*spec.rules, *([spec.rule] if spec.rule else [])):
            yield from _resolve(inner, own, nesting + 1)
    else:
        yield build_rule(name, spec)


def build_rule(name: str, spec: RuleSpec) -> ScrubbingRule:
    """Build a project's own rule. One that only names others gets no patterns. Raises ScrubbingRuleError."""
    if spec.type not in _TYPES:
        raise ScrubbingRuleError(f"unknown type `{spec.type}`, expected one of {', '.join(sorted(_TYPES))}")
    redaction = Redaction("remove")
    if spec.redaction is not None:
        redaction = Redaction(spec.redaction.method, spec.redaction.text)
    if spec.type == "anything":
        return ScrubbingRule(name, (ANYTHING,), redaction, anything=True)
    if spec.type == "pattern":
        if spec.pattern is None:
            raise ScrubbingRuleError("missing field `pattern`")
        words = _regex(spec.pattern)
        groups = tuple(sorted(set(spec.replace_groups or (0,))))
        if groups[0] < 0 or groups[-1] > words.groups:
            raise ScrubbingRuleError(f"replaceGroups: the pattern has the groups 0 to {words.groups}")
        return ScrubbingRule(name, (Pattern(words, groups, may_match=_may_match(words)),), redaction)
    if spec.type in {"redactPair", "redact_pair"}:
        if spec.key_pattern is None:
            raise ScrubbingRuleError("missing field `keyPattern`")
        words = _regex(spec.key_pattern)
        return ScrubbingRule(name, (Pattern(words, whole_text=True, key=words, may_match=_may_match(words)),), redaction)
    return ScrubbingRule(name, PATTERNS.get(spec.type, ()), redaction)


def _regex(text: str) -> LinearRegex:
    """Compile a pattern of a project."""
    try:
        return LinearRegex(text)
    except LinearRegexError as error:
        raise ScrubbingRuleError(f"regex parse error: {error}") from None


def _may_match(regex: LinearRegex) -> MayMatch:
    required = regex.required_text
    return lambda text: required in text.lower
