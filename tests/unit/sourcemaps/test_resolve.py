from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.artifact_bundles import BuiltFile, write_bundle
from support.source_maps import CODE, FILES, SOURCE, URL, event, frames_of, source_map
from support.symbolication import kinds, resolve

from pipeline.sourcemaps.artifacts import Artifacts
from pipeline.sourcemaps.engines.symbolic_engine import SymbolicEngine
from pipeline.sourcemaps.stores.folder_store import FolderStore
from pipeline.stages.normalize import normalize_event


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    write_bundle(tmp_path / "7" / "a.zip", FILES, release="shop@1")
    return Artifacts(FolderStore(tmp_path), SymbolicEngine())


def test_a_frame_becomes_the_original_one(artifacts: Artifacts) -> None:
    crashed = event()
    assert resolve(artifacts, crashed) == (1, 1)
    (frame,) = frames_of(crashed)
    assert frame == {
        "abs_path": "https://shop.example/src/app.js",
        "filename": "../src/app.js",
        "module": "src/app",
        "function": "refuse",
        "lineno": 2,
        "colno": 3,
        "pre_context": ["export function refuse(what) {"],
        "context_line": '  throw new Error("no " + what);',
        "post_context": ["}", "", "refuse(1);"],
        "data": {"sourcemap": f"{URL}.map", "resolved_with": "release", "symbolicated": True},
    }
    (raw,) = crashed["exception"]["values"][0]["raw_stacktrace"]["frames"]
    assert (raw["function"], raw["lineno"], raw["colno"], raw["abs_path"]) == ("a", 1, 15, URL)
    assert raw["context_line"] == CODE.decode().splitlines()[0]
    assert "errors" not in crashed


def test_again_gives_the_same(artifacts: Artifacts) -> None:
    crashed = event({"abs_path": URL, "lineno": 1, "colno": 15}, {"abs_path": "https://x/y.js", "lineno": 3, "colno": 1})
    resolve(artifacts, crashed)
    once = copy.deepcopy(crashed)
    resolve(artifacts, crashed)
    assert crashed == once
    assert kinds(crashed) == ["missing_source"]


def test_what_could_not_be_resolved_is_resolved_later(tmp_path: Path) -> None:
    """Late artifacts: the stored event, taken again, gives what it would have given."""
    crashed = event(errors=[{"type": "past_timestamp"}])
    resolve(Artifacts(FolderStore(tmp_path), SymbolicEngine()), crashed)
    assert [error["type"] for error in crashed["errors"]] == ["past_timestamp", "js_no_source"]
    assert frames_of(crashed)[0]["lineno"] == 1

    write_bundle(tmp_path / "7" / "a.zip", FILES, release="shop@1")
    resolve(Artifacts(FolderStore(tmp_path), SymbolicEngine()), crashed)
    assert [error["type"] for error in crashed["errors"]] == ["past_timestamp"]
    assert frames_of(crashed)[0]["function"] == "refuse"


@pytest.mark.parametrize(
    ("platform", "abs_path", "is_skipped"),
    [
        ("javascript", "native", True),
        ("javascript", "[native code]", True),
        ("node", "node:internal/timers", True),
        ("node", "timers.js", True),
        ("node", "https://shop.example/static/app.min.js", True),
        ("javascript", "node:internal/timers", False),
        ("node", "/srv/app.js", False),
        ("node", "C:\\app.js", False),
        ("node", "app:///app.js", False),
    ],
)
def test_builtin_frames_are_left_and_not_the_applications(
    artifacts: Artifacts, platform: str, abs_path: str, is_skipped: bool
) -> None:
    other = {"abs_path": "/x/app.js" if platform == "node" else URL, "lineno": 1, "colno": 15}
    crashed = event({"abs_path": abs_path, "lineno": 1, "colno": 2, "in_app": True}, other, platform=platform)
    resolve(artifacts, crashed)
    assert frames_of(crashed)[0]["in_app"] is (not is_skipped)
    assert crashed["exception"]["values"][0]["raw_stacktrace"]["frames"][0]["in_app"] is True


