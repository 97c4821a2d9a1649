"""Base rules alone: what holds where an operator wrote nothing. Cases beside the bases are about these."""

from __future__ import annotations

from pathlib import Path

from pipeline.grouping.grouper import Grouper
from pipeline.model.rule_file import RuleFile
from pipeline.rules.snapshot import Rules


def base_rules(folder: Path, loaded: Rules) -> Rules:
    """Give the folder's rules with every project grouped by the newest bases, and by nothing that an operator added."""
    files = sorted((folder / "bases").glob("*.rules"))
    bases = {file.name: RuleFile(str(file.relative_to(folder.parent)), file.read_text()) for file in files}
    return Rules(loaded.version, loaded.default._replace(grouper=Grouper.load([], bases)), {})
