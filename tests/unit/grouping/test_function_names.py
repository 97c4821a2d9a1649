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
        "&" * 200_000,
        "& " * 200_000,
        "operator<" * 100_000,
    ],
    ids=lambda name: name[:9],
)
def test_a_hostile_name_is_bounded(name: str) -> None:
    started = time.process_time()
    trim_function(name, "native")
    assert time.process_time() - started < 0.1


@pytest.mark.parametrize(
    ("name", "trimmed"),
    [
        ("f() const", "f"),
        ("f() const &", "f"),
        ("f()const&&", "f"),
        ("f(int) [clone .cold] [clone .part.0]", "f"),
        ("f(int) [clone [clone x]", "f"),
        ("f(a)[clone x] const", "f"),
        ("myconst", "myconst"),
        ("const", "const"),
        ("operator&", "operator"),
    ],
)
def test_what_a_linker_appended_goes(name: str, trimmed: str) -> None:
    assert trim_function(name, "native") == trimmed


@pytest.mark.parametrize("name", ["$_0{lambda(int)#1}", "{lambda(int)#1}lambda_0123456789abcdef0123456789abcdef"])
def test_lambdas_that_touch_are_two(name: str) -> None:
    assert trim_function(name, "native") == "lambdalambda"


@given(st.text(alphabet="ab<>(){}[] ->:&@~'#1", max_size=60), st.sampled_from(["native", "cocoa", "csharp", "python"]))
def test_any_text_is_taken(name: str, platform: str) -> None:
    assert isinstance(trim_function(name, platform), str)


def test_lambdas_of_gcc_are_folded_one_by_one() -> None:
    assert trim_function("f::{lambda(int)#1}::operator()(int)::{lambda()#2}", "native") == "f::lambda::operator()::lambda"
