"""Globs of filters, row by row against `suites/ingest/glob_patterns.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.suites import suite_cases

from pipeline.globs.glob import compile_glob
from pipeline.globs.parser import FILTER, FILTER_EXACT, GlobError


def _rows(file: Path) -> list[tuple[str, Any]]:
    return [(str(number), row) for number, row in enumerate(json.loads(file.read_text()))]


@pytest.mark.parametrize("case", suite_cases("ingest/glob_patterns.json", _rows))
def test_matches_as_published(case: dict[str, Any]) -> None:
    dialect = FILTER if case["case_insensitive"] else FILTER_EXACT
    if case["error"] is None:
        glob = compile_glob(case["pattern"], dialect)
        assert glob.matches(case["value"]) is case["match"]
    else:
        with pytest.raises(GlobError) as refused:
            compile_glob(case["pattern"], dialect)
        assert str(refused.value) in case["error"]
