"""Each kind of failure: what `check` finds, and that doing what it prints makes the frame resolve."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.artifact_bundles import BuiltFile, write_bundle
from support.source_maps import CODE, FILES, MAP, URL, event, source_map
from support.symbolication import resolve

from pipeline.cli.sourcemaps import sourcemaps
from pipeline.sourcemaps.artifacts import Artifacts, CacheLimits
from pipeline.sourcemaps.diagnosis import FrameDiagnosis, diagnose_event
from pipeline.sourcemaps.engines.probe import Probe
from pipeline.sourcemaps.engines.symbolic_engine import SymbolicEngine
from pipeline.sourcemaps.stores.folder_store import FolderStore

ID = "f81c208d-9b7d-58f8-b103-e6a3855a8f31"
IMAGES: dict[str, Any] = {"debug_meta": {"images": [{"type": "sourcemap", "code_file": URL, "debug_id": ID}]}}
CODE_FILE, MAP_FILE = FILES
DOCS = Path(__file__).parents[3] / "docs" / "sourcemaps.md"


def with_map(content: bytes) -> list[BuiltFile]:
    return [CODE_FILE, BuiltFile(MAP_FILE.url, content, "source_map")]


class Broken:
    """A store with something wrong, and the folder of the build that is right."""

    def __init__(self, path: Path) -> None:
        self.store = path / "store"
        self.build = path / "build"
        self.build.mkdir()
        (self.build / "app.min.js").write_bytes(CODE)
        (self.build / "app.min.js.map").write_bytes(MAP)

    def add(self, files: list[BuiltFile], name: str = "a.zip", **manifest: Any) -> Path:
        return write_bundle(self.store / "7" / name, files, **manifest)

    def artifacts(self) -> Artifacts:
        return Artifacts(FolderStore(self.store), SymbolicEngine(), limits=CacheLimits(max_file_bytes=1_000_000))

    def diagnose(self, crashed: Any) -> FrameDiagnosis:
        (diagnosis,) = diagnose_event(crashed, 7, self.artifacts())
        return diagnosis

    def do(self, action: str) -> None:
        """Run the command that the action names, with the build's folder in its place."""
        command = shlex.split(action.split("`")[1].replace("BUILD_FOLDER", str(self.build)))
        assert command[:2] == ["pipeline", "sourcemaps"]
        result = CliRunner().invoke(sourcemaps, [*command[2:], "--artifacts", str(self.store)])
        assert result.exit_code == 0, result.output


@pytest.fixture
def broken(tmp_path: Path) -> Broken:
    return Broken(tmp_path)


FAILURES: dict[str, tuple[Callable[[Broken], object], dict[str, Any], str]] = {
    "nothing uploaded": (lambda _: None, {}, "project 7 has no artifacts"),
    "another release": (lambda broken: broken.add(FILES, release="shop@0"), {}, "has this URL, but for release 'shop@0'"),
    "another dist": (
        lambda broken: broken.add(FILES, release="shop@1", dist="x"),
        {},
        "dist 'x'; the event is of release 'shop@1', no dist",
    ),
    "another folder": (
        lambda broken: broken.add([BuiltFile("~/app.min.js", CODE)], release="shop@1"),
        {},
        "a.zip has app.min.js as ~/app.min.js, which is not one of the names tried",
    ),
    "another debug id": (
        lambda broken: broken.add(FILES, release="shop@0"),
        IMAGES,
        "no bundle holds the built file with this debug id",
    ),
    "no sourceMappingURL": (
        lambda broken: broken.add([BuiltFile(CODE_FILE.url, CODE.splitlines()[0])], release="shop@1"),
        {},
        "the file has no sourceMappingURL",
    ),
    "no map": (
        lambda broken: broken.add([CODE_FILE], release="shop@1"),
        {},
        "no bundle of project 7 has a file called app.min.js.map",
    ),
    "map under another dist": (
        lambda broken: (broken.add([CODE_FILE], release="shop@1"), broken.add([MAP_FILE], "b.zip", release="shop@1", dist="x")),
        {},
        "b.zip has this URL, but for release 'shop@1', dist 'x'",
    ),
    "HTML for a map": (lambda broken: broken.add(with_map(b"<!doctype html>"), release="shop@1"), {}, "it is an HTML page"),
    "half a map": (lambda broken: broken.add(with_map(MAP[:60]), release="shop@1"), {}, "is not a source map"),
    "damaged zip": (lambda broken: broken.add(FILES, release="shop@1").write_bytes(b"PK"), {}, "a.zip: not a zip"),
    "map of another build": (
        lambda broken: broken.add(with_map(source_map([(5, 0, 0, 0, 0)], ["a.js"])), release="shop@1"),
        {},
        "the map has nothing at line 1, column 15",
    ),
}


