"""Trimming a hostile function name is bounded in time and depth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.growth import grows_linearly

from pipeline.grouping.function_names import MAX_CHARS, trim_function


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
def test_of_a_hostile_name_only_the_beginning_is_read(name: str) -> None:
    assert trim_function(name, "native") == trim_function(name[:MAX_CHARS], "native")


@pytest.mark.parametrize(
    ("repeated", "end"),
    [
        ("<", ">"),
        ("<A as ", "B>"),
        ("{lambda(", ""),
        (")#1}{lambda(", ""),
        ("@1", ""),
        (" const", ""),
        ("[clone x]", ""),
        ("&", ""),
        ("& ", ""),
        ("operator<", ""),
    ],
)
def test_what_is_read_costs_what_its_length_costs(repeated: str, end: str) -> None:
    def trim(characters: int) -> None:
        count = characters // len(repeated + end)
        for _ in range(20):
            trim_function(repeated * count + end * count, "native")

    assert grows_linearly(trim, MAX_CHARS // 4)


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
