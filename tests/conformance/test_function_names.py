"""Function names of `suites/grouping/function-trimming.json`, and oddities that were measured on Sentry's own code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.suites import suite_cases

from pipeline.grouping.function_names import split_tokens, trim_function


def _cases(file: Path) -> list[tuple[str, Any]]:
    return [(str(number), case) for number, case in enumerate(json.loads(file.read_text())["cases"], 1)]


def _tokens(file: Path) -> list[tuple[str, Any]]:
    return [(str(number), case) for number, case in enumerate(json.loads(file.read_text())["split_tokens"], 1)]


@pytest.mark.parametrize("case", suite_cases("grouping/function-trimming.json", _cases))
def test_trims_as_published(case: dict[str, Any]) -> None:
    assert trim_function(case["input"], case["platform"]) == case["expected"]


@pytest.mark.parametrize("case", suite_cases("grouping/function-trimming.json", _tokens))
def test_splits_tokens_as_published(case: dict[str, Any]) -> None:
    assert split_tokens(case["input"]) == case["expected"]


@pytest.mark.parametrize(
    ("platform", "name", "expected"),
    [
        ("native", "operator>> <int>(S&)", "operator"),
        ("native", "operator bool()", "bool"),
        ("native", "operator new(unsigned long)", "new"),
        ("native", "x::<impl A for B>::baz", "x::<T>::baz"),
        ("native", "  -[Foo bar:]", "-[Foo bar:]"),
        ("native", "<T as a::Trait>::call", "a::Trait::call"),
        ("native", "core::run::h0123456789abcdef", "core::run"),
        ("cocoa", "@callee_guaranteed () -> ()", "closure"),
        ("native", "@callee_guaranteed () -> ()", "@callee_guaranteed"),
        ("python", "f(x) const", "f(x) const"),
    ],
)
def test_keeps_the_measured_oddities(platform: str, name: str, expected: str) -> None:
    assert trim_function(name, platform) == expected