@pytest.mark.parametrize(("breaking", "more", "found"), list(FAILURES.values()), ids=list(FAILURES))
def test_what_is_wrong_is_said_and_what_is_printed_fixes_it(
    broken: Broken, breaking: Callable[[Broken], object], more: dict[str, Any], found: str
) -> None:
    breaking(broken)
    diagnosis = broken.diagnose(event(**more))
    assert diagnosis.outcome == "unresolved"
    assert found in "\n".join(diagnosis.found)
    assert diagnosis.tried
    assert diagnosis.to_text() in DOCS.read_text(), "docs/sourcemaps.md shows another output"
    assert diagnosis.action is not None
    broken.do(diagnosis.action)
    again = broken.diagnose(event(**more))
    assert (again.outcome, again.action) == ("resolved", None)


def test_a_line_behind_the_end_of_the_file_tells_another_build(broken: Broken) -> None:
    broken.add(FILES, release="shop@1")
    diagnosis = broken.diagnose(event({"abs_path": URL, "lineno": 9, "colno": 1}))
    assert diagnosis.found == ["line 9, column 1: the uploaded file has 2 lines, so it is not the one that ran"]


def test_an_event_without_a_release_is_told_which_one_it_needs(broken: Broken) -> None:
    broken.add(FILES, release="shop@1", dist="web")
    diagnosis = broken.diagnose(event(release=None))
    assert diagnosis.action == "set release 'shop@1' and dist 'web' in the SDK's options, or build with debug ids"
    assert broken.diagnose(event(release="shop@1", dist="web")).outcome == "resolved"


def test_an_event_with_nothing_to_be_found_by_is_told_so(broken: Broken) -> None:
    diagnosis = broken.diagnose(event(release=None))
    assert "neither a release nor debug ids" in diagnosis.found[-1]
    assert diagnosis.action is not None
    assert diagnosis.action.startswith("set `release` in the SDK's options")


def test_a_map_that_is_too_large_names_the_setting(broken: Broken) -> None:
    broken.add(with_map(source_map([(0, 14, 0, 0, 0)], ["a.js"], ["x" * 1_000_001])), release="shop@1")
    diagnosis = broken.diagnose(event())
    assert diagnosis.action is not None
    assert "artifacts.max_file_bytes" in diagnosis.action
    larger = Artifacts(FolderStore(broken.store), SymbolicEngine(), limits=CacheLimits(max_file_bytes=2_000_000))
    assert resolve(larger, event()) == (1, 1)


def test_sources_that_are_missing_are_counted_and_may_be_added(broken: Broken) -> None:
    without = source_map([(0, 14, 0, 1, 2)], ["src/app.js", "src/b.js"])
    broken.add(with_map(without), release="shop@1")
    diagnosis = broken.diagnose(event())
    assert (diagnosis.outcome, diagnosis.found) == (
        "in part",
        ["the map has 2 sources without content; src/app.js was not uploaded either"],
    )
    assert diagnosis.action is not None
    broken.do(diagnosis.action)
    assert broken.diagnose(event()).outcome == "resolved"


PROGRAM = "file:///C:/Users/jane/AppData/Local/Programs/shop/resources/app.asar/dist/app.min.js"


