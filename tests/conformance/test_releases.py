"""Releases and versions, row by row against `suites/ingest/releases.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.suites import suite_cases

from pipeline.filters.releases import Release, ReleaseError, compare_versions, parse_release


def _rows(file: Path) -> list[tuple[str, Any]]:
    return [(str(number), row) for number, row in enumerate(json.loads(file.read_text()))]


def _parts(release: Release) -> dict[str, Any]:
    version = release.version
    return {
        "package": release.package,
        "version_raw": release.version_text,
        "version_parsed": version
        and {
            **dict(zip(("major", "minor", "patch", "revision"), version.numbers, strict=True)),
            "pre": version.pre,
            "build_code": version.build,
            "raw_short": version.short,
            "components": version.components,
            "raw_quad": list(version.raw),
        },
        "build_hash": release.build_hash,
        "description": release.description,
    }


@pytest.mark.parametrize("case", suite_cases("ingest/releases.json", _rows))
def test_reads_and_orders_as_published(case: dict[str, Any]) -> None:
    if case["fn"] == "compare_version":
        assert compare_versions(case["a"], case["b"]) == case["result"]
    elif case["error"] is None:
        assert _parts(parse_release(case["input"])) == case["output"]
    else:
        with pytest.raises(ReleaseError, match=case["error"]):
            parse_release(case["input"])
