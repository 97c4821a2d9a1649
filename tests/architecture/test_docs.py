"""Generated pages say what the code says now."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_generated_pages_are_fresh() -> None:
    check = subprocess.run(
        [sys.executable, "scripts/generate_docs.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stderr


def test_the_readme_is_short_and_its_paths_exist() -> None:
    import re

    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 120
    paths = re.findall(r"`((?:pipeline|rules|tests|scripts|docs|deploy)/[\w./@-]*)`", text)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_each_decision_has_a_number_of_its_own() -> None:
    pages = sorted((ROOT / "docs" / "adr").glob("*.md"))
    numbers = [int(page.name[:4]) for page in pages]
    assert numbers == list(range(1, len(pages) + 1))
    assert [page.name for page in pages if not page.read_text().startswith(f"# {int(page.name[:4])}. ")] == []


def test_locks_name_no_hosts_and_no_paths() -> None:
    import re

    for lock in ROOT.glob("requirements*.lock"):
        for line in lock.read_text().splitlines():
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?|[a-z0-9._-]+==[\w.]+( ; [^/:]*)?( \\)?", line), line


def test_workflows_run_what_people_run() -> None:
    import yaml

    commands = [
        step["run"].split()[0]
        for path in sorted((ROOT / ".github/workflows").glob("*.yml"))
        for job in yaml.safe_load(path.read_text())["jobs"].values()
        for step in job["steps"]
        if "run" in step
    ]
    assert {"scripts/check", ".ci/run"} <= set(commands)
    assert [command for command in commands if not (ROOT / command).is_file()] == []


def test_docstrings_say_what_is_returned() -> None:
    """ "Give" and "Say" hide whether something is returned, written or shown."""
    files = [path for folder in ("pipeline", "scripts", "tests", "examples") for path in (ROOT / folder).rglob("*.py")]
    vague = re.compile(r'^\s*"""(Give|Say|Tell)s? ', re.MULTILINE)
    found = [str(path.relative_to(ROOT)) for path in files if "fixtures" not in path.parts and vague.search(path.read_text())]
    assert found == []


PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "rules").rglob("*.md")),
]
_COMMAND_LINE = re.compile(r"(?:^|[`$|(] ?|&& )pipeline ([a-z][^`\n|#&]*)", re.MULTILINE)


def unknown_in(line: str) -> str | None:
    """Return the command or option of a `pipeline` command line that does not exist, None if all of them do."""
    import click

    from pipeline.cli import cli

    words = re.sub(r"[<>()\"']", " ", line).split()
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        if not words or words[0].startswith("-"):
            break
        found = command.get_command(context, words[0])
        if found is None:
            return words[0]
        command, words = found, words[1:]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {"--help", "-h"}
    return next((word for word in words if word.startswith("--") and word.partition("=")[0].rstrip(".,;:") not in known), None)


def test_an_unknown_command_or_option_is_found() -> None:
    assert unknown_in("replay events.jsonl --out out/") is None
    assert unknown_in("rules diff old new events.jsonl --exit-code") is None
    assert unknown_in("replay events.jsonl --output out/") == "--output"
    assert unknown_in("rules compare a b") == "compare"
    assert unknown_in("relay") == "relay"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_exist(page: Path) -> None:
    found = [line for line in _COMMAND_LINE.findall(page.read_text()) if unknown_in(line) is not None]
    assert found == []
