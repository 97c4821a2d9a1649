from __future__ import annotations

from typing import Any

import pytest

from pipeline.filters.filters import Filters
from pipeline.model.errors import InvalidRulesError
from pipeline.model.rule_file import RuleFile


def _load(*texts: str) -> Filters:
    return Filters.load([{"filters.toml": RuleFile("rules/default/filters.toml", text)} for text in texts])


WHOLE = """
[[generic]]
id = "old"
condition = { op = "release", name = "event.release", comparator = "lt", value = "1.10.0" }
[csp]
disallowed_sources = ["*.example.com"]
[client_ips]
blocked = ["203.0.113.0/24"]
[releases]
patterns = ["2.0.*"]
[error_messages]
patterns = ["*lost*"]
[localhost]
enabled = true
[browser_extensions]
enabled = true
[legacy_browsers]
options = ["default"]
[web_crawlers]
enabled = true
[ignored_transactions]
patterns = ["*/health"]
"""


def _agent(header: str) -> dict[str, object]:
    return {"request": {"headers": [None, ["User-Agent", header]]}}


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"release": "shop@1.9.0"}, "old"),
        ({"type": "csp", "csp": {"blocked_uri": "https://cdn.example.com/x"}}, "invalid-csp"),
        ({"release": "2.0.7"}, "release-version"),
        ({"logentry": {"formatted": "connection LOST again"}}, "error-message"),
        ({"user": {"ip_address": "::1"}}, "localhost"),
        ({"exception": {"values": [{"value": "fb_xd_fragment"}]}}, "browser-extensions"),
        (_agent("Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; Trident/5.0)"), "legacy-browsers"),
        (_agent("Googlebot/2.1"), "web-crawlers"),
        ({"type": "transaction", "transaction": "/health"}, "filtered-transaction"),
        ({"release": "shop@2.1.0"}, None),
        ({}, None),
    ],
)
def test_every_table_gives_its_reason(event: Any, reason: str | None) -> None:
    assert _load(WHOLE).first_match(event, "198.51.100.1") == reason


def test_the_connections_address_counts_and_not_the_users() -> None:
    filters = _load(WHOLE)
    assert filters.first_match({}, "203.0.113.9") == "ip-address"
    assert filters.first_match({"user": {"ip_address": "203.0.113.9"}}, None) is None
    assert filters.first_match({}, "no address") is None


def test_an_empty_file_and_a_missing_one_filter_nothing() -> None:
    for filters in (_load(""), Filters.load([]), Filters.load([{}])):
        assert filters.first_match({"release": "1.0", "user": {"ip_address": "127.0.0.1"}}, "127.0.0.1") is None


def test_a_projects_table_replaces_the_defaults() -> None:
    filters = _load('[releases]\npatterns = ["1.*"]\n[localhost]\nenabled = true\n', '[releases]\npatterns = ["2.*"]\n')
    assert filters.first_match({"release": "1.0"}, None) is None
    assert filters.first_match({"release": "2.0"}, None) == "release-version"
    assert filters.first_match({"user": {"ip_address": "127.0.0.1"}}, None) == "localhost"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[release]\n", 1, "release"),
        ('[releases]\npatterns = ["ok*", "[bad"]\n', 2, "Unbalanced character class"),
        ('[client_ips]\nblocked = [\n  "300.1.1.1",\n]\n', 3, "neither an address nor a network"),
        ('[legacy_browsers]\noptions = ["netscape"]\n', 2, "unknown option"),
        ('[[generic]]\nid = "x"\ncondition = { op = "zap", name = "a" }\n', 2, "unsupported condition"),
        ('[[generic]]\nid = "x"\n', 2, "expected a condition"),
    ],
)
def test_mistakes_are_named_with_their_line(text: str, line: int, words: str) -> None:
    with pytest.raises(InvalidRulesError) as refused:
        _load(text)
    (error,) = refused.value.errors
    assert words in error.message
    assert (error.file, error.line) == ("rules/default/filters.toml", line)