def test_an_event_with_nothing_to_look_up_stays_as_it_is(artifacts: Artifacts) -> None:
    crashed = event({"abs_path": "native", "lineno": 1}, {"function": "f"}, {"abs_path": URL})
    before = copy.deepcopy(crashed)
    assert resolve(artifacts, crashed) == (0, 0)
    assert crashed == before
    python = event(platform="python")
    assert resolve(artifacts, python) == (0, 0)


def test_a_refused_frame_keeps_its_place(artifacts: Artifacts) -> None:
    crashed = event()
    not_frames: list[Any] = [None, None]
    frames_of(crashed)[:0] = not_frames
    assert resolve(artifacts, crashed) == (1, 1)
    assert frames_of(crashed)[:2] == not_frames
    assert frames_of(crashed)[2]["function"] == "refuse"


def test_a_url_without_end_is_not_looked_for(artifacts: Artifacts) -> None:
    crashed = event({"abs_path": "https://h/" + "x" * 1_000_000, "lineno": 1})
    assert resolve(artifacts, crashed) == (0, 0)


def test_threads_and_the_events_own_stacktrace_are_resolved_too(artifacts: Artifacts) -> None:
    frame = {"abs_path": f"async {URL}", "lineno": 1, "colno": 15}
    crashed: dict[str, Any] = {
        "platform": "javascript",
        "release": "shop@1",
        "threads": {"values": [{"stacktrace": {"frames": [dict(frame)]}}, None, {"stacktrace": None}]},
        "stacktrace": {"frames": [dict(frame)]},
    }
    assert resolve(artifacts, crashed) == (2, 2)
    assert crashed["stacktrace"]["frames"][0]["function"] == "refuse"
    assert crashed["threads"]["values"][0]["raw_stacktrace"]["frames"][0]["lineno"] == 1
    assert "raw_stacktrace" not in crashed


@pytest.mark.parametrize("line", [-1, 0, 2**32, 2**63, 10**30])
@pytest.mark.parametrize("column", [None, -5, 0, 2**32, 10**30])
def test_impossible_places_are_named_and_the_frame_stays(artifacts: Artifacts, line: int, column: Any) -> None:
    crashed = event({"abs_path": URL, "lineno": line, "colno": column})
    assert resolve(artifacts, crashed) == (1, 0)
    assert kinds(crashed) == ["invalid_location"]
    assert frames_of(crashed)[0]["lineno"] == line


def test_columns_count_utf16_units(tmp_path: Path) -> None:
    code = '"😀";throw new Error(1)\n//# sourceMappingURL=app.min.js.map'.encode()
    tokens = source_map([(0, 0, 0, 0, 0), (0, 5, 0, 1, 0)], ["a.js"], ['"😀";\nthrow new Error(1)\n'])
    files = [BuiltFile("~/static/app.min.js", code), BuiltFile("~/static/app.min.js.map", tokens, "source_map")]
    write_bundle(tmp_path / "7" / "a.zip", files, release="shop@1")
    artifacts = Artifacts(FolderStore(tmp_path), SymbolicEngine())
    lines = []
    for column in (5, 6):
        crashed = event({"abs_path": URL, "lineno": 1, "colno": column})
        resolve(artifacts, crashed)
        lines.append(frames_of(crashed)[0]["lineno"])
    assert lines == [1, 2]


def test_a_token_that_the_cache_drops_is_found_all_the_same(tmp_path: Path) -> None:
    """Trap 4: the second line begins with a token equal to the last one of the first line."""
    code = b"`\n`;x()\n//# sourceMappingURL=app.min.js.map"
    tokens = source_map([(0, 0, 0, 0, 0), (1, 0, 0, 0, 0), (1, 4, 0, 4, 0)], ["a.js"], ["`\n`\n\n\nx()\n"])
    files = [BuiltFile("~/static/app.min.js", code), BuiltFile("~/static/app.min.js.map", tokens, "source_map")]
    write_bundle(tmp_path / "7" / "a.zip", files, release="shop@1")
    crashed = event({"abs_path": URL, "lineno": 2, "colno": 2})
    assert resolve(Artifacts(FolderStore(tmp_path), SymbolicEngine()), crashed) == (1, 1)
    assert (frames_of(crashed)[0]["lineno"], frames_of(crashed)[0]["context_line"]) == (1, "`")


