"""Messages of `suites/grouping/message-parameterization.json`, and oddities that were measured on Sentry's own code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.suites import suite_cases

from pipeline.grouping.parameterization.messages import parameterize


def _cases(file: Path) -> list[tuple[str, Any]]:
    return [(case["name"], case) for case in json.loads(file.read_text())["cases"]]


@pytest.mark.parametrize("case", suite_cases("grouping/message-parameterization.json", _cases))
def test_parameterizes_as_published(case: dict[str, Any]) -> None:
    assert parameterize(case["input"]) == case["expected_base"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a@localhost", "<email>"),
        ("see (http://host.example/x) now", "see (<url> now"),
        ("tcp://h.example:80", "tcp://h.example:<int>"),
        ("std::vector", "st<ip>vector"),
        ("fe80::1", "<ip><int>"),
        ("::ffff:1.2.3.4", "<ip>.<float>.<int>"),
        ("10.0.0.256", "<float>.<float>"),
        ("1.2.3.4.5", "<ip>.<int>"),
        ("10:30PM", "<date>"),
        ("10:30 PM", "<date> PM"),
        ("03:04:05.5", "<date>.<int>"),
        ("2026-01-02T03:04Z", "<date>T<date>Z"),
        ("Jan 2, 1999", "Jan <int>, <int>"),
        ("at datetime.datetime(2023, 5, tz(1))", "at <date>)"),
        ("12s", "1<duration>"),
        ("12.5s", "<int>.<duration>"),
        ("3msec", "<duration>ec"),
        ("5secs", "5secs"),
        ("a-5", "a<int>"),
        ("--5", "-<int>"),
        ("1.5e9", "<int>.5e9"),
        ("\u0663\u0664", "<int>"),
        ("x=trueish", "x=<bool>ish"),
        ("x=' '", "x=<quoted_str>"),
        ("x=''", "x=''"),
        ("x= 'a'", "x= 'a'"),
    ],
)
def test_keeps_the_measured_oddities(text: str, expected: str) -> None:
    assert parameterize(text) == expected
