"""The recorded fixtures are what their README says: real, distinct, of known origin, and silent about the recording machine."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline.model.envelope import parse_envelope

FIXTURES = Path(__file__).parents[1] / "fixtures"
SDKS = ("browser", "go", "java", "node", "python", "rust")
PROJECTS = {"python": 11, "node": 12, "browser": 13, "java": 14, "go": 15, "rust": 16}
WITH_BUILDS = ("browser", "node")
PERSONAL = (b"/root/", b"/home/", b"/Users/", b"/tmp/", b"/work/")
"""Where people and build machines keep their work. `/srv/shop` and where distributions install say nothing."""
NEUTRAL = ("/srv/shop/", "/usr/lib/", "/usr/local/go/", "/rustc/", "/build/glibc")


class Recorded(NamedTuple):
    file: str
    project_id: int
    event: dict[str, Any]

    @property
    def exceptions(self) -> list[dict[str, Any]]:
        found = self.event.get("exception") or {}
        return list(found["values"] if isinstance(found, dict) and "values" in found else found)

    @property
    def frames(self) -> list[dict[str, Any]]:
        return [frame for exception in self.exceptions for frame in (exception.get("stacktrace") or {}).get("frames", [])]

    @property
    def stack(self) -> tuple[Any, ...]:
        frames = [
            (frame.get("abs_path"), frame.get("function"), frame.get("lineno"), frame.get("colno")) for frame in self.frames
        ]
        return (*(exception.get("type") for exception in self.exceptions), *frames)


@cache
def recorded(sdk: str) -> tuple[Recorded, ...]:
    return tuple(_read(sdk))


def _read(sdk: str) -> Iterator[Recorded]:
    for file in sorted((FIXTURES / "recorded" / sdk).iterdir()):
        envelope = parse_envelope(file.read_bytes())
        assert envelope.dsn is not None, file
        for item in envelope.items:
            if item.type == "event":
                yield Recorded(f"{sdk}/{file.name}", envelope.dsn.project_id, json.loads(item.payload))


def index(sdk: str) -> dict[str, Any]:
    return dict(json.loads((FIXTURES / "index" / f"{sdk}.json").read_bytes()))


def truth(sdk: str) -> dict[str, Any]:
    return dict(json.loads((FIXTURES / "truth" / f"{sdk}.json").read_bytes()))


def bundles(sdk: str) -> Iterator[tuple[str, zipfile.ZipFile, dict[str, Any]]]:
    for path in sorted((FIXTURES / "artifacts" / str(PROJECTS[sdk])).glob("*.zip")):
        with zipfile.ZipFile(path) as bundle:
            yield path.stem, bundle, json.loads(bundle.read("manifest.json"))


def test_every_sdk_is_there() -> None:
    assert tuple(sorted(path.name for path in (FIXTURES / "recorded").iterdir())) == SDKS


@pytest.mark.parametrize("sdk", SDKS)
def test_there_are_enough_events_and_they_are_distinct(sdk: str) -> None:
    errors = [each for each in recorded(sdk) if each.exceptions]
    assert len({each.stack for each in errors}) >= 10

    same = Counter(str((each.stack, [exception.get("value") for exception in each.exceptions])) for each in errors)
    assert [what for what, count in same.items() if count > 1] == []


def test_the_issue_asks_for_thirty_errors_with_twenty_five_distinct_stacks() -> None:
    errors = [each for sdk in ("python", "node", "browser") for each in recorded(sdk) if each.exceptions]
    assert len(errors) >= 30
    assert len({each.stack for each in errors}) >= 25


@pytest.mark.parametrize("sdk", SDKS)
def test_the_index_names_origin_and_version_of_every_file(sdk: str) -> None:
    listed = index(sdk)
    assert listed["project_id"] == PROJECTS[sdk]
    assert "Apache-2.0" in listed["licence"]
    assert listed["runtime"]
    assert listed["how"]

    files = {f"{sdk}/{path.name}" for path in (FIXTURES / "recorded" / sdk).iterdir()}
    assert {each["file"] for each in (*listed["events"], *listed["others"])} == files
    of_file = {each["file"]: each for each in listed["events"]}
    assert len(of_file) == len(recorded(sdk))
    for each in recorded(sdk):
        entry = of_file[each.file]
        assert each.project_id == PROJECTS[sdk]
        assert entry["event_id"] == each.event["event_id"]
        assert entry["sdk"] == f"{each.event['sdk']['name']} {each.event['sdk']['version']}"
        assert (FIXTURES / entry["made_by"].split(",")[0]).exists()


@pytest.mark.parametrize("sdk", SDKS)
def test_nothing_tells_about_the_recording_machine(sdk: str) -> None:
    contents = {str(path): path.read_bytes() for path in (FIXTURES / "recorded" / sdk).iterdir()}
    contents[f"index of {sdk}"] = (FIXTURES / "index" / f"{sdk}.json").read_bytes()
    if sdk in WITH_BUILDS:
        for build, bundle, _ in bundles(sdk):
            contents |= {f"{build}: {name}": bundle.read(name) for name in bundle.namelist()}
    assert [(name, path) for name, content in contents.items() for path in PERSONAL if path in content] == []

    paths = {str(frame.get("abs_path") or "") for each in recorded(sdk) for frame in each.frames}
    assert [path for path in paths if path.startswith("/") and not path.startswith(NEUTRAL)] == []


def test_the_fixtures_stay_small() -> None:
    assert sum(path.stat().st_size for path in FIXTURES.rglob("*") if path.is_file()) < 6_000_000


@pytest.mark.parametrize("sdk", WITH_BUILDS)
def test_events_of_a_build_lead_to_its_upload(sdk: str) -> None:
    """By debug id where sentry-cli put one in; by release and dist for the build that has none."""
    manifests = {build: manifest for build, _, manifest in bundles(sdk)}
    assert {"esbuild", "webpack", "rollup", "plain"} == set(manifests)
    for build, manifest in manifests.items():
        ids = {file.get("headers", {}).get("debug-id") for file in manifest["files"].values()}
        of_build = [each for each in recorded(sdk) if each.file.startswith(f"{sdk}/{build}-") and each.frames]
        assert len(of_build) >= 10
        for each in of_build:
            images = (each.event.get("debug_meta") or {}).get("images") or []
            if build == "plain":
                assert not images
                assert (each.event["release"], each.event["dist"]) == (manifest["release"], manifest["dist"])
            else:
                assert {image["debug_id"] for image in images} & ids, each.file


@pytest.mark.parametrize("sdk", WITH_BUILDS)
def test_the_truth_names_lines_of_our_sources(sdk: str) -> None:
    events = {each.event["event_id"]: each for each in recorded(sdk)}
    known = 0
    for event_id, stacks in truth(sdk).items():
        each = events[event_id]
        assert stacks["file"] == each.file
        assert [stack["type"] for stack in stacks["exceptions"]] == [exception.get("type") for exception in each.exceptions]
        for stack, exception in zip(stacks["exceptions"], each.exceptions, strict=True):
            assert len(stack["frames"]) == len((exception.get("stacktrace") or {}).get("frames", []))
            for frame in filter(None, stack["frames"]):
                lines = (FIXTURES / "programs" / sdk / frame["file"]).read_text(encoding="utf-8").splitlines()
                assert 0 < frame["line"] <= len(lines)
                assert 0 < frame["column"] <= len(lines[frame["line"] - 1].encode("utf-16-le")) // 2
                known += 1
    assert known >= 150
