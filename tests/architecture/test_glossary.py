"""The glossary names classes that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_classes_of_the_glossary_exist() -> None:
    named = set(re.findall(r"`([A-Z][A-Za-z]+)`", (ROOT / "docs" / "glossary.md").read_text()))
    trees = (ast.parse(file.read_text()) for file in (ROOT / "pipeline").rglob("*.py"))
    known = {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}

    assert len(named) > 40
    assert sorted(named - known) == []


def test_no_word_is_explained_twice() -> None:
    rows = re.findall(r"^\| (.*?) \| .* \|$", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    words = [word.strip() for row in rows if row != "word" for word in re.sub(r"\(.*?\)|`", "", row).split(",")]

    assert sorted({word for word in words if words.count(word) > 1}) == []


def test_only_the_command_line_prints() -> None:
    """To make text or bytes of an object is `to_text`, `to_json` or `encode_...`; to print is to write to the terminal."""
    files = [file for file in (ROOT / "pipeline").rglob("*.py") if "cli" not in file.relative_to(ROOT).parts]
    found = [
        f"{file.relative_to(ROOT)}: {node.name}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef) and re.match(r"_?print(_|$)", node.name)
    ]
    assert found == []
