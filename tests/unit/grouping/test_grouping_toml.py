from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from pipeline.grouping.grouper import Grouper
from pipeline.grouping.grouping_toml import load_grouping_toml
from pipeline.model.errors import InvalidRulesError, RuleError
from pipeline.model.rule_file import RuleFile

BASES = {f"enhancements@{date}.rules": RuleFile(f"bases/{date}", "") for date in ("2023-01-11", "2026-11-22")}


def _errors(*texts: str) -> list[RuleError]:
    with pytest.raises(InvalidRulesError) as raised:
        load_grouping_toml([{"grouping.toml": RuleFile(f"rules/{number}", text)} for number, text in enumerate(texts)], BASES)
    return raised.value.errors


def test_says_the_same_as_the_published_configuration_where_nothing_is_said() -> None:
    settings = load_grouping_toml([], BASES)

    assert (settings.strategy, settings.hash, settings.builtin_fingerprints) == ("newstyle:2023-01-11", "xxh3_128", True)
    assert not settings.has_previous


def test_a_project_overrides_key_by_key() -> None:
    layers = [
        {"grouping.toml": RuleFile("default", 'hash = "md5"\nenhancement_base = "2023-01-11"')},
        {"grouping.toml": RuleFile("own", 'enhancement_base = "none"\nprevious_hash = "xxh3_128"\nprevious_until = 2027-01-31')},
    ]

    settings = load_grouping_toml(layers, BASES)

    assert (settings.hash, settings.enhancement_base, settings.previous_until) == ("md5", "none", dt.date(2027, 1, 31))


def test_names_every_key_that_names_nothing() -> None:
    errors = _errors('strategy = "legacy"\nenhancement_base = "2023-01-11"', 'hash = "md5"\n\nenhancement_base = "2020"')

    assert [(error.file, error.line) for error in errors] == [("rules/0", 1), ("rules/1", 3)]
    assert "newstyle:2023-01-11, pipeline:2026-11-22" in errors[0].message
    assert "2023-01-11, 2026-11-22" in errors[1].message


@pytest.mark.parametrize("text", ['hash = "sha1"', "hash = 1", "colour = 2", "previous_until = 'soon'", "hash = = 1"])
def test_refuses_values_of_another_kind(text: str) -> None:
    (error,) = _errors(f"builtin_fingerprints = true\n{text}")
    assert (error.file, error.line) == ("rules/0", 2)


def test_a_change_of_configuration_has_to_end() -> None:
    (error,) = _errors('hash = "md5"\nprevious_strategy = "newstyle:2023-01-11"')
    assert error.line == 2
    assert "previous_until" in error.message


def test_the_newest_base_is_in_force_unless_another_is_named() -> None:
    bases = {
        "enhancements@2024-01-01.rules": RuleFile("old", "function:f +app"),
        "enhancements@2025-01-01.rules": RuleFile("new", "function:f -app"),
    }
    seen = []
    for base in ("", 'enhancement_base = "2024-01-01"', 'enhancement_base = "none"'):
        frame: Any = {"function": "f", "in_app": True}
        Grouper.load([{"grouping.toml": RuleFile("g", base)}], bases).group({"stacktrace": {"frames": [frame]}})
        seen.append(frame["in_app"])

    assert seen == [False, True, True]
