"""This project's base rules in place of Sentry's: most published snapshots keep their hashes, the others have a reason.

The reasons are rules of ours that the reference text has no counterpart of. Each is a decision, listed here with its why:
without them our base gives every snapshot its published hashes.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from support.suites import suite_cases

from pipeline.grouping.grouper import Grouper
from pipeline.model.rule_file import RuleFile

FOLDER = Path(__file__).parents[2] / "rules" / "bases"
BASE = FOLDER / "enhancements@2026-11-22.rules"
"""The base that `newstyle:2023-01-11` has in force."""
NEWER = FOLDER / "enhancements@2026-12-01.rules"

DECISIONS = {
    "family:native path:/rustc/** -app": "Rust's standard library is not the user's, also where a name does not begin with std",
    "family:native path:**/.cargo/registry/** -app": "a crate from the registry is a dependency, as site-packages is",
    "path:**/node_modules/@sentry/** -app -group": "the SDK's own wrappers differ with its version, not with the error",
}
"""The rules for which hashes differ, and the reason of each."""

DECIDED_SECTIONS = {
    "Entries": "what starts a program or a thread is the same for all errors of it, whichever library has the function",
    "Calls that are only passed on": "a lambda of the program tells events apart, as the function that it is written in does",
}
"""The sections in which the newer base differs, and the reason of each."""

SETTINGS = RuleFile("grouping.toml", 'hash = "md5"\nbuiltin_fingerprints = false\nenhancement_base = "2026-11-22"\n')

CASES = suite_cases("grouping/newstyle-2023-01-11/*.json")


def base_without(rules: set[str]) -> str:
    """Return the text of the base without the given rules."""
    return "\n".join(line for line in BASE.read_text().splitlines() if " ".join(line.split()) not in rules)


def hashes(case: dict[str, Any], base: str) -> list[str]:
    project = RuleFile("enhancements.rules", case["config"]["custom_enhancements"] or "")
    layers = [{"grouping.toml": SETTINGS, "enhancements.rules": project}]
    grouper = Grouper.load(layers, {"enhancements@2026-11-22.rules": RuleFile("base.rules", base)})
    return list(grouper.group(copy.deepcopy(case["normalized"])).hashes)


ALL = CASES if CASES[0].values == (None,) else [pytest.param([case.values[0] for case in CASES], id="all")]
"""All cases as one parameter, or the mark that there are none."""


@pytest.mark.parametrize("cases", ALL)
def test_at_least_85_percent_keep_their_hashes(cases: list[dict[str, Any]]) -> None:
    for base in (BASE.read_text(), NEWER.read_text()):
        changed = [case["name"] for case in cases if hashes(case, base) != case["expected"]["hashes"]]

        assert len(changed) <= 0.15 * len(cases), changed


@pytest.mark.parametrize("cases", ALL)
def test_the_rest_differ_for_the_decisions_listed(cases: list[dict[str, Any]]) -> None:
    with_all, without = BASE.read_text(), base_without(set(DECISIONS))
    changed = [case for case in cases if hashes(case, with_all) != case["expected"]["hashes"]]

    unexplained = [case["name"] for case in changed if hashes(case, without) != case["expected"]["hashes"]]

    assert unexplained == []


@pytest.mark.parametrize("rule", DECISIONS)
def test_a_decision_is_in_the_base(rule: str) -> None:
    lines = [" ".join(line.split()) for line in BASE.read_text().splitlines()]
    assert lines.count(rule) == 1


def sections(text: str) -> dict[str, list[str]]:
    """Return the rules of each section, without comments and alignment."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in text.splitlines():
        if line.startswith("# --- "):
            section = line.strip("# -")
        elif line.strip() and not line.startswith("#"):
            found.setdefault(section, []).append(" ".join(line.split()))
    return found


def test_the_newer_base_differs_in_the_decided_sections() -> None:
    before, after = sections(BASE.read_text()), sections(NEWER.read_text())

    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == set(DECIDED_SECTIONS)
