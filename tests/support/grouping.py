"""Groupers for tests: from texts, as the rules folder would give them."""

from __future__ import annotations

from pathlib import Path

from pipeline.grouping.caches import GroupingCaches
from pipeline.grouping.grouper import Grouper
from pipeline.model.rule_file import RuleFile

BASES = Path(__file__).parents[2] / "rules" / "bases"


def bases_of(**texts: str) -> dict[str, RuleFile]:
    """Make bases of one date: `enhancements="..."`, `fingerprints="..."`."""
    return {f"{kind}@2000-01-01.rules": RuleFile(f"bases/{kind}@2000-01-01.rules", text) for kind, text in texts.items()}


def own_bases() -> dict[str, RuleFile]:
    """Read the bases that this project ships."""
    return {file.name: RuleFile(f"rules/bases/{file.name}", file.read_text()) for file in sorted(BASES.glob("*.rules"))}


def make_grouper(
    *,
    toml: str = 'hash = "md5"\n',
    enhancements: str = "",
    fingerprints: str = "",
    bases: dict[str, RuleFile] | None = None,
) -> Grouper:
    """Load a grouper of one project, with a memory of its own; without bases there are none."""
    layer = {
        "grouping.toml": RuleFile("default/grouping.toml", toml),
        "enhancements.rules": RuleFile("default/enhancements.rules", enhancements),
        "fingerprints.rules": RuleFile("default/fingerprints.rules", fingerprints),
    }
    return Grouper.load([layer], bases or {}, GroupingCaches(max_stack_bytes=4_000_000))
