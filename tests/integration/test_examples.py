"""The examples run as their READMEs say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

SEEN = {
    "rule": ["merge  3 groups become one", "4 of 35 events change group."],
    "source-map": ["project 1 has no artifacts", "is  priceOf  https://shop.example/src/cart.js:3:21"],
    "quota": ["outcome accepted                             30", "outcome rate_limited: shop_burst             30"],
}
"""What a reader of each README looks for in the output."""


@pytest.mark.redis
@pytest.mark.parametrize("name", sorted(path.parent.name for path in EXAMPLES.glob("*/run")))
def test_an_example_shows_what_it_is_about(name: str) -> None:
    done = subprocess.run([EXAMPLES / name / "run"], capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    assert [text for text in SEEN[name] if text not in done.stdout] == []
    assert (EXAMPLES / name / "README.md").is_file()
