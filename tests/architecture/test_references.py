"""Comments and pages refer to what is in the repository, and what they refer to exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ELSEWHERE = re.compile(
    r"""
      \b(?:design|spec),\ sections?\b          # a section of a document that is not here
    | \b(?:design|style)\.md\b
    | (?<![\w/])spec/[\w-]+\.md                # pages of the specification are docs/spec/<name>.md
    | (?<!\w)\.\./shared\b
    """,
    re.VERBOSE,
)
"""How a document outside the repository is named."""

ALLOWED = re.compile(r"PIPELINE_SUITES")
"""The default folder of the conformance suites lies beside the repository."""

PAGE = re.compile(r"(?<![\w/.-])docs/(?:[\w-]+/)*[\w-]+\.md\b")
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]+)(?:#[^)\s]*)?\)")
NAMED = re.compile(r"`((?:pipeline|rules|tests|scripts|docs|deploy|examples)/[\w./@-]*\w(?:/)?)`")

TEXTS = frozenset({".py", ".md", ".lua", ".toml", ".yaml", ".yml", ".rules", ".sh", ".json", ""})
"""Suffixes of files that people write; the empty one is of scripts."""

FOLDERS = (".ci", ".github", "deploy", "docs", "examples", "pipeline", "rules", "scripts", "tests")

NOT_READ = (
    *("tests/fixtures/", "rules/bases/", "tests/architecture/test_references.py"),
    "pipeline/shipped_rules/",
)
"""Recorded data; rules whose hashes are frozen; this file, which holds the violations."""


def texts() -> Iterator[tuple[str, str]]:
    """Return name and text of each file that people write."""
    files = [*ROOT.iterdir(), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))]
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        if path.suffix in TEXTS and not name.startswith(NOT_READ) and path.is_file() and "__pycache__" not in path.parts:
            yield name, path.read_text(errors="replace")


def references_elsewhere(text: str, *, is_page_of_docs: bool = False) -> list[str]:
    """Return the lines that refer to a document outside the repository; links of a page in docs/ are relative to it."""
    return [
        line
        for line in text.splitlines()
        if ELSEWHERE.search(LINK.sub("](", line) if is_page_of_docs else line) and not ALLOWED.search(line)
    ]


@pytest.mark.parametrize(
    "line",
    [
        "# as agreed (design, section 6)",
        '"""Tags (spec/storage.md, section 2)."""',
        "what the rules say (spec, section 4.2)",
        "see design.md",
        "cases lie in ../shared/suites",
    ],
)
def test_a_reference_to_another_document_is_seen(line: str) -> None:
    assert references_elsewhere(line) == [line]


@pytest.mark.parametrize(
    "line",
    [
        "export PIPELINE_SUITES=${PIPELINE_SUITES:-../shared/suites}",
        '"""Tags (docs/spec/storage-messages.md)."""',
        "a section of its own",
    ],
)
def test_a_reference_to_the_repository_is_not(line: str) -> None:
    assert references_elsewhere(line) == []


def test_nothing_refers_to_documents_outside_the_repository() -> None:
    found = [
        f"{name}: {line.strip()}"
        for name, text in texts()
        for line in references_elsewhere(text, is_page_of_docs=name.startswith("docs/"))
    ]
    assert found == []


def test_pages_that_code_refers_to_exist() -> None:
    assert [f"{name}: {page}" for name, text in texts() for page in PAGE.findall(text) if not (ROOT / page).is_file()] == []


def test_links_and_paths_in_pages_exist() -> None:
    wrong = []
    for name, text in texts():
        if not name.endswith(".md"):
            continue
        page = ROOT / name
        wrong += [f"{name}: {link}" for link in LINK.findall(text) if not (page.parent / link).exists()]
        wrong += [f"{name}: {path}" for path in NAMED.findall(text) if not list(ROOT.glob(path))]
    assert wrong == []
