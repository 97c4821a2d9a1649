"""Where something comes from: sources of security reports, and the local machine."""

from __future__ import annotations

import pytest

from pipeline.filters.origins import DisallowedSources, is_localhost


@pytest.mark.parametrize(
    ("pattern", "uri", "is_unwanted"),
    [
        ("http://[::1]", "http://[::1]:8080/x", True),
        ("*:8080", "http://[::1]:8080/x", True),
        ("*:8080", "http://[::1]/x", False),
        ("http://[::1]:9090", "http://[::1]:8080/x", False),
        ("https://a.example:8080", "https://a.example:8080/x", True),
    ],
)
def test_an_address_with_colons_has_a_port_after_them(pattern: str, uri: str, is_unwanted: bool) -> None:
    assert DisallowedSources((pattern,)).match({"type": "csp", "csp": {"blocked_uri": uri}}) is is_unwanted


@pytest.mark.parametrize(("url", "is_local"), [("http://localhost/x", True), ("//localhost/x", False), ("file:///x", True)])
def test_what_has_no_scheme_is_no_url(url: str, is_local: bool) -> None:
    assert is_localhost({"request": {"url": url}}) is is_local
