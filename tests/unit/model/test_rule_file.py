from __future__ import annotations

import msgspec
import pytest

from pipeline.model.errors import InvalidRulesError, RuleError
from pipeline.model.rule_file import RuleFile, find_key, parse_toml, read_layers


class Limit(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    limit: int = 0


class Rules(msgspec.Struct, forbid_unknown_fields=True):
    name: str = ""
    days: int = 90
    quota: list[Limit] = []


def layer(text: str) -> dict[str, RuleFile]:
    return {"x.toml": RuleFile("rules/x.toml", text)}


def the_error(*texts: str) -> RuleError:
    with pytest.raises(InvalidRulesError) as raised:
        read_layers("x.toml", [layer(text) for text in texts], Rules)
    [error] = raised.value.errors
    return error


def test_the_later_layer_wins_key_by_key() -> None:
    rules = read_layers("x.toml", [layer("name = 'a'\ndays = 30"), {}, layer("days = 7")], Rules)
    assert (rules.name, rules.days) == ("a", 7)


def test_no_file_anywhere_gives_the_defaults() -> None:
    assert read_layers("x.toml", [{}, {}], Rules) == Rules()


def test_a_syntax_error_names_line_column_and_text() -> None:
    with pytest.raises(InvalidRulesError) as raised:
        parse_toml(RuleFile("rules/x.toml", "a = 1\nb = = 2\n"))
    [error] = raised.value.errors
    assert (error.file, error.line, error.text) == ("rules/x.toml", 2, "b = = 2")
    assert error.column is not None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name = 'a'\ndays = 'x'", 2),
        ("# a comment\nnonsense = 1", 2),
        ("[[quota]]\nid = 'a'\n[[quota]]\nid = 'b'\nlimit = 'x'", 5),
        ("[[quota]]\nid = 'a'\n\n[[quota]]\nlimit = 3", 4),
    ],
)
def test_a_wrong_value_names_its_line(text: str, line: int) -> None:
    assert the_error(text).line == line


def test_each_layer_is_checked_as_itself() -> None:
    assert the_error("days = 'x'", "days = 1").text == "days = 'x'"


def test_find_key_does_not_stop_at_a_prefix() -> None:
    assert find_key("days_more = 1\ndays = 2", "days") == 2
    assert find_key("a = 1", "b") is None


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "{a = " * 50_000])
def test_nesting_without_end_is_a_mistake_like_any_other(text: str) -> None:
    assert the_error(text).message == "nested too deep"
