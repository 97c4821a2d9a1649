from __future__ import annotations

import copy
from typing import Any

import pytest
from support.grouping import make_grouper

from pipeline.grouping.parameterization import messages
from pipeline.grouping.parameterization.messages import MAX_CHARS, MAX_EVENT_CHARS, EventMessages, normalize_message

VERSION = "2023-01-11"


@pytest.fixture
def parameterized(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the texts that are parameterized: the costly part of grouping long messages."""
    texts: list[str] = []

    def watched(text: str, version: str, kept: frozenset[str]) -> str:
        texts.append(text)
        return normalize_message(text, version, kept)

    monkeypatch.setattr(messages, "normalize_message", watched)
    return texts


def assert_within_budget(texts: list[str]) -> None:
    assert len(texts) == len(set(texts)), "a text was parameterized twice"
    assert sum(min(len(text), MAX_CHARS) for text in texts) <= MAX_EVENT_CHARS


def _event(*values: Any, **more: Any) -> Any:
    return {"type": "error", "exception": {"values": [{"type": "E", "value": value} for value in values]}, **more}


def _group_of(values: list[str]) -> Any:
    """Return an event with an exception group that has a member for each value."""
    event = _event(*values, "group")
    for number, exception in enumerate(event["exception"]["values"], 1):
        exception["mechanism"] = {"exception_id": number, "parent_id": 0}
    event["exception"]["values"][-1]["mechanism"] = {"exception_id": 0, "is_exception_group": True}
    return event


def test_values_are_parameterized_in_order_until_the_budget_is_spent() -> None:
    fitting = [f"{number} " + "x" * (MAX_EVENT_CHARS // 8 - 2) for number in range(8)]
    found = EventMessages(_event(*fitting, None, fitting[0], "9 more\nthen\nlost"), VERSION)

    assert [found.normalize(value) for value in fitting] == [normalize_message(value) for value in fitting]
    assert found.normalize("9 more\nthen\nlost") == "9 more\nthen..."
    assert found.normalize("9 in the log entry") == "<int> in the log entry"


def test_of_a_giant_value_only_what_is_looked_at_counts() -> None:
    giants = [f"{number} " * 100_000 for number in range(MAX_EVENT_CHARS // MAX_CHARS)]

    assert EventMessages(_event(*giants, "9 more"), VERSION).normalize("9 more") == "<int> more"


@pytest.mark.parametrize("strategy", ["newstyle:2023-01-11", "pipeline:2026-11-22"])
@pytest.mark.parametrize("fingerprint", [[], ["client"], ["{{ default }}", "x"]])
@pytest.mark.parametrize("is_group", [True, False])
def test_an_event_of_long_values_costs_what_a_few_cost(
    parameterized: list[str], strategy: str, fingerprint: list[str], *, is_group: bool
) -> None:
    values = [f"{number} " + "1 " * 4_000 for number in range(120)]
    event = (_group_of(values) if is_group else _event(*values)) | {"fingerprint": fingerprint}
    grouper = make_grouper(toml=f'strategy = "{strategy}"')

    hashes = grouper.group(copy.deepcopy(event)).hashes

    assert_within_budget(parameterized)
    assert hashes == grouper.explain(event).hashes


def test_messages_named_in_a_fingerprint_share_the_budget(parameterized: list[str]) -> None:
    values = [f"{number} " + "1 " * 4_000 for number in range(120)]
    grouper = make_grouper(toml='strategy = "pipeline:2026-11-22"')

    grouper.group(_event(*values, fingerprint=values[::-1] * 2))

    assert_within_budget(parameterized)


def test_which_values_the_stacks_make_needless_changes_nothing() -> None:
    values = [f"{number} " + "1 " * 4_000 for number in range(20)]
    event = _event(*values, "20 last")
    for exception in event["exception"]["values"][:-1]:
        exception["stacktrace"] = {"frames": [{"function": "f", "in_app": True}]}

    assert make_grouper().group(copy.deepcopy(event)).hashes == make_grouper().explain(event).hashes
