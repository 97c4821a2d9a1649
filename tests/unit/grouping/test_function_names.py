"""Function names: hostile ones are bounded in time and depth."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.grouping.function_names import trim_function


@pytest.mark.parametrize(
    "name",
    [
        "<" * 100_000 + ">" * 100_000,
        "<" * 2_000 + "A as B>" * 2_000,
        "{lambda(" * 100_000,
        ")#1}" + "{lambda(" * 100_000,
        "@1" * 500_000,
        " const" * 200_000,
        "[clone x]" * 100_000,
        "operator<" * 100_000,
    ],
    ids=lambda name: name[:9],
)
def test_a_hostile_name_is_bounded(name: str) -> None:
    started = time.process_time()
    trim_function(name, "native")
    assert time.process_time() - started < 0.1


@given(st.text(alphabet="ab<>(){}[] ->:&@~'#1", max_size=60), st.sampled_from(["native", "cocoa", "csharp", "python"]))
def test_any_text_is_taken(name: str, platform: str) -> None:
    assert isinstance(trim_function(name, platform), str)


def test_lambdas_of_gcc_are_folded_one_by_one() -> None:
    assert trim_function("f::{lambda(int)#1}::operator()(int)::{lambda()#2}", "native") == "f::lambda::operator()::lambda"
