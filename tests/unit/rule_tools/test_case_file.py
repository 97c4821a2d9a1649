"""Case files: what is no case is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.model.errors import InvalidRulesError
from pipeline.model.rule_file import RuleFile
from pipeline.rule_tools.case_file import case_files, parse_cases

GOOD = "- name: one\n  event: {message: hi}\n  expect: {together: true}\n"


def test_cases_know_their_lines() -> None:
    cases = parse_cases(
        RuleFile("x.cases.yaml", "# a comment\n" + GOOD + "\n- name: two\n  events: [{}, {}]\n  expect: {title: t}\n")
    )

    assert [(placed.case.name, placed.line, len(placed.case.all_events)) for placed in cases] == [("one", 2, 1), ("two", 6, 2)]
    assert parse_cases(RuleFile("x.cases.yaml", "")) == []


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("name: not a list", 1, "expected a list of cases"),
        (GOOD + "- name: x\n  event: {}\n", 4, "missing required field `expect`"),
        (GOOD + "- name: x\n  expect: {title: t}\n", 4, "expected an event"),
        (GOOD + "- name: x\n  event: {}\n  expect: {}\n", 4, "expects nothing"),
        (GOOD + "- name: x\n  event: {}\n  expect: {colour: red}\n", 4, "unknown field `colour`"),
        (GOOD + "- name: [x\n", 5, "expected"),
        (GOOD + "- !!python/object:os.system {}\n", 4, "could not determine a constructor"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(InvalidRulesError) as raised:
        parse_cases(RuleFile("x.cases.yaml", text))

    (error,) = raised.value.errors
    assert (error.file, error.line) == ("x.cases.yaml", line)
    assert message in error.message


def test_files_are_found_with_whose_rules_they_are_about(tmp_path: Path) -> None:
    for name in ("bases/a.cases.yaml", "default/b.cases.yaml", "projects/12/c.cases.yaml", "default/other.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(GOOD)

    found = [(subject, file.path.rpartition("/")[2]) for subject, file in case_files(tmp_path)]

    assert found == [("bases", "a.cases.yaml"), ("default", "b.cases.yaml"), (12, "c.cases.yaml")]
