from __future__ import annotations

import copy
import datetime as dt
from typing import Any

import pytest
from support.grouping import make_grouper

from pipeline.grouping.configurations import CONFIGURATIONS
from pipeline.grouping.grouper import Grouper
from pipeline.grouping.grouping_toml import load_grouping_toml
from pipeline.model.errors import InvalidRulesError, RuleError
from pipeline.model.rule_file import RuleFile

NEWEST = 'strategy = "pipeline:2026-12-01"\n'
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


def test_the_operator_chooses_which_values_messages_keep() -> None:
    event: Any = {"platform": "python", "logentry": {"formatted": "cart 7: status code 404"}}
    message = make_grouper(toml=f'{NEWEST}keep_values = ["status_code"]').explain(event).variants["default"].component

    assert message is not None
    assert message.values[0].values == ["cart <int>: status code 404"]
    (error,) = _errors('strategy = "pipeline:2026-12-01"\nkeep_values = ["status_code", "colour"]')
    assert (error.line, "colour" in error.message, "status_code" in error.message.partition(";")[2]) == (2, True, True)
    (error,) = _errors('keep_values = ["ulid"]')
    assert "newstyle:2023-01-11" in error.message


def test_a_choice_of_before_is_known_while_it_changes() -> None:
    event: Any = {"platform": "python", "logentry": {"formatted": "cart 7"}}
    toml = 'keep_values = ["int"]\nprevious_keep_values = []\nprevious_until = 2027-01-31'
    before, after = (
        make_grouper(toml="").group(copy.deepcopy(event)),
        make_grouper(toml=toml).group(copy.deepcopy(event), now=0.0),
    )

    assert after.previous_primary_hash == before.hashes[0] != after.hashes[0]


@pytest.mark.parametrize("strategy", CONFIGURATIONS)
def test_the_sender_can_have_the_last_word_about_its_frames(strategy: str) -> None:
    toml = f'strategy = "{strategy}"\n'
    rules = "function:* -app\nmodule:lib +app"
    frames: list[Any] = [
        {"function": "a", "in_app": True},
        {"function": "b", "module": "lib", "in_app": False},
        {"function": "c"},
    ]
    found = {}
    for choice in ("rules", "sender"):
        event: Any = {"platform": "python", "stacktrace": {"frames": [dict(frame) for frame in frames]}}
        explained = make_grouper(toml=f'{toml}in_app = "{choice}"', enhancements=rules).explain(event)
        app = explained.variants["app"].component
        assert app is not None
        hints = [frame.hint for frame in app.values[0].values]
        found[choice] = [frame["in_app"] for frame in event["stacktrace"]["frames"]], hints
        overruled = [touched.frame for touched in explained.touched_frames if touched.overruled]
        assert overruled == ([0, 1, 1] if choice == "sender" else [])

    assert found["rules"][0] == [False, True, False]
    assert found["sender"][0] == [True, False, False]
    assert ["sent" in (hint or "") for hint in found["sender"][1]] == [True, True, False]
    assert not any("sent" in (hint or "") for hint in found["rules"][1])


def test_a_strategy_never_gets_base_rules_that_came_after_it() -> None:
    bases = {
        f"{kind}@{date}.rules": RuleFile(date, text)
        for date, kind, text in (
            ("2026-11-22", "enhancements", "function:f -app"),
            ("2026-12-01", "enhancements", "function:f +app"),
            ("2026-11-22", "fingerprints", "function:f -> old"),
            ("2026-12-01", "fingerprints", "function:f -> new"),
        )
    }
    found = {}
    for strategy in CONFIGURATIONS:
        event: Any = {"stacktrace": {"frames": [{"function": "f"}]}}
        grouper = Grouper.load([{"grouping.toml": RuleFile("g", f'strategy = "{strategy}"')}], bases)
        found[strategy] = grouper.group(event).fingerprint, event["stacktrace"]["frames"][0]["in_app"]

    assert found == {
        "newstyle:2023-01-11": (("old",), False),
        "pipeline:2026-11-22": (("old",), False),
        "pipeline:2026-12-01": (("new",), True),
    }


def test_the_fingerprint_rules_of_before_are_known_while_the_strategy_changes() -> None:
    bases = {f"fingerprints@{date}.rules": RuleFile(date, f"function:f -> {date}") for date in ("2026-11-22", "2026-12-01")}
    event: Any = {"stacktrace": {"frames": [{"function": "f"}]}}
    toml = f'{NEWEST}previous_strategy = "pipeline:2026-11-22"\nprevious_until = 2027-01-31'
    before = Grouper.load([{"grouping.toml": RuleFile("g", 'strategy = "pipeline:2026-11-22"')}], bases).group(
        copy.deepcopy(event)
    )
    during = Grouper.load([{"grouping.toml": RuleFile("g", toml)}], bases).group(copy.deepcopy(event), now=0.0)

    assert during.previous_primary_hash == before.hashes[0] != during.hashes[0]
