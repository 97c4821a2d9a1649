"""The examples of rules/README.md are rules and cases that work."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.grouping.fingerprint_rules.parser import parse_fingerprint_rules
from pipeline.grouping.stacktrace_rules.parser import parse_stacktrace_rules
from pipeline.model.rule_file import RuleFile
from pipeline.rule_tools.case_file import parse_cases

README = (Path(__file__).parents[3] / "rules" / "README.md").read_text()


def example(heading: str) -> RuleFile:
    """Return the first block of code below a heading."""
    section = README.partition(f"\n## {heading}")[2]
    block = re.search(r"```\w*\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return RuleFile(heading, block[1])


def test_stack_trace_rules_parse() -> None:
    assert len(parse_stacktrace_rules([example("Stack-trace rules")])) == 4


def test_fingerprint_rules_parse() -> None:
    rules, errors = parse_fingerprint_rules(example("Fingerprint rules"))
    assert errors == []
    assert len(rules) == 3


def test_cases_parse() -> None:
    assert len(parse_cases(example("Cases"))) == 1