@pytest.mark.parametrize(
    ("url", "found", "action"),
    [
        ("https://shop.example/cart?x=1", "inline scripts", "move inline scripts"),
        ("https://shop.example/", "inline scripts", "move inline scripts"),
        ("https://shop.example/index.html", "inline scripts", "move inline scripts"),
        ("chrome-extension://abcdef/content.js", "browser extension", "nothing to upload"),
        ("blob:https://shop.example/0f9b", "while the page ran", "load the code from a file"),
        ("<anonymous>", "while the page ran", "load the code from a file"),
        ("webpack-internal:///./src/app.js", "while the page ran", "development build"),
        ("file:///home/jane/shop/app.js", "on the user's machine", "RewriteFrames"),
        (PROGRAM, "on the user's machine", "--url-prefix app:///dist"),
    ],
)
def test_no_upload_is_advised_that_cannot_help(broken: Broken, url: str, found: str, action: str) -> None:
    broken.add(FILES, release="shop@1")
    diagnosis = broken.diagnose(event({"abs_path": url, "lineno": 1, "colno": 15}))
    assert found in "\n".join(diagnosis.found)
    assert diagnosis.action is not None
    assert action in diagnosis.action
    assert "jane" not in diagnosis.action
    assert ("BUILD_FOLDER" in diagnosis.action) == (url == PROGRAM)


def test_the_command_for_an_installed_program_finds_its_files(broken: Broken) -> None:
    crashed = event({"abs_path": PROGRAM, "lineno": 1, "colno": 15})
    diagnosis = broken.diagnose(crashed)
    assert diagnosis.action is not None
    broken.do("`" + diagnosis.action.split("`")[3] + "`")
    assert broken.diagnose(crashed).outcome == "resolved"


def test_the_command_for_a_path_of_windows_finds_its_files(broken: Broken) -> None:
    crashed = event({"abs_path": "C:\\shop\\dist\\app.min.js", "lineno": 1, "colno": 15}, platform="node")
    diagnosis = broken.diagnose(crashed)
    assert diagnosis.action == "`pipeline sourcemaps add BUILD_FOLDER --project 7 --release shop@1 --url-prefix '~/shop/dist'`"
    broken.do(diagnosis.action)
    assert broken.diagnose(crashed).outcome == "resolved"


def test_a_build_that_was_added_without_a_release_is_no_other_release(broken: Broken) -> None:
    broken.add([file._replace(headers={"debug-id": ID}) for file in FILES])
    diagnosis = broken.diagnose(event(release=None))
    assert diagnosis.found == [
        "a.zip has this URL only for its debug ids, as it was added without a release",
        "the event names no debug ids: the SDK sends none, or the build that ran had none",
    ]
    assert diagnosis.action == "use an SDK that sends debug ids, or set its `release` and add the build for that release"
    diagnosis = broken.diagnose(event())
    assert diagnosis.action is not None
    broken.do(diagnosis.action)
    assert broken.diagnose(event()).outcome == "resolved"


def test_a_debug_id_that_only_the_file_has_is_not_called_unknown(broken: Broken) -> None:
    bare = BuiltFile(CODE_FILE.url, CODE.splitlines()[0], headers={"debug-id": ID})
    broken.add([bare], release="shop@1")
    diagnosis = broken.diagnose(event(**IMAGES))
    assert diagnosis.found == ["a.zip holds no source_map with this debug id, only minified_source"]


def test_debug_ids_of_other_files_are_named(broken: Broken) -> None:
    images = [{"type": "sourcemap", "code_file": "https://shop.example/main.js", "debug_id": ID}]
    diagnosis = broken.diagnose(event(release=None, debug_meta={"images": images}))
    assert diagnosis.found[-1] == "the event names debug ids for https://shop.example/main.js, and none for this file"


