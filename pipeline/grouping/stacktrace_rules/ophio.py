"""The adapter to `sentry-ophio`, which matches stack-trace rules in Rust. Only this module knows the library's encodings.

The library gets rules as data, not as text. Its own parser does not know escaped quotes, and refuses flags without effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import msgpack
from sentry_ophio.enhancers import Cache, Component, Enhancements

from pipeline.grouping.stacktrace_rules.rule import (
    WITHOUT_EFFECT,
    Action,
    FlagAction,
    FrameMatcher,
    SettingAction,
    StackTraceRule,
)

OphioRules = Enhancements
MatchFrame = dict[str, Any]
"""One frame in the library's form. Text is bytes, and every key is present."""

_CONFIG_VERSION = 2
_KEY_LETTERS = {
    "path": "p",
    "package": "P",
    "function": "f",
    "module": "m",
    "category": "c",
    "app": "a",
    "type": "t",
    "value": "v",
    "mechanism": "M",
}
_FLAG_NUMBERS = {"group": 0, "app": 1}
_REACH_NUMBERS = {(True, ""): 0, (True, "^"): 1, (True, "v"): 2, (False, ""): 3, (False, "^"): 4, (False, "v"): 5}
_FAMILY_LETTERS = {"native": "N", "javascript": "J"}
_NO_FAMILY = "F-"
"""The encoding of a family matcher that matches no frame."""

_CACHE = Cache(10_000)
"""The library's own cache of compiled patterns, bounded to 10,000. All rule sets of the process share it, because equal patterns
compile to the same."""


@lru_cache(20_000)
def compile_rule(rule: StackTraceRule) -> OphioRules:
    """Return one rule, compiled. A rule whose actions all have no effect becomes an empty set of rules."""
    actions = [
        _encode_action(action)
        for action in rule.actions
        if not (isinstance(action, FlagAction) and action.flag in WITHOUT_EFFECT)
    ]
    if not actions:
        return Enhancements.empty()
    matchers = [
        *([f"[{_encode_matcher(rule.caller)}]|"] if rule.caller else []),
        *map(_encode_matcher, rule.matchers),
        *([f"|[{_encode_matcher(rule.callee)}]"] if rule.callee else []),
    ]
    return Enhancements.from_config_structure(msgpack.packb([_CONFIG_VERSION, [], [[matchers, actions]]]), _CACHE)


def refusal(matcher: FrameMatcher) -> str | None:
    """Return why the library refuses a matcher's pattern, or None if it accepts it.

    The library checks only the patterns of exceptions when it compiles a rule.
    """
    try:
        compile_rule(StackTraceRule((matcher,), (FlagAction("app", value=True),)))
    except RuntimeError as error:
        return str(error).removeprefix("Invalid syntax ")
    return None


def join_rules(parts: Iterable[OphioRules]) -> OphioRules:
    """Return several sets of rules as one, in order."""
    joined = Enhancements.empty()
    for part in parts:
        joined.extend_from(part)
    return joined


def modify(
    rules: OphioRules, frames: Sequence[MatchFrame], exception: dict[str, bytes | None]
) -> list[tuple[str | None, bool | None]]:
    """Run the rules that set category and `in_app`, and return both for each frame.

    See docs/spec/stack-trace-rules.md, "What rules do", first pass.
    """
    return rules.apply_modifications_to_frames(list(frames), exception)


def assemble(
    rules: OphioRules, frames: Sequence[MatchFrame], exception: dict[str, bytes | None], contributing: Sequence[bool]
) -> tuple[bool, str | None, list[tuple[bool, str | None]]]:
    """Run the rules that decide what contributes.

    `contributing` says for each frame whether it contributes so far. Return `contributes` and the hint of the stack, and the
    same of each frame. See docs/spec/stack-trace-rules.md, "What rules do", second pass.
    """
    components = [Component(contributes) for contributes in contributing]
    result = rules.assemble_stacktrace_component(list(frames), exception, components)
    return result.contributes, result.hint, [(bool(component.contributes), component.hint) for component in components]


def _encode_matcher(matcher: FrameMatcher) -> str:
    if matcher.key == "family":
        return _encode_family(matcher)
    return f"{'!' if matcher.negated else ''}{_KEY_LETTERS[matcher.key]}{matcher.pattern}"


def _encode_family(matcher: FrameMatcher) -> str:
    """Return the encoding of a family matcher. The library has no letter for `other`, so it is encoded as "none of the rest"."""
    names = set(matcher.pattern.split(","))
    negated = matcher.negated
    if "all" in names:
        return "!Fa" if negated else "Fa"
    letters = {letter for name, letter in _FAMILY_LETTERS.items() if name in names}
    if "other" in names:
        letters = set(_FAMILY_LETTERS.values()) - letters
        negated = not negated
    return ("!" if negated else "") + ("F" + "".join(sorted(letters)) if letters else _NO_FAMILY)


def _encode_action(action: Action) -> int | list[Any]:
    if isinstance(action, SettingAction):
        return [action.name, action.value]
    return _FLAG_NUMBERS[action.flag] | _REACH_NUMBERS[action.value, action.reach] << 8
