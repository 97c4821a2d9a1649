"""Groupers for tests, made of rule texts as the rules folder would read them."""

from __future__ import annotations

from pathlib import Path

from pipeline.grouping.caches import GroupingCaches
from pipeline.grouping.grouper import Grouper
from pipeline.model.rule_file import RuleFile

BASES = Path(__file__).parents[2] / "rules" / "bases"


def bases_of(**texts: str) -> dict[str, RuleFile]:
    """Return bases of one date: `enhancements="..."`, `fingerprints="..."`."""
    return {f"{kind}@2000-01-01.rules": RuleFile(f"bases/{kind}@2000-01-01.rules", text) for kind, text in texts.items()}


def own_bases() -> dict[str, RuleFile]:
    """Return the bases that the project ships."""
    return {file.name: RuleFile(f"rules/bases/{file.name}", file.read_text()) for file in sorted(BASES.glob("*.rules"))}


def make_grouper(
    *,
    toml: str = 'hash = "md5"\n',
    enhancements: str = "",
    fingerprints: str = "",
    bases: dict[str, RuleFile] | None = None,
) -> Grouper:
    """Return a grouper of one project with caches of its own. Without `bases` there are no base rules."""
    layer = {
        "grouping.toml": RuleFile("default/grouping.toml", toml),
        "enhancements.rules": RuleFile("default/enhancements.rules", enhancements),
        "fingerprints.rules": RuleFile("default/fingerprints.rules", fingerprints),
    }
    return Grouper.load([layer], bases or {}, GroupingCaches(max_stack_bytes=4_000_000))
