from __future__ import annotations

import pytest

from pipeline.uploads.access import may_use_api


@pytest.mark.parametrize(
    ("headers", "peer", "may"),
    [
        ({"host": "127.0.0.1:3000"}, "127.0.0.1", True),
        ({"host": "localhost"}, "127.0.0.1", True),
        ({"host": "[::1]:3000"}, "::1", True),
        ({"host": "localhost", "authorization": "Bearer any"}, "127.0.0.1", True),
        ({"host": "localhost", "origin": "http://127.0.0.1:3000"}, "127.0.0.1", True),
        ({"host": "localhost", "origin": "https://evil.example"}, "127.0.0.1", False),
        ({"host": "localhost", "origin": "null"}, "127.0.0.1", False),
        ({"host": "evil.example"}, "127.0.0.1", False),
        ({}, "127.0.0.1", False),
        ({"host": "localhost"}, "203.0.113.7", False),
        ({"host": "localhost", "x-forwarded-for": "127.0.0.1"}, "127.0.0.1", False),
        ({"host": "localhost", "forwarded": "for=127.0.0.1"}, "127.0.0.1", False),
    ],
)
def test_without_tokens_this_machine_alone_may(headers: dict[str, str], peer: str, may: bool) -> None:
    assert may_use_api(headers, peer, ()) == may


@pytest.mark.parametrize(
    ("header", "may"),
    [("Bearer one", True), ("bearer two", True), ("Bearer three", False), ("Basic one", False), ("one", False), ("", False)],
)
def test_with_tokens_whoever_has_one_may(header: str, may: bool) -> None:
    assert may_use_api({"authorization": header}, "203.0.113.7", ("one", "two")) == may
    assert not may_use_api({"host": "localhost"}, "127.0.0.1", ("one", "two"))
