"""The conformance suites: cases of other systems, read from the folder in PIPELINE_SUITES and copied nowhere.

Where the folder is absent, one skipped test says so and names the variable (tests/conformance/conftest.py). Where it is there
and a pattern finds no case, collecting fails. Cases of this project's own run in any case.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(os.environ.get("PIPELINE_SUITES", Path(__file__).parents[3] / "shared" / "suites"))

NO_SUITES = "no-suites"
"""Id of the one parameter of a test whose cases are not there."""

Cases = Iterable[tuple[str, Any]]
"""Pairs of a name and a case."""


def suite_cases(pattern: str, split: Callable[[Path], Cases] | None = None) -> list[Any]:
    """Return a pytest parameter for each case in the files that match, such as `ingest/pii/*.json`.

    Without `split` a file of JSON is one case, and one of JSON lines a case a line. With it, a file gives (name, case) pairs.
    """
    if not ROOT.is_dir():
        return [pytest.param(None, id=NO_SUITES, marks=pytest.mark.skip(reason=f"{NO_SUITES} at {ROOT}"))]
    cases = [
        pytest.param(case, id=f"{file.relative_to(ROOT).with_suffix('')}{'-' if name else ''}{name}")
        for file in sorted(ROOT.glob(pattern))
        for name, case in (split or _whole)(file)
    ]
    if not cases:
        raise LookupError(f"{ROOT} is there, but {pattern} yields no case")
    return cases


def _whole(file: Path) -> Cases:
    if file.suffix == ".jsonl":
        return [(str(number), json.loads(line)) for number, line in enumerate(file.read_text().splitlines(), 1) if line]
    return [("", json.loads(file.read_text()))]
