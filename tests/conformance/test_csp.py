"""Blocked URIs of `suites/grouping/csp-normalize.json`, and others that were measured on Sentry's own code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.suites import suite_cases

from pipeline.grouping.strategies.security import normalize_uri


def _cases(file: Path) -> list[tuple[str, Any]]:
    return [(case["input"].replace("/", "_"), case) for case in json.loads(file.read_text())["cases"]]


@pytest.mark.parametrize("case", suite_cases("grouping/csp-normalize.json", _cases))
def test_normalizes_as_published(case: dict[str, str]) -> None:
    assert normalize_uri(case["input"]) == case["expected"]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("", "'self'"),
        ("'self'", "'self'"),
        ("data", "data:"),
        ("inline", "inline:"),
        ("data:text/plain,x", "data:"),
        ("about:blank", "about:"),
        ("https:", ""),
        ("//h/a.js", "//h/a.js:"),
        ("'none'", "'none':"),
        ("file:///x", "file://"),
        ("HTTPS://user@Host.example:8443/x", "user@Host.example:8443"),
        ("  wss://Live.example/x", "wss://Live.example"),
        ("android-app://com.example/x", "android-app://com.example"),
        ("wss://[broken?x", "wss://[broken"),
    ],
)
def test_normalizes_as_measured(uri: str, expected: str) -> None:
    assert normalize_uri(uri) == expected
