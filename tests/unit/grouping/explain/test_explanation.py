from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console
from support.grouping import make_grouper

from pipeline.cli.grouping_tree import print_comparison, print_explanation
from pipeline.grouping.explain.comparison import compare
from pipeline.grouping.explain.explanation import Explanation

RULES = "# ours\nfunction:run -group\n\n[ function:run ] | function:pay category=money\ncategory:money -app"


def _event(**changes: Any) -> Any:
    frames = [
        {"function": "main", "module": "shop", "in_app": True},
        {"function": "run", "module": "lib", "in_app": False},
        {"function": "pay", "module": "shop.cart", "in_app": True},
    ]
    exception = {"type": "E", "value": "v", "stacktrace": {"frames": frames}} | changes
    return {"event_id": "e" * 32, "platform": "python", "title": "E: v", "exception": {"values": [exception]}}


def _explain(event: Any, project_id: int = 1, **rules: Any) -> Explanation:
    explanation = make_grouper(**rules).explain(event)
    explanation.project_id = project_id
    return explanation


def test_names_the_rule_of_every_frame_that_one_touched() -> None:
    lines = _explain(_event(), enhancements=RULES).to_json()["stack_trace_rules"]

    path = "exception.values[0].stacktrace"
    assert [(line["stack"], line["frame"], line["function"], line["file"], line["line"]) for line in lines] == [
        (path, 1, "run", "default/enhancements.rules", 2),
        (path, 2, "pay", "default/enhancements.rules", 4),
        (path, 2, "pay", "default/enhancements.rules", 5),
    ]
    assert lines[1]["rule"] == "[ function:run ] | function:pay category=money"


@pytest.mark.parametrize(
    ("rules", "lines"),
    [
        ("category:late -group\nfunction:run category=late", [1, 2]),
        ("app:yes function:run -group\nfunction:run +app", [1, 2]),
        ("app:no function:run -group\nfunction:run +app", [2]),
        ("app:no function:run +app\napp:yes function:run -app", [1, 2]),
        ("category:late +app\nfunction:run category=late", [2]),
        ("app:no function:run +app -group", [1]),
        ("category:late function:run max-frames=1\nfunction:run category=late", [1, 2]),
    ],
)
def test_a_rule_is_named_by_what_it_met_in_its_pass(rules: str, lines: list[int]) -> None:
    touched = _explain(_event(), enhancements=rules).touched_frames

    assert [(frame.rule.line, frame.function) for frame in touched] == [(line, "run") for line in lines]


def test_gives_the_contract_of_explain() -> None:
    body = _explain(_event(), fingerprints="level:x -> y").to_json()

    assert body.keys() >= {
        "event_id",
        "project_id",
        "primary_hash",
        "hashes",
        "fingerprint",
        "matched_fingerprint_rule",
        "variants",
    }
    assert body["primary_hash"] == body["hashes"][0]
    assert body["matched_fingerprint_rule"] is None
    for variant in body["variants"].values():
        assert variant.keys() >= {"type", "hash", "contributes", "description", "component"}
        assert variant["component"].keys() == {"id", "contributes", "hint", "values"}
    assert json.loads(json.dumps(body)) == body


def test_says_what_the_sender_wrote_and_the_rule_that_goes_before_it() -> None:
    explanation = _explain(_event() | {"fingerprint": ["client"]}, fingerprints="type:E -> {{ default }}, x")
    body = explanation.to_json()

    assert body["client_fingerprint"] == ["client"]
    for variant in body["variants"].values():
        assert (variant["values"], variant["client_values"]) == (["{{ default }}", "x"], ["client"])
    assert "client fingerprint  'client'" in _printed(print_explanation, explanation)
    plain = _explain(_event() | {"fingerprint": ["{{ default }}"]}).to_json()
    assert plain["client_fingerprint"] == []
    assert all("client_values" not in variant for variant in plain["variants"].values())


def test_events_that_group_together_share_the_values_that_did_it() -> None:
    comparison = compare(_explain(_event()), _explain(_event(value="another")))

    assert comparison.together
    assert comparison.differs is None
    assert ("app.exception.type", "E") in comparison.shared
    assert ("app.exception.stacktrace.frame[0].module", "shop") in comparison.shared


def test_the_first_contributing_value_that_differs_is_named() -> None:
    other = _event()
    other["exception"]["values"][0]["stacktrace"]["frames"][2]["function"] = "refund"

    comparison = compare(_explain(_event()), _explain(other))

    assert not comparison.together
    assert comparison.differs == (
        ("app.exception.stacktrace.frame[2].function", "pay"),
        ("app.exception.stacktrace.frame[2].function", "refund"),
    )
    assert "'pay' in the first and 'refund' in the second" in comparison.reason


def test_a_value_too_many_is_named() -> None:
    longer = _event()
    longer["exception"]["values"].append({"type": "Cause"})
    comparison = compare(_explain(longer), _explain(_event()))

    assert not comparison.together
    assert comparison.differs is not None


def test_events_grouped_in_different_ways_say_so() -> None:
    comparison = compare(_explain(_event()), _explain(_event() | {"fingerprint": ["x"]}))

    assert not comparison.together
    assert "custom-fingerprint" in comparison.reason


def test_a_shared_hash_that_names_neither_group_is_not_enough() -> None:
    other = _event()
    other["exception"]["values"][0]["stacktrace"]["frames"][1]["in_app"] = True

    comparison = compare(_explain(_event()), _explain(other))

    assert comparison.shared_hashes == (_explain(_event()).hashes[1],)
    assert not comparison.together


def test_projects_are_never_together() -> None:
    assert not compare(_explain(_event(), project_id=1), _explain(_event(), project_id=2)).together


def _printed(print_: Any, what: Any) -> str:
    console = Console(file=io.StringIO(), width=200, highlight=False)
    print_(what, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_tree_shows_what_contributes_and_where_a_rule_stands() -> None:
    text = _printed(print_explanation, _explain(_event(), enhancements=RULES, fingerprints="type:E -> {{ default }}, x"))

    assert "E: v" in text
    assert "app*" in text
    assert "function* 'main'" in text
    assert "ignored by stack trace rule (function:run -group), default/enhancements.rules:2" in text
    assert "default/fingerprints.rules:1" in text
    assert "exception.values[0].stacktrace frame 2 pay  category:money -app  default/enhancements.rules:5" in text


def test_the_comparison_shows_verdict_and_difference() -> None:
    together = _printed(print_comparison, compare(_explain(_event()), _explain(_event())))
    apart = _printed(print_comparison, compare(_explain(_event()), _explain(_event(type="F"))))

    assert together.startswith("together: both have the primary hash")
    assert apart.startswith("apart: app.exception.type is 'E' in the first and 'F' in the second")
    assert "first difference" in apart


def test_what_looks_like_markup_is_printed_as_it_is() -> None:
    assert "'[bold]x[/bold]'" in _printed(print_explanation, _explain(_event(value="[bold]x[/bold]")))


def test_no_line_is_cut_and_no_control_character_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    event = _event(value="\x1b[31m" + "long" * 100, type="T" * 100)
    print_explanation(_explain(event | {"title": "\x1b[31mred"}, enhancements=f"\nfunction:run{'*' * 60} -group"))
    printed = capsys.readouterr().out
    assert printed.startswith("\\x1b[31mred\n")
    assert "\x1b" not in printed
    assert "long" * 100 + "'" in printed
    assert f"function:run{'*' * 60} -group  default/enhancements.rules:2\n" in printed
