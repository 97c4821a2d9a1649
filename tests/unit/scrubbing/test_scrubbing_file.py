from __future__ import annotations

from typing import Any

import pytest

from pipeline.model.errors import InvalidRulesError
from pipeline.model.rule_file import RuleFile
from pipeline.scrubbing.scrubber import Scrubber


def _load(*texts: str) -> Scrubber:
    return Scrubber.load([{"scrubbing.toml": RuleFile("rules/default/scrubbing.toml", text)} for text in texts])


def _scrubbed(scrubber: Scrubber, event: dict[str, Any]) -> dict[str, Any]:
    scrubber.scrub(event)
    event.pop("_meta", None)
    return event


def test_without_a_file_the_default_rules_are_in_force() -> None:
    event = {"extra": {"password": "p", "card": "4111 1111 1111 1111", "note": "fine"}}
    assert _scrubbed(Scrubber.load([]), event) == {"extra": {"password": "[Filtered]", "card": "[Filtered]", "note": "fine"}}


def test_scrubbing_can_be_turned_off_altogether() -> None:
    event = {"extra": {"password": "p"}}
    assert _scrubbed(_load('enabled = false\n[applications]\n"**" = ["@anything"]\n'), event) == {"extra": {"password": "p"}}


def test_own_rules_apply_beside_the_defaults() -> None:
    text = """
safe_fields = ["password"]
sensitive_fields = ["account"]
[rules.ticket]
type = "pattern"
pattern = 'ticket-(\\d+)'
replaceGroups = [1]
redaction = { method = "mask" }
[applications]
"$string && !extra.build" = ["ticket"]
"""
    event = {"extra": {"t": "ticket-123", "build": "ticket-123", "password": "p", "account_no": "7"}}
    expected = {"extra": {"t": "ticket-***", "build": "ticket-123", "password": "p", "account_no": "[Filtered]"}}
    assert _scrubbed(_load(text), event) == expected


def test_the_later_layer_wins() -> None:
    event = {"extra": {"password": "p"}, "user": {"ip_address": "192.0.2.1"}}
    scrubber = _load("ip_addresses = true\n", "default_rules = false\n")
    assert _scrubbed(scrubber, event) == {"extra": {"password": "p"}, "user": {"ip_address": None}}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("enabld = false\n", 1, "enabld"),
        ('\n[rules.a]\ntype = "nope"\n', 2, "unknown type `nope`"),
        ('[rules.a]\ntype = "pattern"\n', 1, "missing field `pattern`"),
        ('[rules.a]\ntype = "pattern"\npattern = "("\n', 1, "regex parse error"),
        ("[rules.a]\ntype = 'pattern'\npattern = '(?<=pin )x'\n", 1, "look-behind"),
        ("\n[rules.b]\ntype = 'redact_pair'\nkeyPattern = '(a)\\1'\n", 2, "back-reference"),
        ('[applications]\n"$nope" = ["@email"]\n', 2, "unknown value"),
        ('[applications]\n"a..b" = ["@email"]\n', 2, "invalid syntax"),
    ],
)
def test_mistakes_are_named_with_their_line(text: str, line: int, words: str) -> None:
    with pytest.raises(InvalidRulesError) as refused:
        _load(text)
    (error,) = refused.value.errors
    assert words in error.message
    assert (error.file, error.line) == ("rules/default/scrubbing.toml", line)