def test_the_folder_that_was_added_is_advised_again_with_the_right_prefix(broken: Broken) -> None:
    """The frame's folder is not the build's folder: files of the build have folders themselves."""
    (broken.build / "js").mkdir()
    for name in ("app.min.js", "app.min.js.map"):
        (broken.build / name).rename(broken.build / "js" / name)
    broken.do("`pipeline sourcemaps add BUILD_FOLDER --project 7 --release shop@1 --url-prefix '~/wrong'`")
    crashed = event({"abs_path": "https://shop.example/static/js/app.min.js", "lineno": 1, "colno": 15})
    diagnosis = broken.diagnose(crashed)
    assert diagnosis.action == "`pipeline sourcemaps add BUILD_FOLDER --project 7 --release shop@1 --url-prefix '~/static'`"
    broken.do(diagnosis.action)
    assert broken.diagnose(crashed).outcome == "resolved"


def test_a_map_that_nothing_names_is_there(broken: Broken) -> None:
    broken.add([BuiltFile(CODE_FILE.url, CODE.splitlines()[0]), MAP_FILE], release="shop@1")
    diagnosis = broken.diagnose(event())
    assert diagnosis.found[-1] == "a.zip has ~/static/app.min.js.map, which nothing names; `add` names a map beside its file"


def test_the_build_with_the_frames_debug_id_is_not_called_another(broken: Broken) -> None:
    broken.add([file._replace(headers={"debug-id": ID}) for file in FILES])
    for line, found in ((9, "has 2 lines"), (2, "the map has nothing at line 2")):
        diagnosis = broken.diagnose(event({"abs_path": URL, "lineno": line, "colno": 1}, release=None, **IMAGES))
        assert found in diagnosis.found[0]
        assert "although its debug id is the frame's" in diagnosis.found[0]
        assert diagnosis.action is not None
        assert diagnosis.action.startswith("nothing to upload")


def test_a_map_that_takes_too_much_memory_names_the_setting(broken: Broken) -> None:
    large = b'{"version":3,"sources":["a"],"names":[],"mappings":"%b"}' % (b"A," * 5_000_000)
    broken.add(with_map(large), release="shop@1")
    probe = Probe(memory_bytes=180_000_000)
    artifacts = Artifacts(FolderStore(broken.store), SymbolicEngine(), probe=probe)
    (diagnosis,) = diagnose_event(event(), 7, artifacts)
    probe.close()
    assert diagnosis.found == [f"{URL}.map cannot be parsed: the parser takes more than artifacts.parse_memory_bytes for it"]
    assert diagnosis.action is not None
    assert diagnosis.action.startswith("raise artifacts.parse_memory_bytes")


@pytest.mark.parametrize(
    ("frame", "found"),
    [
        ({"function": "f"}, "it names no file"),
        ({"abs_path": "https://shop.example/" + "a" * 4_096, "lineno": 1}, "its path is longer than 4096 characters"),
        ({"abs_path": "native", "lineno": 1}, "it is in the engine or the runtime itself"),
        ({"abs_path": URL}, "it names no line"),
        ({"abs_path": URL, "lineno": 1, "platform": "python"}, "its platform is 'python'"),
    ],
)
def test_frames_that_are_not_looked_up_say_why(broken: Broken, frame: dict[str, Any], found: str) -> None:
    skipped, looked_up = diagnose_event(event(frame, {"abs_path": URL, "lineno": 0}), 7, broken.artifacts())
    assert (skipped.outcome, skipped.found, skipped.action) == ("not looked up", [found], None)
    assert looked_up.found == ["line 0 is not in any file: lines count from 1"]


def test_names_are_tried_in_their_order_up_to_where_one_was_found(broken: Broken) -> None:
    broken.add(FILES, release="shop@1")
    diagnosis = broken.diagnose(event({"abs_path": f"{URL}?v=1#x", "lineno": 1, "colno": 15}))
    assert diagnosis.tried == [
        f"the built file as {URL}?v=1: not found",
        f"the built file as {URL}: not found",
        "the built file as ~/static/app.min.js?v=1: not found",
        "the built file as ~/static/app.min.js: in a.zip",
        f"the map as {URL}.map: not found",
        "the map as ~/static/app.min.js.map: in a.zip",
    ]
