"""The parameterization of messages: it agrees with plain patterns, hostile input is bounded, and the newer set has more kinds."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.growth import grows_linearly

from pipeline.grouping.parameterization import patterns_2023, patterns_2026
from pipeline.grouping.parameterization.messages import MAX_CHARS, VERSIONS, normalize_message, parameterize
from pipeline.grouping.parameterization.replace import EMAIL_LOCAL

PLAIN_EMAIL = rf"[{re.escape(EMAIL_LOCAL)}]+@[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*"
WORDS = """
a @ a@ b@c @q.r :: 1: ffff: fe80: ::1 ::ffff: 1.2.3.4 % datetime.datetime( ) = ' true False 5s 12ms 0x1f 0 - -5 12 .
http:// ws://x.y 2020-01-02 10:30 deadbeef f2a91c7 f2: 00:1b:63:84:45:e6 h.example.com 7c1811ed-e98f-4c9c-a9f9-
"""
PIECES = (
    *WORDS.split(),
    *("Jan 02, 1999", "Monday, 02-Jan-06 15:04:05 MST", "4 Jul 2019 12:30 GMT", "Apr 17 22:31:45 2019"),
    *("00112233445566778899aabbccddeeff", "\u0663", "\n", " ", '"'),
)

HOSTILE = [
    *("a", "a@", "a @", "a:a:a:a:a:a:z:", "ffff:ffff:ffff:ffff:ffff:ffff:ffffx:", "0:0::0:", "datetime.datetime("),
    *("1.", "Jan ", "a-", "=\"='"),
]


def plain(text: str, patterns: dict[str, str]) -> str:
    """Replace with one alternation that includes addresses. It is right, and slow."""
    alternation = "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in {"email": PLAIN_EMAIL, **patterns}.items())

    def placeholder(match: re.Match[str]) -> str:
        return f"=<{match.lastgroup}>" if match.lastgroup in {"quoted_str", "bool"} else f"<{match.lastgroup}>"

    return re.sub(alternation, placeholder, text, flags=re.VERBOSE)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_gives_what_one_alternation_gives(text: str) -> None:
    assert parameterize(text, "2023-01-11") == plain(text, patterns_2023.PATTERNS)
    assert parameterize(text, "2026-11-22") == plain(text, patterns_2026.PATTERNS)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("piece", HOSTILE)
def test_a_hostile_text_costs_what_its_length_costs(version: str, piece: str) -> None:
    assert grows_linearly(lambda characters: parameterize(piece * (characters // len(piece)), version), MAX_CHARS // 4)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("piece", HOSTILE)
def test_of_a_hostile_megabyte_only_the_beginning_is_read(version: str, piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    assert normalize_message(text, version) == normalize_message(text[: MAX_CHARS + 1], version)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one", "one"),
        ("one\n", "one..."),
        ("\n  \none\n\t\ntwo\nthree", "one\ntwo..."),
        ("one\x0btwo\u2028three", "one\ntwo..."),
        ("  kept blanks  ", "  kept blanks  "),
        ("one\ntwo", "one\ntwo"),
        ("id 5\nat 10:30", "id <int>\nat <date>"),
        ("", ""),
    ],
)
def test_keeps_two_lines(text: str, expected: str) -> None:
    assert normalize_message(text) == expected


def test_looks_at_the_longest_message_that_normalization_leaves_whole() -> None:
    assert MAX_CHARS >= 8_392
    assert normalize_message("x" * 8_392) == "x" * 8_392
    assert normalize_message("x" * 9_000) == "x" * MAX_CHARS + "..."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lookup of db-1.prod.example.com failed", "lookup of <hostname> failed"),
        ("no route to db.internal:5432 or api.shop.io", "no route to <hostname>:<int> or <hostname>"),
        ("this.console.info is not a function", "this.console.info is not a function"),
        ("config.test, window.us and socket.io", "config.test, window.us and socket.io"),
        ("in app.models.User.save", "in app.models.User.save"),
        ("java.io.IOException: no", "java.io.IOException: no"),
        ("trace 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 lost", "trace <traceparent> lost"),
        ("from 00:1b:63:84:45:e6 and 00-1b-63-84-45-e6", "from <mac> and <mac>"),
        ("at commit 3f2a91c", "at commit <git_sha>"),
        ("session deadbeef42 gone", "session <bare_hex> gone"),
        ("face defaced facade", "face defaced facade"),
        ("std::vector", "std::vector"),
        ("fe80::1 and 10.0.0.1", "<ip> and <ip>"),
        ("after 12s and 12.5s", "after <duration> and <duration>"),
        ("a=true b='x y'", "a=<bool> b=<quoted_str>"),
    ],
)
def test_the_newer_set_knows_more_and_stops_at_words(text: str, expected: str) -> None:
    assert parameterize(text, "2026-11-22") == expected


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(KeyError):
        parameterize("x", "1999-01-01")
