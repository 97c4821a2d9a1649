from __future__ import annotations

from typing import Any

import pytest

from pipeline.model.errors import InvalidRulesError
from pipeline.model.rule_file import RuleFile
from pipeline.scrubbing.scrubber import Scrubber


def _load(*texts: str) -> Scrubber:
    return Scrubber.load([{"scrubbing.toml": RuleFile("rules/default/scrubbing.toml", text)} for text in texts])


def _scrubbed(scrubber: Scrubber, event: Any) -> Any:
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


@pytest.mark.parametrize(
    "text",
    [
        "User clicked authorize",
        "GET /oauth/authorize?response_type=code&client_id=a",
        "POST /auth/login 401",
        "Invalid password for user",
        "Unexpected token < in JSON at position 0",
        "author: Jane",
        "auth: user logged in",
        "token: expired",
        "missing bearer token in request",
        "the bearer of this card",
        "no Bearer token.",
        "fetch with credentials: include",
        "Invalid password: too short",
        "https://secret.example:443/x",
        "order 4111111111111112",
        "id 371234567890123",
        "version 1.2.3.4",
        "release 1.2.3.3 to 1.2.3.4",
        "Chrome/120.0.0.0 Safari",
        "requests==1.2.3.4",
        "lib-1.2.3.4.jar",
        "section 1.2.3.4.5",
    ],
)
def test_what_only_looks_like_a_secret_stays(text: str) -> None:
    assert _scrubbed(_load("ip_addresses = true\n"), {"extra": {"note": text}}) == {"extra": {"note": text}}


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("password=hunter2", "[Filtered]"),
        ('{"user": "a", "password": "x"}', "[Filtered]"),
        (r"{\"api_key\":\"x\"}", "[Filtered]"),
        ("{'secret' => 'x'}", "[Filtered]"),
        ("Authorization: Basic abc", "[Filtered]"),
        ("auth=abc", "[Filtered]"),
        ("sent Bearer abcdef", "sent [Filtered]"),
        ("sent bearer token.eyJh", "sent [Filtered]"),
        ("password: hunter2", "[Filtered]"),
        ("user[password]=expired", "[Filtered]"),
        ('["X-Api-Key", "x"]', "[Filtered]"),
        ("run --db-password hunter2 now", "[Filtered]"),
        ('<ns:password type="t">x', "[Filtered]"),
        ("wrong password 'hunter2'", "[Filtered]"),
        ("card 4111111111111111", "card [Filtered]"),
        ("card 4111 1111 1111 1112", "card [Filtered]"),
        ("378282246310005", "[Filtered]"),
        ("client 192.0.2.7 left", "client [ip] left"),
        ("http://192.0.2.7/x", "http://[ip]/x"),
        ("from 192.0.2.7 to 192.0.2.8.", "from [ip] to [ip]."),
        ("kafka/192.0.2.7:9092", "kafka/[ip]:9092"),
    ],
)
def test_what_has_the_form_of_a_secret_goes(text: str, scrubbed: str) -> None:
    assert _scrubbed(_load("ip_addresses = true\n"), {"extra": {"note": text}}) == {"extra": {"note": scrubbed}}


@pytest.mark.parametrize(
    ("key", "value", "goes"),
    [
        ("app_version", "1.2.3.4", False),
        ("versions", ["1.2.3.4"], False),
        ("buildNumber", "1.2.3.4", False),
        ("build_host", "1.2.3.4", True),
        ("hosts", ["1.2.3.4"], True),
        ("author", "Jane", False),
        ("authority_id", "J", False),
        ("Authorization", "x", True),
        ("oauth", "x", True),
        ("authToken", "x", True),
        ("PIN code", "1", True),
        ("order_id", "4532123456789018", False),
    ],
)
def test_keys_decide_as_words(key: str, value: str | list[str], goes: bool) -> None:
    scrubber = _load('ip_addresses = true\nsensitive_fields = [" Pin Code"]\n')
    before = {"extra": {key: value}}
    assert (_scrubbed(scrubber, {"extra": {key: list(value) if isinstance(value, list) else value}}) != before) is goes


@pytest.mark.parametrize("data", [True, False])
@pytest.mark.parametrize("defaults", [True, False])
def test_each_switch_of_sentrys_settings_has_its_own_effect(data: bool, defaults: bool) -> None:
    settings = {
        "scrubData": data,
        "scrubDefaults": defaults,
        "scrubIpAddresses": True,
        "sensitiveFields": ["Acc"],
        "excludeFields": [" safe "],
    }
    event = {"extra": {"password": "p", "Account": "a", "host": "192.0.2.7", "safe": "192.0.2.7"}}
    assert _scrubbed(Scrubber.from_relay(settings, None), event) == {
        "extra": {
            "password": "[Filtered]" if data and defaults else "p",
            "Account": "[Filtered]" if data else "a",
            "host": "[ip]",
            "safe": "192.0.2.7",
        }
    }


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('[applications]\n"$http.data.pin" = ["@anyting"]\n', 2, "did you mean @anything?"),
        ('[applications]\n"$user" = ["@email", "mine"]\n', 2, "there is no rule 'mine'"),
        ('[rules.both]\ntype = "multiple"\nrules = ["@ip", "gone"]\n', 3, "there is no rule 'gone'"),
    ],
)
def test_a_name_that_is_no_rules_is_a_mistake(text: str, line: int, words: str) -> None:
    with pytest.raises(InvalidRulesError) as refused:
        _load(text)
    [error] = refused.value.errors
    assert error.line == line
    assert words in error.message


def test_a_project_may_name_a_rule_of_the_default() -> None:
    default = '[rules.pin]\ntype = "pattern"\npattern = "[0-9]{4}"\n'
    scrubber = _load(default, '[applications]\n"$message" = ["pin"]\n')
    assert _scrubbed(scrubber, {"logentry": {"formatted": "1234"}}) != {"logentry": {"formatted": "1234"}}
