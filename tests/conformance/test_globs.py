"""Globs of filters, row by row against `suites/ingest/glob_patterns.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.suites import suite_cases

from pipeline.filters.globs import GlobError, compile_glob


def _rows(file: Path) -> list[tuple[str, Any]]:
    return [(str(number), row) for number, row in enumerate(json.loads(file.read_text()))]


@pytest.mark.parametrize("case", suite_cases("ingest/glob_patterns.json", _rows))
def test_matches_as_published(case: dict[str, Any]) -> None:
    if case["error"] is None:
        glob = compile_glob(case["pattern"], ignore_case=case["case_insensitive"])
        assert glob.matches(case["value"]) is case["match"]
    else:
        with pytest.raises(GlobError) as refused:
            compile_glob(case["pattern"], ignore_case=case["case_insensitive"])
        assert str(refused.value) in case["error"]