def test_sources_may_lie_beside_the_map(tmp_path: Path) -> None:
    without = source_map([(0, 14, 0, 1, 2)], ["../src/app.js"])
    files = [BuiltFile("~/static/app.min.js", CODE), BuiltFile("~/static/app.min.js.map", without, "source_map")]
    write_bundle(tmp_path / "7" / "a.zip", files, release="shop@1")
    artifacts = Artifacts(FolderStore(tmp_path), SymbolicEngine())
    crashed = event()
    resolve(artifacts, crashed)
    assert crashed["errors"] == [
        {
            "type": "js_missing_sources_content",
            "symbolicator_type": "missing_source_content",
            "source": "../src/app.js",
            "sourcemap": f"{URL}.map",
        }
    ]
    assert "context_line" not in frames_of(crashed)[0], "the minified line is not the original one"

    write_bundle(tmp_path / "7" / "b.zip", [*files, BuiltFile("~/src/app.js", SOURCE.encode(), "source")], release="shop@1")
    crashed = event()
    resolve(Artifacts(FolderStore(tmp_path), SymbolicEngine()), crashed)
    assert frames_of(crashed)[0]["context_line"] == '  throw new Error("no " + what);'
    assert kinds(crashed) == []


def test_the_callers_name_for_an_anonymous_function_is_used_once(tmp_path: Path) -> None:
    code = b"[1].map(()=>{f()})\n//# sourceMappingURL=app.min.js.map"
    tokens = source_map(
        [(0, 4, 0, 0, 4, 0), (0, 13, 0, 1, 2, 1)], ["a.js"], ["[1].map(() => {\n  f();\n});\n"], names=["map", "f"]
    )
    files = [BuiltFile("~/static/app.min.js", code), BuiltFile("~/static/app.min.js.map", tokens, "source_map")]
    write_bundle(tmp_path / "7" / "a.zip", files, release="shop@1")
    inner = {"abs_path": URL, "lineno": 1, "colno": 14, "function": "?"}
    crashed = event({"abs_path": URL, "lineno": 1, "colno": 5}, inner, {"abs_path": "native", "lineno": 1}, inner)
    resolve(Artifacts(FolderStore(tmp_path), SymbolicEngine()), crashed)
    assert [frame.get("function") for frame in frames_of(crashed)] == ["<unknown>", "map", None, "f"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["frames", "values", "stacktrace", "lineno"]), inner)
    ),
    max_leaves=10,
)
FRAME = st.fixed_dictionaries(
    {},
    optional={
        name: JSON | st.just(value)
        for name, value in {"abs_path": URL, "lineno": 1, "colno": 15, "function": "a", "data": {}, "platform": "node"}.items()
    },
)
HOSTILE = st.fixed_dictionaries(
    {"platform": st.sampled_from(["javascript", "node"])},
    optional={
        "exception": JSON
        | st.fixed_dictionaries(
            {"values": st.lists(st.fixed_dictionaries({"stacktrace": st.fixed_dictionaries({"frames": st.lists(FRAME)})}))}
        ),
        "threads": JSON,
        "stacktrace": JSON | st.fixed_dictionaries({"frames": st.lists(FRAME | JSON)}),
        "debug_meta": JSON
        | st.fixed_dictionaries({"images": JSON | st.lists(st.fixed_dictionaries({"type": JSON, "debug_id": JSON}))}),
        "release": JSON | st.just("shop@1"),
        "dist": JSON,
        "errors": JSON | st.lists(st.fixed_dictionaries({"symbolicator_type": JSON})),
    },
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(HOSTILE)
def test_no_event_makes_it_fail(tmp_path_factory: pytest.TempPathFactory, hostile: dict[str, Any]) -> None:
    folder = tmp_path_factory.getbasetemp() / "hostile-events"
    if not folder.exists():
        write_bundle(folder / "7" / "a.zip", FILES, release="shop@1")
    normalized: Any = normalize_event(hostile, received=1_795_341_600.0, project_id=7, event_id="1" * 32)
    counts = resolve(Artifacts(FolderStore(folder), SymbolicEngine()), normalized)
    assert 0 <= counts.resolved <= counts.looked_up
