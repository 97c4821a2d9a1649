"""The examples and the README's commands show what they are said to show."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

SEEN = {
    "rule": ["merge  3 groups become one", "4 of 35 events change group."],
    "source-map": ["project 1 has no artifacts", "is  priceOf  https://shop.example/src/cart.js:3:21"],
    "quota": ["outcome accepted 30", "outcome rate_limited: shop_burst 30"],
}
"""What a reader of each README looks for in the output."""


def without_gaps(text: str) -> str:
    """Return a text with one blank for each gap: how wide a table is depends on the times in it."""
    return " ".join(text.split())


@pytest.mark.redis
@pytest.mark.parametrize("name", sorted(path.parent.name for path in EXAMPLES.glob("*/run")))
def test_an_example_shows_what_it_is_about(name: str) -> None:
    done = subprocess.run([EXAMPLES / name / "run"], capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    assert [text for text in SEEN[name] if without_gaps(text) not in without_gaps(done.stdout)] == []
    assert (EXAMPLES / name / "README.md").is_file()


def shown_in_the_readme() -> Iterator[tuple[list[str], list[str]]]:
    """Yield the commands of each block of README.md that has some, and the lines that they print."""
    for block in re.findall(r"^```\n(\$ .*?)^```", (EXAMPLES.parent / "README.md").read_text(), re.MULTILINE | re.DOTALL):
        lines = block.splitlines()
        yield (
            [line.removeprefix("$ ") for line in lines if line.startswith("$ ")],
            [line for line in lines if not line.startswith("$ ") and line.strip() != "..."],
        )


@pytest.mark.redis
@pytest.mark.parametrize(("commands", "printed"), list(shown_in_the_readme()))
def test_the_readme_shows_what_its_commands_print(commands: list[str], printed: list[str]) -> None:
    path = f"{EXAMPLES.parent / '.venv/bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-ec", "\n".join(commands)],
        cwd=EXAMPLES.parent,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert printed
    assert [line for line in printed if without_gaps(line) not in without_gaps(done.stdout)] == []
